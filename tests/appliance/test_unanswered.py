"""Every answer of a token endpoint and of a gateway before it that is no token, with its words: the true party, and what to do.

What fails before there is an answer stands in tests/network. docs/troubleshooting.md tells each by its symptom.
"""

from __future__ import annotations

import json
import re
import socket
from dataclasses import dataclass

import pytest

from bic_lib.appliance.client import Client
from bic_lib.core.errors import BicError, Refused, SiteError
from bic_lib.core.model import DataType
from tests.appliance.odd_server import TOKEN
from tests.network.connections import Field, listening, tls
from tests.support import symptoms

PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def http(status: str, body: bytes = b"", *headers: str) -> bytes:
    """A whole answer."""
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return f"{head}\r\n\r\n".encode() + body


def oauth(status: str, error: str) -> bytes:
    return http(status, json.dumps({"error": error, "message": "No."}).encode(), "Content-Type: application/json")


WRONG = oauth("401 Unauthorized", "invalid_client")


@dataclass(frozen=True)
class Case:
    """What the token endpoint answers to this secret, and the error: what is so, and what to do. `refused`: our account is."""

    what: str
    do: str
    answer: bytes
    secret: str = "s3cret"
    refused: bool = False


CASES = {
    "wrong secret": Case(
        "refuses our credentials (HTTP 401, invalid_client)",
        "regenerated",
        answer=WRONG,
        refused=True,
    ),
    "secret with a line break": Case(
        "refuses our credentials",
        "ends with a line break",
        answer=WRONG,
        secret="s3\n",
        refused=True,
    ),
    "secret with a mark": Case(
        "refuses our credentials", "byte order mark", answer=oauth("400 B", "invalid_client"), secret="\ufeffs3", refused=True
    ),
    "secret in quotes": Case(
        "refuses our credentials", "stands in quotes", answer=oauth("401 U", "access_denied"), secret='"s3"', refused=True
    ),
    "disabled account": Case(
        "(HTTP 400, unauthorized_client)", "disabled", answer=oauth("400 B", "unauthorized_client"), refused=True
    ),
    "unknown grant": Case(
        "does not understand the question (HTTP 400, unsupported_grant_type)",
        "16.1",
        answer=oauth("400 B", "unsupported_grant_type"),
        refused=True,
    ),
    "changed question": Case(
        "does not understand the question (HTTP 400, invalid_request)",
        "in between",
        answer=oauth("400 B", "invalid_request"),
        refused=True,
    ),
    "gateway's 401": Case(
        "our credentials are refused with a web page (HTTP 401)",
        "gateway",
        answer=http("401 Unauthorized", PAGE),
        refused=True,
    ),
    "gateway's 403": Case("refused with a web page (HTTP 403)", "gateway", answer=http("403 Forbidden", PAGE), refused=True),
    "address not allowed": Case(
        "refuses our account: No.", "XML API is enabled", answer=oauth("403 Forbidden", "x"), refused=True
    ),
    "login page": Case(
        "the token endpoint answered with a web page", "gateway", answer=http("200 OK", PAGE, "Content-Type: text/html")
    ),
    "redirected": Case(
        "redirected to login.example.com (HTTP 302)",
        "login",
        answer=http("302 Found", b"", "Location: https://u@login.example.com/?x=1"),
    ),
    "no API": Case("no such API there (HTTP 404)", "Is the host right", answer=http("404 Not Found")),
    "no token": Case("the token endpoint's answer is no token", "Is the host", answer=http("200 OK", b"hello")),
    "a portal's login": Case(
        "asks for a login (HTTP 511)", "let this machine pass", http("511 Network Authentication Required", PAGE)
    ),
    "a gateway's trouble": Case("a gateway before the appliance does not reach it (HTTP 526)", "certificate", http("526 X")),
    "restarting": Case("the appliance failed (HTTP 503)", "failing over", answer=http("503 Service Unavailable")),
}


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Field:
    return Field(tmp_path_factory.mktemp("certificates"))


def provoked(case: Case, there: Field) -> BicError:
    """The error that a sign-in ends with."""
    with there.standing("good", case.answer) as (host, _):
        ca_file = str(there.trusted["good"])
        client = Client(host, f"id of {host}", case.secret, ca_file=ca_file, per_second=999, per_hour=99_999)
        with pytest.raises(SiteError) as caught:
            client.sign_in()
    return caught.value


@pytest.mark.parametrize("name", CASES)
def test_each_answer_names_its_party_and_what_to_do(name: str, there: Field) -> None:
    """In words of its own, and never with a secret; the page on troubles tells of it."""
    case = CASES[name]
    error = provoked(case, there)
    assert case.what in error.message
    assert case.do in error.hint
    assert isinstance(error, Refused) == case.refused
    assert not re.search(r"s3|x=1", str(error))
    told = [symptom for symptom in symptoms("Appliances: answers") if symptom.search(error.message)]
    assert told, f"docs/troubleshooting.md does not tell of {error.message}"


def test_each_symptom_of_the_page_is_one_that_is_told(there: Field) -> None:
    """What nobody says any more is taken out of the page."""
    told = [provoked(case, there).message for case in CASES.values()]
    assert [one.pattern for one in symptoms("Appliances: answers") if not any(map(one.search, told))] == []


def test_a_web_page_in_place_of_a_recording_names_what_is_in_between(there: Field) -> None:
    """A gateway's login, with status 200: the item is tried again, and nothing of it is stored."""
    answers = iter((http("200 OK", TOKEN), http("200 OK", PAGE, "Content-Type: text/html")))

    def serve(connection: socket.socket) -> None:
        tls(there.certificates["good"], answer=next(answers))(connection)

    with listening(serve) as port:
        ca_file = str(there.trusted["good"])
        client = Client(f"localhost:{port}", "id", "s3cret", ca_file=ca_file, per_second=999, per_hour=99_999)
        with pytest.raises(BicError, match="web page"), client.recording(DataType.SESSION_RECORDINGS, "a" * 32, None):
            pytest.fail("a page is no recording")
