"""From a file name format and an item to a name that is safe everywhere: pure (docs/design.md 9).

A name is safe on Windows, on POSIX, on shares and in URLs whatever an appliance sends. Unsafe characters become `_xHHHH_`, the
escape that Office and .NET use for XML names, and `_` itself where it would read as the beginning of one: so two values never
become one name, and `XmlConvert.DecodeName` turns a name back. Values that differ only in case or in Unicode normalisation are
one name, as they are on the disks of Windows and macOS. What is too long is cut and ends in a hash of the whole.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations, count

from bic_lib.core.model import DOCUMENTS, REPORT_OF, DataType, Item

RESERVED_PREFIX = ".bic-"
"""Names that begin so are ours: temporary files. No item is ever called so."""

SEGMENT_BYTES = 240
"""Longest folder or file name in UTF-8; file systems take 255, the rest is room for AppendNumber's number."""

LOCATION_BYTES = 900
"""Longest whole location in UTF-8; a blob's name may have 1,024 characters."""

VALUE_BYTES = 120
"""Longest part of a name that one value may take, so that a long external key leaves room for the LSID."""

_SESSION = "%SUPPORT_SITE_HOST%-%SESSION_TYPE%-%LSID%"

DEFAULT_FORMATS: dict[DataType, str] = {
    DataType.SESSIONS: f"{_SESSION}.%EXTENSION%",
    DataType.SESSION_RECORDINGS: f"{_SESSION}.%EXTENSION%",
    DataType.SHOW_MY_SCREEN_RECORDINGS: f"{_SESSION}-show-my-screen-%INSTANCE%.%EXTENSION%",
    DataType.COMMAND_SHELL_RECORDINGS: f"{_SESSION}-command-shell-%INSTANCE%.%EXTENSION%",
    DataType.PRESENTATIONS: f"{_SESSION}.%EXTENSION%",
    DataType.PRESENTATION_RECORDINGS: f"{_SESSION}.%EXTENSION%",
    DataType.SITE_BACKUPS: "%SUPPORT_SITE_HOST%-%YEAR%%MONTH%%DAY%-%TIME%.%EXTENSION%",
}

INSTANCED: frozenset[DataType] = frozenset({DataType.SHOW_MY_SCREEN_RECORDINGS, DataType.COMMAND_SHELL_RECORDINGS})
"""Data types of which one session can have several."""

VALUES: tuple[str, ...] = (
    "LSID",
    "LSEQ",
    "EXTERNAL_KEY",
    "SESSION_TYPE",
    "SUPPORT_SITE_HOST",
    "INSTANCE",
    "EXTENSION",
    "DATA_TYPE",
    "YEAR",
    "MONTH",
    "DAY",
    "TIME",
)
"""What may stand between percent signs: the guide's seven ("Special Replacement Values"), then our own."""

VALUE = re.compile(r"%([A-Z_]+)%")
"""What is filled in, or looks so."""
AROUND_VALUES = "%％﹪٪{}$<>[]"
"""What people write around a value's name: the per cent signs of other scripts and keyboards, other programs' marks."""
_FILLED_IN = re.compile(rf"[%％﹪٪][^%％﹪٪/]*[%％﹪٪]?|\{{[^{{}}/]*\}}|[$<\[](?i:{'|'.join(VALUES)})\b[>\]]?")
_DOUBTFUL = re.compile(r"_(?=[xX][0-9a-fA-F]{4})|[^A-Za-z0-9 ._,=@()-]")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{8}|[0-9A-Fa-f]{4})_")
_INVISIBLE = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", *(port + n for port in ("COM", "LPT") for n in "0123456789¹²³")})
_YEAR_10000 = 253_402_300_800
"""No calendar goes further; what an appliance says beyond is no time."""


def values(item: Item, *, host: str, extension: str, at: int | None) -> dict[str, str]:
    """Every %VALUE% of one item; empty where a value has no meaning.

    `host` is the configured host as written, `extension` has no period, `at` is the start of the session or of the backup in Unix
    seconds (UTC), None where it is not known.
    """
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(at)) if at is not None and 0 <= at < _YEAR_10000 else ""
    return {
        "LSID": "" if item.data is DataType.SITE_BACKUPS else item.lsid,
        "LSEQ": item.lseq,
        "EXTERNAL_KEY": item.external_key,
        "SESSION_TYPE": item.session_type,
        "SUPPORT_SITE_HOST": host,
        "INSTANCE": "" if item.instance is None else str(item.instance),
        "EXTENSION": extension,
        "DATA_TYPE": item.data.value,
        "YEAR": stamp[:4],
        "MONTH": stamp[4:6],
        "DAY": stamp[6:8],
        "TIME": stamp[8:],
    }


def location(name_format: str, values: Mapping[str, str], data: DataType) -> str:
    """The item's location below a destination's root, with `/`: always relative, always safe.

    Only a `/` of the format makes a folder, never one in a value. A folder without a name is `_`, a file without a stem is called
    as its data type.
    """
    *folders, name = name_format.split("/")
    segments = [_safe(_filled(folder, values) or "_") for folder in folders if folder]
    filled = _filled(name, values)
    if not filled or filled.rfind(".") == 0:
        filled = data.value + filled
    segments.append(_safe(filled))
    whole = "/".join(segments)
    if len(whole.encode()) <= LOCATION_BYTES:
        return whole
    return f"{_shortened('_'.join(segments[:-1]), SEGMENT_BYTES)}/{segments[-1]}"


