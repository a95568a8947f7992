"""`bic import`: session XML that was stored earlier, into any destination; and what lies in one already, where it is."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from bic_lib.actions.adopting import adopt
from bic_lib.actions.adoption import Adopted
from bic_lib.actions.formatting import count, size
from bic_lib.actions.importing import import_files
from bic_lib.actions.old_folders import look
from bic_lib.actions.results import Results
from bic_lib.cli.call import Call
from bic_lib.cli.outcome import JSON as OUTCOME
from bic_lib.cli.outcome import conclude
from bic_lib.cli.output import note
from bic_lib.cli.progress import Told, watching
from bic_lib.core.errors import UsageError
from bic_lib.settings.places import below
from bic_lib.wiring import read_document

JSON = {"import": OUTCOME}


@click.command(name="import")
@click.option("--destination", "destinations", multiple=True, required=True, metavar="D", help="A destination; repeatable.")
@click.option("--site", metavar="S", help="The site that the files came from; left out: by the host in their names.")
@click.option("--adopt", "adopts", is_flag=True, help="Take what lies in the destination into the ledger, where it is.")
@click.option(
    "--format", "formats", multiple=True, metavar="[TYPE=]FORMAT", help="With --adopt: how the files are named; repeatable."
)
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@click.pass_obj
def command(
    call: Call, destinations: tuple[str, ...], site: str | None, adopts: bool, formats: tuple[str, ...], folders: tuple[Path, ...]
) -> int:
    """Import session XML that the vendor's program (or bic) stored. What the ledger knows already is left alone.

    With --adopt: recordings, presentations, backups and session XML that lie in the destination (FOLDER: only there) become
    known, so that no run fetches them again. Nothing is moved or renamed.
    """
    if adopts:
        return _adopt(call, destinations, site, formats, folders)
    if formats or not folders:
        raise UsageError("import: --format goes with --adopt only" if formats else "import: no FOLDER is named")
    return _import(call, destinations, site, folders)


def _import(call: Call, destinations: tuple[str, ...], site: str | None, folders: tuple[Path, ...]) -> int:
    with Results() as results:
        app = results.watching(call.app())
        read = [0]

        def told() -> Told:
            return Told(
                f"{read[0]:,} of {total:,} files read, {results.so_far.stored:,} sessions stored", read[0] / max(total, 1)
            )

        def seen(_path: Path) -> None:
            read[0] += 1

        found = look(folders)
        total = len(found.xml)
        with watching("import", told):
            imported = import_files(app, folders, destinations, read_document, site=site, seen=seen)
        refused = [f"{path}: {reason}" for path, reason in imported.refused]
        nothing = f"no session in {count(imported.files, 'file')}" if imported.files else "no XML file there"
        status = conclude(call, results, [*imported.troubles, *refused], nothing=nothing)
        if found.others:
            told_of = ", ".join(f"{many:,} {end}" for end, many in sorted(found.others.items()))
            note(f"bic: passed over, since they are no XML: {told_of} (--adopt takes recordings into the ledger)")
        return status


def _adopt(
    call: Call, destinations: tuple[str, ...], site: str | None, formats: tuple[str, ...], folders: tuple[Path, ...]
) -> int:
    if len(destinations) != 1:
        raise UsageError("import: --adopt takes one --destination at a time")
    [name] = destinations
    places = [below(call.settings(), name, str(folder)) for folder in folders] or [""]
    so_far = [Adopted()]

    def told() -> Told:
        now = so_far[0]
        return Told(f"{now.read:,} of {now.files:,} files ({size(now.bytes)} in all)", now.read / max(now.files, 1))

    with Results() as results:
        app = results.watching(call.app())
        with watching("import", told):
            done = adopt(
                app, name, places, read_document, site=site, formats=formats, seen=lambda now: so_far.__setitem__(0, now)
            )
        refused = [f"{location}: {why}" for location, why in done.refused]
        if done.refused_more:
            refused.append(f"… and {done.refused_more:,} more files that were refused")
        status = conclude(call, results, refused, nothing="no file there has a name of this format", stored="adopted")
        if done.others:
            note(f"bic: {count(done.others, 'file')} with other names were left alone (--format tells how they are named)")
        return status
