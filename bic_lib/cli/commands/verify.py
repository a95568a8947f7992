"""`bic verify`: is what was stored still there, unaltered?"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TextIO

import rich_click as click

from bic_lib.actions.timestamps import iso
from bic_lib.actions.verify import Problem, verify
from bic_lib.cli.call import Call
from bic_lib.cli.json_shape import ByName, Key
from bic_lib.cli.output import line, print_json
from bic_lib.cli.progress import Told, watching
from bic_lib.cli.tables import table
from bic_lib.ledger.records import Record

JSON = {
    "verify": {
        "checked": Key("transfers looked at", 1204),
        "unproven": Key("how many of these are rows that were loaded before rows had a digest", 0),
        "brought": ByName("origin", "upload", Key("how many of these the appliance did not send, by `upload` or `import`", 3)),
        "problems": [
            {
                "destination": Key("the destination's name", "archive"),
                "location": Key("the file's name; of rows empty", "support.example.com-support-7c1f0e2a.xml"),
                "lsid": Key("session id", "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"),
                "problem": Key(
                    "`missing`, `altered`, `size`, `newer` (rows that another ledger loaded since) or `unreadable`", "size"
                ),
                "detail": Key("more words", "10 bytes instead of 18210", only="where there are any"),
            }
        ],
    }
}


@click.command(name="verify")
@click.option("--destination", metavar="D", help="Only this destination.")
@click.option("--quick", is_flag=True, help="Compare sizes and what the store keeps beside a file; read no content.")
@click.option(
    "--manifest", type=click.File("w", encoding="utf-8"), help="Also write each transfer as a line of JSON to this file."
)
@click.pass_obj
def command(call: Call, destination: str | None, quick: bool, manifest: TextIO | None) -> int:
    """Read again what is stored, compare it with the ledger, and name what is missing or altered."""
    looked_at = [0]

    def seen(record: Record, problem: Problem | None) -> None:
        looked_at[0] += 1
        if manifest:
            manifest.write(_manifest_line(record, problem))

    app = call.app()
    with watching("verify", lambda: Told(f"{looked_at[0]:,} looked at")):
        verified = verify(app, destination, quick=quick, seen=seen)
    if call.json:
        problems = [
            {name: value for name, value in asdict(one).items() if name != "detail" or value} for one in verified.problems
        ]
        counts = {"checked": verified.checked, "unproven": verified.unproven, "brought": verified.brought}
        print_json({**counts, "problems": problems})
    else:
        rows = [(one.destination, one.location, one.lsid, one.problem, one.detail) for one in verified.problems]
        brought = "".join(f", {count:,} of them by {origin}" for origin, count in sorted(verified.brought.items()))
        unproven = f", {verified.unproven:,} of them rows that are not yet proven (docs/sql.md)" if verified.unproven else ""
        line(f"{verified.checked:,} checked{brought}{unproven}")
        table("Problems", ("destination", "location", "lsid", "problem", "detail"), rows)
    return 1 if verified.problems else 0


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
