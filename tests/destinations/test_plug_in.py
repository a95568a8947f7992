"""A destination from another package: really installed, found by its entry point, used by the real command."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import pytest

from bic_lib import plug_in
from bic_lib.contracts.documents import small
from bic_lib.core.model import DataType, Document, Item, Outcome, State
from bic_lib.core.ports.preflight import Check
from bic_lib.core.ports.tables import Loaded, TableDestination
from bic_lib.engine.delivery import Delivery, RowDestination
from bic_lib.engine.proving import compare
from bic_lib.ledger.records import Record
from bic_lib.simulator import Recording, Simulator
from tests.support import ROOT, Bic, hourly, served_sessions, site, stored_sessions

EXAMPLE = ROOT / "docs" / "plug-in-example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip installed the example."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("pyproject.toml", "bic_sealed_folder.py"):
        (source / name).write_bytes((EXAMPLE / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--target", str(target)]
    done = subprocess.run([*pip, str(source)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def sealed(bic: Bic, appliance: Simulator) -> Bic:
    """Settings that send sessions and their recordings to a sealed folder."""
    appliance.faults.recording = Recording(size=10_000)
    destination = f"[destinations.archive]\nkind = \"sealed_folder\"\ndirectory = '{bic.folder / 'sealed'}'\n"
    settings = site(appliance) + destination + hourly("sessions", "session_recordings")
    (bic.folder / "bic.toml").write_text(settings, encoding="utf-8")
    return bic


def test_installed_kind_is_used(sealed: Bic, appliance: Simulator, installed: Path) -> None:
    """With the package installed its kind takes sessions and recordings, by its own rule: all files are read-only."""
    ended = sealed("run", "--once", PYTHONPATH=f"{ROOT}:{installed}")
    assert ended.status == 0, ended.err
    assert stored_sessions(sealed.folder / "sealed") == served_sessions(appliance)
    files = [path for path in (sealed.folder / "sealed").iterdir() if path.suffix in {".xml", ".flv"}]
    assert {path.suffix for path in files} == {".xml", ".flv"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o440}


def test_its_settings_are_checked(sealed: Bic, installed: Path) -> None:
    """A plug-in's keys are checked like ours: an unknown one is named with its path."""
    text = (sealed.folder / "bic.toml").read_text()
    (sealed.folder / "bic.toml").write_text(text.replace('kind = "sealed_folder"', 'kind = "sealed_folder"\ncolour = "red"'))
    ended = sealed("run", "--once", PYTHONPATH=f"{ROOT}:{installed}")
    assert ended.status == 2
    assert "destinations.archive.colour" in ended.err


def test_kind_that_is_not_installed(sealed: Bic) -> None:
    """Without the package the kind is a settings error that names the kinds there are."""
    ended = sealed("run", "--once")
    assert ended.status == 2
    assert "sealed_folder" in ended.err
    assert "local_folder" in ended.err


class OlderTable:
    """A plug-in for rows from before `force` and `digests`."""

    def load(self, host_name: str, documents: Sequence[Document]) -> list[Outcome]:
        return [Outcome(State.STORED, f"{host_name}/{one.lsid}", len(one.xml), "a sum of its own") for one in documents]

    def loaded(self, _host_name: str, lsids: Sequence[str]) -> list[Loaded]:
        return [Loaded(lsid, small(lsid).fingerprint) for lsid in lsids if lsid != "gone"]

    def digests(self, host_name: str, lsids: Sequence[str]) -> Mapping[str, str]:
        return TableDestination.digests(self, host_name, lsids)  # type: ignore[arg-type]  # as settings/plug_ins sets the default

    def checks(self) -> list[Check]:
        return []


def test_an_older_plug_in_for_rows_goes_on() -> None:
    """It is loaded as it was written, and verified by its load records: rows that it can't read back are no false alarm."""
    rows = RowDestination("rows", cast("TableDestination", OlderTable()))
    records = []
    for lsid in ("a", "gone", "other"):
        item, document = Item("support", DataType.SESSIONS, lsid), small(lsid)
        [outcome] = rows.deliver("host", [Delivery(item, document, None)], lambda: None).outcomes
        fingerprint = "x" if lsid == "other" else document.fingerprint
        records.append(Record(item, "rows", outcome, fingerprint=fingerprint))
    found = compare(rows, "host", records, quick=False)
    assert [problem and problem.problem for problem in found] == [None, "missing", "altered"]


class Reversed(plug_in.LocalFolder):
    """A plug-in that keeps files otherwise than they are read."""

    def read(self, location: str) -> Iterator[bytes]:
        yield b"".join(super().read(location))[::-1]


def test_what_a_plug_in_makes_of_reading_holds_for_a_part_too(tmp_path: Path) -> None:
    """One that builds on `LocalFolder` and reads otherwise is read so from within as well."""
    store = Reversed(tmp_path)
    store.put("a", b"abcdef", replace=False)
    assert b"".join(store.read_from("a", 2)) == b"dcba"
