"""What no single value shows: parts of the settings that contradict each other (docs/design.md 5).

The checks read the raw tables, so that they find what they can in a file that is wrong elsewhere too: all problems at once. They
skip what has the wrong type; the models name that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bic_lib.core.meant import meant
from bic_lib.core.model import DAY, DataType
from bic_lib.credentials.references import KEY_VAULT
from bic_lib.settings.spelling import is_name
from bic_lib.settings.times import seconds

Table = Mapping[str, Any]


def contradictions(raw: Table, base: Path) -> Iterator[str]:
    """Every contradiction, as `path: what is wrong; what would be right`. `base` is the file's folder."""
    yield from _hosts(raw)
    yield from _renamed(raw)
    yield from _transfers(raw)
    yield from _times(raw)
    yield from _alternatives(raw)
    yield from _logins(raw)
    yield from _roots(raw, base)
    yield from _ledger(raw, base)
    yield from _vault(raw)
    yield from _seals(raw)


# --- reading raw tables ----------------------------------------------------------------------------------------------


def _table(raw: Table, key: str) -> Table:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def _tables(raw: Table, section: str) -> dict[str, Table]:
    return {name: value for name, value in _table(raw, section).items() if isinstance(value, dict)}


def _text(table: Table, key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def _list(table: Table, key: str) -> list[Any]:
    value = table.get(key)
    return value if isinstance(value, list) else []


def _transfer_tables(raw: Table) -> Iterator[tuple[str, str, Table]]:
    for name, schedule in _tables(raw, "schedules").items():
        for n, transfer in enumerate(_list(schedule, "transfers")):
            if isinstance(transfer, dict):
                yield name, f"schedules.{name}.transfers[{n}]", transfer


# --- sites -----------------------------------------------------------------------------------------------------------


def _hosts(raw: Table) -> Iterator[str]:
    """Two sites at one host: each session would be fetched twice, and rows of both would be one."""
    first: dict[str, str] = {}
    for name, site in _tables(raw, "sites").items():
        host = _text(site, "host").casefold().removesuffix(":443")
        if host and first.setdefault(host, name) != name:
            yield f"sites.{name}.host: is the host of sites.{first[host]} too; one site for each appliance"


def _renamed(raw: Table) -> Iterator[str]:
    """What was called otherwise before: nothing is called so any more, and one is what became of it."""
    for section in ("sites", "destinations"):
        tables, first = _tables(raw, section), dict[str, str]()
        for name, table in tables.items():
            path, was = f"{section}.{name}.was", _text(table, "was")
            if was == name:
                yield f"{path}: is the name that it has; the name that it had before, or no was"
            elif was in tables:
                yield f"{path}: {section}.{was} is still there; no was, or rename {section}.{was} away"
            elif was and first.setdefault(was, name) != name:
                yield f"{path}: {section}.{first[was]} was {was} already; one takes it over"


# --- schedules -------------------------------------------------------------------------------------------------------


def _transfers(raw: Table) -> Iterator[str]:
    destinations = _tables(raw, "destinations")
    seen: dict[tuple[str, str, str, str], str] = {}
    for schedule, path, transfer in _transfer_tables(raw):
        yield from _unknown(raw, path, transfer)
        site, destination = _text(transfer, "site"), _text(transfer, "destination")
        rows_only = _text(destinations.get(destination, {}), "kind") == "sql_database"
        for n, data in enumerate(_list(transfer, "data")):
            if data not in list(DataType):
                continue
            if rows_only and data != DataType.SESSIONS:
                yield (
                    f"{path}.data[{n}]: {data} can't go to {destination}, a sql_database takes rows of sessions only; "
                    f"a destination for files (local_folder, azure_blob, smb_share)"
                )
            first = seen.setdefault((schedule, site, destination, data), path)
            if first != path or data in _list(transfer, "data")[:n]:
                yield f"{path}.data[{n}]: {data} from {site} to {destination} is already in {first}; once per schedule"


def _unknown(raw: Table, path: str, transfer: Table) -> Iterator[str]:
    for key, section in (("site", "sites"), ("destination", "destinations")):
        name, known = _text(transfer, key), _table(raw, section)
        if is_name(name) and name not in known:
            yield f'{path}.{key}: "{name}" is not in [{section}]; {meant(name, known)}'


def _times(raw: Table) -> Iterator[str]:
    for name, schedule in _tables(raw, "schedules").items():
        try:
            every = seconds(schedule.get("every"))
        except ValueError:
            continue
        if "at" in schedule and every % DAY:
            yield (
                f'schedules.{name}.at: goes with whole days only, and every is "{schedule["every"]}"; '
                f'every = "1d" … "7d", or no at'
            )


# --- one of two, or both ---------------------------------------------------------------------------------------------


def _alternatives(raw: Table) -> Iterator[str]:
    ledger = _table(raw, "ledger")
    if ledger.get("kind") == "azure_table":
        yield from _either("ledger", ledger, "connection", "account_url")
    for name, table in _tables(raw, "destinations").items():
        if table.get("kind") == "azure_blob":
            path = f"destinations.{name}"
            yield from _either(path, table, "connection", "container_url")
            if "connection" in table and "container" not in table:
                yield f'{path}.container: missing; the container\'s name, such as "sessions", goes with connection'
            elif "container" in table and "connection" not in table:
                yield f"{path}.container: the container is already in container_url; leave it out"


def _either(path: str, table: Table, one: str, other: str) -> Iterator[str]:
    if (one in table) == (other in table):
        how = "are both there; only one of them" if one in table else "are both missing; one of them"
        yield f"{path}.{other}: {one} and {other} {how}"


def _logins(raw: Table) -> Iterator[str]:
    shares = {f"destinations.{name}": t for name, t in _tables(raw, "destinations").items() if t.get("kind") == "smb_share"}
    for path, table in (*shares.items(), ("notifications.smtp", _table(_table(raw, "notifications"), "smtp"))):
        for one, other in (("username", "password"), ("password", "username")):
            if one in table and other not in table:
                yield f"{path}.{other}: missing, though {one} is there; both, or neither"


def _vault(raw: Table) -> Iterator[str]:
    if _text(_table(raw, "key_vault"), "url"):
        return
    for path, text in _texts(raw, ""):
        if text.startswith(KEY_VAULT) and not text.startswith(f"{KEY_VAULT}https://"):
            yield f'{path}: names a {"key" if path == "seal.key" else "secret"}, but no vault is configured; [key_vault] url = "https://VAULT.vault.azure.net"'


# --- seals -----------------------------------------------------------------------------------------------------------


_RESERVED = re.compile(r"seals(?=/|%|$)", re.IGNORECASE)
"""Below a destination's root sealed days lie in `seals/`: nothing else may be put there."""


def _seals(raw: Table) -> Iterator[str]:
    for name, table in _tables(raw, "destinations").items():
        for path, text in _texts(table.get("file_name_format"), f"destinations.{name}.file_name_format"):
            if _RESERVED.match(text):
                yield f'{path}: begins with "seals", where sealed days lie; another folder'
    seal = _table(raw, "seal")
    for one, other in (("time_stamp", "time_stamp_ca"), ("time_stamp_ca", "time_stamp")):
        if one in seal and other not in seal:
            yield f"seal.{other}: missing, though {one} is there; both, or neither"
    destination = _text(seal, "destination")
    known = _table(raw, "destinations")
    if is_name(destination) and destination not in known:
        yield f'seal.destination: "{destination}" is not in [destinations]; {meant(destination, known)}'
    elif _text(_tables(raw, "destinations").get(destination, {}), "kind") == "sql_database":
        yield f"seal.destination: {destination} is a sql_database, and seals are files; a destination for files"


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, f"{path}.{key}" if path else key)


