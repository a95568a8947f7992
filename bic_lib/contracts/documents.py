"""Session documents for the tests of rows and tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from lxml import etree

from bic_lib.core.model import Document

HOST = "support.example.com"
LSID = "7c1f0e2ad94b4c0f9b6a3d5581e2c4f7"

FULL = f"""<session lsid="{LSID}">
	<session_type>support</session_type>
	<lseq>48213</lseq>
	<start_time timestamp="1741701737">2025-03-11T14:02:17+00:00</start_time>
	<end_time timestamp="1741703829">2025-03-11T14:37:09+00:00</end_time>
	<duration>100:34:52</duration>
	<public_site id="2">Branch Office</public_site>
	<jump_group type="shared" id="7">Servers</jump_group>
	<external_key>INC0012345</external_key>
	<custom_attributes>
		<custom_attribute display_name="Cost Centre" code_name="cost_centre">4711</custom_attribute>
	</custom_attributes>
	<session_recording_download_url>https://support.example.com/video</session_recording_download_url>
	<command_shell_recordings>
		<command_shell_recording instance="0"><download_url>https://support.example.com/shell</download_url></command_shell_recording>
	</command_shell_recordings>
	<file_transfer_count>3</file_transfer_count>
	<primary_customer gsnumber="118">Ada Example</primary_customer>
	<primary_rep gsnumber="97" id="14">Bo Tester</primary_rep>
	<primary_team id="3">Second Level</primary_team>
	<customer_list>
	<customer gsnumber="118">
		<username>EXAMPLE\\ada</username>
		<public_ip>203.0.113.17:61606</public_ip>
		<private_ip>Unknown</private_ip>
		<hostname>NB-00871</hostname>
		<os>Windows 11</os>
		<rpat_support>1</rpat_support>
		<info>
			<name>
				Ada Example
			</name>
			<company>Example &amp; Sons</company>
			<company_code>EX-9</company_code>
			<issue>12</issue>
			<details>Printer prints "Ω" 🖨</details>
		</info>
	</customer>
	</customer_list>
	<rep_list>
	<representative gsnumber="95" id="9">
		<username>cara</username>
		<display_name>Cara</display_name>
		<display_number>109</display_number>
		<session_owner>1</session_owner>
		<primary_rep>0</primary_rep>
		<seconds_involved>613</seconds_involved>
	</representative>
	<representative gsnumber="97" id="14">
		<username>bo</username>
		<public_display_name>Bo</public_display_name>
		<private_display_name>Bo Tester</private_display_name>
		<public_ip>[2001:db8::17]:56722</public_ip>
		<private_ip>192.0.2.61</private_ip>
		<hostname>DESK-14</hostname>
		<os>macOS 14.4</os>
		<session_owner>0</session_owner>
		<seconds_involved>1444</seconds_involved>
	</representative>
	</rep_list>
	<team_list>
	<team id="2"><name>First Level</name></team>
	<team id="3">Second Level</team>
	</team_list>
	<session_details>
<event timestamp="1741701737" event_type="Session Start" >

	</event>
<event timestamp="1741701738" event_type="Conference Member Added" >
	<performed_by type="customer" gsnumber="118">Ada Example</performed_by>
	<data>
		<value name="private_name" value="Ada Example" />
	</data>
	<data>
		<value name="os" value="" />
	</data>
</event>
<event timestamp="1741701795" event_type="Chat Message" >
	<performed_by type="representative" gsnumber="95">Cara First</performed_by>
	<destination type="customer" gsnumber="118">Ada Example</destination>
	<body>
Hello, this is Cara.
May I look at your screen?
</body>
</event>
<event timestamp="1741701827" event_type="System Information Retrieved" >
	<system_information>
		<category name="General">
			<description><field name="Computer Name">Computer Name</field></description>
			<data><row><field name="Computer Name">NB &lt;1&gt;</field></row></data>
		</category>
		<category name="Empty" />
	</system_information>
</event>
<event timestamp="1741701917" event_type="File Upload" >
	<performed_by type="representative" gsnumber="95">Cara First</performed_by>
	<filename>C:\\Temp\\driver.zip</filename>
	<filesize>5242880</filesize>
</event>
<event timestamp="1741702038" event_type="Files Shared" >
	<files>
		<file><filename>guide.pdf</filename><filesize>88123</filesize></file>
		<file><filename>notes.txt</filename></file>
		<file><filename>last.txt</filename><filesize>3</filesize></file>
	</files>
</event>
<event timestamp="1741702347" event_type="Chat Message" >
	<performed_by type="representative" gsnumber="97">Bo Tester</performed_by>
	<encoded_body>ZXhpdCBjb2RlIBtb
MzFtMRtbMG0=</encoded_body>
</event>
	</session_details>
</session>"""


def document(xml: str, *, as_of: int | None = 1_741_710_000) -> Document:
    """The document of one session, as an appliance client hands it on."""
    record = etree.fromstring(xml)
    return Document(
        lsid=record.get("lsid", ""),
        xml=xml.encode(),
        record=record,
        fingerprint=hashlib.sha256(xml.encode()).hexdigest(),
        session_type="support",
        lseq="",
        external_key="",
        start=None,
        end=None,
        recordings=(),
        as_of=as_of,
    )


def small(lsid: str, *, key: str = "INC1", lines: Sequence[str] = ("Hello",), as_of: int | None = 1_741_710_000) -> Document:
    """A session with one chat line an event."""
    events = "".join(
        f'<event timestamp="{1_741_701_737 + n}" event_type="Chat Message"><body>{line}</body></event>'
        for n, line in enumerate(lines)
    )
    return document(
        f'<session lsid="{lsid}"><external_key>{key}</external_key><session_details>{events}</session_details></session>',
        as_of=as_of,
    )
