"""Tokens, permissions and limits."""

import pytest
from lxml import etree

from bic_lib.simulator import Simulator
from tests.simulator.client import Client, error_text

REPORT = {"generate_report": "SupportSessionListing", "start_time": 0, "duration": 0}


def test_a_token_is_given_for_basic_form_and_json_credentials(sim: Simulator, client: Client) -> None:
    """The three ways to identify a client all answer with a bearer token of an hour."""
    basic, grant = (sim.client_id, sim.client_secret), {"grant_type": "client_credentials"}
    form = {"client_id": sim.client_id, "client_secret": sim.client_secret}
    for options in ({"auth": basic, "data": grant}, {"auth": basic, "json": grant}, {"data": grant | form}):
        given = client.ask_token(**options).json()
        assert (given["token_type"], given["expires_in"], len(given["access_token"])) == ("Bearer", 3600, 40)


@pytest.mark.parametrize(
    ("secret", "data", "status", "error"),
    [
        ("wrong", {"grant_type": "client_credentials"}, 401, "invalid_client"),
        (None, {}, 400, "invalid_request"),
        (None, {"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_a_wrong_token_request_is_refused(
    sim: Simulator, client: Client, secret: str | None, data: dict[str, str], status: int, error: str
) -> None:
    """Refusals are JSON objects with `error` and `message`."""
    answer = client.ask_token(auth=(sim.client_id, secret or sim.client_secret), data=data)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["message"]


def test_the_api_wants_a_valid_token(client: Client) -> None:
    """Without a token, or with an invented one, every API path answers 401."""
    for path in ("/api/reporting", "/api/command", "/api/backup"):
        assert client.request("GET", path).status_code == 401
        assert client.request("GET", path, headers={"Authorization": "Bearer invented"}).status_code == 401


def test_a_token_dies_with_its_time_its_secret_and_by_order(sim: Simulator, client: Client) -> None:
    """Tokens end after their lifetime, with a new secret, and when all are invalidated."""
    sim.faults.token_lifetime = 60
    for end, argument in ((sim.advance, (61,)), (sim.set_secret, ("renewed",)), (sim.invalidate_tokens, ())):
        fresh = Client(sim)
        assert fresh.api("/api/reporting", REPORT).status_code == 200
        end(*argument)
        assert fresh.api("/api/reporting", REPORT).status_code == 401
    assert sim.client_secret == "renewed"


def test_the_thirty_first_token_evicts_the_oldest(sim: Simulator, client: Client) -> None:
    """An account has at most 30 tokens; one more kills the first."""
    others = [Client(sim) for _ in range(29)]
    assert client.api("/api/reporting", REPORT).status_code == 200
    Client(sim)
    assert client.api("/api/reporting", REPORT).status_code == 401
    assert others[0].api("/api/reporting", REPORT).status_code == 200
    assert [each.authorized_token_index for each in sim.requests if each.path == "/api/reporting"] == [0, None, 1]


@pytest.mark.parametrize("status", [403, 200])
@pytest.mark.parametrize(
    ("permission", "path", "params"),
    [
        ("perm_reporting_support", "/api/reporting", REPORT),
        ("perm_reporting_presentation", "/api/reporting", REPORT | {"generate_report": "PresentationSession"}),
        ("perm_backup", "/api/backup", {}),
        ("perm_command", "/api/command", {"action": "get_api_info"}),
    ],
)
def test_a_missing_permission_is_refused(
    sim: Simulator, client: Client, permission: str, path: str, params: dict[str, object], status: int
) -> None:
    """Each right has its gate: an error document with 403, or 200 by switch."""
    assert client.api(path, params).status_code == 200
    sim.faults.denied, sim.faults.denied_status = {permission}, status  # type: ignore[assignment] # one of the two
    answer = client.api(path, params)
    assert answer.status_code == status
    assert "permission" in error_text(answer.content)


def test_the_account_tells_its_permissions_and_its_clock(sim: Simulator, client: Client) -> None:
    """`get_api_info` names each right, and the appliance's time."""
    sim.faults.denied, sim.faults.clock_offset = {"perm_backup"}, 600
    root = etree.fromstring(client.api("/api/command", {"action": "get_api_info"}).content)
    told = {each.get("name"): each.text for each in root.iterfind(".//{*}permission")}
    assert (told["perm_command"], told["perm_reporting_support"], told["perm_backup"]) == ("read_only", "1", "0")
    assert root.findtext("{*}timestamp") == str(int(sim.now()))


def test_health_is_told_with_and_without_credentials(client: Client) -> None:
    """`check_health` is a command, and a plain page; unknown commands are refused."""
    root = etree.fromstring(client.api("/api/command", {"action": "check_health"}).content)
    assert root.findtext("{*}success") == "1"
    assert client.request("GET", "/check_health").status_code == 200
    assert "Unknown action" in error_text(client.api("/api/command", {"action": "reboot"}).content)


def test_the_rate_limits_answer_429(sim: Simulator, client: Client) -> None:
    """Above the limit come 429 and `Retry-After`, below it the remaining number; time gives new room."""
    sim.faults.rate_per_second, sim.faults.rate_per_hour = 2, 3
    answers = [client.api("/api/reporting", REPORT) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "1"
    sim.advance(1)
    answers = [client.api("/api/reporting", REPORT) for _ in range(2)]
    assert [(each.status_code, each.headers["X-RateLimit-Remaining"]) for each in answers] == [(200, "0"), (429, "0")]
    assert int(answers[1].headers["Retry-After"]) > 1
    sim.faults.rate_retry_after = False
    assert "Retry-After" not in client.api("/api/reporting", REPORT).headers
    sim.advance(3600)
    assert Client(sim).api("/api/reporting", REPORT).status_code == 200


def test_unknown_paths_and_methods_are_refused(client: Client) -> None:
    """404 for another path, 405 for another method."""
    assert client.api("/api/nothing").status_code == 404
    assert client.request("GET", "/oauth2/token").status_code == 405
    assert client.request("PUT", "/api/reporting", headers=client.authorization).status_code == 405
