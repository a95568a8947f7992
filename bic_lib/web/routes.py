"""The HTTP routes (docs/design.md 7): one definition for the function app and for `bic serve`.

Who may call is decided before: by the Functions platform's keys, or by :mod:`bic_lib.web.guard`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Protocol

from bic_lib.actions import acknowledging, check, download, failures, health, session
from bic_lib.actions.overview import overview
from bic_lib.actions.results import Results
from bic_lib.actions.runs import items, one_run
from bic_lib.actions.timestamps import iso
from bic_lib.core.errors import SettingsError, UsageError
from bic_lib.core.model import Visit
from bic_lib.core.ports.preflight import Check
from bic_lib.engine import tick
from bic_lib.engine.app import App
from bic_lib.engine.runs import has_ended
from bic_lib.engine.tick import Ticked
from bic_lib.notices import trial
from bic_lib.settings.including import Texts
from bic_lib.settings.loading import Settings
from bic_lib.settings.model import SqlDatabaseSettings
from bic_lib.web import upload
from bic_lib.web.guard import Door, NoPages, may_read
from bic_lib.web.http import LONGEST_VALUE, Refusal, Request, Response, answer, form
from bic_lib.web.reading import asked_again, asked_choice, asked_download, asked_flag, fields

MOST_ITEMS = 10_000
"""Items that the answer of a dry run names: some 3 MB; `found` counts all."""
VISITOR = "bic.visitor"
"""Who asks, in a request's environment; nobody where the platform has asked for its key."""
_READ = "its content and where its copies lie"
_log = logging.getLogger("bic.scheduler")
_WAITERS = threading.BoundedSemaphore(4)
"""Callers that wait hold a thread each, and the platform gives a small instance five: who comes later is answered 202."""
_LOOK_AGAIN_SECONDS = 0.25
_LOOK_AT_LEAST_SECONDS = 2.0
"""Between two looks at a run that somebody waits for: at first, and after a while, as each costs some reads."""


class Host(Protocol):
    """Where the routes live. Each method may raise SettingsError or LedgerError."""

    def settings(self) -> Settings:
        """The settings in use."""
        ...

    def app(self) -> App:
        """The live parts for these settings."""
        ...

    def broken(self) -> SettingsError | None:
        """What is wrong with the settings, where these are the last good ones."""
        ...

    def tick(self) -> Ticked:
        """Tick as the timer does, unless somebody else just did, and have the visits made that it wants."""
        ...

    def visit(self, visits: Sequence[Visit]) -> None:
        """Have these visits made soon: by a queue, or by threads."""
        ...

    def texts(self) -> Texts:
        """The texts of the settings in use."""
        ...

    def door(self) -> Door:
        """Who lets people in. Raises UsageError where there is no page key, or none that can be used: no pages then."""
        ...

    @property
    def largest_answer(self) -> int | None:
        """Bytes of an answer at most, None where answers may have any size."""
        ...

    @property
    def asks_for_keys(self) -> bool:
        """Whether the JSON routes need a key of ours; not where the platform has asked for one already."""
        ...


