"""Sealing: each finished day's lists and statement, published once, signed, and noted as the head of the chain.

What is about to be published stands in the ledger first. So a seal that was killed is taken up again: what lies there with the
digests of the intent is ours, and only that is ever signed. Somebody else's bytes under a name of ours are left as they are, and
named; the seal takes the next stem.
"""

from __future__ import annotations

import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta

from bic_lib.core.errors import BicError, DestinationError, UsageError
from bic_lib.core.model import DAY
from bic_lib.evidence import completeness, making, standing, taking_up
from bic_lib.evidence.called import Called
from bic_lib.evidence.drafts import Drafts, drafts
from bic_lib.evidence.folder import Folder, trouble
from bic_lib.evidence.keys import Signer
from bic_lib.evidence.making import Seal
from bic_lib.evidence.names import Stem
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.stamping import stamp
from bic_lib.evidence.standing import Standing
from bic_lib.evidence.statement import Head, Kind, head_of, read
from bic_lib.ledger import Ledger
from bic_lib.ledger.leases import Keeper, Lease
from bic_lib.ledger.notices import Cause, Lasts, Notices
from bic_lib.ledger.seals import Seals

log = logging.getLogger("bic.transfers")

_MOST_STEMS = 100
"""So many stems of one seal are tried: whoever takes them all wants to stop us, and is named."""


def last_finished(now: float) -> date:
    """The UTC day before that of `now` (Unix seconds)."""
    return datetime.fromtimestamp(now, UTC).date() - timedelta(days=1)


def begin(ledger: Ledger, setup: Setup) -> Head:
    """Statement 0: an inventory of all that is there. May be repeated until it stands. Raises UsageError, DestinationError."""
    with _held(ledger) as lease:
        if head_of(lease.body):
            raise UsageError("the days of this ledger are sealed already", hint="`bic seal head` tells how far.")
        if "ledger" not in lease.body:
            signer, fresh = setup.keys.first()
            told = {"key": signer.public.id, "fingerprint": signer.public.fingerprint, "kid": signer.private.kid}
            lease.body.update(ledger=secrets.token_hex(8), made=fresh, **told)
            lease.commit([])
        sealer, day = _Sealer(ledger, setup, lease), last_finished(ledger.now())
        head = sealer.taken_up(day) or sealer.seal(day)
        stamp(sealer.folder)
        return head


def seal(ledger: Ledger, setup: Setup, check: Callable[[], None] = lambda: None) -> Iterator[Head]:
    """Seal each finished day that is not, one after the other; the new heads. Raises UsageError, DestinationError, ClaimLost.

    `check` is called before each thing that is written; what it raises ends the call, and the next one goes on from there.
    """
    last = last_finished(ledger.now())
    with _held(ledger) as lease:
        if head_of(lease.body) is None:
            raise UsageError("nothing is sealed yet", hint="`bic seal init` begins.")
        sealer = _Sealer(ledger, setup, lease, check)
        _mark_clock(lease, last + timedelta(days=1))
        stamp(sealer.folder)
        while (head := head_of(lease.body)) and head.day < last:
            day = head.day + timedelta(days=1)
            head = sealer.taken_up(day) or sealer.seal(day)
            stamp(sealer.folder)
            yield head


def _mark_clock(lease: Lease, today: date) -> None:
    """The clock was ahead when the head was sealed: until it is there again, all is written into days before the head's."""
    head, since = head_of(lease.body), lease.body.get("since", "")
    if head and head.day >= today and not "" < since <= today.isoformat():
        lease.body["since"] = today.isoformat()
        lease.commit([])


def rotate(ledger: Ledger, setup: Setup, lost: str = "") -> str:
    """Go on with another key; its fingerprint. The next statement names it, the one after is the first of it, signed by both.

    `lost`: why the key can't sign any more; then the next statement begins a chain that names the last head. May be repeated
    until a statement has it. Raises UsageError, SettingsError.
    """
    with _held(ledger) as lease:
        body = lease.body
        if head_of(body) is None:
            raise UsageError("nothing is sealed yet", hint="`bic seal init` begins.")
        if lost:
            signer = setup.keys.another(body["key"])
            told = {"key": signer.public.id, "fingerprint": signer.public.fingerprint, "kid": signer.private.kid}
            body.update(told, lost=lost)
            for name in ("next", "previous_key", "previous_kid"):
                body.pop(name, None)
            ledger.troubles.note([trouble(ledger, setup, "lost_key", f"the key of the sealed days was lost: {lost}")])
        elif "next" not in body and "previous_key" not in body:
            signer = setup.keys.another(body["key"])
            body["next"] = {"key": signer.public.id, "fingerprint": signer.public.fingerprint, "kid": signer.private.kid}
        else:
            raise UsageError("a key is taking over already", hint="`bic seal now` goes on once a day has ended.")
        lease.commit([])
        return signer.public.fingerprint


SETTLED = 900
"""Seconds after midnight at which a day is sealed by itself: by then workers have written what they did before it."""


def due(last: float | None, now: float) -> float | None:
    """When a day became due to be sealed: once a day, at a quarter past midnight UTC (as :data:`bic_lib.engine.app.Due`)."""
    newest = (now - SETTLED) // DAY * DAY + SETTLED
    return newest if last is None or last < newest else None


@contextmanager
def _held(ledger: Ledger) -> Iterator[Lease]:
    """The chain in hand, renewed. Raises BicError while somebody else has it."""
    lease = Seals(ledger.store).lease(ledger.holder)
    if lease is None:
        raise BicError("another process seals just now", hint="Wait a minute, then look at `bic seal head`.")
    with Keeper().running() as keeper, keeper.held(lease):
        yield lease


