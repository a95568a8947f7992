"""The main file and the files that it includes: their texts, and the one table that they make (docs/design.md 5).

All texts together are the settings' text: by them a change is seen, and together they are kept as the last good ones.
"""

from __future__ import annotations

import glob
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import quote, urlsplit

from bic_lib.core.errors import SettingsError
from bic_lib.settings.problems import joined, within

SECTIONS = ("sites", "destinations", "schedules")
"""The tables that an included file may hold."""
_ONLY = ", ".join(f"[{section}.*]" for section in SECTIONS)
_BLOB_NAME = re.compile(r"(?!\.{1,2}(/|$))[\w. -]+(/(?!\.{1,2}(/|$))[\w. -]+)*")

Fetch = Callable[[str], str]
"""The text at a URL. Raises SettingsError."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The text of the main file and of each included one, by its name; `problems`: what could not be included, and why."""

    main: str
    included: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()


# --- reading ---------------------------------------------------------------------------------------------------------


def read(source: str | Path, fetch: Fetch | None = None) -> Texts:
    """The texts of the settings at a path, or at a URL that `fetch` reads. Raises SettingsError when there is no main one."""
    if is_url(source):
        if fetch is None:
            raise SettingsError("Settings at a URL can't be read here.", hint="Name a file by --settings or BIC_SETTINGS.")
        return _included(fetch(str(source)), lambda name: [_beside(str(source), name)], fetch)
    path = Path(source)
    return _included(_text(str(path)), lambda pattern: _matching(path.absolute(), pattern), _text)


def is_url(source: str | Path) -> bool:
    return str(source).startswith(("https://", "http://"))


def _text(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        hint = "Name the file by --settings or BIC_SETTINGS; bic.example.toml is one to begin with."
        raise SettingsError(f"There is no settings file {path}.", hint=hint) from None
    except OSError as error:
        raise SettingsError(f"The settings file {path} can't be read: {error.strerror}.", hint="It must be a file.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"The settings file {path} is not UTF-8 (byte {error.start}).", hint="Save it as UTF-8.") from None


def _included(main: str, named: Callable[[str], list[tuple[str, str]]], fetch: Fetch) -> Texts:
    """The texts with those that `named` finds for each entry of `include`: their names, and where `fetch` reads them."""
    found: dict[str, str] = {}
    problems = []
    for at, entry in _entries(main):
        try:
            for name, place in named(entry):
                found[name] = fetch(place)
        except SettingsError as error:
            problems.append("; ".join(filter(None, (f"{at}: {error.message.rstrip('.')}", error.hint.rstrip(".")))))
    return Texts(main, tuple(sorted(found.items())), tuple(problems))


def _entries(main: str) -> Iterator[tuple[str, str]]:
    """The path and text of each entry of `include`; none where it has another shape, which the model names."""
    try:
        include = tomllib.loads(main).get("include")
    except tomllib.TOMLDecodeError:
        return
    for n, entry in enumerate(include if isinstance(include, list) else ()):
        if isinstance(entry, str) and entry.strip():
            yield f"include[{n}]", entry


def _matching(main: Path, pattern: str) -> list[tuple[str, str]]:
    """The files that a pattern names, seen from the main file's folder."""
    found = [Path(name) for name in glob.glob(os.path.join(glob.escape(str(main.parent)), pattern))]  # noqa: PTH118, PTH207
    if main in found:
        raise SettingsError(f'"{pattern}" takes in {main.name} itself', hint='a folder of their own, as "sites.d/*.toml"')
    if not found and not (glob.has_magic(pattern) and (main.parent / pattern).parent.is_dir()):
        raise SettingsError(f'there is no file "{pattern}" beside {main.name}', hint='a file or a pattern, as "sites.d/*.toml"')
    return [
        (path.relative_to(main.parent).as_posix() if path.is_relative_to(main.parent) else str(path), str(path)) for path in found
    ]


def _beside(url: str, name: str) -> tuple[str, str]:
    """A blob beside the main one, at its URL with the same signature."""
    if not _BLOB_NAME.fullmatch(name):
        raise SettingsError(
            f'"{name}" is no name of a blob', hint='names without patterns where the settings come from a URL, as "berlin.toml"'
        )
    parts = urlsplit(url)
    return name, parts._replace(path=f"{parts.path.rpartition('/')[0]}/{quote(name)}").geturl()


# --- one table -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Composed:
    """The one table that all texts make, what is wrong with how they make it, and where its parts were written."""

    main: str
    raw: dict[str, Any]
    problems: list[str] = field(default_factory=list)
    _files: dict[str, str] = field(default_factory=dict)
    _many: bool = False

    def placed(self, problem: str) -> str:
        """A problem with the file before it, where there are several."""
        return f"{self._file(problem)}: {problem}" if self._many else problem

    def _file(self, problem: str) -> str:
        return next((file for path, file in self._files.items() if within(problem, path)), self.main)

    def take(self, file: str, table: Mapping[str, Any]) -> None:
        """Add the tables of an included file."""
        self._many = True
        for section, content in table.items():
            if section not in SECTIONS:
                more = (
                    "they are included by the main file only" if section == "include" else f"only {_ONLY} are, in included files"
                )
                self.problems.append(f"{file}: {joined('', section)}: is not allowed here; {more}")
            elif not isinstance(content, dict):
                self.problems.append(f"{file}: {section}: must be a table; {_ONLY}")
            else:
                self._merge(file, section, content)

    def _merge(self, file: str, section: str, content: Mapping[str, Any]) -> None:
        held = self.raw.setdefault(section, {})
        if not isinstance(held, dict):
            return  # wrong already in the main file, which is named
        for name, part in content.items():
            path = joined(section, name)
            if name in held:
                self.problems.append(f"{file}: {path}: is in {self._file(path + ':')} too; in one of them only")
            else:
                held[name], self._files[path] = part, file


def compose(texts: Texts, origin: str) -> Composed:
    """One table of all texts; messages call the main one by the last part of `origin`. Syntax errors leave nothing but them."""
    main = PurePath(origin).name.partition("?")[0] or origin
    wrong = list(texts.problems)
    tables = []
    for name, text in (("", texts.main), *texts.included):
        try:
            tables.append(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            wrong.append(f"{name}: {_syntax(str(error), text)}" if name else _syntax(str(error), text))
    if wrong:
        return Composed(main, {}, wrong)
    composed = Composed(main, tables[0])
    for (name, _), table in zip(texts.included, tables[1:], strict=True):
        composed.take(name, table)
    return composed


_BACKSLASH = "in double quotes \\ begins an escape; a path goes in single quotes, as 'C:\\data'"
_TOML = "the file must be TOML (texts in quotes, tables in brackets)"


def _syntax(message: str, text: str) -> str:
    """TOML's complaint as `line, column: what; what would be right`."""
    what, _, where = message.partition(" (at ")
    place = where.rstrip(")")
    if not place.startswith("line"):
        place = f"line {text.count(chr(10)) + 1}, column {len(text) - text.rfind(chr(10))}"
    return f"{place}: {what}; {_BACKSLASH if what.startswith(('Unescaped', 'Invalid hex')) else _TOML}"
