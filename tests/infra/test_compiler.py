"""infra/ as Microsoft's compiler, linter and formatter see it."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.infra.deployment import COMBINATIONS, FILES, INFRA, Refused, combinations, expand
from tests.infra.makers import run

REVIEWED = date(2026, 11, 30)
"""When API versions were last looked through: the linter's limit of two years counts from then, so no test fails by date."""

_OLD = re.compile(r"'(\d{4}-\d\d-\d\d)(?:-preview)?' is \d+ days old")


def _findings(*arguments: str | Path) -> list[str]:
    """What the linter finds, as `file:line: rule: text`."""
    done = run("bicep", "lint", *arguments, "--diagnostics-format", "sarif")
    results: list[Any] = json.loads(done.stdout)["runs"][0]["results"]
    found = []
    for one in results:
        place = one["locations"][0]["physicalLocation"]
        name = Path(place["artifactLocation"]["uri"]).name
        found.append(f"{name}:{place['region']['startLine']}: {one['ruleId']}: {one['message']['text']}")
    return found


def _stale(finding: str) -> bool:
    """Whether an API version was older than two years already when they were last looked through."""
    match = _OLD.search(finding)
    return match is None or date.fromisoformat(match[1]) < REVIEWED - timedelta(days=730)


def test_it_compiles_without_a_warning_by_every_rule_of_the_linter() -> None:
    """Nothing is found, errors of the compiler and hints about style included."""
    assert [one for one in _findings(INFRA / "main.bicep") if _stale(one)] == []


def test_rules_that_are_off_by_default_are_on(tmp_path: Path) -> None:
    """infra/bicepconfig.json switches on what the compiler leaves off: each of these mistakes is found by its rule."""
    shutil.copy(INFRA / "bicepconfig.json", tmp_path)
    (tmp_path / "inner.bicep").write_text(
        "param tags object\noutput same string = 'fixed'\nvar shown = tags\noutput all object = shown\n"
    )
    (tmp_path / "main.bicep").write_text(
        "module inner 'inner.bicep' = {\n  name: 'inner'\n  params: { tags: {} }\n}\n"
        "resource plan 'Microsoft.Web/serverfarms@2022-03-01' = {\n  name: 'plan'\n  location: 'westeurope'\n}\n"
    )
    rules = {one.split(": ")[1] for file in ("main", "inner") for one in _findings(tmp_path / f"{file}.bicep")}
    assert rules >= {
        *("no-module-name", "no-hardcoded-location", "use-recent-api-versions", "use-user-defined-types"),
        *("use-description-params", "use-description-vars", "use-description-outputs", "no-hardcoded-outputs"),
    }


def test_files_have_the_form_that_the_formatter_gives(tmp_path: Path) -> None:
    """`bicep format` would change none of them."""
    shutil.copytree(INFRA, tmp_path / "infra")
    done = run("bicep", "format", "--pattern", "infra/**/*.bicep", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    changed = [file.name for file in FILES if (tmp_path / file.relative_to(INFRA.parent)).read_bytes() != file.read_bytes()]
    assert changed == []


@pytest.mark.slow
@pytest.mark.parametrize("title", COMBINATIONS)
def test_documented_combinations_are_expanded_whole(title: str) -> None:
    """What the page says can be switched on together makes just as many resources, and no module stays unexpanded."""
    combination, snapshot = COMBINATIONS[title], combinations()[title]
    assert snapshot.diagnostics == []
    assert snapshot.of("Microsoft.Resources/deployments") == []
    assert len(snapshot.resources) == combination.resources, Counter(one["type"] for one in snapshot.resources)


def test_the_page_has_combinations() -> None:
    """Each switch that adds or takes away resources stands in one of them."""
    named = " ".join(parameter for one in COMBINATIONS.values() for parameter in one.parameters)
    assert len(COMBINATIONS) >= 5
    for switch in ("databaseEnabled", "networkEnabled", "hubNetworkId", "sealKeyEnabled", "secretNames", "entraClientId"):
        assert switch in named


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        (("databaseOpenToAzure = 'false'",), "networkEnabled"),
        (("principalType = 'Application'",), "principalClientId"),
        (("principalName = ''",), "principalName"),
        (("redundancy = 'Zones'",), "'Geo' | 'Local' | 'Zone'"),
        (("databasePauseMinutes = 5",), "minimum allowable value is 15"),
    ],
)
def test_what_can_not_work_is_refused_with_the_reason(parameters: tuple[str, ...], reason: str) -> None:
    """Also where somebody deploys without azd and its hooks."""
    with pytest.raises(Refused, match=re.escape(reason)):
        expand(parameters)


def test_the_client_id_becomes_the_sid_that_sql_server_keeps(tmp_path: Path) -> None:
    """The bytes of the GUID with its first three groups turned round, as SQL Server's `uniqueidentifier` has them."""
    client = UUID("00112233-4455-6677-8899-aabbccddeeff")
    shutil.copy(INFRA / "modules/database-user.bicep", tmp_path)
    file = tmp_path / "main.bicep"
    file.write_text(
        "targetScope = 'subscription'\nimport { databaseUser } from 'database-user.bicep'\n"
        f"output statement string = databaseUser('id-bic', '{client}')\n"
    )
    statement = expand((), file, "").outputs["statement"]
    assert statement.startswith(f"CREATE USER [id-bic] WITH SID = 0x{client.bytes_le.hex()}, TYPE = E;")
    printed = tmp_path / "statement.sql"
    printed.write_text(statement)
    assert run("tsql-parse", "--version", "azure", printed).returncode == 0


def test_a_broken_file_would_be_noticed(tmp_path: Path) -> None:
    """The tests read what the compiler says: a property that is not there, and a module that can't be seen beforehand."""
    shutil.copytree(INFRA, tmp_path / "infra")
    app = tmp_path / "infra/modules/app.bicep"
    app.write_text(app.read_text("utf-8").replace("httpsOnly: true", "httpOnly: true"), "utf-8")
    assert [one for one in _findings(tmp_path / "infra/main.bicep") if "httpOnly" in one]
    endpoints = tmp_path / "infra/modules/endpoints.bicep"
    endpoints.write_text(
        endpoints.read_text("utf-8").replace("for kind in kinds", "for kind in filter(kinds, one => !empty(zones[one]))"), "utf-8"
    )
    assert expand(("networkEnabled = true",), tmp_path / "infra/main.bicep").diagnostics