Handler = Callable[[Host, Request], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path, whose parts in angle brackets become the request's `params`."""

    name: str
    method: str
    path: str
    handler: Handler


# --- handlers --------------------------------------------------------------------------------------------------------


def _health(host: Host, _request: Request) -> Response:
    found = health.look(host.app(), host.broken())
    return answer(503 if found.ill else 200, health.shown(found))


def _status(host: Host, _request: Request) -> Response:
    return answer(200, overview(host.app(), host.broken()))


def _run(host: Host, request: Request) -> Response:
    wanted = asked_flag(request, "items")
    ledger, name = host.app().ledger, request.params["id"][:LONGEST_VALUE]
    try:
        return answer(200, {**one_run(ledger, name), **(items(ledger, name, request.args.get("after", "")) if wanted else {})})
    except UsageError as error:
        raise Refusal(404, [str(error)]) from error


def _download(host: Host, request: Request) -> Response:
    if request.mimetype == "multipart/form-data":
        return _uploaded(host, request)
    asked = asked_download(request)
    return _downloaded(host, asked.download, asked.wait, asked.problems)


def _uploaded(host: Host, request: Request) -> Response:
    sent, app = upload.read(*form(request)), host.app()
    begun = upload.begin(app, sent, rows_only(host))
    refused = [{"file": file, "reason": reason} for file, reason in begun.refused]
    more = {"refused": refused, **({"recordings_run": begun.recordings_run} if begun.recordings_run else {})}
    return _begun(host, app, begun.runs, sent.wait, more)


def _downloaded(host: Host, wanted: download.Download, wait: float, problems: Sequence[str]) -> Response:
    app = host.app()
    if found := [*problems, *download.problems(app, wanted, rows_only(host))]:
        raise Refusal(400, found)
    if wanted.dry_run:
        return _dry_run(app, wanted, rows_only(host))
    return _begun(host, app, [download.plan_download(app, wanted, rows_only(host)).run], wait, {})


def _dry_run(app: App, wanted: download.Download, rows_only: frozenset[str]) -> Response:
    """What would be transferred, at once: there is no run to wait for."""
    with Results() as results:
        drained = download.look(results.watching(app), wanted, rows_only)
        items = list(islice(results.items(), MOST_ITEMS))
        found = results.found().as_json()
    return answer(200, {**found, "troubles": drained.troubles, "items": items})


def rows_only(host: Host) -> frozenset[str]:
    """The destinations that take sessions only."""
    configured = host.settings().destinations.items()
    return frozenset(name for name, one in configured if isinstance(one, SqlDatabaseSettings))


def _begun(host: Host, app: App, runs: Sequence[str], wait: float, more: Mapping[str, object]) -> Response:
    """Have planned runs done: 202 with the first one's place, or 200 once all have ended within `wait` seconds."""
    host.visit(tick.visits(app))
    waits = wait > 0 and _WAITERS.acquire(blocking=False)
    until, pause = time.monotonic() + (wait if waits else 0), _LOOK_AGAIN_SECONDS
    try:
        while not (ended := all(has_ended(app, planned) for planned in runs)) and time.monotonic() < until:
            time.sleep(min(pause, max(0.0, until - time.monotonic())))
            pause = min(1.2 * pause, _LOOK_AT_LEAST_SECONDS)
    finally:
        if waits:
            _WAITERS.release()
    return answer(200 if ended else 202, {**one_run(app.ledger, runs[0]), **more}, {"Location": f"/api/runs/{runs[0]}"})


def _check(host: Host, request: Request) -> Response:
    given = fields(request, ("sites",))
    sites = given.texts("sites")
    if given.problems:
        raise Refusal(400, given.problems)
    found = check.check(host.settings(), sites)
    return answer(200, {"checks": [asdict(line) for line in [*found, *_closed(host)]]})


def _closed(host: Host) -> Iterator[Check]:
    """Why there are no pages here: none is a choice, a key that is no good is a mistake."""
    try:
        host.door()
    except UsageError as error:
        yield Check("pages", "key", ok=isinstance(error, NoPages), detail=error.message, hint=error.hint)


def _tick(host: Host, _request: Request) -> Response:
    """For a scheduler from outside, where the timer stands still: how many visits it led to, and when the last tick was."""
    ticked = host.tick()
    return answer(200, {"visits": len(ticked.visits or ()), "last_tick": iso(ticked.last)})


def _notify_test(host: Host, _request: Request) -> Response:
    try:
        found = trial.try_all(host.app, host.settings())
    except SettingsError as error:
        raise Refusal(400, [str(error)]) from error
    failed = [f"{tried.name}: {tried.detail}" for tried in found if not tried.ok]
    return answer(502 if failed else 200, {**trial.shown(found), **({"problems": failed} if failed else {})})


def _retry(host: Host, request: Request) -> Response:
    app = host.app()
    retried = failures.retry(app, asked_again(request, app))
    host.visit(tick.visits(app))
    refused = [{"id": name, "reason": reason} for name, reason in retried.refused.items()]
    told = {"retried": len(retried.due), "ids": retried.due, "subjects": retried.subjects, "paused": retried.paused}
    return answer(200, {**told, "refused": refused})


def _failures(host: Host, request: Request) -> Response:
    everything, each = asked_flag(request, "all"), asked_flag(request, "each")
    return answer(200, {"failures": list(failures.failures(host.app(), everything=everything, each=each))})


def _acknowledge(host: Host, request: Request) -> Response:
    choice = asked_choice(request)
    app = host.app()
    found = acknowledging.choose(app, choice)
    done = acknowledging.acknowledge(app, found.troubles, "by HTTP")
    refused = [{"id": name, "reason": reason} for name, reason in {**found.refused, **done.refused}.items()]
    return answer(200, {"acknowledged": len(done.troubles), "ids": [one.id for one in done.troubles], "refused": refused})


def _session(host: Host, request: Request) -> Response:
    lsid, app = request.params["lsid"], host.app()
    places = session.find(app, lsid=lsid, site=request.args.get("site", ""))
    if not places:
        raise Refusal(404, [f"this ledger knows no session {lsid[:LONGEST_VALUE]}"])
    if len(places) > 1:
        raise Refusal(400, [f"site: name one of {', '.join(place.site for place in places)}, which all have this session"])
    reads = may_read(host.settings().pages.contents, request.environ.get(VISITOR))
    _log.info("session %s of %s was read by HTTP: %s", lsid, places[0].site, _READ if reads else "where its copies lie")
    return answer(200, session.shown(session.look(app, places[0], contents=reads)))


ROUTES = (
    Route("health", "GET", "/api/health", _health),
    Route("status", "GET", "/api/status", _status),
    Route("download", "POST", "/api/download", _download),
    Route("run", "GET", "/api/runs/<id>", _run),
    Route("tick_now", "POST", "/api/tick", _tick),
    Route("check", "POST", "/api/check", _check),
    Route("notify_test", "POST", "/api/notify-test", _notify_test),
    Route("retry", "POST", "/api/retry", _retry),
    Route("failures", "GET", "/api/failures", _failures),
    Route("session", "GET", "/api/sessions/<lsid>", _session),
    Route("acknowledge", "POST", "/api/acknowledge", _acknowledge),
)
