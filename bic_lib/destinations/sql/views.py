"""Views beside the tables, for people: docs/sql.md shows what to ask of them. One text for SQLite and SQL Server."""

from __future__ import annotations

from typing import Literal

Dialect = Literal["sqlite", "mssql"]

_NUMBER: dict[Dialect, str] = {
    "sqlite": "CASE WHEN LENGTH({0}) <= 18 AND {0} NOT GLOB '*[^0-9]*' THEN CAST({0} AS INTEGER) END",
    "mssql": "CASE WHEN LEN({0}) <= 18 AND {0} NOT LIKE '%[^0-9]%' THEN TRY_CAST({0} AS BIGINT) END",
}
"""Digits, so many as any number of 64 bits has; else nothing."""
_ADDRESS: dict[Dialect, str] = {
    "sqlite": """CASE WHEN {0} LIKE '[%]%' THEN SUBSTR({0}, 2, INSTR({0}, ']') - 2)
        WHEN {0} LIKE '%.%:%' THEN SUBSTR({0}, 1, INSTR({0}, ':') - 1) ELSE {0} END""",
    "mssql": """CASE WHEN {0} LIKE '[[]%]%' THEN SUBSTRING({0}, 2, CHARINDEX(']', {0}) - 2)
        WHEN {0} LIKE '%.%:%' THEN LEFT({0}, CHARINDEX(':', {0}) - 1) ELSE {0} END""",
}
"""Without the port, which is another with each connection: `1.2.3.4:5678`, `[2001:db8::17]:56722`."""
_SECONDS: dict[Dialect, str] = {
    "sqlite": """CASE WHEN s.duration GLOB '*[0-9]:[0-5][0-9]:[0-5][0-9]' AND LENGTH(s.duration) <= 12
            AND SUBSTR(s.duration, 1, LENGTH(s.duration) - 6) NOT GLOB '*[^0-9]*'
        THEN CAST(SUBSTR(s.duration, 1, LENGTH(s.duration) - 6) AS INTEGER) * 3600
            + CAST(SUBSTR(s.duration, -5, 2) AS INTEGER) * 60 + CAST(SUBSTR(s.duration, -2) AS INTEGER)
        ELSE CAST(STRFTIME('%s', s.end_time) AS INTEGER) - CAST(STRFTIME('%s', s.start_time) AS INTEGER) END""",
    "mssql": """CASE WHEN s.duration LIKE '%[0-9]:[0-5][0-9]:[0-5][0-9]' AND LEN(s.duration) <= 12
            AND STUFF(s.duration, LEN(s.duration) - 5, 6, '') NOT LIKE '%[^0-9]%'
        THEN TRY_CAST(STUFF(s.duration, LEN(s.duration) - 5, 6, '') AS BIGINT) * 3600
            + TRY_CAST(SUBSTRING(s.duration, LEN(s.duration) - 4, 2) AS BIGINT) * 60 + TRY_CAST(RIGHT(s.duration, 2) AS BIGINT)
        ELSE CAST(DATEDIFF(DAY, s.start_time, s.end_time) AS BIGINT) * 86400
            + DATEDIFF(SECOND, CAST(CAST(s.end_time AS DATE) AS DATETIME2), s.end_time)
            - DATEDIFF(SECOND, CAST(CAST(s.start_time AS DATE) AS DATETIME2), s.start_time) END""",
}
"""The appliance's own figure; where it has none, or one that is no time, the time from start to end.

STUFF gives NULL where LEFT would fail for a text that is too short: a server may reckon both sides of an AND. Days and seconds
apart, since the seconds of 69 years are more than DATEDIFF can tell.
"""
_TEAMS: dict[Dialect, str] = {
    "sqlite": "(SELECT GROUP_CONCAT(t.name, ', ') FROM"
    " (SELECT x.name FROM team AS x WHERE x.session_id = s.id ORDER BY x.id) AS t)",
    "mssql": "STUFF((SELECT ', ' + t.name FROM team AS t WHERE t.session_id = s.id ORDER BY t.id FOR XML PATH(''), TYPE)"
    ".value('.', 'NVARCHAR(MAX)'), 1, 2, '')",
}
_MONDAY: dict[Dialect, str] = {
    "sqlite": "DATE(s.start_time, 'weekday 0', '-6 days')",
    "mssql": "DATEADD(DAY, -(DATEDIFF(DAY, '19000101', s.start_time) % 7), CAST(s.start_time AS DATE))",
}
"""The Monday of the week in which a session began (1900 began with one)."""


def _first_customer(column: str) -> str:
    return f"""(SELECT MIN(c.{column}) FROM customer AS c
        WHERE c.id = (SELECT MIN(x.id) FROM customer AS x WHERE x.session_id = s.id))"""  # noqa: S608  our own names


