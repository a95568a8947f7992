"""A support report of any size for the benchmarks: made by repeating one realistic session under new ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from lxml import etree

from bic_lib.core.model import Document

PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False)


def session_xml(number: int, events: int = 32) -> bytes:
    """One session of about 10 KB: chats, file transfers and name-value pairs in the mix that reports have."""
    lsid = hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()
    start = 1_741_701_737 + 97 * number
    parts = [_HEAD.format(lsid=lsid, number=number, start=start, end=start + 2_092)]
    parts += [_EVENTS[n % len(_EVENTS)].format(at=start + 61 * n, n=n) for n in range(events)]
    return "".join([*parts, "\t</session_details>\n</session>\n"]).encode()


def documents(count: int, first: int = 0) -> list[Document]:
    """Sessions as an appliance client hands them on."""
    return [document(session_xml(number)) for number in range(first, first + count)]


def document(xml: bytes) -> Document:
    record = etree.fromstring(xml, PARSER)
    return Document(
        lsid=record.get("lsid", ""),
        xml=xml,
        record=record,
        fingerprint=hashlib.sha256(xml).hexdigest(),
        session_type="support",
        lseq="",
        external_key="",
        start=None,
        end=None,
        recordings=(),
        as_of=1_800_000_000,
    )


def sessions(megabytes: float) -> Iterator[bytes]:
    """Sessions until they add up to this size."""
    left = megabytes * 1_000_000
    number = 0
    while left > 0:
        xml = session_xml(number)
        yield xml
        left -= len(xml)
        number += 1


_HEAD = """<session lsid="{lsid}">
	<session_type>support</session_type>
	<lseq>{number}</lseq>
	<start_time timestamp="{start}">2025-03-11T14:02:17+00:00</start_time>
	<end_time timestamp="{end}">2025-03-11T14:37:09+00:00</end_time>
	<duration>00:34:52</duration>
	<public_site id="1">Default</public_site>
	<external_key>INC{number:07}</external_key>
	<custom_attributes>
		<custom_attribute display_name="Cost Centre" code_name="cost_centre">4711</custom_attribute>
	</custom_attributes>
	<session_chat_download_url>https://support.example.com/session_download?lsid=l%3D{lsid}&amp;dl_action=chat</session_chat_download_url>
	<file_transfer_count>3</file_transfer_count>
	<primary_customer gsnumber="118">Ada Example</primary_customer>
	<primary_rep gsnumber="97" id="14">Bo Tester</primary_rep>
	<primary_team id="3">Second Level</primary_team>
	<customer_list>
	<customer gsnumber="118">
		<username>EXAMPLE\\ada</username>
		<public_ip>203.0.113.17:61606</public_ip>
		<private_ip>10.20.30.40</private_ip>
		<hostname>NB-00871</hostname>
		<os>Windows 11 Enterprise (23H2)</os>
		<info>
			<name>Ada Exämple</name>
			<company>Example &amp; Sons</company>
			<details>Printer prints "Ω" instead of text</details>
		</info>
	</customer>
	</customer_list>
	<rep_list>
	<representative gsnumber="97" id="14">
		<username>bo</username>
		<public_display_name>Bo</public_display_name>
		<private_display_name>Bo Tester</private_display_name>
		<display_number>114</display_number>
		<public_ip>198.51.100.8:50321</public_ip>
		<private_ip>192.0.2.61</private_ip>
		<hostname>DESK-14</hostname>
		<os>macOS 14.4</os>
		<session_owner>1</session_owner>
		<seconds_involved>1444</seconds_involved>
	</representative>
	</rep_list>
	<team_list>
	<team id="3">
		<name>Second Level</name>
	</team>
	</team_list>
	<session_details>
"""

_EVENTS = (
    """<event timestamp="{at}" event_type="Conference Member Added" >
	<performed_by type="representative" gsnumber="97">Bo Tester</performed_by>
	<data>
		<value name="private_name" value="Bo Tester" />
		<value name="public_name" value="Bo" />
		<value name="username" value="bo" />
		<value name="os" value="macOS 14.4" />
		<value name="private_ip" value="192.0.2.61" />
		<value name="support_teams" value="Second Level" />
	</data>
</event>
""",
    """<event timestamp="{at}" event_type="Chat Message" >
	<performed_by type="representative" gsnumber="97">Bo Tester</performed_by>
	<destination type="customer" gsnumber="118">Ada Example</destination>
	<body>Line {n}: could you please restart the spooler, naïve as it sounds?</body>
</event>
""",
    """<event timestamp="{at}" event_type="Session Foreground Window Changed" >
	<performed_by type="customer" gsnumber="118">Ada Example</performed_by>
	<data>
		<value name="exeName" value="C:\\Windows\\explorer.exe" />
		<value name="windowName" value="Devices and Printers {n}" />
	</data>
</event>
""",
    """<event timestamp="{at}" event_type="File Upload" >
	<performed_by type="representative" gsnumber="97">Bo Tester</performed_by>
	<destination type="customer" gsnumber="118">Ada Example</destination>
	<filename>C:\\Temp\\driver-{n}.zip</filename>
	<filesize>5242880</filesize>
</event>
""",
)
