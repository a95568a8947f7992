"""What comes is recognised by what it is (docs/design.md 9)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bic_lib.core import recognition
from bic_lib.core.recognition import LOOKED_AT, What
from bic_lib.simulator.recordings import MEDIA_TYPES

TAG = b"\x09\0\x01\0" + bytes(7)
FLV = b"FLV\x01\x05\0\0\0\x09\0\0\0\0" + TAG
EBML = bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d4287810442858102")
SEGMENT = bytes.fromhex("1853806701ffffffffffffff")
OGG = b"OggS\0\x02" + bytes(8) + b"\x12\x34\x56\x78" + bytes(4) + b"\xc5\x07\x11\x9a\x01\x2a"
CONTAINERS = {
    "flv": [
        FLV,
        b"FLV\x01\x01\0\0\0\x09\0\0\0\0\x12\0\x01\x3d\0\x10\0\x02\0\0\0\x02\0\x0aonMetaData",
        b"FLV\x01\x04\0\0\0\x09\0\0\0\0\x28\xff\xff\xff" + bytes(7),
        b"FLV\x01\x05\0\0\0\x0c\x7f\x7f\x7f" + bytes(4) + TAG,
    ],
    "mp4": [
        b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom\0\0\0\x08moov",
        b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41\0\0\0\x08free",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  \0\0\0\x08wide",
        b"\0\0\0\x01ftyp\0\0\0\0\0\0\0\x1ciso5\0\0\0\0avc1\0\0\0\x01mdat",
    ],
    "webm": [EBML + SEGMENT],
    "mkv": [
        bytes.fromhex("1a45dfa301000000000000234286810142f7810142f2810442f38108428288")
        + b"matroska"
        + bytes.fromhex("4287810442858102")
        + SEGMENT,
        bytes.fromhex("1a45dfa3401a42f7810142820100000000000008") + b"matroska" + bytes.fromhex("42878104") + SEGMENT,
    ],
    "avi": [b"RIFF\x24\x10\0\0AVI LIST\xc0\0\0\0hdrlavih\x38\0\0\0", b"RIFF    AVI LIST~~\0\0hdrlavih\x38\0\0\0"],
    "ogg": [OGG + b"\x80theora\x03\x02\x01", OGG.replace(b"\x02", b"\x06") + b"\x01vorbis", OGG + b"OpusHead\x01"],
}
STARTS = [(extension, start) for extension, starts in CONTAINERS.items() for start in starts]
ENCODINGS = [
    *("ascii", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "utf-7"),
    *(
        "cp1252",
        "latin-1",
        "cp1251",
        "cp437",
        "koi8-r",
        "shift_jis",
        "euc-jp",
        "iso2022_jp",
        "gb18030",
        "big5",
        "euc-kr",
        "iso2022_kr",
    ),
]
ERROR = (
    '<?xml version="1.0" encoding="UTF-16"?>\n\n<error xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting">{}</error>'
)
TEXTS = {
    "error": ERROR.format("Out of disk."),
    "error after a comment": "<!-- generated -->\n<error>Out of disk.</error>",
    "HTML fragment": "<p>The page is <b>not</b> here.</p>",
    "JSON": '{"error": "out of disk"}',
    "words": "Service temporarily unavailable",
    "a line": "Service temporarily unavailable\r\n",
    "like an FLV": "FLV is not available",
    "like an MP4": "Bad ftyp box in this recording",
    "like an Ogg": "OggS not found",
    "like an AVI": "RIFF of AVI type is not offered",
    "like a Matroska": "webm matroska",
    "like a gzip, bzip2": "BZh is what you want?",
    "only white space": " \r\n\t\n",
}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib, best": lambda content: zlib.compress(content, 9),
    "zlib, fast": lambda content: zlib.compress(content, 1),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "gzip in gzip": lambda content: gzip.compress(gzip.compress(content)),
    "gzip in two members": lambda content: gzip.compress(content[:5]) + gzip.compress(content[5:]),
}

letters = st.characters(exclude_categories=("Cc", "Cs", "Cn", "Co"), exclude_characters="\ufeff")
sentences = st.text(letters | st.sampled_from(" \n\t"), min_size=1, max_size=300)
contents = st.binary(max_size=300) | st.builds(
    lambda start, rest: start + rest,
    st.sampled_from([start for _, start in STARTS] + [b"%PDF-", b"PK\x03\x04", b"\x1f\x8b\x08", b"<"]),
    st.binary(),
)


def zipped(*contents: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(str(number), content)
    return packed.getvalue()


@pytest.mark.parametrize(("extension", "start"), STARTS)
@given(rest=st.binary(max_size=2000) | sentences.map(lambda text: text.encode("utf-16-le")) | st.just(bytes(LOOKED_AT)))
def test_every_container_is_recognised_by_how_it_begins(extension: str, start: bytes, rest: bytes) -> None:
    """Whatever follows, whatever its content type says."""
    for content_type in ("", "text/xml", "application/json"):
        found = recognition.recording(start + rest, content_type)
        assert (found.what, found.extension, found.text) == (What.RECORDING, extension, "")


HEADS = {
    "flv": FLV[:13],
    "mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
    "webm": EBML,
    "avi": b"RIFF\x24\x10\0\0AVI ",
    "ogg": OGG,
}
"""All that comes before the first piece of what a video holds."""


@pytest.mark.parametrize("extension", HEADS)
@given(rest=st.binary(max_size=300) | sentences.map(str.encode))
@example(rest=b"")
@example(rest=TEXTS["error"].encode())
@example(rest=b'{"error": "out of disk"}')
@example(rest=b"Service temporarily unavailable")
@example(rest=bytes(5000))
def test_the_head_of_a_video_before_something_else_is_none(extension: str, rest: bytes) -> None:
    """A video has a piece of what it holds behind its head."""
    content = HEADS[extension] + rest
    assume(not any(content.startswith(start[: len(HEADS[extension]) + 4]) for start in CONTAINERS[extension]))
    found = recognition.recording(content, MEDIA_TYPES[extension])
    assert found.what is not What.RECORDING
    assert found.extension != extension


@pytest.mark.parametrize(
    ("extension", "content"),
    [
        pytest.param("flv", FLV.replace(TAG, b"\x0a" + TAG[1:]), id="a tag of no known kind"),
        pytest.param("flv", FLV.replace(TAG, b"\x49" + TAG[1:]), id="a tag with reserved bits"),
        pytest.param("flv", FLV[:-1] + b"\1", id="a tag of another stream"),
        pytest.param("flv", FLV.replace(TAG, b"\x09\0\0\0" + bytes(7)), id="a tag of nothing"),
        pytest.param("flv", FLV[:12] + b"\1" + TAG, id="a tag before the first"),
        pytest.param("flv", FLV.replace(b"\0\0\0\x09", b"\0\0\0\x08", 1), id="a header shorter than its fields"),
        pytest.param("flv", FLV.replace(b"\x01", b"\x02", 1), id="another version"),
        pytest.param("mp4", CONTAINERS["mp4"][0].replace(b"mp42\0", b"mp\x012\0", 1), id="a brand that is no word"),
        pytest.param("mp4", b"\0\0\0\x08ftypmp42" + bytes(12) + b"\0\0\0\x08moov", id="a list without a brand"),
        pytest.param("mp4", CONTAINERS["mp4"][0].replace(b"moov", b"mooo"), id="a box that no video has"),
        pytest.param("webm", EBML.replace(b"webm", b"webx") + SEGMENT, id="another document type"),
        pytest.param("webm", EBML.replace(b"\x9f", b"\x9e", 1) + SEGMENT, id="a header of another length"),
        pytest.param("webm", EBML.replace(b"\x9f", b"\0", 1) + SEGMENT, id="a length of no known form"),
        pytest.param("webm", EBML[:4], id="a mark alone"),
        pytest.param("avi", CONTAINERS["avi"][0].replace(b"avih", b"strh"), id="a list of something else"),
        pytest.param("ogg", OGG.replace(b"\x02", b"\x04") + b"\x01vorbis", id="a page that begins nothing"),
        pytest.param("ogg", OGG[:18] + b"\1" + OGG[19:] + b"\x01vorbis", id="a later page"),
        pytest.param("ogg", OGG[:-2] + b"\0*\x01vorbis", id="a page of nothing"),
        pytest.param("ogg", OGG + b"\x01nothing", id="a codec that is none"),
    ],
)
def test_a_beginning_that_does_not_hold_is_none(extension: str, content: bytes) -> None:
    """Each field that a format fixes is looked at."""
    assert recognition.recording(CONTAINERS[extension][0]).what is What.RECORDING
    assert recognition.recording(content).what is not What.RECORDING


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", TEXTS)
def test_text_is_an_answer_in_any_encoding(name: str, encoding: str) -> None:
    """It is no recording and no backup, with a byte order mark or without; what it says can be read."""
    content = TEXTS[name].encode(encoding)
    for recognise in (recognition.recording, recognition.backup):
        found = recognise(content, "video/x-flv")
        assert (found.what, found.extension) == (What.ANSWER, "")
        assert encoding == "utf-7" or TEXTS[name].strip() in found.text.replace("\ufeff", "")


@given(sentences, st.sampled_from(ENCODINGS))
@example("\u451a\ua3dfx", "utf-16-be")
@example("障害が発生しました。しばらくお待ちください。", "utf-16-le")
@example("Зарегистрируйтесь снова", "utf-16-be")
def test_any_text_is_an_answer(text: str, encoding: str) -> None:
    """Whoever wrote it, in whichever script."""
    content = text.encode(encoding, "ignore")
    assert recognition.recording(content).what is What.ANSWER
    assert recognition.backup(content).what is What.ANSWER


@given(sentences, st.sampled_from(["utf-8", "utf-16", "utf-16-le", "utf-32", "cp1252"]))
@settings(max_examples=20)
def test_long_text_is_an_answer_where_it_is_cut_too(text: str, encoding: str) -> None:
    """The 64 KiB that are looked at may end in the middle of a character."""
    content = (text * (LOOKED_AT // len(text) + 1)).encode(encoding, "ignore")[:LOOKED_AT]
    assert not content or recognition.recording(content).what is What.ANSWER


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_pair_that_is_cut_by_the_look_is_no_fault(encoding: str, mark: str) -> None:
    """UTF-16 writes some characters in two units."""
    for before in ("", "x"):
        content = f"{mark}{before}{'😀' * 20_000}".encode(encoding)[:LOOKED_AT]
        assert recognition.recording(content).what is What.ANSWER


@pytest.mark.parametrize("packer", PACKERS)
@given(text=sentences, cut=st.booleans())
@settings(max_examples=25)
def test_packed_text_is_an_answer(packer: str, text: str, cut: bool) -> None:
    """As far as it came."""
    packed = PACKERS[packer]((text * 20).encode())
    if cut and "gzip in" not in packer and packer in {"gzip", "zlib"}:
        packed = packed[: len(packed) - 3]
    assert recognition.recording(packed).what is What.ANSWER
    assert recognition.backup(packed).what is What.ANSWER


def test_what_packed_text_says_is_read() -> None:
    """As if it had come unpacked."""
    assert recognition.recording(gzip.compress(TEXTS["error"].encode("utf-16"))).text.endswith("Out of disk.</error>")
    assert recognition.recording(zipped(b"Out of disk.")).text == "Out of disk."


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0", id="PNG"),
        pytest.param(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n", id="PDF that is all text"),
        pytest.param(b"\xff\xd8\xff\xe0\0\x10JFIF\0\1", id="JPEG"),
        pytest.param(b"GIF89a\1\0\1\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\4", id="GIF"),
        pytest.param(b"\0NSB\1\2\xff\xfe" + bytes(range(256)), id="no container that is known"),
        pytest.param(b"abcdftyp" + bytes(24) + b"!", id="a box of 1.6 GB that lists brands"),
        pytest.param(bytes(5000), id="zeros"),
        pytest.param(b"\xe1\x1a" * 300, id="no characters that mean anything, either way round"),
        pytest.param(OGG.replace(b"OggS\0", b"OggS\1") + b"\x80theora", id="an Ogg of another version"),
        pytest.param(gzip.compress(FLV + bytes(9000)), id="a packed video"),
        pytest.param(b"\x1f\x8b\x08\0damaged" + bytes(24) + b"!", id="damaged gzip"),
        pytest.param(zipped(b"text", b"more text"), id="an archive of several files"),
        pytest.param(b"PK\x03\x04\x14\0\0\0", id="the beginning of an archive"),
        pytest.param(b"--boundary\r\nContent-Type: video/mp4\r\n\r\n\0\0\0\x18ftypmp42", id="multipart"),
    ],
)
def test_what_is_neither_is_unknown(content: bytes) -> None:
    """It gets an extension that claims nothing, and its kind: how it begins."""
    found = recognition.recording(content, "video/mp4")
    assert (found.what, found.extension, found.beginning) == (What.UNKNOWN, "bin", content[:16].hex())
    if not content.startswith(b"%PDF"):
        assert (recognition.backup(content).what, recognition.backup(content).extension) == (What.BACKUP, "nsb")


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\xff\xfe", gzip.compress(b"", mtime=0)])
def test_nothing_is_an_answer_that_says_nothing(content: bytes) -> None:
    """Neither a recording nor a backup has no bytes; a byte order mark is none."""
    for found in (recognition.recording(content), recognition.backup(content)):
        assert (found.what, found.text.strip("\ufeff")) == (What.ANSWER, "")


def test_markup_with_a_control_character_is_an_answer_still() -> None:
    """A message does not become a file by one bad byte in it; C strings may bring their NUL."""
    for content in (b"<error>Bad\0\0\0\x01</error>", b"\n<?xml version='1.0'?><error>\0\0\0\x02</error>", b"Unavailable\0\0\0"):
        assert recognition.recording(content).what is What.ANSWER


@pytest.mark.parametrize(
    ("content", "content_type", "said"),
    [
        ('<?xml version="1.0" encoding="ISO-8859-1"?><error>é</error>'.encode("latin-1"), "text/xml", "<error>é</error>"),
        ("Запись недоступна".encode("cp1251"), 'text/plain; charset="windows-1251"', "Запись недоступна"),
        ("a expiré".encode("latin-1"), "text/plain", "a expiré"),
        ("a expiré".encode(), "text/plain; charset=klingon", "a expiré"),
        ("a expiré".encode(), "text/plain; charset=base64", "a expiré"),
    ],
)
def test_a_code_page_is_read_as_declared(content: bytes, content_type: str, said: str) -> None:
    """By the XML declaration, then by the content type; UTF-8 else, or what Windows writes."""
    assert recognition.words(content, content_type).endswith(said)


@given(contents, st.text(max_size=40))
def test_no_bytes_can_break_it(content: bytes, content_type: str) -> None:
    """Whatever comes is one thing; an answer is never a file, a file has an extension."""
    for recognise in (recognition.recording, recognition.backup):
        found = recognise(content, content_type)
        assert (found.what is What.ANSWER) == (found.extension == "")
        assert found.what is What.ANSWER or found.text == ""
    recognition.words(content, content_type)
