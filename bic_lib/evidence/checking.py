"""Checking a chain of seals, from its files alone: no ledger, no settings, no network (docs/design.md 14).

The lists, in the order of their numbers, give what must lie there now; statements that follow from each other, with signatures,
say that these are the lists.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, timedelta

from bic_lib.core.errors import ItemError, Unexpected
from bic_lib.evidence import keys, lists, names, time_stamps
from bic_lib.evidence.checked import Chain, Line, SealedList
from bic_lib.evidence.files import Found, Place, Problem
from bic_lib.evidence.keys import PublicKey
from bic_lib.evidence.names import Stem
from bic_lib.evidence.statement import Head, Kind, Listed, Statement, digest, read


def chain(place: Place, ledger: str, found: Iterable[str], trusted: Iterable[str], authority: bytes = b"") -> Chain:
    """Check the seals of a ledger. `found`: the names below its folder; `trusted`: fingerprints of keys, known from elsewhere.

    `authority`: certificates (PEM) of the time-stamping authority from elsewhere; without them those that lie there count.
    """
    return _Check(place, ledger, sorted(found), frozenset(trusted), authority).chain()


def one(place: Place, ledger: str, found: Iterable[str], number: int) -> Chain:
    """Check one statement, after the one before it as that lies there, and its lists, which are named in `lists`."""
    return _Check(place, ledger, sorted(found), frozenset(), b"").one(number)


class _Check:
    def __init__(self, place: Place, ledger: str, found: list[str], trusted: frozenset[str], authority: bytes) -> None:
        self.place = place
        self.folder = f"{names.SEALS}/{ledger}/"
        self.found = found
        self.trusted = trusted
        self.alone = False
        self.checked = Chain(ledger)
        self.keys = dict(self._keys())
        self.authority = authority or self._authorities()

    def chain(self) -> Chain:
        checked, before, stems = self.checked, None, self._stems()
        numbers = sorted(filter(None, (names.number_of(name) for name in self.found)))
        for number in range(max([*stems, 0]) + 1):
            before = self._next(before, number, stems.get(number, []))
            if before is None:
                break
        if before and (late := [n for n in numbers if n > before.number]):
            self._tell(Found.GAP, f"{late[-1]:05d}", "files of a seal without its statement: the chain was cut")
        return checked

    def one(self, number: int) -> Chain:
        stems, before = self._stems(), None
        self.alone = True
        for stem in stems.get(number - 1, ()):
            content = self._content(stem.statement) or b""
            with suppress(_Wrong, Unexpected):
                before = read(content)
                self._demand_signed(stem, content, before)
                self.checked.head = Head(number - 1, before.day, digest(content))
                break
        self._next(before, number, stems.get(number, []))
        return self.checked

    def _stems(self) -> dict[int, list[Stem]]:
        stems: dict[int, list[Stem]] = defaultdict(list)
        for stem in filter(None, map(names.stem_of, self.found)):
            stems[stem.number].append(stem)
        return stems

    def _keys(self) -> Iterator[tuple[str, PublicKey]]:
        for name in self.found:
            if name.startswith(f"{names.KEYS}/") and name.endswith(".pem"):
                try:
                    key = keys.public(self._content(name) or b"")
                except ItemError:
                    continue
                yield key.id, key

    # --- one statement after the other ---

    def _next(self, before: Statement | None, number: int, stems: list[Stem]) -> Statement | None:
        """The statement that follows, checked with all its files; None where none does, which is told."""
        told: list[Problem] = []
        for stem in stems:
            content = self._content(stem.statement) or b""
            try:
                statement = read(content)
                self._demand_follows(stem, statement, before)
                self._demand_signed(stem, content, statement)
            except _Wrong as wrong:
                told.append(Problem(wrong.found, self.folder + stem.statement, wrong.detail))
            except Unexpected as error:
                told.append(Problem(Found.CHAIN, self.folder + stem.statement, error.message))
            else:
                self.checked.head = Head(number, statement.day, digest(content))
                self.checked.heads.append(self.checked.head.sha256)
                self.checked.stem = str(stem)
                self.checked.known |= {stem.statement, stem.signature}
                self._look_at_token(stem, content)
                self._take_lists(stem, statement)
                return statement
        if not told:
            told = [Problem(Found.GAP, f"{self.folder}{number:05d}", "there is no statement of this number")]
        self.checked.problems += told
        return None

    def _demand_follows(self, stem: Stem, statement: Statement, before: Statement | None) -> None:
        """Raises _Wrong."""
        if (statement.ledger, statement.number, statement.day) != (self.checked.ledger, stem.number, stem.day):
            raise _Wrong(Found.CHAIN, "it says to be another one than its name tells")
        if before is None:
            if statement.previous is not None:
                raise _Wrong(Found.CHAIN, "it is the first, and names one before it")
            return
        if statement.day != before.day + timedelta(days=1):
            raise _Wrong(Found.GAP, f"its day does not follow {before.day}")
        head = self.checked.head
        if "continues" in statement.more:  # the key was lost: another chain, which has to be trusted by itself
            if statement.previous is not None or statement.more["continues"] != (head.told() if head else None):
                raise _Wrong(Found.CHAIN, "it does not continue the chain before it")
            return
        if statement.previous != (head.sha256 if head else None):
            raise _Wrong(Found.CHAIN, "it does not follow the statement before it")
        if statement.key != before.more.get("next_key", before.key):
            raise _Wrong(Found.KEY, "it is of another key than the statement before it tells")
        fingerprint = before.more.get("next_fingerprint")
        if fingerprint and (statement.key not in self.keys or self.keys[statement.key].fingerprint != fingerprint):
            raise _Wrong(Found.KEY, "its key is not the one that took over")

    def _demand_signed(self, stem: Stem, content: bytes, statement: Statement) -> None:
        """Raises _Wrong."""
        key = self.keys.get(statement.key)
        if key is None:
            raise _Wrong(Found.KEY, f"its key {statement.key} is not among the keys")
        if statement.previous is None:
            trusted = key.fingerprint in self.trusted
            self.checked.rooted = trusted and (statement.number == 0 or self.checked.rooted)
            self.checked.key, self.checked.begins = self.checked.key or key.id, self.checked.begins or trusted
        signature = self._content(stem.signature)
        if signature is None:
            raise _Wrong(Found.SIGNATURE, "it has no signature")
        if not key.verifies(signature, content):
            raise _Wrong(Found.SIGNATURE, f"its signature is not one of key {key.id}")
        self.checked.known.add(names.key_name(key.id))
        if before := statement.more.get("previous_key"):
            second = self._content(stem.second_signature(before))
            if before not in self.keys or second is None or not self.keys[before].verifies(second, content):
                raise _Wrong(Found.SIGNATURE, f"the key {before}, from which {key.id} took over, did not sign it")
            self.checked.known.add(stem.second_signature(before))

    def _authorities(self) -> bytes:
        """The certificates of time-stamping authorities that lie there."""
        files = [name for name in self.found if name.startswith(f"{names.KEYS}/{names.AUTHORITY}")]
        return b"\n".join(self._content(name) or b"" for name in files)

    def _look_at_token(self, stem: Stem, content: bytes) -> None:
        token = self._content(stem.token)
        if token is None:
            return
        self.checked.known.add(stem.token)
        if time_stamps.fits(token, content, self.authority):
            self.checked.stamped += 1
            self.checked.known |= {name for name in self.found if name.startswith(f"{names.KEYS}/{names.AUTHORITY}")}
        else:
            self._tell(Found.TIME_STAMP, stem.token, "it is no time stamp of this statement, or of another authority")

    # --- the lists of a statement ---

    def _take_lists(self, stem: Stem, statement: Statement) -> None:
        self.checked.destination = statement.destination
        self.checked.destinations |= {place["name"] for place in statement.destinations}
        for place in statement.destinations:
            if "was" in place:
                self._rename(place["was"], place["name"])
        named, was = self._named(stem, statement)
        self._rename_sites(was)
        for one in sorted(statement.files, key=lambda one: one.kind is not Kind.GONE):
            if one.kind is Kind.COMPLETENESS:
                continue
            name = named.get(one.n)
            if name is None:
                self._tell(Found.LIST, f"{stem}", f"file {one.n} of its statement is named nowhere")
                continue
            site, destination = names.parts(name, stem)
            if self.alone:
                self._take_alone(SealedList(name, site, destination, one.kind is Kind.GONE), one)
                continue
            content = self._sealed(name, one.sha256) if one.lines else b""
            if content is not None:
                self._apply(name, self.checked.lines[site, destination], one.kind, statement.day, content)

    def _take_alone(self, sealed: SealedList, listed: Listed) -> None:
        """Its lines are read by whoever wants them: they may be millions."""
        if listed.lines and self._fits(sealed.name, self._sum(sealed.name), listed.sha256):
            self.checked.lists.append(sealed)

    def _rename(self, was: str, name: str) -> None:
        """What was listed of a destination is of its new name from here on."""
        for site, destination in list(self.checked.lines):
            if destination == was:
                self.checked.lines[site, name] = {
                    **self.checked.lines.pop((site, was)),
                    **self.checked.lines.get((site, name), {}),
                }

    def _rename_sites(self, was: Mapping[str, str]) -> None:
        """What was listed of these sites, all at once, is of their new names from here on."""
        before = {pair: self.checked.lines.pop(pair) for pair in list(self.checked.lines) if pair[0] in was.values()}
        now = {old: site for site, old in was.items()}
        for (old, destination), lines in before.items():
            self.checked.lines[now[old], destination].update(lines)

    def _named(self, stem: Stem, statement: Statement) -> tuple[dict[int, str], dict[str, str]]:
        """The names of a statement's lists by their numbers, and what sites were called before, from the completeness of each."""
        wanted = {one.sha256 for one in statement.files if one.kind is Kind.COMPLETENESS}
        found, was = dict[int, str](), dict[str, str]()
        for name in self.found:
            if not (name.startswith(f"{stem}.") and name.endswith(names.STATEMENT)):
                continue
            content = self._content(name) or b""
            if digest(content) in wanted:
                wanted.remove(digest(content))
                told = json.loads(content)
                self.checked.known.add(name)
                ours = {int(n): text for n, text in told["files"].items() if names.parts(text, stem)[0] == told["site"]}
                if name == stem.completeness(told["site"]):
                    found |= ours
                    was |= {told["site"]: told["was"]} if "was" in told else {}
        if wanted:
            self._tell(Found.LIST, f"{stem}", "the completeness of a site is missing or altered")
        return found, was

    def _sealed(self, name: str, sha256: str) -> bytes | None:
        """A list as it was sealed; None where it is missing or another, which is told."""
        content = self._content(name)
        return content if self._fits(name, digest(content) if content is not None else "", sha256) else None

    def _sum(self, name: str) -> str:
        found = hashlib.sha256()
        try:
            for chunk in self.place.read(self.folder + name):
                found.update(chunk)
        except FileNotFoundError:
            return ""
        return found.hexdigest()

    def _fits(self, name: str, there: str, sha256: str) -> bool:
        """Whether a list has the digest that was sealed; what is not so is told."""
        if there != sha256:
            self._tell(Found.LIST, name, "the list was altered" if there else "the list is missing")
            return False
        self.checked.known.add(name)
        return True

    def _apply(self, name: str, told: dict[str, Line], kind: Kind, day: date, content: bytes) -> None:
        for location, sha256 in lists.read([content]):
            if kind is not Kind.GONE:
                told[location] = Line(day, sha256)
            elif location in told and told[location].sha256 == sha256:
                told[location] = Line(day, "")
            else:
                self._tell(Found.LIST, name, f"{location} was never listed so")

    # --- reading ---

    def _content(self, name: str) -> bytes | None:
        try:
            return b"".join(self.place.read(self.folder + name))
        except FileNotFoundError:
            return None

    def _tell(self, found: Found, name: str, detail: str) -> None:
        self.checked.problems.append(Problem(found, self.folder + name, detail))


class _Wrong(Exception):
    """A statement is not what it should be."""

    def __init__(self, found: Found, detail: str) -> None:
        super().__init__(detail)
        self.found, self.detail = found, detail
