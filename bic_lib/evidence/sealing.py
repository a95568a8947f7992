"""Sealing: each finished day's lists and statement, published once, signed, and noted as the head of the chain.

What is about to be published stands in the ledger first. So a seal that was killed is taken up again: what lies there with the
digests of the intent is ours, and only that is ever signed. Somebody else's bytes under a name of ours are left as they are, and
named; the seal takes the next stem.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from bic_lib.core.errors import BicError, DestinationError, Unexpected, UsageError
from bic_lib.core.health import Severity
from bic_lib.core.model import DAY
from bic_lib.core.ports.files import FileStore
from bic_lib.evidence import completeness, lists, making, names, standing, time_stamps
from bic_lib.evidence.keys import Keys, Signer
from bic_lib.evidence.making import Seal, Surroundings
from bic_lib.evidence.names import Stem
from bic_lib.evidence.statement import Head, Kind, Listed, Statement, digest, read
from bic_lib.evidence.time_stamps import Stamper
from bic_lib.ledger import Ledger
from bic_lib.ledger.leases import Keeper, Lease
from bic_lib.ledger.notices import Cause, Lasts, Notices
from bic_lib.ledger.seals import Seals, Spot
from bic_lib.ledger.troubles import Trouble

log = logging.getLogger("bic.transfers")

_WANTED = 14 * DAY
"""Seconds for which a missing time stamp is asked for again: an authority may be down for a week."""
_MOST_STEMS = 100
"""So many stems of one seal are tried: whoever takes them all wants to stop us, and is named."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What seals are made with: the `store` that holds them, the keys, and what statements say beside their lists."""

    store: Callable[[], FileStore]
    keys: Keys
    around: Surroundings
    time_stamp: Stamper | None = None


def last_finished(now: float) -> date:
    """The UTC day before that of `now` (Unix seconds)."""
    return datetime.fromtimestamp(now, UTC).date() - timedelta(days=1)


def head_of(chain: Mapping[str, Any]) -> Head | None:
    """The head as the ledger noted it last."""
    told = chain.get("head")
    return Head(told["number"], date.fromisoformat(told["day"]), told["sha256"]) if told else None


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
        head = sealer.taken_up(day) or sealer.seal(day, standing.Standing(list(standing.inventory(ledger))))
        sealer.stamp()
        return head


