"""Simulated sessions, from their XML to the tables, against a second reading of docs/appliance.md 10 by XPath."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from bic_lib.contracts.documents import HOST
from bic_lib.core.model import Document
from bic_lib.destinations.sql import create
from bic_lib.simulator import Profile, Simulator
from bic_lib.wiring import read_document

SITE = b'<session_list xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting">%s</session_list>'


def documents(seed: int, folder: Path) -> Iterator[Document]:
    simulator = Simulator(Profile(sessions=80, seed=seed), directory=folder)
    for truth in simulator.sessions():
        [found] = read_document(SITE % simulator.session_xml(truth.lsid))
        assert isinstance(found, Document)
        yield found


def text(element: etree._Element, path: str) -> str | None:
    """The text or attribute at a path, trimmed; None where it is missing or empty."""
    found: Any = element.xpath(f"string({path})")
    return str(found).strip() or None


def number(element: etree._Element, path: str) -> int | None:
    found = text(element, path)
    return int(found) if found else None


def time(element: etree._Element, path: str) -> str | None:
    found = number(element, path)
    return datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M:%S") if found else None


def sessions(s: etree._Element) -> list[tuple[object, ...]]:
    return [
        (
            text(s, "@lsid"),
            text(s, "session_type"),
            time(s, "start_time/@timestamp"),
            time(s, "end_time/@timestamp"),
            text(s, "duration"),
            number(s, "file_transfer_count"),
            HOST,
            text(s, "external_key"),
            number(s, "public_site/@id") or 1,
            text(s, "public_site") or "Default",
            number(s, "lseq"),
        )
    ]


def events(s: etree._Element) -> list[tuple[object, ...]]:
    actors = ("performed_by", "performed_by/@type", "destination", "destination/@type")
    return [
        (event.get("event_type"), time(event, "@timestamp"), *(text(event, path) for path in actors))
        for event in s.iterfind("session_details/event")
    ]


def values(s: etree._Element) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for element in s.iterfind("session_details/event//*"):
        own = element.text or ""
        match element.tag:
            case "value":
                name = element.get("name", "")
                found.append((name, None if name.endswith("_url") else element.get("value") or None))
            case "body":
                found.append(("body", own.removeprefix("\n").removesuffix("\n") or None))
            case "encoded_body":
                found.append(("body", base64.b64decode(own).decode() or None))
            case "filename" | "filesize":
                found.append((element.tag, own.strip() or None))
    return found


def categories(s: etree._Element) -> list[tuple[object, ...]]:
    """The name of each category, and the text of its fields in order."""
    return [
        (category.get("name"), "".join(str(part).strip() for part in category.itertext()))
        for category in s.iterfind("session_details/event/system_information/category")
    ]


def representatives(s: etree._Element) -> list[tuple[object, ...]]:
    primary = text(s, "primary_rep/@gsnumber")
    return [
        (
            number(r, "@gsnumber"),
            number(r, "@id"),
            text(r, "username"),
            text(r, "private_display_name") or text(r, "display_name"),
            text(r, "public_display_name") or text(r, "display_name"),
            number(r, "display_number"),
            text(r, "public_ip"),
            text(r, "private_ip"),
            number(r, "session_owner"),
            number(r, "primary_rep") if text(r, "primary_rep") else int(primary is not None and r.get("gsnumber") == primary),
            number(r, "seconds_involved"),
            text(r, "hostname"),
            text(r, "os"),
        )
        for r in s.iterfind("rep_list/representative")
    ]


def customers(s: etree._Element) -> list[tuple[object, ...]]:
    return [
        (
            number(c, "@gsnumber"),
            text(c, "info/issue"),
            text(c, "info/details"),
            text(c, "info/name") or text(c, "username") or text(s, "primary_customer"),
            text(c, "info/company"),
            text(c, "info/company_code"),
            text(c, "public_ip"),
            text(c, "private_ip"),
            number(c, "rpat_support") or 0,
            text(c, "hostname"),
            text(c, "os"),
        )
        for c in s.iterfind("customer_list/customer")
    ]


def teams(s: etree._Element) -> list[tuple[object, ...]]:
    primary = text(s, "primary_team/@id")
    return [
        (
            number(t, "@id"),
            text(t, "name") or text(t, "text()"),
            number(t, "primary_team") if text(t, "primary_team") else int(primary is not None and t.get("id") == primary),
        )
        for t in s.iterfind("team_list/team")
    ]


def attributes(s: etree._Element) -> list[tuple[object, ...]]:
    return [
        (a.get("display_name"), a.get("code_name"), text(a, "text()")) for a in s.iterfind("custom_attributes/custom_attribute")
    ]


SESSION = "lsid type start_time end_time duration file_transfers host_name external_key public_site_id public_site_name lseq"
PERSON = "display_name {} public_ip private_ip {} host_name operating_system"
REPRESENTATIVE = PERSON.format("public_display_name display_number", "is_owner is_primary duration")
CUSTOMER = PERSON.format("company_name company_code", "rpat_support")
TRUTH = {
    "session": (sessions, SESSION),
    "session_event": (events, "type event_time performed_by performed_by_type destination destination_type"),
    "session_event_data": (values, "name value"),
    "system_information": (categories, "category information"),
    "representative": (representatives, f"gs_number user_id user_name {REPRESENTATIVE}"),
    "customer": (customers, f"gs_number issue issue_description {CUSTOMER}"),
    "team": (teams, "team_id name is_primary"),
    "custom_attribute": (attributes, "display_name code_name value"),
}
"""What a table shall hold, by its columns."""


def _plain(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    if table != "system_information":
        return row
    inner = etree.fromstring(f"<category>{row[1] or ''}</category>")
    return row[0], "".join(str(part).strip() for part in inner.itertext())


@pytest.mark.parametrize("seed", [1, 7, 2025])
def test_every_row_of_simulated_sessions(tmp_path: Path, seed: int) -> None:
    """Eighty sessions of all sorts: each row and column of the eight tables is what the second reading says, in order."""
    loaded = list(documents(seed, tmp_path))
    create(connection_string=f"sqlite:///{tmp_path}/s.sqlite").load(HOST, loaded)
    connection = sqlite3.connect(tmp_path / "s.sqlite")
    for table, (truth, columns) in TRUTH.items():
        expected = [row for document in loaded for row in truth(document.record)]
        found = [
            _plain(table, row) for row in connection.execute(f"SELECT {columns.replace(' ', ', ')} FROM {table} ORDER BY id")
        ]
        assert found == expected, table
        assert expected, table
    connection.close()
