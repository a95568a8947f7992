"""A test host: runs the real function_app.py with the storage emulator's queues, a timer, poison queues and HTTP.

It stands in for the Functions host in tests and is no product: no keys, no singleton lease. What it does with messages, ticks and
time limits is what the true host was seen to do. Run it by `python -m tests.hosts` with the app settings as environment.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue import QueueClient, QueueMessage

from tests.hosts.functions import Function, InvocationFailed, Invoked, Worker
from tests.hosts.http import handler

log = logging.getLogger("host")
_SETTING = re.compile(r"%(\w+)%")
_HIDDEN_SECONDS = 600
_POLL_SECONDS = 0.1
_LONGEST_POLL_SECONDS = 0.5
"""A queue that is empty is asked ever less often, as by the platform, there up to `maxPollingInterval`."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    """Callers that may wait to be let in; the library's five would break off the others of fifty."""


class Host:
    """Serves until it is stopped. `timers`: whether this process is the one that fires them.

    `end_worker` ends the worker with all that it has in hand, and begins anew: an invocation was longer than `functionTimeout`.
    """

    def __init__(
        self,
        worker: Worker,
        folder: Path,
        environ: Mapping[str, str],
        *,
        end_worker: Callable[[], None],
        timers: bool = True,
        port: int = 0,
    ) -> None:
        self.worker = worker
        self._end_worker = end_worker
        self.environ = environ
        self.configured = json.loads((folder / "host.json").read_text())
        self.timers = timers
        self.stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._server = _Server(("127.0.0.1", port), handler(self))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._begin(self._server.serve_forever)
        for function in self.worker.functions:
            kind = function.trigger["type"]
            if kind == "queueTrigger":
                self._begin(lambda function=function: self._serve_queue(function))
            elif kind == "timerTrigger" and self.timers:
                self._begin(lambda function=function: self._serve_timer(function))

    def stop(self) -> None:
        """Begin nothing more, and wait for what is in hand."""
        self.stopped.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()

    def invoke(self, function: Function, value: Datum, metadata: Mapping[str, Datum] | None = None) -> Invoked:
        """Call the function and send what it puts out. Raises InvocationFailed."""
        begun = time.monotonic()
        with self._within_its_time(function):
            invoked = self.worker.invoke(function, value, metadata or {})
        for name, datum in invoked.outputs.items():
            if name != "$return":
                self._send(function.outputs[name], datum)
        log.info("%s: done in %.2f s", function.name, time.monotonic() - begun)
        return invoked

    @contextmanager
    def _within_its_time(self, function: Function) -> Iterator[None]:
        limit = _seconds(self.configured["functionTimeout"])
        watch = threading.Timer(limit, self._took_too_long, [function, limit])
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _took_too_long(self, function: Function, limit: int) -> None:
        log.error("%s took more than %d s, which ends its worker", function.name, limit)
        self._end_worker()

    def function(self, name: str) -> Function | None:
        return next((function for function in self.worker.functions if function.name == name), None)

    # --- queues ---

    def _serve_queue(self, function: Function) -> None:
        settings = self.configured["extensions"]["queues"]
        queue = self._queue(function.trigger)
        free = threading.Semaphore(settings["batchSize"])
        wait = _POLL_SECONDS
        with queue, ThreadPoolExecutor(settings["batchSize"]) as pool:  # what is in hand still needs its queue
            while not self.stopped.wait(wait):
                try:
                    while free.acquire(blocking=False):
                        message = queue.receive_message(visibility_timeout=_HIDDEN_SECONDS)
                        if message is None:
                            free.release()
                            wait = min(1.5 * wait, _LONGEST_POLL_SECONDS)
                            break
                        wait = _POLL_SECONDS
                        pool.submit(self._take, function, queue, message).add_done_callback(partial(_ended, free))
                except AzureError as error:
                    free.release()
                    log.warning("%s: %s", function.name, type(error).__name__)

    def _take(self, function: Function, queue: QueueClient, message: QueueMessage) -> None:
        settings = self.configured["extensions"]["queues"]
        try:
            content = base64.b64decode(message.content, validate=True)
        except (binascii.Error, ValueError):
            log.warning("%s: a message that can't be decoded is put aside", function.name)
            self._put_aside(function, queue, message)
            return
        done = threading.Event()
        renewing = threading.Thread(target=self._keep_hidden, args=(queue, message, done), daemon=True)
        renewing.start()
        try:
            self.invoke(function, Datum(content.decode(), "string"), _metadata(message))
        except (InvocationFailed, UnicodeDecodeError) as error:
            log.warning("%s failed (%s): %s", function.name, message.dequeue_count, error)
            left = settings["maxDequeueCount"] - message.dequeue_count
        else:
            left = None
        done.set()
        renewing.join()
        if left is None:
            _delete(queue, message)
        elif left > 0:
            queue.update_message(message, visibility_timeout=_seconds(settings["visibilityTimeout"]))
        else:
            self._put_aside(function, queue, message)

    def _keep_hidden(self, queue: QueueClient, message: QueueMessage, done: threading.Event) -> None:
        """A message in hand stays hidden, however long that is."""
        while not done.wait(_HIDDEN_SECONDS / 2):
            message.pop_receipt = queue.update_message(message, visibility_timeout=_HIDDEN_SECONDS).pop_receipt

    def _put_aside(self, function: Function, queue: QueueClient, message: QueueMessage) -> None:
        """Into the poison queue, as it is; what is in that one already is dropped."""
        if not queue.queue_name.endswith("-poison"):
            self._queue({**function.trigger, "queueName": f"{queue.queue_name}-poison"}).send_message(message.content)
        _delete(queue, message)

    def _send(self, binding: Mapping[str, Any], datum: Datum) -> None:
        """A text is one message, a JSON list are several."""
        self._put(binding, json.loads(datum.value) if datum.type == "json" else [datum.value])

    def _put(self, binding: Mapping[str, Any], contents: list[str]) -> None:
        queue = self._queue(binding)
        for content in contents:
            queue.send_message(base64.b64encode(content.encode()).decode())

    def _queue(self, binding: Mapping[str, Any]) -> QueueClient:
        queue = QueueClient.from_connection_string(
            self.environ[binding["connection"]],
            self._expanded(binding["queueName"]),
        )
        try:
            queue.create_queue()
        except ResourceExistsError:
            log.debug("%s is there", queue.queue_name)
        return queue

    # --- timers ---

    def _serve_timer(self, function: Function) -> None:
        schedule = self._expanded(function.trigger["schedule"])
        while not self.stopped.wait(1 - time.time() % 1):
            if matches(schedule, datetime.now(UTC)):
                self.fire(function)

    def fire(self, function: Function) -> None:
        told = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
        try:
            self.invoke(function, Datum(json.dumps(told), "json"))
        except InvocationFailed as error:
            log.warning("%s failed: %s", function.name, error)

    def _expanded(self, text: str) -> str:
        return _SETTING.sub(lambda found: self.environ[found[1]], text)

    def _begin(self, work: Any) -> None:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._threads.append(thread)


