"""The client against the simulated appliance, over real HTTPS."""

import hashlib
from collections.abc import Iterable

import pytest
from lxml import etree

from bic_lib.appliance.client import Client
from bic_lib.errors import Gone, Interrupted, ItemError, NotReady, Refused, SiteError, TooOften, Unexpected
from bic_lib.model import BrokenDocument, DataType, Document, Recording, ReportKind, Selection, Window
from bic_lib.ports import Appliance
from bic_lib.simulator import Simulator
from bic_lib.simulator.faults import Backup, Fault
from bic_lib.simulator.faults import Recording as Delivery
from bic_lib.simulator.population import SessionTruth
from tests.appliance.conftest import NOW, MakeClient, Sleeps
from tests.simulator.client import Client as PlainClient

EVER = Window(int(NOW) - 40 * 86_400, int(NOW) + 1)
SUPPORT, PRESENTATION = ReportKind.SUPPORT, ReportKind.PRESENTATION
NAMESPACES = ["sra", "bomgar", "beyondtrust", "none", "prefixed"]


def fetch(client: Client, selection: Selection, kind: ReportKind = SUPPORT) -> list[Document | BrokenDocument]:
    with client.report(kind, selection) as report:
        return list(report)


def ended(client: Client, kind: ReportKind = SUPPORT) -> list[Document | BrokenDocument]:
    return fetch(client, Selection(ended=EVER), kind)


def lsids(documents: Iterable[Document | BrokenDocument]) -> set[str]:
    return {document.lsid for document in documents}


def truths(sim: Simulator, *states: str) -> list[SessionTruth]:
    return [truth for truth in sim.sessions() if truth.state in states]


def c14n(record: etree._Element) -> bytes:
    return etree.tostring(record, method="c14n", with_tail=False)


def test_a_client_is_an_appliance(client: MakeClient) -> None:
    """It offers what the core asks for."""
    appliance: Appliance = client()
    assert appliance.now() == (NOW, True)


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_ended_sessions_are_those_of_the_appliance(sim: Simulator, client: MakeClient, namespace: str) -> None:
    """All of them, with their times and announced recordings, in every namespace generation."""
    sim.faults.namespace = namespace  # type: ignore[assignment]  # parametrised
    known = {truth.lsid: truth for truth in truths(sim, "ended")}
    documents = ended(client())
    assert lsids(documents) == set(known)
    for document in documents:
        assert isinstance(document, Document)
        truth = known[document.lsid]
        assert (document.start, document.end, document.as_of) == (truth.start, truth.end, int(NOW))
        assert document.recordings == (
            *((Recording(DataType.SESSION_RECORDINGS),) if truth.recordings else ()),
            *(Recording(DataType.COMMAND_SHELL_RECORDINGS, number) for number in range(truth.shells)),
            *(Recording(DataType.SHOW_MY_SCREEN_RECORDINGS, number) for number in range(truth.screens)),
        )


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_record_is_what_was_served(sim: Simulator, client: MakeClient, namespace: str) -> None:
    """Byte by byte, and the canonical XML of the document's record is that of the whole report's."""
    sim.faults.vary_links = False
    sim.faults.namespace = namespace  # type: ignore[assignment]  # parametrised
    asked = {"generate_report": "SupportSession", "end_time": EVER.begin, "duration": EVER.seconds}
    answer = PlainClient(sim).api("/api/reporting", asked)
    served = {record.get("lsid"): record for record in etree.fromstring(answer.content)}
    for document in ended(client()):
        assert isinstance(document, Document)
        assert sim.session_xml(document.lsid).strip() in document.xml
        assert c14n(etree.fromstring(document.xml)[0]) == c14n(served.pop(document.lsid))
    assert not served


