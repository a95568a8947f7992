"""The client against the simulated appliance, over real HTTPS: the account, limits and troubles, time."""

import pytest

from bic_lib.core.errors import Interrupted, Refused, SiteError
from bic_lib.core.model import DataType, Document, ReportKind
from bic_lib.simulator import Simulator
from bic_lib.simulator.faults import Fault
from tests.appliance.conftest import EVER, NOW, PRESENTATION, SUPPORT, MakeClient, Sleeps, ended


def tokens_fetched(sim: Simulator) -> int:
    return sum(request.path == "/oauth2/token" for request in sim.requests)


def test_all_clients_of_an_account_share_one_token(sim: Simulator, client: MakeClient) -> None:
    """One token a run: a new client, as for another lane, asks for none."""
    for each in (client(), client()):
        ended(each)
        each.now()
    assert tokens_fetched(sim) == 1


def test_each_call_has_a_connection_of_its_own(sim: Simulator, client: MakeClient) -> None:
    """It is closed after the call, as the vendor asks (docs/appliance.md 2.1.4)."""
    sim.faults.strict_connections = True
    sim.faults.keep_alive = True
    for _ in range(3):
        client().listing(SUPPORT, EVER)
    assert len({request.connection_id for request in sim.requests}) == len(sim.requests) == 4
    assert all(request.headers.get("connection") == "close" for request in sim.requests)


def test_a_dead_token_is_renewed_once(sim: Simulator, client: MakeClient) -> None:
    """Others on the account may have evicted it: one new token, the same request again."""
    one = client()
    ended(one)
    sim.invalidate_tokens()
    ended(one)
    assert tokens_fetched(sim) == 2
    sim.faults.standing = [Fault("SupportSession", status=401)]
    with pytest.raises(Refused) as refused:
        ended(one)
    assert refused.value.what == "credentials"
    assert tokens_fetched(sim) == 3


def test_wrong_credentials_refuse_the_site(sim: Simulator, client: MakeClient) -> None:
    """They are told apart from a missing right, and the secret is in no text."""
    with pytest.raises(Refused) as refused:
        client(client_secret="wrong-Secret").now()
    assert refused.value.what == "credentials"
    assert "wrong-Secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("around", "told"),
    [
        ('"{}"', "The secret stands in quotes"),
        (" {}", "The secret begins or ends with a blank"),
        ("Bearer {}", "The secret begins with “Bearer”"),
        ("client_secret={}", "The secret begins with “client_secret=”"),
        ("keyvault:{}", "The secret begins with “keyvault:”"),
        ("@Microsoft.KeyVault(SecretUri={})", "The secret begins with “@Microsoft.KeyVault(”"),
        ("${{{}}}", "The secret is a place that something was to be filled in"),
        ("<{}>", "The secret is a place that something was to be filled in"),
    ],
)
def test_a_refused_secret_that_was_copied_with_more_says_so(sim: Simulator, client: MakeClient, around: str, told: str) -> None:
    """Quotes or blanks around the secret are the likelier reason than a regenerated one."""
    with pytest.raises(Refused) as refused:
        client(client_secret=around.format("wrong-Secret")).now()
    assert refused.value.hint.startswith(told)
    assert "wrong-Secret" not in str(refused.value)


def test_a_client_id_in_the_place_of_the_secret_is_told(sim: Simulator, client: MakeClient) -> None:
    """Both look alike."""
    with pytest.raises(Refused, match="The secret is the client id"):
        client(client_secret=sim.client_id).now()


@pytest.mark.parametrize("status", [403, 200])
@pytest.mark.parametrize(
    ("denied", "kind", "right"),
    [
        ("perm_reporting_support", SUPPORT, "support session"),
        ("perm_reporting_presentation", PRESENTATION, "presentation session"),
    ],
)
def test_a_missing_right_is_named(
    sim: Simulator, client: MakeClient, denied: str, kind: ReportKind, right: str, status: int
) -> None:
    """Whether it is refused by status or by an error document with status 200."""
    sim.faults.denied = {denied}
    sim.faults.denied_status = status  # type: ignore[assignment]  # parametrised
    with pytest.raises(Refused) as refused:
        ended(client(), kind)
    assert refused.value.what == "right"
    if status == 403:
        assert right in refused.value.hint


# --- limits and troubles ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on", ["SupportSession", "token"])
def test_a_short_throttle_is_waited_out(sim: Simulator, client: MakeClient, sleeps: Sleeps, on: str) -> None:
    """The same request again after `Retry-After`, on the token endpoint too."""
    sim.faults.fail_next = [Fault(on, status=429, retry_after=7), Fault(on, status=429)]
    assert ended(client())
    assert sleeps.slept == [7, 10]


@pytest.mark.parametrize("on", ["SupportSession", "token"])
def test_a_long_throttle_pauses_the_site(sim: Simulator, client: MakeClient, sleeps: Sleeps, on: str) -> None:
    """With the time that the appliance named."""
    sim.faults.fail_next = [Fault(on, status=429, retry_after=20), Fault(on, status=429, retry_after=20)]
    with pytest.raises(SiteError) as throttled:
        ended(client())
    assert throttled.value.retry_after == 20
    assert sleeps.slept == [20]


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(html=True), Fault(html=True, status=503), Fault(status=500)])
def test_a_restarting_appliance_is_a_site_error_for_reports(sim: Simulator, client: MakeClient, fault: Fault) -> None:
    """And one item's trouble for a recording or a backup."""
    one = client()
    one.sign_in()
    sim.faults.standing = [fault]
    with pytest.raises(SiteError):
        ended(one)
    with pytest.raises(SiteError):
        one.listing(SUPPORT, EVER)
    with pytest.raises(Interrupted), one.recording(DataType.SESSION_RECORDINGS, "a" * 32, None):
        pass
    with pytest.raises(Interrupted), one.backup():
        pass


def test_a_stopped_appliance_is_unreachable(sim: Simulator, client: MakeClient) -> None:
    """Refused connections cost no item an attempt."""
    one = client()
    one.sign_in()
    sim.stop()
    with pytest.raises(SiteError, match="can't be reached: Connection refused"):
        ended(one)


# --- time ------------------------------------------------------------------------------------------------------------


def test_now_is_the_appliance_s_clock(sim: Simulator, client: MakeClient, sleeps: Sleeps) -> None:
    """The token's answer tells it, and time goes on from there."""
    sim.faults.clock_offset = -5000
    one = client()
    assert one.now() == (NOW - 5000, True)
    sleeps.at += 12
    assert one.now() == (NOW - 5000 + 12, True)
    sim.faults.clock_offset = 5000
    ended(one)
    assert one.now() == (NOW + 5000, True)


@pytest.mark.parametrize("denied", [set(), {"perm_command"}])
def test_now_is_asked_for_when_the_token_was_there(sim: Simulator, client: MakeClient, denied: set[str]) -> None:
    """A token from another lane told no time to this client; any answer does, a refusal too."""
    client().sign_in()
    sim.faults.denied = denied
    sim.advance(600)
    assert client().now() == (NOW + 600, True)
    assert tokens_fetched(sim) == 1


def test_without_a_date_the_command_right_or_our_clock_helps(sim: Simulator, client: MakeClient) -> None:
    """The second value says whether the appliance itself told."""
    sim.faults.no_date = True
    sim.faults.clock_offset = 77
    assert client().now() == (NOW + 77, True)
    sim.faults.denied = {"perm_command"}
    ours = client()
    assert ours.now() == (NOW, False)
    assert all(document.as_of is None for document in ended(ours) if isinstance(document, Document))
