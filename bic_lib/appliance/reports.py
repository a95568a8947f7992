"""Report kinds as data, and how a selection becomes request parameters (docs/appliance.md 2.2, 2.3, 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

from bic_lib.core.model import DataType, ReportKind, Selection, Window


@dataclass(frozen=True, slots=True)
class ReportNames:
    """The `generate_report` values of one kind, the right that its answers need (1.18), and what `get_api_info` calls it."""

    full: str
    listing: str
    right: str
    permission: str


REPORTS: dict[ReportKind, ReportNames] = {
    ReportKind.SUPPORT: ReportNames(
        full="SupportSession",
        listing="SupportSessionListing",
        right="Reporting API: support session reports and recordings",
        permission="perm_reporting_support",
    ),
    ReportKind.PRESENTATION: ReportNames(
        full="PresentationSession",
        listing="PresentationSessionListing",
        right="Reporting API: presentation session reports and recordings",
        permission="perm_reporting_presentation",
    ),
}

RECORDINGS: dict[DataType, str] = {
    DataType.SESSION_RECORDINGS: "SupportSessionRecording",
    DataType.SHOW_MY_SCREEN_RECORDINGS: "ShowMyScreenRecording",
    DataType.COMMAND_SHELL_RECORDINGS: "CommandShellRecording",
    DataType.PRESENTATION_RECORDINGS: "PresentationSessionRecording",
}

INSTANCE = "instance"
"""The parameter that numbers shells and Show My Screen recordings; its name is assumed (docs/appliance.md 12 Q3)."""


def report_parameters(kind: ReportKind, selection: Selection) -> dict[str, str]:
    """The parameters of a full report. Raises ValueError unless exactly one way of selecting is given."""
    given = [selection.ended is not None, selection.began is not None, bool(selection.lsids)]
    if sum(given) != 1:
        raise ValueError("a report is selected by exactly one of ended, began and lsids")
    name = {"generate_report": REPORTS[kind].full}
    if selection.ended is not None:
        return name | _times("end_time", selection.ended)
    if selection.began is not None:
        return name | _times("start_time", selection.began)
    if len(selection.lsids) == 1 and "," in selection.lsids[0]:  # `lsids` would take it for two
        return name | {"lsid": selection.lsids[0]}
    return name | {"lsids": ",".join(selection.lsids)}


def listing_parameters(kind: ReportKind, began: Window) -> dict[str, str]:
    """The parameters of a listing of what began in the window."""
    return {"generate_report": REPORTS[kind].listing} | _times("start_time", began)


def recording_parameters(data: DataType, lsid: str, instance: int | None) -> dict[str, str]:
    """The parameters of one recording's download."""
    named = {"generate_report": RECORDINGS[data], "lsid": lsid}
    return named if instance is None else named | {INSTANCE: str(instance)}


def _times(parameter: str, window: Window) -> dict[str, str]:
    if window.seconds <= 0:
        raise ValueError(f"a window of {window.seconds} seconds: to the appliance a duration of 0 means “until now”")
    return {parameter: str(window.begin), "duration": str(window.seconds)}
