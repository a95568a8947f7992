"""What the triggers of the function app call: a tick, a visit, a visit that was put aside; with the settings as they are now.

The settings are read anew each time. As long as their text is the same, so is the app; a broken file keeps the last good one.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bic_lib import logs
from bic_lib.actions.stopping import stoppable
from bic_lib.core.errors import LedgerError, SettingsError
from bic_lib.core.model import Visit, Work
from bic_lib.core.ticking import Ticker
from bic_lib.engine import events, tick
from bic_lib.engine.app import App
from bic_lib.engine.steps.job import Deadline
from bic_lib.engine.tick import Ticked
from bic_lib.engine.visit import perform
from bic_lib.hosts.current import Current
from bic_lib.hosts.second_tick import second_tick
from bic_lib.ledger import breakdowns
from bic_lib.notices import notify, telling
from bic_lib.settings import loading
from bic_lib.settings.loading import Settings
from bic_lib.settings.model import LocalFolderSettings

if TYPE_CHECKING:
    from bic_lib.hosts.bridge import Answer
    from bic_lib.settings.including import Texts
    from bic_lib.web.guard import Door

log = logging.getLogger("bic.scheduler")

CLOUD = "WEBSITE_INSTANCE_ID"
"""An app setting that the platform makes: there is one where this is an instance in Azure."""
FUNCTION_TIMEOUT = 2 * 3_600
"""`functionTimeout` of host.json, in seconds."""
_STOP_BEFORE = 120
"""A step in hand is stopped this long before the platform would end the process (docs/design.md 7)."""
_VISIT_MINUTES = "50"
LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes: an answer is held whole here, and by the platform again (docs/design.md 15)."""
_KEYS_SECONDS = 300.0
"""A page key that was changed in the vault counts after so long."""
_LEAST_MINUTES = 20.0
"""With less nothing would ever begin, and a visit only hand itself on."""


class Host:
    """This process as a part of the function app. Threads share it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        demand = _demand_mounts if CLOUD in environ else lambda _: None
        self.settings = Current(loading.source(environ, None), environ, demand=demand)
        self._door: Door | None = None
        self._door_until = 0.0
        self._untold: queue.SimpleQueue[Visit] = queue.SimpleQueue()
        logs.configure(None)

    def tick(self) -> list[str]:
        """One tick; returns the messages of the visits that are wanted, none without usable settings or a ledger."""
        visits: list[Visit] = []
        try:
            current = self.settings.refresh()
            visits = tick.tick(current.app)
            self._tell_poisoned(current.app)
            telling.tell(current.app, current.settings, self.environ)
        except SettingsError:  # logged, with every problem; a failure of the function would say less, and twice
            return []
        except LedgerError as error:
            log.warning("a tick ends early, and the next one does the rest: %s", error)
        return [json.dumps(visit.message()) for visit in visits]

    def visit(self, message: str) -> list[str]:
        """Make the visit of a message; returns what it leads to: the message again when the time was over before the work, and
        the visits of a tick that it made in the timer's place. Only bugs are raised, and each is noted in the ledger.
        """
        visit = _visit(message)
        if visit is None:
            return []
        try:
            app = self.settings.look().app
            again = self._performed(app, visit)
            wanted = ([again] if again else []) + self._ticked_meanwhile(app)
            self._tell_poisoned(app)
        except SettingsError:  # logged, with every problem
            return []
        except LedgerError as error:
            log.warning("%s end early, and the next tick sends others: %s", visit, error)
            return []
        return [json.dumps(one.message()) for one in wanted]

    def _performed(self, app: App, visit: Visit) -> Visit | None:
        """Make it; whatever else than a ledger that is away ends it is a bug, and noted as such."""
        try:
            return perform(app, visit, self.deadline(app.ledger.now())).again
        except LedgerError:
            raise
        except Exception:
            breakdowns.note(app.ledger.store, visit)
            raise

    def _ticked_meanwhile(self, app: App) -> list[Visit]:
        """The platform's timers have stood still for days while queues went on: then a visit that ends ticks."""
        return second_tick(self.settings, Ticker.VISIT, self.environ).visits or [] if tick.nobody_ticks(app) else []

    def deadline(self, now: float) -> Deadline:
        """Until when a visit may work that begins now (the ledger's clock)."""
        minutes = max(_LEAST_MINUTES, float(self.environ.get("BIC_VISIT_MINUTES") or _VISIT_MINUTES))
        return Deadline(now + 60 * minutes, now + FUNCTION_TIMEOUT - _STOP_BEFORE)

    def poisoned(self, message: str) -> None:
        """A visit failed so often that the platform put its message aside: people are told, nothing is given up.

        Where the ledger is away this process tells them as soon as it is back.
        """
        visit = _visit(message)
        if visit is None:
            return
        log.error("%s break down", visit)
        events.dead_letter(visit.site or str(visit.work))
        self._untold.put(visit)
        try:
            self._tell_poisoned(self.settings.look().app)
        except (SettingsError, LedgerError) as error:
            log.warning("that %s break down is told later: %s", visit, error)

    def _tell_poisoned(self, app: App) -> None:
        while not self._untold.empty():
            visit = self._untold.get()
            try:
                notify.poisoned(app.ledger, visit)
            except LedgerError:
                self._untold.put(visit)
                raise

    def door(self) -> Door:
        """Who lets people in to the pages; keys are looked up anew after a while. Raises UsageError where none is good."""
        from bic_lib.hosts.page_key import app_keys  # noqa: PLC0415  # ticks and visits need none of it
        from bic_lib.ledger.logins import Logins  # noqa: PLC0415  # the same
        from bic_lib.web.guard import Door  # noqa: PLC0415  # the same

        now = time.monotonic()
        if self._door is None or now > self._door_until:
            keys = app_keys(self.settings.look().settings, self.environ)
            if self._door is None or self._door.keys != keys:
                self._door = Door(keys, lambda: Logins(self.settings.held.app.ledger.store))
            self._door_until = now + _KEYS_SECONDS
        return self._door

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[Answer, list[str]]:
        """Answer an HTTP request; with it come the messages of the visits that it wants."""
        from bic_lib.hosts import bridge  # noqa: PLC0415  # ticks and visits need none of it
        from bic_lib.web import application  # noqa: PLC0415  # the same

        caller = bridge.caller(headers) if CLOUD in self.environ else ""
        with _Call(self).running() as call:
            more = {application.HOST: call, "REMOTE_ADDR": caller}
            answered = bridge.call(application.application(), method, url, headers, body, more, LARGEST_ANSWER)
            return answered, call.messages


