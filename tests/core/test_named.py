"""Names read back: what a format made of an item tells the item again, and nothing is read out of a name that is not in it."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bic_lib.core import named, naming
from bic_lib.core.model import DOCUMENTS, REPORT_OF, DataType, Item, ReportKind

HOST = "support.example.com"
LSID = "0123456789abcdef0123456789abcdef"
DEFAULTS = {data: [one] for data, one in naming.DEFAULT_FORMATS.items()}

ids = st.text(st.sampled_from("0123456789abcdefABCDEFghijklmno"), min_size=1, max_size=64)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@st.composite
def items(draw: st.DrawFn) -> Item:
    """Any item that an appliance can give: its id as appliances make them, whatever people wrote into it."""
    data = draw(st.sampled_from(DataType))
    start = draw(st.integers(86_400, 4_000_000_000))
    if data is DataType.SITE_BACKUPS:
        return Item("support", data, "nightly@1", start=start)
    kind = "presentation" if REPORT_OF[data] is ReportKind.PRESENTATION else "support"
    instance = draw(st.integers(0, 999)) if data in naming.INSTANCED else None
    return Item("support", data, draw(ids), instance, start, None, kind, draw(st.integers(0, 10**9).map(str)), draw(texts))


@st.composite
def formats(draw: st.DrawFn) -> str:
    """Any format that tells items apart: values in any order with something between them."""
    order = draw(st.permutations(naming.VALUES[:-5]))
    values = [*{"LSID", "INSTANCE", "SESSION_TYPE", "DATA_TYPE", *order[: draw(st.integers(0, 5))]} - {"EXTENSION"}]
    values = draw(st.permutations(values))
    marks = draw(st.lists(st.sampled_from(["-", "_", "/", "-rec-", " ", "/a-"]), min_size=len(values), max_size=len(values)))
    stem = "".join(f"%{value}%{mark}" for value, mark in zip(values, marks, strict=True)).rstrip("/ ")
    return draw(st.sampled_from(["", "bic/", "x-"])) + f"{stem}.%EXTENSION%"


def location(name_format: str, item: Item, number: int = 0) -> str:
    values = naming.values(item, host=HOST, extension=naming.extension(item.data), at=item.start)
    return naming.numbered(naming.location(name_format, values, item.data), number)


@given(item=items(), number=st.integers(0, 30))
def test_names_of_the_default_formats_are_read_back(item: Item, number: int) -> None:
    """Whatever the item: its data type, its session's id and instance, its time, its number."""
    found = named.reader(DEFAULTS, [HOST])(location(naming.DEFAULT_FORMATS[item.data], item, number))
    assert found is not None
    assert item.data in found.data
    assert len(found.data) == 1
    assert (found.host, found.instance, found.number) == (HOST, item.instance, number)
    if item.data is DataType.SITE_BACKUPS:
        assert found.at == item.start
    else:
        assert found.lsid == item.lsid


@given(item=items(), name_format=formats(), number=st.integers(0, 9))
def test_names_of_any_format_are_read_back(item: Item, name_format: str, number: int) -> None:
    """Any format that holds what tells items apart; names that had to be cut tell nothing, and are not read."""
    place = location(name_format, item, number)
    assume(all(len(one.encode()) < naming.SEGMENT_BYTES - 3 for one in place.split("/")))
    assume(item.data is not DataType.SITE_BACKUPS)
    assume("DATA_TYPE" in name_format.rpartition("/")[2] or not place.rpartition("/")[2].startswith(item.data))  # it had no stem
    found = named.reader({item.data: [name_format]}, [HOST])(place)
    assert found is not None, place
    assert (found.data, found.lsid, found.instance) == ((item.data,), item.lsid, item.instance)
    if "%EXTERNAL_KEY%.%EX" not in name_format:  # which may end in a number of its own
        assert found.number == number


