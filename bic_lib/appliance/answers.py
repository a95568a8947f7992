"""What an appliance means by its error texts, as data (appliance-api.md 8.1, 8.2, 5.3).

Patterns are looked for in the text without regard to case and white space. Unknown texts are :class:`Unexpected`, text included.
"""

from __future__ import annotations

import html
import json
import re

from bic_lib.errors import BicError, Gone, NotReady, Refused, SiteError, Unexpected

NOTHING_FOUND = (
    "matching your chosen criteria",
    "given search criteria",
    "correspondant à vos critères",  # a French site (8.2)
)
REFUSED = (
    "permission",
    "not authorized",
    "not authorised",
    "access denied",
    "login failed",
    "invalid credentials",
    "api is disabled",
    "api is not enabled",
)
EXPIRED = ("has expired", "no longer be viewed", "a expiré")
NOT_READY = (
    "not yet",
    "available yet",
    "being prepared",
    "being processed",
    "still processing",
    "n'est pas encore",
    "n’est pas encore",
)
NO_RECORDING = ("no recording", "not recorded", "aucun enregistrement")

LEAD = b" \t\r\n\xef\xbb\xbf"
"""White space and byte order mark, which may stand before an answer's first tag (appliance-api.md 11.4)."""

MARKUP = (b"<?xml", b"<error", b"<!doctype", b"<html")
"""How a message begins where a file was asked for (appliance-api.md 5.3.4)."""

TEXT_LIMIT = 300
"""Most characters of an appliance's text that an error quotes."""


def is_message(content_type: str, beginning: bytes) -> bool:
    """Whether an answer's first bytes are a message instead of a recording or backup (appliance-api.md 5.3.4, 6.8)."""
    if beginning.lstrip(LEAD)[:16].lower().startswith(MARKUP):
        return True
    is_video = beginning.startswith(b"FLV\x01") or beginning[4:8] == b"ftyp"
    names_text = any(word in content_type.lower() for word in ("xml", "text", "json"))
    return names_text and bool(beginning) and not is_video and b"\0" not in beginning


def is_web_page(beginning: bytes) -> bool:
    """Whether an answer is HTML (appliance-api.md 8.1)."""
    return (
        re.match(rb"(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html)\b", beginning.lstrip(LEAD), re.IGNORECASE | re.DOTALL) is not None
    )


def web_page() -> SiteError:
    """The error for an HTML page where data was expected (appliance-api.md 8.1)."""
    return SiteError("the appliance answered with a web page", hint="It may be restarting or failing over; or the host is wrong.")


def plain_text(content: bytes) -> str:
    """What a small XML, JSON or text answer says, without its markup."""
    declared = re.match(rb"""\s*<\?xml[^>]*\sencoding\s*=\s*["']([\w.-]+)""", content.lstrip(LEAD))
    try:
        text = content.lstrip(LEAD).decode(declared[1].decode() if declared else "utf-8", "replace")
    except LookupError:
        text = content.decode("utf-8", "replace")
    if text.startswith("{"):
        text = _json_message(text)
    text = re.sub(r"<!\[CDATA\[(.*?)\]\]>", r"\1", text, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^<>]*>", " ", text)).split())


def is_nothing_found(text: str) -> bool:
    """Whether an error text only says that no session matches (appliance-api.md 2.5)."""
    return _says(text, NOTHING_FOUND)


def report_error(subject: str, text: str) -> BicError:
    """The error for a report's or backup's `<error>` text."""
    if _says(text, REFUSED):
        return missing_right(subject, text)
    return Unexpected(f"{subject}: the appliance answered: {quoted(text)}")


def recording_error(subject: str, text: str) -> BicError:
    """The error for a recording's `<error>` text (appliance-api.md 5.3.5, 5.3.6, 5.3.9)."""
    message = f"{subject}: the appliance answered: {quoted(text)}"
    if _says(text, EXPIRED):
        return Gone(message, expired=True)
    if _says(text, NOT_READY):
        return NotReady(message)
    if _says(text, NO_RECORDING):
        return Gone(message, expired=False)
    if is_nothing_found(text):
        return Unexpected(message, hint="The appliance does not know this session.")
    return report_error(subject, text)


def missing_right(subject: str, text: str = "", right: str = "") -> Refused:
    """The account may not do this: a right is missing, the XML API is off, or our address is not allowed (8.1)."""
    said = f": {quoted(text)}" if text else ""
    named = f"the right “{right}”" if right else "the right for it"
    return Refused(
        f"{subject}: the appliance refuses our account{said}",
        what="right",
        hint=f"Give the API account {named}, and see that the XML API is enabled (/login > Management > API Configuration).",
    )


def quoted(text: str) -> str:
    """An appliance's text as an error may show it: one line, no markup, no link's parameters, at most 300 characters."""
    plain = re.sub(r"<[^<>]*>", " ", text)
    plain = re.sub(r"(https?://[^\s?#]+)[?#]\S*", r"\1", plain)
    line = " ".join(plain.split())
    return line if len(line) <= TEXT_LIMIT else line[: TEXT_LIMIT - 1] + "…"


def _json_message(text: str) -> str:
    """The `message` (or `error`) of a JSON refusal (appliance-api.md 1.12), else the text as it is."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    return str(body.get("message") or body.get("error") or text)


def _says(text: str, patterns: tuple[str, ...]) -> bool:
    plain = " ".join(text.split()).casefold()
    return any(pattern in plain for pattern in patterns)
