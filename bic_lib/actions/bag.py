"""One session as a bag (BagIt, RFC 8493): its files, what the ledger knows, and the seals that prove them, checked without us.

`README.txt` in it holds the commands, with the very names of this bag. Nothing of another site is in it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from bic_lib.actions.bag_readme import Bagged, Packed, readme
from bic_lib.actions.session import Copy, Session, shown
from bic_lib.core.errors import BicError, DestinationError, LedgerError, UsageError
from bic_lib.core.version import VERSION
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination, RowDestination
from bic_lib.evidence import names
from bic_lib.evidence.called import Called
from bic_lib.evidence.names import Stem
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.statement import head_of
from bic_lib.ledger.records import HELD
from bic_lib.ledger.seals import Seals, Spot

_UNSAFE = re.compile(r"[%\\\x00-\x1f\x7f]")
"""What a manifest would have to write otherwise than `sha256sum` does."""


def folder(app: App, session: Session, target: Path, setup: Setup | None = None) -> Bagged:
    """Make `target`, which must be new or empty, the session's bag. Raises UsageError, LedgerError, DestinationError."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"--export: {target} is there already and not empty", hint="Name a new folder: nothing is replaced.")
    try:
        target.mkdir(parents=True, exist_ok=True)
        return _Bag(app, session, target, setup).make()
    except OSError as error:
        raise UsageError(f"--export: {target} can't be written: {error.strerror}") from error


def zipped(app: App, session: Session, target: Path, setup: Setup | None = None) -> Bagged:
    """The same in one new ZIP file. Raises as `folder` does."""
    if target.exists():
        raise UsageError(f"--zip: {target} is there already", hint="Name a new file: nothing is replaced.")
    try:
        with tempfile.TemporaryDirectory(prefix=".bic-bag-", dir=target.parent) as made:
            bagged = folder(app, session, Path(made, session.place.lsid), setup)
            with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(Path(made).rglob("*")):
                    archive.write(path, path.relative_to(made))
    except OSError as error:
        raise UsageError(f"--zip: {target} can't be written: {error.strerror}") from error
    return bagged


