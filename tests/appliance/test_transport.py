"""Troubles that no appliance should make: redirects, missing lengths, dates instead of seconds, foreign certificates."""

import base64
import gzip
import tracemalloc
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from urllib3.util.ssl_ import create_urllib3_context

from bic_lib.appliance import https
from bic_lib.appliance.client import Client
from bic_lib.core.errors import BicError, Interrupted, Overtaxed, SiteError, Unexpected
from bic_lib.core.model import DataType, ReportKind, Selection, Window
from bic_lib.masking import STARS, masked
from bic_lib.simulator.certificates import make_certificates
from bic_lib.simulator.recordings import blocks
from tests.appliance.conftest import MakeClient, Sleeps
from tests.appliance.odd_server import TOKEN, OddServer, answer

FILM = b"".join(blocks("any", "flv", 300))
REPORT = b'<session_list><session lsid="a"></session></session_list>'


def sessions(client: Client) -> int:
    with client.report(ReportKind.SUPPORT, Selection(ended=Window(1, 2))) as report:
        return sum(1 for _ in report)


def recording(client: Client) -> bytes:
    with client.recording(DataType.SESSION_RECORDINGS, "a", None) as payload:
        return b"".join(payload)


def test_credentials_go_in_a_basic_header_and_the_token_as_bearer(odd: OddServer, odd_client: MakeClient) -> None:
    """The grant is a form; English answers and a closing connection are asked for."""
    odd.on_call = lambda handler: answer(handler, 200, REPORT)
    assert sessions(odd_client()) == 1
    (line, headers, body), (_, bearer, _) = odd.asked
    assert (line, body) == ("POST /oauth2/token HTTP/1.1", b"grant_type=client_credentials")
    assert headers["Authorization"].startswith("Basic ")
    assert (bearer["Authorization"], bearer["Accept-Language"], bearer["Connection"]) == ("Bearer tOkEn123", "en-us", "close")


