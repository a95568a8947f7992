"""`bic verify`: is what was stored still there, unaltered?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any, TextIO

import rich_click as click

from bic_lib.actions.repairing import REPAIRABLE, Found, Repaired
from bic_lib.actions.repairing import repair as repair_found
from bic_lib.actions.time_arguments import moment
from bic_lib.actions.timestamps import iso
from bic_lib.actions.verify import Asked, verify
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import ByName, Key
from bic_lib.cli.output import line, note, print_json
from bic_lib.cli.progress import Told, watching
from bic_lib.cli.tables import table
from bic_lib.core.errors import UsageError
from bic_lib.engine.app import App
from bic_lib.engine.proving import Problem
from bic_lib.engine.verifying import Verified
from bic_lib.ledger.records import Record
from bic_lib.settings import times

JSON = {
    "verify": {
        "checked": Key("transfers looked at", 1204),
        "unproven": Key("how many of these are rows that were loaded before rows had a digest", 0),
        "brought": ByName("origin", "upload", Key("how many of these the appliance did not send, by `upload` or `import`", 3)),
        "problems": [
            {
                "site": Key("the site's name; empty for what belongs to none", "support"),
                "destination": Key("the destination's name; empty for a row of the ledger", "archive"),
                "location": Key(
                    "the file's name; of rows `session/HOST/LSID`; of other foreign files their folder; of the ledger the row",
                    "support.example.com-support-7c1f0e2a.xml",
                ),
                "lsid": Key("session id", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
                "problem": Key(
                    "`missing`, `altered`, `size`; `erased`: sealed, and unknown now; "
                    "`unlisted`: stored, and in no seal; `seal`: of the chain of seals; "
                    "`newer`: rows that another ledger loaded since; `foreign`: not in the ledger; "
                    "`damaged`: a row of the ledger, or all of it; `unknown`: the ledger knows nothing of this destination, "
                    "where something of ours lies; `unreadable`: it could not be looked at",
                    "size",
                ),
                "detail": Key("more words", "10 bytes instead of 18210", only="where there are any"),
            }
        ],
        "mended": [
            {
                "site": Key("the site's name", "support"),
                "destination": Key("where it was brought again, by `--repair`", "archive"),
                "location": Key("as what it lies there now", "support.example.com-support-7c1f0e2a.xml"),
                "lsid": Key("session id", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
                "problem": Key("what it was, in the words of `problems`", "altered"),
                "origin": Key("where it came from: `appliance`, or `destination:NAME`", "appliance"),
            }
        ],
    }
}


@click.command(name="verify")
@click.option("--destination", metavar="D", help="Only this destination.")
@click.option("--site", metavar="S", help="Only this site.")
@click.option("--lsid", metavar="L", help="Only this session.")
@click.option("--since", metavar="DATE", help="Only sessions and backups that began then or later.")
@click.option("--share", metavar="5%", help="Only this part of all, going on where the last one ended.")
@click.option("--quick", is_flag=True, help="Compare sizes and what the store keeps beside a file; read no content.")
@click.option("--strict", is_flag=True, help="Also name what lies there and the ledger does not know.")
@click.option(
    "--repair", is_flag=True, help="Bring again what is missing or altered: from the appliance, or another destination."
)
@click.option("--yes", is_flag=True, help="With --repair: don't ask.")
@click.option(
    "--manifest", type=click.File("w", encoding="utf-8"), help="Also write each transfer as a line of JSON to this file."
)
@click.pass_obj
def command(
    call: Call, /, manifest: TextIO | None, since: str | None, share: str | None, repair: bool, yes: bool, **named: Any
) -> int:
    """Read again what is stored, compare it with the ledger, and name what is missing or altered.

    With --repair it is brought again. What lies altered in its place is kept beside it, as NAME.altered-…, where the place can
    rename a file, else where it is. Asks first, unless --yes.
    """
    looked_at = [0]
    wrong: list[Found] = []

    def seen(record: Record, problem: Problem | None) -> None:
        looked_at[0] += 1
        if problem and problem.problem in REPAIRABLE:
            wrong.append((record, problem))
        if manifest:
            manifest.write(_manifest_line(record, problem))

    asked = Asked(since=moment(since, "--since") if since else None, share=_part(share) if share else None, **named)
    if asked.share and asked.strict:
        raise UsageError("--strict looks at all there is, --share at a part of it: give one of them.")
    from bic_lib import wiring  # noqa: PLC0415

    app = call.app()
    if manifest:
        manifest.write("")  # opens it: a place that can't be written is told now, and a proof of nothing is an empty file
    with watching("verify", lambda: Told(f"{looked_at[0]:,} looked at")):
        verified = verify(app, asked, seen=seen, seals=wiring.sealing(call.settings(), app))
    done = Repaired()
    if repair and wrong:
        done = _repaired(app, wrong, yes=yes)
        tried = {problem for _, problem in wrong}
        verified.problems = [*done.left, *(one for one in verified.problems if one not in tried)]
    if call.json:
        _print_json(verified, done)
    else:
        _show(verified)
        if done.mended:
            rows = [_mended(record, problem) for record, problem in done.mended]
            table("Brought again", ("destination", "location", "lsid", "was", "from"), rows)
    return 1 if verified.problems else 0


def _repaired(app: App, wrong: list[Found], *, yes: bool) -> Repaired:
    """Repair, once somebody agreed. Raises UsageError where nobody can be asked."""
    if yes or _agreed(wrong):
        with watching("repair", lambda: Told(f"{len(wrong):,} to be brought again")):
            return repair_found(app, wrong)
    note("bic: nothing was brought again")
    return Repaired(left=[problem for _, problem in wrong])


def _agreed(wrong: list[Found]) -> bool:
    if not sys.stdin.isatty():
        told = f"verify: {len(wrong):,} would be brought again, and there is no terminal to ask at"
        raise UsageError(told, hint="Add --yes.")
    for _, one in wrong:
        note(f"{one.problem}: {one.location} at {one.destination}")
    return click.confirm(f"Bring {len(wrong):,} again?", err=True)


def _mended(record: Record, problem: Problem) -> tuple[str, ...]:
    return problem.destination, record.outcome.location, problem.lsid, problem.problem, record.origin or "appliance"


def _part(text: str) -> float:
    """A percentage as a part of 1. Raises UsageError."""
    try:
        return times.share(text)
    except ValueError as error:
        raise UsageError(f"--share: {error}") from error


def _print_json(verified: Verified, done: Repaired) -> None:
    problems = [{name: value for name, value in asdict(one).items() if name != "detail" or value} for one in verified.problems]
    counts = {"checked": verified.checked, "unproven": verified.unproven, "brought": verified.brought}
    names = ("destination", "location", "lsid", "problem", "origin")
    mended = [dict(zip(names, _mended(*one), strict=True)) | {"site": one[0].item.site} for one in done.mended]
    print_json({**counts, "problems": problems, "mended": mended})


def _show(verified: Verified) -> None:
    brought = "".join(f", {count:,} of them by {origin}" for origin, count in sorted(verified.brought.items()))
    unproven = f", {verified.unproven:,} of them rows that are not yet proven (docs/sql.md)" if verified.unproven else ""
    nothing = "" if verified.checked else ": the ledger holds nothing stored that was asked for"
    line(f"{verified.checked:,} checked{brought}{unproven}{nothing}")
    rows = [(one.destination, one.location, one.lsid, one.problem, one.detail) for one in verified.problems]
    table("Problems", ("destination", "location", "lsid", "problem", "detail"), rows)


def _manifest_line(record: Record, problem: Problem | None) -> str:
    item, outcome = record.item, record.outcome
    shown = {
        "site": item.site,
        "data": item.data,
        "lsid": item.lsid,
        "instance": item.instance,
        "destination": record.destination,
        "location": outcome.location,
        "size": outcome.size,
        "sha256": outcome.sha256,
        "version": record.version,
        "stored_at": iso(record.at),
        "origin": record.origin or "appliance",
        "problem": problem.problem if problem else None,
    }
    return json.dumps(shown) + "\n"
