"""The credential test: token, rights, clock, role, without the command right too and without a backup (docs/appliance.md 7.4)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Protocol

from bic_lib.appliance.body_end import NOT_TOLD, PROXY
from bic_lib.appliance.commands import ApiInfo
from bic_lib.core.errors import BicError
from bic_lib.core.model import DOCUMENTS, REPORT_OF, DataType, ReportKind, Selection, Window
from bic_lib.core.ports.appliance import Appliance, Report
from bic_lib.core.ports.preflight import Check


class Answered(Report, Protocol):
    """A report, and whether its reader was told where it ends."""

    @property
    def end_is_told(self) -> bool: ...


class Client(Appliance, Protocol):
    """What is asked here of a site's client; each call raises BicError."""

    host: str

    def report(self, kind: ReportKind, selection: Selection) -> AbstractContextManager[Answered]: ...

    def sign_in(self) -> None: ...

    def api_info(self) -> ApiInfo: ...

    def failover_role(self) -> str: ...


def checks(client: Client, data: frozenset[DataType], *, our_time: Callable[[], float]) -> list[Check]:
    """One line for each thing that these data types need. Without a token there is nothing else to look at."""
    token = _attempt(client, "token", client.sign_in)
    if not token.ok:
        return [token]
    kinds = sorted({REPORT_OF[entry] for entry in data if entry in REPORT_OF})
    told: list[bool] = []
    lines = [token, *(_attempt(client, f"{kind} reporting right", partial(_try_report, client, kind, told)) for kind in kinds)]
    if not all(told) and not data <= DOCUMENTS:
        lines.append(_no_ends(client.host))
    try:
        info = client.api_info()
    except BicError:
        info = None
    if DataType.SITE_BACKUPS in data:
        lines.append(_backup_right(client.host, info))
    lines.append(_clock(client, our_time))
    if info is not None:
        lines.append(_role(client))
    return lines


def _attempt(client: Client, check: str, act: Callable[[], str | None]) -> Check:
    try:
        detail = act()
    except BicError as error:
        return Check(client.host, check, ok=False, detail=error.message, hint=error.hint)
    return Check(client.host, check, ok=True, detail=detail or "")


def _try_report(client: Client, kind: ReportKind, told: list[bool]) -> None:
    """One second of what ended just now: as good as no work for the appliance. `told` hears whether it said where it ends."""
    second = int(client.now()[0]) - 1
    with client.report(kind, Selection(ended=Window(second, second + 1))) as report:
        told.append(report.end_is_told)
        for _ in report:
            break


def _no_ends(host: str) -> Check:
    detail = f"{NOT_TOLD}: recordings and backups fail, but for videos that are whole by their own structure"
    return Check(host, "ends of answers", ok=False, detail=detail, hint=PROXY)


def _backup_right(host: str, info: ApiInfo | None) -> Check:
    allowed = info.permissions.get("perm_backup") if info else None
    if allowed is None:
        return Check(host, "backup right", ok=True, detail="not visible without the command right; the first backup will tell")
    if allowed == "1":
        return Check(host, "backup right", ok=True)
    return Check(host, "backup right", ok=False, detail="the account may not make backups", hint="Give it the Backup API right.")


def _clock(client: Client, our_time: Callable[[], float]) -> Check:
    def compare() -> str:
        now, told = client.now()
        if not told:
            return "the appliance tells no time; ours is used"
        ahead = round(now - our_time())
        if abs(ahead) <= 1:
            return "the appliance's clock and ours agree"
        return f"the appliance is {abs(ahead)} s {'ahead of' if ahead > 0 else 'behind'} us; harmless, its own clock is used"

    return _attempt(client, "clock", compare)


def _role(client: Client) -> Check:
    line = _attempt(client, "failover role", client.failover_role)
    if line.detail != "backup":
        return line
    return Check(
        client.host,
        "failover role",
        ok=False,
        detail="this is the backup appliance of a pair: its newest sessions may be missing",
        hint="Use the site's own name, which leads to the primary (docs/appliance.md 8.5).",
    )
