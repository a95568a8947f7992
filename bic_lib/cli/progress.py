"""Progress on a terminal's standard error, for what takes more than a second; nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bic_lib.actions.formatting import size, span
from bic_lib.core.escaping import escaped

if TYPE_CHECKING:
    from rich.console import RenderableType

_PATIENCE_SECONDS = 1.0
_TELLS_EVERY = 0.2
"""What is over within a second shows nothing; five times a second looks like moving."""
_RATE_SECONDS = 10.0
"""Over so many seconds the rate is taken: it shall tell of now, and not jump with each file."""
_ESTIMATE_AFTER = 5.0
"""Seconds before which an estimate would be a guess."""
_HANDS_SHOWN = 3
"""Files in hand that are named, a line each."""
_BAR = 16
"""Cells of the bar: at 60 columns the words still have room."""


@dataclass(frozen=True, slots=True)
class Told:
    """How far it is: in words, as a share (0 … 1; None: nobody knows), in bytes so far, and the files in hand."""

    text: str = ""
    share: float | None = None
    bytes: int = 0
    in_hand: Sequence[str] = field(default_factory=tuple)


@contextmanager
def watching(what: str, tell: Callable[[], Told]) -> Iterator[None]:
    """Show `what` with what `tell` returns, for as long as the block takes."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    thread = threading.Thread(target=_show, args=(what, tell, over), name="bic-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _show(what: str, tell: Callable[[], Told], over: threading.Event) -> None:
    if over.wait(_PATIENCE_SECONDS):
        return
    from rich.console import Console  # noqa: PLC0415 -- needed on a terminal only
    from rich.live import Live  # noqa: PLC0415

    pace = Pace(time.monotonic() - _PATIENCE_SECONDS)
    console = Console(stderr=True, highlight=False)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while not over.wait(_TELLS_EVERY):
            live.update(_picture(what, tell(), pace, time.monotonic()), refresh=True)


class Pace:
    """How quickly bytes come, and when all will be there. Times are seconds of one clock."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._seen: deque[tuple[float, int]] = deque([(began, 0)])

    def rate(self, count: int, now: float) -> float:
        """Bytes a second lately, given how many there are now."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_SECONDS:
            self._seen.popleft()
        then, before = self._seen[0]
        return (count - before) / (now - then) if now > then else 0.0

    def elapsed(self, now: float) -> float:
        return now - self._began

    def left(self, share: float | None, now: float) -> float | None:
        """Seconds until all is done, if it goes on as it went so far; None while that would be a guess."""
        elapsed = self.elapsed(now)
        if not share or elapsed < _ESTIMATE_AFTER:
            return None
        return elapsed * (1 - share) / share


def words(what: str, told: Told, pace: Pace, now: float) -> str:
    """The line beside the bar, the most important first: what a narrow terminal cuts off matters least."""
    parts = [what, *([f"{told.share:.0%}"] if told.share is not None else []), told.text]
    left = pace.left(told.share, now)
    parts += [f"about {span(left)} left"] if left is not None else [span(pace.elapsed(now))]
    if rate := pace.rate(told.bytes, now):
        parts.append(f"{size(rate)}/s")
    if told.in_hand:
        parts.append(f"{len(told.in_hand)} in hand")
    return "  ".join(filter(None, parts))


def _picture(what: str, told: Told, pace: Pace, now: float) -> RenderableType:
    from rich.console import Group  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    full = round(_BAR * (told.share or 0.0))
    head = Text(no_wrap=True, overflow="ellipsis")
    head.append("━" * full, style="green").append("─" * (_BAR - full), style="dim").append(
        f" {escaped(words(what, told, pace, now))}"
    )
    hands = [Text(f"  {escaped(one)}", style="dim", no_wrap=True, overflow="ellipsis") for one in told.in_hand[:_HANDS_SHOWN]]
    return Group(head, *hands)