def test_fingerprints_do_not_depend_on_the_answer(sim: Simulator, client: MakeClient) -> None:
    """Signed links and namespaces differ from answer to answer; a late note changes its session only."""
    first = {document.lsid: document for document in ended(client()) if isinstance(document, Document)}
    changed = next(iter(first))
    sim.change_session(changed)
    sim.faults.namespace = "prefixed"
    second = {document.lsid: document for document in ended(client()) if isinstance(document, Document)}
    assert all(first[lsid].xml != second[lsid].xml for lsid in first)
    assert [lsid for lsid in first if first[lsid].fingerprint != second[lsid].fingerprint] == [changed]


def test_windows_are_asked_for_in_whole_seconds(sim: Simulator, client: MakeClient) -> None:
    """Half-open windows by end and start; running sessions only by start."""
    fetch(client(), Selection(ended=Window(100, 160)))
    fetch(client(), Selection(began=Window(100, 160)))
    asked = [request.params for request in sim.requests if request.path == "/api/reporting"]
    assert asked == [
        {"generate_report": "SupportSession", "end_time": "100", "duration": "60"},
        {"generate_report": "SupportSession", "start_time": "100", "duration": "60"},
    ]
    assert lsids(fetch(client(), Selection(began=EVER))) == lsids(truths(sim, "ended", "open", "abnormal"))  # type: ignore[arg-type]  # both have one


def test_open_sessions_have_no_end(sim: Simulator, client: MakeClient) -> None:
    """Neither do those that ended abnormally."""
    without_end = {d.lsid for d in fetch(client(), Selection(began=EVER)) if isinstance(d, Document) and d.end is None}
    assert without_end == {truth.lsid for truth in truths(sim, "open", "abnormal")} != set()


@pytest.mark.parametrize(("count", "method"), [(2, "GET"), (40, "POST")])
def test_sessions_are_fetched_by_id(sim: Simulator, client: MakeClient, count: int, method: str) -> None:
    """Few in a query, many in a form; unknown ones are just missing."""
    wanted = [truth.lsid for truth in sim.sessions()][:count]
    assert lsids(fetch(client(), Selection(lsids=(*wanted, "f" * 32)))) == set(wanted)
    assert sim.requests[-1].method == method


@pytest.mark.parametrize(
    "selection", [Selection(), Selection(ended=EVER, lsids=("a",)), Selection(ended=Window(5, 5)), Selection(began=Window(5, 4))]
)
def test_a_selection_without_sense_is_refused(client: MakeClient, selection: Selection) -> None:
    """A duration of 0 would mean “until now”."""
    with pytest.raises(ValueError, match=r"exactly one|duration"):
        fetch(client(), selection)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("shape", ["error", "error_in_list", "empty_list"])
def test_nothing_found_is_an_empty_report(sim: Simulator, client: MakeClient, shape: str, language: str) -> None:
    """In each of its shapes, for windows, ids and listings, in the site's language."""
    sim.faults.nothing_found = shape  # type: ignore[assignment]  # parametrised
    sim.faults.language = language  # type: ignore[assignment]  # parametrised
    assert fetch(client(), Selection(ended=Window(1, 2))) == []
    assert fetch(client(), Selection(lsids=("f" * 32,))) == []
    assert fetch(client(), Selection(ended=Window(1, 2)), PRESENTATION) == []
    assert client().listing(SUPPORT, Window(1, 2)) == []


@pytest.mark.parametrize("root", [False, True])
def test_presentations_are_read_from_any_root(sim: Simulator, client: MakeClient, root: bool) -> None:
    """Their recordings are presentation recordings (appliance-api.md 4.5)."""
    sim.faults.presentation_root = root
    documents = ended(client(), PRESENTATION)
    assert lsids(documents) == {truth.lsid for truth in sim.sessions("presentation") if truth.state == "ended"}
    announced = {r for d in documents if isinstance(d, Document) for r in d.recordings}
    assert announced == {Recording(DataType.PRESENTATION_RECORDINGS)}


def test_a_listing_tells_what_began(sim: Simulator, client: MakeClient) -> None:
    """Running sessions too, and which have a recording."""
    lines = client().listing(SUPPORT, EVER)
    assert {(line.lsid, line.has_recording) for line in lines} == {(truth.lsid, truth.recordings) for truth in sim.sessions()}


