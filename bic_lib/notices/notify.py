"""Telling people: what is worth a notice, and when a notice is worth a mail (docs/design.md 13).

A cause is told once, again each day while it lasts, and once more when it is over, by each way that the settings name. A way
that fails is tried again at the next tick by itself; the others are not told twice. :func:`notify` follows every tick; nothing
else sends. A message holds names from the settings, counts, times and error texts of sites and destinations; nothing of any
session.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from bic_lib.actions.formatting import sentence
from bic_lib.actions.health import forgetting
from bic_lib.actions.timestamps import iso, utc
from bic_lib.core.errors import BicError
from bic_lib.core.health import Health, Severity, Trouble
from bic_lib.core.model import DAY, Visit
from bic_lib.core.plan import HOUR
from bic_lib.engine import health
from bic_lib.engine.app import App
from bic_lib.ledger import Ledger, breakdowns
from bic_lib.ledger.notices import Cause, Lasts, Notice, Notices
from bic_lib.masking import masked

log = logging.getLogger("bic.scheduler")

LOOK_SECONDS = 600.0
"""How often the whole ledger is looked through for causes."""


class Notifier(Protocol):
    """A way by which notices leave."""

    @property
    def name(self) -> str:
        """It among the others, as people and the ledger know it: `mail`, `channel env:NAME`."""
        ...

    def send(self, subject: str, text: str) -> Sequence[str]:
        """Tell everybody who is configured; returns the addresses that were refused. Raises Unsent when nobody was told."""
        ...


class Unsent(BicError):
    """A notice could not be sent; it stays in the ledger and is sent later."""


def notify(app: App, ways: Sequence[Notifier], now: float | None = None) -> None:
    """To be called after each tick: note what is worth a notice, send what is due. Raises LedgerError.

    `now` is on the ledger's clock. Without ways notices are kept, for the dashboard. A way that failed is left alone till the
    next tick.
    """
    moment = app.ledger.now() if now is None else now
    notices = Notices(app.ledger.store)
    known = notices.read()
    if notices.may_look(known.look, moment, LOOK_SECONDS):
        _look(app, notices, moment)
        known = notices.read()
    silent: set[str] = set()
    for notice in known.notices:
        mail = due_mail(notice, moment)
        if mail is Mail.FORGET:
            notices.forget(notice)
        elif mail is not Mail.NONE:
            silent |= _send(notices, ways, silent, notice, mail, moment)


# --- causes ----------------------------------------------------------------------------------------------------------


LIVES = 20
"""How often the platform tries a message before it puts it aside: `maxDequeueCount` of host.json."""


def poisoned(ledger: Ledger, visit: Visit) -> None:
    """A visit failed so often that its message was put aside. Nothing is lost: the work is in the ledger. Raises LedgerError."""
    broken = breakdowns.of_a_day(ledger.store, visit)
    why = "failed" if broken >= LIVES else "was aborted by the platform, by a kill, a time limit or a lack of memory,"
    text = (
        f"A visit {why} again and again ({broken} of its {LIVES} tries ended by an error of bic)."
        " Its work is still in the ledger, and the next visit does it; see the logs."
    )
    about = f"|{visit.work}" if visit.work else visit.site
    Notices(ledger.store).tell(Cause(f"poison|{about}", f"{visit} break down", text, ledger.now(), Lasts.EVENT))


def _look(app: App, notices: Notices, now: float) -> None:
    found: dict[str, Cause] = {}
    for cause in causes(health.look(app), now):
        found.setdefault(cause.key, cause)  # of one subject the worst
    for cause in found.values():
        notices.tell(cause)
    for notice in notices.read().notices:
        if notice.cause.lasts is Lasts.SEEN and notice.cause.key not in found:
            notices.clear(notice.cause.key)


def causes(found: Health, now: float) -> Iterator[Cause]:
    """What of the troubles is worth a notice: of a site or destination that fails, each; of its streams and items, one a word."""
    together: dict[tuple[Severity, str], list[Trouble]] = defaultdict(list)
    for trouble in found.troubles:
        if not trouble.severity.is_ill or (trouble.subject.kind == "bic" and (trouble.subject.site or trouble.subject.data)):
            continue  # a note; or visits that break down, which have a notice of their own since they happened
        subject = trouble.subject
        if trouble.severity is Severity.FAILING and subject.kind not in ("stream", "item"):
            yield _alone(trouble, now)
        else:  # their texts may name sessions: only counts go into a mail
            together[trouble.severity, subject.site or subject.destination or "the ledger"].append(trouble)
    for (severity, site), troubles in together.items():
        yield _of_site(severity, site, troubles, now)


def _alone(trouble: Trouble, now: float) -> Cause:
    since = now if trouble.since is None else trouble.since
    often = f", {trouble.times:,} times" if trouble.times > 1 else ""
    loses_from = iso(trouble.loses_from)
    forgotten = f" {sentence(forgetting(loses_from, now=now))}" if loses_from else ""
    text = f"It has failed since {utc(iso(since))}{often}. Nothing is given up: it is tried again.{forgotten}\n\n"
    reason = " ".join(part for part in (trouble.text, trouble.hint) if part)
    subject = _SUBJECTS.get(trouble.subject.kind, "{} fails").format(trouble.subject)
    key = f"{trouble.severity}|{trouble.subject}"
    return Cause(key, subject, text + masked(reason), since, Lasts.SEEN, _TOLERATED, "It works again.")


_SUBJECTS = {"settings": "the settings can't be used", "bic": "the timer stands still"}
_TOLERATED = HOUR
"""What fails may mend itself within this; all else is told at once (docs/design.md 13)."""


def _of_site(severity: Severity, site: str, troubles: Sequence[Trouble], now: float) -> Cause:
    """One mail however many they are. It names data types, destinations, counts and days; nothing of any session."""
    told = _TOLD[severity]
    counted: Counter[str] = Counter()
    for trouble in troubles:
        to = f" to {trouble.subject.destination}" if trouble.subject.destination else ""
        what = trouble.text if trouble.subject.kind == "stream" else ""
        counted[(trouble.subject.data or trouble.subject.kind) + to + (f": {what}" if what else "")] += trouble.times
    lines = "\n".join(f"  {count:,} × {what}" if count > 1 else f"  {what}" for what, count in sorted(counted.items()))
    first = iso(min((trouble.loses_from for trouble in troubles if trouble.loses_from is not None), default=None))
    forgotten = f"\n\n{sentence(forgetting(first, now=now))}" if first else ""
    since = min((trouble.since for trouble in troubles if trouble.since is not None), default=now)
    patience = _TOLERATED if severity is Severity.FAILING else 0.0
    text = f"{told.what}:\n{lines}{forgotten}\n\n{told.hint}"
    return Cause(f"{severity}|{site}", told.subject.format(site), text, since, Lasts.SEEN, patience, told.over)


class _Words(NamedTuple):
    """How one severity of streams and items is told: the subject, the beginning of the text, what to do, the all-clear."""

    subject: str
    what: str
    hint: str
    over: str


_NAMES = "`bic failures` names them with the reasons"
_TOLD = {
    Severity.LOST: _Words(
        "items of {} are lost",
        "They were not delivered, and the appliance has forgotten them or they were given up",
        f"{_NAMES}; `bic retry` tries again what is still there, `bic acknowledge` tells that somebody has seen it.",
        "None is left that was neither delivered nor acknowledged.",
    ),
    Severity.LOSING: _Words(
        "items of {} wait and will be forgotten soon",
        "They still wait",
        "`bic status` shows how far each stream is, `bic check` what may be in the way.",
        "Nothing waits any more that is forgotten soon.",
    ),
    Severity.FAILING: _Words(
        "items of {} fail", "They failed, and are tried again", f"{_NAMES}.", "None is left that failed last."
    ),
    Severity.LAGGING: _Words(
        "streams of {} lag", "They are behind", "`bic check` tells what may be in the way.", "None lags any more."
    ),
    Severity.DOUBTFUL: _Words(
        "items of {} are doubtful",
        "What came may not be what was asked for; it was stored as it is",
        f"{_NAMES}; `bic acknowledge` tells that somebody has looked, and holds for later ones of the same kind.",
        "None is left that nobody has acknowledged.",
    ),
    Severity.UNPROVEN: _Words(
        "what is stored of {} is not proven",
        "What is stored is not what the ledger says",
        f"{_NAMES}; `bic verify` looks again.",
        "A later look found nothing wrong, or somebody acknowledged it.",
    ),
}


# --- messages --------------------------------------------------------------------------------------------------------


class Mail(StrEnum):
    """What a notice is worth at a moment; FORGET: it just goes."""

    NONE = ""
    FIRST = "bic: "
    REMINDER = "bic, reminder: "
    ALL_CLEAR = "bic, over: "
    FORGET = "forget"


def due_mail(notice: Notice, now: float) -> Mail:
    """Which message a notice is worth now: one when its cause shows, one a day while it lasts, one when it is over.

    What some ways did not take they get when they work again; of what is over they are told for a day.
    """
    if notice.over is not None:
        given_up = notice.left and now - notice.over >= DAY
        return Mail.FORGET if notice.sent is None or given_up else Mail.ALL_CLEAR
    if notice.cause.lasts is Lasts.EVENT and now - notice.last >= DAY:
        return Mail.FORGET
    if notice.sent is None:
        return Mail.FIRST if now - notice.first >= notice.cause.patience else Mail.NONE
    news = notice.cause.lasts is not Lasts.EVENT or notice.last > notice.sent
    if news and not 0 <= now - notice.sent < DAY:
        return Mail.REMINDER
    return Mail.FIRST if notice.left else Mail.NONE


def _is_left_over(notice: Notice, mail: Mail) -> bool:
    """This message was sent already, and some ways did not take it."""
    ended = notice.over is not None and notice.sent is not None and notice.sent >= notice.over
    return bool(notice.left) and (mail is Mail.FIRST or ended)


def _send(notices: Notices, ways: Sequence[Notifier], silent: set[str], notice: Notice, mail: Mail, now: float) -> set[str]:
    """Send one message by each way that is due, noted first so that nobody else sends it too; returns the ways that failed."""
    left_over = _is_left_over(notice, mail)
    due = [way for way in ways if way.name in notice.left] if left_over else ways
    trying = [way for way in due if way.name not in silent]
    sent = notice.sent if left_over else max(now, notice.over or now)
    marked = notices.mark_sent(notice, sent) if trying else None
    if marked is None:
        return set()
    failed = {way.name for way in trying if not _told(way, notice, mail)}
    left = tuple(way.name for way in due if way.name in failed | silent)
    if len(failed) == len(trying):
        notices.mark_sent(marked, notice.sent, notice.left)
    elif left:
        notices.mark_sent(marked, sent, left)
    elif mail is Mail.ALL_CLEAR:
        notices.forget(marked)
    return failed


def _told(way: Notifier, notice: Notice, mail: Mail) -> bool:
    try:
        refused = way.send(f"{mail}{notice.cause.subject}", _text(notice, mail))
    except Unsent as error:
        log.warning("a notice waits: %s", error)
        return False
    if refused:
        log.warning("the mail server refused to send a notice to %s", ", ".join(refused))
    return True


def _text(notice: Notice, mail: Mail) -> str:
    if mail is Mail.ALL_CLEAR:
        return f"{notice.cause.all_clear}\n\nFirst noticed {utc(iso(notice.first))}, over {utc(iso(notice.over))}.\n"
    often = f", {notice.count} times" if notice.cause.lasts is Lasts.EVENT and notice.count > 1 else ""
    return f"{notice.cause.text}\n\nFirst noticed {utc(iso(notice.first))}{often}. While it lasts, a reminder follows each day.\n"
