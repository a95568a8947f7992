"""`bic purge`: remove what was delivered of sessions."""

from __future__ import annotations

import getpass
import sys
from datetime import UTC, datetime
from typing import Any

import rich_click as click

from bic_lib.actions.formatting import count, size
from bic_lib.actions.purge_choice import Asked
from bic_lib.actions.purging import Purged, look, purge
from bic_lib.actions.time_arguments import length
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, note, print_json
from bic_lib.cli.tables import table
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DAY
from bic_lib.ledger.records import Record

_SHOWN = 200
"""Rows that somebody reads; --json lists more."""
_ITEM = {
    "site": Key("the site's name", "support"),
    "data": Key("data type", "session_recordings"),
    "lsid": Key("session id", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
    "instance": Key("number of a shell or Show My Screen recording", 0, null="for what has no number"),
    "destination": Key("the destination's name", "archive"),
    "location": Key("where it lay", "support.example.com-support-7c1f.flv"),
}

JSON = {
    "purge": {
        "sessions": Key("how many sessions", 1),
        "items": Key("how many files and rows of sessions were removed, with --dry-run would be", 2),
        "bytes": Key("their size", 152800),
        "removed": [_ITEM],
        "refused": [{**_ITEM, "reason": Key("why it is there still", "the place refuses to delete it")}],
        "held": [
            {"lsid": Key("a session that is held", "7c1f…"), "reason": Key("why", "case 4711"), "by": Key("by whom", "ann")}
        ],
    }
}


@click.command(name="purge")
@click.option("--older-than", metavar="AGE", help="All sessions that began longer ago, such as 365d.")
@click.option("--lsid", "lsids", metavar="L", multiple=True, help="This session (may be given again).")
@click.option("--key", default="", metavar="K", help="All sessions with this external key.")
@click.option("--site", default="", metavar="S", help="Only of this site.")
@click.option("--destination", default="", metavar="D", help="Only at this destination.")
@click.option("--dry-run", is_flag=True, help="List what would be removed.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.pass_obj
def command(
    call: Call, older_than: str | None, lsids: tuple[str, ...], key: str, site: str, destination: str, dry_run: bool, yes: bool
) -> int:
    """Remove sessions with their recordings from destinations: files, rows, and what the ledger knows of them but a tombstone.

    Nothing brings them again. What is held (`bic hold`) stays. What a place refuses to remove stays listed in `bic failures` as
    `purging`; the next `bic purge` tries it again, also without naming any session. Backups have their own retention.
    """
    app = call.app()
    asked = _asked(app.ledger.now(), older_than, lsids, key, site, destination)
    if dry_run or not yes:
        found = look(app, asked)
        if dry_run:
            return _conclude(call, found, "would be removed", named=asked.named)
        if not _agreed(found):
            note("bic: nothing was purged")
            return 1
    return _conclude(call, purge(app, asked, getpass.getuser()), "removed", named=asked.named)


def _asked(now: float, older_than: str | None, lsids: tuple[str, ...], key: str, site: str, destination: str) -> Asked:
    if sum(map(bool, (older_than, lsids, key))) > 1:
        raise UsageError("purge: name sessions by one of --older-than, --lsid and --key")
    before = None
    if older_than:
        age = length(older_than, "--older-than")
        if age < DAY and not (site or destination):
            raise UsageError(f"purge: --older-than {older_than} would name all that ever was", hint="A day is the least: 1d.")
        before = datetime.fromtimestamp(now - age, UTC).date()
    return Asked(lsids, key, before, site, destination)


def _agreed(found: Purged) -> bool:
    """Ask, with the counts. Raises UsageError where nobody can answer."""
    told = f"{count(found.items, 'item')} of {count(found.sessions, 'session')} ({size(found.bytes)})"
    if not sys.stdin.isatty():
        raise UsageError(f"purge: {told} would be removed, and there is no terminal to ask at", hint="Add --yes.")
    return click.confirm(f"Remove {told} for good?", err=True)


def _conclude(call: Call, found: Purged, done: str, *, named: bool) -> int:
    """Exit 1 where a place refused, and where a session that was named is held or has nothing left."""
    if call.json:
        print_json(_shown(found))
    else:
        counted = f"{count(found.items, 'item')} of {count(found.sessions, 'session')} {done} ({size(found.bytes)})"
        line(counted if found.items else f"nothing {done}")
        rows = [(one.item.data, one.item.lsid, one.destination, one.outcome.location) for one in found.removed[:_SHOWN]]
        if rows:
            table("Items", ("data", "lsid", "destination", "location:"), rows)
        refused = [(one.item.data, one.item.lsid, one.destination, reason) for one, reason in found.refused[:_SHOWN]]
        if refused:
            table("Not removed", ("data", "lsid", "destination", "reason:"), refused)
        if found.held:
            table("Held", ("lsid", "by", "reason:"), [(hold.lsid, hold.by, hold.reason) for hold in found.held.values()])
    return 1 if found.refused or (named and (found.held or not found.sessions)) else 0


def _shown(found: Purged) -> dict[str, Any]:
    return {
        "sessions": found.sessions,
        "items": found.items,
        "bytes": found.bytes,
        "removed": [_item(one) for one in found.removed],
        "refused": [{**_item(one), "reason": reason} for one, reason in found.refused],
        "held": [{"lsid": hold.lsid, "reason": hold.reason, "by": hold.by} for hold in found.held.values()],
    }


def _item(record: Record) -> dict[str, Any]:
    item = record.item
    named = {"site": item.site, "data": str(item.data), "lsid": item.lsid, "instance": item.instance}
    return {**named, "destination": record.destination, "location": record.outcome.location}