def test_a_refused_listing_is_told(sim: Simulator, client: MakeClient) -> None:
    """So that the caller can ask another way."""
    sim.faults.refused_reports = {"PresentationSessionListing"}
    with pytest.raises((ItemError, SiteError)):
        client().listing(PRESENTATION, EVER)


@pytest.mark.parametrize(
    "how", ["control_reference", "control_byte", "bad_utf8", "unclosed", "bad_date", "missing_list", "unknown_entity"]
)
def test_a_malformed_session_costs_only_itself(sim: Simulator, client: MakeClient, how: str) -> None:
    """It is named, and all others are whole."""
    bad = truths(sim, "ended")[20]
    sim.faults.malformed = {bad.lsid: how}  # type: ignore[dict-item]  # parametrised
    documents = ended(client())
    assert lsids(documents) == {truth.lsid for truth in truths(sim, "ended")}
    broken = [document for document in documents if isinstance(document, BrokenDocument)]
    assert [(document.lsid, document.start) for document in broken] in ([], [(bad.lsid, bad.start)])
    assert bool(broken) == (how not in {"bad_date", "missing_list"})


@pytest.mark.parametrize("before", ["\ufeff", "\n"])
def test_what_stands_before_the_declaration_is_tolerated(sim: Simulator, client: MakeClient, before: str) -> None:
    """Together with compressed bodies, old names, left-out elements and blank time stamps."""
    sim.faults.before_declaration = before  # type: ignore[assignment]  # parametrised
    sim.faults.gzip = sim.faults.old_names = sim.faults.omit_optional = sim.faults.blank_timestamps = True
    documents = ended(client())
    assert lsids(documents) == {truth.lsid for truth in truths(sim, "ended")}
    assert all(isinstance(document, Document) and document.start and document.end for document in documents)


def test_a_doctype_refuses_the_report(sim: Simulator, client: MakeClient) -> None:
    """An appliance sends none, so somebody else did."""
    sim.faults.doctype = True
    with pytest.raises(Unexpected, match="DOCTYPE"):
        ended(client())


