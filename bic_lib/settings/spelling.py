"""How single values are written in `bic.toml`: durations, names, hosts, references, formats … and what is wrong when they aren't.

Each check raises ValueError with `what is wrong; what would be right`; :mod:`bic_lib.settings.problems` puts the path before it.
Messages never quote a value that may hold a secret.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import unquote_plus, urlsplit

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

from bic_lib.core import azure_hosts, naming
from bic_lib.core.meant import closest
from bic_lib.core.model import DAY
from bic_lib.core.plan import zone_of
from bic_lib.credentials.references import APP_SERVICE, KEY_VAULT, fault, is_reference

_VAULT_KEY = re.compile(r"[A-Za-z0-9-]{1,127}|https://[^/\s?#]+/keys/[A-Za-z0-9-]{1,127}")
_UNITS = {"d": DAY, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:([0-9]{1,6})d)?(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})s)?")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_HOST_NAME = re.compile(r"(?![-.])[\w.-]{1,253}(?<![-.])|\[[0-9A-Fa-f:.]+\]")
_DRIVE = re.compile(r"[A-Za-z]:($|[\\/])")
_UNC = re.compile(r"(\\\\|//)[^\\/\s]+[\\/][^\\/]+([\\/].*)?", re.DOTALL)
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)\s*%?", re.ASCII)
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_OWN_CONTAINERS = frozenset({"$root", "$web", "$logs"})
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9]{0,19}")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+|[^<>\r\n]*<[^@\s<>]+@[^@\s<>]+>")
_CREDENTIALS = re.compile(
    r"(?:^|[;?&=])\s*(?:pwd|password|accesstoken|accountkey|sharedaccesssignature|sharedaccesskey)\s*=", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"\w://[^:/@]*:[^@]+@")
"""As SQLAlchemy reads it: a password may hold slashes, a user may not."""
_SHELL = re.compile(r"^~(?=$|[\\/])|%\w+%|\$\w+|\$\{\w+\}")
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_HIDDEN_NAMES = {
    "\t": "a tab",
    "\n": "a line break",
    "\r": "a carriage return",
    "\0": "a NUL character",
    "\ufeff": "a byte order mark",
}
_ESCAPED = {"\b": "b", "\t": "t", "\n": "n", "\f": "f", "\r": "r", "\x1b": "e"}
"""What TOML makes of a backslash with this letter, in double quotes."""
EVERY_SITE = "*"
"""In a transfer: each enabled site."""
_SHORTEST_TEXT = 4
"""Characters of a text that an appliance says; Japanese says in four that there is nothing."""
_DEVELOPMENT_STORAGE = "UseDevelopmentStorage=true"


# --- time ------------------------------------------------------------------------------------------------------------


def seconds(text: object) -> int:
    """`"90d"`, `"1h30m"` → seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if not match:
        raise ValueError(f'{shown(text)}is no duration; a number and d, h, m or s in quotes, such as "10m", "1h30m" or "90d"')
    return sum(int(count) * unit for count, unit in zip(match.groups(), _UNITS.values(), strict=True) if count)


def duration(number: int) -> str:
    """Seconds → the shortest spelling that :func:`seconds` reads."""
    parts = []
    for unit, size in _UNITS.items():
        count, number = divmod(number, size)
        parts += [f"{count}{unit}"] if count else []
    return "".join(parts) or "0s"


def within(shortest: str, longest: str) -> AfterValidator:
    """Bounds of a duration, both included."""

    def check(number: int) -> int:
        if not seconds(shortest) <= number <= seconds(longest):
            raise ValueError(f'"{duration(number)}" is out of range; from "{shortest}" to "{longest}"')
        return number

    return AfterValidator(check)


def share(text: object) -> float:
    """`"5%"` → 0.05. Raises ValueError."""
    match = _SHARE.fullmatch(text) if isinstance(text, str) else None
    part = float(match[1]) / 100 if match else 0.0
    if not 0 < part <= 1:
        raise ValueError(f'{shown(text)}is no percentage; more than 0, at most 100, in quotes, such as "5%"')
    return part


def percentage(part: float) -> str:
    """0.05 → `"5%"`."""
    return f"{100 * part:g}%"


