"""Views beside the tables, for people: docs/sql.md shows what to ask of them. One text for SQLite and SQL Server."""

from __future__ import annotations

from typing import Literal

Dialect = Literal["sqlite", "mssql"]

_NUMBER: dict[Dialect, str] = {"sqlite": "CAST({} AS INTEGER)", "mssql": "TRY_CAST({} AS BIGINT)"}

_CHAT = """
SELECT s.host_name, s.lsid, s.external_key, e.id AS event_id, e.event_time, e.performed_by AS author,
    e.performed_by_type AS author_role, e.destination AS recipient, e.destination_type AS recipient_role, d.value AS line
FROM session_event AS e
    JOIN session AS s ON s.id = e.session_id
    JOIN session_event_data AS d ON d.session_event_id = e.id
WHERE e.type = 'Chat Message' AND d.name IN ('body', 'encoded_body')
"""

_OVERVIEW = """
SELECT s.id AS session_id, s.host_name, s.lsid, s.external_key, s.start_time, s.end_time, s.duration,
    (SELECT MIN(c.display_name) FROM customer AS c
        WHERE c.id = (SELECT MIN(x.id) FROM customer AS x WHERE x.session_id = s.id)) AS customer,
    (SELECT MIN(r.display_name) FROM representative AS r WHERE r.id = (
        SELECT MIN(x.id) FROM representative AS x WHERE x.session_id = s.id AND x.is_primary = 1)) AS representative,
    (SELECT COUNT(*) FROM representative AS r WHERE r.session_id = s.id) AS representatives,
    (SELECT MIN(t.name) FROM team AS t
        WHERE t.id = (SELECT MIN(x.id) FROM team AS x WHERE x.session_id = s.id AND x.is_primary = 1)) AS team,
    s.file_transfers AS files_moved,
    (SELECT COUNT(*) FROM session_event AS e WHERE e.session_id = s.id AND e.type = 'Chat Message') AS chat_lines,
    (SELECT COUNT(*) FROM bic_recording AS b WHERE b.session_id = s.id) AS recordings,
    (SELECT MIN(b.location) FROM bic_recording AS b
        WHERE b.session_id = s.id AND b.data = 'session_recordings') AS recording_location
FROM session AS s
"""

_FILE_TRANSFER = """
SELECT s.host_name, s.lsid, s.external_key, e.event_time, e.type, e.performed_by, e.performed_by_type, e.destination,
    f.value AS file_name, {size} AS file_size, CASE WHEN e.type LIKE '%Failed' THEN 1 ELSE 0 END AS failed
FROM session_event AS e
    JOIN session AS s ON s.id = e.session_id
    JOIN session_event_data AS f ON f.session_event_id = e.id AND f.name = 'filename'
    LEFT JOIN session_event_data AS z ON z.name = 'filesize' AND z.id = (
        SELECT MIN(n.id) FROM session_event_data AS n
        WHERE n.session_event_id = e.id AND n.id > f.id AND n.name IN ('filename', 'filesize'))
WHERE e.type IN ('File Upload', 'File Download', 'File Upload Failed', 'File Download Failed', 'Files Shared')
"""


def views(dialect: Dialect) -> dict[str, str]:
    """The query behind each view."""
    return {
        "bic_chat": _CHAT.strip(),
        "bic_session_overview": _OVERVIEW.strip(),
        "bic_file_transfer": _FILE_TRANSFER.format(size=_NUMBER[dialect].format("z.value")).strip(),
    }
