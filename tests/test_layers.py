"""The rooms of the house: which may know which (design.md 4), held by reading the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGE = ROOT / "bic_lib"

ORDER = (
    *("core", "logs"),
    *("ledger", "credentials", "settings", "appliance", "destinations"),
    *("engine", "wiring"),
    *("actions", "notify", "mail", "scheduler", "web", "hosting", "simulator", "cli", "__main__"),
)
"""Each room may import those before it. Modules `settings_*` are one room with `settings`."""

ADAPTERS = {
    "credentials": {"core", "logs"},
    "appliance": {"core", "logs"},
    "destinations": {"core"},
    "ledger.stores": {"core"},
}
"""What each adapter may know of the house; rows, columns and azure_hosts are pure values that table destinations need.

An appliance's words are masked before an error quotes them, and its tokens are secrets of this process: hence the logs.
"""

VENDORS = {
    "requests": {"appliance", "credentials"},
    "click": {"cli"},
    "rich_click": {"cli"},
    "rich": {"cli"},
    "sqlalchemy": {"destinations"},
}
"""Libraries, and the rooms that alone may import them."""


def _room(module: Path) -> str:
    first = module.relative_to(PACKAGE).with_suffix("").parts[0]
    return "settings" if first.startswith("settings_") else first


def _imported(module: Path) -> Iterator[str]:
    """Full names of what a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _rooms_imported(module: Path) -> set[str]:
    ours = (name.split(".") for name in _imported(module) if name.startswith("bic_lib."))
    rooms = {"settings" if parts[1].startswith("settings_") else parts[1] for parts in ours}
    return rooms - {_room(module)}


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(module: Path) -> None:
    """A room imports only rooms that stand before it, the core only the core, an adapter only the ports and their values."""
    room, imported = _room(module), _rooms_imported(module)
    assert room in ORDER, f"a new room: give {room} its place in ORDER"
    assert imported <= set(ORDER[: ORDER.index(room)])
    assert imported <= ADAPTERS.get(room, imported)


def test_simulator_knows_nothing_of_us() -> None:
    """The simulated appliance shares no code with the product, so that neither can repeat the other's error."""
    assert not [module for module in MODULES if _room(module) == "simulator" and _rooms_imported(module)]


@pytest.mark.parametrize("vendor", VENDORS)
def test_vendor_libraries_stay_in_their_room(vendor: str) -> None:
    """A library that a room is built on is imported nowhere else."""
    users = {_room(module) for module in MODULES if vendor in {name.split(".")[0] for name in _imported(module)}}
    assert users <= VENDORS[vendor]
