"""What health says, with where each trouble is shown and the buttons that help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bic_lib.web.pages.asked import HOME
from bic_lib.web.pages.words import part, query

Values = dict[str, Any]
Button = tuple[str, str, dict[str, str]]
"""Its label, the action, and the fields that go with it."""

STAYS = frozenset({"lost", "doubtful", "unproven"})
"""Until a person says that it was seen."""
_ELSEWHERE = {"schedule": "schedules", "settings": "settings", "ledger": "logs", "bic": "logs", "seal": "logs"}


def with_hands(troubles: Iterable[Mapping[str, Any]]) -> Iterator[Values]:
    """Troubles as `bic health --json` has them, each with its place and buttons."""
    for one in troubles:
        yield {**one, "place": _place(one), "buttons": list(_buttons(one))}


def _place(trouble: Mapping[str, Any]) -> str:
    subject = trouble["subject"]
    match subject["kind"]:
        case "item":
            return f"{HOME}failures?{query(**_named(subject), severity=trouble['severity'])}"
        case "site" | "stream":
            return f"{HOME}sites/{part(subject['site'])}"
        case "destination":
            return f"{HOME}destinations/{part(subject['destination'])}"
    return HOME + _ELSEWHERE.get(subject["kind"], "")


def _buttons(trouble: Mapping[str, Any]) -> Iterator[Button]:
    subject, severity = trouble["subject"], trouble["severity"]
    if severity == "note":
        return
    if subject["kind"] in ("item", "stream") and severity in STAYS:
        yield "Seen …", "acknowledge", _named(subject)
        return
    if subject["kind"] == "site":
        yield "Check", "check", {"site": subject["site"]}
    if subject["kind"] in ("site", "stream", "item") and subject["site"]:
        yield "Try now", "retry", {name: value for name, value in _named(subject).items() if name != "data"}
    if subject["kind"] == "destination":
        yield "Try now", "retry", {"destination": subject["destination"]}


def _named(subject: Mapping[str, str]) -> dict[str, str]:
    return {name: subject[name] for name in ("site", "data", "destination") if subject[name]}
