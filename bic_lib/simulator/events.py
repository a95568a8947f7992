"""The events of a support session, told in order: what `session_details` holds (docs/appliance.md 3.10-3.13)."""

from base64 import encodebytes
from collections.abc import Iterator, Sequence
from functools import lru_cache
from random import Random

from bic_lib.simulator.cast import CHAT, COMMENTS, FILES, NOTES, WINDOWS, Cast, Customer, Representative
from bic_lib.simulator.markup import Links, attribute, text, values
from bic_lib.simulator.population import SessionTruth

Event = tuple[float, str, str]
"""When (as a share of the session's planned length), what type, and the XML of its children."""

SYSTEM = '\t<performed_by type="system" gsnumber="0">BeyondTrust</performed_by>\n'
_UNTOLD = "exit code \x1b[31m1\x1b[0m"
"""Characters that XML cannot hold: such text comes as `encoded_body`."""


def session_details(truth: SessionTruth, cast: Cast, random: Random, links: Links, padding_bytes: int) -> str:
    """The element `session_details` with all events up to now."""
    told = truth.lasted / truth.planned
    lines = ["\t<session_details>\n"]
    for share, kind, children in _story(truth, cast, random, links):
        if share > told:
            break
        lines.append(event(truth.start + int(share * truth.planned), kind, children))
    if padding_bytes:
        lines.append(_padding(padding_bytes).replace("@", str(truth.start), -1))
    if truth.end is not None:
        lines.append(event(truth.end, "Session End", ""))
        lines.extend(_late_note(truth, cast, number) for number in range(1, truth.revision + 1))
    lines.append("\t</session_details>\n")
    return "".join(lines)


def event(stamp: int, kind: str, children: str) -> str:
    """One event, in the template's own lay-out."""
    return f'<event timestamp="{stamp}" event_type="{kind}" >\n{children}</event>\n'


def _by(who: Customer | Representative, role: str = "performed_by") -> str:
    if isinstance(who, Customer):
        name = text(who.name or who.username)
        return f'\t<{role} type="customer" gsnumber="{who.gsnumber}">{name}</{role}>\n'
    return f'\t<{role} type="representative" gsnumber="{who.gsnumber}">{text(who.private_name)}</{role}>\n'


def _to(who: Customer | Representative) -> str:
    return _by(who, "destination")


@lru_cache(maxsize=1024)
def _body(words: str) -> str:
    if any(ord(letter) < 32 and letter not in "\t\n\r" for letter in words):
        return f"\t<encoded_body>{encodebytes(words.encode()).decode().strip()}</encoded_body>\n"
    return f"\t<body>{text(words)}</body>\n"


def _story(truth: SessionTruth, cast: Cast, random: Random, links: Links) -> Iterator[Event]:
    customer = cast.customer
    yield 0.0, "Session Start", "\n\t"
    queue = '\n\t<destination type="system" gsnumber="0">Pre-start Conference</destination>\n'
    owner = '\t<data>\n\t\t\t<value name="owner" value="Pre-start Conference" />\n\t\t</data>\n'
    yield 0.0, "Conference Owner Changed", queue + owner
    yield 0.001, "Conference Member Added", _by(customer) + _member(customer)
    yield 0.005, "Legal Agreement Response", _by(customer) + _body("Accepted")
    if truth.external_key:
        yield 0.006, "External Key", SYSTEM + values([("external_key", truth.external_key)])
    if not cast.representatives:
        return
    yield from _arrival(cast)
    if random.random() < 0.5:
        yield 0.04, "System Information Retrieved", SYSTEM + _system_information(customer, random)
    yield from _work(truth, cast, random, links)
    owner_now = cast.representatives[-1]
    yield 0.95, "Session Note Added", _by(owner_now) + _body(NOTES[truth.index % len(NOTES)])
    yield 0.96, "Conference Member State Changed", _by(customer) + values([("state", "disconnected")])
    yield 0.97, "Customer Exit Survey", _by(customer) + values(_survey(truth))
    for member in cast.representatives:
        yield 0.99, "Conference Member Departed", _by(member)


