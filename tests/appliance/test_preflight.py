"""The client against the simulated appliance, over real HTTPS: the preflight."""

import pytest

from bic_lib.appliance.commands import api_info
from bic_lib.core.model import DataType
from bic_lib.simulator import Simulator
from bic_lib.simulator.framing import Framing
from tests.appliance.conftest import MakeClient


def test_checks_are_well_on_a_well_appliance(sim: Simulator, client: MakeClient) -> None:
    """Token, each reporting right that is needed, backup right, clock, role; and no backup is made."""
    sim.faults.clock_offset = 300
    checks = client().checks(frozenset(DataType))
    assert all(check.ok and check.subject == sim.host for check in checks)
    assert [check.check for check in checks] == [
        "token",
        "presentation reporting right",
        "support reporting right",
        "backup right",
        "clock",
        "failover role",
    ]
    assert "300 s ahead" in next(check.detail for check in checks if check.check == "clock")
    assert not any(request.path == "/api/backup" for request in sim.requests)


def test_checks_without_the_command_right_are_well(sim: Simulator, client: MakeClient) -> None:
    """The right is optional, so the backup right is just not visible."""
    sim.faults.denied = {"perm_command"}
    checks = client().checks(frozenset({DataType.SESSIONS, DataType.SITE_BACKUPS}))
    assert [(check.check, check.ok) for check in checks] == [
        ("token", True),
        ("support reporting right", True),
        ("backup right", True),
        ("clock", True),
    ]


def test_checks_name_each_missing_right(sim: Simulator, client: MakeClient) -> None:
    """With what to do, and without raising."""
    sim.faults.denied = {"perm_reporting_presentation", "perm_backup"}
    failed = {check.check: check for check in client().checks(frozenset(DataType)) if not check.ok}
    assert set(failed) == {"presentation reporting right", "backup right"}
    assert all(check.hint for check in failed.values())


def test_checks_of_a_wrong_secret_or_a_dead_site_are_one_line(sim: Simulator, client: MakeClient) -> None:
    """Without a token nothing else can be looked at."""
    (wrong,) = client(client_secret="nonsense").checks(frozenset(DataType))
    assert (wrong.check, wrong.ok) == ("token", False)
    assert "nonsense" not in wrong.detail + wrong.hint
    sim.stop()
    (dead,) = client(client_secret="other").checks(frozenset(DataType))
    assert "can't be reached" in dead.detail


@pytest.mark.parametrize(("told", "timestamp"), [("1741701737", 1741701737), ("9" * 5000, None), ("soon", None), ("", None)])
def test_a_clock_that_makes_no_sense_is_none(told: str, timestamp: int | None) -> None:
    """The appliance then tells no time."""
    assert api_info(f"<api_information><timestamp>{told}</timestamp></api_information>".encode()).timestamp == timestamp


@pytest.mark.parametrize("framing", ["none", "length_with_unit"])
def test_answers_that_do_not_say_where_they_end_are_found(sim: Simulator, client: MakeClient, framing: Framing) -> None:
    """One line for the whole site, before a recording is asked for; documents tell their end themselves."""
    sim.faults.framing = framing
    [line] = [check for check in client().checks(frozenset(DataType)) if not check.ok]
    assert (line.check, "where they end" in line.detail) == ("ends of answers", True)
    assert all(check.ok for check in client().checks(frozenset({DataType.SESSIONS})))
