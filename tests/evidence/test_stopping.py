"""A service that is told to stop while it seals, and ledgers that move: nothing is lost, each day is sealed once."""

from __future__ import annotations

import secrets
import time
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient

from bic_lib.evidence.statement import Head
from tests.engine.steps.world import World
from tests.evidence.conftest import begun_before
from tests.evidence.sealed import Sealed, problems
from tests.hosts import running
from tests.hosts.emulator import emulator
from tests.hosts.running import running_host
from tests.hosts.test_serve import serving
from tests.support import Bic, end

_DAYS = 60
"""A second or two of sealing: a stop comes in its middle."""


@pytest.fixture
def behind(tmp_path: Path, delivered: World) -> Sealed:
    return begun_before(_DAYS, tmp_path, delivered)


def wait_for_statement(sealed: Sealed, number: int) -> None:
    ends = time.monotonic() + 60
    while not [*sealed.folder.glob(f"{number:05d}-*.sig")]:
        assert time.monotonic() < ends
        time.sleep(0.01)


def demand_whole(sealed: Sealed, at_stop: int) -> None:
    """What was made before the stop is as it was, what came after follows it, each day once."""
    assert 3 < at_stop < _DAYS
    checked = sealed.check()
    assert (checked.state, checked.problems) == ("proven", [])
    assert checked.chain
    assert len(checked.chain.heads) == _DAYS + 1 == len([*sealed.folder.glob("*.json.sig")])
    assert problems(sealed) == []


@pytest.mark.slow
def test_a_service_that_is_stopped_while_it_seals(behind: Sealed) -> None:
    """SIGTERM ends it soon, with status 0; the next `bic seal now` goes on where it was."""
    bic = Bic(behind.world.folder, behind.world.environ)
    with serving(bic) as (process, _):
        wait_for_statement(behind, 3)
        assert end(process).status == 0
    at_stop = len([*behind.folder.glob("*.json.sig")])
    heads: list[Head] = behind.seal()
    assert len(heads) in (_DAYS + 1 - at_stop, _DAYS + 2 - at_stop), "the one in hand may have lacked its head"
    demand_whole(behind, at_stop)


@pytest.mark.slow
def test_a_function_app_that_is_stopped_while_it_seals(behind: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform kills it after a while; another instance goes on."""
    monkeypatch.setattr(running, "GRACE", 0.2)  # all days are sealed in a second or two
    with emulator() as storage:
        for name in ("bic-visits", "bic-visits-poison"):
            with QueueClient.from_connection_string(storage.connection(), name) as client:
                client.create_queue()
        environ = {
            **behind.world.environ,
            "AzureWebJobsStorage": storage.connection(),
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "BIC_SETTINGS": str(behind.world.folder / "bic.toml"),
            "BIC_TICK_SCHEDULE": "*/2 * * * * *",
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01",
            "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "5",
        }
        with running_host("sdk", behind.world.folder, environ) as host:
            wait_for_statement(behind, 3)
            host.stop()
        at_stop = len([*behind.folder.glob("*.json.sig")])
        with running_host("sdk", behind.world.folder, environ):
            wait_for_statement(behind, _DAYS)
            time.sleep(1)  # for the head, after the signature
    assert behind.seal() == []
    demand_whole(behind, at_stop)


# --- ledgers that move -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_ledger_that_moves_goes_on_with_its_chain(tmp_path: Path, delivered: World) -> None:
    """Exported, imported into Azure Tables, sealed on there, and back into a file: one chain, one head, no finding."""
    sealed = begun_before(2, tmp_path, delivered)
    bic, settings = Bic(tmp_path, dict(sealed.world.environ)), (tmp_path / "bic.toml").read_text()

    def head(name: str) -> object:
        return bic("seal", "head", "--json", "--settings", name).json["head"]

    def move(of: str, name: str, ledger: str) -> None:
        (tmp_path / name).write_text(f"[ledger]\n{ledger}\n{settings}")
        assert bic("ledger", "export", f"{name}.gz", "--settings", of).status == 0
        assert bic("ledger", "import", f"{name}.gz", "--settings", name).status == 0
        assert head(name) == head(of)
        assert bic("verify", "--strict", "--settings", name).status == 0

    with emulator() as storage:
        bic.environ["LEDGER"] = storage.connection()
        move("bic.toml", "cloud.toml", f'kind = "azure_table"\nconnection = "env:LEDGER"\nprefix = "t{secrets.token_hex(6)}"')
        assert len(bic("seal", "now", "--json", "--settings", "cloud.toml").json["sealed"]) == 2
        move("cloud.toml", "back.toml", 'kind = "sqlite"\npath = "back.sqlite"')
    assert bic("seal", "verify", "archive", "--key", sealed.fingerprint, "--strict").status == 0