def test_a_netrc_file_does_not_replace_the_token(
    odd: OddServer, odd_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this machine's user keeps for the host is not for us."""
    (tmp_path / "netrc").write_text("machine localhost login somebody password something\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    odd.on_call = lambda handler: answer(handler, 200, REPORT)
    sessions(odd_client())
    assert odd.asked[-1][1]["Authorization"] == "Bearer tOkEn123"


def test_a_redirect_is_an_error_and_is_not_followed(odd: OddServer, odd_client: MakeClient) -> None:
    """The token goes to the configured host only."""
    odd.on_call = lambda handler: answer(handler, 302, Location=f"https://{odd.host}/elsewhere")
    with pytest.raises(SiteError, match="redirected"):
        sessions(odd_client())
    assert not any("elsewhere" in line for line, _, _ in odd.asked)


def test_the_environment_can_not_weaken_verification(
    odd: OddServer, odd_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REQUESTS_CA_BUNDLE neither makes a foreign certificate good nor ours bad."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", odd.ca_file)
    with pytest.raises(SiteError, match="no trusted connection"):
        odd_client(ca_file=None).now()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(make_certificates(foreign).ca))
    odd_client().now()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_unusable_ca_file_is_told(odd_client: MakeClient, tmp_path: Path, content: str | None) -> None:
    """Missing, or no PEM file."""
    file = tmp_path / "ca-file.pem"
    if content:
        file.write_text(content)
    with pytest.raises(SiteError) as told:
        odd_client(ca_file=str(file)).now()
    assert "ca_file" in told.value.hint


def test_authorities_are_read_once_and_again_when_their_file_changes(
    odd: OddServer, odd_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public ones are many: several calls read them once; what is put in their file's place counts from the next call on."""
    file, foreign, made = tmp_path / "ca.pem", tmp_path / "foreign", []
    file.write_bytes(Path(odd.ca_file).read_bytes())
    foreign.mkdir()

    def counted(**named: Any) -> Any:
        made.append(named)
        return create_urllib3_context(**named)

    monkeypatch.setattr(https, "create_urllib3_context", counted)
    odd.on_call = lambda handler: answer(handler, 200, b"<session_list/>")
    client = odd_client(ca_file=str(file))
    assert [sessions(client) for _ in range(3)] == [0, 0, 0]
    assert len(made) == 1
    file.write_bytes(make_certificates(foreign).ca.read_bytes())
    with pytest.raises(SiteError, match="no trusted connection"):
        sessions(client)


def test_an_unknown_host_is_told(sleeps: Sleeps) -> None:
    """By name, with what to check."""
    client = Client("nowhere.invalid", "id", "secret", per_second=9, per_hour=99, timing=sleeps.timing())
    with pytest.raises(SiteError, match=r"nowhere\.invalid: the appliance can't be reached"):
        client.now()


@pytest.mark.parametrize(("headers", "wait"), [({"Date": formatdate(5000, usegmt=True)}, 12.0), ({}, 12.0)])
def test_retry_after_may_be_a_date(
    odd: OddServer, odd_client: MakeClient, sleeps: Sleeps, headers: dict[str, str], wait: float
) -> None:
    """It is a time on the appliance's clock, whatever ours shows."""
    throttled = True

    def once(handler: BaseHTTPRequestHandler) -> None:
        nonlocal throttled
        if not throttled:
            answer(handler, 200, REPORT)
            return
        throttled = False
        handler.send_response_only(429)
        handler.send_header("Content-Length", "0")
        handler.send_header("Retry-After", formatdate(5012 if headers else sleeps.timing().clock() + 12, usegmt=True))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    odd.on_call = once
    assert sessions(odd_client()) == 1
    assert sleeps.slept == [wait]


@pytest.mark.parametrize(("named", "sent"), [("600", 1), (None, 2)])
def test_a_503_that_says_for_how_long_is_a_pause(odd: OddServer, odd_client: MakeClient, named: str | None, sent: int) -> None:
    """As a 429 is: nothing is sent before it is over. One that does not say is a failure like any other."""
    calls = []

    def busy(handler: BaseHTTPRequestHandler) -> None:
        calls.append(handler.path)
        answer(handler, 503, Retry_After=named or "")

    odd.on_call = busy
    client = odd_client()
    for _ in range(2):
        with pytest.raises(SiteError) as told:
            sessions(client)
    assert len(calls) == sent
    assert ("wants to be left alone until" in str(told.value)) is (named is not None)


def test_an_endless_throttle_ends(odd: OddServer, odd_client: MakeClient, sleeps: Sleeps) -> None:
    """All waiting for one request together stays within the limit, even when each pause is none."""
    odd.on_call = lambda handler: answer(handler, 429, Retry_After="0")
    with pytest.raises(SiteError):
        sessions(odd_client(wait_limit=2.0))
    assert 5 < len(sleeps.slept) < 40


def test_a_used_up_limit_makes_a_short_pause(odd: OddServer, odd_client: MakeClient, sleeps: Sleeps) -> None:
    """`X-RateLimit-Remaining: 0` is obeyed before the appliance has to refuse."""
    odd.on_call = lambda handler: answer(handler, 200, REPORT, X_RateLimit_Remaining="0")
    client = odd_client()
    sessions(client)
    sessions(client)
    assert sleeps.slept == [1.0]


def test_a_body_of_unknown_length_is_no_recording(odd: OddServer, odd_client: MakeClient) -> None:
    """Without length and chunks a cut-off can't be told, so it is not taken; a report has its end tag."""
    odd.on_call = lambda handler: answer(handler, 200, FILM[:-1], Content_Length="")
    with pytest.raises(Interrupted, match="could not be noticed"):
        recording(odd_client())
    odd.on_call = lambda handler: answer(handler, 200, REPORT, Content_Length="")
    assert sessions(odd_client()) == 1
    odd.on_call = lambda handler: answer(handler, 200, REPORT[:-3], Content_Length="")
    with pytest.raises(Interrupted):
        sessions(odd_client())


def test_a_short_body_is_interrupted(odd: OddServer, odd_client: MakeClient) -> None:
    """Fewer bytes than were promised."""
    odd.on_call = lambda handler: answer(handler, 200, FILM, Content_Length="500")
    with pytest.raises(Interrupted, match="cut off"):
        recording(odd_client())


@pytest.mark.parametrize("content_type", ["text/plain", "text/xml", "application/json", "video/x-flv"])
def test_bytes_decide_what_is_a_recording(odd: OddServer, odd_client: MakeClient, content_type: str) -> None:
    """A video sent under a wrong type is one; a message never is, whatever its type says."""
    odd.on_call = lambda handler: answer(handler, 200, FILM, Content_Type=content_type)
    assert recording(odd_client()) == FILM
    odd.on_call = lambda handler: answer(handler, 200, b"\xef\xbb\xbf\n<error>Broken tape</error>", Content_Type=content_type)
    with pytest.raises(Unexpected, match="Broken tape"):
        recording(odd_client())


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":"x","message":"Broken tape"}',
        b'{"error":"Broken tape"}',
        b"<error>Broken tape</error>",
        b'<?xml version="1.0"?>\n<list xmlns="http://a/b">\n<error><![CDATA[Broken]]> tape</error></list>',
        b'<?xml version="1.0" encoding="idna"?><x:error xmlns:x="urn:x">Broken\x1b tape',
    ],
)
def test_messages_are_quoted(odd: OddServer, odd_client: MakeClient, body: bytes) -> None:
    """As the older and the newer interface send them."""
    odd.on_call = lambda handler: answer(handler, 200, body, Content_Type="text/json")
    with pytest.raises(Unexpected, match=r"answered: Broken tape\. If that says"):
        recording(odd_client())


