"""`bic session`: one session, with its copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import rich_click as click

from bic_lib import wiring
from bic_lib.actions.bag import folder
from bic_lib.actions.bag import zipped as zip_file
from bic_lib.actions.bag_readme import Bagged
from bic_lib.actions.converting import to_mp4
from bic_lib.actions.formatting import count, size
from bic_lib.actions.session import Copy, Session, brief, find, look, shown
from bic_lib.actions.session_search import search
from bic_lib.actions.session_search import shown as matched
from bic_lib.actions.timestamps import iso, minute
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key, Told
from bic_lib.cli.output import line, note, print_json
from bic_lib.cli.tables import table
from bic_lib.core.errors import UsageError
from bic_lib.core.searching import FoundSession, Sought
from bic_lib.core.session_content import Content
from bic_lib.engine.app import App
from bic_lib.evidence.setup import Setup
from bic_lib.ledger.index import Place

Make = Callable[[App, Session, Path, Setup | None], Bagged]
"""How a bag is made: as a folder, or as a ZIP file."""
_LINES = 200
"""Chat lines that somebody reads on a terminal; --json lists all."""
_PLACE = {
    "site": Key("the site's name", "support"),
    "lsid": Key("session id", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
    "external_key": Key("its external key", "INC0012345"),
    "day": Key("the UTC day of its start", "2026-08-01"),
}
_COPY = {
    "data": Key("data type", "sessions"),
    "instance": Key("number of a shell or Show My Screen recording", 0, null="for what has no number"),
    "destination": Key("the destination's name", "archive"),
    "version": Key("which version of the item: a session that changed was stored again", 1),
    "state": Key("its state, as in `failures`; `stored`, `mended`, `replaced`, `retired`, `skipped`, `purged`", "stored"),
    "location": Key(
        "where it lies, below the destination's root; of rows `session/HOST/LSID`", "support.example.com-support-7c1f.xml"
    ),
    "size": Key("its size in bytes", 18210),
    "sha256": Key("its SHA-256; of rows their digest", "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"),
    "at": Key("when it came to this state", "2026-08-01T02:31:10Z", null="it was never tried"),
    "origin": Key("who gave it: `appliance`, `import`, `upload`, `adopted`, `destination:NAME`", "appliance"),
    "proof": Key(
        "`proven`: read now, and what the ledger says; `there`: with the right size; else what `verify` calls it; "
        "empty where the destination holds nothing",
        "proven",
    ),
    "detail": Key("more of what is wrong", ""),
    "reason": Key("why it is in this state", ""),
}

JSON = {
    "session": {
        **_PLACE,
        "host": Key("the appliance", "support.example.com"),
        "state": Key("`ended`, `open`, `purged`, or `known` of which only transfers are known", "ended"),
        "copies": [_COPY],
        "content": Told(
            "what happened, null without a proven copy: `session`, `representatives`, `customers`, `teams`, `attributes` with "
            "the columns of [sql.md](sql.md), `chat` (time, author, role, recipient, line), `files` (time, type, by, name, "
            "size), `events` (time, type, by, by_role, to, to_role, data: pairs of name and value)"
        ),
        "content_from": Key("the copy that the content is from", "archive: support.example.com-support-7c1f.xml"),
        "content_missing": Key("why other copies gave none", ["second: missing"]),
    },
    "session --key": {"sessions": [_PLACE]},
    "session --text": {
        "sessions": [
            {
                "site": Key("the site's name, empty for a host that the settings don't name", "support"),
                "lsid": Key("session id", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
                "external_key": Key("its external key", "INC0012345"),
                "start": Key("its beginning", "2026-08-01T02:10:00Z", null="not known"),
                "end": Key("its end", "2026-08-01T02:25:00Z", null="it has none"),
                "customer": Key("the customer's name", "Ann"),
                "machine": Key("the customer's machine", "NB-00073"),
                "files": Key("files that were moved", 2, null="where nothing says it"),
                "representative": Key("who supported", "Bo Tester"),
            }
        ],
        "notes": Key("what was not looked at, and databases that could not be asked", ["warehouse: no index of words"]),
        "more": Key("there are others: narrow it down", False),
    },
}


@click.command(name="session")
@click.argument("lsid", default="")
@click.option("--key", default="", metavar="K", help="By its external key instead of its id.")
@click.option("--text", default="", metavar="WORDS", help="By words that were said, by names of files, people, machines.")
@click.option("--site", default="", metavar="S", help="Only of this site.")
@click.option("--mp4", type=click.Path(path_type=Path), metavar="FILE", help="Also write its recording as MP4 to this file.")
@click.option("--export", type=click.Path(path_type=Path), metavar="DIR", help="Also make this new folder a bag of all of it.")
@click.option("--zip", "zipped", type=click.Path(path_type=Path), metavar="FILE", help="The same as one new ZIP file.")
@click.pass_obj
def command(
    call: Call, lsid: str, key: str, text: str, site: str, mp4: Path | None, export: Path | None, zipped: Path | None
) -> int:
    """Show one session: who, when, chat, files, and where each copy lies, with its SHA-256 and how far it is proven.

    Documents and rows are read again for it, recordings are looked for. Of several sessions with one key each is listed; --text
    lists those that a database finds. --mp4 converts the recording where ffmpeg is installed: a copy for players, beside what is
    proven. --export and --zip make a bag (BagIt): files, rows, ledger records and seals, with a README.txt that says how anybody
    checks them without bic.
    """
    if sum(map(bool, (lsid, key, text))) != 1:
        raise UsageError("session: name one by its LSID, its external key or its words", hint="Such as `bic session LSID`.")
    app = call.app()
    if text:
        return _search(call, app, text, site)
    places = find(app, lsid=lsid, key=key, site=site)
    if not places:
        by = f"the id {lsid}" if lsid else f"the external key {key}"
        note(f"bic: this ledger knows no session with {by}" + (f" of {site}" if site else ""))
        return 1
    targets = [(made, target) for made, target in ((folder, export), (zip_file, zipped)) if target]
    if len(places) == 1 and (targets or not (key and call.json)):
        return _show_one(call, app, places[0], mp4, targets)
    if targets or mp4 or (call.json and not key):
        named = ", ".join(f"{place.lsid} of {place.site}" for place in places)
        raise UsageError(f"session: which one is meant? {named}", hint="Name one by its id, and by --site.")
    if call.json:
        print_json({"sessions": [brief(place) for place in places]})
    else:
        rows = [(one.lsid, one.site, one.day, one.external_key) for one in places]
        table("Sessions", ("lsid", "site", "day", "external key"), rows)
    return 0


def _show_one(call: Call, app: App, place: Place, mp4: Path | None, targets: Sequence[tuple[Make, Path]]) -> int:
    found = look(app, place)
    if mp4:
        note(f"bic: {mp4} is a copy of {to_mp4(app, found, mp4)}, converted: what is proven is the recording itself")
    bagged = [_bag(call, app, found, make, target) for make, target in targets]
    print_json(shown(found)) if call.json else _show(found)
    return 1 if any(one.lacking for one in bagged) else 0


def _search(call: Call, app: App, text: str, site: str) -> int:
    """List what the databases find; exit 1 where they find nothing, or one could not be asked."""
    matches = search(app, Sought(words=text), site)
    notes = [*matches.notes, *matches.failed]
    if call.json:
        print_json({"sessions": [matched(one) for one in matches.found], "notes": notes, "more": matches.more})
    else:
        rows = [(one.session.start[:16], one.session.lsid, one.site, *_who(one.session)) for one in matches.found]
        table("Sessions", ("start", "lsid", "site", "customer", "machine", "representative"), rows)
        for told in [*notes, *(["There are others: more words find fewer."] if matches.more else [])]:
            line(told)
    return 0 if matches.found and not matches.failed else 1


def _who(found: FoundSession) -> tuple[str, str, str]:
    return found.customer, found.machine, found.representative


def _bag(call: Call, app: App, found: Session, make: Make, target: Path) -> Bagged:
    """Make the session's bag, and say what is not in it."""
    bagged = make(app, found, target, wiring.sealing(call.settings(), app))
    for one in bagged.lacking:
        note(f"bic: not in {target}: {one}")
    sealed = f", {len(bagged.files) - bagged.unsealed} of them sealed" if bagged.files else ""
    note(f"bic: {target} holds {count(len(bagged.files), 'file')}{sealed}; README.txt in it says how to check them")
    return bagged


