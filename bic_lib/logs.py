"""What is logged, where it goes, and what must never be in it.

Two loggers speak: :data:`scheduler` (ticks, schedules, visits) and :data:`transfers` (what became of each item). Nothing that
left this process may hold a secret, a signed link or a token (docs/design.md 11.3), so masking sits at the root of logging:
:func:`protect` masks every record as it is made, whoever made it and whichever handler takes it, and escapes what would forge
another; :mod:`bic_lib.masking` does the same for other texts.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import sys
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Literal

from bic_lib.masking import shown

scheduler = logging.getLogger("bic.scheduler")
transfers = logging.getLogger("bic.transfers")
events = logging.getLogger("bic.events")
"""For machines (:mod:`bic_lib.engine.events`); not written to local files."""

_TALKATIVE = ("azure", "msal", "smbclient", "smbprotocol", "spnego", "urllib3")
"""Libraries that log each request at INFO or DEBUG, with its path: names of files hold ids of sessions and external keys."""

_POOLS = "urllib3.connectionpool"
"""It warns when more threads want a connection than a pool keeps, and opens one: nobody need do anything about that."""

LogFormat = Literal["text", "json"]


def _masked_value(value: object) -> object:
    """Numbers and None stay what they are; of everything else only the masked text is kept."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {shown(str(key)): _masked_value(part) for key, part in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked_value(part) for part in value]
    return shown(str(value))


def _indented(text: str) -> str:
    """A traceback's lines, none of which looks like the first of a record."""
    return "\n".join(f"  {shown(line)}" for line in text.splitlines())


# --- masking at the root of logging ----------------------------------------------------------------------------------

_BLANK = logging.LogRecord("", 0, "", 0, "", (), None)
_STANDARD = frozenset(_BLANK.__dict__) | {"message", "asctime"}
_AS_TEXT = logging.Formatter()


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in record.__dict__.items() if key not in _STANDARD}


def _mask_record(record: logging.LogRecord) -> None:
    """Leave nothing in the record that a handler could print unmasked. Doing it twice changes nothing."""
    try:
        record.msg = shown(record.getMessage())
    except (TypeError, ValueError, KeyError):  # the message and its arguments don't fit: logging says so itself, later
        record.msg = f"{shown(str(record.msg))} {_masked_value(record.args)}"
    record.args = None
    if record.exc_info and record.exc_info[0] is not None:
        record.exc_text = _indented(_AS_TEXT.formatException(record.exc_info))
    # Handlers of others print the exception themselves where they find one; so they find its masked text only.
    record.exc_info = None
    if record.stack_info:
        record.stack_info = _indented(record.stack_info)


class MaskedRecord(logging.LogRecord):
    """A log record without secrets from its first moment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _mask_record(self)


class MaskExtras(logging.Filter):
    """Masks what `extra=` put into a record after it was made; for handlers that print it."""

    def filter(self, record: logging.LogRecord) -> bool:
        for key, value in _extras(record).items():
            setattr(record, key, _masked_value(value))
        return True


_mask_extras = MaskExtras()


def protect() -> None:
    """Mask every log record of this process, those of other libraries too. Calling it again covers handlers added since."""
    logging.setLogRecordFactory(MaskedRecord)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_mask_extras)


# --- files -----------------------------------------------------------------------------------------------------------


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


class TextFormat(logging.Formatter):
    """One line: UTC time, level, logger, message, then the extras as `key=value`; a traceback below it."""

    def format(self, record: logging.LogRecord) -> str:
        extras = "".join(f" {key}={value}" for key, value in _extras(record).items())
        head = f"{_moment(record):%Y-%m-%dT%H:%M:%S}Z {record.levelname} {record.name} {record.getMessage()}{extras}"
        return "\n".join(filter(None, (head, record.exc_text, record.stack_info)))


class JsonFormat(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the extras, and `exception` where there was one."""

    def format(self, record: logging.LogRecord) -> str:
        time = _moment(record).isoformat(timespec="milliseconds")
        line = {**_extras(record), "time": time, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, ensure_ascii=False, default=str)


