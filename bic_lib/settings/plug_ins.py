"""Destination kinds of other packages: found by their entry point, and what is wrong with one, with package and remedy.

An entry point of the group names an object with two attributes (docs/plug-ins.md): `Settings`, a pydantic model of the keys
(`kind` is added), and `create(settings, reveal)`, which makes the adapter.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, create_model

from bic_lib.core.errors import DestinationError
from bic_lib.core.ports.files import FileStore
from bic_lib.core.ports.tables import TableDestination

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "bic.destinations"
API = 2
"""What :mod:`bic_lib.plug_in` offers; a higher number where something that a plug-in uses went away."""


class Unusable(Exception):
    """A plug-in can't be used: which package, why, what to do."""


def settings_models(kind: str) -> dict[str, type[BaseModel]]:
    """The keys of a kind by its name; empty when no installed package has it. Raises Unusable."""
    tag: Any = Literal[kind]
    field: Any = (tag, Field(description=f"The plug-in {kind}."))
    return {entry.name: create_model(kind, __base__=_usable(entry).Settings, kind=field) for entry in _entries(kind)}


def create(configured: Any, reveal: Callable[[str], str]) -> Any:
    """The adapter of a plug-in's destination; methods that came to the port since it was written have their default.

    Raises DestinationError when it lacks one that it needs.
    """
    (entry,) = _entries(configured.kind)
    made = entry.load().create(configured, reveal)
    port = TableDestination if hasattr(made, "load") else FileStore
    if lacking := _lacking(port, made):
        raise DestinationError(str(_lacks(entry, port, lacking)))
    for name, default in _methods(port):
        if not hasattr(made, name):
            setattr(made, name, partial(default, made))
    return made


def _entries(kind: str) -> list[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 -- reads the installed packages, needed for plug-ins only

    return list(entry_points(group=GROUP, name=kind))


def _usable(entry: EntryPoint) -> Any:
    """What the entry point names. Raises Unusable for what can be seen before an adapter is made."""
    try:
        found = entry.load()
        missing = [name for name in ("Settings", "create") if not hasattr(found, name)]
    except Exception as error:  # a stranger's module may raise anything
        raise Unusable(f"{_package(entry)} can't be loaded: {_why(error)}") from error
    if missing:
        raise Unusable(f"{_package(entry)} has no {' and no '.join(missing)}; install a version of it for API {API}")
    adapter = _promised(found.create)
    port = TableDestination if hasattr(adapter, "load") else FileStore
    if adapter is not None and (lacking := _lacking(port, adapter)):
        raise _lacks(entry, port, lacking)
    return found


def _promised(create: Any) -> type | None:
    """The adapter's class, where `create` says it."""
    try:
        told = typing.get_type_hints(create).get("return")
    except (NameError, TypeError):
        return None
    return told if inspect.isclass(told) and not getattr(told, "_is_protocol", False) else None


def _methods(port: type) -> Iterator[tuple[str, Any]]:
    return ((name, method) for name, method in vars(port).items() if not name.startswith("_"))


def _lacking(port: type, adapter: object) -> list[str]:
    """The port's methods that the adapter has not, but for those whose own body in the port is a default."""
    return [name for name, method in _methods(port) if not hasattr(adapter, name) and not _is_default(method)]


def _is_default(method: Any) -> bool:
    """A stub's body is `...`: it uses no names."""
    return isinstance(method, FunctionType) and bool(method.__code__.co_names)


def _lacks(entry: EntryPoint, port: type, names: list[str]) -> Unusable:
    return Unusable(f"{_package(entry)} lacks {port.__name__}'s {', '.join(names)}; install a version of it for API {API}")


def _package(entry: EntryPoint) -> str:
    package = f"package {entry.dist.name} {entry.dist.version}" if entry.dist else "package unknown"
    return f"the plug-in {entry.name} ({package})"


def _why(error: Exception) -> str:
    """What went wrong while it was imported; a name of ours that has moved is told with the new one."""
    module = (error.name or "") if isinstance(error, ImportError) else ""
    if module.startswith("bic_lib") and module != "bic_lib.plug_in":
        return f"it imports from {module}, which has moved; plug-ins import from bic_lib.plug_in (API {API}): install a newer one"
    if module == "bic_lib.plug_in":
        return f"{error}; install a version of it for API {API}"
    return f"{type(error).__name__}: {error}; install it again"
