"""XML → rows against lxml with the simplest extraction of the same columns: `python -m benchmarks.rows [MEGABYTES]`."""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from lxml import etree

from benchmarks._reports import PARSER, sessions
from bic_lib.core.rows import session_rows

GOAL = 0.8


def simplest(record: etree._Element) -> list[tuple[object, ...]]:
    """The same columns in one pass: times made UTC the plain way, all else as it is, nothing trimmed, defaulted or cared for."""
    session = {child.tag: child for child in record}
    rows: list[tuple[object, ...]] = [(record.get("lsid"), *[child.text for child in session.values()])]
    for number, event in enumerate(session["session_details"]):
        by = by_type = to = to_type = None
        for child in event:
            tag = child.tag
            if tag == "data":
                rows += [(number, value.get("name"), value.get("value")) for value in child]
            elif tag == "performed_by":
                by, by_type = child.text, child.get("type")
            elif tag == "destination":
                to, to_type = child.text, child.get("type")
            else:
                rows.append((number, tag, child.text))
        when = datetime.fromtimestamp(int(event.get("timestamp", "0")), UTC)
        rows.append((event.get("event_type"), when, by, by_type, to, to_type))
    for name, columns in _COLUMNS.items():
        for element in session[name]:
            texts = {child.tag: child.text for child in element.iterdescendants()}
            rows.append((*element.values(), element.text, *[texts.get(column) for column in columns]))
    return rows


_ADDRESS = ("public_ip", "private_ip", "hostname", "os")
_NAMES = ("username", "private_display_name", "public_display_name", "display_number")
_COLUMNS = {
    "rep_list": (*_NAMES, *_ADDRESS, "session_owner", "primary_rep", "seconds_involved"),
    "customer_list": ("issue", "details", "name", "company", "company_code", *_ADDRESS, "rpat_support"),
    "team_list": ("name", "primary_team"),
    "custom_attributes": (),
}


def seconds(extracts: Sequence[Callable[[etree._Element], object]], megabytes: float) -> list[float]:
    """CPU time of parsing and extracting, for each way in turn on each session: so a busy machine slows all alike."""
    taken = [0.0] * len(extracts)
    for number, xml in enumerate(sessions(megabytes)):
        for place in sorted(range(len(extracts)), reverse=bool(number % 2)):
            begin = time.process_time()
            extracts[place](etree.fromstring(xml, PARSER))
            taken[place] += time.process_time() - begin
    return taken


def ours(record: etree._Element) -> object:
    return session_rows(record, "support.example.com")


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(megabytes: float = 10.0) -> None:
    pairs = [seconds((simplest, ours), 2) for _ in range(9)]
    ratio = statistics.median(plain / rows for plain, rows in pairs)
    small = peak_mb()
    [taken] = seconds((ours,), megabytes)
    speed = f"{megabytes / taken:.0f} MB/s against {2 / statistics.median(plain for plain, _ in pairs):.0f} MB/s"
    memory = f"peak memory {small:.0f} MB after 2 MB, {peak_mb():.0f} MB after {megabytes:g} MB of input"
    print(f"rows: ratio {ratio:.2f} (goal ≥ {GOAL}) {speed}; {memory}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
