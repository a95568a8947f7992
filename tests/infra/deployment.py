"""What infra/ would make in Azure, as Microsoft's compiler expands it on the spot: the template, and a snapshot of resources."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.infra.makers import run
from tests.support import ROOT

INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))
PAGE = (ROOT / "docs/infrastructure.md").read_text("utf-8")

_WHERE = (
    *("--subscription-id", "11111111-1111-1111-1111-111111111111", "--tenant-id", "22222222-2222-2222-2222-222222222222"),
    *("--location", "westeurope", "--deployment-name", "bic"),
)
_ALWAYS = (
    "param location = 'westeurope'\nparam principalId = '33333333-3333-3333-3333-333333333333'\n"
    "param principalName = 'ann@example.com'\n"
)
_BIC = f"param environmentName = 'bic'\n{_ALWAYS}"
_ROW = re.compile(r"^\| (?P<title>[^|]+) \|(?P<parameters>[^|]*)\| (?P<resources>\d+) \|$", re.MULTILINE)

_GROUP = re.compile(r"\brg-[\w.()-]+")

Resource = Mapping[str, Any]


@dataclass(frozen=True)
class Combination:
    """A row of the page's table: switches that are set together, and how many resources they make."""

    title: str
    parameters: tuple[str, ...]
    resources: int


def _documented() -> dict[str, Combination]:
    rows = PAGE.partition("### Combinations")[2].partition("\n#")[0]
    found = (
        Combination(match["title"], tuple(re.findall(r"`([^`]+)`", match["parameters"])), int(match["resources"]))
        for match in _ROW.finditer(rows)
    )
    return {one.title: one for one in found}


COMBINATIONS = _documented()


@dataclass(frozen=True)
class Snapshot:
    """All resources of one combination, and what the compiler could not see of it."""

    resources: list[Resource]
    diagnostics: list[str]
    outputs: Mapping[str, Any]

    def of(self, kind: str) -> list[Resource]:
        return [one for one in self.resources if one["type"] == kind]

    def one(self, kind: str, name: str = "") -> Resource:
        """The only resource of a type whose name ends so. Raises ValueError when there are none or several."""
        [found] = [one for one in self.of(kind) if one["name"].endswith(name)]
        return found


class Refused(Exception):
    """The compiler expands no such combination. Its text says why."""


@cache
def template() -> Any:
    """The ARM template that Azure gets."""
    done = run("bicep", "build", INFRA / "main.bicep", "--stdout")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@cache
def expand(parameters: tuple[str, ...], file: Path = INFRA / "main.bicep", always: str = _BIC) -> Snapshot:
    """What a deployment with these parameters (each `name = value`, in Bicep) makes. Raises Refused."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder) / "asked.bicepparam"
        lines = [f"using '{os.path.relpath(file, folder)}'", always, *(f"param {one}" for one in parameters)]
        asked.write_text("\n".join(lines), "utf-8")
        done = run("bicep", "snapshot", asked, "--mode", "overwrite", *_WHERE)
        answer = asked.with_suffix(".snapshot.json")
        if done.returncode != 0 or not answer.exists():
            raise Refused(done.stdout + done.stderr)
        found = json.loads(answer.read_text("utf-8"))
    return Snapshot(found["predictedResources"], found["diagnostics"], found["outputs"])


def side_by_side(installations: Mapping[str, Sequence[str]]) -> dict[str, Snapshot]:
    """What installations with these names and parameters make, without outputs: in one call of the compiler, which is slow."""
    lines = ["targetScope = 'subscription'"]
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, parameters) in enumerate(installations.items()):
            given = [line.removeprefix("param ") for line in _ALWAYS.splitlines()] + [f"environmentName = '{name}'", *parameters]
            values = (re.sub(r"^(\w+) =", r"\1:", line) for line in given)
            main = os.path.relpath(INFRA / "main.bicep", folder)
            lines += [f"module installation{number} '{main}' = {{", "params: {", *values, "}", "}"]
        file = Path(folder) / "together.bicep"
        file.write_text("\n".join(lines), "utf-8")
        whole = expand((), file, "")
    made: dict[str, list[Resource]] = {f"rg-{name}": [] for name in installations}
    for one in whole.resources:
        made[_GROUP.findall(one["id"])[0]].append(one)
    return {name: Snapshot(made[f"rg-{name}"], whole.diagnostics, {}) for name in installations}


@cache
def combinations() -> dict[str, Snapshot]:
    """The snapshot of each row of the page's table."""
    names = {f"bic-{number}": one for number, one in enumerate(COMBINATIONS.values())}
    made = side_by_side({name: one.parameters for name, one in names.items()})
    return {one.title: made[name] for name, one in names.items()}


def documented(title: str) -> Snapshot:
    """The snapshot of a row of the page's table, with its outputs."""
    return expand(COMBINATIONS[title].parameters)


def everything() -> Snapshot:
    """The snapshot with all that can be had."""
    return documented("everything")