@pytest.mark.parametrize("status", [200, 403, 418])
@pytest.mark.parametrize(
    "body",
    [
        b"C:\\> net use x: /user:bob hunter2",
        b'{"text": "hunter2"}',
        b'{"message": {"a": "hunter2"}}',
        b'{"a":' * 20_000 + b'"hunter2',
        b"<chat>hunter2<error>hunter2</error></chat>",
    ],
)
def test_what_is_no_message_is_not_quoted(odd: OddServer, odd_client: MakeClient, body: bytes, status: int) -> None:
    """It may be what somebody typed in a session, a shell's recording for one: size, type and hash are told."""
    odd.on_call = lambda handler: answer(handler, status, body, Content_Type="text/plain; charset=utf-8")
    with pytest.raises(BicError, match=r"\d+ bytes of text/plain, SHA-256 [0-9a-f]{16}") as told:
        recording(odd_client())
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("status", [408, 500, 501, 502, 503, 504, 520, 521, 524, 526])
def test_what_may_have_been_too_much_is_told_from_an_appliance_that_restarts(
    odd: OddServer, odd_client: MakeClient, status: int
) -> None:
    """A smaller question may succeed after a time-out of whoever stands in between; the site rests all the same."""
    odd.on_call = lambda handler: answer(handler, status)
    with pytest.raises(SiteError) as told:
        sessions(odd_client())
    assert isinstance(told.value, Overtaxed) == (status not in (501, 503, 521, 526))


@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 405, 408, 418, 429, 500, 503])
@pytest.mark.parametrize("body", [b"%s", b"<error>%s</error>", b'{"message": "%s"}', b"<error>" + b"word " * 38 + b"%s</error>"])
def test_no_error_shows_a_secret(odd: OddServer, odd_client: MakeClient, status: int, body: bytes) -> None:
    """Not even when the appliance repeats it, also as we send it; nor a signed link's parameters, with or without a scheme."""
    links = b"https://h/d?x=1&amp;h=0123456789abcdef session_download?x=0123456 /d?x=1&h=01234567"
    said = b"tOkEn123 and s3cret/\xc3\xbc or %s at %s" % (base64.b64encode("id:s3cret/ü".encode()), links)
    odd.on_call = lambda handler: answer(handler, status, body % said, Retry_After="99", Content_Type="text/xml")
    hidden = ("tOkEn", "s3cret", "aWQ6czNj", "0123456")
    for ask in (sessions, recording):
        with pytest.raises(BicError) as told:
            ask(odd_client())
        assert not any(secret in repr(told.value) + str(told.value) for secret in hidden)


