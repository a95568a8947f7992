"""SQL Server's error numbers, by what to do next.

Numbers: Microsoft's lists "Database engine events and errors" and "Troubleshoot transient connection errors in SQL Database".
"""

from __future__ import annotations

import re

from bic_lib.core.errors import BicError, DestinationError, NotAdmitted, Unexpected
from bic_lib.destinations.sql.load import Clash

_SERIALIZATION = "40001"
_DEADLOCK = {1205, 3960, 41301, 41302, 41305, 41325, 41839}
"""The victim of a deadlock, or of two who wrote one row at once (snapshots, memory-optimised tables)."""
_CONNECTION = ("01", "08", "HYT", "HY010", "IMC")
"""How the states of a connection that broke begin, whatever number stands in its text; FreeTDS has 01000 for it."""
_DUPLICATE = {2601, 2627}
_THERE_ALREADY = {2714, 1913}
_UNREACHED = {"08001", "08004", "HYT01"}
_LOGIN = frozenset({18456, 18450, 18452, 18470, 18486, 18487, 18488, 33155, 40531})
_VALUE = {220, 241, 242, 245, 295, 515, 547, 2628, 8114, 8115, 8152, 13609}

_AGAIN = "bic tries again by itself."
_RIGHTS = (
    "Loading needs SELECT, INSERT, UPDATE and DELETE on the tables; making them needs CREATE TABLE, CREATE VIEW and ALTER on the"
    " schema. `bic schema --sql` prints them for somebody who has these rights."
)
_COMPATIBILITY = "Have an administrator run ALTER DATABASE … SET COMPATIBILITY_LEVEL = 130, or a higher one."
_CAUSES: tuple[tuple[frozenset[int], str, str], ...] = (
    (
        frozenset({40613, 49918, 49919, 49920, 40197, 40501, 10928, 10929, 40540, 40143, 4221, 615, 42108, 42109}),
        "it is busy, being moved or waking up",
        f"{_AGAIN} Where it lasts, look at the database's service tier and its limits.",
    ),
    (
        frozenset({4060, 911, 40532, 916}),
        "the database can't be opened by this user",
        "Is DATABASE= spelt right, does it exist, and has the login a user there?",
    ),
    (
        _LOGIN,
        "the login was refused",
        "Look at the user and password of the connection string, or at the identity's user in the database.",
    ),
    (
        frozenset({40615, 40914, 47073}),
        "the server's firewall refuses this address",
        "Allow this address, or the virtual network, in the server's firewall.",
    ),
    (
        frozenset({229, 230, 262, 297, 300, 1088, 2760, 4902, 15151, 15247}),
        "a right is missing",
        _RIGHTS,
    ),
    (
        frozenset({1105, 9002, 40544, 40549, 40552, 1101}),
        "the database or its log is full",
        "Raise its size limit, or remove old sessions.",
    ),
    (
        frozenset({3906, 976, 978, 979, 982, 983}),
        "it can only be read",
        "Is it set READ_ONLY, or a copy? Name the server of the original (the listener of its availability group).",
    ),
    (
        frozenset({6004, 6005, 17142, 17809, 17892, 18401, 18451, 18461}),
        "the server takes no connection of this login now",
        f"It is paused, starts, ends, has too many connections, or a trigger refuses logins. {_AGAIN}",
    ),
    (
        frozenset({904, 921, 922, 923, 924, 926, 927, 942, 945, 952, 955}),
        "the database is not online",
        f"An administrator sees its state in sys.databases (restoring, offline, single-user). {_AGAIN}",
    ),
    (
        frozenset({271}),
        "a column that a load writes is computed",
        "`bic schema --sql --missing` prints what makes it an ordinary one.",
    ),
    (frozenset({207, 208, 4121}), "a table, view or column of bic is gone", "Make it again by what `bic schema --sql` prints."),
)


_KNOWN = {number for numbers, *_ in _CAUSES for number in numbers}

_TRUST = (
    "Have the authority's certificate added to this machine's store (Debian: update-ca-certificates; a container's image too)."
    " Only in a laboratory: TrustServerCertificate=yes in the connection string."
)
_ON_THE_WAY: tuple[tuple[re.Pattern[str], str, str], ...] = tuple(
    (re.compile(signs, re.IGNORECASE), why, hint)
    for signs, why, hint in (
        (
            r"does not match host name|hostname mismatch|principal name is incorrect",
            "its certificate is for another name",
            "Write SERVER= as the certificate names it, or HostNameInCertificate= with that name.",
        ),
        (
            r"has expired|not yet valid|out ?of ?date|validity period",
            "its certificate is not valid now",
            "Have the server's certificate renewed; look at this machine's clock too.",
        ),
        (
            r"certificate verify failed|self.signed|not trusted|issuer certificate|unknown (?:ca|authority)|certificate chain",
            "this machine does not know the authority of its certificate",
            _TRUST,
        ),
        (
            r"unsupported protocol|protocol version|wrong version|handshake fail|cipher|too small|too weak|sigalg|security error",
            "it and this machine have no TLS in common",
            "Bring the server up to TLS 1.2 or later (and its driver's, here); is it a SQL Server that answers on this port?",
        ),
        (
            r"encryption not supported",
            "it offers no encryption",
            "Give the server a certificate and restart it; or, where the way there is all yours: Encrypt=no.",
        ),
        (
            r"SSL",
            "no encrypted connection came about",
            "Is it a SQL Server that answers on this port, and does nothing between open the encryption?",
        ),
        (
            r"\((?:104|32|10053|10054)\)",
            "the connection was cut while it was being made",
            "Look at what lies between (firewall, proxy, gateway), and whether the server takes connections.",
        ),
        (
            r"\[FreeTDS\].*unable to connect|^unable to connect to data source",
            "nobody answers there as a SQL Server does",
            "Are the server's name, port and Encrypt right? FreeTDS tells no more; Microsoft's driver does.",
        ),
        (r"protocol error in tds", "what answers there is no SQL Server", "Are the server's name and port right?"),
        (
            r"\((?:11001|11002|11004)\)|name or service",
            "its name is not known here",
            "Is the server's name right? Ask this machine's DNS.",
        ),
    )
)
"""What a driver says when no connection comes about, of OpenSSL and of Windows, by what is behind it; the first that fits."""


