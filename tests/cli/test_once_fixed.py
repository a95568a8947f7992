"""Once fixed, tried (B3): what was mended is tried at once, by whatever says so; what an appliance asked for is never broken."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from bic_lib.ledger import Ledger, rests
from bic_lib.ledger.stores import sqlite
from bic_lib.simulator import Fault, Simulator
from tests.support import SECRET, Bic, served_sessions, stored_sessions

WRONG = "correct-horse-battery"


def requests_of(appliance: Simulator) -> int:
    return len(appliance.requests)


def comes_to_rest(bic: Bic) -> None:
    """The account is refused: the site rests, and a run right after it asks nothing."""
    assert bic("run", "--once", **{SECRET: WRONG}).status == 1
    (support,) = bic("status", "--json").json["sites"]
    assert (support["state"], support["until"] is not None) == ("failing", True)


def everything_came(bic: Bic, appliance: Simulator) -> None:
    assert stored_sessions(bic.folder / "archive") == served_sessions(appliance)
    assert bic("health", "--json").json["state"] == "well"


@pytest.fixture
def forgetful(bic: Bic) -> Callable[[], None]:
    """Makes the ledger forget of what the subject was made: so that only what is asked for ends its rest."""

    def forget() -> None:
        ledger = Ledger(sqlite.create(bic.folder / "bic-ledger.sqlite"), "test")
        for one in list(rests.failing(ledger.streams.standing())):
            assert rests.write(ledger.store, one, replace(one.rest, mark=""))
        ledger.store.close()

    return forget


def test_a_rest_lasts_while_nothing_has_changed(bic: Bic, appliance: Simulator) -> None:
    """With the same wrong secret a run asks the appliance nothing until the rest is over, and ends with 1."""
    comes_to_rest(bic)
    before = requests_of(appliance)
    assert bic("run", "--once", **{SECRET: WRONG}).status == 1
    assert requests_of(appliance) == before


def test_a_changed_secret_is_tried_at_once(bic: Bic, appliance: Simulator) -> None:
    """The next tick sees another value than the one that was refused, and tries it."""
    comes_to_rest(bic)
    assert bic("run", "--once").status == 0
    everything_came(bic, appliance)


def test_a_changed_setting_is_tried_at_once(bic: Bic, appliance: Simulator) -> None:
    """Of a site and of a destination."""
    text = (bic.folder / "bic.toml").read_text(encoding="utf-8")
    (bic.folder / "blocked").write_text("a file where the folder should be", encoding="utf-8")
    wrong = text.replace(f'"{appliance.client_id}"', '"nobody"').replace('directory = "archive"', 'directory = "blocked"')
    (bic.folder / "bic.toml").write_text(wrong, encoding="utf-8")
    assert bic("run", "--once").status == 1
    (bic.folder / "bic.toml").write_text(wrong.replace('"nobody"', f'"{appliance.client_id}"'), encoding="utf-8")
    assert "destination archive" in bic("run", "--once").err
    (bic.folder / "bic.toml").write_text(text, encoding="utf-8")
    assert bic("run", "--once").status == 0
    everything_came(bic, appliance)


def test_a_file_of_authorities_that_was_put_there_is_a_change(bic: Bic, appliance: Simulator) -> None:
    """The certificate is refused for want of an authority; its file is mended in its place."""
    text = (bic.folder / "bic.toml").read_text(encoding="utf-8")
    authority = appliance.ca_file.read_bytes()
    (bic.folder / "bic.toml").write_text(text.replace(str(appliance.ca_file.absolute()), "ca.pem"), encoding="utf-8")
    assert bic("run", "--once").status == 1
    (bic.folder / "ca.pem").write_bytes(authority)
    assert bic("run", "--once").status == 0
    everything_came(bic, appliance)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check",), ""),
        (("retry", "--site", "support"), "site support rests no longer"),
    ],
)
def test_whoever_says_that_it_is_mended_has_it_tried(
    bic: Bic, appliance: Simulator, forgetful: Callable[[], None], arguments: tuple[str, ...], told: str
) -> None:
    """A green check and a retry end the rest: the next run does all that is due. Until then it is failing, as before."""
    comes_to_rest(bic)
    forgetful()
    assert bic("run", "--once").status == 1, "nothing tells that it was mended"
    ended = bic(*arguments)
    assert (ended.status, told in ended.out) == (0, True), ended
    assert bic("health", "--json").json["troubles"][0]["severity"] == "failing"
    assert bic("run", "--once").status == 0
    everything_came(bic, appliance)


def test_run_now_is_now(bic: Bic, appliance: Simulator, forgetful: Callable[[], None]) -> None:
    """It asks the appliance, whatever rests; a secret that is still wrong is refused anew, and ends it with 1."""
    comes_to_rest(bic)
    before = requests_of(appliance)
    assert bic("run", "--now", **{SECRET: WRONG}).status == 1
    assert requests_of(appliance) > before
    forgetful()
    assert bic("run", "--now").status == 0
    everything_came(bic, appliance)


def test_a_red_check_ends_no_rest(bic: Bic, appliance: Simulator) -> None:
    """What is not well there goes on resting: a check is no reason to hammer an account."""
    comes_to_rest(bic)
    assert bic("check", **{SECRET: WRONG}).status == 1
    before = requests_of(appliance)
    assert bic("run", "--once", **{SECRET: WRONG}).status == 1
    assert requests_of(appliance) == before


def test_retry_names_what_is_there(bic: Bic) -> None:
    """A name that the settings don't have, or two ways to say what is meant: exit status 2."""
    for arguments in (
        ("--site", "suport"),
        ("--destination", "x"),
        (),
        ("--all", "--site", "support"),
        ("5d41402abc4b", "--all"),
    ):
        assert bic("retry", *arguments).status == 2, arguments
    assert bic("retry", "--site", "support", "--destination", "archive", "--json").json["subjects"] == []


@pytest.mark.parametrize("arguments", [("run", "--now"), ("retry", "--site", "support")])
def test_a_pause_that_was_asked_for_is_ended_by_nothing(bic: Bic, appliance: Simulator, arguments: tuple[str, ...]) -> None:
    """Whoever wants it tried is told until when the appliance wants to be left alone: exit status 1, no request."""
    appliance.faults.fail_next = [Fault("SupportSession", status=429, retry_after=600)]
    assert bic("run", "--once").status == 1
    time.sleep(0.1)
    before = requests_of(appliance)
    ended = bic(*arguments)
    assert ended.status == 1
    assert "left alone until 20" in ended.out + ended.err
    assert bic("run", "--once").status == 1
    assert requests_of(appliance) == before


def test_no_secret_comes_into_the_ledger(bic: Bic) -> None:
    """Neither it nor a plain digest of it: two marks of the same are unlike, so nothing can be looked up."""
    comes_to_rest(bic)
    with sqlite3.connect(bic.folder / "bic-ledger.sqlite") as ledger:
        dump = "\n".join(ledger.iterdump())
    ledger.close()
    assert WRONG not in dump
    assert "rest_mark" in dump