_SUFFIXES: dict[LogFormat, str] = {"text": "log", "json": "jsonl"}


_DAILY = re.compile(r"([a-z]+)-(\d{4}-\d\d-\d\d)\.(?:log|jsonl)")
_unwritable: set[Path] = set()
"""Folders of logs of which it was told that they can't be written; both logs lie in one."""


def file_of_day(name: str) -> tuple[str, str] | None:
    """The log and the UTC day (`2026-08-01`) of a log file's name; None when it is no such name."""
    match = _DAILY.fullmatch(name)
    return (match[1], match[2]) if match else None


class DailyFile(logging.Handler):
    """Appends to `<directory>/<name>-<UTC day>.log` (`.jsonl` for json) and removes files older than `keep_days`.

    Several processes may share the files: nothing is ever renamed, and each record is one write. Where they can't be written (a
    full disk) that is told once, on standard error; when they can again, the log says how many records are missing.
    """

    def __init__(self, directory: Path, name: str, *, keep_days: int, log_format: LogFormat) -> None:
        super().__init__()
        self._directory, self._name, self._keep = directory, name, timedelta(days=keep_days)
        self._suffix = _SUFFIXES[log_format]
        self._day: date | None = None
        self._file: BinaryIO | None = None
        self._missing = 0
        self.setFormatter(JsonFormat() if log_format == "json" else TextFormat())
        self.addFilter(_mask_extras)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self._missing:
                self._append(self._gap(record))
                self._missing = 0
            self._append(record)
            _unwritable.discard(self._directory)
        except OSError as error:  # a full disk must not stop a transfer
            self._missing += 1
            self._close()
            self._tell(error)

    def close(self) -> None:
        self._close()
        super().close()

    def _append(self, record: logging.LogRecord) -> None:
        line = (self.format(record) + "\n").encode(errors="backslashreplace")
        written = self._file_of(_moment(record).date()).write(line)
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _gap(self, record: logging.LogRecord) -> logging.LogRecord:
        told = f"{self._missing:,} records are missing here: the log could not be written"
        return logging.makeLogRecord({"name": record.name, "levelno": logging.WARNING, "levelname": "WARNING", "msg": told})

    def _tell(self, error: OSError) -> None:
        if self._directory not in _unwritable and sys.stderr:
            _unwritable.add(self._directory)
            with suppress(OSError):
                why = error.strerror or type(error).__name__
                sys.stderr.write(f"bic: no log can be written in {self._directory} ({why}); the work goes on without.\n")

    def _close(self) -> None:
        if self._file:
            with suppress(OSError):
                self._file.close()
        self._file = self._day = None

    def _file_of(self, day: date) -> BinaryIO:
        if self._file is None or day != self._day:
            self._close()
            self._directory.mkdir(parents=True, exist_ok=True)
            path = self._directory / f"{self._name}-{day.isoformat()}.{self._suffix}"
            file: BinaryIO = path.open("ab+", buffering=0)
            self._file, self._day = file, day
            self._end_line(file)
            self._remove_before(day - self._keep)
        return self._file

    @staticmethod
    def _end_line(file: BinaryIO) -> None:
        """A line that a full disk cut off ends before the next one begins."""
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")

    def _remove_before(self, oldest: date) -> None:
        for path in self._directory.iterdir():
            named = file_of_day(path.name)
            if named and named[0] == self._name and named[1] < oldest.isoformat():
                path.unlink(missing_ok=True)


def configure(directory: Path | None, *, keep_days: int = 30, log_format: LogFormat = "text") -> None:
    """Mask all logging and, with a directory, write the two loggers to daily files there. Replaces an earlier call's files."""
    protect()
    events.setLevel(logging.INFO)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger(_POOLS).setLevel(logging.ERROR)
    for logger in (scheduler, transfers):
        logger.setLevel(logging.INFO)
        for handler in [handler for handler in logger.handlers if isinstance(handler, DailyFile)]:
            logger.removeHandler(handler)
            handler.close()
        if directory is not None:
            name = logger.name.removeprefix("bic.")
            logger.addHandler(DailyFile(directory, name, keep_days=keep_days, log_format=log_format))