def translated(error: Exception, database: str) -> BicError:
    """The error of ours for one of pyodbc's: about one value (Unexpected), a clash with another process, or the database."""
    state = str(error.args[0]) if error.args else ""
    said = str(error.args[-1]) if error.args else str(error)
    text = _cleaned(said)
    numbers = {int(number) for number in re.findall(r"\((-?\d{1,6})\)", text)}
    if state == _SERIALIZATION or numbers & _DEADLOCK:
        return Clash(DestinationError(f"{database} is busy: deadlock, again and again.", hint=_AGAIN))
    if state.startswith(_CONNECTION):
        return _whole_database(numbers, state, text, database)
    if numbers & _DUPLICATE:
        return Clash(Unexpected(text))
    if numbers & _THERE_ALREADY:
        return Clash(DestinationError(f"{database} can't be prepared: {text}", hint="Look at what `bic schema --sql` prints."))
    if numbers & _VALUE or _refused_by_a_trigger(said) or (state.startswith(("22", "23")) and not _native(said) & _KNOWN):
        return Unexpected(text)
    return _whole_database(numbers, state, text, database)


_NATIVE = re.compile(r"\((\d{1,9})\)(?= \(SQL|; \[|$)")
"""The server's own numbers, each at the end of its message."""
_OF_A_TRIGGER = {3609, 3616, 3930}
"""What ended in a trigger, or can't go on after one."""
_OF_BABELFISH = 33_557_097
"""What Babelfish for PostgreSQL says where SQL Server has no number for it."""
_USERS = 50_000
"""The first number that is free for those who write triggers (RAISERROR, THROW)."""


def is_unknown_name(error: object) -> bool:
    """Whether the server knows no table of this name."""
    return _UNKNOWN_NAME in _native(str(error))


_UNKNOWN_NAME = 208
"""The server's number for a table, or a function that is asked like one, that is not there."""


_OF_THE_MOMENT = {596, 701, 1204, 1222, 6005, 8645, 8651}
"""The session was killed, the server goes down, or has no memory or locks left; waiting for a lock took too long."""


def is_unknown(error: Exception) -> bool:
    """Whether it is about the statement as such: none of values, rights, the database or the connection, nor of a trigger."""
    state, said = str(error.args[0] if error.args else ""), str(error)
    known = _DEADLOCK | _DUPLICATE | _THERE_ALREADY | _VALUE | _OF_THE_MOMENT | _KNOWN
    return state.startswith(("42", "0A")) and not (_native(said) & known or _refused_by_a_trigger(said))


def _native(said: str) -> set[int]:
    return {int(number) for number in _NATIVE.findall(said)}


def _refused_by_a_trigger(said: str) -> bool:
    """Whether somebody's own rule is against one of the sessions."""
    native = _native(said)
    return bool(native & _OF_A_TRIGGER) or any(number >= _USERS and number != _OF_BABELFISH for number in native)


def _whole_database(numbers: set[int], state: str, text: str, database: str) -> DestinationError:
    if _UNKNOWN_NAME in numbers and "OPENJSON" in text:
        return DestinationError(f"{database} has a compatibility level below SQL Server 2016.", hint=_COMPATIBILITY)
    for known, why, hint in _CAUSES:
        if numbers & known:
            kind = NotAdmitted if known is _LOGIN else DestinationError
            return kind(f"{database} can't be used: {why}. {text}", hint=hint)
    if state in _UNREACHED or "(SQLDriverConnect)" in text:
        return _unreached(text, database)
    return DestinationError(f"{database} can't be used. {text}", hint=_AGAIN)


def _unreached(text: str, database: str) -> DestinationError:
    for signs, why, hint in _ON_THE_WAY:
        if signs.search(text):
            return DestinationError(f"{database} can't be reached: {why}. {text}", hint=hint)
    hint = f"Is the server's name right, and its port open? {_AGAIN}"
    if "\\" in database:
        hint = f"Does SQL Server Browser run there, and is UDP 1434 open? Or write SERVER=HOST,PORT of the instance. {_AGAIN}"
    return DestinationError(f"{database} can't be reached. {text}", hint=hint)


def _cleaned(text: str) -> str:
    """The message without the driver's prefixes and without values of rows."""
    text = re.sub(r"(?i)(truncated value|key value is|value):? *'.*?'", r"\1 '…'", text, flags=re.DOTALL)
    text = re.sub(r"(?i)(duplicate key value is) \(.*?\)", r"\1 (…)", text, flags=re.DOTALL)
    return " ".join(_PREFIX.sub("", text).split())[:400]


_PREFIX = re.compile(r"\[(?:[0-9A-Z]{5}|Microsoft|unixODBC|FreeTDS|Driver Manager|SQL Server[^\]]*|ODBC [^\]]*)\]")
"""How drivers begin a message; what else stands in brackets is the message."""
