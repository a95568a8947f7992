"""Secrets that change while bic runs: whoever refuses a credential is asked again with what it is by now."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.actions import running
from bic_lib.appliance.client import Client
from bic_lib.appliance.transport import Account
from bic_lib.core.errors import DestinationError, NotAdmitted, Refused
from bic_lib.core.model import State
from bic_lib.credentials.references import References, Unresolved
from bic_lib.credentials.renewing import Renewing
from bic_lib.engine import events
from bic_lib.ledger.history import Run
from bic_lib.simulator import Profile, Simulator
from tests.cloud.fakes import Cloud
from tests.engine.steps.world import ALL_FILES, World

SITE_SECRET = "site-secret"


@pytest.fixture
def sim() -> Iterator[Simulator]:
    """A small appliance."""
    with Simulator(Profile(sessions=40, days=2)) as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, sim: Simulator, cloud: Cloud) -> World:
    """An installation whose every secret is in the vault."""
    world = VaultWorld(tmp_path, sim)
    world.cloud = cloud
    cloud.client_ids.add(tmp_path.name)
    cloud.set_secret(SITE_SECRET, sim.client_secret)
    world.environ = cloud.environ()
    return world


class VaultWorld(World):
    """As World, with `[key_vault]` and an identity of its own."""

    cloud: Cloud

    def site(self, name: str = "support", extra: str = "", lanes: int = 1) -> str:
        identity = f'[identity]\nkind = "managed_identity"\nclient_id = "{self.folder.name}"\n'
        text = super().site(name, extra, lanes).replace(f"env:SECRET_{name}", f"keyvault:{SITE_SECRET}")
        return f'{identity}[key_vault]\nurl = "{self.cloud.vault_url}"\n{text}'


def rotate(sim: Simulator, cloud: Cloud, secret: str) -> None:
    """The administrator regenerates the API account's secret and puts it into the vault."""
    sim.set_secret(secret)
    cloud.set_secret(SITE_SECRET, secret)


# --- the appliance ---------------------------------------------------------------------------------------------------


def client(sim: Simulator, *others: str) -> Client:
    accounts = [Account(sim.client_id, secret) for secret in others]
    return Client(
        sim.host, sim.client_id, "stale", others=lambda: accounts, ca_file=str(sim.ca_file), per_second=1000, per_hour=10**6
    )


def test_an_appliance_is_asked_again_by_the_secret_as_it_is_now(sim: Simulator) -> None:
    """A refused secret is replaced by the first other one that the appliance takes, and that one stays."""
    appliance = client(sim, "wrong too", sim.client_secret)
    appliance.sign_in()
    sim.invalidate_tokens()
    before = len(sim.requests)
    appliance.api_info()
    paths = [request.path for request in sim.requests][before:]
    assert paths.count("/oauth2/token") == 1


def test_an_appliance_that_refuses_all_has_refused(sim: Simulator) -> None:
    """Each different secret is tried once; then it is the first refusal that is told."""
    with pytest.raises(Refused, match="refuses our credentials"):
        client(sim, "stale", "wrong", "wrong").sign_in()
    assert len([request for request in sim.requests if request.path == "/oauth2/token"]) == 2


def test_a_secret_that_rotates_between_two_runs(world: World, sim: Simulator, cloud: Cloud) -> None:
    """No restart, no failed run: the vault's cache still had the old secret, the appliance refused it, the new one was read."""
    world.configure(data=ALL_FILES)
    app = world.app()
    try:
        assert running.fire(app).troubles == []
        rotate(sim, cloud, "second-secret-of-the-site")
        world.pass_time(3600)
        assert running.fire(app).troubles == []
        cloud.set_secret(SITE_SECRET, "put-into-the-vault-too-early")
        sim.invalidate_tokens()
        world.pass_time(3600)
        assert running.fire(app).troubles == []
    finally:
        app.ledger.store.close()
    world.demand_whole(recordings=True)


def test_a_new_process_bridges_a_secret_that_the_appliance_does_not_have_yet(world: World, sim: Simulator, cloud: Cloud) -> None:
    """The vault was changed first: the version before still counts, in a process that never saw it work."""
    cloud.set_secret(SITE_SECRET, "the-next-one")
    world.configure()
    assert world.now().troubles == []
    world.demand_whole()


