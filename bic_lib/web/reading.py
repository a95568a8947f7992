"""What JSON bodies say, every problem named at once."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bic_lib.actions.acknowledging import Choice
from bic_lib.actions.download import Download
from bic_lib.actions.failures import Again
from bic_lib.actions.time_arguments import length, moment
from bic_lib.core.errors import UsageError
from bic_lib.core.escaping import escaped
from bic_lib.core.model import DataType, Window
from bic_lib.engine.app import App
from bic_lib.web.http import LONGEST_VALUE, Refusal, Request, too_many

_MOST_VALUES = 10_000
"""Values of a JSON body; each route says itself how many of one kind it takes."""
LONGEST_WAIT = 200
"""Seconds; the Functions platform ends an unanswered request after 230."""

Value = TypeVar("Value")


class Fields:
    """The members of a JSON object, read one by one; `problems` collects what is wrong with them."""

    def __init__(self, values: Mapping[str, Any], known: Sequence[str]) -> None:
        self._values = values
        unknown = [name[:LONGEST_VALUE] for name in values if name not in known]
        self.problems = [f"{name}: is unknown; there are: {', '.join(known)}" for name in unknown]

    def texts(self, *names: str) -> tuple[str, ...]:
        """Texts, or one text alone, under the first of these names that is there."""
        for name in names:
            if (value := self._values.get(name)) is not None:
                given = value if isinstance(value, list) else [value]
                texts = tuple(self._short(name, text) for text in given if isinstance(text, str))
                if len(texts) < len(given):
                    self.problems.append(f"{name}: must be a text or a list of texts")
                return texts
        return ()

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            self.problems.append(f"{name}: must be true or false")
        return value is True

    def whole(self, name: str, most: int) -> int:
        value = self._values.get(name, 0)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            self.problems.append(f"{name}: must be a whole number of seconds, at most {most}")
            return 0
        return value

    def text(self, name: str, read: Callable[[str, str], Value], otherwise: Value) -> Value | None:
        """A text as `read(text, name)` reads it; None when it is not there, `otherwise` when it is no good."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            if isinstance(value, str):
                return read(self._short(name, value), name)
            self.problems.append(f"{name}: must be a text")
        except (UsageError, OverflowError) as error:
            self.problems.append(str(error))
        return otherwise

    def _short(self, name: str, text: str) -> str:
        if len(text) > LONGEST_VALUE:
            self.problems.append(f"{name}: is longer than {LONGEST_VALUE} characters")
        return text[:LONGEST_VALUE]


def fields(request: Request, known: Sequence[str]) -> Fields:
    """The members of the request's JSON object; an empty body has none. Raises Refusal."""
    body = request.get_data()
    if not body:
        return Fields({}, known)
    if request.mimetype != "application/json":
        raise Refusal(400, ["the body must be JSON, with Content-Type: application/json"])
    try:
        value = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, [f"the body is no JSON: {error}"]) from None
    if not isinstance(value, dict):
        raise Refusal(400, ["the body must be a JSON object"])
    _demand_texts(value)
    return Fields(value, known)


def asked_flag(request: Request, name: str) -> bool:
    """Whether a query says yes. Raises Refusal for what is neither 0 nor 1."""
    given = request.args.get(name, "")
    if given not in ("", "0", "1"):
        raise Refusal(400, [f"{name}: must be 0 or 1"])
    return given == "1"


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _demand_texts(value: object) -> None:
    """Every text at any depth is one, every number finite, and there are not too many. Raises Refusal."""
    waiting: list[tuple[str, object]] = [("the body", value)]
    problems = []
    for count in itertools.count():  # each turn takes one value of what was parsed
        if not waiting:
            break
        if count > _MOST_VALUES:
            raise too_many("values", _MOST_VALUES)
        place, one = waiting.pop()
        if isinstance(one, str) and escaped(one) != one:
            problems.append(f"{place}: holds characters that are no text")
        if isinstance(one, float) and not math.isfinite(one):
            problems.append(f"{place}: holds a number without an end")
        if isinstance(one, dict):
            problems += [f"{name[:LONGEST_VALUE]}: is no name" for name in one if escaped(name) != name]
            waiting += [(name[:LONGEST_VALUE], part) for name, part in one.items()]
        elif isinstance(one, list):
            waiting += [(place, part) for part in one[: _MOST_VALUES + 1]]
    if problems:
        raise Refusal(400, list(dict.fromkeys(problems)))


# --- the test download -----------------------------------------------------------------------------------------------

_DOWNLOAD = ("sites", "destinations", "data", "start", "duration", "lsid", "dry_run", "force", "wait")


@dataclass(frozen=True, slots=True)
class Asked:
    """A download as it was asked for, how long the caller waits (seconds), and what is wrong with it."""

    download: Download
    wait: int
    problems: list[str] = field(default_factory=list)


def asked_download(request: Request) -> Asked:
    """The JSON body of `POST /api/download`. Raises Refusal when it is no JSON object."""
    given = fields(request, _DOWNLOAD)
    download = Download(
        sites=given.texts("sites"),
        destinations=given.texts("destinations"),
        data=_data_types(given),
        began=_began(given),
        lsids=given.texts("lsid"),
        force=given.flag("force"),
        dry_run=given.flag("dry_run"),
    )
    return Asked(download, given.whole("wait", LONGEST_WAIT), given.problems)


def _data_types(given: Fields) -> tuple[DataType, ...]:
    found = given.texts("data")
    known = set(DataType)
    given.problems += [
        f"data: there is no data type {name}; there are: {', '.join(DataType)}" for name in found if name not in known
    ]
    # One of them stands for those that are not there, lest it be said that none was named.
    return tuple(DataType(name) if name in known else DataType.SESSIONS for name in found)


def _began(given: Fields) -> Window | None:
    start, duration = given.text("start", moment, 0), given.text("duration", length, 1)
    if (start is None) != (duration is None):
        given.problems.append("start and duration go together")
    return None if start is None or duration is None else Window(start, start + duration)


# --- trying again ----------------------------------------------------------------------------------------------------


def asked_again(request: Request, app: App) -> Again:
    """The JSON body of `POST /api/retry`. Raises Refusal when it is no JSON object or something in it is wrong."""
    given = fields(request, ("ids", "all", "site", "destination"))
    site, destination = (given.text(name, _as_it_is, "") or "" for name in ("site", "destination"))
    again = Again(given.texts("ids"), given.flag("all"), site, destination)
    if problems := given.problems or again.problems(app):
        raise Refusal(400, problems)
    return again


# --- acknowledging ---------------------------------------------------------------------------------------------------


def asked_choice(request: Request) -> Choice:
    """The JSON body of `POST /api/acknowledge`. Raises Refusal when it is no JSON object or something in it is wrong."""
    given = fields(request, ("ids", "site", "destination", "data", "before"))
    ids, before = given.texts("ids"), given.text("before", moment, 0)
    site, destination, data = (given.text(name, _as_it_is, "") or "" for name in ("site", "destination", "data"))
    if data and data not in set(DataType):
        given.problems.append(f"data: there is no data type {data}; there are: {', '.join(DataType)}")
    if given.problems:
        raise Refusal(400, given.problems)
    return Choice(ids, site, destination, data, before)


def _as_it_is(text: str, _name: str) -> str:
    return text