def _arrival(cast: Cast) -> Iterator[Event]:
    first = cast.representatives[0]
    team = text(cast.teams[0].name)
    assigned = f'\t<performed_by type="system" gsnumber="0">{team}</performed_by>\n' + _to(first)
    yield 0.015, "Session Assigned", assigned
    yield 0.018, "Session Assignment Response", _by(first) + _body("Accepted")
    yield 0.02, "Conference Member Added", _by(first) + _member(first, cast.teams[0].name)
    yield 0.02, "Conference Owner Changed", _to(first) + values([("owner", first.private_name)])
    granted = [("service", "Screen Sharing"), ("level", "Full Control"), ("granted_to", first.private_name)]
    yield 0.03, "Service Access Allowed", _by(cast.customer) + _to(first) + values(granted)


def _work(truth: SessionTruth, cast: Cast, random: Random, links: Links) -> Iterator[Event]:
    """The middle: chats, windows, files, registry, shells, hand-overs, evenly spread."""
    shells = [_shell(truth, cast.representatives[-1], links, number) for number in range(truth.shells)]
    screens = [
        ("Show My Screen Recording", _by(cast.representatives[-1]) + values([("instance", number)]))
        for number in range(truth.screens)
    ]
    usual = 5 + int(random.random() * 20)
    middle = [_incident(cast, random) for _ in range(usual)] + shells + screens
    for successor in cast.representatives[1:]:
        middle.append(("Conference Owner Changed", _to(successor) + values([("owner", successor.private_name)])))
    for number, (kind, children) in enumerate(middle):
        yield 0.05 + 0.9 * number / len(middle), kind, children


def _incident(cast: Cast, random: Random) -> tuple[str, str]:
    member = cast.representatives[int(random.random() * len(cast.representatives))]
    customer, draw, which = cast.customer, random.random(), int(random.random() * 1_000)
    if draw < 0.55:
        words = _UNTOLD if which % 40 == 0 else CHAT[which % len(CHAT)]
        speaker, listener = (member, _to(customer)) if which % 2 else (customer, _to(member))
        return "Chat Message", _by(speaker) + listener + _body(words)
    if draw < 0.8:
        program, title = WINDOWS[which % len(WINDOWS)]
        shown = values([("exeName", program), ("windowName", title)])
        return "Session Foreground Window Changed", _by(customer) + shown
    if draw < 0.92:
        return _file_incident(member, customer, which)
    return _registry_incident(member, which)


def _file_incident(member: Representative, customer: Customer, which: int) -> tuple[str, str]:
    name = FILES[which % len(FILES)]
    if which % 5 == 0:
        return "File Moved", _by(member) + values([("old_path", name), ("new_path", name + ".bak")])
    if which % 5 == 1:
        files = "".join(
            f"\t\t<file>\n\t\t\t<filename>{text(each)}</filename>\n\t\t\t<filesize>{which * 7}</filesize>\n\t\t</file>\n"
            for each in FILES[:2]
        )
        return "Files Shared", f"{_by(member)}\t<files>\n{files}\t</files>\n"
    kind = ("File Upload", "File Download", "File Download Failed")[which % 3]
    size = 0 if kind.endswith("Failed") else which * 4_099
    return kind, f"{_by(member)}{_to(customer)}\t<filename>{text(name)}</filename>\n\t<filesize>{size}</filesize>\n"


def _registry_incident(member: Representative, which: int) -> tuple[str, str]:
    changed = [
        ("key_path", "HKEY_LOCAL_MACHINE\\SOFTWARE\\Example"),
        ("value_name", f"Charset{which}"),
        ("value_type", "REG_SZ"),
        ("value_data_old", "greek"),
        ("value_data_new", 'latin "1"\n& more'),
    ]
    return "Registry Value Modified", _by(member) + values(changed)


