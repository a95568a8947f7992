"""`/api/reporting`: which report, which records, what answer (docs/appliance.md 2)."""

import math
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from io import BytesIO
from itertools import chain
from typing import Literal
from zipfile import ZipFile

from bic_lib.simulator.answers import NO_ARCHIVES, Answer, Refusal, error_document, json_answer, nothing_found, odd_answer, refuse
from bic_lib.simulator.documents import record, summary
from bic_lib.simulator.faults import Faults, Recording
from bic_lib.simulator.markup import Links
from bic_lib.simulator.population import DAY, Kind, SessionTruth
from bic_lib.simulator.recordings import MEDIA_TYPES, blocks, usual_size
from bic_lib.simulator.register import Moment, Register
from bic_lib.simulator.spellings import Spelling

Parameters = Mapping[str, str]

_TIMED_OUT = {"error": "timeout", "message": "The upstream timed out."}
_LSID = re.compile(r"[0-9a-fA-F]{32}")
_STARTING_POINTS = ("start_date", "start_time", "end_date", "end_time")


@dataclass(frozen=True)
class Report:
    """One `generate_report`: the right it needs, and what it is about."""

    permission: str
    answer: Callable[["Reporting", "Report", Parameters, Moment], Answer]
    kind: Kind = "support"
    data: str = ""
    root: str = ""
    subject: str = "Support"


@dataclass(frozen=True)
class _Selection:
    by: Literal["start", "end"]
    first: float
    last: float


def _sent(content: Iterator[bytes], breaks_off: int | None) -> Iterator[bytes]:
    """All of it; or what comes until its maker fails in the middle, and what is then said."""
    left = breaks_off
    for block in content:
        if left is not None and len(block) >= left:
            yield block[:left] + b"<error>The recording could not be read.</error>"
            return
        left = None if left is None else left - len(block)
        yield block