# --- places ----------------------------------------------------------------------------------------------------------


def sqlite_file(connection: str, base: Path) -> Path | None:
    """The file behind an SQLAlchemy URL of SQLite, relative ones seen from `base`; None for any other connection."""
    scheme, _, file = connection.partition(":///")
    if scheme.partition("+")[0] != "sqlite":
        return None
    return absolute(unquote(file.partition("?")[0]), base)


def absolute(text: str, base: Path) -> Path:
    """A path as the system finds it, relative ones seen from `base`; links are followed."""
    try:
        return Path(os.path.normcase((base / text).resolve()))
    except (OSError, RuntimeError, ValueError):  # a loop of links, or no path at all: compared as written
        return base / text


def _root(table: Table, base: Path) -> tuple[str, ...]:
    """Where a destination writes, as the steps that lead there; empty where it doesn't say."""
    match table:
        case {"kind": "local_folder", "directory": str(directory)}:
            return ("folder", *absolute(directory, base).parts)
        case {"kind": "smb_share", "directory": str(directory)}:
            return ("share", *_steps(directory.casefold()))
        case {"kind": "azure_blob", "container_url": str(url)}:
            return ("blob", url.rstrip("/").casefold(), *_steps(_text(table, "directory")))
        case {"kind": "azure_blob", "connection": str(connection), "container": str(container)}:
            return ("blob", f"{connection} {container}", *_steps(_text(table, "directory")))
        case {"kind": "sql_database", "connection_string": str(connection)}:
            return ("rows", str(sqlite_file(connection, base) or connection))
    return ()


def _steps(path: str) -> list[str]:
    return [step for step in re.split(r"[\\/]+", path) if step]


def _roots(raw: Table, base: Path) -> Iterator[str]:
    roots = [(name, root) for name, table in _tables(raw, "destinations").items() if (root := _root(table, base))]
    keys = {"folder": "directory", "share": "directory", "blob": "directory", "rows": "connection_string"}
    for (one, first), (other, second) in combinations(roots, 2):
        shorter = min(len(first), len(second))
        if first[:shorter] == second[:shorter]:
            how = "is the same place as" if first == second else "overlaps with" if len(second) < len(first) else "lies within"
            yield f"destinations.{other}.{keys[second[0]]}: {how} destinations.{one}; a place of its own for each destination"


def _ledger(raw: Table, base: Path) -> Iterator[str]:
    ledger = _table(raw, "ledger")
    if ledger.get("kind", "sqlite") != "sqlite":
        return
    path = absolute(_text(ledger, "path") or "bic-ledger.sqlite", base)
    for name, table in _tables(raw, "destinations").items():
        if table.get("kind") == "sql_database" and sqlite_file(_text(table, "connection_string"), base) == path:
            yield f"ledger.path: is the storage database of destinations.{name}; a file of its own"
