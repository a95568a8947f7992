"""How appliances differ in writing the same thing (docs/appliance.md 9), and how they get it wrong."""

import re
from collections.abc import Callable, Iterable, Iterator

from bic_lib.simulator.faults import Faults, Malformation
from bic_lib.simulator.population import Kind

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
NAMESPACES = {
    "sra": "http://www.beyondtrust.com/sra/namespaces/API",
    "bomgar": "http://www.bomgar.com/namespaces/API",
    "beyondtrust": "https://www.beyondtrust.com/namespaces/API",
    "prefixed": "http://www.beyondtrust.com/sra/namespaces/API",
}
PREFIX = "bt:"

_TAG = re.compile(r"<(/?)(?=[a-z])")
_BOTH_NAMES = re.compile(r"\t\t<(public|private)_display_name>.*?</\1_display_name>\n")
_INSTANT = re.compile(r'(<\w+_time timestamp=")\d+(")')
_OPTIONAL = re.compile(
    r"\t+<(public_site|rep_join_time|jumpoint|jump_group|file_move_count|file_delete_count|hostname|os|private_ip"
    r"|rpat_support|primary_team|team_list|invited|display_number|seconds_involved)\b.*?</\1>\n",
    re.DOTALL,
)
_RECORDING = re.compile(r"\t<session_recording_(\w+)_url>.*?</session_recording_\1_url>\n")
_BLANK_END = '\t<end_time timestamp=""></end_time>\n'


_HUGE_SHELL = f'<command_shell_recordings><command_shell_recording instance="{"9" * 5000}"/></command_shell_recordings>'


def _with_attributes(xml: str, first: str = "") -> str:
    attributes = " ".join(f'a{number}="{number}"' for number in range(60_000))
    return xml.replace("</session>", f"<note {first}{attributes}/></session>", 1)


_MALFORMATIONS: dict[Malformation, Callable[[str], str]] = {
    "control_reference": lambda xml: xml.replace("<external_key>", "<external_key>&#1;", 1),
    "control_byte": lambda xml: xml.replace("<external_key>", "<external_key>\x01", 1),
    "bad_utf8": lambda xml: xml.replace("<external_key>", "<external_key>\udcff\udcfe", 1),
    "unknown_entity": lambda xml: xml.replace("<external_key>", "<external_key>&nbsp;", 1),
    "unclosed": lambda xml: xml.replace("</rep_list>", "", 1),
    "bad_date": lambda xml: re.sub(r"<start_time .*?<", '<start_time timestamp="soon">not a date<', xml, count=1),
    "missing_list": lambda xml: re.sub(r"\t<(rep_list|session_details)>.*?</\1>\n", "", xml, flags=re.DOTALL),
    "huge_lsid": lambda xml: xml.replace(' lsid="', f' lsid="{"f" * 70_000}', 1),
    "huge_values": lambda xml: re.sub(r"<(external_key|lseq|session_type)>", rf"<\1>{'9' * 70_000}", xml),
    "huge_instance": lambda xml: xml.replace("</session>", f"{_HUGE_SHELL}</session>", 1),
    "many_attributes": _with_attributes,
    "many_attributes_in_a_language": lambda xml: _with_attributes(xml, 'xml:lang="de" '),
    "many_elements": lambda xml: xml.replace("</session>", "<a/>" * 600_000 + "</session>", 1),
    "deep": lambda xml: xml.replace("</session>", "<a>" * 300 + "</a>" * 300 + "</session>", 1),
    "long_name": lambda xml: xml.replace("</session>", f"<{'a' * 1001}/></session>", 1),
}


class Spelling:
    """Writes documents the way the faults ask for at this moment."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._prefix = PREFIX if faults.namespace == "prefixed" else ""

    def prolog(self, root: str) -> str:
        """What precedes the root's start tag."""
        doctype = f'<!DOCTYPE {root} [<!ENTITY boom "boom">]>\n' if self._faults.doctype else ""
        return f"{self._faults.before_declaration}{DECLARATION}{doctype}\n"

    def namespace(self, api: str) -> str:
        """The namespace attribute of a root element of `api`: `reporting` or `command`."""
        if self._faults.namespace == "none":
            return ""
        attribute = "xmlns:bt" if self._prefix else "xmlns"
        return f' {attribute}="{NAMESPACES[self._faults.namespace]}/{api}"'

    def document(self, root: str, content: str, api: str = "reporting") -> bytes:
        """A whole small document; `content` holds elements."""
        xml = f"<{root}{self.namespace(api)}>{content}</{root}>\n"
        return (self.prolog(root) + self._prefixed(xml)).encode()

    def report(self, kind: Kind, stem: str, records: Iterable[str]) -> Iterator[bytes]:
        """A list document, record by record; `stem` is `session` or `session_summary`."""
        if kind == "presentation" and self._faults.presentation_root:
            stem = stem.replace("session", "presentation")
        root = f"{stem}_list"
        yield f"{self.prolog(root)}<{self._prefix}{root}{self.namespace('reporting')} {XSI}>\n".encode()
        for xml in records:
            yield xml.encode("utf-8", "surrogateescape")
        yield f"</{self._prefix}{root}>\n".encode()

    def record(self, xml: str, lsid: str, kind: Kind) -> str:
        """One record element in this spelling; bytes that are no UTF-8 come as surrogate escapes."""
        faults = self._faults
        if malformation := faults.malformed.get(lsid):
            xml = _MALFORMATIONS[malformation](xml)
        if lsid in faults.unannounced:
            xml = _RECORDING.sub("", xml)
        if faults.omit_optional:
            xml = _OPTIONAL.sub("", xml)
        if faults.empty_end != "blank":
            xml = xml.replace(_BLANK_END, "\t<end_time></end_time>\n" if faults.empty_end == "bare" else "", 1)
        if faults.blank_timestamps:
            xml = _INSTANT.sub(r"\1\2", xml)
        if faults.old_names:
            xml = _old_names(xml)
        if kind == "presentation" and faults.presentation_root:
            xml = xml.replace("<session lsid=", "<presentation lsid=", 1).replace("</session>", "</presentation>", 1)
            xml = xml.replace("<session_summary ", "<presentation_summary ", 1)
        return self._prefixed(xml)

    def _prefixed(self, xml: str) -> str:
        return _TAG.sub(rf"<\1{self._prefix}", xml) if self._prefix else xml


def _old_names(xml: str) -> str:
    """The spellings of 9.3's left column."""
    xml = _BOTH_NAMES.sub("", xml)
    xml = xml.replace("primary_customer", "primary_cust").replace(' timestamp="', ' ts="')
    xml = xml.replace('"Session Foreground Window Changed"', '"Foreground Window Changed"')
    return xml.replace("<field name=", "<field id=")
