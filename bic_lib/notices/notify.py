"""Telling people: what is worth a notice, and when a notice is worth a mail (docs/design.md 10).

A cause is mailed once, again each day while it lasts, and once more when it is over. :func:`notify` follows every tick; nothing
else sends mails. A mail holds names from the settings, counts, times and error texts of sites and destinations; nothing of any
session.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Protocol

from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import BicError, SettingsError
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY, ReportKind, Site, State
from bic_lib.core.plan import HOUR
from bic_lib.engine.app import App
from bic_lib.ledger import Ledger
from bic_lib.ledger.notices import Cause, Lasts, Notice, Notices
from bic_lib.ledger.streams import Rest, SiteState
from bic_lib.ledger.troubles import Trouble
from bic_lib.logs import masked

log = logging.getLogger("bic.scheduler")

LOOK_SECONDS = 600.0
"""How often the whole ledger is looked through for causes."""
FORGOTTEN_SOON = 14 * DAY
"""Time enough to find somebody who can help, and near enough to be news."""
_REST_TOLERATED = HOUR
_LEAST_WAIT = HOUR
"""What waits is told when it still waits after this: the first pull of a new stream takes a while, and is no trouble."""


class Notifier(Protocol):
    """A way by which notices leave."""

    def send(self, subject: str, text: str) -> Sequence[str]:
        """Tell everybody who is configured; returns the addresses that were refused. Raises Unsent when nobody was told."""
        ...


class Unsent(BicError):
    """A notice could not be sent; it stays in the ledger and is sent later."""


def notify(app: App, notifier: Notifier | None, now: float | None = None) -> None:
    """To be called after each tick: note what is worth a notice, send what is due. Raises LedgerError.

    `now` is on the ledger's clock. Without a notifier notices are kept, for the dashboard.
    """
    moment = app.ledger.now() if now is None else now
    notices = Notices(app.ledger.store)
    known = notices.read()
    if notices.may_look(known.look, moment, LOOK_SECONDS):
        _look(app, notices, moment)
        known = notices.read()
    for notice in known.notices:
        mail = due_mail(notice, moment)
        if mail is Mail.NONE:
            continue
        if mail is Mail.FORGET:
            notices.forget(notice)
        elif notifier and not _send(notices, notifier, notice, mail, moment):
            return


def send_test(notifier: Notifier) -> Sequence[str]:
    """Send a mail that says that mails arrive; returns the refused addresses. Raises Unsent."""
    return notifier.send("bic: test", "This is the test that was asked for: notices of bic reach you.\n")


# --- causes that others see ------------------------------------------------------------------------------------------


def settings_broken(ledger: Ledger, error: SettingsError) -> None:
    """The settings can't be used; the last good ones stay. Clear it by :func:`settings_mended`. Raises LedgerError."""
    problems = "\n".join(f"  {problem}" for problem in error.problems)
    text = f"{error.message}\n{problems}\n\nThe last good settings stay in use until the file is mended."
    all_clear = "The settings can be used again, and are in use."
    subject = "the settings can't be used"
    Notices(ledger.store).tell(Cause("settings", subject, masked(text), ledger.now(), Lasts.RAISED, all_clear=all_clear))


def settings_mended(ledger: Ledger) -> None:
    """The settings can be used (again). Raises LedgerError."""
    Notices(ledger.store).clear("settings")


def poisoned(ledger: Ledger, site: str) -> None:
    """A visit failed so often that its message was put aside. Nothing is lost: the work is in the ledger. Raises LedgerError."""
    text = (
        "A visit to the site failed again and again. Its work is still in the ledger, and the next visit does it; see the logs."
    )
    subject = f"visits to site {site} break down"
    Notices(ledger.store).tell(Cause(f"poison|{site}", subject, text, ledger.now(), Lasts.EVENT))


# --- causes that a look finds ----------------------------------------------------------------------------------------


def _look(app: App, notices: Notices, now: float) -> None:
    found = {cause.key: cause for cause in causes(app, now)}
    for cause in found.values():
        notices.tell(cause)
    for notice in notices.read().notices:
        if notice.cause.lasts is Lasts.SEEN and notice.cause.key not in found:
            notices.clear(notice.cause.key)


