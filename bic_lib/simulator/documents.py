"""The record element of a session or presentation, in the usual spelling (docs/appliance.md 3, 4)."""

from hashlib import blake2b
from random import Random

from bic_lib.simulator.cast import COMMENTS, Cast, Customer, Representative, cast_of
from bic_lib.simulator.events import event, session_details
from bic_lib.simulator.markup import Links, attribute, clock_time, instant, optional, text
from bic_lib.simulator.population import SessionTruth

_SITES = ((1, "Default"), (1, "Default"), (1, "Default"), (2, "Branch Office"), (4, "Zweigstelle Süd"))


def record(truth: SessionTruth, links: Links, padding_bytes: int = 0) -> str:
    """The record element of one session, from `<session lsid=…` to its end tag and newline."""
    seed = int.from_bytes(blake2b(truth.lsid.encode(), digest_size=8).digest())
    random = Random(seed)  # noqa: S311 - repeatable invented data, not a secret
    cast = cast_of(truth, random)
    if truth.kind == "presentation":
        return _presentation(truth, cast, links, padding_bytes)
    return _support(truth, cast, random, links, padding_bytes)


def summary(truth: SessionTruth) -> str:
    """The line of a listing (docs/appliance.md 2.4)."""
    key = f'external_key="{attribute(truth.external_key)}"' if truth.external_key else ""
    return f'<session_summary lsid="{truth.lsid}" has_recording="{truth.recordings:d}" {key} />\n'


def _support(truth: SessionTruth, cast: Cast, random: Random, links: Links, padding_bytes: int) -> str:
    transfers = truth.index % 4
    joined = truth.start + int(0.02 * truth.planned)
    has_joined = cast.representatives and 0.02 * truth.planned <= truth.lasted
    return "".join(
        (
            _head(truth),
            instant("rep_join_time", joined) if has_joined else "",
            '\t<jumpoint id="-1"></jumpoint>\n\t<jump_group type="shared" id="-1"></jump_group>\n'
            if truth.index % 3
            else f'\t<jump_group type="shared" id="{truth.index % 7}">Büro &amp; Lager</jump_group>\n\n',
            f"\t<external_key>{text(truth.external_key)}</external_key>\n",
            _custom_attributes(truth),
            _addresses(truth, links),
            f"\t<file_transfer_count>{transfers}</file_transfer_count>\n",
            f"\t<file_move_count>{transfers // 2}</file_move_count>\n\t<file_delete_count>0</file_delete_count>\n",
            _primaries(cast),
            f"\t<customer_list>\n{_customer(cast.customer)}\t</customer_list>\n",
            _representatives(truth, cast.representatives),
            _teams(cast),
            _surveys(truth, cast) if truth.end is not None else "",
            session_details(truth, cast, random, links, padding_bytes),
            "</session>\n",
        )
    )


def _head(truth: SessionTruth) -> str:
    site, name = _SITES[truth.index % len(_SITES)]
    ended = '\t<end_time timestamp=""></end_time>\n' if truth.end is None else instant("end_time", truth.end)
    return (
        f'<session lsid="{truth.lsid}">\n\t<session_type>{truth.kind}</session_type>\n\t<lseq>{truth.lseq}</lseq>\n'
        f"{instant('start_time', truth.start)}{ended}\t<duration>{clock_time(truth.lasted)}</duration>\n"
        f'\t<public_site id="{site}">{name}</public_site>\n'
    )


def _addresses(truth: SessionTruth, links: Links) -> str:
    if truth.end is None:
        return ""
    return "".join(
        (
            links.pair("session_chat", truth.lsid, "chat"),
            links.pair("session_recording", truth.lsid, "recording") if truth.recordings else "",
            links.instances("command_shell_recording", truth.lsid, "shell", truth.shells),
            links.instances("show_my_screen_recording", truth.lsid, "sms", truth.screens),
        )
    )


def _custom_attributes(truth: SessionTruth) -> str:
    if truth.index % 4:
        return "\t<custom_attributes></custom_attributes>\n"
    return (
        "\t<custom_attributes>\n"
        f'\t\t<custom_attribute display_name="Cost Centre" code_name="cost_centre">{4_000 + truth.index % 900}'
        '</custom_attribute>\n\t\t<custom_attribute display_name="Büro &amp; Etage" code_name="office">'
        "Zürich &lt;3&gt; 🏢</custom_attribute>\n\t</custom_attributes>\n"
    )


def _primaries(cast: Cast) -> str:
    customer = cast.customer
    name = text(customer.name or customer.username)
    lines = f'\t<primary_customer gsnumber="{customer.gsnumber}">{name}</primary_customer>\n'
    if cast.representatives:
        owner, team = cast.representatives[-1], cast.teams[-1]
        lines += f'\t<primary_rep gsnumber="{owner.gsnumber}" id="{owner.id}">{text(owner.private_name)}</primary_rep>\n'
        lines += f'\t<primary_team id="{team.id}">{text(team.name)}</primary_team>\n'
    return lines


