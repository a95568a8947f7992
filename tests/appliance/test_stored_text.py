"""Session XML in files, as other programs and people left it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from bic_lib.core.errors import Unexpected
from bic_lib.core.model import Document
from bic_lib.wiring.stored_sessions import read_document

_LIST = '<session_list xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting">{}</session_list>'
_SESSION = '<session lsid="{}"><session_type>support</session_type><external_key>Zoë</external_key></session>'
TEXT = _LIST.format(_SESSION.format("a" * 32))


def zipped(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("session.xml", content)
    return packed.getvalue()


def declared(encoding: str) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?>\r\n{TEXT}'


@pytest.mark.parametrize(
    "content",
    [
        declared("UTF-8").encode("utf-8-sig"),
        declared("UTF-16").encode("utf-16"),
        declared("UTF-16").encode("utf-16-le"),
        declared("UTF-16").encode("utf-16-be"),
        declared("UTF-8").encode("utf-16"),
        TEXT.encode("utf-16"),
        declared("utf-16").encode("utf-8"),
        declared("UTF-16").encode("utf-8-sig"),
        declared("windows-1252").encode("cp1252"),
        declared("iso-8859-1").encode("latin-1"),
    ],
)
def test_the_bytes_decide_what_a_declaration_says_wrongly(content: bytes) -> None:
    """.NET declares UTF-16 for whatever it writes by way of a string; editors save anew without looking at the first line."""
    [document] = read_document(content)
    assert isinstance(document, Document)
    assert document.lsid == "a" * 32
    assert "Zoë" in document.external_key


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \r\n", "is empty"),
        (gzip.compress(TEXT.encode()), "packed: unpack it first"),
        (bz2.compress(TEXT.encode()), "packed: unpack it first"),
        (lzma.compress(TEXT.encode()), "packed: unpack it first"),
        (zipped(TEXT.encode()), "packed: unpack it first"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(40), "packed: unpack it first"),
        (b"[sites.support]", "it is no XML: 15 bytes"),
        (TEXT.encode("cp037"), "it is no XML"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "a web page"),
    ],
)
def test_what_is_no_session_xml_is_named(content: bytes, told: str) -> None:
    """Whatever its name is: by what it is, not by what an appliance might have meant with it."""
    with pytest.raises(Unexpected, match=told):
        list(read_document(content))


def test_only_the_first_line_declares() -> None:
    """What somebody typed in a chat is none."""
    typed = TEXT.replace("Zoë", "<![CDATA[<?xml version='1.0' encoding='utf-16'?>]]>")
    [document] = read_document(typed.encode())
    assert isinstance(document, Document)
    assert document.external_key == "<?xml version='1.0' encoding='utf-16'?>"
