"""`bic seal`: sealed days, and checking them without anything of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import rich_click as click

from bic_lib.actions.formatting import count
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import Key
from bic_lib.cli.output import line, print_json
from bic_lib.cli.tables import table
from bic_lib.cli.wrong_usage import Group
from bic_lib.core.errors import UsageError

if TYPE_CHECKING:
    from bic_lib.actions.seals import Checked, Sealed
    from bic_lib.engine.app import App
    from bic_lib.evidence.setup import Setup
    from bic_lib.evidence.statement import Head

_HEAD = {
    "number": Key("the last statement's number", 3),
    "day": Key("the day that it seals", "2026-08-01"),
    "sha256": Key("its SHA-256: who keeps it elsewhere knows later that the chain was not cut", "9f86d081884c7d65"),
}
_SEALED = {
    "ledger": Key("the ledger's id: its seals lie in `seals/ID/`", "5f2b8a1c9d3e7f60"),
    "key": Key("the key's id", "1f0e2d3c4b5a6978"),
    "fingerprint": Key("the key's fingerprint, for `bic seal verify --key`", "1f0e2d3c4b5a6978..."),
    "head": _HEAD,
}
JSON = {
    "seal init": {**_SEALED, "key_made": Key("a key was made; `false`: the one that was there is used", True)},
    "seal now": {"sealed": Key("the days that were sealed by this call", ["2026-08-01"]), "head": _HEAD},
    "seal head": _SEALED,
    "seal rotate": {
        "fingerprint": Key(
            "the other key's fingerprint; `--key` stays the first key's, but after a lost one", "1f0e2d3c4b5a6978..."
        )
    },
    "seal verify": {
        "state": Key("`proven`, `consistent` (with a key that lies in the same folder) or `broken`", "proven"),
        "ledger": Key("the ledger's id", "5f2b8a1c9d3e7f60", null="there is no chain to be judged"),
        "key": Key("the id of the chain's first key", "1f0e2d3c4b5a6978", null="there is no chain to be judged"),
        "head": {name: replace(key, null="there is no statement") for name, key in _HEAD.items()},
        "files": Key("files that must be there, and were looked at", 1204),
        "time_stamps": Key("statements with a time stamp that fits", 3),
        "elsewhere": Key("lines of other destinations and of databases, which this folder can't show", 0),
        "problems": [
            {
                "problem": Key(
                    "`missing`, `altered`: a file; `list`, `signature`, `chain`, `gap`, `key`, `time_stamp`, `head`: of seals; "
                    "`foreign`: in no list",
                    "altered",
                ),
                "location": Key("the file's name below the folder", "support.example.com-support-7c1f0e2a.xml"),
                "detail": Key("more words", "the list was altered"),
            }
        ],
    },
}


@click.group(name="seal", cls=Group)
def command() -> None:
    """Seal finished days: signed, chained lists of what was stored. And check them, without ledger, settings or network."""


@command.command()
@click.pass_obj
def init(call: Call) -> int:
    """Begin to seal: make the key, and an inventory of all that is there. Prints the key's fingerprint: keep it elsewhere."""
    from bic_lib.actions import seals  # noqa: PLC0415

    app, setup = _parts(call)
    sealed, made = seals.begin(app.ledger, setup)
    if call.json:
        print_json({**_told(sealed), "key_made": made})
        return 0
    line(f"key {sealed.key}{', made now: keep a copy of it elsewhere' if made else ', which was there'}")
    line(f"fingerprint {sealed.fingerprint}")
    line("Keep the fingerprint where nobody who may write the archive can change it: by it `bic seal verify --key` proves.")
    _show_head(sealed.head)
    return 0


@command.command()
@click.pass_obj
def now(call: Call) -> int:
    """Seal each finished day that is not sealed yet, one after the other; never today."""
    from bic_lib.actions import seals  # noqa: PLC0415
    from bic_lib.evidence import sealing  # noqa: PLC0415

    app, setup = _parts(call)
    sealed = list(sealing.seal(app.ledger, setup))
    found = seals.head(app.ledger)
    if call.json:
        print_json({"sealed": [one.day.isoformat() for one in sealed], "head": found.head.told()})
        return 0
    for one in sealed:
        line(f"sealed {one.day}: statement {one.number}, SHA-256 {one.sha256}")
    if not sealed:
        line("nothing to seal: all finished days are")
        _show_head(found.head)
    return 0


@command.command(name="head")
@click.pass_obj
def show_head(call: Call) -> int:
    """The last statement of the chain: number, day, SHA-256."""
    from bic_lib.actions import seals  # noqa: PLC0415

    app, _ = _parts(call)
    sealed = seals.head(app.ledger)
    if call.json:
        print_json(_told(sealed))
        return 0
    _show_head(sealed.head)
    line(f"key {sealed.key}, fingerprint {sealed.fingerprint}")
    return 0


