"""The test download from uploaded session XML: as `bic download --xml`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from werkzeug.datastructures import FileStorage, MultiDict

from bic_lib.actions.download import Download, plan_download, problems
from bic_lib.actions.uploading import PlannedImport, plan_import
from bic_lib.appliance.session_documents import records
from bic_lib.core.errors import BicError
from bic_lib.core.model import DOCUMENTS, DataType, Document
from bic_lib.engine.app import App
from bic_lib.web.http import Refusal, too_many
from bic_lib.web.reading import LONGEST_WAIT, Fields
from bic_lib.wiring import read_document

MOST_RECORDS = 20_000
"""Sessions of one upload (docs/design.md 10)."""

_FIELDS = ("sites", "destinations", "data", "wait")


@dataclass(frozen=True, slots=True)
class Upload:
    """What was uploaded (the sender's names, and contents), and what it is for. `wait` in seconds."""

    files: Sequence[tuple[str, bytes]]
    sites: tuple[str, ...]
    destinations: tuple[str, ...]
    data: tuple[DataType, ...]
    wait: int

    def recordings(self) -> tuple[Download | None, list[tuple[str, str]]]:
        """The download of the uploaded sessions' recordings, where such are wanted; they come from the site.

        And the files that can't be read for it, with the reasons.
        """
        wanted = tuple(data for data in self.data if data not in DOCUMENTS)
        if not wanted:
            return None, []
        lsids: dict[str, None] = {}
        unread = []
        for name, content in self.files:
            try:
                lsids.update({one.lsid: None for one in list(read_document(content)) if isinstance(one, Document)})
            except BicError as error:
                unread.append((name, str(error)))
        return Download(self.sites, self.destinations, wanted, lsids=tuple(lsids)), unread


def read(sent: MultiDict[str, str], uploaded: MultiDict[str, FileStorage]) -> Upload:
    """The form of `POST /api/download`: files, and the fields of the JSON body that go with them. Raises Refusal."""
    values = _values(sent)
    files = [(file.filename or "", file.read()) for _, file in uploaded.items(multi=True) if file.filename or file.tell()]
    _demand_few_records([content for _, content in files])
    forced = values.pop("force", ["false"]) != ["false"]
    given = Fields(values, _FIELDS)
    names = given.texts("data") or tuple(sorted(DOCUMENTS))
    unknown = [f"data: there is no data type {name}" for name in names if name not in set(DataType)]
    sites, destinations = given.texts("sites"), given.texts("destinations")
    wait = given.whole("wait", LONGEST_WAIT)
    problems = given.problems + unknown
    if forced:
        problems.append("force: an upload replaces nothing; a JSON body with lsid and force fetches from the site again")
    if not files:
        problems.append("no file is uploaded")
    if len(sites) > 1:
        problems.append("sites: name one at most: the one that the files came from")
    if problems:
        raise Refusal(400, problems)
    return Upload(files, sites, destinations, tuple(map(DataType, names)), wait)


def _demand_few_records(files: Sequence[bytes]) -> None:
    """Counted before anything is made of them: a small file may hold a million. Raises Refusal."""
    found = (True for content in files for _ in records(content))
    if sum(itertools.islice(found, MOST_RECORDS + 1)) > MOST_RECORDS:
        raise too_many("records in the upload; send them in parts", MOST_RECORDS)


def _values(sent: MultiDict[str, str]) -> dict[str, Any]:
    """A form's fields as JSON has them: names may be repeated or separated by commas."""
    values: dict[str, Any] = {}
    for name, text in sent.items(multi=True):
        if name == "wait":
            values[name] = int(text) if text.strip().isdecimal() else text
        else:
            values.setdefault(name, []).extend(word.strip() for word in text.split(",") if word.strip())
    return values


@dataclass(frozen=True, slots=True)
class Begun:
    """What an upload became: its runs, the first one its own, and the files that are none, with the reasons."""

    runs: Sequence[str]
    refused: Sequence[tuple[str, str]] = ()
    recordings_run: str = ""


def begin(app: App, upload: Upload, rows_only: frozenset[str]) -> Begun:
    """Plan all of it, for whoever visits next. `rows_only` names the destinations that take sessions only.

    Raises Refusal, UsageError, DestinationError, LedgerError.
    """
    recordings, unread = upload.recordings()
    if recordings and (found := problems(app, recordings, rows_only)):
        raise Refusal(400, found + [f"{name}: {reason}" for name, reason in unread])
    imported = plan(app, upload)
    fetched = plan_download(app, recordings, rows_only) if recordings else None
    runs = [planned.run for planned in (imported, fetched) if planned]
    return Begun(runs, imported.refused if imported else unread, fetched.run if imported and fetched else "")


def plan(app: App, upload: Upload) -> PlannedImport | None:
    """Keep the files and plan their import, where their documents are wanted. Raises UsageError, DestinationError,
    LedgerError.
    """
    if not any(data in DOCUMENTS for data in upload.data):
        return None
    files = [(PurePosixPath(name.replace("\\", "/")).name, content) for name, content in upload.files]
    site = upload.sites[0] if upload.sites else None
    planned = plan_import(app, files, upload.destinations, site=site, data=upload.data)
    sent = {name: theirs for (name, _), (theirs, _) in zip(files, upload.files, strict=True)}
    planned.refused = [(sent.get(name, name), reason) for name, reason in planned.refused]
    return planned
