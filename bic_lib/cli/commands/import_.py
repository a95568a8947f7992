"""`bic import`: session XML that was stored earlier, into any destination."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from bic_lib.actions.formatting import count
from bic_lib.actions.importing import files_of, import_files
from bic_lib.actions.results import Results
from bic_lib.appliance.session_documents import read_document
from bic_lib.cli.call import Call
from bic_lib.cli.outcome import JSON as OUTCOME
from bic_lib.cli.outcome import conclude
from bic_lib.cli.progress import Told, watching

JSON = {"import": OUTCOME}


@click.command(name="import")
@click.option("--destination", "destinations", multiple=True, required=True, metavar="D", help="A destination; repeatable.")
@click.option("--site", metavar="S", help="The site that the files came from; left out: by the host in their names.")
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_obj
def command(call: Call, destinations: tuple[str, ...], site: str | None, folders: tuple[Path, ...]) -> int:
    """Import session XML that the vendor's program (or bic) stored. What the ledger knows already is left alone."""
    with Results() as results:
        app = results.watching(call.app())
        read = [0]

        def told() -> Told:
            return Told(
                f"{read[0]:,} of {total:,} files read, {results.so_far.stored:,} sessions stored", read[0] / max(total, 1)
            )

        def seen(_path: Path) -> None:
            read[0] += 1

        total = sum(1 for _ in files_of(folders))
        with watching("import", told):
            imported = import_files(app, folders, destinations, read_document, site=site, seen=seen)
        refused = [f"{path}: {reason}" for path, reason in imported.refused]
        nothing = f"no session in {count(imported.files, 'file')}" if imported.files else "no XML file there"
        return conclude(call, results, [*imported.troubles, *refused], nothing=nothing)
