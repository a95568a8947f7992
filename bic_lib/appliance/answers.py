"""What an appliance says instead of what was asked for, and the error that it is (docs/appliance.md 8.1, 8.2, 5.3).

What its texts mean stands in :mod:`bic_lib.appliance.texts`; unknown ones are :class:`UnknownText`. Errors quote an appliance's
own words, which are the text of an `<error>` element or of a JSON message. Anything else may be what somebody said or
typed in a session: of that they tell size and hash.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Callable
from typing import NamedTuple

from bic_lib.appliance.texts import KNOWN, Texts
from bic_lib.core import recognition
from bic_lib.core.errors import BicError, Gone, Interrupted, NotReady, Refused, SiteError, Unexpected, UnknownText
from bic_lib.masking import masked
from bic_lib.network.web_pages import PROLOG, is_web_page

LEAD = b" \t\r\n\xef\xbb\xbf"
"""White space and byte order mark, which may stand before an answer's first tag (docs/appliance.md 11.4)."""

TEXT_BYTES = recognition.LOOKED_AT
"""Most bytes that are read of an answer that is only a message."""

TEXT_LIMIT = 200
"""Most characters of an appliance's text that an error quotes."""

_BLANK = " \t\r\n\0\ufeff"

_MASKED_LIMIT = 8 * 1024
"""Characters in which secrets are looked for: more than are shown, so that none is cut before it is found."""

_ERROR = re.compile(PROLOG + r"(?:<[^<>!?/][^<>]*>\s*)?<(?:[\w.-]+:)?error(?=[\s/>])[^<>]*>", re.DOTALL)
_ERROR_END = re.compile(r"</(?:[\w.-]+:)?error\s*>")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Message(NamedTuple):
    """What an answer says that is only a message: `text` to understand it by, `shown` as an error may show it.

    `own`: these are the appliance's words, of an `<error>` or a JSON message; all else may come from something in between.
    """

    text: str
    shown: str
    own: bool


def web_page() -> SiteError:
    """The error for an HTML page where data was expected (docs/appliance.md 8.1)."""
    return SiteError("the appliance answered with a web page", hint="It may be restarting or failing over; or the host is wrong.")


def message(content: bytes, content_type: str = "") -> Message:
    """What a small XML, JSON or text answer says; what comes behind its first 64 KB is not looked at."""
    text = recognition.words(content[:TEXT_BYTES], content_type).lstrip(_BLANK)
    said = _error_text(text) or _json_message(text)
    return Message(_plain(said or text), quoted(said) if said else described(content, content_type), own=bool(said))


def described(content: bytes, content_type: str = "") -> str:
    """What an error tells of an answer that it may not quote."""
    kind = content_type.partition(";")[0].strip()
    named = f" of {kind}" if re.fullmatch(r"[\w.+/-]{1,60}", kind) else ""
    return f"{len(content)} bytes{named}, SHA-256 {hashlib.sha256(content).hexdigest()[:16]}" if content else ""


def report_error(subject: str, said: Message, settled: str = "") -> BicError:
    """The error for a report's or backup's `<error>` text; `settled`: how, where nobody knows what it means."""
    if KNOWN.is_refusal(said.text):
        return missing_right(subject, said.shown)
    told = f"{subject}: the appliance answered: {said.shown}"
    return UnknownText(told, text=said.shown, hint=settled) if said.own else Unexpected(told)


def recording_error(texts: Texts, subject: str, said: Message) -> BicError:
    """The error for a recording's `<error>` text (docs/appliance.md 5.3.5, 5.3.6, 5.3.9); what nobody knows is final for none."""
    told = f"{subject}: the appliance answered: {said.shown}"
    if KNOWN.is_refusal(said.text):
        return report_error(subject, said)
    if texts.is_expired(said.text):
        return Gone(told, expired=True)
    if texts.is_not_ready(said.text):
        return NotReady(told)
    if texts.is_none(said.text):
        return Gone(told, expired=False)
    if texts.is_nothing_found(said.text):
        return Unexpected(told, hint="The appliance does not know this session.")
    line = own_text("not_ready", said.shown)
    settled = (
        f"If that says that it is not ready yet, write into the site's settings: {line}; if it is so for good, expired or none."
    )
    return report_error(subject, said, settled)


def own_text(meaning: str, shown: str) -> str:
    """The line of a site's settings that gives a text, as an error shows it, this meaning."""
    return f"texts = {{ {meaning} = [{json.dumps(shown.removesuffix('…'), ensure_ascii=False)}] }}"


def answered(subject: str, content: bytes, content_type: str, error_of: Callable[[str, Message], BicError]) -> BicError:
    """The error for an answer in place of a file. What the appliance did not say itself comes from something in between."""
    text = recognition.words(content[:TEXT_BYTES], content_type).strip(_BLANK)
    if not text:
        return Interrupted(f"{subject}: the answer is empty")
    if is_web_page(text):
        return Interrupted(f"{subject}: {web_page().message}", hint=web_page().hint)
    said = message(content, content_type)
    if said.own:
        return error_of(subject, said)
    return Interrupted(f"{subject}: instead of it came {said.shown}", hint="Does a proxy stand in between?")


def missing_right(subject: str, shown: str = "", right: str = "") -> Refused:
    """The account may not do this: a right is missing, the XML API is off, or our address is not allowed (8.1)."""
    said = f": {shown}" if shown else ""
    named = f"the right “{right}”" if right else "the right for it"
    return Refused(
        f"{subject}: the appliance refuses our account{said}",
        what="right",
        hint=f"Give the API account {named}, and see that the XML API is enabled (/login > Management > API Configuration).",
    )


def quoted(text: str) -> str:
    """An appliance's own words as an error may show them: one line of at most 200 characters.

    Markup, links' parameters and secrets are left out.
    """
    line = masked(re.sub(r"(?<=\S)[?#]\S+", "", _plain(text))[:_MASKED_LIMIT])
    return line if len(line) <= TEXT_LIMIT else line[: TEXT_LIMIT - 1] + "…"


def _error_text(text: str) -> str:
    """What stands in the `<error>` that is the root or its first child (docs/appliance.md 8.1), "" where there is none."""
    begin = _ERROR.match(text)
    if begin is None or begin[0].endswith("/>"):
        return ""
    end = _ERROR_END.search(text, begin.end())
    return text[begin.end() : end.start() if end else None]


def _json_message(text: str) -> str:
    """The `message` (or `error`) of a JSON refusal (docs/appliance.md 1.12), "" where there is none."""
    try:
        body = json.loads(text) if text.startswith("{") else {}
    except (ValueError, RecursionError):
        return ""
    said = body.get("message") or body.get("error")
    return said if isinstance(said, str) else ""


def _plain(text: str) -> str:
    """The text in one line, without markup."""
    text = text.replace("<![CDATA[", "").replace("]]>", "")
    return " ".join(_UNPRINTABLE.sub(" ", html.unescape(re.sub(r"<[^<>]*>", " ", text))).split())
