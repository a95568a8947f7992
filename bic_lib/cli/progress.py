"""Progress on a terminal's standard error, for what takes more than a second; nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_PATIENCE_SECONDS = 1.0
_TELLS_EVERY = 0.2
"""What is over within a second shows nothing; five times a second looks like moving."""


@contextmanager
def watching(what: str, tell: Callable[[], tuple[str, float | None]]) -> Iterator[None]:
    """Show `what` with the text and share (0 … 1; None: unknown) that `tell` returns, for as long as the block takes."""
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


def _show(what: str, tell: Callable[[], tuple[str, float | None]], over: threading.Event) -> None:
    if over.wait(_PATIENCE_SECONDS):
        return
    from rich.console import Console  # noqa: PLC0415 -- needed on a terminal only
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        task = progress.add_task(what, total=None, text="")
        began = time.monotonic()
        while not over.wait(_TELLS_EVERY):
            text, share = tell()
            progress.update(task, text=text, total=None if share is None else 1.0, completed=share or 0.0)
            progress.refresh()
        progress.update(task, text=f"{time.monotonic() - began:.0f} s")
