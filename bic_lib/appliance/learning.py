"""Whether a text that nobody knows means "nothing found": what the site says elsewhere tells (docs/design.md 10).

Nothing found is what is said where nothing can be: of a day long before there were appliances, and of minutes of the last day in
which no session ended. What the site says to a question that it must refuse is a refusal, in its language. And a site that shows
no session at all may refuse everything in the same words: it has to show that it answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from bic_lib.appliance.answers import TEXT_LIMIT, own_text
from bic_lib.appliance.reports import REPORTS, listing_parameters, report_parameters
from bic_lib.appliance.texts import same
from bic_lib.core.errors import BicError, Refused, UnknownText
from bic_lib.core.model import DAY, ReportKind, Selection, Window
from bic_lib.core.ports.appliance import Lessons

LONG_AGO = Window(946_684_800, 946_684_800 + DAY)
"""The first day of the year 2000: there were no appliances."""
LATELY = ((21_600, 900), (43_200, 900), (64_800, 900), (32_400, 300), (54_000, 300), (28_800, 60), (50_400, 60))
"""Seconds before now, and how long: as short as our own windows are and shorter, until one is found in which no session ended.

So a refusal of old times is not taken for an empty window, nor one of short times where longer ones are answered."""
_WEEK = 7 * DAY
"""A site that shows a session of so many days answers (docs/design.md 10)."""
_STANDS = 600.0
"""Seconds for which it is believed what a site has shown: a walk over months asks no more of it than one over a day."""

Parameters = Mapping[str, str]


class Said(NamedTuple):
    """An answer to a report's parameters: the site's own text ("": a refusal without one, None: neither), or a session."""

    text: str | None = None
    holds: bool = False


Ask = Callable[[Parameters], Said]


class Site(Protocol):
    """What is asked here of a site's client; nothing is understood by what was learned."""

    @property
    def account(self) -> str: ...

    def now(self) -> tuple[float, bool]: ...

    def said(self, parameters: Parameters) -> Said: ...

    def granted(self, kind: ReportKind) -> bool | None: ...


class OwnLessons:
    """Lessons that end with this process: for a client without a ledger."""

    def __init__(self) -> None:
        self._learned: dict[tuple[ReportKind, str], str] = {}

    def learned(self, kind: ReportKind, account: str) -> str:
        return self._learned.get((kind, account), "")

    def learn(self, kind: ReportKind, account: str, text: str) -> None:
        self._learned[kind, account] = text


class Learner:
    """Tells of one site whether a text means that nothing was found. Methods may raise LedgerError."""

    def __init__(self, site: Site, lessons: Lessons, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._site = site
        self._lessons = lessons
        self._monotonic = monotonic
        self._found: dict[tuple[ReportKind, str], tuple[bool, float]] = {}

    def is_nothing_found(self, kind: ReportKind, text: str) -> bool:
        """Whether it does, and the site shows that it answers; what was found out holds for ten minutes."""
        now = self._monotonic()
        found, until = self._found.get((kind, text), (False, 0.0))
        if now >= until:
            found = self._find_out(kind, text)
            self._found[kind, text] = found, now + _STANDS
        return found

    def lacks(self, kind: ReportKind) -> str:
        """The right to such reports, where the site shows that the account does not have it."""
        return REPORTS[kind].right if self._site.granted(kind) is False else ""

    def _find_out(self, kind: ReportKind, text: str) -> bool:
        account, now = self._site.account, int(self._site.now()[0])
        known = same(self._lessons.learned(kind, account), text)
        if not known and (len(text) >= TEXT_LIMIT or not means_nothing_found(self._site.said, kind, text, now)):
            return False
        if not self._answers(kind, text, now):
            return False
        if not known:
            self._lessons.learn(kind, account, text)
        return True

    def _answers(self, kind: ReportKind, text: str, now: int) -> bool:
        """It shows a session of the last week; or says of all the week that there is none, and grants the right."""
        week = Window(now - _WEEK, now)
        if self._site.said(listing_parameters(kind, week)).holds:
            return True
        said = self._site.said(report_parameters(kind, Selection(ended=week)))
        return said.holds or (_is(said, text) and self._site.granted(kind) is True)


def means_nothing_found(ask: Ask, kind: ReportKind, text: str, now: int) -> bool:
    """Whether the site says just this where nothing can be found, and something else where it must refuse."""
    if not (_is(ask(report_parameters(kind, Selection(ended=LONG_AGO))), text) and _is(_said_lately(ask, kind, now), text)):
        return False
    refusals = [said for said in map(ask, _refused(kind)) if said.text is not None]
    return bool(refusals) and not any(_is(said, text) for said in refusals)


def _is(said: Said, text: str) -> bool:
    return said.text is not None and same(said.text, text)


def _said_lately(ask: Ask, kind: ReportKind, now: int) -> Said:
    """What is said of the first minutes of the last day in which no session ended."""
    for before, seconds in LATELY:
        said = ask(report_parameters(kind, Selection(ended=Window(now - before, now - before + seconds))))
        if not said.holds:
            return said
    return Said()


def _refused(kind: ReportKind) -> Iterator[Parameters]:
    """Questions that must be refused: a report that does not exist, and two starting points at once."""
    yield {"generate_report": "NoSuchReport"}
    begin = str(LONG_AGO.begin)
    yield {"generate_report": REPORTS[kind].full, "start_time": begin, "end_time": begin, "duration": str(DAY)}


def said_by(error: BicError) -> Said:
    """What a question's failure says."""
    if isinstance(error, UnknownText):
        return Said(error.text)
    return Said("" if isinstance(error, Refused) and error.what == "right" else None)


def says_only(subject: str, text: str, lacks: str, *, by_id: bool = False) -> UnknownText:
    """The error while nobody knows what the site means; with what settles it, if it is that nothing was found.

    `lacks`: the right that the account does not have, as the site shows; it is the likelier reason. `by_id`: sessions were asked
    for by their ids, and what is said of an id says nothing of a time in which nothing happened.
    """
    hint = f"If that is how it says that nothing was found, write into the site's settings: {own_text('nothing_found', text)}"
    if by_id:
        hint = "It was asked for by id: is it a session's of this site, and one that the appliance still keeps?"
    if lacks:
        hint = f"The account lacks the right “{lacks}”: give it to the account."
    return UnknownText(f"{subject}: the site says only: “{text}”", text=text, hint=hint)
