"""From a name back to the item: which locations a format gives, and what one of them tells. Pure (docs/design.md 9).

A name is read only where that is certain: filled in again it has to give the same name. What an appliance calls a session has
letters and digits; text of people (`%EXTERNAL_KEY%`) may be anything, and gives way to it.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bic_lib.core import naming
from bic_lib.core.model import DOCUMENTS, REPORT_OF, DataType, ReportKind

Reader = Callable[[str], "Named | None"]


@dataclass(frozen=True, slots=True)
class Named:
    """What a name tells: of which data types the item may be, and what of it the format has.

    `host` and `session_type` as in the name, empty where it has none. `at`: start of the session or of the backup, Unix seconds,
    where the name has all of it. `number` is AppendNumber's, 0 for none.
    """

    data: tuple[DataType, ...]
    host: str
    lsid: str
    instance: int | None
    session_type: str
    at: int | None
    number: int


def recogniser(formats: Iterable[str], hosts: Iterable[str]) -> Callable[[str], bool]:
    """Tells of a location whether one of these formats may have given it to an item of these hosts, whatever its number."""
    forms = {"SUPPORT_SITE_HOST": _any_of(hosts) or "[^/]+"}
    wanted = [_pattern(one, {**dict.fromkeys(naming.VALUES, "[^/]*"), **_FORMS, **forms}) for one in dict.fromkeys(formats)]
    return lambda location: any(pattern.fullmatch(location) for pattern in wanted)


def reader(formats: Mapping[DataType, Iterable[str]], hosts: Iterable[str] = ()) -> Reader:
    """Reads locations that these formats gave to items of these hosts (none: of any host with a period in its name).

    The format that says most itself is tried first: a shell's name may also look like a session's.
    """
    kinds: dict[tuple[str, bool], list[DataType]] = {}
    for data, some in formats.items():
        for one in dict.fromkeys(some):
            kinds.setdefault((one, data is DataType.SITE_BACKUPS), []).append(data)
    shapes = [shape for key, data in kinds.items() for shape in _shapes(*key, tuple(data), list(hosts))]
    shapes.sort(key=lambda shape: shape.rank)

    def read(location: str) -> Named | None:
        return next((found for shape in shapes if (found := shape.read(location))), None)

    return read


def readable(name_format: str, data: DataType) -> bool:
    """Whether a name of this format tells which item it is of: its session's id, or of a backup anything, stands by itself."""
    if data is DataType.SITE_BACKUPS:
        return True
    return bool(re.search(r"(?<!%)%LSID%(?!%)", name_format))


# --- patterns --------------------------------------------------------------------------------------------------------

_ESCAPE = "_x[0-9A-Fa-f]{4}(?:[0-9A-Fa-f]{4})?_"
_LSID = f"(?:[A-Za-z0-9]|{_ESCAPE})+"
_LONG_LSID = f"(?:[A-Za-z0-9 _,=@()-]|{_ESCAPE})+"
"""An id with other characters, in formats where nothing but a period or a folder could be mistaken for a part of it."""
_FORMS = {
    "EXTENSION": "[A-Za-z0-9]{1,8}",
    "YEAR": r"(?:\d{4})?",
    "MONTH": r"(?:\d\d)?",
    "DAY": r"(?:\d\d)?",
    "TIME": r"(?:\d{6})?",
    "INSTANCE": r"\d{0,9}",
    "LSEQ": "[A-Za-z0-9]*",
}
_DATA_TYPE = "|".join(DataType)
_HOST_NAME = r"[^/\s]*?\.[^/\s]*?"
_EDGE = re.compile(f"(?<![^/]){_ESCAPE}|_x00(?:20|2[Ee])_(?![^/])")
"""What is escaped where a name would begin as a device or end in a blank (:mod:`bic_lib.core.naming`)."""
_CUT = re.compile(r"-[0-9a-f]{16}(?:\.[^./]{1,16})?$")
"""How what was too long ends (:mod:`bic_lib.core.naming`)."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the names of one format look like, for some data types."""

    name_format: str
    pattern: re.Pattern[str]
    data: tuple[DataType, ...]
    rank: tuple[bool, int]

    def read(self, location: str) -> Named | None:
        match = self.pattern.fullmatch(location) or self.pattern.fullmatch(
            _EDGE.sub(lambda edge: naming.unescaped(edge[0]), location)
        )
        if match is None:
            return None
        values = {name: naming.unescaped(value or "") for name, value in match.groupdict().items()}
        number = int(values.pop("number") or 0)
        data = tuple(self._fitting(values, location))
        if not data or not self._gives(location, values, number, data[0]):
            return None
        instance = values.get("INSTANCE")
        return Named(
            data,
            values.get("SUPPORT_SITE_HOST", ""),
            values.get("LSID", ""),
            int(instance) if instance and data[0] in naming.INSTANCED else None,
            values.get("SESSION_TYPE", ""),
            _moment(values),
            number,
        )

    def _fitting(self, values: Mapping[str, str], location: str) -> Iterator[DataType]:
        """The data types of which a file with these values and this extension can be."""
        extension = location.rpartition(".")[2].lower()
        for data in self.data:
            kind = REPORT_OF.get(data)
            if values.get("DATA_TYPE", data) != data or (data in DOCUMENTS) != (extension == "xml"):
                continue
            if (data is DataType.SITE_BACKUPS) != (extension == "nsb"):
                continue
            if kind and values.get("SESSION_TYPE") and (values["SESSION_TYPE"] == "presentation") != (kind is _PRESENTATION):
                continue
            if kind and "INSTANCE" in values and bool(values["INSTANCE"]) != (data in naming.INSTANCED):
                continue
            yield data

    def _gives(self, location: str, values: Mapping[str, str], number: int, data: DataType) -> bool:
        """Filled in again the format gives this very name; what was cut tells nothing."""
        again = naming.location(self.name_format, values, data)
        if naming.numbered(again, number).casefold() != location.casefold():
            return False
        return not any(len(one.encode()) >= naming.SEGMENT_BYTES - 3 and _CUT.search(one) for one in again.split("/"))