@given(name=st.text(st.sampled_from(string.printable + "é_x0041_%"), max_size=300), name_format=formats())
def test_whatever_is_read_gives_the_name_again(name: str, name_format: str) -> None:
    """Of any file's name: nothing is read out of it that the format would not have made into just this name."""
    reader = named.reader({data: [name_format] for data in DataType if data is not DataType.SITE_BACKUPS}, [HOST])
    found = reader(name)
    if found:
        assert found.lsid
        again = naming.escaped(found.lsid)
        assert again.casefold() in name.casefold()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (f"{HOST}-support-{LSID}.flv", ([DataType.SESSION_RECORDINGS], LSID, None, 0)),
        (f"{HOST}-support-{LSID}.2.flv", ([DataType.SESSION_RECORDINGS], LSID, None, 2)),
        (f"{HOST}-support-{LSID}.xml", ([DataType.SESSIONS], LSID, None, 0)),
        (f"{HOST}-presentation-{LSID}.XML", ([DataType.PRESENTATIONS], LSID, None, 0)),
        (f"{HOST}-presentation-{LSID}.mp4", ([DataType.PRESENTATION_RECORDINGS], LSID, None, 0)),
        (f"{HOST}-support-{LSID}-command-shell-12.flv", ([DataType.COMMAND_SHELL_RECORDINGS], LSID, 12, 0)),
        (f"{HOST}-support-{LSID}-show-my-screen-0.1.flv", ([DataType.SHOW_MY_SCREEN_RECORDINGS], LSID, 0, 1)),
        (f"{HOST}-20250615-150640.nsb", ([DataType.SITE_BACKUPS], "", None, 0)),
        (f"{HOST}-support-7c1f-d94b.flv", ([DataType.SESSION_RECORDINGS], "7c1f-d94b", None, 0)),
        (f"{HOST.upper()}-support-{LSID}.flv", ([DataType.SESSION_RECORDINGS], LSID, None, 0)),
        ("other.example.com-support-1.flv", None),
        (f"{HOST}-support-{LSID}.flv.altered-01234567", None),
        (f"{HOST}-support-.flv", None),
        (f"sub/{HOST}-support-{LSID}.flv", None),
        ("notes.txt", None),
    ],
)
def test_names_as_they_lie_about(name: str, told: tuple[list[DataType], str, int | None, int] | None) -> None:
    """Names of the vendor's format, and such as are none."""
    found = named.reader(DEFAULTS, [HOST])(name)
    assert (found and ([*found.data], found.lsid, found.instance, found.number)) == told


def test_without_hosts_any_host_is_read() -> None:
    """So that a name of another appliance's can be refused by name; what has no period is no host."""
    read = named.reader(DEFAULTS)
    found = read(f"other.example.com-support-{LSID}.flv")
    assert found is not None
    assert found.host == "other.example.com"
    assert read(f"annual-report-{LSID}.flv") is None


def test_one_format_for_all_data_types() -> None:
    """The vendor's plug-in has one format: a backup's session type and id are empty there, and are read so."""
    one = "%SUPPORT_SITE_HOST%-%SESSION_TYPE%-%LSID%.%EXTENSION%"
    read = named.reader(dict.fromkeys(DataType, (one,)), [HOST])
    backup, shell = read(f"{HOST}--.3.nsb"), read(f"{HOST}-support-{LSID}.1.flv")
    assert backup is not None
    assert (backup.data, backup.at, backup.number) == ((DataType.SITE_BACKUPS,), None, 3)
    assert shell is not None
    assert set(shell.data) == {data for data in REPORT_OF if REPORT_OF[data] is ReportKind.SUPPORT} - DOCUMENTS


@pytest.mark.parametrize(
    ("name_format", "readable"),
    [("%LSID%.%EXTENSION%", True), ("%EXTERNAL_KEY%%LSID%.flv", False), ("%EXTERNAL_KEY%.flv", False), ("%LSID%%LSEQ%", False)],
)
def test_formats_that_can_not_be_read_back(name_format: str, readable: bool) -> None:
    """Where another value touches the session's id, or it has none, nobody can say whose file it is; nothing is read there."""
    assert named.readable(name_format, DataType.SESSION_RECORDINGS) is readable
    assert named.readable(name_format, DataType.SITE_BACKUPS)
    if not readable:
        assert named.reader({DataType.SESSION_RECORDINGS: [name_format]})("a7.flv") is None


def test_a_segment_that_was_cut_is_not_read() -> None:
    """The end of its hash would be taken for a session's id."""
    long = Item("support", DataType.SESSION_RECORDINGS, "f" * 60, start=86_400, external_key="k" * 120)
    place = location("%SUPPORT_SITE_HOST%-%EXTERNAL_KEY%-%EXTERNAL_KEY%-%LSID%.%EXTENSION%", long)
    assert len(place.encode()) == naming.SEGMENT_BYTES
    assert named.reader({long.data: ["%SUPPORT_SITE_HOST%-%EXTERNAL_KEY%-%LSID%.%EXTENSION%"]}, [HOST])(place) is None
