"""Whether a video is whole by its own structure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bic_lib.core.containers import Structure, structure


def box(kind: bytes, content: bytes = b"", *, large: bool = False) -> bytes:
    if large:
        return b"\0\0\0\1" + kind + (16 + len(content)).to_bytes(8) + content
    return (8 + len(content)).to_bytes(4) + kind + content


def tag(content: bytes, kind: int = 9) -> bytes:
    return bytes([kind]) + len(content).to_bytes(3) + bytes(7) + content + (11 + len(content)).to_bytes(4)


FLV = b"FLV\x01\x05\0\0\0\x09\0\0\0\0"
MP4 = box(b"ftyp", b"isom") + box(b"moov", bytes(20)) + box(b"mdat", bytes(300))
WHOLE = {
    "mp4 index first": ("mp4", MP4),
    "mp4 index last": ("mp4", box(b"ftyp", b"isom") + box(b"mdat", bytes(300), large=True) + box(b"moov")),
    "mp4 in fragments": ("mp4", box(b"ftyp") + box(b"moov") + box(b"moof") + box(b"mdat", b"x") + box(b"free")),
    "flv": ("flv", FLV + tag(b"meta", 18) + tag(bytes(70_000)) + tag(b"", 8)),
}


def is_complete(extension: str, content: bytes, sizes: list[int] | None = None) -> bool:
    return fed(extension, content, sizes).complete


def is_whole(extension: str, content: bytes, sizes: list[int] | None = None) -> bool:
    return fed(extension, content, sizes).whole


def fed(extension: str, content: bytes, sizes: list[int] | None = None) -> Structure:
    """A structure after a content in pieces of these sizes, the last of which repeats."""
    walk = structure(extension)
    assert walk is not None
    sizes = sizes or [len(content)]
    while content:
        size = sizes.pop(0) if len(sizes) > 1 else sizes[0]
        walk.feed(content[:size])
        content = content[size:]
    return walk


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_video_is_complete_however_it_comes(name: str) -> None:
    """In one piece or byte by byte."""
    extension, content = WHOLE[name]
    assert is_complete(extension, content)
    assert is_complete(extension, content, [1])


CARELESS = {
    "flv whose sizes behind tags are none": ("flv", FLV + tag(b"x")[:-4] + bytes(4) + tag(b"yy")),
    "flv without the size behind its last tag": ("flv", FLV + tag(b"x") + tag(b"yy")[:-4]),
    "flv with a longer header, encrypted": ("flv", b"FLV\x01\x05\0\0\0\x0c\1\2\3" + bytes(4) + tag(b"x", 0x28)),
    "mp4 whose media goes to the end": ("mp4", box(b"ftyp", b"isom") + box(b"moov") + b"\0\0\0\0mdat" + bytes(50)),
}


@pytest.mark.parametrize("name", CARELESS)
def test_a_carelessly_written_video_is_whole(name: str) -> None:
    """Where its end was told; it does not tell that itself."""
    extension, content = CARELESS[name]
    for sizes in ([len(content)], [1], [3, 70]):
        assert is_whole(extension, content, sizes)
    assert is_complete(extension, content) == ("longer" in name)


@pytest.mark.parametrize("more", [b"<error>Broken tape</error>", b"<", b"Service unavailable", b'{"error": 1}'])
@pytest.mark.parametrize(("extension", "content"), [("flv", FLV + tag(b"x", 18) + tag(bytes(300))), ("mp4", MP4)])
@given(cut=st.integers(40, 290))
def test_words_in_the_place_of_the_rest_are_seen(extension: str, content: bytes, more: bytes, cut: int) -> None:
    """Where it broke off in the middle, and where they follow all of it."""
    assert is_whole(extension, content)
    assert not is_whole(extension, content[:-cut] + more)
    assert not is_whole(extension, content + more)


@pytest.mark.parametrize("name", WHOLE)
@given(cut=st.integers(0, 400), sizes=st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_a_cut_video_is_not(name: str, cut: int, sizes: list[int]) -> None:
    """Wherever within its last part it ends."""
    extension, content = WHOLE[name]
    last = 14 if extension == "flv" else 7
    assert not is_complete(extension, content[: -1 - cut % last], sizes)


@pytest.mark.parametrize(
    ("extension", "content"),
    [
        ("mp4", b""),
        ("mp4", box(b"ftyp") + box(b"moov")),
        ("mp4", box(b"ftyp") + box(b"mdat", bytes(9))),
        ("mp4", box(b"moov") + box(b"mdat", bytes(9))),
        ("mp4", box(b"ftyp") + box(b"moov") + b"\0\0\0\0mdat" + bytes(50)),
        ("mp4", MP4 + b"\0\0\0\4free"),
        ("mp4", MP4 + b"\0\0\0\1free" + bytes(8)),
        ("mp4", MP4 + b"\0\0\0\1free\0\0\0\0\0\0\0\1"),
        ("mp4", MP4 + b"\0"),
        ("flv", b""),
        ("flv", FLV),
        ("flv", FLV + tag(b"x") + b"\0"),
        ("flv", FLV + tag(b"x")[:-1] + b"\0"),
        ("flv", FLV + tag(b"x", 7)),
        ("flv", FLV[:-1] + b"\1" + tag(b"x")),
    ],
)
def test_a_structure_that_does_not_hold_is_not_complete(extension: str, content: bytes) -> None:
    """Index or media missing, a box that goes on “to the end”, sizes that do not fit, something behind the end."""
    assert not is_complete(extension, content)


@given(st.sampled_from(["mp4", "flv"]), st.binary(max_size=3000), st.lists(st.integers(1, 99), min_size=1, max_size=20))
def test_any_bytes_can_be_fed(extension: str, content: bytes, sizes: list[int]) -> None:
    """Noise is never complete, and nothing raises."""
    assert not is_complete(extension, content, sizes)


@pytest.mark.parametrize("extension", ["webm", "mkv", "avi", "ogg", "bin"])
def test_other_kinds_do_not_tell_their_end(extension: str) -> None:
    """Nothing is claimed of them."""
    assert structure(extension) is None