def numbered(location: str, n: int) -> str:
    """The n-th alternative of a location: `a/b.xml` → `a/b.1.xml`; 0 is the location itself (AppendNumber of the guide).

    The number goes before the last period of the file name; a name without a period gets it at its end.
    """
    if n == 0:
        return location
    folder, slash, name = location.rpartition("/")
    stem, dot, extension = name.rpartition(".")
    return f"{folder}{slash}{stem}.{n}.{extension}" if dot else f"{folder}{slash}{name}.{n}"


def altered(location: str, sha256: str) -> str:
    """How a file is called that is kept as evidence, since it is no more what was stored; `sha256` (hex) of what it holds now."""
    return f"{location}.altered-{sha256[:8]}"


def candidates(location: str, taken: Iterable[str]) -> Iterator[str]:
    """Free alternatives of a location, smallest number first, without end. `taken` are the file names listed in its folder.

    Names that differ only in case or normalisation count as taken: on many disks they are the same file.
    """
    used = {_alike(name) for name in taken}
    for n in count():  # of so many names one more than are taken is free
        candidate = numbered(location, n)
        if _alike(candidate.rpartition("/")[2]) not in used:
            yield candidate


def extension(data: DataType) -> str:
    """The usual file extension of a data type, without a period; what came may have another (:mod:`bic_lib.core.recognition`)."""
    if data in DOCUMENTS:
        return "xml"
    return "nsb" if data is DataType.SITE_BACKUPS else "flv"


def wrong_values(name_format: str) -> list[str]:
    """What looks as if it were to be filled in and is not, as written: all but whole `%VALUE%`s of :data:`VALUES`."""
    rest = VALUE.sub(lambda found: "" if found[1] in VALUES else found[0], name_format)
    return _FILLED_IN.findall(rest)


def colliding(name_format: str, data: DataType) -> str | None:
    """Why this format can give two items of one data type one name (which Overwrite or Skip would then lose), or None."""
    needed: tuple[str, ...]
    if data is DataType.SITE_BACKUPS:
        needed = ("SUPPORT_SITE_HOST", "YEAR", "MONTH", "DAY", "TIME")
    else:
        needed = ("LSID", "INSTANCE") if data in INSTANCED else ("LSID",)
    used = set(VALUE.findall(name_format))
    missing = [f"%{name}%" for name in needed if name not in used]
    return f"two {data.value.replace('_', ' ')} can get one name: the format has no {', '.join(missing)}" if missing else None


def clashing(formats: Mapping[DataType, str]) -> list[str]:
    """Which data types of one session share a format that doesn't tell them apart (one line a pair)."""
    return [
        f"{a.value} and {b.value} of one session can get one name: their format has no %DATA_TYPE%"
        for a, b in combinations(formats, 2)
        if formats[a] == formats[b] and a in REPORT_OF and REPORT_OF[a] is REPORT_OF.get(b) and not _told_apart(formats[a], a, b)
    ]


def _told_apart(name_format: str, a: DataType, b: DataType) -> bool:
    used = set(VALUE.findall(name_format))
    return (
        "DATA_TYPE" in used
        or ("EXTENSION" in used and (a in DOCUMENTS) != (b in DOCUMENTS))
        or ("INSTANCE" in used and (a in INSTANCED) != (b in INSTANCED))
    )


def _filled(segment: str, values: Mapping[str, str]) -> str:
    """One segment with its values put in; text that is no value stands as it is."""
    pieces = []
    end = 0
    for match in VALUE.finditer(segment):
        pieces.append(escaped(segment[end : match.start()]))
        value = values.get(match[1], match[0])
        pieces.append(_shortened(escaped(value), VALUE_BYTES))
        end = match.end()
    pieces.append(escaped(segment[end:]))
    return unicodedata.normalize("NFC", "".join(pieces))


def escaped(text: str) -> str:
    """A text with its unsafe characters escaped, as a part of a name."""
    if not _DOUBTFUL.search(text):
        return text
    return _DOUBTFUL.sub(lambda match: _escape(match[0]) if _unsafe(match[0]) else match[0], unicodedata.normalize("NFC", text))


def unescaped(text: str) -> str:
    """The text that was escaped so."""
    return _ESCAPED.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    return chr(code) if code <= sys.maxunicode else match[0]


def _unsafe(character: str) -> bool:
    code = ord(character)
    # Unassigned characters stay: a newer Python, with a newer Unicode, must give an item the same name.
    return code < 0x80 or unicodedata.category(character) in _INVISIBLE or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def _escape(character: str) -> str:
    code = ord(character)
    return f"_x{code:04X}_" if code <= 0xFFFF else f"_x{code:08X}_"


def _safe(segment: str) -> str:
    """A segment of safe characters as a safe name: no device, no end in a period or space, not one of ours, not too long."""
    if segment[-1] in ". ":
        segment = segment[:-1] + _escape(segment[-1])
    if segment[0] == " " or segment.lower().startswith(RESERVED_PREFIX) or segment.partition(".")[0].rstrip().upper() in _DEVICES:
        segment = _escape(segment[0]) + segment[1:]
    return _shortened(segment, SEGMENT_BYTES)


def _shortened(text: str, limit: int) -> str:
    """The text itself, or its beginning and a hash of all of it (the extension stays), in at most `limit` bytes of UTF-8."""
    if len(text.encode()) <= limit:
        return text
    stem, dot, extension = text.rpartition(".")
    if not stem or not 0 < len(extension.encode()) <= 16:
        stem, dot, extension = text, "", ""
    tail = f"-{hashlib.sha256(text.encode()).hexdigest()[:16]}{dot}{extension}"
    return stem.encode()[: limit - len(tail.encode())].decode(errors="ignore") + tail


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
