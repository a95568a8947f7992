"""Session document → rows of the eight tables: pure. Which column comes from where is in :mod:`bic_lib.core.columns`.

What a row holds is exactly what the document says: texts trimmed (chat and notes only of their outermost newline), numbers as
``int``, times as UTC text ``YYYY-MM-DD HH:MM:SS``. What is missing or empty is None; a number or time that can't be read is None
with a warning, so that one odd value costs neither its row nor its session. A value that is a link (its name ends in `_url`) is
None: whoever may read rows must not thereby hold the key to a recording (docs/design.md 8).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product

from lxml import etree

from bic_lib.core.columns import CUSTOM_ATTRIBUTE, CUSTOMER, REPRESENTATIVE, SESSION, TEAM, Source, Value, moment, number
from bic_lib.core.model import DataType, instance_of

Row = tuple[Value, ...]
Places = dict[str, etree._Element]  # noqa: SLF001  the one name that lxml has for its elements
ChildRow = tuple[int, str | None, str | None]
"""A row below an event: the event's place in `SessionRows.session_event` (from 0), and two texts."""


@dataclass(slots=True)
class SessionRows:
    """The rows of one session, named as their tables; columns as in :data:`bic_lib.core.columns.COLUMNS`, without ids.

    Three are ours: `bic_recording`, data type and instance of each recording that the document announces; `bic_survey_answer`;
    `bic_event_performer`, the event's place and the number of who did it. `warnings` name the values that could not be read.
    """

    session: Row
    session_event: list[Row] = field(default_factory=list)
    session_event_data: list[ChildRow] = field(default_factory=list)
    system_information: list[ChildRow] = field(default_factory=list)
    representative: list[Row] = field(default_factory=list)
    customer: list[Row] = field(default_factory=list)
    team: list[Row] = field(default_factory=list)
    custom_attribute: list[Row] = field(default_factory=list)
    bic_recording: list[Row] = field(default_factory=list)
    bic_survey_answer: list[Row] = field(default_factory=list)
    bic_event_performer: list[tuple[int, int]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def session_rows(record: etree._Element, host_name: str) -> SessionRows:
    """Rows of one session. `record` is its element without namespaces and comments (Document.record), `host_name` the configured
    host.

    Never raises for what a document holds: see `SessionRows.warnings`. Unknown elements and attributes are passed over.
    """
    session = _places(record)
    warnings: list[str] = []
    rows = SessionRows(_row("session", SESSION, session, {"(host)": host_name}, warnings), warnings=warnings)
    for name, read in _PARTS.items():
        if name in session:
            read(session[name], session, rows)
    return rows


def _places(element: etree._Element) -> Places:
    """What the places of a Source lead to; of two children with one name the first counts."""
    places: Places = {child.tag: child for child in reversed(element)}
    places["."] = element
    return places


def _row(table: str, sources: tuple[Source, ...], places: Places, given: Mapping[str, str | None], warnings: list[str]) -> Row:
    row: list[Value] = []
    for source in sources:
        (element, attribute), read, others, default, _ = source
        place = places.get(element)
        if place is not None and (raw := place.get(attribute) if attribute else place.text) and (raw := raw.strip()):
            try:
                row.append(read(raw))
            except ValueError:
                row.append(_elsewhere(table, source, places, given, warnings, refused=raw))
        else:
            row.append(_elsewhere(table, source, places, given, warnings) if others else default)
    return tuple(row)


def _elsewhere(
    table: str, source: Source, places: Places, given: Mapping[str, str | None], warnings: list[str], *, refused: str = ""
) -> Value:
    """The value of a column whose first place is empty, or holds what can't be read (`refused`)."""
    for element, attribute in source.others:
        place = places.get(element)
        raw = given.get(element) if place is None else place.get(attribute) if attribute else place.text
        if raw and (raw := raw.strip()):
            try:
                return source.read(raw)
            except ValueError:
                refused = refused or raw
    if refused:
        warnings.append(_unreadable(table, source.column, refused))
    return source.default


def _unreadable(table: str, column: str, raw: str) -> str:
    return f"{table}.{column}: {raw[:40]!r} can't be read"


# --- the lists of a session ------------------------------------------------------------------------------------------


def _representatives(part: etree._Element, session: Places, rows: SessionRows) -> None:
    primary = session.get("primary_rep", _NOTHING).get("gsnumber")
    for representative in part.iterchildren("representative"):
        given = {"(primary)": _same(representative.get("gsnumber"), primary)}
        row = _row("representative", REPRESENTATIVE, _places(representative), given, rows.warnings)
        rows.representative.append(row)


def _customers(part: etree._Element, session: Places, rows: SessionRows) -> None:
    primary = session.get("primary_customer", session.get("primary_cust", _NOTHING))  # both spellings: docs/appliance.md 9.3
    for customer in part.iterchildren("customer"):
        places = _places(customer)
        if "info" in places:
            places |= {f"info/{child.tag}": child for child in reversed(places["info"])}
        other = primary.get("gsnumber", customer.get("gsnumber")) != customer.get("gsnumber")
        given = {"(primary_customer)": None if other else primary.text}
        rows.customer.append(_row("customer", CUSTOMER, places, given, rows.warnings))


def _teams(part: etree._Element, session: Places, rows: SessionRows) -> None:
    primary = session.get("primary_team", _NOTHING).get("id")
    for team in part.iterchildren("team"):
        given = {"(primary)": _same(team.get("id"), primary)}
        rows.team.append(_row("team", TEAM, _places(team), given, rows.warnings))


def _custom_attributes(part: etree._Element, _session: Places, rows: SessionRows) -> None:
    for attribute in part.iterchildren("custom_attribute"):
        row = _row("custom_attribute", CUSTOM_ATTRIBUTE, {".": attribute}, {}, rows.warnings)
        rows.custom_attribute.append(row)


def _same(one: str | None, other: str | None) -> str:
    return "1" if one and one == other else "0"


_NOTHING = etree.Element("nothing")


def _session_recording(link: etree._Element, _session: Places, rows: SessionRows) -> None:
    if (link.text or "").strip() and not rows.bic_recording:
        rows.bic_recording.append((DataType.SESSION_RECORDINGS.value, 0))


def _recordings(part: etree._Element, _session: Places, rows: SessionRows) -> None:
    """Recordings by instance (docs/appliance.md 3.5); the list is named as its data type."""
    for recording in part.iterchildren(part.tag[:-1]):
        rows.bic_recording.append((part.tag, instance_of(recording.get("instance", ""))))


def _surveys(part: etree._Element, _session: Places, rows: SessionRows) -> None:
    """Answers by survey (docs/appliance.md 3.9); a line break is written as a backslash and an n."""
    for survey in part.iterchildren("cust_exit_survey", "rep_exit_survey"):
        who = "customer" if survey.tag == "cust_exit_survey" else "representative"
        for value in survey.iterchildren("value"):
            answer = (value.get("value") or "").replace("\\n", "\n") or None
            rows.bic_survey_answer.append((who, _gs_number(survey.get("gsnumber")), value.get("name") or None, answer))


# --- events: nine rows in ten are here, so this is written for speed --------------------------------------------------


def _events(part: etree._Element, _session: Places, rows: SessionRows) -> None:
    events, performers = rows.session_event, rows.bic_event_performer
    for place, event in enumerate(part.iterchildren("event")):
        performed_by = performed_by_type = destination = destination_type = None
        for child in event:
            tag = child.tag
            if tag == "performed_by":
                performed_by, performed_by_type = (child.text or "").strip() or None, child.get("type") or None
                if gs_number := _gs_number(child.get("gsnumber")):
                    performers.append((place, gs_number))
            elif tag == "destination":
                destination, destination_type = (child.text or "").strip() or None, child.get("type") or None
            elif further := _FURTHER.get(tag):
                further(place, child, rows)
        stamp = event.get("timestamp") or event.get("ts")
        try:
            when = moment(stamp) if stamp else None
        except ValueError:
            when = None
            rows.warnings.append(_unreadable("session_event", "event_time", stamp or ""))
        events.append((event.get("event_type") or None, when, performed_by, performed_by_type, destination, destination_type))


@lru_cache(maxsize=1024)  # a session has few who act, and many acts
def _gs_number(raw: str | None) -> int | None:
    """The number of a connection; None for the system (0), and for what is no number."""
    try:
        return number((raw or "").strip()) or None
    except ValueError:
        return None


_LINK = frozenset(map("".join, product(*zip("_url", "_URL", strict=True))))
"""How the name of a link ends, however it is spelt."""


def _is_link(name: str) -> bool:
    return name[-4:] in _LINK


def _data(place: int, element: etree._Element, rows: SessionRows) -> None:
    data = rows.session_event_data
    for value in element:
        if value.tag == "value":
            name = value.get("name") or None
            data.append((place, name, None if name and name[-4:] in _LINK else value.get("value") or None))


def _body(place: int, element: etree._Element, rows: SessionRows) -> None:
    rows.session_event_data.append((place, "body", (element.text or "").removeprefix("\n").removesuffix("\n") or None))


def _encoded_body(place: int, element: etree._Element, rows: SessionRows) -> None:
    """Decoded it is a body; what is no UTF-8 stays encoded, under its own name."""
    encoded = "".join((element.text or "").split())
    try:
        row = (place, "body", base64.b64decode(encoded, validate=True).decode() or None)
    except ValueError:
        row = (place, "encoded_body", encoded)
    rows.session_event_data.append(row)


def _file(place: int, element: etree._Element, rows: SessionRows) -> None:
    rows.session_event_data.append((place, element.tag, (element.text or "").strip() or None))


def _files(place: int, element: etree._Element, rows: SessionRows) -> None:
    """Name by name, each before its size: which belongs to which is told by nothing else."""
    for file in element.iterchildren("file"):
        for part in (*file.iterchildren("filename"), *file.iterchildren("filesize")):
            _file(place, part, rows)


def _system_information(place: int, element: etree._Element, rows: SessionRows) -> None:
    for category in element.iterchildren("category"):
        whole = etree.tostring(category, encoding="unicode", with_tail=False)
        if "_url" in whole.lower():
            whole = etree.tostring(_without_links(category), encoding="unicode", with_tail=False)
        # Between the outermost tags: what namespaces are in scope is declared in the first one, and so left behind.
        inner = whole[whole.index(">") + 1 : whole.rindex("<")].strip() if "</" in whole else ""
        rows.system_information.append((place, category.get("name") or None, inner or None))


def _without_links(category: etree._Element) -> etree._Element:
    """A copy in which whatever is named as a link is empty."""
    category = deepcopy(category)
    for element in category.iterdescendants():
        if _is_link(str(element.tag)) or _is_link(element.get("name", "")):
            element.text = None
            del element[:]
    return category


_FURTHER: dict[str, Callable[[int, etree._Element, SessionRows], None]] = {
    "data": _data,
    "body": _body,
    "encoded_body": _encoded_body,
    "filename": _file,
    "filesize": _file,
    "files": _files,
    "system_information": _system_information,
}

_PARTS: dict[str, Callable[[etree._Element, Places, SessionRows], None]] = {
    "session_recording_download_url": _session_recording,
    "session_recording_view_url": _session_recording,
    "rep_list": _representatives,
    "customer_list": _customers,
    "team_list": _teams,
    "custom_attributes": _custom_attributes,
    "command_shell_recordings": _recordings,
    "show_my_screen_recordings": _recordings,
    "cust_survey_list": _surveys,
    "rep_survey_list": _surveys,
    "session_details": _events,
}
