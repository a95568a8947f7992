"""Each question of docs/sql.md, asked of sessions as nobody's demo has them, and reckoned once more from the sessions themselves.

The sessions are made by chance, with what makes a query count wrongly: nobody or several on either side, the same team
or machine twice in one session, numbers given anew, sizes before names, sites with the same lsid, sessions without an end, years.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import pytest

from bic_lib.contracts.documents import document
from bic_lib.destinations.sql import create
from contrib.questions import questions

QUERIES = {question.title: question.query for question in questions()}
HOSTS = ("one.example.com", "two.example.com")
NAMES = ("Zoë", "Ada", "東京", "Иван", "ﷺ", "O'Brien")
MACHINES = ("NB-1", "NB-2", "東京-PC", None)
TEAMS = ("First", "Second", "Übung")
EVENTS = (
    *("Chat Message", "File Upload", "File Download", "File Upload Failed", "File Download Failed", "Files Shared"),
    *("Registry Exported", "Registry Key Added", "Command Shell Session Started", "Remote Shell Session Started"),
)
Session = dict[str, Any]


def made(chance: random.Random, number: int) -> Session:
    """A session as plain data."""
    start = int(datetime(chance.choice((1999, 2024, 2025, 2026)), 1, 1, tzinfo=UTC).timestamp()) + chance.randrange(30_000_000)
    length = chance.choice((None, 0, 59, 3_600, 3_601, 400_000))
    customers = [
        {
            "number": chance.choice((1, 7)),
            "name": chance.choice(NAMES),
            "machine": chance.choice(MACHINES),
            "os": chance.choice("ab"),
        }
        for _ in range(chance.choice((0, 1, 1, 2)))
    ]
    representatives = [
        {
            "number": 7 + n,
            "user": chance.choice(("zoë", "ada", None)),
            "name": chance.choice(NAMES),
            "seconds": chance.choice((0, 61)),
        }
        | {"ip": chance.choice(("192.0.2.1:{}", "[2001:db8::1]:{}", "Unknown", "192.0.2.9")).format(50_000 + number)}
        for n in range(chance.choice((0, 1, 2, 3)))
    ]
    events = [event(chance, start + n, customers, representatives) for n in range(chance.randrange(12))]
    return {
        "host": chance.choice(HOSTS),
        "lsid": f"s{number // 2}",
        "start": start,
        "length": length,
        "key": f"K{number % 9}",
        "customers": customers,
        "representatives": representatives,
        "events": events,
        "teams": [chance.choice(TEAMS) for _ in range(chance.choice((0, 1, 2, 3)))],
        "ratings": [(chance.choice(("cust", "rep")), chance.choice("1x5")) for _ in range(chance.choice((0, 1, 2)))],
    }


def event(chance: random.Random, when: int, customers: list[Any], representatives: list[Any]) -> dict[str, Any]:
    by = [("customer", one) for one in customers] + [("representative", one) for one in representatives]
    files = [(chance.choice("abc") + ".txt", chance.choice((None, 0, 5_000, 2**40))) for _ in range(chance.choice((0, 1, 1, 3)))]
    role, who = chance.choice(by) if by else ("system", {"number": 0, "name": "Queue"})
    return {
        "when": when,
        "type": chance.choice(EVENTS),
        "role": role,
        "who": who,
        "files": files,
        "before": chance.random() < 0.5,
    }


def xml(session: Session) -> str:
    def named(tag: str, value: object) -> str:
        return "" if value is None else f"<{tag}>{escape(str(value))}</{tag}>"

    def told(one: dict[str, Any]) -> str:
        inside = [
            [named("filename", name), named("filesize", size)][:: -1 if one["before"] else 1] for name, size in one["files"]
        ]
        if one["type"] == "Chat Message":
            body = f"<body>{escape(one['who']['name'])}</body>"
        elif len(inside) == 1:
            body = "".join(inside[0])
        else:
            body = "<files>" + "".join(f"<file>{''.join(parts)}</file>" for parts in inside) + "</files>"
        by = f'<performed_by type="{one["role"]}" gsnumber="{one["who"]["number"]}">{escape(one["who"]["name"])}</performed_by>'
        return f'<event timestamp="{one["when"]}" event_type={quoteattr(one["type"])}>{by}{body}</event>'

    customers = "".join(
        f'<customer gsnumber="{one["number"]}"><info>{named("name", one["name"])}</info>{named("hostname", one["machine"])}'
        f"{named('os', one['os'])}</customer>"
        for one in session["customers"]
    )
    representatives = "".join(
        f'<representative gsnumber="{one["number"]}">{named("username", one["user"])}{named("private_display_name", one["name"])}'
        f"{named('public_ip', one['ip'])}{named('seconds_involved', one['seconds'])}<primary_rep>{int(not n)}</primary_rep>"
        "</representative>"
        for n, one in enumerate(session["representatives"])
    )
    teams = "".join(
        f'<team id="{TEAMS.index(name)}"><name>{name}</name><primary_team>{int(not n)}</primary_team></team>'
        for n, name in enumerate(session["teams"])
    )
    surveys = "".join(
        f'<{who}_survey_list><{who}_exit_survey gsnumber="7"><value name="rating" value="{answer}"/></{who}_exit_survey>'
        f"</{who}_survey_list>"
        for who, answer in dict(session["ratings"]).items()
    )
    key = named("external_key", session["key"])
    end = "" if session["length"] is None else f'<end_time timestamp="{session["start"] + session["length"]}"/>'
    return (
        f'<session lsid="{session["lsid"]}"><start_time timestamp="{session["start"]}"/>{end}{key}'
        f"<customer_list>{customers}</customer_list><rep_list>{representatives}</rep_list><team_list>{teams}</team_list>{surveys}"
        f"<session_details>{''.join(map(told, session['events']))}</session_details></session>"
    )


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Session]]:
    """A database, and what it was filled with."""
    chance = random.Random(4711)
    by_key = {(one["host"], one["lsid"]): one for one in (made(chance, number) for number in range(240))}
    file = tmp_path_factory.mktemp("odd") / "odd.sqlite"
    for host in HOSTS:
        create(connection_string=f"sqlite:///{file}").load(
            host, [document(xml(one)) for one in by_key.values() if one["host"] == host]
        )
    return file, list(by_key.values())


# --- the same once more, in Python -----------------------------------------------------------------------------------


def text(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S")


def monday(when: int) -> str:
    day = datetime.fromtimestamp(when, UTC).date()
    return str(day - timedelta(days=day.weekday()))


def moved(sessions: Iterable[Session]) -> Iterable[tuple[Session, Any, str | None, int | None, str | None]]:
    """Session, event, name, size and machine of each file; a transfer without files once."""
    for one in sessions:
        for did in one["events"]:
            if did["type"].startswith("File"):
                named = [person for person in one["customers"] if person["name"] == did["who"]["name"]]
                machine = next((person["machine"] for person in named + one["customers"]), None)
                for name, size in did["files"] or [(None, None)]:
                    yield one, did, name, size, machine


def address(ip: str) -> str:
    return ip.partition("]")[0].strip("[") if ip.startswith("[") else ip.partition(":")[0]


def files_of(sessions: list[Session]) -> list[Any]:
    counted: dict[Any, list[Any]] = defaultdict(list)
    for _, did, _, size, machine in moved(sessions):
        if not did["type"].endswith("Failed"):
            counted[did["who"]["name"], did["type"]].append((size, machine))
    return [
        (*key, len(files), len({machine for _, machine in files} - {None}), total([size for size, _ in files]))
        for key, files in counted.items()
    ]


def total(values: list[int | None]) -> int | None:
    return sum(value or 0 for value in values) if any(value is not None for value in values) else None


def worked(sessions: list[Session]) -> list[Any]:
    counted: dict[Any, list[Any]] = defaultdict(list)
    for number, one in enumerate(sessions):
        for who in one["representatives"] if text(one["start"]) >= "2025" else ():
            counted[who["user"]].append((number, who["seconds"]))
    return [(user, len(dict(held)), sum(seconds for _, seconds in held) / 3600) for user, held in counted.items()]


def by_team(sessions: list[Session]) -> list[Any]:
    counted: dict[Any, list[int | None]] = defaultdict(list)
    for one in sessions:
        for team in set(one["teams"]):
            counted[monday(one["start"]), one["host"], team].append(one["length"])
    return [(*key, len(held), None if (sum_ := total(held)) is None else sum_ / 3600) for key, held in counted.items()]


def lengths(sessions: list[Session]) -> list[Any]:
    counted: dict[Any, list[int]] = defaultdict(list)
    for one in sessions:
        if one["length"] is not None:
            counted[next(iter(one["teams"]), None)].append(one["length"])
    return [(team, len(held), mean(held) / 60) for team, held in counted.items()]


def acted(sessions: list[Session], types: Iterable[str]) -> list[Any]:
    return [
        (text(did["when"]), one["lsid"], did["who"]["name"]) for one in sessions for did in one["events"] if did["type"] in types
    ]


def addresses(sessions: list[Session]) -> list[Any]:
    counted: dict[Any, dict[int, int]] = defaultdict(dict)
    for number, one in enumerate(sessions):
        for who in one["representatives"]:
            counted[who["user"], address(who["ip"]), None][number] = one["start"]
    return [(*key, len(held), text(max(held.values()))) for key, held in counted.items()]


def machines(sessions: list[Session]) -> list[Any]:
    counted: dict[str, dict[int, int]] = defaultdict(dict)
    for number, one in enumerate(sessions):
        for who in one["customers"]:
            if who["machine"]:
                counted[who["machine"]][number] = one["start"]
    return [(machine, len(held), text(max(held.values()))) for machine, held in counted.items()]


def systems(sessions: list[Session]) -> list[Any]:
    held = [(who["os"], number, who["machine"]) for number, one in enumerate(sessions) for who in one["customers"]]
    return [
        (system, len({number for os, number, _ in held if os == system}), len({m for os, _, m in held if os == system} - {None}))
        for system in {os for os, *_ in held}
    ]


def rated(sessions: list[Session]) -> list[Any]:
    counted: dict[Any, list[int]] = defaultdict(list)
    for one in sessions:
        if (answer := dict(one["ratings"]).get("cust", "")).isdigit():
            counted[next((who["name"] for who in one["representatives"]), None)].append(int(answer))
    return [(who, len(held), mean(held)) for who, held in counted.items()]


RECKONED: dict[str, tuple[tuple[int, ...], Callable[[list[Session]], list[Any]]]] = {
    "What happened for this ticket?": ((0, 1), lambda all_: [(one["host"], one["lsid"]) for one in all_ if one["key"] == "K0"]),
    "What was said in this session?": (
        (1, 3),
        lambda all_: [
            (did["role"], did["who"]["name"])
            for one in [min((one for one in all_ if said(one)), key=lambda one: (one["lsid"], one["host"]))]
            for did in said(one)
        ],
    ),
    "Which files left customers' computers, largest first?": (
        (0, 2, 3, 4),
        lambda all_: [
            (text(did["when"]), machine, name, size)
            for _, did, name, size, machine in moved(all_)
            if did["type"] == "File Download"
        ],
    ),
    "Who moved how many files, and on how many machines?": ((0, 1, 2, 3, 4), files_of),
    "Which file transfers failed?": (
        (0, 1, 2, 3, 4),
        lambda all_: [
            (text(did["when"]), did["type"], did["who"]["name"], machine, name)
            for _, did, name, _, machine in moved(all_)
            if did["type"].endswith("Failed")
        ],
    ),
    "Who worked how long, from 2025 on?": ((0, 1, 2), worked),
    "How many sessions had each team, week by week?": ((0, 1, 2, 3, 4), by_team),
    "How long does a session take, by team?": ((0, 1, 2), lengths),
    "Which sessions went on for more than an hour?": (
        (0, 5),
        lambda all_: [(text(one["start"]), one["lsid"]) for one in all_ if (one["length"] or 0) > 3_600],
    ),
    "Which sessions opened a command shell, and who did, from where?": (
        (0, 2, 3),
        lambda all_: acted(all_, ("Command Shell Session Started", "Remote Shell Session Started")),
    ),
    "Who changed a customer's registry?": ((0, 3, 1), lambda all_: acted(all_, ["Registry Key Added"])),
    "From which addresses did representatives work?": ((0, 1, 2, 3, 4), addresses),
    "Which machines needed help most often?": ((0, 1, 2), machines),
    "What happened on this machine?": (
        (0, 1),
        lambda all_: [
            (text(one["start"]), one["lsid"]) for one in all_ if "東京-PC" in [who["machine"] for who in one["customers"]]
        ],
    ),
    "Which operating systems do customers have?": ((0, 1, 2), systems),
    "What did customers answer after their sessions?": (
        (2, 3),
        lambda all_: [("rating", dict(one["ratings"])["cust"]) for one in all_ if "cust" in dict(one["ratings"])],
    ),
    "How do customers rate each representative?": ((0, 1, 2), rated),
    "Which sessions have no end, or nobody who joined?": (
        (0, 1),
        lambda all_: [(one["lsid"], text(one["start"])) for one in all_ if one["length"] is None or not one["representatives"]],
    ),
    "What was loaded when, and under which digest?": ((0, 1), lambda all_: [(one["host"], one["lsid"]) for one in all_]),
}
"""By title: which columns of the answer are reckoned, and what they are. What lies where the ledger tells, not a session."""


def said(session: Session) -> list[Any]:
    return [did for did in session["events"] if did["type"] == "Chat Message"]


@pytest.mark.parametrize("title", QUERIES)
def test_an_answer_is_what_the_sessions_say(sessions: tuple[Path, list[Session]], title: str) -> None:
    """Whatever the sessions hold, each row and each count of an answer is the one that a reckoning by hand gives."""
    if title not in RECKONED:
        assert "bic_file" in QUERIES[title], "this question is reckoned by nobody"
        return
    file, held = sessions
    places, reckoned = RECKONED[title]
    with closing(sqlite3.connect(file)) as connection:
        answer = [tuple(rounded(row[place]) for place in places) for row in connection.execute(QUERIES[title])]
    wanted = [tuple(map(rounded, row)) for row in reckoned(held)]
    assert wanted
    assert Counter(answer) == Counter(wanted)


def rounded(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value