@command.command()
@click.option("--lost", default="", metavar="WHY", help="The key in use can't sign any more, and why: a chain of its own begins.")
@click.pass_obj
def rotate(call: Call, lost: str) -> int:
    """Go on with another key: the next statement names it, the one after it is its first, signed by both."""
    from bic_lib.evidence import sealing  # noqa: PLC0415

    app, setup = _parts(call)
    fingerprint = sealing.rotate(app.ledger, setup, lost)
    if call.json:
        print_json({"fingerprint": fingerprint})
        return 0
    line(f"fingerprint {fingerprint}")
    if lost:
        line("Keep it beside the first one: who checks names both. Until somebody acknowledges the loss, `bic health` tells it.")
    return 0


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--key", "named", multiple=True, metavar="KEY", help="The first key: its public part in PEM, or its fingerprint. Repeatable."
)
@click.option("--destination", default="", metavar="D", help="Whose copy it is, where the seals lie in another destination's.")
@click.option("--head", default="", metavar="SHA256", help="A statement that must be among them, as it was mailed or noted.")
@click.option("--time-stamp-ca", type=click.File("rb"), metavar="PEM", help="Certificates of the time-stamping authority.")
@click.option("--self-consistent", is_flag=True, help="Exit status 0 also where nothing but the folder itself speaks for it.")
@click.option("--strict", is_flag=True, help="Also name files that are in no list.")
@click.pass_obj
def verify(
    call: Call,
    folder: Path,
    named: tuple[str, ...],
    destination: str,
    head: str,
    time_stamp_ca: BinaryIO | None,
    self_consistent: bool,
    strict: bool,
) -> int:
    """Check a copy of a destination against its seals. Needs no ledger, no settings, no network."""
    from bic_lib.actions import seals  # noqa: PLC0415

    authority = time_stamp_ca.read() if time_stamp_ca else b""
    trusted = [seals.fingerprint(one) for one in named]
    checked = seals.check(folder, trusted, destination=destination, head=head.lower(), strict=strict, authority=authority)
    if call.json:
        _print_checked(checked)
    else:
        _show_checked(checked)
    return 0 if checked.state == "proven" or (checked.state == "consistent" and self_consistent) else 1


def _parts(call: Call) -> tuple[App, Setup]:
    """Raises UsageError without `[seal]`."""
    from bic_lib import wiring  # noqa: PLC0415

    app = call.app()
    setup = wiring.sealing(call.settings(), app)
    if setup is None:
        raise UsageError("the settings have no [seal]", hint='Such as: [seal] destination = "archive" (docs/evidence.md).')
    return app, setup


def _told(sealed: Sealed) -> dict[str, Any]:
    return {"ledger": sealed.ledger, "key": sealed.key, "fingerprint": sealed.fingerprint, "head": sealed.head.told()}


def _show_head(head: Head | None) -> None:
    line(f"statement {head.number} seals {head.day}, SHA-256 {head.sha256}" if head else "no statement yet")


def _print_checked(checked: Checked) -> None:
    chain = checked.chain
    print_json(
        {
            "state": checked.state,
            "ledger": chain.ledger if chain else None,
            "key": chain.key if chain else None,
            "head": chain.head.told() if chain and chain.head else dict.fromkeys(_HEAD),
            "files": checked.files,
            "time_stamps": chain.stamped if chain else 0,
            "elsewhere": checked.elsewhere,
            "problems": [
                {"problem": str(one.problem), "location": one.location, "detail": one.detail} for one in checked.problems
            ],
        }
    )


def _show_checked(checked: Checked) -> None:
    chain = checked.chain
    key = chain.key if chain else ""
    said = {
        "proven": "proven: every file in the lists is there as it was sealed, and the chain begins with the key that was named",
        "consistent": f"consistent with key {key}, which lies in the same folder: that alone proves nothing",
        "broken": "BROKEN",
    }
    line(said[checked.state])
    _show_head(chain.head if chain else None)
    if chain and chain.stamped:
        line(f"{chain.stamped:,} of {len(chain.heads):,} statements have a time stamp that fits")
    others = ((checked.elsewhere, "line", "of other places"), (checked.others, "chain", "of other keys"))
    elsewhere = "".join(f"; {count(number, what)} {whose}" for number, what, whose in others if number)
    line(f"{count(checked.files, 'file')} looked at{elsewhere}")
    rows = [(str(one.problem), one.location, one.detail) for one in checked.problems]
    table("Problems", ("problem", "location", "detail"), rows)