def _customer(customer: Customer) -> str:
    return "".join(
        (
            f'\t<customer gsnumber="{customer.gsnumber}">\n\t\t<primary_cust>1</primary_cust>\n',
            optional("username", customer.username),
            optional("public_ip", customer.public_ip),
            optional("private_ip", customer.private_ip),
            optional("hostname", customer.hostname),
            optional("os", customer.os),
            f"\t\t<rpat_support>0</rpat_support>\n\t\t<info>\n\t\t\t<name>{text(customer.name)}</name>\n",
            f"\t\t\t<company>{text(customer.company)}</company>\n",
            f"\t\t\t<company_code>{customer.company_code}</company_code>\n\t\t\t<issue>{customer.issue}</issue>\n",
            f"\t\t\t<details>{text(customer.details)}</details>\n\t\t</info>\n\t</customer>\n",
        )
    )


def _representatives(truth: SessionTruth, members: tuple[Representative, ...]) -> str:
    lines = ["\t<rep_list>\n"]
    for member in members:
        last = member is members[-1]
        involved = max(0, truth.lasted * (3 if last else 1) // 4)
        lines += (
            f'\t<representative gsnumber="{member.gsnumber}" id="{member.id}">\n',
            optional("username", member.username),
            optional("display_name", member.public_name),
            optional("public_display_name", member.public_name),
            optional("private_display_name", member.private_name),
            f"\t\t<display_number>{member.number}</display_number>\n",
            optional("public_ip", member.public_ip),
            optional("private_ip", member.private_ip),
            optional("hostname", member.hostname),
            optional("os", member.os),
            f"\t\t<session_owner>1</session_owner>\n\t\t<primary_rep>{last:d}</primary_rep>\n",
            f"\t\t<seconds_involved>{involved}</seconds_involved>\n",
            "\t\t<invited>1</invited>\n" if member.id == 33 else "",
            "\t</representative>\n",
        )
    lines.append("\t</rep_list>\n")
    return "".join(lines)


def _teams(cast: Cast) -> str:
    lines = "".join(
        f'\t<team id="{team.id}">\n\t\t<name>{text(team.name)}</name>\n'
        f"\t\t<primary_team>{team is cast.teams[-1]:d}</primary_team>\n\t</team>\n"
        for team in cast.teams
    )
    return f"\t<team_list>\n{lines}\t</team_list>\n" if lines else ""


def _surveys(truth: SessionTruth, cast: Cast) -> str:
    lines = []
    if truth.index % 3 == 0:
        comments = attribute(COMMENTS[truth.index % len(COMMENTS)])
        lines.append(
            f'\t<cust_survey_list>\n\t<cust_exit_survey gsnumber="{cast.customer.gsnumber}">\n'
            f'\t\t<value name="rating" value="{1 + truth.index % 5}" />\n\t\t<value name="comments" value="{comments}" />\n'
            "\t</cust_exit_survey>\n\t</cust_survey_list>\n"
        )
    if truth.revision and cast.representatives:
        lines.append(
            f'\t<rep_survey_list>\n\t<rep_exit_survey gsnumber="{cast.representatives[-1].gsnumber}">\n'
            f'\t\t<value name="resolved" value="Yes ({truth.revision})" />\n\t</rep_exit_survey>\n\t</rep_survey_list>\n'
        )
    return "".join(lines)


def _presentation(truth: SessionTruth, cast: Cast, links: Links, padding_bytes: int) -> str:
    guest, host = cast.customer, cast.representatives[-1]
    added = f'\t<performed_by type="customer" gsnumber="{guest.gsnumber}">{text(guest.username)}</performed_by>\n'
    notes = "é" * (padding_bytes // 2)
    return "".join(
        (
            _head(truth),
            f"\t<external_key>{text(truth.external_key)}</external_key>\n",
            links.pair("session_recording", truth.lsid, "recording") if truth.recordings else "",
            f'\t<primary_rep gsnumber="{host.gsnumber}" id="{host.id}">{text(host.private_name)}</primary_rep>\n',
            f'\t<attendee_list>\n\t<attendee gsnumber="{guest.gsnumber}">\n',
            optional("username", guest.username),
            optional("public_ip", guest.public_ip),
            optional("private_ip", guest.private_ip),
            optional("os", guest.os),
            "\t</attendee>\n\t</attendee_list>\n",
            _representatives(truth, cast.representatives),
            "\t<session_details>\n",
            event(truth.start, "Session Start", ""),
            event(truth.start + 7, "Conference Member Added", added) if truth.lasted > 7 else "",
            event(truth.start, "Session Note Added", f"\t<body>{notes}</body>\n") if notes else "",
            event(truth.end, "Session End", "") if truth.end is not None else "",
            event(truth.start, "Session Note Added", f"\t<body>Late note {truth.revision}</body>\n") if truth.revision else "",
            "\t</session_details>\n</session>\n",
        )
    )
