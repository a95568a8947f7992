"""An appliance as the core knows it (:class:`bic_lib.core.ports.appliance.Appliance`), over its HTTP API (docs/appliance.md)."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar
from urllib.parse import urlencode

from bic_lib.appliance import body_end, content_encoding, preflight
from bic_lib.appliance.answers import Message, answered, recording_error, report_error
from bic_lib.appliance.calls import RECORDING_SECONDS, Call
from bic_lib.appliance.commands import ApiInfo, api_info, failover_role
from bic_lib.appliance.learning import Learner, OwnLessons, Said, said_by, says_only
from bic_lib.appliance.least_rate import Pledge
from bic_lib.appliance.rate_limit import OwnPause, Pace
from bic_lib.appliance.reports import RECORDINGS, REPORTS, listing_parameters, recording_parameters, report_parameters
from bic_lib.appliance.session_documents import documents, listed
from bic_lib.appliance.texts import KNOWN, Texts
from bic_lib.appliance.transport import Account, Answer, Timing, Transport, gathered, no_others
from bic_lib.core import containers, recognition
from bic_lib.core.errors import BicError, Interrupted, ItemError, Refused, SiteError, UnknownText, Untold
from bic_lib.core.model import REPORT_OF, BrokenDocument, DataType, Document, Listed, ReportKind, Selection, Window
from bic_lib.core.ports.appliance import Lessons, Pause
from bic_lib.core.ports.preflight import Check
from bic_lib.core.recognition import Recognised, What

Came = TypeVar("Came")

REPORT_CHUNK = 64 * 1024
BINARY_CHUNK = 256 * 1024
"""Bytes at a read: from 64 KiB on a download is as quick as curl's, at 8 KiB it is 0.65 of that (docs/performance.md 3)."""

LONG_QUERY = 1000
"""Characters of a query from which on the parameters go as a form: some servers in between cut long addresses."""

BACKUP_RIGHT = "Backup API"
_BACKUP_REFUSED = f"If that is a refusal: the right is “{BACKUP_RIGHT}”; give it to the API account."


class Words:
    """What a site says: its texts, and what is learned of them."""

    def __init__(self, host: str, texts: Texts, learner: Learner) -> None:
        self.texts = texts
        self._host = host
        self._learner = learner

    def understood(self, kind: ReportKind, came: Iterator[Came], *, by_id: bool = False) -> Iterator[Came]:
        """What came, and nothing where the site said so in words that were learned. Raises UnknownText for any others.

        `by_id`: it was asked for sessions by their ids.
        """
        holds = False
        try:
            for one in came:
                holds = True
                yield one
                del one  # it may be large, and the next one is read before the loop lets go of it
        except UnknownText as error:
            if holds or not self._learner.is_nothing_found(kind, error.text):
                lacks = self._learner.lacks(kind)
                raise says_only(f"{self._host}: the {kind} report", error.text, lacks, by_id=by_id) from error


class StreamedReport:
    """A report answer on its way (:class:`bic_lib.core.ports.appliance.Report`); its body can be iterated once."""

    def __init__(self, answer: Answer, kind: ReportKind, words: Words, *, by_id: bool) -> None:
        self._answer = answer
        self._kind = kind
        self._words = words
        self._by_id = by_id

    @property
    def as_of(self) -> int | None:
        return self._answer.as_of

    @property
    def end_is_told(self) -> bool:
        return self._answer.end_is_told

    def __iter__(self) -> Iterator[Document | BrokenDocument]:
        came = documents(self._answer.text(REPORT_CHUNK), as_of=self.as_of, kind=self._kind, texts=self._words.texts)
        return self._words.understood(self._kind, came, by_id=self._by_id)


class StreamedBytes:
    """A recording or backup on its way (:class:`bic_lib.core.ports.appliance.Payload`); its body can be iterated once.

    Iterating raises Interrupted when the body is cut off. Where nobody told where it ends, only a video whose own structure is
    complete to its last byte is taken; what can't tell that itself is Untold at once. A video that came whole and is not, by its
    own structure, is taken with a doubt, of a kind of its own: whoever sent it may have had no more.
    """

    def __init__(self, host: str, answer: Answer, first: bytes, rest: Iterator[bytes], recognised: Recognised) -> None:
        self._host = host
        self._answer = answer
        self._first = first
        self._rest = rest
        self.recognised = recognised
        self._structure = containers.structure(recognised.extension)
        self._cut = False
        if not (answer.end_is_told or self._structure):
            raise self._endless()

    @property
    def content_type(self) -> str:
        return self._answer.content_type

    @property
    def as_of(self) -> int | None:
        return self._answer.as_of

    @property
    def doubt(self) -> str:
        if self.recognised.what is What.UNKNOWN:
            return "it begins like no recording that is known"
        if self._cut:
            return "by its own structure its end is missing, or something else follows it"
        return "" if self._answer.end_is_told else f"{body_end.NOT_TOLD}; by its own structure it is whole"

    def __iter__(self) -> Iterator[bytes]:
        for chunk in itertools.chain([self._first], self._rest):
            if self._structure:
                self._structure.feed(chunk)
            yield chunk
        if self._structure and not self._answer.end_is_told and not self._structure.complete:
            raise self._endless()
        if self._structure and not self._structure.whole:
            self._cut = True
            self.recognised = replace(self.recognised, beginning=f"{recognition.CUT}{self.recognised.beginning}")

    def _endless(self) -> Untold:
        return Untold(f"{self._host}: {body_end.NOT_TOLD}", hint=body_end.PROXY)


