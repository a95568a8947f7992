"""One call to an appliance: token, pace, time-outs, and every way it can fail.

The certificate is verified whatever the environment says (docs/performance.md 3).
"""

from __future__ import annotations

import base64
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPException
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from bic_lib.appliance import body_end, content_encoding
from bic_lib.appliance.answers import TEXT_BYTES, message, quoted
from bic_lib.appliance.calls import Call, date_of, failure, retry_after, too_often
from bic_lib.appliance.https import Bearer, Session
from bic_lib.appliance.least_rate import Meter, Pledge
from bic_lib.appliance.rate_limit import Pace
from bic_lib.appliance.token_answers import grant, refused
from bic_lib.appliance.tokens import Grant, tokens_of
from bic_lib.appliance.unanswered import no_answer
from bic_lib.core import recognition
from bic_lib.core.errors import BicError, Interrupted, Refused, SiteError, Unexpected
from bic_lib.core.ports.appliance import Pause
from bic_lib.masking import mask
from bic_lib.network.causes import reason
from bic_lib.network.web_pages import is_web_page

CONNECT_SECONDS = 10.0
"""Longest wait for a connection: what public clients allow (docs/appliance.md 8.4)."""

PAUSE_UNNAMED = 10.0
"""Seconds to wait after a 429 that names none (docs/appliance.md 8.3.2)."""
PAUSE_USED_UP = 1.0
"""Seconds without a request after `X-RateLimit-Remaining: 0`: the shortest known limit is per second (8.3.1)."""

LEAST_PAUSE = 0.1
"""Seconds that a pause of 0 takes, so that they add up to an end."""
LONGEST_PAUSE = 3_600.0
"""Seconds that a pause lasts at most: nobody stops us for a year (docs/security.md)."""


@dataclass(frozen=True, slots=True)
class Account:
    """The credentials of an API account."""

    client_id: str
    secret: str = field(repr=False)


def no_others() -> Iterable[Account]:
    """The credentials are known once and for all."""
    return ()


@dataclass(frozen=True, slots=True)
class Timing:
    """Where time comes from: the wall clock in Unix seconds, a steady clock, and waiting."""

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Answer:
    """An answer with status 200 whose body is still on its way. `as_of` is its `Date`, Unix seconds."""

    def __init__(self, response: requests.Response, subject: str, meter: Meter) -> None:
        self._response = response
        self._subject = subject
        self._meter = meter
        self.content_type = response.headers.get("Content-Type", "")
        self.encoding = response.headers.get("Content-Encoding", "")
        self.as_of = date_of(response.headers)
        body_end.demand_whole_lines(response)

    @property
    def end_is_told(self) -> bool:
        """Whether a cut-off body can be told from a whole one."""
        return body_end.is_told(self._response)

    def chunks(self, size: int, *, at_once: bool = False) -> Iterator[bytes]:
        """The body, unpacked. Raises Interrupted when it is cut off, on the wire or within, stays silent or comes too slowly."""
        try:
            yield from content_encoding.undone(iter(partial(self._read, size, at_once=at_once), b""), self.encoding)
        except (zlib.error, EOFError) as error:
            raise Interrupted(f"{self._subject}: the answer is not whole {self.encoding}") from error

    def text(self, size: int) -> Iterator[bytes]:
        """The decoded body of a report as it comes, `size` bytes at most. Raises Interrupted as :meth:`chunks` does."""
        for chunk in self.chunks(size, at_once=True):
            self._meter.came(chunk)
            yield chunk

    def beginning(self) -> bytes:
        """The first 64 KB of the body: all of an answer that is only a message."""
        return gathered(self.chunks(TEXT_BYTES), TEXT_BYTES)[:TEXT_BYTES]

    def as_sent(self) -> bytes:
        """The first 64 KB of the body as they are on the wire: nothing is unpacked."""
        return self._read(TEXT_BYTES)

    def _read(self, size: int, *, at_once: bool = False) -> bytes:
        # Neither iter_content, which always decodes, nor readinto, which has half the speed (docs/performance.md 3).
        read = self._response.raw.read1 if at_once else self._response.raw.read
        try:
            return bytes(read(size, decode_content=False))
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            raise Interrupted(f"{self._subject}: the answer was cut off: {reason(error)}") from error


def gathered(chunks: Iterator[bytes], least: int) -> bytes:
    """The next chunks in one, at least so many bytes where there are so many."""
    held = bytearray()
    while len(held) < least and (chunk := next(chunks, b"")):
        held += chunk
    return bytes(held)


