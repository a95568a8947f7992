"""What came along when a secret was copied: pure. `echo` adds a line break, editors a mark, shells and files keep quotes."""

from __future__ import annotations

import re

NEVER_AROUND = "\r\n\ufeff\u200b\u200e\u200f\u2060"
"""What no secret begins or ends with. (A password of a person's may have blanks or quotes there.)"""

_LABEL = re.compile(
    r"(?:bearer|basic) |(?:client[_ -]?(?:secret|id)|secret|password|api[_ -]?key)\s*[:=]|env:|keyvault:|@Microsoft\.KeyVault\(",
    re.IGNORECASE,
)
"""What stands before a secret where it is shown or named: headers, forms, files of variables, our own references."""
_PLACE = re.compile(r"<.*>|\$\{.*\}|\$\(.*\)|\{\{.*\}\}|%.*%")
_QUOTES = frozenset(('""', "''", "``", "“”", "„“", "„”", "‘’", "‚‘", "«»", "»«", "「」"))


def miscopied(value: str) -> str:
    """What is around a value that is probably not part of it, as the end of a sentence; empty when nothing is."""
    if value != value.strip("\ufeff"):
        return "begins or ends with a byte order mark"
    if value != value.strip("\r\n"):
        return "begins or ends with a line break"
    if hidden := next((one for one in value.strip() if not one.isprintable()), None):
        return f"holds an invisible character (U+{ord(hidden):04X})"
    if value != value.strip():
        return "begins or ends with a blank"
    return in_quotes(value)


def mistaken(value: str) -> str:
    """The same of what a machine made, where what names it was copied along, or in its place."""
    if said := miscopied(value):
        return said
    if label := _LABEL.match(value):
        return f"begins with “{label[0].strip()}”, which is no part of it"
    return "is a place that something was to be filled in" if _PLACE.fullmatch(value) else ""


def in_quotes(value: str) -> str:
    """The same where a value stands in quotes; empty where it does not."""
    return f"stands in quotes ({value[0]}…{value[-1]})" if len(value) > 1 and value[0] + value[-1] in _QUOTES else ""