class Client:
    """One site's appliance, for one lane (:class:`bic_lib.core.ports.appliance.Appliance`).

    `host` has no scheme and may have a port. `others` gives what the credentials may be by now, when they are refused.
    `ca_file` is a PEM file that replaces the public certificate authorities. `per_second` and `per_hour` are this lane's share
    of the site's requests, `pledge` what is expected of answers, `texts` the site's own words, `lessons` what was learned of
    others. A 429 begins the site's `pause`, which is waited out up to `wait_limit` seconds. Every call may raise SiteError,
    ItemError or LedgerError (of pause and lessons); ValueError only for a selection that selects nothing.
    """

    def __init__(
        self,
        host: str,
        client_id: str,
        client_secret: str,
        *,
        others: Callable[[], Iterable[Account]] = no_others,
        backup_password: str | None = None,
        ca_file: str | None = None,
        per_second: float,
        per_hour: float,
        wait_limit: float = 30.0,
        timing: Timing | None = None,
        pledge: Pledge | None = None,
        pause: Pause | None = None,
        texts: Texts = KNOWN,
        lessons: Lessons | None = None,
    ) -> None:
        self.host = host
        self._backup_password = backup_password
        self._timing = timing or Timing()
        self._pace = Pace(per_second, per_hour, wait_limit=wait_limit, monotonic=self._timing.monotonic, sleep=self._timing.sleep)
        self._transport = Transport(
            host,
            Account(client_id, client_secret),
            others=others,
            ca_file=ca_file,
            pace=self._pace,
            wait_limit=wait_limit,
            timing=self._timing,
            pledge=pledge or Pledge(),
            pause=pause or OwnPause(self._timing.monotonic),
        )
        self._words = Words(host, texts, Learner(self, lessons or OwnLessons(), self._timing.monotonic))
        self._tells_no_time = False

    # --- pace ---

    def spent(self, now: float) -> dict[str, int]:
        """Requests of the last hour by minutes of a clock that shows `now`."""
        return self._pace.spent(now)

    def take_over(self, spent: Mapping[str, int], now: float) -> None:
        """Reckon with the requests that were sent in this lane, whoever sent them."""
        self._pace.take_over(spent, now)

    # --- time --------------------------------------------------------------------------------------------------------

    def now(self) -> tuple[float, bool]:
        """The clock of the last answer's `Date` plus what has gone by since, or of `get_api_info`; else ours and False."""
        if self._transport.now() is None:
            self.sign_in()
        if self._transport.now() is None and not self._tells_no_time:
            self._ask_for_time()
        told = self._transport.now()
        return (self._timing.clock(), False) if told is None else (told, True)

    def _ask_for_time(self) -> None:
        """A token that was there already has told no time; any answer does, be it a refusal."""
        try:
            timestamp = self.api_info().timestamp
        except (Refused, ItemError):
            timestamp = None
        if self._transport.now() is None and timestamp is not None:
            self._transport.saw(timestamp)
        self._tells_no_time = self._transport.now() is None

    # --- reports -----------------------------------------------------------------------------------------------------

    @contextmanager
    def report(self, kind: ReportKind, selection: Selection) -> Iterator[StreamedReport]:
        """The full report of a selection, as its body arrives (docs/appliance.md 2, 3, 4). Nothing found: no documents."""
        with self._transport.call(_reporting(report_parameters(kind, selection), REPORTS[kind].right)) as answer:
            yield StreamedReport(answer, kind, self._words, by_id=bool(selection.lsids))

    def listing(self, kind: ReportKind, began: Window) -> list[Listed]:
        """What began in the window, running sessions too (docs/appliance.md 2.4)."""
        with self._transport.call(_reporting(listing_parameters(kind, began), REPORTS[kind].right)) as answer:
            return list(self._words.understood(kind, listed(answer.text(REPORT_CHUNK), self._words.texts)))

    # --- what its words mean -----------------------------------------------------------------------------------------

    @property
    def account(self) -> str:
        """By which account of which host it is spoken to, as something that tells two apart."""
        return hashlib.sha256(f"{self.host}\n{self._transport.client_id}".encode()).hexdigest()[:16]

    def said(self, parameters: Mapping[str, str]) -> Said:
        """What the site says to a report's parameters, whatever it means; never raises."""
        try:
            with self._transport.call(_reporting(dict(parameters), "")) as answer:
                came = documents(answer.text(REPORT_CHUNK), as_of=None, texts=self._words.texts)
                return Said(holds=next(came, None) is not None)
        except (ItemError, SiteError) as error:
            return said_by(error)

    def granted(self, kind: ReportKind) -> bool | None:
        """Whether the account has the right to such reports, None where `get_api_info` does not show it; never raises."""
        try:
            return {"1": True, "0": False}.get(self.api_info().permissions.get(REPORTS[kind].permission, ""))
        except (ItemError, SiteError):
            return None

    # --- files -------------------------------------------------------------------------------------------------------

    @contextmanager
    def recording(self, data: DataType, lsid: str, instance: int | None) -> Iterator[StreamedBytes]:
        """A recording (docs/appliance.md 5.3). Raises NotReady, Gone, Unexpected or Interrupted by what is said instead."""
        subject = f"{RECORDINGS[data]} {lsid}" + ("" if instance is None else f" {instance}")
        call = Call(
            "/api/reporting",
            subject,
            right=REPORTS[REPORT_OF[data]].right,
            query=recording_parameters(data, lsid, instance),
            read_seconds=RECORDING_SECONDS,
            gzip=False,
            is_item=True,
        )
        with self._transport.call(call) as answer:
            yield self._file(answer, subject, recognition.recording, partial(recording_error, self._words.texts))

    @contextmanager
    def backup(self) -> Iterator[StreamedBytes]:
        """A backup of the site, protected by the backup password if there is one (docs/appliance.md 6).

        Raises TooOften for 429, and as :meth:`recording` does.
        """
        call = Call(
            "/api/backup",
            "backup",
            right=BACKUP_RIGHT,
            json={"password": self._backup_password} if self._backup_password else None,
            read_seconds=RECORDING_SECONDS,
            gzip=False,
            is_item=True,
            is_backup=True,
        )
        with self._transport.call(call) as answer:
            yield self._file(answer, "backup", recognition.backup, partial(report_error, settled=_BACKUP_REFUSED))

    def _file(
        self,
        answer: Answer,
        subject: str,
        recognise: Callable[[bytes, str], Recognised],
        error_of: Callable[[str, Message], BicError],
    ) -> StreamedBytes:
        """A file, once its first 64 KiB are known to be none of the answers that come with status 200 (5.3.4, 6.8)."""
        subject = f"{self.host}: {subject}"
        chunks = answer.chunks(BINARY_CHUNK)
        first = gathered(chunks, recognition.LOOKED_AT)
        found = recognise(first[: recognition.LOOKED_AT], answer.content_type)
        if found.what is What.ANSWER:
            raise answered(subject, first, answer.content_type, error_of)
        if found.what is not What.RECORDING and (unknown := content_encoding.unknown(answer.encoding)):
            raise Interrupted(f"{subject}: the answer is packed as {unknown}, which nobody asked for")
        return StreamedBytes(self.host, answer, first, chunks, found)

    # --- preflight ---------------------------------------------------------------------------------------------------

    def checks(self, data: frozenset[DataType]) -> list[Check]:
        """Token, rights, clock and role (docs/appliance.md 7.4); never raises, never asks for a backup."""
        return preflight.checks(self, data, our_time=self._timing.clock)

    def sign_in(self) -> None:
        """Have a token. Raises SiteError."""
        self._transport.sign_in()

    def api_info(self) -> ApiInfo:
        """`get_api_info` (docs/appliance.md 7.2). Raises Refused where the command right is not given."""
        with self._transport.call(_command("get_api_info")) as answer:
            return api_info(answer.beginning())

    def failover_role(self) -> str:
        """`none`, `primary` or `backup` by `check_health` (docs/appliance.md 7.3), "" where it isn't told."""
        with self._transport.call(_command("check_health")) as answer:
            return failover_role(answer.beginning())


def _reporting(parameters: dict[str, str], right: str) -> Call:
    """GET, or a form where the query would be long (docs/appliance.md 2.1.1, 2.1.2)."""
    subject = f"report {parameters['generate_report']}"
    if len(urlencode(parameters)) > LONG_QUERY:
        return Call("/api/reporting", subject, right=right, form=parameters)
    return Call("/api/reporting", subject, right=right, query=parameters)


def _command(action: str) -> Call:
    return Call("/api/command", action, right="Command API: read-only", query={"action": action})
