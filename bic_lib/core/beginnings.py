"""How a video begins, up to the first piece of what it holds: a head before something else is none. Pure."""

from __future__ import annotations

import re

_FLV = re.compile(rb"FLV\x01.(.{4})", re.DOTALL)
"""The header, with its own length (Adobe's FLV specification, annex E.2)."""
_FLV_HEADER = 9
"""Bytes of that header at least."""
_FLV_TAG = re.compile(rb"\0{4}[\x08\x09\x12\x28\x29\x32](?!\0{3}).{3}.{4}\0{3}", re.DOTALL)
"""No tag before it; audio, video or script data, as it is or encrypted; not empty; its time; stream 0 (annex E.3, E.4.1)."""

_BRAND = re.compile(rb"[\x20-\x7e]{4}")
_BOXES = frozenset(b"moov mdat free skip wide uuid moof sidx ssix styp pdin emsg prft udta pnot".split())
"""What may come behind the list of brands (ISO/IEC 14496-12, table 1; the last two are QuickTime's)."""

_EBML = b"\x1a\x45\xdf\xa3"
_DOCTYPE = re.compile(rb"\x42\x82(?:[\x84\x88]|\x01\0{6}[\x04\x08])(?P<kind>webm|matroska)")
"""Of an EBML header (RFC 8794, 11.2.7)."""
_SEGMENT = b"\x18\x53\x80\x67"
"""What comes behind that header and holds all the rest (RFC 9559, 5.1)."""

_AVI = re.compile(rb"RIFF.{4}AVI LIST.{4}hdrlavih", re.DOTALL)

_OGG = re.compile(rb"OggS\0[\x02\x06]\0{8}.{4}\0{4}.{4}(?P<pieces>[\x01-\xff])", re.DOTALL)
"""The first page of a stream, number 0, and how many pieces are in it (RFC 3533, 6)."""
_CODECS = tuple(b"\x80theora \x01vorbis \x01video \x01audio OpusHead fishead\0 BBCD\0 OVP80 \x7fFLAC Speex".split())
"""How the first packet in it begins."""


def video(first: bytes) -> str:
    """The extension of a video that begins so, "" for what is none. None of these beginnings is text in any encoding."""
    if _is_flv(first):
        return "flv"
    if _is_mp4(first):
        return "mp4"
    if kind := _matroska(first):
        return "webm" if kind == b"webm" else "mkv"
    if _AVI.match(first):
        return "avi"
    return "ogg" if _is_ogg(first) else ""


def _is_flv(first: bytes) -> bool:
    head = _FLV.match(first)
    if head is None or (length := int.from_bytes(head[1])) < _FLV_HEADER:
        return False
    return _FLV_TAG.match(first, length) is not None


def _is_mp4(first: bytes) -> bool:
    """A box that lists brands, and behind it one of those that a video has (ISO/IEC 14496-12, 4.2, 4.3)."""
    size, begin = int.from_bytes(first[:4]), 8
    if size == 1:  # it stands behind the box's name
        size, begin = int.from_bytes(first[8:16]), 16
    lists = first[4:8] == b"ftyp" and _BRAND.match(first, begin) and size >= begin + 8
    return bool(lists) and first[size + 4 : size + 8] in _BOXES


def _matroska(first: bytes) -> bytes:
    if not first.startswith(_EBML) or (width := 9 - first[4:5].rjust(1, b"\0")[0].bit_length()) > 8:
        return b""
    begin = 4 + width
    end = begin + (int.from_bytes(first[4:begin]) & ~(-1 << 7 * width))
    told = _DOCTYPE.search(first, begin, end)
    return told["kind"] if told and first.startswith(_SEGMENT, end) else b""


def _is_ogg(first: bytes) -> bool:
    head = _OGG.match(first)
    return head is not None and first.startswith(_CODECS, head.end() + head["pieces"][0])
