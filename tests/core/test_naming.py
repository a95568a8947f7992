"""Names: what a format makes of an item, and that it is safe whatever the appliance sends."""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from pathlib import PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core import naming
from bic_lib.core.model import DataType, Item

LSID = "0123456789abcdef0123456789abcdef"
START = 1_750_000_000  # 2025-06-15 15:06:40 UTC
SESSION = Item("support", DataType.SESSIONS, LSID, start=START, session_type="support", lseq="42", external_key="INC-7")

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
nasty = st.one_of(
    texts,
    st.text(st.sampled_from('.. /\\:*?"<>|%#_x0041COMcon1\x00\x1f\u0301é'), max_size=40),
    st.sampled_from(
        [
            "CON",
            "nul.txt",
            "COM¹",
            "LPT9 .log",
            "..",
            ".",
            "../../etc/passwd",
            "C:\\x",
            ".bic-00",
            ".BIC-a",
            "_x0041_",
            "a" * 5000,
        ]
    ),
)


def location_of(name_format: str, **values: str) -> str:
    return naming.location(name_format, values, DataType.SESSIONS)


def decoded(name: str) -> str:
    """What .NET's XmlConvert.DecodeName makes of a name."""
    return re.sub(r"_x([0-9A-F]{8}|[0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), name)


def assert_safe(location: str) -> None:
    segments = location.split("/")
    assert len(location.encode()) <= naming.LOCATION_BYTES
    for segment in segments:
        assert segment
        assert not re.search(r'[<>:"\\|?*%#&+~\x00-\x1f\x7f-\x9f]', segment), segment
        assert segment[-1] not in ". "
        assert not segment.startswith(" ")
        assert not segment.casefold().startswith(naming.RESERVED_PREFIX)
        assert not re.fullmatch(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])\s*(\..*)?", segment, re.IGNORECASE | re.DOTALL), segment
        assert len(segment.encode()) <= naming.SEGMENT_BYTES
        assert unicodedata.is_normalized("NFC", segment)
    assert not PureWindowsPath(location).is_reserved()
    assert PureWindowsPath(location).parts == tuple(segments)


@pytest.mark.parametrize(
    ("data", "instance", "ending", "expected"),
    [
        (DataType.SESSIONS, None, "xml", f"support.example.com-support-{LSID}.xml"),
        (DataType.SESSION_RECORDINGS, None, "flv", f"support.example.com-support-{LSID}.flv"),
        (DataType.SHOW_MY_SCREEN_RECORDINGS, 0, "mp4", f"support.example.com-support-{LSID}-show-my-screen-0.mp4"),
        (DataType.COMMAND_SHELL_RECORDINGS, 12, "flv", f"support.example.com-support-{LSID}-command-shell-12.flv"),
        (DataType.SITE_BACKUPS, None, "nsb", "support.example.com-20250615-150640.nsb"),
    ],
)
def test_the_default_formats_name_every_item(data: DataType, instance: int | None, ending: str, expected: str) -> None:
    """The default formats give the names of docs/design.md 9."""
    item = Item("support", data, LSID, instance, session_type="support")
    values = naming.values(item, host="support.example.com", extension=ending, at=START)
    assert naming.location(naming.DEFAULT_FORMATS[data], values, data) == expected


def test_every_value_is_filled_and_none_is_unknown() -> None:
    """An item offers exactly the values that settings may name."""
    values = naming.values(SESSION, host="h", extension="xml", at=START)
    assert set(values) == set(naming.VALUES)
    everything = "-".join(f"%{name}%" for name in naming.VALUES)
    assert naming.wrong_values(everything) == []
    assert location_of(everything, **values) == f"{LSID}-42-INC-7-support-h--xml-sessions-2025-06-15-150640"


@pytest.mark.parametrize("at", [None, -1, 10**15])
def test_times_without_meaning_are_empty(at: int | None) -> None:
    """A session without a start, or with an absurd one, has empty date values."""
    values = naming.values(SESSION, host="h", extension="xml", at=at)
    assert [values[name] for name in ("YEAR", "MONTH", "DAY", "TIME")] == ["", "", "", ""]


def test_a_backup_has_no_lsid() -> None:
    """The ledger's key of a backup is no session id and stays out of names."""
    backup = Item("support", DataType.SITE_BACKUPS, "schedule|1750000000")
    assert naming.values(backup, host="h", extension="nsb", at=START)["LSID"] == ""