class _Bag:
    def __init__(self, app: App, session: Session, root: Path, setup: Setup | None) -> None:
        self.app = app
        self.session = session
        self.root = root
        self.setup = setup
        self.chain = Seals(app.ledger.store).chain() if setup else {}
        self.called = Called.of(self.chain, app.ledger.names)
        self.bagged = Bagged()
        self.sums: dict[str, tuple[str, int]] = {}

    def make(self) -> Bagged:
        self._write("data/session.json", json.dumps(shown(self.session), indent=1, ensure_ascii=False).encode())
        for copy in self._chosen():
            self._take(copy)
        seals = dict(self._seals())
        self.bagged.unsealed = sum(not one.stem for one in self.bagged.files)
        self.bagged.tokens = sorted(path.rpartition("/")[2] for path in self.sums if path.endswith(names.TOKEN))
        self.bagged.days = list(self._days(seals))
        payload = "".join(f"{sha256}  {path}\n" for path, (sha256, _) in sorted(self.sums.items()))
        octets = f"{sum(size for _, size in self.sums.values())}.{len(self.sums)}"
        tags = {
            "bagit.txt": "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
            "bag-info.txt": self._info(octets),
            "manifest-sha256.txt": payload,
            "README.txt": readme(self.session.place, self.session.host, self.bagged, seals, self.chain.get("ledger", "")),
        }
        for name, text in tags.items():
            (self.root / name).write_text(text, encoding="utf-8", newline="\n")
        sums = (f"{hashlib.sha256((self.root / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(tags))
        (self.root / "tagmanifest-sha256.txt").write_text("".join(sums), encoding="utf-8", newline="\n")
        return self.bagged

    def _info(self, octets: str) -> str:
        place, now = self.session.place, datetime.now(UTC)
        return (
            f"Bag-Software-Agent: bic {VERSION}\nBagging-Date: {now:%Y-%m-%d}\nBagging-Time: {now:%H:%M:%S}Z\n"
            f"Contact-Name: {getpass.getuser()}\nExternal-Identifier: {place.lsid}\n"
            f"External-Description: session {place.lsid} of {place.site}, begun {place.day}\nPayload-Oxum: {octets}\n"
        )

    # --- what was stored ---

    def _chosen(self) -> Iterator[Copy]:
        """Of each stored version of an item one copy: where the seals lie, if it is there. Rows of each database."""
        first = self.setup.around.destination if self.setup else ""
        held = [copy for copy in self.session.copies if copy.record.outcome.state in HELD]
        taken = set()
        for copy in sorted(held, key=lambda copy: copy.record.destination != first):
            record = copy.record
            rows = record.outcome.location.startswith("session/")
            key = (record.item.data, record.item.instance, record.outcome.sha256, record.destination if rows else "")
            if key not in taken:
                taken.add(key)
                yield copy

    def _take(self, copy: Copy) -> None:
        record = copy.record
        try:
            match self.app.destination(record.destination):
                case FileDestination() as files:
                    self._take_file(copy, files)
                case RowDestination() as rows:
                    read = rows.table.rows(self.session.host, self.session.place.lsid)
                    content = json.dumps(read, indent=1, default=str, ensure_ascii=False).encode()
                    self._write(f"data/rows/{record.destination}.json", content)
        except LedgerError:
            raise
        except (BicError, FileNotFoundError) as error:
            self.bagged.lacking.append(f"{record.destination}: {record.outcome.location}: {error}")

    def _take_file(self, copy: Copy, files: FileDestination) -> None:
        """As it lies there; what is not as the ledger says is lacking, not taken."""
        record = copy.record
        path = f"data/files/{record.destination}/" + _UNSAFE.sub(lambda one: f"_x{ord(one[0]):04X}_", record.outcome.location)
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with target.open("xb") as file:
            for chunk in files.store.read(record.outcome.location):
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        if digest.hexdigest() != record.outcome.sha256:
            target.unlink()
            raise DestinationError("it is not what was stored")
        self.sums[path] = (digest.hexdigest(), size)
        spot = Spot(record.item.site, record.destination, record.outcome.location)
        told = Seals(self.app.ledger.store).told(spot) if self.chain else None
        stem = told.stem if told and told.sha256 else ""
        self.bagged.files.append(Packed(path, spot, digest.hexdigest(), stem, self._list(stem, spot) if stem else ""))

    def _list(self, stem: str, spot: Spot) -> str:
        """The list of a seal that tells of a place, by the names of its day."""
        number = names.number_in(stem)
        site, destination = self.called.sites.at(spot.site, number), self.called.destinations.at(spot.destination, number)
        return f"{stem}.{site}.{destination}{names.LIST}"

    # --- the seals ---

    def _seals(self) -> Iterator[tuple[str, bytes]]:
        """Take the seals of these files, of the session's day, and those that hand over to another key; their statements."""
        if not (self.setup and "ledger" in self.chain):
            return
        store, folder = self.setup.store(), f"{names.SEALS}/{self.chain['ledger']}"
        wanted = {one.stem for one in self.bagged.files} | set(self.chain.get("rotations", ())) | {self._of_day()}
        found = {entry.location.removeprefix(f"{folder}/") for page in store.pages(folder) for entry in page}
        for stem in sorted(wanted & {name.removesuffix(names.STATEMENT) for name in found if names.stem_of(name)}):
            site = self.bagged.sites[stem] = self.called.sites.at(self.session.place.site, names.number_in(stem))
            for name in sorted(found):
                if name.startswith((f"{stem}.json", f"{stem}.{site}.")):
                    self._write(f"data/{folder}/{name}", b"".join(store.read(f"{folder}/{name}")))
            yield stem, (self.root / f"data/{folder}/{stem}{names.STATEMENT}").read_bytes()
        for name in sorted(found):
            if name.startswith(f"{names.KEYS}/"):
                self._write(f"data/{folder}/{name}", b"".join(store.read(f"{folder}/{name}")))

    def _days(self, stems: Iterable[str]) -> Iterator[str]:
        """Of the files of completeness those that tell of the session's day."""
        for stem in stems:
            name = f"{stem}.{self.bagged.sites[stem]}{names.STATEMENT}"
            path = self.root / f"data/{names.SEALS}/{self.chain['ledger']}/{name}"
            if path.exists() and f'"day":"{self.session.place.day}"' in path.read_text(encoding="utf-8"):
                yield name

    def _of_day(self) -> str:
        """The seal of the day on which the session began: its completeness tells of it."""
        head = head_of(self.chain)
        number = head.number - (head.day - self.session.place.day).days if head else -1
        return str(Stem(number, self.session.place.day)) if number > 0 else ""

    def _write(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        self.sums[path] = (hashlib.sha256(content).hexdigest(), len(content))
