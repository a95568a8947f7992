"""A hostile id, answer or file name is nowhere obeyed: terminal, log, JSON, page (A15)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.simulator import Fault, Simulator
from tests.support import Bic, archive, end, hourly, site
from tests.web.conftest import Service, serving

BREAK = "&#10;bic: FORGED&#13;FORGED&#x85;FORGED&#x2028;FORGED&#x202e;&#x200f;&#xfeff;"
"""What XML lets an id hold: line breaks of four kinds, direction marks, a byte order mark."""
HOSTILE = f"""<session_list><session lsid="x{BREAK}"><session_type>support{BREAK}</session_type>
<external_key>key{BREAK}</external_key><start_time timestamp="1760000000"/><end_time timestamp="1760000100"/></session>
<session lsid="y{BREAK}"><start_time timestamp="1760000000"/><end_time timestamp="1760000100"/><a></session></session_list>"""
NAME = "a\x1b[31m\nbic: FORGED\u202e\x9b.xml"
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def demand_tame(text: str) -> None:
    """Nothing in it is obeyed, and no line of it is forged. (What a table wraps is indented.)"""
    assert OBEYED.findall(text.replace("\r\n", "\n")) == []
    assert [line for line in text.splitlines() if re.match(r"[^\w ]*(bic: )?FORGED", line)] == []


@pytest.fixture
def hostile(bic: Bic, appliance: Simulator) -> Bic:
    """`bic` with a ledger that knows hostile ids, of a site that answers in hostile words."""
    settings = bic.folder / "bic.toml"
    logs = '[logs]\ndirectory = "logs"\n'
    settings.write_text(
        site(appliance) + archive(more='file_name_format = "%LSID%-%EXTERNAL_KEY%.%EXTENSION%"') + hourly() + logs
    )
    (bic.folder / "old").mkdir()
    (bic.folder / "old" / f"{appliance.host.partition(':')[0]}-{NAME}").write_text(HOSTILE, encoding="utf-8")
    appliance.faults.standing = [Fault("SupportSession", error=f"It is odd{BREAK}")]
    return bic


def said(bic: Bic, *arguments: str) -> str:
    ended = bic(*arguments)
    return ended.out + ended.err


@pytest.mark.slow
def test_no_command_shows_what_could_be_obeyed(hostile: Bic) -> None:
    """Neither as text, nor as JSON, nor in a traceback, nor in what is logged for whoever watches."""
    texts = [
        said(hostile, "import", "--site", "support", "--destination", "archive", "old"),
        said(hostile, "import", "--site", "support", "--destination", "archive", "old", "--verbose"),
        said(hostile, "run", "--once"),
        said(hostile, "run", "--now", "--verbose"),
        *(said(hostile, *command) for command in (("failures",), ("failures", "--all"), ("status",), ("runs",), ("check",))),
        said(hostile, "verify"),
        said(hostile, "retry", "no-such-\x1b[31m\nbic: FORGED"),
        said(hostile, "download", "--site", "support", "--destination", "archive", "--data", "sessions", "--lsid", "a\nFORGED"),
        said(hostile, "FORGED\n\x1b"),
    ]
    assert any("FORGED" in text for text in texts)
    for text in texts:
        demand_tame(text)
    for command in ("failures", "status", "runs", "verify"):
        told = hostile(command, "--json")
        demand_tame(told.out)
        json.loads(told.out)
    for path in (hostile.folder / "logs").iterdir():
        demand_tame(path.read_text(encoding="utf-8"))


@pytest.fixture
def pages(hostile: Bic, appliance: Simulator) -> Iterator[Service]:
    """The pages over such a ledger."""
    hostile("import", "--site", "support", "--destination", "archive", "old")
    hostile("run", "--once")
    with serving(hostile.folder, appliance, (hostile.folder / "bic.toml").read_text()) as service:
        yield service


def test_no_page_and_no_answer_holds_it(pages: Service) -> None:
    """Pages as people see them, answers as programs read them; what was asked is repeated tamely."""
    answers = [pages.get("/api/ui/failures"), pages.get("/api/status"), pages.get("/api/runs/x%0AFORGED%1B")]
    answers += [pages.post("/api/download", json={"sites": ["a\nFORGED\u202e"], "destinations": ["archive"]})]
    for answer in answers:
        demand_tame(answer.content.decode())
    assert "FORGED" in answers[0].text + answers[1].text
    for sentence in sentences([answer.json() for answer in answers[1:]]):
        demand_tame(sentence)
        assert "\n" not in sentence


def sentences(value: object, key: str = "") -> Iterator[str]:
    """What JSON answers say to people."""
    if isinstance(value, str) and key in {"reason", "text", "detail", "hint", "problems", "troubles"}:
        yield value
    for name, part in value.items() if isinstance(value, dict) else ():
        yield from sentences(part, name)
    for part in value if isinstance(value, list) else ():
        yield from sentences(part, key)


def test_a_running_scheduler_logs_no_forged_line(hostile: Bic) -> None:
    """Standard error of `bic run` is read by people and by collectors of logs, line by line."""
    process = hostile.start("run")
    assert process.stderr is not None
    first = process.stderr.readline()
    ended = end(process)
    demand_tame(first.decode() + ended.err)


def test_file_names_are_safe_already(hostile: Bic) -> None:
    """What a hostile id becomes on a disk has no such characters at all."""
    said(hostile, "import", "--site", "support", "--destination", "archive", "old")
    for path in Path(hostile.folder / "archive").rglob("*"):
        demand_tame(path.name)