def test_only_the_formats_slash_makes_folders() -> None:
    """A slash in a value is escaped, a slash in the format separates folders."""
    assert location_of("%EXTERNAL_KEY%/%LSID%.xml", EXTERNAL_KEY="a/b", LSID="1") == "a_x002F_b/1.xml"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("", "sessions.xml"),
        ("..", "...xml"),
        ("CON", "_x0043_ON.xml"),
        ("lpt¹", "_x006C_pt¹.xml"),
        ("Ticket 7 (VIP)", "Ticket 7 (VIP).xml"),
        ("Müller", "Müller.xml"),
        ("Mu\u0308ller", "Müller.xml"),
        (" x", "_x0020_x.xml"),
        (".bic-1", "_x002E_bic-1.xml"),
        ("50%", "50_x0025_.xml"),
        ("_x0041_", "_x005F_x0041_.xml"),
        ("SUPPOR~1", "SUPPOR_x007E_1.xml"),
        ("a\x01\u202e\U000e0001b", "a_x0001__x202E__x000E0001_b.xml"),
    ],
)
def test_odd_external_keys(key: str, expected: str) -> None:
    """What is unsafe is escaped visibly, what is harmless stays readable."""
    assert location_of("%EXTERNAL_KEY%.xml", EXTERNAL_KEY=key) == expected


@pytest.mark.parametrize(
    ("name_format", "expected"),
    [
        ("%LSID%", "sessions"),
        ("/a//%LSID%/b.xml", "a/_/b.xml"),
        ("../x./%LSID%.xml", "._x002E_/x_x002E_/sessions.xml"),
        ("a/", "a/sessions"),
        ("%NONSENSE%.xml", "_x0025_NONSENSE_x0025_.xml"),
        ("NUL/aux.xml", "_x004E_UL/_x0061_ux.xml"),
    ],
)
def test_odd_formats(name_format: str, expected: str) -> None:
    """A format can't leave the root either; an empty folder is `_`, an empty stem the data type."""
    assert location_of(name_format, LSID="") == expected


def test_an_over_long_value_leaves_the_lsid_readable() -> None:
    """An external key of 1,024 characters is cut and hashed; two that differ at their end keep two names."""
    first, second = (location_of("%EXTERNAL_KEY%-%LSID%.xml", EXTERNAL_KEY="k" * 1023 + end, LSID=LSID) for end in "ab")
    assert first != second
    assert first.startswith("kkk")
    assert first.endswith(f"-{LSID}.xml")


@given(st.lists(nasty, min_size=1, max_size=8), st.booleans())
def test_any_values_give_a_safe_location(parts: list[str], folders: bool) -> None:
    """Whatever values hold, the location is safe on Windows and stays below the root."""
    names = [f"VALUE_{letter}" for letter in "ABCDEFGH"[: len(parts)]]
    name_format = ("/" if folders else "-").join(f"%{name}%" for name in names)
    assert_safe(location_of(name_format, **dict(zip(names, parts, strict=True))))


@given(nasty)
def test_any_format_gives_a_safe_location(name_format: str) -> None:
    """Whatever a format holds, the location is safe on Windows and stays below the root."""
    assert_safe(location_of(name_format, LSID=LSID))


@given(nasty, nasty)
def test_two_values_never_share_a_name(a: str, b: str) -> None:
    """Different values give different names (Unicode's equivalent spellings are one value)."""
    names = [location_of("x-%EXTERNAL_KEY%.xml", EXTERNAL_KEY=key) for key in (a, b)]
    equal = unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b)
    assert (names[0] == names[1]) is equal


@given(st.text(st.sampled_from("_xX0041ABF:/~"), max_size=17))
def test_a_name_can_be_turned_back(key: str) -> None:
    """Escapes are those of XmlConvert: decoding gives the value, also when it looks like an escape itself."""
    assert decoded(location_of("k%EXTERNAL_KEY%k", EXTERNAL_KEY=key)) == f"k{key}k"


@given(nasty)
def test_a_safe_name_stays_as_it_is(key: str) -> None:
    """The same item gives the same name, and what is safe and not an escape is not touched again."""
    name = location_of("%EXTERNAL_KEY%.xml", EXTERNAL_KEY=key)
    assert name == location_of("%EXTERNAL_KEY%.xml", EXTERNAL_KEY=key)
    if "_x" not in name and len(name.encode()) <= naming.VALUE_BYTES:
        assert location_of("%EXTERNAL_KEY%", EXTERNAL_KEY=name) == name


