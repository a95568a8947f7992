"""`bic serve`: scheduler, visits, and the HTTP routes, on one machine in one process."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server

from bic_lib.core.errors import BicError, SettingsError
from bic_lib.core.model import Visit
from bic_lib.core.ticking import Ticker
from bic_lib.engine.app import App
from bic_lib.engine.tick import Ticked
from bic_lib.hosts.current import Current
from bic_lib.hosts.scheduler import Scheduler, forever, scheduling
from bic_lib.hosts.second_tick import second_tick
from bic_lib.ledger.logins import Logins
from bic_lib.web import application
from bic_lib.web.guard import Door, Keys
from bic_lib.web.http import LARGEST_BODY
from bic_lib.web.routes import Host

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    from bic_lib.settings.including import Texts
    from bic_lib.settings.loading import Settings

_THREADS = 16
"""A download that somebody waits for holds one for minutes (docs/overridden-defaults.md)."""
_SILENT_SECONDS = 15
"""A connection that sends nothing for so long is closed."""
_SWEEP_SECONDS = 5
"""Between two looks for such connections."""
_CONNECTIONS = 500
"""At once: silent ones hold no thread, and a hundred of them, the library's limit, keep nobody out."""
_GIVE_WAY = 50
"""So many make room for others, when all are taken."""
_LOOP_SECONDS = 0.2
"""How long stopping waits for the loop at most."""
_LAST_ANSWERS_SECONDS = 5
"""For answers that are on their way when it is stopped."""

log = logging.getLogger("bic.scheduler")


class _Here(Host):
    """This process as the place where the routes live."""

    asks_for_keys = True
    largest_answer = None

    def __init__(self, current: Current, scheduler: Scheduler, door: Door) -> None:
        self._current, self._scheduler, self._door = current, scheduler, door

    def settings(self) -> Settings:
        return self._current.held.settings

    def app(self) -> App:
        return self._current.held.app

    def broken(self) -> SettingsError | None:
        return self._current.held.broken

    def tick(self) -> Ticked:
        ticked = second_tick(self._current, Ticker.OUTSIDE)
        self.visit(ticked.visits or ())
        return ticked

    def visit(self, visits: Sequence[Visit]) -> None:
        self._scheduler.visit(self.app(), visits)

    def texts(self) -> Texts:
        return self._current.held.texts

    def door(self) -> Door:
        return self._door


@dataclass(frozen=True, slots=True)
class Address:
    """Where to answer (port 0: a free one), and the address of the reverse proxy whose word on who asks is believed, if any."""

    host: str
    port: int
    proxy: str | None = None


def serve(current: Current, address: Address, keys: Keys, serving: Callable[[str], None]) -> None:
    """Tick, visit and answer until an exception (KeyboardInterrupt, ...) ends it; then wait for what is in hand.

    `keys` let people in; `serving` is told the address. Raises BicError when the port can't be had.
    """
    with service(current, address, keys) as (where, tick):
        serving(where)
        forever(tick)


@contextmanager
def service(current: Current, address: Address, keys: Keys) -> Iterator[tuple[str, Callable[[], None]]]:
    """Answer and visit for as long as the block takes; gives the address, and the tick to be called each minute."""
    with scheduling() as scheduler:
        here = _Here(current, scheduler, Door(keys, lambda: Logins(current.held.app.ledger.store)))
        with listening(_at(here), address) as where:
            yield where, lambda: scheduler.tick_with(current)


def _at(here: Host) -> WSGIApplication:
    app = application.application()
    return lambda environ, start_response: app({**environ, application.HOST: here}, start_response)


# --- HTTP ------------------------------------------------------------------------------------------------------------


@contextmanager
def listening(app: WSGIApplication, address: Address) -> Iterator[str]:
    """Answer requests in threads for as long as the block takes; gives the address. Raises BicError."""
    host, port = address.host, address.port
    sockets: dict[int, Any] = {}
    try:
        server = create_server(
            app,
            map=sockets,
            host=host,
            port=port,
            threads=_THREADS,
            max_request_body_size=LARGEST_BODY,
            channel_timeout=_SILENT_SECONDS,
            cleanup_interval=_SWEEP_SECONDS,
            connection_limit=_CONNECTIONS,
            trusted_proxy=address.proxy,
            trusted_proxy_headers={"x-forwarded-for", "x-forwarded-proto"} if address.proxy else set(),
            ident=None,
        )
    except OSError as error:
        hint = "Is another program there? --port names another one."
        raise BicError(f"{host}:{port} can't be listened at: {error.strerror or error}.", hint=hint) from error
    except ValueError as error:  # what waitress says of a name that it can't resolve
        raise BicError(f"{host} is no address or name of this machine.", hint="Such as --host 127.0.0.1.") from error
    over = threading.Event()
    thread = threading.Thread(target=_loop, args=(sockets, over), name="bic-http", daemon=True)
    thread.start()
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{_port(server)}"
    finally:
        server.task_dispatcher.shutdown(timeout=_LAST_ANSWERS_SECONDS)
        over.set()
        thread.join()
        wasyncore.close_all(sockets, ignore_all=True)


def _loop(sockets: dict[int, Any], over: threading.Event) -> None:
    while not over.is_set():
        _make_room(sockets)
        wasyncore.loop(timeout=_LOOP_SECONDS, use_poll=True, map=sockets, count=1)


def _make_room(sockets: dict[int, Any]) -> None:
    """Where all connections are taken, the oldest that wait for a request give way: slow senders keep nobody out."""
    if len(sockets) < _CONNECTIONS:
        return
    waiting = [one for one in sockets.values() if isinstance(one, HTTPChannel) and not one.requests and not one.total_outbufs_len]
    for channel in sorted(waiting, key=lambda one: one.creation_time)[:_GIVE_WAY]:
        channel.handle_close()


def _port(server: Any) -> int:
    """A name may mean several addresses (IPv4 and IPv6); the port is the same."""
    addresses = getattr(server, "effective_listen", None) or [(server.effective_host, server.effective_port)]
    return int(addresses[0][1])