@pytest.mark.parametrize("gzip", [False, True])
@pytest.mark.parametrize("cut_after", [0, 20, 3000, 100_000])
def test_a_cut_off_report_is_interrupted(sim: Simulator, client: MakeClient, cut_after: int, gzip: bool) -> None:
    """Wherever the body breaks off."""
    sim.faults.gzip = gzip
    sim.faults.fail_next = [Fault("SupportSession", cut_after=cut_after // 10 if gzip else cut_after)]
    with pytest.raises(Interrupted):
        ended(client())


# --- the account -----------------------------------------------------------------------------------------------------


def tokens_fetched(sim: Simulator) -> int:
    return sum(request.path == "/oauth2/token" for request in sim.requests)


def test_all_clients_of_an_account_share_one_token(sim: Simulator, client: MakeClient) -> None:
    """One token a run: a new client, as for another lane, asks for none."""
    for each in (client(), client()):
        ended(each)
        each.now()
    assert tokens_fetched(sim) == 1


def test_each_call_has_a_connection_of_its_own(sim: Simulator, client: MakeClient) -> None:
    """It is closed after the call, as the vendor asks (appliance-api.md 2.1.4)."""
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


# --- files -----------------------------------------------------------------------------------------------------------


def download(client: Client, data: DataType, lsid: str, instance: int | None = None) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with client.recording(data, lsid, instance) as payload:
        for chunk in payload:
            digest.update(chunk)
            size += len(chunk)
    return size, digest.hexdigest()


@pytest.mark.parametrize(
    ("data", "instance"),
    [(DataType.SESSION_RECORDINGS, None), (DataType.COMMAND_SHELL_RECORDINGS, 0), (DataType.SHOW_MY_SCREEN_RECORDINGS, 0)],
)
def test_recordings_arrive_byte_by_byte(sim: Simulator, client: MakeClient, data: DataType, instance: int | None) -> None:
    """Of each kind, by their own reports."""
    truth = next(t for t in truths(sim, "ended") if t.recordings and t.shells and t.screens)
    assert download(client(), data, truth.lsid, instance) == sim.recording_bytes_digest(data, truth.lsid, instance or 0)


def test_presentation_recordings_arrive_byte_by_byte(sim: Simulator, client: MakeClient) -> None:
    """By a report of their own."""
    lsid = next(truth.lsid for truth in sim.sessions("presentation") if truth.recordings)
    data = DataType.PRESENTATION_RECORDINGS
    assert download(client(), data, lsid) == sim.recording_bytes_digest(data, lsid)


def recorded(sim: Simulator) -> str:
    return next(truth.lsid for truth in truths(sim, "ended") if truth.recordings)


def test_a_recording_tells_type_and_time(sim: Simulator, client: MakeClient) -> None:
    """As received."""
    sim.faults.recording = Delivery(format="mp4")
    with client().recording(DataType.SESSION_RECORDINGS, recorded(sim), None) as payload:
        assert (payload.content_type, payload.as_of) == ("video/mp4", int(NOW))


@pytest.mark.parametrize(
    ("delivery", "error", "expired"),
    [
        (Delivery(expired=True), Gone, True),
        (Delivery(none=True), Gone, False),
        (Delivery(not_ready=9), NotReady, None),
        (Delivery(error="Something else."), Unexpected, None),
        (Delivery(error="Invalid lsid."), Unexpected, None),
        (Delivery(cut_after=50_000, size=400_000), Interrupted, None),
        (Delivery(cut_after=0), Interrupted, None),
        (Delivery(size=0), Interrupted, None),
    ],
)
def test_what_is_no_recording_is_told_apart(
    sim: Simulator, client: MakeClient, delivery: Delivery, error: type[ItemError], expired: bool | None
) -> None:
    """Expired and none are final, not ready comes, unknown texts and cut-offs are tried again; none of them is a video."""
    sim.faults.recording = delivery
    with pytest.raises(error) as told:
        download(client(), DataType.SESSION_RECORDINGS, recorded(sim))
    assert getattr(told.value, "expired", None) == expired
    assert not isinstance(told.value, Unexpected) or (delivery.error or "?") in told.value.message


def test_a_recording_of_an_unknown_session_is_unexpected(client: MakeClient) -> None:
    """It is neither expired nor missing: the id itself is wrong."""
    with pytest.raises((Unexpected, Gone)):
        download(client(), DataType.SESSION_RECORDINGS, "f" * 32)


@pytest.mark.parametrize("password", [None, "pass word/ü"])
def test_a_backup_arrives_byte_by_byte(sim: Simulator, client: MakeClient, password: str | None) -> None:
    """With the password in a JSON body where there is one (appliance-api.md 6.3)."""
    with client(backup_password=password).backup() as payload:
        size = sum(len(chunk) for chunk in payload)
    (made,) = sim.backups
    assert (made.size, made.password) == (size, password)
    assert sim.requests[-1].method == ("POST" if password else "GET")


def test_too_many_backups_wait_for_the_next_schedule(sim: Simulator, client: MakeClient, sleeps: Sleeps) -> None:
    """A 429 is neither waited out nor a pause of the site."""
    sim.faults.backup = Backup(per_hour=0)
    with pytest.raises(TooOften), client().backup():
        pass
    assert sleeps.slept == []


def test_a_refused_backup_is_told(sim: Simulator, client: MakeClient) -> None:
    """A message with status 200 is no backup; an empty one is left to the caller's judgement."""
    sim.faults.backup = Backup(error="Out of space.")
    with pytest.raises(Unexpected, match=r"Out of space\."), client().backup():
        pass
    sim.faults.backup = Backup(size=0)
    with client().backup() as payload:
        assert list(payload) == []
    sim.faults.denied = {"perm_backup"}
    with pytest.raises(Refused, match="refuses our account"), client().backup():
        pass


# --- preflight -------------------------------------------------------------------------------------------------------


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