class Reporting:
    """Answers reports from the register, in the spelling and with the troubles that the faults ask for."""

    def __init__(self, register: Register, faults: Faults, padding_bytes: int) -> None:
        self._register = register
        self._faults = faults
        self._padding_bytes = padding_bytes
        self._asked: dict[str, int] = {}

    def answer(self, parameters: Parameters, moment: Moment, permit: Callable[[str], None]) -> Answer:
        """The answer to one request; raises Refusal for missing rights and wrong parameters."""
        name = parameters.get("generate_report", "")
        report = REPORTS.get(name)
        if report is None or name in self._faults.refused_reports:
            raise refuse("unknown_report", self._faults, name=name or "(none)")
        permit(report.permission)
        return report.answer(self, report, parameters, moment)

    def session_xml(self, truth: SessionTruth, links: Links) -> bytes:
        """The record element as it is served now."""
        xml = record(truth, links, self._padding_bytes)
        return Spelling(self._faults).record(xml, truth.lsid, truth.kind).encode("utf-8", "surrogateescape")

    def sessions(self, report: Report, parameters: Parameters, moment: Moment) -> Answer:
        """Full documents of the selected sessions or presentations."""
        if "lsid" in parameters or "lsids" in parameters:
            found = self._by_id(report, parameters, moment)
        else:
            found = self._in_range(report, parameters, moment)
        links = Links(secrets.token_hex(8) if self._faults.vary_links else "")
        return self._list(report, "session", found, lambda truth: record(truth, links, self._padding_bytes))

    def listing(self, report: Report, parameters: Parameters, moment: Moment) -> Answer:
        """Ids, keys and whether there is a recording (2.4)."""
        return self._list(report, "session_summary", self._in_range(report, parameters, moment, listed=True), summary)

    def recording(self, report: Report, parameters: Parameters, moment: Moment) -> Answer:
        """The bytes of a recording, or why there are none (5.3)."""
        lsid = parameters.get("lsid", "").lower()
        truth = self._register.find(report.kind, lsid, moment) if _LSID.fullmatch(lsid) else None
        if truth is None:
            raise refuse("invalid_lsid", self._faults)
        has_instances = report.data in ("command_shell_recordings", "show_my_screen_recordings")
        instance = self._whole(parameters, "instance") if has_instances else 0
        if not self._remembered(truth, moment):
            raise refuse("expired", self._faults)
        how = self._faults.recording_of(lsid, instance)
        name = recording_name(report.data, lsid, instance)
        if not is_recorded(truth, report.data, instance):
            raise refuse("no_recording", self._faults)
        self._refuse_recording(how, name)
        if how.odd is not None:
            return replace(odd_answer(how.odd), framing=how.framing, coding=how.coding)
        if self._faults.recording_variation:
            name += f"/{secrets.token_hex(4)}"
        size = usual_size(name) if how.size is None else how.size
        disposition = f'attachment; filename="{lsid}.{how.format}"'
        return Answer(
            body=_sent(blocks(name, how.format, size), how.breaks_off),
            content_type=MEDIA_TYPES[how.format],
            headers={"Content-Disposition": disposition},
            cut_after=how.cut_after,
            first_byte_delay=how.first_byte_delay,
            framing=how.framing,
            coding=how.coding,
        )

    def empty(self, report: Report, parameters: Parameters, moment: Moment) -> Answer:
        """A report that this appliance knows by name only: it never finds anything."""
        if report.permission == "perm_reporting_license":
            return Answer(body=[Spelling(self._faults).document(report.root, "\n")])
        for _ in self._in_range(report, parameters, moment, check_only=True):
            break
        return nothing_found(report.subject, report.root, self._faults)

    def archives(self, _report: Report, _parameters: Parameters, _moment: Moment) -> Answer:
        """There are no archives."""
        return error_document(NO_ARCHIVES, self._faults)

    def zipped(self, report: Report, _parameters: Parameters, _moment: Moment) -> Answer:
        """A ZIP with one nearly empty file."""
        packed = BytesIO()
        with ZipFile(packed, "w") as archive:
            archive.writestr(report.root, "name\n")
        return Answer(body=[packed.getvalue()], content_type="application/zip")

    def _list(self, report: Report, stem: str, found: Iterator[SessionTruth], write: Callable[[SessionTruth], str]) -> Answer:
        first = next(found, None)
        if first is None:
            return nothing_found(report.subject, f"{stem}_list", self._faults)
        spelling = Spelling(self._faults)
        records = (spelling.record(write(truth), truth.lsid, truth.kind) for truth in chain([first], found))
        return Answer(body=spelling.report(report.kind, stem, records))

    def _by_id(self, report: Report, parameters: Parameters, moment: Moment) -> Iterator[SessionTruth]:
        wanted = dict.fromkeys(parameters.get("lsids", parameters.get("lsid", "")).lower().split(","))
        if any(name in parameters for name in _STARTING_POINTS) or ("lsid" in parameters and "lsids" in parameters):
            raise refuse("one_way", self._faults)
        if ("lsid" in parameters and len(wanted) > 1) or not all(_LSID.fullmatch(lsid.strip()) for lsid in wanted):
            raise refuse("invalid_lsid", self._faults)
        for status in (self._faults.refused_lsids[lsid] for lsid in wanted if lsid in self._faults.refused_lsids):
            raise refuse("invalid_lsid", self._faults) if status is None else Refusal(json_answer(status, _TIMED_OUT))
        found = (self._register.find(report.kind, lsid.strip(), moment) for lsid in wanted)
        return (truth for truth in found if truth is not None and self._given(truth, moment))

    def _in_range(
        self, report: Report, parameters: Parameters, moment: Moment, *, check_only: bool = False, listed: bool = False
    ) -> Iterator[SessionTruth]:
        chosen = self._selection(parameters, moment)
        if check_only:
            return iter(())
        found = self._register.select(report.kind, chosen.by, chosen.first, chosen.last, moment)
        shown = self._remembered if listed else self._given
        return (truth for truth in found if shown(truth, moment))

    def _remembered(self, truth: SessionTruth, moment: Moment) -> bool:
        """An appliance forgets what ended long ago."""
        keeps = self._faults.keeps
        return keeps is None or (truth.start if truth.end is None else truth.end) >= moment.shown - keeps

    def _given(self, truth: SessionTruth, moment: Moment) -> bool:
        return truth.lsid not in self._faults.ungiven and self._remembered(truth, moment)

    def _selection(self, parameters: Parameters, moment: Moment) -> _Selection:
        given = [name for name in _STARTING_POINTS if name in parameters]
        if len(given) != 1:
            raise refuse("one_start", self._faults)
        by: Literal["start", "end"] = "start" if given[0].startswith("start") else "end"
        duration = self._whole(parameters, "duration")
        if given[0].endswith("date"):
            first, length = self._midnight(parameters[given[0]]), duration * DAY
        else:
            first, length = self._whole(parameters, given[0]), duration
        last = first + length if duration else math.floor(moment.shown) + 1
        longest = self._faults.max_report_seconds
        if longest is not None and last - first > longest:
            if self._faults.too_long_status is not None:
                raise Refusal(json_answer(self._faults.too_long_status, _TIMED_OUT))
            raise refuse("too_long", self._faults)
        return _Selection(by, first, last)

    def _midnight(self, text: str) -> int:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise refuse("invalid_date", self._faults, name=text)
        try:
            day = date.fromisoformat(text)
        except ValueError:
            raise refuse("invalid_date", self._faults, name=text) from None
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())

    def _whole(self, parameters: Parameters, name: str) -> int:
        text = parameters.get(name, "")
        if not re.fullmatch(r"[0-9]{1,12}", text):
            raise refuse("no_number", self._faults, name=name)
        return int(text)

    def _refuse_recording(self, how: Recording, name: str) -> None:
        self._asked[name] = self._asked.get(name, 0) + 1
        if how.expired:
            raise refuse("expired", self._faults)
        if how.none:
            raise refuse("no_recording", self._faults)
        if self._asked[name] <= how.not_ready:
            raise refuse("not_ready", self._faults)
        if how.error is not None:
            raise Refusal(error_document(how.error, self._faults))


