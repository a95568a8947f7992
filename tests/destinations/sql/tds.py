"""The stand-in behind a port, as a server of TDS 7.4 without encryption (MS-TDS): for drivers, and what they send.

Each request is kept with its size: what a driver makes of a statement (to prepare it, to stream a parameter, to forget it) is
a round trip each, and can be counted here and nowhere else without a server.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bic_lib.destinations.sql import SqlDatabase, connection_strings, odbc, sqlserver_errors
from bic_lib.destinations.sql.database import Kind
from bic_lib.destinations.sql.sqlserver import SqlServerTransaction, Way
from tests.destinations.sql.listener import Gone, exactly
from tests.destinations.sql.stand_in import Before, Connection, Cursor, Set, going, nothing, pyodbc, stand_in

_BATCH, _RPC, _ANSWER, _ATTENTION, _LOGIN, _PRELOGIN = 1, 3, 4, 6, 16, 18
_NO_ENCRYPTION = bytes([0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 255, 16, 0, 16, 0, 0, 0, 2])
_COLLATION = bytes([9, 4, 0xD0, 0, 0x34])
_INTEGER, _TEXT, _LONG_TEXT, _TABLE = 0x26, 0xE7, 0x63, 0xF3
_ENDLESS = 0xFFFF
_NULL = b"\xff" * 8
_PROCEDURES = {11: "sp_prepare", 12: "sp_execute", 13: "sp_prepexec", 15: "sp_unprepare", 10: "sp_executesql"}
_TYPE_INFO = "sp_datatype_info_100"
_PRECISIONS = {-9: 4_000, 12: 8_000, -3: 8_000, 93: 27}
"""What a server tells of its types' lengths, by ODBC's number of the type."""
_FAILED, _MORE, _COUNTED = 2, 1, 0x10
_DONE, _PROCEDURE, _IN_PROCEDURE = 0xFD, 0xFE, 0xFF
_BETWEEN_CALLS = {0x80, 0xFF, 0xFE}
_PACKET = 4_096


@dataclass(frozen=True, slots=True)
class Request:
    """What a driver sent at once: of which kind, what it says, how the parameters' types are declared, bytes and packets."""

    kind: str
    text: str
    types: tuple[str, ...] = ()
    size: int = 0


@dataclass(slots=True)
class Front:
    """The server: `requests` are those after the login, in their order."""

    connect: Callable[[], Connection]
    port: int
    requests: list[Request] = field(default_factory=list)

    def serve(self, client: socket.socket) -> None:
        with client, closing(self.connect()) as connection, suppress(OSError, Gone):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = _Session(connection)
            while True:
                kind, content, size = _message(client)
                _send(client, self._answered(session, kind, content, size))

    def _answered(self, session: _Session, kind: int, content: bytes, size: int) -> bytes:
        if kind == _PRELOGIN:
            return _NO_ENCRYPTION
        if kind == _LOGIN:
            return _welcome()
        if kind == _ATTENTION:
            return _done(0x20)
        reader = _Reader(content)
        reader.take(reader.number("I") - 4)
        if kind == _BATCH:
            text = reader.rest().decode("utf-16-le")
            self._note(Request("batch", text, size=size))
            return session.carried_out(text, [], rpc=False)
        answer = b""
        for number, (name, given) in enumerate(_calls(reader)):
            text, answered = session.called(name, given)
            answer += answered
            self._note(Request(name, text, tuple(kind for kind, _ in given), 0 if number else size))
        return answer

    def _note(self, request: Request) -> None:
        if _TYPE_INFO not in request.kind + request.text:
            self.requests.append(request)