def _shell(truth: SessionTruth, member: Representative, links: Links, number: int) -> tuple[str, str]:
    address = links.signed(truth.lsid, "shell", f"&amp;instance={number}")
    data = (
        f'\t<data>\n\t\t<value name="instance" value="{number}" />\n\t\t<value name="download_url" value="{address}" />\n'
        f'\t\t<value name="view_url" value="{address}&amp;view=1" />\n\t</data>\n'
    )
    return "Command Shell Session Started", _by(member) + data


def _member(who: Customer | Representative, team: str = "") -> str:
    if isinstance(who, Customer):
        names = [("private_name", who.name), ("public_name", who.name), ("username", who.username)]
    else:
        names = [("private_name", who.private_name), ("public_name", who.public_name), ("username", who.username)]
    machine = [("hostname", who.hostname), ("os", who.os), ("private_ip", who.private_ip), ("public_ip", who.public_ip)]
    teams = [("support_teams", team), ("user_id", str(who.id))] if isinstance(who, Representative) else []
    return values(names + machine + teams)


def _survey(truth: SessionTruth) -> list[tuple[str, object]]:
    return [("rating", 1 + truth.index % 5), ("comments", COMMENTS[truth.index % len(COMMENTS)])]


def _late_note(truth: SessionTruth, cast: Cast, number: int) -> str:
    author = _by(cast.representatives[-1]) if cast.representatives else SYSTEM
    words = f"Late note {number}: customer called again"
    return event((truth.end or truth.start) + 60 * number, "Session Note Added", author + _body(words))


def _system_information(customer: Customer, random: Random) -> str:
    drives = [(letter, "Fixed", str(int(random.random() * 100))) for letter in ("C:", "D:")[: 1 + customer.issue % 2]]
    processes = [(f"svc{number}.exe", str(4_000 + number * 8)) for number in range(4 + customer.issue)]
    return "".join(
        (
            "\t<system_information>\n",
            _category("General", ("Computer Name", "Operating System"), [(f"\n{customer.hostname}\n", customer.os)]),
            _category("Drives", ("Drive", "Type", "Percent Used"), [*drives, ("E:", "CD-ROM", "")]),
            _category("Processes", ("Name", "PID"), processes),
            '\t\t<category name="Programs">\n\t\t\t<description>\n\t\t\t\t<field name="Name">Name</field>\n',
            "\t\t\t</description>\n\t\t</category>\n\t</system_information>\n",
        )
    )


def _category(name: str, captions: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    fields = "".join(f'\t\t\t\t<field name="{caption}">{caption}</field>\n' for caption in captions)
    lines = [f'\t\t<category name="{name}">\n\t\t\t<description>\n{fields}\t\t\t</description>\n\t\t\t<data>\n']
    for row in rows:
        cells = (
            f'\t\t\t\t\t<field name="{caption}">{text(value)}</field>\n' for caption, value in zip(captions, row, strict=True)
        )
        lines.append(f"\t\t\t\t<row>\n{''.join(cells)}\t\t\t\t</row>\n")
    lines.append("\t\t\t</data>\n\t\t</category>\n")
    return "".join(lines)


_MOST_PADDING = 10_000
"""Events of padding; the more is wanted, the longer is each: a session has at most so many attributes."""
_PADDING_EVENT = 200
"""Bytes of one, about."""


@lru_cache(maxsize=4)
def _padding(size: int) -> str:
    """About `size` bytes of events, with `@` for the session's start."""
    lines: list[str] = []
    filled = 0
    more = " and more" * (max(0, size // _MOST_PADDING - _PADDING_EVENT) // 9)
    while filled < size:
        program, title = WINDOWS[len(lines) % len(WINDOWS)]
        data = f'\t<data>\n\t\t<value name="exeName" value="{attribute(program)}" />\n'
        data += f'\t\t<value name="windowName" value="{attribute(title)} {len(lines)}{more}" />\n\t</data>\n'
        lines.append(f'<event timestamp="@" event_type="Session Foreground Window Changed" >\n{data}</event>\n')
        filled += len(lines[-1].encode())
    return "".join(lines)