def is_recorded(truth: SessionTruth, data: str, instance: int) -> bool:
    """Whether this recording was made; `data` is a data type's name."""
    made = {"command_shell_recordings": truth.shells, "show_my_screen_recordings": truth.screens}
    return instance < made.get(data, int(truth.recordings))


def recording_name(data: str, lsid: str, instance: int) -> str:
    """What the bytes of a recording are made from."""
    return f"{data}/{lsid}/{instance}"


_SUPPORT, _PRESENTATION = "perm_reporting_support", "perm_reporting_presentation"

REPORTS: dict[str, Report] = {
    "SupportSession": Report(_SUPPORT, Reporting.sessions),
    "SupportSessionListing": Report(_SUPPORT, Reporting.listing),
    "SupportSessionRecording": Report(_SUPPORT, Reporting.recording, data="session_recordings"),
    "CommandShellRecording": Report(_SUPPORT, Reporting.recording, data="command_shell_recordings"),
    "ShowMyScreenRecording": Report(_SUPPORT, Reporting.recording, data="show_my_screen_recordings"),
    "PresentationSession": Report(_PRESENTATION, Reporting.sessions, "presentation", subject="Presentation"),
    "PresentationSessionListing": Report(_PRESENTATION, Reporting.listing, "presentation", subject="Presentation"),
    "PresentationSessionRecording": Report(_PRESENTATION, Reporting.recording, "presentation", data="presentation_recordings"),
    "SupportSessionSummary": Report(_SUPPORT, Reporting.empty, root="summary_list"),
    "SupportCustExitSurvey": Report(_SUPPORT, Reporting.empty, root="exit_survey_list"),
    "SupportRepExitSurvey": Report(_SUPPORT, Reporting.empty, root="exit_survey_list"),
    "SupportTeam": Report(_SUPPORT, Reporting.empty, root="team_activity_list"),
    "LicenseUsage": Report("perm_reporting_license", Reporting.empty, root="license_usage"),
    "EndpointLicenseUsage": Report("perm_reporting_license", Reporting.zipped, root="jump_items.csv"),
    "ArchiveListing": Report("perm_reporting_archive", Reporting.archives),
    "Archive": Report("perm_reporting_archive", Reporting.archives),
    "VaultAccountActivity": Report(
        "perm_reporting_vault", Reporting.empty, root="vault_account_activity_list", subject="vault account activity"
    ),
    "Syslog": Report("perm_reporting_syslog", Reporting.zipped, root="syslog.txt"),
    "JumpItem": Report("perm_reporting_license", Reporting.zipped, root="jump_items.csv"),
}