class _Session:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._prepared: list[str] = []

    def called(self, name: str, given: Sequence[tuple[str, Any]]) -> tuple[str, bytes]:
        """The statement of a procedure's call, and the answer to it."""
        values = [value for _, value in given]
        if name == "sp_prepexec":
            return values[2], self.carried_out(values[2], values[3:], rpc=True) + self._kept(values[2])
        if name == "sp_prepare":
            return values[2], self._kept(values[2]) + _ended_call()
        if name == "sp_execute":
            text = self._prepared[values[0] - 1]
            return text, self.carried_out(text, values[1:], rpc=True) + _ended_call()
        if name == "sp_executesql":
            return values[0], self.carried_out(values[0], values[2:], rpc=True) + _ended_call()
        if _TYPE_INFO in name:
            return "", _precision(values[0]) + _done(_MORE | _COUNTED, _IN_PROCEDURE) + _ended_call()
        return "", _ended_call()

    def _kept(self, text: str) -> bytes:
        self._prepared.append(text)
        handle = _name("") + b"\x01" + struct.pack("<IHBBBi", 0, 0, _INTEGER, 4, 4, len(self._prepared))
        return b"\x79\0\0\0\0" + struct.pack("<BH", 0xAC, 0) + handle + _done(0, _PROCEDURE)

    def carried_out(self, text: str, values: Sequence[Any], *, rpc: bool) -> bytes:
        if (asked := re.match(rf"(?:EXEC )?{_TYPE_INFO} (-?\d+)", text)) is not None:
            return _precision(int(asked[1])) + _done(_COUNTED)
        cursor = self._connection.cursor()
        ends = _IN_PROCEDURE if rpc else _DONE
        answer = b""
        try:
            cursor.execute(re.sub(r"@P\d+\b", "?", text), *values)
            while cursor.told:
                answer += _set(cursor) + _done(_MORE | _COUNTED, ends)
                cursor.nextset()
        except pyodbc.Error as error:
            answer += _message_token(0xAA, _number(error), 16, str(error.args[-1])) + _done(_MORE * rpc | _FAILED, ends)
            return answer
        return answer + (b"" if rpc else _done(0))


def _set(cursor: Cursor) -> bytes:
    """Rows; where there are none, a message as PRINT has it."""
    if not cursor.description:
        return _message_token(0xAB, 0, 0, "a trigger's words")
    return _rows([str(column[0]) for column in cursor.description], cursor.fetchall())


def _number(error: Exception) -> int:
    return int(re.findall(r"\((\d+)\)", str(error))[-1])


def _calls(reader: _Reader) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """The procedures of a request, with each parameter's declared type and value."""
    while reader.more():
        length = reader.number("H")
        if length == _ENDLESS:
            number = reader.number("H")
            name = _PROCEDURES.get(number, f"procedure {number}")
        else:
            name = reader.text(length)
        reader.number("H")
        given = []
        while reader.more() and reader.peek() not in _BETWEEN_CALLS:
            reader.text(reader.number("B"))
            reader.number("B")
            given.append(reader.value())
        if reader.more():
            reader.number("B")
        yield name, given


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def more(self) -> bool:
        return self._place < len(self._content)

    def peek(self) -> int:
        return self._content[self._place]

    def take(self, count: int) -> bytes:
        self._place += count
        return self._content[self._place - count : self._place]

    def rest(self) -> bytes:
        return self.take(len(self._content) - self._place)

    def number(self, form: str) -> int:
        return int(struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0])

    def text(self, length: int) -> str:
        return self.take(2 * length).decode("utf-16-le")

    def value(self) -> tuple[str, Any]:
        """The declared type, and the value."""
        declared, read = self._type()
        return declared, read()

    def _type(self) -> tuple[str, Callable[[], Any]]:
        kind = self.number("B")
        if kind == _INTEGER:
            self.number("B")
            return "int", self._integer
        if kind == _LONG_TEXT:
            self.take(9)
            return "ntext", lambda: self.take(self.number("I")).decode("utf-16-le")
        if kind == _TABLE:
            return "table", self._table
        assert kind == _TEXT, f"a parameter of type {kind:#x}"
        size = self.number("H")
        self.take(5)
        return ("nvarchar(max)", self._endless) if size == _ENDLESS else (f"nvarchar({size // 2})", self._limited)

    def _integer(self) -> int | None:
        held = self.take(self.number("B"))
        return int.from_bytes(held, "little", signed=True) if held else None

    def _limited(self) -> str | None:
        length = self.number("H")
        return None if length == _ENDLESS else self.take(length).decode("utf-16-le")

    def _endless(self) -> str | None:
        if self.take(8) == _NULL:
            return None
        pieces = iter(lambda: self.take(self.number("I")), b"")
        return b"".join(pieces).decode("utf-16-le")

    def _table(self) -> list[list[Any]]:
        """The rows of a table-valued parameter (MS-TDS 2.2.5.5.5)."""
        for _ in range(3):
            self.text(self.number("B"))
        columns = []
        for _ in range(self.number("H")):
            self.take(6)
            columns.append(self._type()[1])
            self.text(self.number("B"))
        self.number("B")
        return list(iter(lambda: [read() for read in columns] if self.number("B") else None, None))


def _name(text: str) -> bytes:
    return bytes([len(text)]) + text.encode("utf-16-le")


def _done(status: int, token: int = _DONE) -> bytes:
    return struct.pack("<BHHQ", token, status, 0, 0)


def _ended_call() -> bytes:
    return b"\x79\0\0\0\0" + _done(0, _PROCEDURE)