CUSTOMER, MACHINE = _first_customer("display_name"), _first_customer("host_name")
REPRESENTATIVE = """(SELECT MIN(r.display_name) FROM representative AS r WHERE r.id = (
        SELECT MIN(x.id) FROM representative AS x WHERE x.session_id = s.id AND x.is_primary = 1))"""

_CHAT = """
SELECT s.host_name, s.lsid, s.external_key, e.id AS event_id, e.event_time, e.performed_by AS author,
    e.performed_by_type AS author_role, e.destination AS recipient, e.destination_type AS recipient_role, d.value AS line
FROM session_event AS e
    JOIN session AS s ON s.id = e.session_id
    JOIN session_event_data AS d ON d.session_event_id = e.id
WHERE e.type = 'Chat Message' AND d.name IN ('body', 'encoded_body')
"""

_OVERVIEW = """
SELECT s.id AS session_id, s.host_name, s.lsid, s.type, s.external_key, s.start_time, s.end_time, s.duration,
    {seconds} AS duration_seconds,
    {customer} AS customer,
    {machine} AS customer_machine,
    {public_ip} AS customer_public_ip,
    {private_ip} AS customer_private_ip,
    {representative} AS representative,
    (SELECT COUNT(*) FROM representative AS r WHERE r.session_id = s.id) AS representatives,
    (SELECT MIN(t.name) FROM team AS t
        WHERE t.id = (SELECT MIN(x.id) FROM team AS x WHERE x.session_id = s.id AND x.is_primary = 1)) AS team,
    {teams} AS teams,
    s.jump_group_name AS jump_group,
    s.file_transfers AS files_moved,
    (SELECT COUNT(*) FROM session_event AS e WHERE e.session_id = s.id AND e.type = 'Chat Message') AS chat_lines,
    (SELECT COUNT(*) FROM bic_recording AS b WHERE b.session_id = s.id) AS recordings,
    (SELECT COUNT(*) FROM bic_file AS f WHERE f.session_id = s.id) AS files_stored,
    (SELECT MIN(f.location) FROM bic_file AS f
        WHERE f.session_id = s.id AND f.data = 'session_recordings' AND f.state = 'stored') AS recording_location
FROM session AS s
"""

_FILE_TRANSFER = """
SELECT s.host_name, s.lsid, s.external_key, e.event_time, e.type, e.performed_by, e.performed_by_type, e.destination,
    c.host_name AS customer_machine,
    f.value AS file_name, {size} AS file_size, CASE WHEN e.type LIKE '%Failed' THEN 1 ELSE 0 END AS failed
FROM session_event AS e
    JOIN session AS s ON s.id = e.session_id
    LEFT JOIN customer AS c ON c.id = COALESCE(
        (SELECT MIN(x.id) FROM customer AS x WHERE x.session_id = s.id AND x.display_name IN (e.performed_by, e.destination)),
        (SELECT MIN(x.id) FROM customer AS x WHERE x.session_id = s.id))
    LEFT JOIN session_event_data AS f ON f.session_event_id = e.id AND f.name = 'filename'
    LEFT JOIN session_event_data AS z ON z.name = 'filesize' AND z.id = CASE
        WHEN (SELECT MIN(n.id) FROM session_event_data AS n WHERE n.session_event_id = e.id AND n.name = 'filesize')
            < (SELECT MIN(n.id) FROM session_event_data AS n WHERE n.session_event_id = e.id AND n.name = 'filename')
        THEN (SELECT MAX(n.id) FROM session_event_data AS n
            WHERE n.session_event_id = e.id AND n.id < f.id AND n.name IN ('filename', 'filesize'))
        ELSE (SELECT MIN(n.id) FROM session_event_data AS n
            WHERE n.session_event_id = e.id AND n.id > f.id AND n.name IN ('filename', 'filesize')) END
WHERE e.type IN ('File Upload', 'File Download', 'File Upload Failed', 'File Download Failed', 'Files Shared')
"""
"""Sizes stand behind their names, or all before them. A customer whom the event names has the machine, else the first one."""