_PRESENTATION = ReportKind.PRESENTATION


def _shapes(name_format: str, backups: bool, data: tuple[DataType, ...], hosts: Sequence[str]) -> Iterator[_Shape]:
    if not all(readable(name_format, one) for one in data):
        return
    forms = {
        **_FORMS,
        "SUPPORT_SITE_HOST": _any_of(hosts) or _HOST_NAME,
        "SESSION_TYPE": "" if backups else "[A-Za-z0-9]*",
        "DATA_TYPE": _DATA_TYPE,
        "LSID": "" if backups else _LSID,
        **(dict.fromkeys(("EXTERNAL_KEY", "LSEQ", "INSTANCE"), "") if backups else {}),
    }
    literal = len(re.sub(r"%[A-Z_]+%", "", name_format))
    yield _Shape(name_format, _pattern(name_format, forms), data, (False, -literal))
    if not backups and "%EXTERNAL_KEY%" not in name_format:
        yield _Shape(name_format, _pattern(name_format, {**forms, "LSID": _LONG_LSID}), data, (True, -literal))


def _any_of(hosts: Iterable[str]) -> str:
    """One of these hosts as a name has it; the longest first."""
    escaped = sorted((re.escape(naming.escaped(host)) for host in hosts), key=len, reverse=True)
    return "|".join(escaped)


def _pattern(name_format: str, forms: Mapping[str, str]) -> re.Pattern[str]:
    """What a format's locations look like; a value that stands twice has to be the same."""
    seen: set[str] = set()
    *folders, name = (_segment(segment, forms, seen) for segment in name_format.split("/"))
    above = "".join(f"(?:{folder}|_)/" for folder in folders if folder)  # a folder without a name is `_`
    stem, dot, extension = name.rpartition(r"\.")
    number = r"(?:\.(?P<number>[1-9]\d{0,8}))?"
    return re.compile(f"{above}{stem}{number}\\.{extension}" if dot else f"{above}{name}{number}", re.IGNORECASE)


def _segment(segment: str, forms: Mapping[str, str], seen: set[str]) -> str:
    pieces, end = [], 0
    for match in naming.VALUE.finditer(segment):
        pieces.append(re.escape(naming.escaped(segment[end : match.start()])))
        name, end = match[1], match.end()
        pieces.append(f"(?P={name})" if name in seen else f"(?P<{name}>{forms.get(name, '[^/]*')})")
        seen.add(name)
    return "".join(pieces) + re.escape(naming.escaped(segment[end:]))


def _moment(values: Mapping[str, str]) -> int | None:
    stamp = "".join(values.get(name, "") for name in ("YEAR", "MONTH", "DAY", "TIME"))
    if len(stamp) != len("YYYYMMDDHHMMSS"):
        return None
    year, month, day, hour, minute, second = (int(stamp[a:b]) for a, b in ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14)))
    try:
        return timegm((year, month, day, hour, minute, second))
    except (ValueError, OverflowError):
        return None
