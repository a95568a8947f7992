"""One session as a bag (BagIt, RFC 8493): its files, what the ledger knows, and the seals that prove them, checked without us.

`README.txt` in it holds the commands, with the very names of this bag. Nothing of another site is in it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import shlex
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bic_lib.actions.session import Copy, Session, shown
from bic_lib.core.errors import BicError, DestinationError, LedgerError, UsageError
from bic_lib.core.version import VERSION
from bic_lib.engine.app import App
from bic_lib.engine.delivery import FileDestination, RowDestination
from bic_lib.evidence import names
from bic_lib.evidence.names import Stem
from bic_lib.evidence.setup import Setup
from bic_lib.evidence.statement import head_of
from bic_lib.ledger.records import HELD
from bic_lib.ledger.seals import Seals, Spot

_UNSAFE = re.compile(r"[%\\\x00-\x1f\x7f]")
"""What a manifest would have to write otherwise than `sha256sum` does."""


@dataclass(frozen=True, slots=True)
class _File:
    """A stored file in the bag: where it lies there, and where it was stored. `stem`: of the seal that lists it, "" for none."""

    path: str
    spot: Spot
    sha256: str
    stem: str


@dataclass(slots=True)
class Bagged:
    """What a bag holds, and what it lacks: a line each."""

    files: list[_File] = field(default_factory=list)
    unsealed: int = 0
    lacking: list[str] = field(default_factory=list)


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
        self.bagged = Bagged()
        self.sums: dict[str, tuple[str, int]] = {}

    def make(self) -> Bagged:
        self._write("data/session.json", json.dumps(shown(self.session), indent=1, ensure_ascii=False).encode())
        for copy in self._chosen():
            self._take(copy)
        seals = list(self._seals())
        self.bagged.unsealed = sum(not one.stem for one in self.bagged.files)
        payload = "".join(f"{sha256}  {path}\n" for path, (sha256, _) in sorted(self.sums.items()))
        octets = f"{sum(size for _, size in self.sums.values())}.{len(self.sums)}"
        tags = {
            "bagit.txt": "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n",
            "bag-info.txt": self._info(octets),
            "manifest-sha256.txt": payload,
            "README.txt": _readme(self.session, self.bagged, seals, self._tokens(), self.chain.get("ledger", "")),
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
        stem = Seals(self.app.ledger.store).stem(spot) if self.chain else ""
        self.bagged.files.append(_File(path, spot, digest.hexdigest(), stem))

    # --- the seals ---

    def _seals(self) -> Iterator[str]:
        """Take the seals that tell of these files, those that hand over to another key, and that of the session's day."""
        if not (self.setup and "ledger" in self.chain):
            return
        store, folder = self.setup.store(), f"{names.SEALS}/{self.chain['ledger']}"
        wanted = {one.stem for one in self.bagged.files} | set(self.chain.get("rotations", ())) | {self._of_day()}
        site = self.session.place.site
        found = {entry.location.removeprefix(f"{folder}/") for page in store.pages(folder) for entry in page}
        for stem in sorted(wanted & {name.removesuffix(names.STATEMENT) for name in found if names.stem_of(name)}):
            yield stem
            for name in sorted(found):
                if name.startswith((f"{stem}.json", f"{stem}.{site}.")):
                    self._write(f"data/{folder}/{name}", b"".join(store.read(f"{folder}/{name}")))
        for name in sorted(found):
            if name.startswith(f"{names.KEYS}/"):
                self._write(f"data/{folder}/{name}", b"".join(store.read(f"{folder}/{name}")))

    def _tokens(self) -> list[str]:
        """Names of the time stamps that were taken."""
        return sorted(path.rpartition("/")[2] for path in self.sums if path.endswith(names.STATEMENT + names.TOKEN))

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


# --- README.txt ------------------------------------------------------------------------------------------------------