class _Call:
    """One HTTP request. Its key was asked for by the platform, but for the pages. The visits that it wants begin at once, and go
    on by the queue when it has been answered.
    """

    asks_for_keys = False
    largest_answer = LARGEST_ANSWER

    def __init__(self, host: Host) -> None:
        self._host = host
        self._answered = threading.Event()
        self.messages: list[str] = []

    @contextmanager
    def running(self) -> Iterator[_Call]:
        try:
            yield self
        finally:
            self._answered.set()

    def settings(self) -> Settings:
        return self._host.settings.look().settings

    def app(self) -> App:
        return self._host.settings.look().app

    def broken(self) -> SettingsError | None:
        return self._host.settings.held.broken

    def texts(self) -> Texts:
        return self._host.settings.held.texts

    def door(self) -> Door:
        return self._host.door()

    def tick(self) -> Ticked:
        ticked = second_tick(self._host.settings, Ticker.OUTSIDE, self._host.environ)
        self.messages += [json.dumps(visit.message()) for visit in ticked.visits or ()]
        return ticked

    def visit(self, visits: Sequence[Visit]) -> None:
        self.messages += [json.dumps(visit.message()) for visit in visits]
        for visit in visits:
            threading.Thread(target=self._perform, args=(visit,), name="bic-visit", daemon=True).start()

    def _perform(self, visit: Visit) -> None:
        """The platform knows nothing of this thread and may freeze it after the answer, so it ends by then."""
        app = stoppable(self.app(), self._answered.is_set)
        try:
            perform(app, visit, self._host.deadline(app.ledger.now()))
        except LedgerError as error:
            log.warning("a visit to %s ended early: %s", visit.site, error)


def _demand_mounts(parsed: Settings) -> None:
    """An instance's own disk is gone with it: a folder must be a mount (docs/design.md 7). Raises SettingsError."""
    folders = {
        name: parsed.path(configured.directory)
        for name, configured in parsed.destinations.items()
        if isinstance(configured, LocalFolderSettings)
    }
    problems = tuple(
        f"destinations.{name}.directory: {folder} is on the instance's own disk, which is lost with it; mount a share there"
        for name, folder in folders.items()
        if not any(place.is_mount() for place in (folder, *folder.parents) if place != Path(folder.anchor))
    )
    if problems:
        raise SettingsError("The settings can't be used in the cloud.", problems)


def _visit(message: str) -> Visit | None:
    """The visit that a message means. One that says nothing to us is dropped: the next tick asks again for what is due."""
    try:
        told = json.loads(message)
    except (ValueError, RecursionError):  # the latter: brackets without end
        told = None
    match told:
        case {"v": 1, "site": str(site)}:
            return Visit(site)
        case {"v": 1, "work": str(work)} if work in set(Work):
            return Visit(work=Work(work))
    log.warning("a message that is no visit was dropped: %.100s", message)
    return None


@functools.cache
def host() -> Host:
    """The one of this process."""
    return Host(os.environ)
