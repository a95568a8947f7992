"""`bic.toml` → :class:`Settings`, or every problem of it at once, with its path and what would be right (docs/design.md 5)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, create_model

from bic_lib.core import model
from bic_lib.core.errors import SettingsError
from bic_lib.logs import masked
from bic_lib.settings import plug_ins
from bic_lib.settings.checks import contradictions, sqlite_file
from bic_lib.settings.model import AzureBlobSettings, File, LocalFolderSettings, SmbShareSettings, SqlDatabaseSettings
from bic_lib.settings.problems import problem
from bic_lib.settings.spelling import Name, duration

DEFAULT_SOURCE = "bic.toml"
_KINDS: dict[str, type[BaseModel]] = {
    "local_folder": LocalFolderSettings,
    "azure_blob": AzureBlobSettings,
    "smb_share": SmbShareSettings,
    "sql_database": SqlDatabaseSettings,
}


class Settings(File):
    """The settings of one file, checked. References in them are unresolved (:mod:`bic_lib.credentials.references`)."""

    _base: Path = PrivateAttr(default=Path())

    def model_post_init(self, context: Any, /) -> None:
        self._base = context["base"]

    @property
    def base(self) -> Path:
        """The folder of the file: where relative paths begin."""
        return self._base

    def path(self, text: str) -> Path:
        """A path of the settings, relative ones seen from the file's folder."""
        return self._base / text

    def connection(self, text: str) -> str:
        """A resolved connection string; SQLite's with its file as an absolute path."""
        file = sqlite_file(text, self._base)
        if file is None:
            return text
        query = text.partition("?")
        return f"{text.partition(':///')[0]}:///{file}{query[1]}{query[2]}"

    @property
    def site_values(self) -> dict[str, model.Site]:
        """The sites without their secrets, as the core knows them."""
        kept = model.Site.__dataclass_fields__.keys() - {"name"}
        return {name: model.Site(name=name, **site.model_dump(include=kept)) for name, site in self.sites.items()}

    @property
    def schedule_values(self) -> dict[str, model.Schedule]:
        """The schedules with their transfers, as the core knows them."""
        return {
            name: model.Schedule(
                name=name,
                every=schedule.every,
                transfers=tuple(model.Transfer(t.site, t.destination, t.data, t.open_sessions) for t in schedule.transfers),
                at=schedule.at,
                time_zone=schedule.time_zone,
                enabled=schedule.enabled,
            )
            for name, schedule in self.schedules.items()
        }


# --- reading ---------------------------------------------------------------------------------------------------------


def source(environ: Mapping[str, str], option: str | None) -> str:
    """Where the settings are: the command's option, else `BIC_SETTINGS`, else `bic.toml` in the current folder."""
    return option or environ.get("BIC_SETTINGS") or DEFAULT_SOURCE


def load(source: str | Path, fetch: Callable[[str], str] | None = None) -> Settings:
    """The settings of a file, or of an https URL that `fetch` reads. Raises :class:`SettingsError` with every problem."""
    return parse(read(source, fetch), base(source), masked(str(source)))


def read(source: str | Path, fetch: Callable[[str], str] | None = None) -> str:
    """The text of the settings at a source, unchecked. Raises :class:`SettingsError`."""
    if not _is_url(source):
        return _read(Path(source))
    if fetch is None:
        raise SettingsError("Settings at a URL can't be read here.", hint="Name a file by --settings or BIC_SETTINGS.")
    return fetch(str(source))


def base(source: str | Path) -> Path:
    """Where relative paths in the settings at a source begin."""
    return Path.cwd() if _is_url(source) else Path(source).absolute().parent


def _is_url(source: str | Path) -> bool:
    return str(source).startswith(("https://", "http://"))


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = "Name the file by --settings or BIC_SETTINGS; bic.example.toml is one to begin with."
        raise SettingsError(f"There is no settings file {path}.", hint=hint) from None
    except OSError as error:
        raise SettingsError(f"The settings file {path} can't be read: {error.strerror}.", hint="It must be a file.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The settings file {path} is not UTF-8 (byte {error.start}).", hint="Save it as UTF-8.") from None


def parse(text: str, base: Path, origin: str) -> Settings:
    """The settings in a text; relative paths begin at `base`, messages call it `origin`. Raises :class:`SettingsError`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unusable(origin, [_syntax(str(error), text)]) from None
    kinds, problems = _plug_ins(raw)
    form = _form(kinds)
    try:
        settings = form.model_validate(raw, context={"base": base})
    except ValidationError as error:
        settings = None
        problems += [problem(form, details) for details in error.errors(include_url=False)]
    problems += contradictions(raw, base)
    if problems or settings is None:
        raise _unusable(origin, problems)
    return settings


def _unusable(origin: str, problems: list[str]) -> SettingsError:
    lines = tuple(dict.fromkeys(masked(problem) for problem in problems))
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return SettingsError(f"The settings in {origin} can't be used: {count}.", lines)


def _syntax(message: str, text: str) -> str:
    """TOML's complaint as `line, column: what; what would be right`."""
    what, _, where = message.partition(" (at ")
    place = where.rstrip(")")
    if not place.startswith("line"):
        place = f"line {text.count(chr(10)) + 1}, column {len(text) - text.rfind(chr(10))}"
    return f"{place}: {what}; the file must be TOML (texts in quotes, tables in brackets)"


# --- plug-ins --------------------------------------------------------------------------------------------------------


def _plug_ins(raw: Mapping[str, Any]) -> tuple[dict[str, type[BaseModel]], list[str]]:
    """The settings models of the plug-in kinds that the file names, and what is wrong with those that can't be loaded."""
    destinations = raw.get("destinations")
    tables = destinations.items() if isinstance(destinations, dict) else ()
    named = {table["kind"]: name for name, table in tables if isinstance(table, dict) and isinstance(table.get("kind"), str)}
    found: dict[str, type[BaseModel]] = {}
    problems = []
    for kind, name in named.items():
        if kind in _KINDS:
            continue
        try:
            found |= plug_ins.settings_models(kind)
        except plug_ins.Unusable as unusable:
            problems.append(f"destinations.{name}.kind: {unusable}")
    return found, problems


def _form(kinds: Mapping[str, type[BaseModel]]) -> type[Settings]:
    """The model of the file, with the kinds of plug-ins that it names."""
    if not kinds:
        return Settings
    kind: Any = Union[(*_KINDS.values(), *kinds.values())]
    destinations: Any = dict[Name, Annotated[kind, Field(discriminator="kind")]]
    return create_model("Settings", __base__=Settings, destinations=(destinations, {}))


# --- showing ---------------------------------------------------------------------------------------------------------


def effective(settings: Settings) -> dict[str, Any]:
    """All settings with their defaults, as plain JSON values. References are shown as references; a secret is never in it."""
    shown: dict[str, Any] = json.loads(settings.model_dump_json(by_alias=True, exclude_none=True), object_hook=_masked_texts)
    return shown


def _masked_texts(table: dict[str, Any]) -> dict[str, Any]:
    return {key: masked(value) if isinstance(value, str) else value for key, value in table.items()}


def schema() -> dict[str, Any]:
    """The JSON Schema of the settings file."""
    found = File.model_json_schema(by_alias=True)
    for field in (field for table in found["$defs"].values() for field in table.get("properties", {}).values()):
        if field.get("format") == "duration" and "default" in field:
            field["default"] = duration(field["default"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