def _message_token(token: int, number: int, severity: int, text: str) -> bytes:
    content = struct.pack("<iBBH", number, 1, severity, len(text)) + text.encode("utf-16-le")
    content += _name("front") + _name("") + struct.pack("<i", 1)
    return struct.pack("<BH", token, len(content)) + content


def _change(kind: int, new: bytes, old: bytes) -> bytes:
    return struct.pack("<BHB", 0xE3, 1 + len(new) + len(old), kind) + new + old


def _welcome() -> bytes:
    server = bytes([1, 0x74, 0, 0, 4]) + _name("Microsoft SQL Server") + bytes([16, 0, 3, 232])
    changes = _change(1, _name("bic"), _name("master")) + _change(7, bytes([5]) + _COLLATION, b"\0")
    changes += _change(4, _name(str(_PACKET)), _name(str(_PACKET)))
    return changes + struct.pack("<BH", 0xAD, len(server)) + server + _done(0)


def _precision(kind: int) -> bytes:
    return _rows(["TYPE_NAME", "DATA_TYPE", "PRECISION"], [("x", kind, _PRECISIONS.get(kind, 27))])


def _rows(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """Columns as BIGINT or NVARCHAR(MAX), by what is in them."""
    numbers = [any(isinstance(row[place], int) for row in rows) for place in range(len(names))]
    answer = struct.pack("<BH", 0x81, len(names))
    for name, number in zip(names, numbers, strict=True):
        kind = bytes([_INTEGER, 8]) if number else struct.pack("<BH", _TEXT, _ENDLESS) + _COLLATION
        answer += struct.pack("<IH", 0, 1) + kind + _name(name)
    for row in rows:
        values = (_number_value(value) if number else _text_value(value) for value, number in zip(row, numbers, strict=True))
        answer += b"\xd1" + b"".join(values)
    return answer


def _number_value(value: int | None) -> bytes:
    return b"\0" if value is None else b"\x08" + struct.pack("<q", value)


def _text_value(value: str | None) -> bytes:
    if value is None:
        return _NULL
    units = value.encode("utf-16-le")
    piece = struct.pack("<I", len(units)) + units if units else b""
    return struct.pack("<Q", len(units)) + piece + b"\0\0\0\0"


def _message(client: socket.socket) -> tuple[int, bytes, int]:
    """A request of one or more packets: its kind, its content, its bytes on the line."""
    content, size, last = b"", 0, False
    while not last:
        kind, status, length = struct.unpack(">BBH", exactly(client, 8)[:4])
        content += exactly(client, length - 8)
        size, last = size + length, bool(status & 1)
    return kind, content, size


def _send(client: socket.socket, content: bytes) -> None:
    room = _PACKET - 8
    for place in range(0, len(content), room):
        piece = content[place : place + room]
        client.sendall(struct.pack(">BBHHBB", _ANSWER, place + room >= len(content), 8 + len(piece), 0, 1, 0) + piece)


@contextmanager
def front(connect: Callable[[], Connection]) -> Iterator[Front]:
    """A server whose sessions each have a connection of the stand-in."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        served = Front(connect, bound.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=served.serve, args=(bound.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield served
        bound.shutdown(socket.SHUT_RDWR)


@contextmanager
def through(
    driver: str,
    file: Path,
    *,
    trigger: Sequence[Set | Exception] = (),
    meet: Before = nothing,
    met: Before = nothing,
    way: Way = SqlServerTransaction.way,
) -> Iterator[tuple[SqlDatabase, Front]]:
    """A destination that reaches the stand-in by a driver, its tables made; and the server, for what it sends from then on.

    `meet` and `met` are told each statement, before and after it took effect; where they raise Gone the server is gone, as far as
    the driver sees, and with an error of pyodbc's it tells that one's number.
    """
    stand_in(file, []).checks()

    def connect() -> Connection:
        return Connection(file, [], meet, met, keeps=False, trigger=trigger)

    with front(connect) as served:
        place = f"127.0.0.1;PORT={served.port};TDS_Version=7.4" if driver == "FreeTDS" else f"127.0.0.1,{served.port}"
        parts = connection_strings.parse(f"DRIVER={driver};SERVER={place};UID=u;PWD=p;DATABASE=bic;Encrypt=no")
        kind = Kind("sqlite", going(way), sqlserver_errors.translated)
        destination = SqlDatabase(kind, lambda: odbc.engine(parts, token=None, wait=5), "the front", True)
        destination.loaded("nobody", [])
        served.requests.clear()
        yield destination, served
        destination.engine.dispose()