_EVENT = """
SELECT s.host_name, s.lsid, s.external_key, e.id AS event_id, e.event_time, e.type, e.performed_by, e.performed_by_type,
    p.gs_number AS performer_gs_number, COALESCE(r.user_name, c.display_name) AS performer_name,
    COALESCE(r.host_name, c.host_name) AS performer_machine,
    COALESCE(r.operating_system, c.operating_system) AS performer_system,
    COALESCE(r.public_ip, c.public_ip) AS performer_public_ip, COALESCE(r.private_ip, c.private_ip) AS performer_private_ip,
    e.destination, e.destination_type
FROM session_event AS e
    JOIN session AS s ON s.id = e.session_id
    LEFT JOIN bic_event_performer AS p ON p.session_event_id = e.id
    LEFT JOIN representative AS r ON COALESCE(e.performed_by_type, '') <> 'customer' AND r.id = COALESCE(
        (SELECT MIN(x.id) FROM representative AS x WHERE x.session_id = s.id AND x.gs_number = p.gs_number
            AND e.performed_by IN (x.display_name, x.public_display_name)),
        (SELECT MIN(x.id) FROM representative AS x WHERE x.session_id = s.id AND x.gs_number = p.gs_number))
    LEFT JOIN customer AS c ON COALESCE(e.performed_by_type, '') <> 'representative' AND c.id = COALESCE(
        (SELECT MIN(x.id) FROM customer AS x WHERE x.session_id = s.id AND x.gs_number = p.gs_number
            AND x.display_name = e.performed_by),
        (SELECT MIN(x.id) FROM customer AS x WHERE x.session_id = s.id AND x.gs_number = p.gs_number))
"""
"""An appliance gives a number anew when its holder has gone: of several holders the one of that name counts."""

_REPRESENTATIVE = """
SELECT s.id AS session_id, s.host_name, s.lsid, s.external_key, s.start_time, r.user_id, r.user_name, r.display_name,
    {address} AS public_address, r.private_ip, r.host_name AS machine, r.operating_system, r.duration AS seconds,
    r.is_owner, r.is_primary
FROM representative AS r
    JOIN session AS s ON s.id = r.session_id
"""

_SURVEY = """
SELECT s.host_name, s.lsid, s.external_key, a.survey,
    (SELECT MIN(e.event_time) FROM session_event AS e
            LEFT JOIN bic_event_performer AS p ON p.session_event_id = e.id
        WHERE e.session_id = s.id AND COALESCE(p.gs_number, a.gs_number, 0) = COALESCE(a.gs_number, p.gs_number, 0) AND e.type =
            CASE a.survey WHEN 'customer' THEN 'Customer Exit Survey' ELSE 'Representative Exit Survey' END) AS answered_at,
    CASE a.survey
        WHEN 'customer' THEN (SELECT MIN(c.display_name) FROM customer AS c
            WHERE c.session_id = s.id AND c.gs_number = a.gs_number)
        ELSE (SELECT MIN(r.display_name) FROM representative AS r
            WHERE r.session_id = s.id AND r.gs_number = a.gs_number) END AS author,
    a.question, a.answer
FROM bic_survey_answer AS a
    JOIN session AS s ON s.id = a.session_id
UNION ALL
SELECT s.host_name, s.lsid, s.external_key,
    CASE e.type WHEN 'Customer Exit Survey' THEN 'customer' ELSE 'representative' END AS survey,
    e.event_time AS answered_at, e.performed_by AS author, d.name AS question, d.value AS answer
FROM session_event AS e
    JOIN session AS s ON s.id = e.session_id
    JOIN session_event_data AS d ON d.session_event_id = e.id
WHERE e.type IN ('Customer Exit Survey', 'Representative Exit Survey') AND NOT EXISTS (
    SELECT 1 FROM bic_survey_answer AS a WHERE a.session_id = s.id AND a.survey =
        CASE e.type WHEN 'Customer Exit Survey' THEN 'customer' ELSE 'representative' END)
"""

_TEAM_WEEK = """
SELECT w.week_start, w.host_name, w.team, COUNT(*) AS sessions, SUM(w.seconds) AS seconds
FROM (
    SELECT DISTINCT s.id, {monday} AS week_start, s.host_name, t.name AS team,
        {seconds} AS seconds
    FROM session AS s
        JOIN team AS t ON t.session_id = s.id
    WHERE s.start_time IS NOT NULL) AS w
GROUP BY w.week_start, w.host_name, w.team
"""
"""A session that came back to a team counts for it once."""


def views(dialect: Dialect) -> dict[str, str]:
    """The query behind each view."""
    pieces = {
        "seconds": _SECONDS[dialect],
        "customer": CUSTOMER,
        "machine": MACHINE,
        "public_ip": _first_customer("public_ip"),
        "private_ip": _first_customer("private_ip"),
        "representative": REPRESENTATIVE,
        "teams": _TEAMS[dialect],
        "monday": _MONDAY[dialect],
        "size": _NUMBER[dialect].format("z.value"),
        "address": _ADDRESS[dialect].format("r.public_ip"),
    }
    queries = {
        "bic_session_overview": _OVERVIEW,
        "bic_chat": _CHAT,
        "bic_file_transfer": _FILE_TRANSFER,
        "bic_event": _EVENT,
        "bic_representative": _REPRESENTATIVE,
        "bic_survey": _SURVEY,
        "bic_team_week": _TEAM_WEEK,
    }
    return {name: query.format(**pieces).strip() for name, query in queries.items()}