def _minutes(text: object) -> int:
    match = _CLOCK.fullmatch(text) if isinstance(text, str) else None
    if not match:
        raise ValueError(f'{shown(text)}is no time of day; "HH:MM" from "00:00" to "23:59", in quotes')
    return int(match[1]) * 60 + int(match[2])


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _time_zone(name: str) -> str:
    try:
        zone_of(name)
    except (KeyError, OSError, ValueError):  # a folder's name is an OSError
        raise ValueError(f'{shown(name)}is no time zone known here; a name such as "UTC" or "Europe/Berlin"') from None
    return name


# --- lists -----------------------------------------------------------------------------------------------------------


def _some(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise ValueError("is empty; at least one")
    return items


not_empty = AfterValidator(_some)
"""For lists. (pydantic's `min_length` would also call a list empty whose items are wrong.)"""


def _distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(items)) < len(items):
        raise ValueError("names one twice; each once")
    return items


each_once = AfterValidator(_distinct)
"""For lists."""


# --- names and places ------------------------------------------------------------------------------------------------


def _site_text(text: str) -> str:
    if len(" ".join(text.split())) < _SHORTEST_TEXT:
        raise ValueError(f"is too short to tell one text from another; at least {_SHORTEST_TEXT} characters of what is said")
    return text


def _pattern(pattern: re.Pattern[str], wrong: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(wrong)
        return text

    return AfterValidator(check)


def is_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text))