def matches(schedule: str, moment: datetime) -> bool:
    """Whether an NCRONTAB schedule fires at this second; `*`, numbers, lists, ranges and steps."""
    values = (moment.second, moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7)
    return all(
        any(_field(part, value) for part in field.split(",")) for field, value in zip(schedule.split(), values, strict=True)
    )


def _field(part: str, value: int) -> bool:
    span, _, step = part.partition("/")
    low, _, high = span.partition("-")
    first = 0 if low == "*" else int(low)
    last = 99 if low == "*" or (step and not high) else int(high or low)
    return first <= value <= last and (value - first) % int(step or 1) == 0


def _ended(free: threading.Semaphore, taken: Future[None]) -> None:
    free.release()
    if error := taken.exception():
        log.warning("a message is left to itself", exc_info=error)


def _delete(queue: QueueClient, message: QueueMessage) -> None:
    try:
        queue.delete_message(message)
    except ResourceNotFoundError:
        log.warning("%s: the message was somebody else's by now", queue.queue_name)


def _metadata(message: QueueMessage) -> dict[str, Datum]:
    return {
        "Id": Datum(json.dumps(message.id), "json"),
        "DequeueCount": Datum(json.dumps(message.dequeue_count), "json"),
        "PopReceipt": Datum(json.dumps(message.pop_receipt), "json"),
        "InsertionTime": _moment(message.inserted_on),
        "ExpirationTime": _moment(message.expires_on),
        "NextVisibleTime": _moment(message.next_visible_on),
    }


def _moment(moment: datetime | None) -> Datum:
    return Datum(json.dumps(f"{moment:%Y-%m-%dT%H:%M:%S+00:00}" if moment else ""), "json")


def _seconds(span: str) -> int:
    hours, minutes, seconds = map(int, span.split(":"))
    return hours * 3_600 + minutes * 60 + seconds


def with_overrides(configured: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """host.json with what app settings named AzureFunctionsJobHost__… override, as the true host reads them."""
    for name, value in environ.items():
        if name.startswith("AzureFunctionsJobHost__"):
            *path, last = name.split("__")[1:]
            place = configured
            for part in path:
                place = place.setdefault(part, {})
            place[last] = int(value) if value.isdecimal() else value
    return configured


def run(worker: Worker, folder: Path, *, timers: bool, port: int, end_worker: Callable[[], None]) -> Host:
    """A host that runs, with the environment as its app settings."""
    host = Host(worker, folder, os.environ, end_worker=end_worker, timers=timers, port=port)
    with_overrides(host.configured, os.environ)
    host.start()
    return host