def _readme(session: Session, bagged: Bagged, stems: list[str], tokens: list[str], ledger: str) -> str:
    """What this is, and the commands that check all of it without bic, in a shell with sha256sum and openssl."""
    place = session.place
    head = (
        f"Session {place.lsid} of {place.site} ({session.host}), begun on {place.day} (UTC).\n\n"
        "data/session.json   what the ledger knows of it: copies, people, chat, events\n"
        "data/files/         its stored files, below the name of the destination from which they were taken\n"
        "data/rows/          its rows, below the name of the database\n"
        "data/seals/         the seals that prove them\n"
    )
    lacking = "".join(f"\nLacking: {one}" for one in bagged.lacking)
    unsealed = f"\nNot sealed: {bagged.unsealed} of {len(bagged.files)} files.\n" if bagged.unsealed else ""
    return f"{head}{lacking}{unsealed}\n{_COMMANDS.rstrip()}\n{_own(bagged, place.site, stems, tokens, ledger)}{_LIMITS}"


_COMMANDS = """
Check it: type these lines in this folder (sh, sha256sum, openssl). Each must say OK, and none may fail.

  # 1. Nothing in this bag was changed since it was made.
  sha256sum --quiet -c manifest-sha256.txt tagmanifest-sha256.txt && echo OK
"""


def _own(bagged: Bagged, site: str, stems: list[str], tokens: list[str], ledger: str) -> str:
    if not stems:
        return "\nThis ledger's days are not sealed, or not those of this session: there is nothing more to check.\n"
    folder = f"data/{names.SEALS}/{ledger}"
    lines = [
        "",
        "  # 2. The keys: one of these fingerprints is the one that you have from elsewhere (a mail, a contract).",
        f"  for key in {folder}/keys/[0-9a-f]*.pem; do openssl pkey -pubin -in $key -outform DER | sha256sum; done",
        "",
        "  # 3. Each statement is signed by such a key; one that names a next_key hands over to the next.",
    ]
    for stem in stems:
        statement = f"{folder}/{stem}.json"
        key = f'$(sed \'s/.*"key":"\\([0-9a-f]*\\)".*/\\1/\' {statement})'
        lines.append(f"  openssl dgst -sha256 -verify {folder}/keys/{key}.pem -signature {statement}.sig {statement}")
    lines += ["", "  # 4. Each list, and what is said of completeness, is what its statement names, by its SHA-256."]
    for stem in stems:
        named = f'grep -q "$(sha256sum < $list | cut -c1-64)" {folder}/{stem}.json'
        lines.append(f'  for list in {folder}/{stem}.{site}.*; do {named} && echo OK || echo "FAILED $list"; done')
    lines += ["", "  # 5. Each file stands in such a list, with this SHA-256."]
    for one in bagged.files:
        if one.stem:
            listed = f"{folder}/{one.stem}.{one.spot.site}.{one.spot.destination}{names.LIST}"
            wanted = shlex.quote(f"  {one.spot.location}")
            lines.append(
                f'  grep -qF "$(sha256sum < {shlex.quote(one.path)} | cut -c1-64)"{wanted} {listed} && echo OK || echo FAILED'
            )
    if tokens:
        lines += ["", "  # 6. Somebody else's clock: each statement was there when its time stamp says."]
        for name in tokens:
            token, at = (
                f"{folder}/{name}",
                f"$(openssl ts -reply -in {folder}/{name} -text 2>/dev/null | sed -n 's/^Time stamp: //p')",
            )
            verify = f'openssl ts -verify -attime $(date -d "{at}" +%s) -data {token.removesuffix(names.TOKEN)} -in {token}'
            lines.append(f"  {verify} -CAfile {folder}/keys/{names.AUTHORITY}*.pem >/dev/null 2>&1 && echo OK || echo FAILED")
    return "\n".join(lines) + "\n"


_LIMITS = """
What this bag can't show: a session that the appliance never listed; what happened before sealing began (statement 00000 is an
inventory); that nothing was sealed and taken back since: the whole chain, and a head that somebody kept elsewhere, show that.
"""