def causes(app: App, now: float) -> Iterator[Cause]:
    """What is worth a notice as the ledger stands. Raises LedgerError."""
    transfers = [transfer for schedule in app.schedules if schedule.enabled for transfer in schedule.transfers]
    rests = app.ledger.streams.rests()
    for name in sorted({transfer.destination for transfer in transfers}):
        rest = rests.get(name, Rest())
        if _rests_long(rest, now):
            what = "no recording or backup" if rest.files_only else "nothing"
            yield _resting(f"destination|{name}", f"{what} can be delivered to {name}", rest)
    served = {transfer.site for transfer in transfers}
    for site in app.sites.values():
        if site.enabled and site.name in served:
            state = app.ledger.streams.read(site.name)
            yield from _site_rests(site, state, now)
            yield from _items(app, site, state, now)


def _site_rests(site: Site, state: SiteState, now: float) -> Iterator[Cause]:
    if _rests_long(state.rest, now):
        yield _resting(f"site|{site.name}", f"nothing can be fetched from {site.name}", state.rest)
    for kind in ReportKind:
        rest = state.report_rest(kind)
        if _rests_long(rest, now):
            yield _resting(f"report|{site.name}|{kind}", f"the {kind} report of {site.name} fails", rest)


def _rests_long(rest: Rest, now: float) -> bool:
    return rest.failures > 0 and now - rest.since >= _REST_TOLERATED


def _resting(key: str, subject: str, rest: Rest) -> Cause:
    text = f"It has failed since {iso(rest.since)}, {rest.failures} times in a row. Nothing is given up: it is tried again.\n\n"
    return Cause(key, subject, text + masked(rest.reason), rest.since, Lasts.SEEN, all_clear="It works again.")


def _items(app: App, site: Site, state: SiteState, now: float) -> Iterator[Cause]:
    """What can be retried by hand, what is lost, what is doubtful, and what waits though it is forgotten soon."""
    given_up, lost, doubtful, waiting = Group(), Group(), Group(), Group()
    for trouble in app.ledger.troubles.open(site.name):
        forgotten = trouble.forgotten_at or 0.0
        if trouble.severity is Severity.LOST and (trouble.state != State.GIVEN_UP or forgotten <= now):
            lost.add(trouble, trouble.last_failed or now)
        elif trouble.severity is Severity.LOST:
            given_up.add(trouble, forgotten)
        elif trouble.severity is Severity.DOUBTFUL:
            doubtful.add(trouble, trouble.first_failed or now)
        elif trouble.next_try is not None and trouble.state == State.FAILED and forgotten - now < FORGOTTEN_SOON:
            waiting.add(trouble, forgotten)
    _add_waiting(app, site, state, now, waiting)
    if given_up.count:
        yield _given_up(site.name, given_up, now)
    if lost.count:
        yield _lost(site.name, lost, now)
    if doubtful.count:
        yield _doubtful(site.name, doubtful, now)
    if waiting.count:
        yield _waiting(site.name, waiting, now)


def _add_waiting(app: App, site: Site, state: SiteState, now: float, waiting: Group) -> None:
    for index in app.ledger.work.waiting(site.name):
        forgotten = index.body["forget"]
        if forgotten and forgotten - now < FORGOTTEN_SOON:
            for served in index.body["for"]:
                data, _, destination = served.partition(">")
                waiting.count_in(f"{data} to {destination}", forgotten)
    theirs = now + (state.skew or 0)
    for stream in app.streams(site.name):
        known = state.streams.get(stream)
        if known and known.mark is not None and known.mark + site.keeps - theirs < FORGOTTEN_SOON:
            waiting.count_in(f"{stream.data}, not even listed yet, to {stream.destination}", known.mark + site.keeps)