class _Sealer:
    """The chain in hand."""

    def __init__(self, ledger: Ledger, setup: Setup, lease: Lease, check: Callable[[], None] = lambda: None) -> None:
        self.ledger = ledger
        self.setup = setup
        self.lease = lease
        self.folder = Folder(ledger, setup, lease, check)
        self.called = Called.of(lease.body, ledger.names)

    def seal(self, day: date) -> Head:
        """Publish the day's seal, and note it."""
        with drafts(self.setup.around.is_rows) as taken:
            if head_of(self.lease.body) is None:
                found = standing.inventory(self.ledger, taken.add)
            else:
                first = date.fromisoformat(self.lease.body.get("since", day.isoformat()))
                found = standing.since(self.ledger, day, self.lease.body.get("days", {}), taken.add, first)
            days = self._completeness(day, found)
            made = self._published(day, taken, found, days)
            Seals(self.ledger.store).note(taken.changes(), str(made.stem))
        for site, told in days.items():
            completeness.note(self.ledger, site, told)
        self.called.sites.seal(made.stem.number, made.sites)
        self.called.destinations.seal(made.stem.number, [place["name"] for place in self.setup.around.places])
        self._note_head(made, found.days)
        return made.head

    def _published(self, day: date, taken: Drafts, found: Standing, days: making.Days) -> Seal:
        for attempt in range(_MOST_STEMS):
            stem = self._stem(day, attempt)
            made = making.made(stem, self.lease.body, taken, found.passed_over, days, self.setup.around, self.called)
            if self.folder.publish(made, self._signer()):
                return made
        raise DestinationError(f"{_MOST_STEMS} names for the seal of {day} are taken by others: look at {self.folder.path}.")

    def taken_up(self, day: date) -> Head | None:
        """The day's seal where it lies there already: as the intent says, unsigned yet; or signed, and the ledger restored."""
        for attempt in range(_MOST_STEMS):
            stem = self._stem(day, attempt)
            content = self.folder.content(stem.statement)
            if content is None:
                return None
            ours = taking_up.is_ours(self.folder, content)
            if ours or taking_up.follows(self.folder, stem, content, self._signer()):
                return self._take_up(stem, content, ours=ours)
        return None

    def _take_up(self, stem: Stem, content: bytes, *, ours: bool) -> Head:
        made = taking_up.take_up(self.folder, stem, content, self._signer(), self.called, ours=ours)
        if not ours:
            restored = f"this ledger was restored: statement {stem.number} of {stem.day} is one of its own, and was taken over"
            log.warning("%s", restored)
            reason = f"{restored}; `bic verify` tells what of it is not known"
            self.ledger.troubles.note([trouble(self.ledger, self.setup, "sealed", reason, "restored")])
            more = read(content).more
            if "next_key" in more:
                self.lease.body["next"] = {"key": more["next_key"], "fingerprint": more["next_fingerprint"], "kid": ""}
        # What this ledger has in its journal of these days, it had when it sealed them; what it wrote since is of later ones.
        self._note_head(made, {} if ours else standing.as_they_are(self.ledger, stem.day))
        return made.head

    def _completeness(self, day: date, found: standing.Standing) -> making.Days:
        """What is said of each site; of what was there before sealing began nothing."""
        if head_of(self.lease.body) is None:
            return {}
        sites = self.setup.around.reports.items()
        touched = {site: [of_day for one, of_day in found.touched if one == site] for site, _ in sites}
        return {site: completeness.days(self.ledger, site, reports, day, touched[site]) for site, reports in sites}

    def _stem(self, day: date, attempt: int) -> Stem:
        before = head_of(self.lease.body)
        return Stem(before.number + 1 if before else 0, day, attempt)

    def _signer(self) -> Signer:
        return self.setup.keys.of(self.lease.body["key"], self.lease.body["kid"])

    def _note_head(self, made: Seal, days: Mapping[str, str]) -> None:
        """The statement is the head now; a key that it hands over to signs the next one."""
        body, head = self.lease.body, made.head
        body.update(head=head.told(), days=dict(days), at=self.ledger.now())
        body.update(self.called.kept())
        for name in ("intent", "lost", "previous_key", "previous_kid", "since"):
            body.pop(name, None)
        if (taking_over := body.pop("next", None)) is not None:
            body["rotations"] = [*body.get("rotations", ()), str(made.stem)]
            body.update(previous_key=body["key"], previous_kid=body["kid"], key=taking_over["key"], kid=taking_over["kid"])
        if self.setup.time_stamp:
            body["unstamped"] = {**body.get("unstamped", {}), str(made.stem): self.ledger.now()}
        Notices(self.ledger.store).tell(_message(made, self.ledger.now()))
        self.lease.commit([])
        log.info("sealed %s: statement %d, SHA-256 %s", head.day, head.number, head.sha256)


def _message(made: Seal, now: float) -> Cause:
    """What people are told of a statement, once: the copy of the head that lies elsewhere."""
    head, counted = made.head, Counter[str]()
    for one in read(made.statement).files:
        counted[str(one.kind)] += one.lines
    lines = ", ".join(f"{counted[kind]:,} {words}" for kind, words in _COUNTED.items() if counted[kind]) or "nothing new"
    keep = "Keep this message: it shows later that nothing was cut off."
    text = f"Statement {head.number} of {head.day}: {lines}.\nSHA-256 {head.sha256}\n\n{keep}"
    return Cause(f"sealed|{head.number}", f"{head.day} is sealed", text, now, Lasts.EVENT)


_COUNTED = {Kind.LIST: "files", Kind.ROWS: "sessions as rows", Kind.GONE: "gone"}