def _filled(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write a text, or leave the line out")
    return _visible(text)


def _visible(text: str) -> str:
    """Each character can be seen. What can't is mostly a path in double quotes, where TOML reads `\\t` and `\\n` as escapes."""
    if hidden := dict.fromkeys(_HIDDEN.findall(text)):
        names = " and ".join(_HIDDEN_NAMES.get(one, f"the invisible character U+{ord(one):04X}") for one in hidden)
        raise ValueError(f"holds {names}; {_meant_path(text) if hidden.keys() <= _ESCAPED.keys() else 'plain text'}")
    if text != text.strip():
        raise ValueError("begins or ends with a blank; without it")
    return text


def _meant_path(text: str) -> str:
    """A path as it was typed, before TOML took its backslashes for escapes."""
    typed = "".join(f"\\{_ESCAPED[one]}" if one in _ESCAPED else one for one in text)
    if re.match(r"\\[^\\]", typed):
        typed = f"\\{typed}"  # of a UNC path's two TOML left one
    return f"in double quotes \\ begins an escape: write it in single quotes, '{typed}'"


def _host(text: str) -> str:
    if "://" in text:
        raise ValueError('has a scheme; only the host name, such as "support.example.com" (always https)')
    name, port = _split_port(text)
    if not _HOST_NAME.fullmatch(name) or re.search(r"[@/]", text):
        raise ValueError('is no host name; such as "support.example.com" or "support.example.com:8443", without user and path')
    if port is not None and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError("has no usable port; a number from 1 to 65535 after the colon")
    return text


def _split_port(text: str) -> tuple[str, str | None]:
    head, colon, tail = text.rpartition(":")
    return (head, tail) if colon and not text.endswith("]") else (text, None)


def _mail_host(text: str) -> str:
    if _split_port(text)[1] is not None and "://" not in text:
        raise ValueError('has a port; the host name alone, and the port as "port"')
    return _host(text)


def _https(text: str) -> str:
    try:
        url = urlsplit(text)
        well = url.scheme == "https" or (url.scheme == "http" and url.hostname in azure_hosts.LOOPBACK)
        well = well and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        well = False
    if not well or re.search(r"\s", text):
        raise ValueError('is no https URL; the whole address, beginning with "https://"')
    if "@" in url.netloc:
        raise ValueError("holds a user or password; the plain URL (who enters is set in [identity])")
    if url.query or url.fragment:
        raise ValueError("has a query or signature; the plain URL (a signed one belongs into a connection by env: or keyvault:)")
    return text


def _web(text: str) -> str:
    """A URL whose answers prove themselves, so that plain HTTP will do."""
    if re.match(r"http://", text):
        _https(text.replace("http://", "https://", 1))
        return text
    return _https(text)


def _azure(service: tuple[str, ...], otherwise: str) -> AfterValidator:
    """A service's URL that is entered by tokens. `otherwise` is what to do for any other host."""

    def check(text: str) -> str:
        if not azure_hosts.takes_tokens(azure_hosts.host(_https(text)), service):
            raise ValueError(f"is no host of Azure, and a token is sent to no other; one that ends in {service[0]}, {otherwise}")
        return text

    return AfterValidator(check)


def _container_url(text: str) -> str:
    """The URL of a container itself, without what would be a folder in it."""
    steps = azure_hosts.below_account(text)
    if not steps:
        raise ValueError('names an account without a container; "https://ACCOUNT.blob.core.windows.net/CONTAINER"')
    container, *folders = steps
    if folders:
        folder = "/".join(folders)
        url = text.rstrip("/").removesuffix(f"/{folder}")
        raise ValueError(f'goes on behind the container "{container}"; container_url = "{url}", directory = "{folder}"')
    if not _CONTAINER.fullmatch(container) and container not in _OWN_CONTAINERS:
        raise ValueError(f'names no container: "{container}"; 3 to 63 lower-case letters, digits and single hyphens')
    return text


def _local_directory(text: str) -> str:
    if found := _SHELL.search(text):
        raise ValueError(f"holds {found[0]}, which only a shell replaces; the whole path, or one from this file's folder on")
    if text.startswith(("\\\\", "//")):
        raise ValueError('is a network path; a local folder, or kind = "smb_share" for shares')
    if _DRIVE.match(text) and sys.platform != "win32":
        raise ValueError("is a Windows drive; a path of this machine, or kind = \"smb_share\" with '\\\\server\\share'")
    return text


def _unc(text: str) -> str:
    _visible(text)
    if _DRIVE.match(text):
        raise ValueError("is a drive, and mapped drives exist only for the user who mapped them; '\\\\server\\share\\folder'")
    if not _UNC.fullmatch(text):
        raise ValueError("is no UNC path; '\\\\server\\share\\folder' in single quotes")
    if ".." in re.split(r"[\\/]", text):
        raise ValueError('leads upwards by ".."; the folder\'s own path')
    return text


def _blob_directory(text: str) -> str:
    _visible(text)
    if text.startswith("/") or "\\" in text or ".." in text.split("/"):
        raise ValueError('is no folder within a container; such as "support" or "archive/support"')
    return text


def file_name_format(text: str) -> str:
    """A file name format as it was written. Raises ValueError for unknown `%VALUE%`s and for places outside the destination."""
    if wrong := naming.wrong_values(text):
        word = wrong[0].strip("%{}").strip()
        raise ValueError(f"{wrong[0]} is no value; {_meant_value(word)}")
    if not text.strip("/ "):
        raise ValueError('is no file name; such as "%SUPPORT_SITE_HOST%-%LSID%.%EXTENSION%"')
    _visible(text)
    if text.startswith("/") or "\\" in text or {"..", "."} & set(text.split("/")):
        raise ValueError('leaves the destination\'s directory; a relative name, folders separated by "/", without ".."')
    return text


def _meant_value(word: str) -> str:
    known = {f"%{value}%": value for value in naming.VALUES}
    found = closest(re.sub(r"[\s-]+", "_", word), known.values()) or closest(re.sub(r"[\s_-]+", "", word), known.values())
    return f"did you mean %{found}%?" if found else f"one of {', '.join(known)}, each between two %"


# --- secrets ---------------------------------------------------------------------------------------------------------


def _reference(text: str) -> str:
    if wrong := fault(text):
        raise ValueError(wrong)
    return text


def _plain_or_reference(text: str) -> str:
    if is_reference(text) or text.startswith(APP_SERVICE):
        return _reference(text)
    return _filled(text)


def _seal_key(text: str) -> str:
    """A file, or a key of the vault: by its name, or its URL without a version."""
    if is_reference(text) and not text.startswith(KEY_VAULT):
        raise ValueError("is a reference to a secret; the key's file, or keyvault:KEY for a key that signs in the vault")
    if not text.startswith(KEY_VAULT):
        return _local_directory(text)
    if not _VAULT_KEY.fullmatch(text.removeprefix(KEY_VAULT)):
        raise ValueError("names no key of a vault; keyvault:NAME (letters, digits, -) or keyvault:https://VAULT/keys/NAME")
    return text


def _connection_string(text: str) -> str:
    if is_reference(text) or text.startswith(APP_SERVICE):
        return _reference(text)
    _visible(text)
    if _CREDENTIALS.search(_unquoted(text)) or _URL_PASSWORD.search(text):
        raise ValueError("holds credentials, which must not be written here; env:NAME or keyvault:NAME for the whole string")
    scheme = text.partition("://")[0].partition("+")[0] if "://" in text else ""
    if scheme not in {"sqlite", "mssql"} and (scheme or "=" not in text):
        raise ValueError(
            "is no connection to SQLite, SQL Server or Azure SQL; an SQLAlchemy URL such as sqlite:///sessions.sqlite, "
            "an ODBC connection string, or env:NAME / keyvault:NAME"
        )
    if scheme == "sqlite" and (":memory:" in text or not text.partition(":///")[2]):
        raise ValueError("is a database in memory, which keeps nothing; a file, such as sqlite:///sessions.sqlite")
    return text


def _unquoted(text: str) -> str:
    """Without URL encoding, however often it was encoded."""
    while (plain := unquote_plus(text)) != text:
        text = plain
    return text


def _storage_connection(text: str) -> str:
    return text if text == _DEVELOPMENT_STORAGE else _reference(text)


# --- types -----------------------------------------------------------------------------------------------------------


def shown(value: object) -> str:
    """A wrong value for a message, with a space after it; nothing where it isn't a short text."""
    return f'"{value}" ' if isinstance(value, str) and 0 < len(value) <= 40 and value.isprintable() else ""


def _schema(kind: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": kind, **more})


def _text(kind: str, check: Callable[[str], str], **more: Any) -> tuple[AfterValidator, WithJsonSchema]:
    return AfterValidator(check), _schema(kind, **more)


Duration = Annotated[int, PlainValidator(seconds), PlainSerializer(duration, when_used="json"), _schema("duration")]
Share = Annotated[
    float,
    PlainValidator(share),
    PlainSerializer(percentage, when_used="json"),
    _schema("percentage"),
]
ClockTime = Annotated[int, PlainValidator(_minutes), PlainSerializer(_clock, when_used="json"), _schema("HH:MM")]
TimeZone = Annotated[str, AfterValidator(_time_zone), _schema("time zone")]
Name = Annotated[
    str,
    _pattern(_NAME, "is no name; letters, digits, _ and -, at most 40, beginning with a letter or digit"),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"}),
]
SiteChoice = Annotated[
    str,
    _pattern(re.compile(rf"\*|{_NAME.pattern}"), 'is no name; a name under [sites], or "*" for every enabled site'),
    WithJsonSchema({"type": "string", "pattern": rf"^(\*|{_NAME.pattern})$"}),
]
Text = Annotated[str, AfterValidator(_filled)]
SiteText = Annotated[str, AfterValidator(_site_text)]
Host = Annotated[str, AfterValidator(_host), _schema("host")]
MailHost = Annotated[str, AfterValidator(_mail_host), _schema("host")]
MailAddress = Annotated[str, _pattern(_MAIL, 'is no mail address; such as "ops@example.com"'), _schema("mail address")]
_CUSTOM_DOMAIN = "or for a custom domain a connection string by env: or keyvault: as connection"
BlobUrl = Annotated[str, _azure(azure_hosts.BLOB, _CUSTOM_DOMAIN), AfterValidator(_container_url), _schema("https URL")]
TableUrl = Annotated[str, _azure(azure_hosts.TABLE, _CUSTOM_DOMAIN), _schema("https URL")]
VaultUrl = Annotated[str, _azure(azure_hosts.VAULT, "the vault's own name"), _schema("https URL")]
LocalDirectory = Annotated[str, AfterValidator(_filled), AfterValidator(_local_directory), _schema("path")]
LocalFile = Annotated[str, AfterValidator(_filled), AfterValidator(_local_directory), _schema("path")]
WebUrl = Annotated[str, AfterValidator(_web), _schema("URL")]
SealKey = Annotated[str, AfterValidator(_filled), AfterValidator(_seal_key), _schema("path, or keyvault:KEY")]
UncPath = Annotated[str, AfterValidator(_unc), _schema("UNC path")]
BlobDirectory = Annotated[str, AfterValidator(_blob_directory), _schema("path")]
ContainerName = Annotated[
    str, _pattern(_CONTAINER, "is no container name; 3 to 63 lower-case letters, digits and single hyphens"), _schema("container")
]
TablePrefix = Annotated[
    str, _pattern(_PREFIX, "is no prefix for tables; up to 20 letters and digits, beginning with a letter"), _schema("prefix")
]
FileNameFormat = Annotated[str, AfterValidator(file_name_format), _schema("file name format")]
SecretReference = Annotated[str, AfterValidator(_reference), _schema("secret reference")]
PlainOrReference = Annotated[str, AfterValidator(_plain_or_reference), _schema("text or reference")]
ConnectionString = Annotated[str, AfterValidator(_connection_string), _schema("connection string or reference")]
StorageConnection = Annotated[str, AfterValidator(_storage_connection), _schema("secret reference")]