class Group:
    """Items of one cause: how many of each kind, and the first and last of their times."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.times: list[float] = []

    def add(self, trouble: Trouble, at: float) -> None:
        what = f"{trouble.data} to {trouble.destination}"
        if trouble.kind == "stream":
            what = f"all {what} that ended from {iso(trouble.start)} to {iso(trouble.end)}"
        self.count_in(what, at)

    def count_in(self, kind: str, at: float) -> None:
        self.kinds[kind] += 1
        self.times = [min([*self.times, at]), max([*self.times, at])]

    @property
    def count(self) -> int:
        return self.kinds.total()

    def lines(self) -> str:
        return "\n".join(f"  {count:,} × {kind}" for kind, count in sorted(self.kinds.items()))


def _day(moment: float) -> str:
    return (iso(moment) or "")[:10]


def _given_up(site: str, group: Group, now: float) -> Cause:
    text = (
        f"Given up, but still with the appliance:\n{group.lines()}\n\n`bic failures` names them with the reasons, "
        f"`bic retry` tries them again. The appliance forgets the first of them on {_day(group.times[0])}."
    )
    all_clear = "None is left that could be tried again: all were delivered, or another mail says what was lost."
    return Cause(f"given up|{site}", f"transfers from {site} were given up", text, now, Lasts.SEEN, all_clear=all_clear)


def _lost(site: str, group: Group, now: float) -> Cause:
    text = (
        f"The appliance has forgotten them, and they were not delivered:\n{group.lines()}\n\n"
        "`bic failures` names them; `bic acknowledge` tells that somebody has seen it."
    )
    all_clear = "None is left that was neither brought over nor acknowledged."
    return Cause(f"lost|{site}", f"items of {site} are lost", text, now, Lasts.SEEN, all_clear=all_clear)


def _doubtful(site: str, group: Group, now: float) -> Cause:
    text = (
        f"What came may not be what was asked for; it was stored as it is:\n{group.lines()}\n\n"
        "`bic failures` names them; `bic acknowledge` tells that somebody has looked, and holds for later ones of the same kind."
    )
    all_clear = "None is left that nobody has acknowledged."
    return Cause(f"doubtful|{site}", f"items of {site} are doubtful", text, now, Lasts.SEEN, all_clear=all_clear)


def _waiting(site: str, group: Group, now: float) -> Cause:
    text = (
        f"They still wait, and the appliance forgets the first of them on {_day(group.times[0])}:\n{group.lines()}\n\n"
        "`bic status` shows how far each stream is, `bic check` what may be in the way."
    )
    subject = f"items of {site} wait and will be forgotten soon"
    return Cause(f"waiting|{site}", subject, text, now, Lasts.SEEN, _LEAST_WAIT, "Nothing waits any more that is forgotten soon.")


# --- mails -----------------------------------------------------------------------------------------------------------


class Mail(StrEnum):
    """What a notice is worth at a moment; FORGET: it just goes."""

    NONE = ""
    FIRST = "bic: "
    REMINDER = "bic, reminder: "
    ALL_CLEAR = "bic, over: "
    FORGET = "forget"


def due_mail(notice: Notice, now: float) -> Mail:
    """Which mail a notice is worth now: one when its cause shows, one a day while it lasts, one when it is over."""
    if notice.over is not None:
        return Mail.FORGET if notice.sent is None else Mail.ALL_CLEAR
    if notice.cause.lasts is Lasts.EVENT and now - notice.last >= DAY:
        return Mail.FORGET
    if notice.sent is None:
        return Mail.FIRST if now - notice.first >= notice.cause.patience else Mail.NONE
    news = notice.cause.lasts is not Lasts.EVENT or notice.last > notice.sent
    return Mail.REMINDER if news and not 0 <= now - notice.sent < DAY else Mail.NONE


def _send(notices: Notices, notifier: Notifier, notice: Notice, mail: Mail, now: float) -> bool:
    """Send one mail, noted first so that nobody else sends it too; False when nothing can be sent at present."""
    marked = notices.mark_sent(notice, now)
    if marked is None:
        return True
    try:
        refused = notifier.send(f"{mail}{notice.cause.subject}", _text(notice, mail))
    except Unsent as error:
        log.warning("a notice waits: %s", error)
        notices.mark_sent(marked, notice.sent)
        return False
    if refused:
        log.warning("the mail server refused to send a notice to %s", ", ".join(refused))
    if mail is Mail.ALL_CLEAR:
        notices.forget(marked)
    return True


def _text(notice: Notice, mail: Mail) -> str:
    if mail is Mail.ALL_CLEAR:
        return f"{notice.cause.all_clear}\n\nFirst noticed {iso(notice.first)}, over {iso(notice.over)}.\n"
    often = f", {notice.count} times" if notice.cause.lasts is Lasts.EVENT and notice.count > 1 else ""
    return f"{notice.cause.text}\n\nFirst noticed {iso(notice.first)}{often}. While it lasts, a reminder follows each day.\n"