def _show(session: Session) -> None:
    place = session.place
    line(f"Session {place.lsid} of {place.site} ({session.host}), {shown(session)['state']}")
    if session.content:
        _show_content(session.content)
        line(f"Content from {session.source}")
    else:
        line("Content: no stored copy is proven" + "".join(f"; {why}" for why in session.unread))
    line()
    table("Copies", _COLUMNS, [_row(copy) for copy in session.copies])


def _show_content(content: Content) -> None:
    told = {name: value for name, value in content.session.items() if value is not None and name not in ("lsid", "host_name")}
    table("", ("what", "value"), [(name, str(value)) for name, value in told.items()])
    people = [("representative", one["display_name"], one["host_name"], one["private_ip"]) for one in content.representatives]
    people += [("customer", one["display_name"], one["host_name"], one["private_ip"]) for one in content.customers]
    table("People", ("role", "name", "machine", "address"), people)
    said = [(minute(one.time), one.author, one.line) for one in content.chat]
    table("Chat", ("time", "author", "text:"), said[:_LINES])
    moved = [(minute(one.time), one.type, one.by, one.name, "" if one.size is None else size(one.size)) for one in content.files]
    table("Files", ("time", "what", "by", "name", "size"), moved[:_LINES])
    left = max(0, len(said) - _LINES) + max(0, len(moved) - _LINES)
    line(f"{count(len(content.events), 'event')}" + (f", {left:,} more lines" if left else "") + ": --json lists all.")


_COLUMNS = ("data", "#", "destination", "version#", "state", "proof", "at", "size", "location:", "sha256:", "reason:")


def _row(copy: Copy) -> tuple[object, ...]:
    item, outcome = copy.record.item, copy.record.outcome
    state = "doubtful" if outcome.doubt else outcome.state
    why = "; ".join(filter(None, (copy.detail, outcome.reason)))
    held = size(outcome.size) if outcome.size else ""
    named = (item.data, item.instance, copy.record.destination, copy.record.version, state, copy.proof)
    return *named, minute(iso(copy.record.at or None)), held, outcome.location, outcome.sha256, why
