"""Answers as values: what the server sends, before it is cut into chunks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from json import dumps

from bic_lib.simulator.faults import Fault, Faults
from bic_lib.simulator.framing import Coding, Framing
from bic_lib.simulator.languages import Words, said
from bic_lib.simulator.markup import text
from bic_lib.simulator.odd_answers import ODD_ANSWERS, OddAnswer
from bic_lib.simulator.spellings import Spelling

XML = "text/xml; charset=UTF-8"

NO_ARCHIVES = "No archives found for the given search criteria."

_HTML = b"<!DOCTYPE html>\n<html><head><title>Maintenance</title></head><body><h1>Be right back</h1><br></body></html>\n"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. The body is consumed once; what begins with `cut_after` are faults of its transport.

    Without a framing of its own it is framed as all answers are.
    """

    status: int = 200
    body: Iterable[bytes] = ()
    content_type: str = XML
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    bytes_per_second: float | None = None
    chunk_delay: float = 0.0
    first_byte_delay: float = 0.0
    framing: Framing | None = None
    coding: Coding | None = None
    head_bytes_per_second: float | None = None


class Refusal(Exception):
    """Ends the handling of a request with another answer than the one asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def error_document(words: str, faults: Faults, *, status: int = 200, api: str = "reporting") -> Answer:
    """An `<error>` document; with status 200 unless told otherwise (docs/appliance.md 8.1)."""
    body = Spelling(faults).document("error", text(words), api)
    return Answer(status, [body, b"\n\n"])


def refuse(words: Words, faults: Faults, **values: str) -> Refusal:
    """The refusal of a request whose parameters are wrong, in the site's language."""
    return Refusal(error_document(said(words, faults.language, **values), faults))


def json_answer(status: int, values: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON object, as the token endpoint speaks."""
    return Answer(status, [dumps(values).encode()], "application/json", headers or {})


def odd_answer(name: OddAnswer) -> Answer:
    """Something with status 200 that is not what was asked for."""
    content_type, content = ODD_ANSWERS[name]
    return Answer(body=[content], content_type=content_type)


def nothing_found(subject: str, root: str, faults: Faults) -> Answer:
    """The three shapes of "no records" (2.5), in the site's language (8.2)."""
    words = said("nothing_found", faults.language, subject=subject)
    if faults.nothing_found == "error":
        return error_document(words, faults)
    content = f"\n<error>{text(words)}</error>\n" if faults.nothing_found == "error_in_list" else "\n"
    return Answer(body=[Spelling(faults).document(root, content)])


def replacement(fault: Fault, faults: Faults) -> Answer:
    """The answer of a fault that gives no usual answer."""
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.html:
        return Answer(fault.status or 200, [_HTML], "text/html; charset=UTF-8", headers)
    if fault.error is not None:
        return error_document(fault.error, faults, status=fault.status or 200)
    status = fault.status or 503
    words = {401: "invalid_token", 403: "access_denied", 429: "too_many_requests"}.get(status, "unavailable")
    return json_answer(status, {"error": words, "message": escape(words.replace("_", " ").capitalize() + ".")}, headers)