class Transport:
    """Calls to one appliance by one account. The process has one token an account; the pace is this object's own.

    `others` gives what the account's credentials may be by now, when those at hand are refused: each is tried once.
    """

    def __init__(
        self,
        host: str,
        account: Account,
        *,
        others: Callable[[], Iterable[Account]] = no_others,
        ca_file: str | None,
        pace: Pace,
        wait_limit: float,
        timing: Timing,
        pledge: Pledge,
        pause: Pause,
    ) -> None:
        self.host = host
        self._account = account
        self._others = others
        self._tokens = tokens_of(host, account.client_id, account.secret)
        self._verify = ca_file or DEFAULT_CA_BUNDLE_PATH
        self._pace = pace
        self._wait_limit = wait_limit
        self._timing = timing
        self._pledge = pledge
        self._pause = pause
        self._seen: tuple[int, float] | None = None

    @property
    def client_id(self) -> str:
        """Of the credentials that are in use."""
        return self._account.client_id

    def now(self) -> float | None:
        """The appliance's clock by the last `Date` that this object saw, None before the first."""
        if self._seen is None:
            return None
        date, at = self._seen
        return date + self._timing.monotonic() - at

    def saw(self, timestamp: int) -> None:
        """The appliance has told its time by other means than `Date`."""
        self._seen = (timestamp, self._timing.monotonic())

    def sign_in(self) -> None:
        """Have a token, fetching one when there is none. Raises SiteError."""
        self._tokens.get(self._fetch_token)

    @contextmanager
    def call(self, call: Call) -> Iterator[Answer]:
        """The answer to one call, closed afterwards.

        Waits for the pace, and out a 429 of up to `wait_limit` seconds; renews the token once on 401. Raises SiteError when the
        site is unreachable, throttles (with its `retry_after`) or refuses, Interrupted when the answer fails to come, TooOften
        for too many backups, Unexpected for any other status.
        """
        token = self._tokens.get(self._fetch_token)
        meter = Meter(self._pledge, of_file=call.is_item)
        response = self._send(call, Bearer(token), meter)
        if response.status_code == 401:
            response.close()
            self._tokens.reject(token)
            response = self._send(call, Bearer(self._tokens.get(self._fetch_token)), meter)
        with response:
            answer = Answer(response, f"{self.host}: {call.subject}", meter)
            if response.status_code != 200:
                raise self._failure(call, response, answer)
            yield answer

    # --- the parts ---------------------------------------------------------------------------------------------------

    def _fetch_token(self) -> Grant:
        """A new token; when the credentials are refused, by what they may be now: a secret was changed. Raises SiteError."""
        try:
            return self._granted(self._account)
        except Refused:
            tried = [self._account]
            for account in self._others():
                if account in tried:
                    continue
                tried.append(account)
                with suppress(Refused):
                    grant = self._granted(account)
                    self._account = account
                    return grant
            raise

    def _granted(self, account: Account) -> Grant:
        """A token by client credentials (docs/appliance.md 1.1–1.5). Raises SiteError."""
        call = Call("/oauth2/token", "token", form={"grant_type": "client_credentials"}, gzip=False)
        pair = (account.client_id.encode(), account.secret.encode())
        for secret in (account.secret, base64.b64encode(b":".join(pair)).decode()):
            mask.register(secret)
        meter = Meter(self._pledge, of_file=False)
        try:
            with self._send(call, HTTPBasicAuth(*pair), meter) as response:
                answer = Answer(response, f"{self.host}: token", meter)
                if response.status_code in {400, 401}:
                    raise refused(self.host, account.client_id, account.secret, response.status_code, answer.beginning())
                if response.status_code != 200:
                    raise self._failure(call, response, answer)
                return grant(self.host, answer.as_sent())
        except (Interrupted, Unexpected) as error:
            raise SiteError(error.message, hint=error.hint) from error

    def _send(self, call: Call, auth: AuthBase, meter: Meter) -> requests.Response:
        """Send until the answer is none that asks for a pause, as long as the waiting stays within the limit.

        Nothing is sent in a pause. A 429 asks for one, and so does a 503 that says for how long.
        """
        waited = 0.0
        while True:  # each turn waits, and all waiting has its limit
            self._pace.wait()
            if (left := self._pause.left()) > 0:
                if waited + left > self._wait_limit:
                    raise too_often(self.host, self._timing.clock() + left, left)
                self._timing.sleep(left)
                waited += max(left, LEAST_PAUSE)
                continue
            response = self._send_once(call, auth, meter)
            self._look_at(response)
            named = retry_after(response.headers, self._timing.clock())
            busy = response.status_code == 429 and not call.is_backup
            if not busy and (response.status_code != 503 or named is None):
                return response
            pause = max(PAUSE_UNNAMED if named is None else named, LEAST_PAUSE)
            self._pause.begin(min(pause, LONGEST_PAUSE))
            if waited + pause > self._wait_limit:
                return response
            response.close()

    def _send_once(self, call: Call, auth: AuthBase, meter: Meter) -> requests.Response:
        headers = {
            "Connection": "close",
            "Accept-Language": "en-us",
            "Accept-Encoding": "gzip" if call.gzip else "identity",
            "User-Agent": "bic",
        }
        try:
            with Session(meter) as session:
                response = session.request(
                    "GET" if call.form is None and call.json is None else "POST",
                    f"https://{self.host}{call.path}",
                    params=call.query,
                    data=call.form,
                    json=call.json,
                    headers=headers,
                    auth=auth,
                    timeout=(CONNECT_SECONDS, call.read_seconds),
                    verify=self._verify,
                    allow_redirects=False,
                    stream=True,
                )
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise no_answer(self.host, call, error) from error
        meter.body_comes()
        return response

    def _look_at(self, response: requests.Response) -> None:
        date = date_of(response.headers)
        if date is not None:
            self.saw(date)
        if response.headers.get("X-RateLimit-Remaining", "").strip() == "0":
            self._pace.pause(PAUSE_USED_UP)

    def _failure(self, call: Call, response: requests.Response, answer: Answer) -> BicError:
        pause = retry_after(response.headers, self._timing.clock())
        try:
            body = answer.beginning()
        except Interrupted:
            body = b""
        said = message(body, answer.content_type)
        if 300 <= response.status_code < 400:
            whither = urlsplit(response.headers.get("Location", "")).netloc.rpartition("@")[2]
            return failure(f"{self.host}: {call.subject}", call, response.status_code, quoted(whither), pause)
        page = is_web_page(recognition.words(body, answer.content_type))
        return failure(f"{self.host}: {call.subject}", call, response.status_code, said.shown, pause, page=page)
