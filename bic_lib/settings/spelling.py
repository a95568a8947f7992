"""How single values are written in `bic.toml`, as types: names, references, formats, and what `times` and `locations` check.

Each check raises ValueError with `what is wrong; what would be right`; :mod:`bic_lib.settings.problems` puts the path before it.
Messages never quote a value that may hold a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import unquote_plus

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

from bic_lib.core import azure_hosts, naming
from bic_lib.core.meant import closest
from bic_lib.credentials.references import APP_SERVICE, KEY_VAULT, fault, is_reference
from bic_lib.settings import locations
from bic_lib.settings.times import clock, duration, minutes, percentage, seconds, share, time_zone
from bic_lib.settings.visible import filled, visible

_VAULT_KEY = re.compile(r"[A-Za-z0-9-]{1,127}|https://[^/\s?#]+/keys/[A-Za-z0-9-]{1,127}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9]{0,19}")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+|[^<>\r\n]*<[^@\s<>]+@[^@\s<>]+>")
_CREDENTIALS = re.compile(
    r"(?:^|[;?&=])\s*(?:pwd|password|accesstoken|accountkey|sharedaccesssignature|sharedaccesskey)\s*=", re.IGNORECASE
)
_URL_PASSWORD = re.compile(r"\w://[^:/@]*:[^@]+@")
"""As SQLAlchemy reads it: a password may hold slashes, a user may not."""
EVERY_SITE = "*"
"""In a transfer: each enabled site."""
_SHORTEST_TEXT = 4
"""Characters of a text that an appliance says; Japanese says in four that there is nothing."""
_DEVELOPMENT_STORAGE = "UseDevelopmentStorage=true"


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


# --- names -----------------------------------------------------------------------------------------------------------


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


def file_name_format(text: str) -> str:
    """A file name format as it was written. Raises ValueError for unknown `%VALUE%`s and for places outside the destination."""
    if wrong := naming.wrong_values(text):
        word = wrong[0].strip(naming.AROUND_VALUES).strip()
        raise ValueError(f"{wrong[0]} is no value; {_meant_value(word)}")
    if not text.strip("/ "):
        raise ValueError('is no file name; such as "%SUPPORT_SITE_HOST%-%LSID%.%EXTENSION%"')
    visible(text)
    if re.match("/|[A-Za-z]:", text) or "\\" in text or {"..", "."} & set(text.split("/")):
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
    return filled(text)


def _seal_key(text: str) -> str:
    """A file, or a key of the vault: by its name, or its URL without a version."""
    if is_reference(text) and not text.startswith(KEY_VAULT):
        raise ValueError("is a reference to a secret; the key's file, or keyvault:KEY for a key that signs in the vault")
    if not text.startswith(KEY_VAULT):
        return locations.local_directory(text)
    if not _VAULT_KEY.fullmatch(text.removeprefix(KEY_VAULT)):
        raise ValueError("names no key of a vault; keyvault:NAME (letters, digits, -) or keyvault:https://VAULT/keys/NAME")
    return text


def _connection_string(text: str) -> str:
    if is_reference(text) or text.startswith(APP_SERVICE):
        return _reference(text)
    visible(text)
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
ClockTime = Annotated[int, PlainValidator(minutes), PlainSerializer(clock, when_used="json"), _schema("HH:MM")]
TimeZone = Annotated[str, AfterValidator(time_zone), _schema("time zone")]
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
Text = Annotated[str, AfterValidator(filled)]
SiteText = Annotated[str, AfterValidator(_site_text)]
Host = Annotated[str, AfterValidator(locations.host), _schema("host")]
MailHost = Annotated[str, AfterValidator(locations.mail_host), _schema("host")]
MailAddress = Annotated[str, _pattern(_MAIL, 'is no mail address; such as "ops@example.com"'), _schema("mail address")]
_CUSTOM_DOMAIN = "or for a custom domain a connection string by env: or keyvault: as connection"
BlobUrl = Annotated[
    str, locations.azure(azure_hosts.BLOB, _CUSTOM_DOMAIN), AfterValidator(locations.container_url), _schema("https URL")
]
TableUrl = Annotated[str, locations.azure(azure_hosts.TABLE, _CUSTOM_DOMAIN), _schema("https URL")]
VaultUrl = Annotated[str, locations.azure(azure_hosts.VAULT, "the vault's own name"), _schema("https URL")]
LocalDirectory = Annotated[str, AfterValidator(filled), AfterValidator(locations.local_directory), _schema("path")]
LocalFile = Annotated[str, AfterValidator(filled), AfterValidator(locations.local_directory), _schema("path")]
WebUrl = Annotated[str, AfterValidator(locations.web), _schema("URL")]
SealKey = Annotated[str, AfterValidator(filled), AfterValidator(_seal_key), _schema("path, or keyvault:KEY")]
UncPath = Annotated[str, AfterValidator(locations.unc), _schema("UNC path")]
BlobDirectory = Annotated[str, AfterValidator(locations.blob_directory), _schema("path")]
ContainerName = Annotated[str, AfterValidator(locations.container), _schema("container")]
TablePrefix = Annotated[
    str, _pattern(_PREFIX, "is no prefix for tables; up to 20 letters and digits, beginning with a letter"), _schema("prefix")
]
FileNameFormat = Annotated[str, AfterValidator(file_name_format), _schema("file name format")]
SecretReference = Annotated[str, AfterValidator(_reference), _schema("secret reference")]
PlainOrReference = Annotated[str, AfterValidator(_plain_or_reference), _schema("text or reference")]
ConnectionString = Annotated[str, AfterValidator(_connection_string), _schema("connection string or reference")]
StorageConnection = Annotated[str, AfterValidator(_storage_connection), _schema("secret reference")]
