"""`bic ledger`: the whole ledger into a file, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import rich_click as click

from bic_lib import wiring
from bic_lib.actions.formatting import count
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, print_json
from bic_lib.cli.progress import Told, watching
from bic_lib.cli.wrong_usage import Group
from bic_lib.core.errors import LedgerError
from bic_lib.core.ports.store import Store
from bic_lib.ledger import copying

_COPIED = {
    "rows": Key("rows of the ledger", 18250),
    "sha256": Key("SHA-256 of the lines in the file", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
}
JSON = {"ledger export": _COPIED, "ledger import": _COPIED}


@click.group(name="ledger", cls=Group)
def command() -> None:
    """Copy the ledger into a file, or bring a copy into an empty one: to move it, or to restore it."""


@command.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.pass_obj
def export(call: Call, file: Path) -> int:
    """Write the ledger into a new FILE, compressed, with a checksum at its end. Nobody may be at work in it meanwhile."""
    return _copy(call, "export", lambda store, seen: copying.export(store, file, seen), file)


@command.command(name="import")
@click.option("--new", is_flag=True, help="The copy goes on beside its original: its seals begin anew, under an id of its own.")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.pass_obj
def import_(call: Call, new: bool, file: Path) -> int:
    """Bring the copy in FILE into the ledger that the settings name, which must be empty."""
    return _copy(call, "import", lambda store, seen: copying.restore(store, file, new=new, seen=seen), file)


def _copy(call: Call, what: str, copy: Callable[[Store, copying.Seen], copying.Copied], file: Path) -> int:
    so_far = [0]
    store = wiring.ledger_store(call.settings())
    try:
        with watching(f"ledger {what}", lambda: Told(f"{so_far[0]:,} rows")):
            copied = copy(store, lambda rows: so_far.__setitem__(0, rows))
    except OSError as error:
        raise LedgerError(
            f"The copy can't be written to {file}: {error.strerror}.", hint="Name a new file in a folder that is there."
        ) from error
    finally:
        store.close()
    if call.json:
        print_json({"rows": copied.rows, "sha256": copied.sha256})
    else:
        line(f"{count(copied.rows, 'row')} {what}ed, SHA-256 {copied.sha256}")
    return 0