@pytest.mark.parametrize(
    ("location", "n", "expected"),
    [
        ("support.example.com-support-1234.flv", 0, "support.example.com-support-1234.flv"),
        ("support.example.com-support-1234.flv", 1, "support.example.com-support-1234.1.flv"),
        ("a.b/c", 2, "a.b/c.2"),
        ("a.b/c.tar.gz", 10, "a.b/c.tar.10.gz"),
    ],
)
def test_numbers_go_before_the_last_period(location: str, n: int, expected: str) -> None:
    """AppendNumber puts its number where the guide does."""
    assert naming.numbered(location, n) == expected


def test_candidates_begin_with_the_smallest_free_number() -> None:
    """The listing's names are left out, also those that differ only in case or normalisation."""
    taken = ["Müller.xml", "MU\u0308LLER.1.XML", "müller.3.xml"]
    assert list(islice(naming.candidates("k/müller.xml", taken), 3)) == ["k/müller.2.xml", "k/müller.4.xml", "k/müller.5.xml"]


@given(nasty, st.integers(0, 10**12))
def test_a_numbered_name_is_safe_too(key: str, n: int) -> None:
    """The number finds room and makes nothing unsafe."""
    location = naming.numbered(location_of("%EXTERNAL_KEY%", EXTERNAL_KEY=key), n)
    assert len(location.encode()) <= 255
    assert not PureWindowsPath(location).is_reserved()
    assert location[-1] not in ". "


def test_each_data_type_has_a_usual_extension() -> None:
    """Documents are XML, backups what the vendor calls them, recordings what the guide says (docs/appliance.md 5.3.2)."""
    found = {data: naming.extension(data) for data in DataType}
    assert {found[DataType.SESSIONS], found[DataType.PRESENTATIONS]} == {"xml"}
    assert found[DataType.SITE_BACKUPS] == "nsb"
    assert {extension for data, extension in found.items() if data.value.endswith("recordings")} == {"flv"}


def test_what_is_filled_in_by_nothing_is_found() -> None:
    """Misspelt, lower-case, spaced and unterminated values are named as written, and so are braces and other programs' marks."""
    assert naming.wrong_values("％LSID％/٪LSEQ٪.xml") == ["％LSID％", "٪LSEQ٪"]
    assert naming.wrong_values("$LSID-<lsid>-[Extension].$5") == ["$LSID", "<lsid>", "[Extension]"]
    assert naming.wrong_values("%LSDI%-%lsid%-%LSID%-50%") == ["%LSDI%", "%lsid%", "%"]
    assert naming.wrong_values("%LSID%.%EXTENSION") == ["%EXTENSION"]
    assert naming.wrong_values("%LS ID%/{LSID}.xml") == ["%LS ID%", "{LSID}"]
    assert naming.wrong_values("%YEAR/%LSID.%EXTENSION%") == ["%YEAR", "%LSID."]


@pytest.mark.parametrize("data", list(DataType))
def test_default_formats_never_collide(data: DataType) -> None:
    """No default format can give two items one name."""
    assert naming.colliding(naming.DEFAULT_FORMATS[data], data) is None
    assert naming.clashing(naming.DEFAULT_FORMATS) == []


def test_a_format_that_can_collide_is_told() -> None:
    """The warning names the values that are missing."""
    assert naming.colliding("%EXTERNAL_KEY%.xml", DataType.SESSIONS) == "two sessions can get one name: the format has no %LSID%"
    assert "%INSTANCE%" in (naming.colliding("%LSID%.flv", DataType.COMMAND_SHELL_RECORDINGS) or "")
    assert "%TIME%" in (naming.colliding("%SUPPORT_SITE_HOST%-%YEAR%%MONTH%%DAY%.nsb", DataType.SITE_BACKUPS) or "")


def test_data_types_that_share_a_format_are_told() -> None:
    """One format for all recordings gives a shell and a Show My Screen recording one name; documents differ by extension."""
    formats = dict.fromkeys(DataType, "%SUPPORT_SITE_HOST%-%LSID%-%INSTANCE%-%TIME%.%EXTENSION%")
    assert naming.clashing(formats) == [
        "show_my_screen_recordings and command_shell_recordings of one session can get one name: their format has no %DATA_TYPE%"
    ]
    assert naming.clashing(dict.fromkeys(DataType, "%DATA_TYPE%-%LSID%")) == []
