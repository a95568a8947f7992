"""A seal that lies there already: one of ours that was killed, or one of this very ledger before it was restored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bic_lib.core.errors import DestinationError, Unexpected
from bic_lib.evidence import lists, names
from bic_lib.evidence.called import Called
from bic_lib.evidence.folder import Folder
from bic_lib.evidence.keys import Signer
from bic_lib.evidence.making import Seal
from bic_lib.evidence.names import Stem
from bic_lib.evidence.statement import Kind, Listed, Statement, digest, head_of, read
from bic_lib.ledger.seals import Seals, Spot, Told


def is_ours(folder: Folder, content: bytes) -> bool:
    """A statement that the ledger's intent names."""
    return bool(digest(content) == folder.lease.body.get("intent", {}).get("sha256"))


def follows(folder: Folder, stem: Stem, content: bytes, signer: Signer) -> bool:
    """A statement that follows our head, with a signature that our key made."""
    body = folder.lease.body
    signature, before = folder.content(stem.signature), head_of(body)
    if signature is None or not signer.public.verifies(signature, content):
        return False
    try:
        statement = read(content)
    except Unexpected:
        return False
    return (statement.ledger, statement.previous) == (body["ledger"], before.sha256 if before else None)


def take_up(folder: Folder, stem: Stem, content: bytes, signer: Signer, called: Called, *, ours: bool) -> Seal:
    """The seal, complete, and known by the ledger with its lists; `called` follows it.

    Raises DestinationError where a file of it is another.
    """
    made, statement = Seal(stem, {}, content), read(content)
    if ours and not folder.sign(made, signer):
        raise DestinationError(f"{folder.path}{stem.signature} is no signature of ours: take it away, and seal again.")
    Seals(folder.ledger.store).note(_lines(folder, stem, statement, called), str(stem))
    return made


def _lines(folder: Folder, stem: Stem, statement: Statement, called: Called) -> Iterator[Told]:
    """What the lists of a statement tell, `gone` first. Raises DestinationError where one is missing or another."""
    files = {one.n: one for one in statement.files}
    of_sites = [_of_site(folder, stem, one) for one in files.values() if one.kind is Kind.COMPLETENESS]
    called.sites.follow(stem.number, {one["site"]: one.get("was", "") for one in of_sites})
    called.destinations.follow(stem.number, {one["name"]: one.get("was", "") for one in statement.destinations})
    told = [(int(n), name) for one in of_sites for n, name in one["files"].items()]
    for n, name in sorted(told, key=lambda pair: files[pair[0]].kind is not Kind.GONE):
        content = b"" if not files[n].lines else folder.content(name)
        if content is None or digest(content) != files[n].sha256:
            raise DestinationError(f"{folder.path}{name} is not as its statement says, so the seal can't be taken up.")
        site, sealed = names.parts(name, stem)
        destination = called.destinations.now(sealed)
        before = "session/" if folder.setup.around.is_rows(destination) else ""
        for location, sha256 in lists.read([content]):
            yield Told(Spot(called.sites.now(site), destination, before + location), "" if files[n].kind is Kind.GONE else sha256)


def _of_site(folder: Folder, stem: Stem, listed: Listed) -> Mapping[str, Any]:
    """A site's completeness, which has the numbers and names of its lists."""
    entries = (entry for page in folder.store.pages(folder.path.rstrip("/")) for entry in page)
    theirs = [entry.location for entry in entries if entry.location.startswith(f"{folder.path}{stem}.")]
    for name in (location.removeprefix(folder.path) for location in theirs if location.endswith(names.STATEMENT)):
        content = folder.content(name)
        if content is not None and digest(content) == listed.sha256:
            told: Mapping[str, Any] = json.loads(content)
            return told
    raise DestinationError(f"a file of statement {stem} is missing or another, so the seal can't be taken up.")