def test_tokens_are_masked_while_they_may_be_in_use(odd: OddServer, odd_client: MakeClient) -> None:
    """In every text of the process: the newest and the one before it; older ones are forgotten."""
    tokens = [f"masked-token-{n}" for n in range(5)]
    remaining = iter(tokens)
    odd.on_token = lambda handler: answer(handler, 200, TOKEN.replace(b"tOkEn123", next(remaining).encode()))
    odd.on_call = lambda handler: answer(handler, 401)
    with pytest.raises(BicError):
        sessions(odd_client())
    assert [masked(token) for token in tokens] == [STARS, STARS, *tokens[2:]]
    odd.on_call = lambda handler: answer(handler, 401 if tokens[3] not in handler.headers["Authorization"] else 200, REPORT)
    with pytest.raises(BicError):
        sessions(odd_client())
    assert [masked(token) for token in tokens] == [tokens[0], STARS, STARS, *tokens[3:]]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b'{"token_type": "bearer"}',
        TOKEN.replace(b"bearer", b"mac"),
        TOKEN.replace(b"1799", b"9" * 400),
        TOKEN.replace(b"1799", b"9" * 5000),
        TOKEN.replace(b"1799", b"-1"),
        TOKEN.replace(b"1799", b"NaN"),
        TOKEN.replace(b"1799", b"Infinity"),
        TOKEN.replace(b"tOkEn123", b"tOkEn\\r\\nX-Evil: 1"),
        TOKEN.replace(b"tOkEn123", b"t" * 4097),
        TOKEN.replace(b'"tOkEn123"', b'""'),
        b'{"a":' * 12_000,
        b" " * 70_000 + TOKEN,
    ],
    ids=lambda body: f"{body[:60].decode()}…{len(body)}",
)
def test_what_is_no_token_is_a_site_error(odd: OddServer, odd_client: MakeClient, body: bytes) -> None:
    """The host may be another machine altogether."""
    odd.on_token = lambda handler: answer(handler, 200, body)
    with pytest.raises(SiteError, match="token endpoint"):
        odd_client().now()


def test_no_more_of_a_token_s_answer_is_read_than_a_token_needs(odd: OddServer, odd_client: MakeClient) -> None:
    """Nor is it unpacked: a small answer could fill the memory."""
    packed = gzip.compress(b" " * 50_000_000 + TOKEN)
    odd.on_token = lambda handler: answer(handler, 200, packed, Content_Encoding="gzip")
    tracemalloc.start()
    with pytest.raises(SiteError, match="token endpoint"):
        odd_client().now()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000
    assert odd.asked[0][1]["Accept-Encoding"] == "identity"


def test_the_body_of_a_redirect_is_not_read(odd: OddServer, odd_client: MakeClient) -> None:
    """It could be endless, and leads nowhere."""
    sent = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        answer(handler, 302, Location=f"https://{odd.host}/elsewhere", Content_Length="1000000000")
        with suppress(OSError):
            while sent < 200:
                handler.wfile.write(b"x" * 1_000_000)
                sent += 1

    odd.on_token = endless
    with pytest.raises(SiteError, match="redirected"):
        odd_client().now()
    assert sent < 200


def test_a_broken_token_request_is_a_site_error(odd: OddServer, odd_client: MakeClient) -> None:
    """No item can be at fault before there is a token."""
    odd.on_token = lambda handler: handler.connection.close()
    with pytest.raises(SiteError):
        odd_client().now()


def test_a_connection_that_breaks_before_the_answer_is_interrupted(odd: OddServer, odd_client: MakeClient) -> None:
    """A smaller window may succeed."""
    odd.on_call = lambda handler: handler.connection.close()
    with pytest.raises(Interrupted):
        sessions(odd_client())


def test_each_client_has_a_pace_of_its_own(odd: OddServer, odd_client: MakeClient, sleeps: Sleeps) -> None:
    """One lane does not wait for another's requests, only for its own; the shared token is fetched once."""
    odd.on_call = lambda handler: answer(handler, 200, REPORT)
    odd_client().sign_in()
    lanes = [odd_client(per_second=1) for _ in range(3)]
    for lane in lanes:
        sessions(lane)
    assert sleeps.slept == []
    sessions(lanes[0])
    assert sleeps.slept == [1.0]
    assert sum("token" in line for line, _, _ in odd.asked) == 1
