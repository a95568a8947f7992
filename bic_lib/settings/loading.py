"""`bic.toml` → :class:`Settings`, or every problem of it at once, with its path and what would be right (docs/design.md 5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import BaseModel, Field, PrivateAttr, ValidationError, create_model

from bic_lib.core import model
from bic_lib.core.errors import SettingsError
from bic_lib.credentials.references import KEY_VAULT
from bic_lib.masking import masked
from bic_lib.settings import defaults, including, plug_ins
from bic_lib.settings.checks import absolute, contradictions, sqlite_file
from bic_lib.settings.including import Fetch, Texts
from bic_lib.settings.model import (
    AzureBlobSettings,
    File,
    LocalFolderSettings,
    ScheduleSettings,
    SmbShareSettings,
    SqlDatabaseSettings,
    SqliteLedger,
)
from bic_lib.settings.problems import problem
from bic_lib.settings.spelling import EVERY_SITE, Name

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
        escaped = str(file).replace("%", "%25").replace("?", "%3F")
        return f"{text.partition(':///')[0]}:///{escaped}{query[1]}{query[2]}"

    def is_ledger(self, connection: str) -> bool:
        """Whether a resolved connection string leads to the file in which the ledger is kept."""
        file = sqlite_file(connection, self._base)
        if file is None or not isinstance(self.ledger, SqliteLedger):
            return False
        ledger = self.path(self.ledger.path)
        return file == absolute(self.ledger.path, self._base) or (file.exists() and ledger.exists() and file.samefile(ledger))

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
                transfers=tuple(self._transfers(schedule)),
                at=schedule.at,
                time_zone=schedule.time_zone,
                enabled=schedule.enabled,
            )
            for name, schedule in self.schedules.items()
        }

    def _transfers(self, schedule: ScheduleSettings) -> Iterator[model.Transfer]:
        """A schedule's transfers, `*` as one for each enabled site; what a line that names the site gives is not given twice."""
        named = {(t.site, t.destination, data) for t in schedule.transfers for data in t.data}
        enabled = [name for name, site in self.sites.items() if site.enabled]
        for t in schedule.transfers:
            if t.site != EVERY_SITE:
                yield model.Transfer(t.site, t.destination, t.data, t.open_sessions)
                continue
            for site in enabled:
                if left := tuple(data for data in t.data if (site, t.destination, data) not in named):
                    yield model.Transfer(site, t.destination, left, t.open_sessions)


# --- reading ---------------------------------------------------------------------------------------------------------


def source(environ: Mapping[str, str], option: str | None) -> str:
    """Where the settings are: the command's option, else `BIC_SETTINGS`, else `bic.toml` in the current folder."""
    return option or environ.get("BIC_SETTINGS") or DEFAULT_SOURCE


def load(source: str | Path, fetch: Fetch | None = None) -> Settings:
    """The settings of a file, or of an https URL that `fetch` reads. Raises :class:`SettingsError` with every problem."""
    return parse(including.read(source, fetch), base(source), masked(str(source)))


def base(source: str | Path) -> Path:
    """Where relative paths in the settings at a source begin."""
    return Path.cwd() if including.is_url(source) else Path(source).absolute().parent


def parse(texts: Texts | str, base: Path, origin: str) -> Settings:
    """The settings in some texts; relative paths begin at `base`, messages call the main one `origin`. Raises SettingsError."""
    composed = including.compose(texts if isinstance(texts, Texts) else Texts(texts), origin)
    if not composed.raw and composed.problems:
        raise _unusable(origin, composed.problems)
    kinds, problems = _plug_ins(composed.raw)
    filled = defaults.fill(composed.raw, {**_KINDS, **kinds})
    problems += filled.problems
    form = _form(kinds)
    try:
        settings = form.model_validate(filled.raw, context={"base": base})
    except ValidationError as error:
        settings = None
        problems += [problem(form, details) for details in error.errors(include_url=False)]
    problems += contradictions(filled.raw, base)
    if including.is_url(origin) and settings and settings.seal and not settings.seal.key.startswith(KEY_VAULT):
        problems.append('seal.key: is a file, and these settings come from a URL; "keyvault:KEY", which never leaves the vault')
    problems = composed.problems + [composed.placed(filled.told(told)) for told in problems]
    if problems or settings is None:
        raise _unusable(origin, problems)
    return settings


def _unusable(origin: str, problems: list[str]) -> SettingsError:
    lines = tuple(dict.fromkeys(masked(problem) for problem in problems))
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return SettingsError(f"The settings in {origin} can't be used: {count}.", lines)


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