def test_a_secret_that_changes_in_the_middle_of_a_run(world: World, sim: Simulator, cloud: Cloud) -> None:
    """Between claim and download the account's secret and all its tokens change: the run goes on."""
    world.configure(data=ALL_FILES)
    app = world.app()
    seen = 0

    def observe(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen in {5, 50}:
            rotate(sim, cloud, f"secret-number-{seen}-of-the-site")

    app.observe = observe
    try:
        assert running.fire(app).troubles == []
    finally:
        app.ledger.store.close()
    assert seen > 50
    world.demand_whole(recordings=True)
    assert {record.outcome.state for record in world.records()} == {State.STORED}


def test_a_whole_run_from_a_vault_that_rotates_and_throttles(
    world: World, sim: Simulator, cloud: Cloud, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Everything is stored, and no secret, token or header is in a log, an error, a ledger row, a name or on the screen."""
    caplog.set_level(logging.DEBUG)
    world.configure(data=ALL_FILES)
    cloud.throttle = ["0", "0"]
    values = [sim.client_secret]
    app = world.app()
    seen = 0

    def observe(*_: object) -> None:
        nonlocal seen
        seen += 1
        if seen in {3, 40}:
            values.append(f"secret-number-{seen}-of-the-site")
            rotate(sim, cloud, values[-1])
            cloud.throttle = ["0", "1"]

    app.observe = observe
    try:
        drained = running.fire(app)
        runs: list[Run] = app.ledger.history.runs(app.ledger.now())
    finally:
        app.ledger.store.close()
    world.demand_whole(recordings=True)
    assert drained.troubles == []
    assert [run.outcome for run in runs] == ["ok"]
    written = (world.folder / "bic-ledger.sqlite").read_bytes().decode("latin-1")
    shown = "".join(capfd.readouterr())
    told = "\n".join(f"{record.getMessage()} {vars(record)} {record.exc_text}" for record in caplog.records)
    names = "\n".join(world.files())
    for secret in [*values, *cloud.tokens, cloud.identity_header]:
        for text in (written, shown, told, names):
            assert secret not in text


def test_a_secret_that_nobody_gives_fails_its_own_site(world: World, cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    """Without the role the site rests, by name and with what to do, and an event tells the alert rule."""
    caplog.set_level(logging.INFO, "bic.events")
    cloud.rbac = False
    world.configure()
    assert "Key Vault Secrets User" in " ".join(world.now().troubles)
    told = [record for record in caplog.records if record.name == "bic.events" and record.__dict__["event"] == "refused"]
    assert {record.__dict__["subject"] for record in told} == {"site support"}


# --- destinations ----------------------------------------------------------------------------------------------------


class Door:
    """A destination that takes one password; it can be changed while somebody works."""

    password = "old-password"

    def __init__(self, password: str) -> None:
        self.mine = password

    def put(self, content: str, *, times: int = 1) -> str:
        if self.mine != Door.password:
            raise NotAdmitted("the door does not open")
        if content == "no room":
            raise DestinationError("full")
        return content * times


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> tuple[Renewing[Door], list[str]]:
    """A door, opened by a password whose values come from a list: now, and before."""
    values = ["old-password"]

    def before(_: str) -> str:
        if len(values) < 2:
            raise Unresolved("nothing before")
        return values[-2]

    references = References({}, lambda _: "old-password", (lambda _: values[-1], before))
    monkeypatch.setattr(Door, "password", "old-password")
    return Renewing(
        "destination door", references, lambda one: (one.secret("keyvault:door").reveal(),), Door, events.refused
    ), values


def test_a_destination_is_entered_again_by_the_new_password(door: tuple[Renewing[Door], list[str]]) -> None:
    """The call that was refused is made again, with its arguments; later calls need nothing."""
    renewing, values = door
    Door.password = "new-password"
    values.append("new-password")
    assert renewing.put("x", times=2) == "xx"
    values.append("never used")
    assert renewing.put("y") == "y"


def test_a_destination_that_still_has_the_old_password(door: tuple[Renewing[Door], list[str]]) -> None:
    """The vault is ahead of the destination: what was before is tried last."""
    renewing, values = door
    Door.password = "middle"
    values.extend(["middle", "far ahead"])
    assert renewing.put("x") == "x"


def test_a_refused_password_that_was_copied_with_more_says_so() -> None:
    """A destination that refuses a password with quotes around it: these are named instead of the usual reasons."""
    references = References({"DOOR": '"old-password"'})
    renewing = Renewing("destination door", references, lambda one: (one.secret("env:DOOR").reveal(),), Door, events.refused)
    with pytest.raises(NotAdmitted) as caught:
        renewing.put("x")
    assert "stands in quotes" in caught.value.hint
    assert "old-password" not in str(caught.value)


def test_a_destination_that_refuses_all_is_told_once(
    door: tuple[Renewing[Door], list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    """The refusal is raised as it was, and an event says whose."""
    caplog.set_level(logging.INFO, "bic.events")
    renewing, _ = door
    Door.password = "unknown"
    with pytest.raises(NotAdmitted, match="does not open"):
        renewing.put("x")
    [record] = [record for record in caplog.records if record.getMessage().startswith(events.PREFIX)]
    assert record.__dict__["subject"] == "destination door"


def test_other_failures_pass_through(door: tuple[Renewing[Door], list[str]]) -> None:
    """A full destination is no reason to read secrets; attributes are passed on too."""
    renewing, _ = door
    assert renewing.mine == "old-password"
    with pytest.raises(DestinationError, match="full"):
        renewing.put("no room")
