"""What came where a recording or backup was asked for, and is none: the field's collection, by name (docs/appliance.md 5.3)."""

import gzip
from json import dumps
from typing import Literal

OddAnswer = Literal[
    "utf16_error",
    "utf16_bare_error",
    "utf32_error",
    "latin1_error",
    "error_after_comment",
    "html_fragment",
    "proxy_page",
    "json_error",
    "plain_text",
    "cyrillic_text",
    "gzipped_error",
    "empty",
    "png",
    "pdf",
    "unknown",
    "cut_head",
]

_ERROR = '<error xmlns="http://www.beyondtrust.com/sra/namespaces/API/reporting">The recording could not be rendered.</error>\n'
_DECLARED = '<?xml version="1.0" encoding="{}"?>\n\n' + _ERROR
_BINARY = "application/octet-stream"

ODD_ANSWERS: dict[OddAnswer, tuple[str, bytes]] = {
    "utf16_error": ("text/xml", _DECLARED.format("UTF-16").encode("utf-16")),
    "utf16_bare_error": (_BINARY, _ERROR.encode("utf-16-le")),
    "utf32_error": (_BINARY, _DECLARED.format("UTF-32").encode("utf-32")),
    "latin1_error": ("text/xml", _DECLARED.format("ISO-8859-1").replace("rendered", "générée").encode("latin-1")),
    "error_after_comment": (_BINARY, f"<!-- {'generated ' * 300}-->\n{_ERROR}".encode()),
    "html_fragment": (_BINARY, b"<p>The page that you asked for is <b>not</b> here.</p>"),
    "proxy_page": ("text/html", b"<!-- proxy -->\n<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head></html>"),
    "json_error": (_BINARY, dumps({"error": "out of disk"}).encode()),
    "plain_text": (_BINARY, b"Service temporarily unavailable"),
    "cyrillic_text": ("video/x-flv", "Сервис временно недоступен".encode("cp1251")),
    "gzipped_error": (_BINARY, gzip.compress(_ERROR.encode(), mtime=0)),
    "empty": ("video/x-flv", b""),
    "png": ("image/png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00" + bytes(200)),
    "pdf": ("application/pdf", b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"),
    "unknown": (_BINARY, b"\x00NEW\x02" + bytes(range(256)) * 300),
    "cut_head": ("video/x-flv", b"FL"),
}
