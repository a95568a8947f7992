"""The HTTP side of the test host: routes with their parameters, wrong methods, and the administration's addresses."""

from __future__ import annotations

import json
import logging
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from azure.functions.meta import Datum

from tests.hosts.functions import Function, InvocationFailed

if TYPE_CHECKING:
    from tests.hosts.host import Host

log = logging.getLogger("host")


def handler(host: Host) -> type[BaseHTTPRequestHandler]:
    """What answers a connection: the functions with HTTP triggers, and the administration's addresses."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, answer = _answered(host, self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            told = any(name.lower() == "content-length" for name, _ in headers)
            for name, value in [*headers, *([] if told else [("Content-Length", str(len(answer)))])]:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815  # the names that http.server wants

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
            log.debug(format, *args)

    return Handler


Answer = tuple[int, list[tuple[str, str]], bytes]


def _answered(host: Host, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
    place = urlsplit(target)
    parts = place.path.strip("/").split("/")
    if parts == ["admin", "host", "status"]:
        return 200, [], b'{"state": "Running"}'
    if parts[:2] == ["admin", "functions"] and method == "POST":
        return _administered(host, parts[2], body)
    prefix = host.configured["extensions"]["http"]["routePrefix"]
    found = [
        (function, route_params)
        for function in host.worker.functions
        if function.trigger["type"] == "httpTrigger"
        and (route_params := _route(f"{prefix}/{function.trigger['route']}".split("/"), parts)) is not None
    ]
    for function, route_params in found:
        if method in function.trigger["methods"]:
            return _called(host, function, method, target, headers, body, route_params)
    return 404, [], b""  # for a method that is not bound, too


def _administered(host: Host, name: str, body: bytes) -> Answer:
    """Run a function by hand, as the true host's administration does."""
    function = host.function(name)
    if function is None:
        return 404, [], b""
    if function.trigger["type"] == "timerTrigger":
        threading.Thread(target=host.fire, args=(function,), daemon=True).start()
    else:
        given = json.loads(body)["input"]
        threading.Thread(target=host.invoke, args=(function, Datum(given, "string")), daemon=True).start()
    return 202, [], b""


def _route(wanted: list[str], parts: list[str]) -> dict[str, str] | None:
    if wanted[-1].startswith("{*"):  # any number of parts, none too
        wanted, parts = wanted[:-1], parts[: len(wanted) - 1]
    if len(wanted) != len(parts):
        return None
    given: dict[str, str] = {}
    for want, part in zip(wanted, parts, strict=True):
        if want.startswith("{"):
            given[want.strip("{}").partition(":")[0]] = part
        elif want.casefold() != unquote(part).casefold():
            return None
    return given


def _called(
    host: Host, function: Function, method: str, target: str, headers: dict[str, str], body: bytes, params: dict[str, str]
) -> Answer:
    request = {
        "method": Datum(method, "string"),
        "url": Datum(f"{host.url}{target}", "string"),
        "headers": {name: Datum(value, "string") for name, value in headers.items()},
        "query": {name: Datum(value, "string") for name, value in parse_qsl(urlsplit(target).query)},
        "params": {name: Datum(value, "string") for name, value in params.items()},
        "body": Datum(body, "bytes"),
    }
    try:
        returned = host.invoke(function, Datum(request, "http")).outputs["$return"].value
    except InvocationFailed as error:
        log.warning("%s failed: %s", function.name, error)
        return 500, [], b""
    given = [(name, header.value) for name, header in returned["headers"].items()]
    given += [("Set-Cookie", morsel.OutputString()) for cookie in returned["cookies"] or () for morsel in cookie.values()]
    return int(returned["status_code"].value), given, returned["body"].value