def seal(ledger: Ledger, setup: Setup, check: Callable[[], None] = lambda: None) -> Iterator[Head]:
    """Seal each finished day that is not, one after the other; the new heads. Raises UsageError, DestinationError, ClaimLost.

    `check` is called before each thing that is written; what it raises ends the call, and the next one goes on from there.
    """
    last = last_finished(ledger.now())
    with _held(ledger) as lease:
        sealer = _Sealer(ledger, setup, lease, check)
        if head_of(lease.body) is None:
            raise UsageError("nothing is sealed yet", hint="`bic seal init` begins.")
        sealer.stamp()
        while (head := head_of(lease.body)) and head.day < last:
            day = head.day + timedelta(days=1)
            head = sealer.taken_up(day) or sealer.seal(day, standing.since(ledger, day, lease.body.get("days", {})))
            sealer.stamp()
            yield head


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
            ledger.troubles.note([_trouble(ledger, setup, "lost_key", f"the key of the sealed days was lost: {lost}")])
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
        self.check = check
        self.ledger = ledger
        self.setup = setup
        self.lease = lease
        self.store = setup.store()
        self.seals = Seals(ledger.store)
        self.folder = f"{names.SEALS}/{lease.body['ledger']}/" if "ledger" in lease.body else ""

    def seal(self, day: date, found: standing.Standing) -> Head:
        """Publish the day's seal, and note it."""
        signer, days = self._signer(), self._completeness(day, found)
        for attempt in range(_MOST_STEMS):
            made = making.made(self._stem(day, attempt), self.lease.body, found, days, self.setup.around)
            if self._publish(made, signer):
                break
        else:
            raise DestinationError(f"{_MOST_STEMS} names for the seal of {day} are taken by others: look at {self.folder}.")
        lines = ((one.spot, one.held.sha256 if one.held else "") for one in found.changed)
        self.seals.note(lines, str(made.stem))
        for site, told in days.items():
            completeness.note(self.ledger, site, told)
        self._note_head(made, found.days)
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
        for name in ("intent", "lost", "previous_key", "previous_kid"):
            body.pop(name, None)
        if (taking_over := body.pop("next", None)) is not None:
            body["rotations"] = [*body.get("rotations", ()), str(made.stem)]
            body.update(previous_key=body["key"], previous_kid=body["kid"], key=taking_over["key"], kid=taking_over["kid"])
        if self.setup.time_stamp:
            body["unstamped"] = {**body.get("unstamped", {}), str(made.stem): self.ledger.now()}
        Notices(self.ledger.store).tell(_message(made, self.ledger.now()))
        self.lease.commit([])
        log.info("sealed %s: statement %d, SHA-256 %s", head.day, head.number, head.sha256)

    # --- time stamps ---

    def stamp(self) -> None:
        """Fetch the time stamps that are still wanted; what can't be had is wanted for two weeks, then told once."""
        for name, since in dict(self.lease.body.get("unstamped", {})).items():
            try:
                self._stamp(name)
            except DestinationError as error:
                log.warning("statement %s has no time stamp yet: %s", name, error)
                if self.ledger.now() - since < _WANTED:
                    return
                reason = f"{self.folder}{name}{names.STATEMENT}: it got no time stamp for two weeks: {error}"
                self.ledger.troubles.note([_trouble(self.ledger, self.setup, "token", reason[:1000], name)])
            del self.lease.body["unstamped"][name]
            self.lease.commit([])

    def _stamp(self, name: str) -> None:
        """Raises DestinationError."""
        authority = self.setup.time_stamp
        statement = self._content(f"{self.folder}{name}{names.STATEMENT}")
        if authority is None or statement is None:
            return
        roots = authority.roots
        self._put(names.authority_name(digest(roots)), roots.__eq__, roots)
        location = f"{name}{names.STATEMENT}{names.TOKEN}"
        there = self._content(self.folder + location)
        if there is None:
            self._put(location, lambda one: time_stamps.fits(one, statement, roots), authority.token(statement))
        elif not time_stamps.fits(there, statement, roots):
            self._is_foreign(location, there)

    # --- what lies there already ---

    def taken_up(self, day: date) -> Head | None:
        """The day's seal where it lies there already: as the intent says, unsigned yet; or signed, and the ledger restored."""
        for attempt in range(_MOST_STEMS):
            stem = self._stem(day, attempt)
            content = self._content(self.folder + stem.statement)
            if content is None:
                return None
            ours = digest(content) == self.lease.body.get("intent", {}).get("sha256")
            if ours or self._is_signed(stem, content):
                return self._take_up(stem, content, ours=ours)
        return None

    def _is_signed(self, stem: Stem, content: bytes) -> bool:
        """A statement that follows our head, with a signature that our key made."""
        signature, before = self._content(self.folder + stem.signature), head_of(self.lease.body)
        if signature is None or not self._signer().public.verifies(signature, content):
            return False
        try:
            statement = read(content)
        except Unexpected:
            return False
        return (statement.ledger, statement.previous) == (self.lease.body["ledger"], before.sha256 if before else None)

    def _take_up(self, stem: Stem, content: bytes, *, ours: bool) -> Head:
        made, statement = Seal(stem, {}, content), read(content)
        if ours and not self._sign(made, self._signer()):
            raise DestinationError(f"{self.folder}{stem.signature} is no signature of ours: take it away, and seal again.")
        self.seals.note(self._lines_of(stem, statement), str(stem))
        if not ours:
            restored = f"this ledger was restored: statement {stem.number} of {stem.day} is one of its own, and was taken over"
            log.warning("%s", restored)
            reason = f"{restored}; `bic verify` tells what of it is not known"
            self.ledger.troubles.note([_trouble(self.ledger, self.setup, "sealed", reason, "restored")])
            if "next_key" in statement.more:
                told = {"key": statement.more["next_key"], "fingerprint": statement.more["next_fingerprint"]}
                self.lease.body["next"] = {**told, "kid": ""}
        # What this ledger has in its journal of these days, it had when it sealed them; what it wrote since is of later ones.
        self._note_head(made, {} if ours else standing.as_they_are(self.ledger, stem.day))
        return made.head

    def _lines_of(self, stem: Stem, statement: Statement) -> Iterator[tuple[Spot, str]]:
        """What the lists of a statement tell, `gone` first. Raises DestinationError where one is missing or another."""
        files = {one.n: one for one in statement.files}
        told = [(n, name) for one in files.values() for n, name in self._named(stem, one)]
        for n, name in sorted(told, key=lambda pair: files[pair[0]].kind is not Kind.GONE):
            content = b"" if not files[n].lines else self._content(self.folder + name)
            if content is None or digest(content) != files[n].sha256:
                raise DestinationError(f"{self.folder}{name} is not as its statement says, so the seal can't be taken up.")
            site, destination = names.parts(name, stem)
            before = "session/" if self.setup.around.is_rows(destination) else ""
            for location, sha256 in lists.read(content):
                yield Spot(site, destination, before + location), "" if files[n].kind is Kind.GONE else sha256

    def _named(self, stem: Stem, listed: Listed) -> Iterator[tuple[int, str]]:
        """The numbers and names of a site's lists, from its completeness."""
        if listed.kind is not Kind.COMPLETENESS:
            return
        pages = self.store.pages(self.folder.rstrip("/"))
        ours = f"{self.folder}{stem}."
        for location in (entry.location for page in pages for entry in page if entry.location.startswith(ours)):
            content = self._content(location) if location.endswith(names.STATEMENT) else None
            if content is not None and digest(content) == listed.sha256:
                yield from ((int(n), name) for n, name in json.loads(content)["files"].items())
                return
        raise DestinationError(f"a file of statement {stem} is missing or another, so the seal can't be taken up.")

    # --- publishing ---

    def _publish(self, made: Seal, signer: Signer) -> bool:
        """Publish a seal; False when a name of it is taken by what is not of it."""
        if self._is_taken(made, signer):
            return False
        self._intend(made)
        for name, content in (*sorted(made.files.items()), (made.stem.statement, made.statement)):
            if not self._put(name, content.__eq__, content):
                return False
        return self._sign(made, signer)

    def _is_taken(self, made: Seal, signer: Signer) -> bool:
        """Somebody else's bytes are where its statement or signature belongs: nothing of it need be published there."""
        stem, statement = made.stem, self._content(self.folder + made.stem.statement)
        signature = self._content(self.folder + stem.signature)
        taken = statement is not None and statement != made.statement and self._is_foreign(stem.statement, statement)
        forged = signature is not None and not signer.public.verifies(signature, made.statement)
        return taken or (forged and self._is_foreign(stem.signature, signature or b""))

    def _sign(self, made: Seal, signer: Signer) -> bool:
        """Publish the key and the signature; of the first statement of a key that took over, that of the one before it too."""
        key, stem = signer.public, made.stem
        self._put(names.key_name(key.id), key.pem.__eq__, key.pem)
        if before := self.lease.body.get("previous_key"):
            second = self.setup.keys.of(before, self.lease.body["previous_kid"])
            if not self._put(stem.second_signature(before), _signed(second, made), second.sign(made.statement)):
                return False
        return self._put(stem.signature, _signed(signer, made), signer.sign(made.statement))

    def _intend(self, made: Seal) -> None:
        """Say in the ledger what is about to be published. What an intent before this one had published is known as ours."""
        known = self.lease.body.get("intent", {}).get("ours", [])
        ours = [digest(content) for content in (*made.files.values(), made.statement)]
        self.lease.body["intent"] = {"stem": str(made.stem), "sha256": made.head.sha256, "ours": sorted({*known, *ours})}
        self.lease.commit([])

    def _put(self, name: str, fits: Callable[[bytes], bool], content: bytes) -> bool:
        """Publish a file that never replaces one; whether what lies under its name then is right."""
        self.check()
        self.lease.check()
        location = self.folder + name
        if self.store.put(location, content, replace=False):
            return True
        there = self._content(location)
        if there is not None and fits(there):
            return True
        self._is_foreign(name, there or b"")
        return False

    def _is_foreign(self, name: str, content: bytes) -> bool:
        """Whether it is nothing that a seal of ours which was killed has left; if so it is named."""
        if digest(content) in self.lease.body.get("intent", {}).get("ours", ()):
            return False
        self._name_foreign(self.folder + name)
        return True

    def _content(self, location: str) -> bytes | None:
        try:
            return b"".join(self.store.read(location))
        except FileNotFoundError:
            return None

    def _name_foreign(self, location: str) -> None:
        reason = f"{location}: somebody else's file lies where a seal of ours belongs; it is left as it is, and not signed"
        self.ledger.troubles.note([_trouble(self.ledger, self.setup, "foreign", reason, location)])


def _signed(signer: Signer, made: Seal) -> Callable[[bytes], bool]:
    """Whether a signature that lies there already is one of this key over the statement: any is right."""
    return lambda there: signer.public.verifies(there, made.statement)


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


def _trouble(ledger: Ledger, setup: Setup, state: str, reason: str, place: str = "") -> Trouble:
    now, where = ledger.now(), setup.around.destination
    told: dict[str, Any] = {"kind": "seal", "reason": reason, "first_failed": now, "last_failed": now, "place": place or state}
    return Trouble(Severity.UNPROVEN, "", "", where, state, **told)
