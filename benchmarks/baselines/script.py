"""The script that somebody would write: requests, lxml, xmltodict, sqlite3 row by row. `script.py URL CA FOLDER NOW DAYS`.

It has no state, no retry, no proof, and loses whatever fails; it is what the cost of all that is measured against.
"""

from __future__ import annotations

import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import xmltodict
from lxml import etree

DAY = 86_400
TABLES = {
    "session": "id INTEGER PRIMARY KEY, lsid, type, start_time, end_time, duration, files, host_name, external_key, lseq",
    "session_event": "id INTEGER PRIMARY KEY, session_id, type, event_time, performed_by, destination",
    "session_event_data": "id INTEGER PRIMARY KEY, session_event_id, name, value",
    "system_information": "id INTEGER PRIMARY KEY, session_event_id, category, information",
    "representative": "id INTEGER PRIMARY KEY, session_id, gs_number, user_name, display_name, public_ip, private_ip, host_name",
    "customer": "id INTEGER PRIMARY KEY, session_id, gs_number, display_name, company_name, public_ip, private_ip, host_name",
    "team": "id INTEGER PRIMARY KEY, session_id, team_id, name",
    "custom_attribute": "id INTEGER PRIMARY KEY, session_id, display_name, code_name, value",
}


def listed(value: Any, name: str) -> list[Any]:
    found = (value or {}).get(name) or []
    return found if isinstance(found, list) else [found]


def text(value: Any) -> Any:
    return value.get("#text") if isinstance(value, dict) else value


def moment(value: Any) -> str | None:
    stamp = value.get("@timestamp") if isinstance(value, dict) else value
    return datetime.fromtimestamp(int(stamp), UTC).strftime("%Y-%m-%d %H:%M:%S") if stamp else None


def insert(db: sqlite3.Connection, table: str, *values: Any) -> int:
    columns = [column.split()[0] for column in TABLES[table].split(", ")[1:]]
    marks = ", ".join("?" * len(columns))
    return int(db.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", values).lastrowid or 0)  # noqa: S608


def store(db: sqlite3.Connection, host: str, one: dict[str, Any]) -> None:
    start, end = moment(one.get("start_time")), moment(one.get("end_time"))
    head = (one["@lsid"], text(one.get("session_type")), start, end, text(one.get("duration")), one.get("file_transfer_count"))
    session = insert(db, "session", *head, host, text(one.get("external_key")), text(one.get("lseq")))
    for rep in listed(one.get("rep_list"), "representative"):
        names = (rep.get("@gsnumber"), rep.get("username"), rep.get("private_display_name"))
        insert(db, "representative", session, *names, rep.get("public_ip"), rep.get("private_ip"), rep.get("hostname"))
    for customer in listed(one.get("customer_list"), "customer"):
        info = customer.get("info") or {}
        names = (customer.get("@gsnumber"), info.get("name") or customer.get("username"), info.get("company"))
        insert(db, "customer", session, *names, customer.get("public_ip"), customer.get("private_ip"), customer.get("hostname"))
    for team in listed(one.get("team_list"), "team"):
        insert(db, "team", session, team.get("@id"), text(team.get("name")) or team.get("#text"))
    for each in listed(one.get("custom_attributes"), "custom_attribute"):
        insert(db, "custom_attribute", session, each.get("@display_name"), each.get("@code_name"), each.get("#text"))
    for event in listed(one.get("session_details"), "event"):
        store_event(db, session, event)


def store_event(db: sqlite3.Connection, session: int, event: dict[str, Any]) -> None:
    by, to = text(event.get("performed_by")), text(event.get("destination"))
    number = insert(db, "session_event", session, event.get("@event_type"), moment(event.get("@timestamp")), by, to)
    for data in listed(event, "data"):
        for value in listed(data, "value"):
            insert(db, "session_event_data", number, value.get("@name"), value.get("@value"))
    for name in ("body", "filename", "filesize"):
        if name in event:
            insert(db, "session_event_data", number, name, text(event[name]))
    for file in listed(event.get("files"), "file"):
        for name in ("filename", "filesize"):
            insert(db, "session_event_data", number, name, file.get(name))
    for category in listed(event.get("system_information"), "category"):
        insert(db, "system_information", number, category.get("@name"), xmltodict.unparse({"data": category.get("data")}))


def main(url: str, ca: str, folder: str, now: str, days: str) -> None:
    host = url.partition("://")[2]
    db = sqlite3.connect(Path(folder, "rows.sqlite"))
    for table, columns in TABLES.items():
        db.execute(f"CREATE TABLE {table} ({columns})")
    token = requests.post(f"{url}/oauth2/token", data={"grant_type": "client_credentials"}, verify=ca, timeout=60).json()
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    for begin in range(int(now) - int(days) * DAY, int(now) + DAY, DAY):
        asked = {"generate_report": "SupportSession", "end_time": str(begin), "duration": str(DAY)}
        answer = requests.get(f"{url}/api/reporting", params=asked, headers=headers, verify=ca, timeout=60)
        root = etree.fromstring(answer.content, etree.XMLParser(huge_tree=True))
        for record in root.iterchildren("{*}session"):
            xml = etree.tostring(record)
            lsid = record.get("lsid")
            Path(folder, f"{host.replace(':', '_')}-support-{lsid}.xml").write_bytes(xml)
            store(db, host, xmltodict.parse(xml)["session"])
        db.commit()


if __name__ == "__main__":
    main(*sys.argv[1:6])
