"""The wings of the house: which may know which (docs/design.md 4), held by reading the imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

PACKAGE = ROOT / "bic_lib"

LOOSE = {"__init__.py", "__main__.py", "logs.py", "masking.py", "plug_in.py", "py.typed"}
"""All that lies at the top of the package beside the wings."""

BELOW = {
    "core": set[str](),
    "masking": {"core"},
    "logs": {"core", "masking"},
    "network": {"core"},
    "ledger": {"core", "masking", "network"},
    "credentials": {"core", "masking", "network"},
    "settings": {"core", "masking", "network", "credentials", "ledger"},
    "appliance": {"core", "masking", "network"},
    "destinations": {"core", "network"},
    "engine": {"core", "masking", "logs", "ledger"},
    "evidence": {"core", "network", "ledger"},
}
"""The floors under the composition root: what each wing may know. An adapter knows the core, masking and network at most."""

ORDER = (*BELOW, "wiring", "actions", "notices", "web", "hosts", "cli", "__main__")
"""From the bottom to the top: from `wiring` on, each may know all that stands before it."""

APART = {"simulator": set[str](), "contracts": {"core"}, "plug_in": {"core", "destinations", "settings"}}
"""What stands beside the house. The simulator shares no code with it, so that neither can repeat the other's error."""

VENDORS = {
    "requests": {"appliance", "network", "credentials", "evidence", "notices"},
    "apprise": {"notices"},
    "click": {"cli"},
    "rich_click": {"cli"},
    "rich": {"cli"},
    "sqlalchemy": {"destinations"},
    "msal": {"credentials"},
    "flask": {"web"},
    "werkzeug": {"web"},
    "jinja2": {"web"},
}
"""Libraries, and the wings that alone may import them."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def module_wing(module: Path) -> str:
    return module.relative_to(PACKAGE).with_suffix("").parts[0]


def _imported(module: Path) -> Iterator[str]:
    """Full names of what a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wings_imported(module: Path) -> set[str]:
    return {name.split(".")[1] for name in _imported(module) if name.startswith("bic_lib.")} - {module_wing(module)}


def _may_know(wing: str) -> set[str]:
    if wing in BELOW or wing in APART:
        return {**BELOW, **APART}[wing]
    return set(ORDER[: ORDER.index(wing)]) | ({"simulator"} if wing == "cli" else set())


def test_nothing_lies_loose() -> None:
    """The package holds its wings and the few modules that belong to none."""
    assert {path.name for path in PACKAGE.iterdir() if path.is_file()} <= LOOSE


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_one_way(module: Path) -> None:
    """A wing imports only what stands under it, an adapter only the core and masking."""
    assert wings_imported(module) <= _may_know(module_wing(module))


@pytest.mark.parametrize("wing", sorted({module_wing(module) for module in MODULES if module.parent != PACKAGE}))
def test_each_file_of_a_wing_is_told(wing: str) -> None:
    """A wing's first lines name each module in it, so that a stranger opens the right one at first guess."""
    told = ast.get_docstring(ast.parse((PACKAGE / wing / "__init__.py").read_text(encoding="utf-8"))) or ""
    modules = {path.stem for path in (PACKAGE / wing).glob("*.py")} - {"__init__"}
    assert not {name for name in modules if f"`{name}`" not in told}


@pytest.mark.parametrize("vendor", VENDORS)
def test_vendor_libraries_stay_in_their_wing(vendor: str) -> None:
    """A library that a wing is built on is imported nowhere else."""
    users = {module_wing(module) for module in MODULES if vendor in {name.split(".")[0] for name in _imported(module)}}
    assert users <= VENDORS[vendor]


def test_there_is_no_circle_between_modules() -> None:
    """No module imports, by however many others, itself."""
    names = {".".join(module.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): module for module in MODULES}
    knows = {
        name: {
            known
            for imported in _imported(module)
            for known in (imported, imported.rpartition(".")[0])
            if known in names and known != name and not name.startswith(f"{known}.")
        }
        for name, module in names.items()
    }
    while leaves := [name for name, known in knows.items() if not known & knows.keys()]:
        for name in leaves:
            del knows[name]
    assert not knows
