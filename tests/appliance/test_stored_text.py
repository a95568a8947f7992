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
    ("name", "codec", "text"),
    [
        ("Shift_JIS", "cp932", "サポート表示①"),
        ("windows-31j", "cp932", "能～"),
        ("EUC-JP", "euc_jp", "日本語"),
        ("ISO-2022-JP", "iso2022_jp", "<ー>"),
        ("gb2312", "gb18030", "朱镕基"),
        ("GBK", "gbk", "中文"),
        ("Big5", "cp950", "支援"),
        ("ks_c_5601-1987", "cp949", "똠방각하"),
        ("koi8-r", "koi8-r", "Привет"),
        ("windows-1251", "cp1251", "Привет"),
        ("iso-8859-15", "iso8859-15", "€"),
        ("macintosh", "mac_roman", "Zoë"),
        ("IBM850", "cp850", "Zoë"),
        ("cp65001", "utf-8", "Zoë"),
        ("us-ascii", "utf-8", "Zoë"),
        ("windows-1252", "utf-8-sig", "Zoë"),
        ("iso-8859-1", "utf-8", "Zoë"),
    ],
)
def test_a_declared_encoding_is_read_unless_the_bytes_are_utf_8(name: str, codec: str, text: str) -> None:
    """Whatever Python knows that text is written in; under Windows' names its own, larger code pages."""
    key = "".join(f"&#{ord(one)};" if one in "<>" else one for one in text)
    [document] = read_document(declared(name).replace("Zoë", key).encode(codec))
    assert isinstance(document, Document)
    assert document.external_key == text


def test_what_is_not_in_the_encoding_that_it_says_is_refused() -> None:
    """As a whole, where it can't be cut into sessions; nobody guesses which letters are meant."""
    for wrong in (declared("Shift_JIS").encode("cp1252"), declared("UTF-16").encode("utf-16")[:-1]):
        with pytest.raises(Unexpected, match="it is not in the encoding that it says"):
            list(read_document(wrong))
    for unknown in ("x-foo", "hex", "punycode", "utf-7"):
        with pytest.raises(Unexpected, match="is not supported"):
            list(read_document(declared(unknown).encode()))


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
