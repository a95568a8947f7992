"""What infra/ promises, read with a real Bicep grammar. It is not compiled here: docs/infrastructure.md says by what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from pathspec import GitIgnoreSpec
from tree_sitter import Node

from tests.infra import bicep
from tests.infra.bicep import INFRA, Block, File
from tests.support import ROOT

FILES = bicep.read()
MAIN = FILES["main.bicep"]

BUILT_IN_ROLES = {
    "storageBlobDataOwner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "storageBlobDataContributor": "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
    "storageBlobDataReader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "storageQueueDataContributor": "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
    "storageTableDataContributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
    "keyVaultSecretsUser": "4633458b-17de-408a-b874-0445c86b69e6",
    "keyVaultSecretsOfficer": "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "monitoringMetricsPublisher": "3913510d-42f4-4e42-8a64-420c390055eb",
}
"""Azure's built-in roles by their published ids (learn.microsoft.com, "Azure built-in roles")."""

APP_RIGHTS = {
    ("host", "storageBlobDataOwner"),
    ("host", "storageQueueDataContributor"),
    ("host", "storageTableDataContributor"),
    ("data::blobs::settings", "storageBlobDataReader"),
    ("data::blobs::archive", "storageBlobDataContributor"),
    ("data::blobs::backups", "storageBlobDataContributor"),
    ("vault", "keyVaultSecretsUser"),
    ("insights", "monitoringMetricsPublisher"),
}
DEPLOYER_RIGHTS = {("data::blobs::settings", "storageBlobDataContributor"), ("vault", "keyVaultSecretsOfficer")}

PLATFORM_SETTINGS = re.compile(
    r"AzureWebJobsStorage__(credential|clientId|(blob|queue|table)ServiceUri)"
    r"|APPLICATIONINSIGHTS_(CONNECTION|AUTHENTICATION)_STRING"
    r"|PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY|AzureFunctionsJobHost__telemetryMode"
)
"""What the Functions platform reads itself."""

PREVIEW_ONLY = {"Microsoft.Insights/diagnosticSettings@2021-05-01-preview"}
"""Types that Azure offers in no other version."""


def resources() -> Iterator[tuple[str, Block]]:
    for name, file in FILES.items():
        for resource in file.resources:
            yield name, resource


def of_type(kind: str) -> list[Block]:
    return [resource for _, resource in resources() if resource.kind.partition("@")[0] == kind]


def values(block: Block, name: str) -> list[str]:
    return [found.value for found in block.properties if found.name == name]


@pytest.mark.parametrize("name", FILES)
def test_the_grammar_finds_no_error(name: str) -> None:
    """Each file is Bicep from its first to its last line."""
    assert FILES[name].errors == []


def test_a_broken_file_would_be_noticed() -> None:
    """The grammar is not one that lets everything pass."""
    broken = MAIN.path.read_text().replace("module app ", "module app {", 1)
    assert File(MAIN.path, broken.encode()).errors


@pytest.mark.parametrize(("name", "module"), [(name, module) for name, file in FILES.items() for module in file.modules])
def test_modules_get_the_parameters_that_they_know(name: str, module: Block) -> None:
    """Every parameter without a default is passed, none that the module does not have; outputs that are read exist."""
    path = (INFRA / name).parent / module.kind
    called = FILES[path.relative_to(INFRA).as_posix()]
    passed = {found.name for found in module.under("params")}
    assert passed <= called.parameters.keys()
    assert {parameter for parameter, has_default in called.parameters.items() if not has_default} <= passed
    read = set(re.findall(rf"\b{module.symbol}!?\.outputs\.(\w+)", FILES[name].path.read_text()))
    assert read <= called.outputs


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_declared_in_vain(name: str) -> None:
    """Parameters and outputs of modules are used, so that none promises what it does not do."""
    text = FILES[name].path.read_text()
    for parameter in FILES[name].parameters:
        assert len(re.findall(rf"\b{parameter}\b", text)) > 1, parameter
    everything = MAIN.path.read_text()
    for output in FILES[name].outputs if name != "main.bicep" else ():
        assert f".outputs.{output}" in everything, output


def test_every_resource_names_its_api_version() -> None:
    """Versions are pinned, and none is a preview where Azure offers another."""
    for name, resource in resources():
        if "/" not in resource.kind:
            continue  # nested: its parent's version counts
        assert re.fullmatch(r"Microsoft\.[A-Za-z/]+@20\d\d-\d\d-\d\d(-preview)?", resource.kind), (name, resource.kind)
        assert "preview" not in resource.kind or resource.kind in PREVIEW_ONLY
    assert "br/" not in MAIN.path.read_text()


def test_a_type_has_one_version() -> None:
    """The same type in two files is the same version, so that both mean the same properties."""
    found: dict[str, set[str]] = {}
    for file in FILES.values():
        for kind, version in re.findall(r"'(Microsoft\.[A-Za-z/]+)@([\d-]+\w*)'", file.path.read_text()):
            found.setdefault(kind, set()).add(version)
    assert {kind: versions for kind, versions in found.items() if len(versions) > 1} == {}


def test_app_settings_are_those_that_the_code_reads() -> None:
    """Each BIC_ setting that the code reads is in the app's settings, each one there is read, and all else is the platform's."""
    sources = [ROOT / "function_app.py", *(path for path in (ROOT / "bic_lib").rglob("*.py") if "cli" not in path.parts)]
    code = "\n".join(path.read_text("utf-8") for path in sources)
    read = set(re.findall(r"""["'%](BIC_[A-Z_]+)["'%]""", code))
    declared = {found.name for found in FILES["modules/app.bicep"].properties if re.match(r"[A-Z]\w+_", found.name)}
    assert {name for name in declared if name.startswith("BIC_")} == read
    rest = {name for name in declared if not name.startswith("BIC_")}
    assert {name for name in rest if not PLATFORM_SETTINGS.fullmatch(name)} == set()


def test_no_secret_is_in_the_app_settings() -> None:
    """No key, password or connection string with one: neither as a value nor by asking for keys."""
    for file in FILES.values():
        text = file.path.read_text()
        assert not re.search(r"listKeys|listSecrets|listAccountSas|AccountKey=|administratorLoginPassword|@secure", text), (
            file.path
        )
    settings = FILES["modules/app.bicep"].properties
    assert [found.value for found in settings if found.name == "AzureWebJobsStorage__credential"] == ["'managedidentity'"]
    assert "AzureWebJobsStorage" not in {found.name for found in settings}


def test_storage_takes_no_key_and_no_plain_http() -> None:
    """Shared keys and anonymous reading are off, TLS 1.2 is the least."""
    accounts = of_type("Microsoft.Storage/storageAccounts")
    assert len(accounts) == 2
    for account in accounts:
        assert values(account, "allowSharedKeyAccess") == ["false"]
        assert values(account, "allowBlobPublicAccess") == ["false"]
        assert values(account, "supportsHttpsTrafficOnly") == ["true"]
        assert values(account, "minimumTlsVersion") == ["'TLS1_2'"]
        assert set(values(account, "publicAccess")) <= {"'None'"}


def test_what_the_code_stores_has_its_place() -> None:
    """Queues, tables and containers are there under the names that the code uses."""
    text = FILES["modules/storage.bicep"].path.read_text()
    app = (ROOT / "function_app.py").read_text("utf-8") if (ROOT / "function_app.py").exists() else '"bic-visits"'
    for name in ("bic-visits", "bic-visits-poison"):
        assert f"'{name}'" in text
        assert name.removesuffix("-poison") in app
    for table in ("bicstate", "bicitems", "bicdue", "bicruns"):
        assert f"'{table}'" in text
    for container in ("archive", "backups", "bic-uploads", "deployment"):
        assert f"'{container}'" in text
    assert "'bic-settings'" in MAIN.path.read_text()
    assert "'bicruns'" in text


def test_the_archive_can_be_made_unalterable() -> None:
    """The switch is a policy on the archive container alone: backups are removed by their retention, settings change."""
    [policy] = [block for block in FILES["modules/storage.bicep"].resources if block.kind == "immutabilityPolicies"]
    assert values(policy, "immutabilityPeriodSinceCreationInDays") == ["archiveRetentionDays"]
    assert values(policy, "allowProtectedAppendWrites") == ["false"]
    [container] = [block for block in FILES["modules/storage.bicep"].resources if block.symbol == "archive"]
    assert bicep.text(policy.node) in bicep.text(container.node)


def test_the_vault_gives_rights_by_role_and_forgets_nothing() -> None:
    """RBAC, soft delete, purge protection, and an audit log."""
    [vault] = of_type("Microsoft.KeyVault/vaults")
    for name in ("enableRbacAuthorization", "enableSoftDelete", "enablePurgeProtection"):
        assert values(vault, name) == ["true"]
    assert values(vault, "accessPolicies") == []
    [audit] = of_type("Microsoft.Insights/diagnosticSettings")
    assert values(audit, "category") == ["'AuditEvent'"]


def test_the_database_is_entered_by_entra_only() -> None:
    """No SQL login exists; TLS 1.2; serverless."""
    [server] = of_type("Microsoft.Sql/servers")
    assert values(server, "azureADOnlyAuthentication") == ["true"]
    assert values(server, "minimalTlsVersion") == ["'1.2'"]
    assert "administratorLogin" not in {found.name for found in server.properties}
    assert "'GP_S_Gen5'" in values(server, "name")


def test_the_app_speaks_https_only() -> None:
    """HTTPS with TLS 1.2, no FTP, no password to deploy with, no remote debugging, no origin of other pages."""
    [app] = of_type("Microsoft.Web/sites")
    assert values(app, "httpsOnly") == ["true"]
    assert values(app, "minTlsVersion") == values(app, "scmMinTlsVersion") == ["'1.2'"]
    assert values(app, "ftpsState") == ["'Disabled'"]
    assert values(app, "remoteDebuggingEnabled") == ["false"]
    assert values(app, "allowedOrigins") == ["[]"]
    policies = [block for block in FILES["modules/app.bicep"].resources if block.kind == "basicPublishingCredentialsPolicies"]
    assert [values(policy, "allow") for policy in policies] == [["false"], ["false"]]
    assert values(app, "runtime") == ["{ name: 'python', version: '3.13' }"]


def test_roles_are_the_built_in_ones_and_no_more_than_needed() -> None:
    """Each id is the published one of its name; the app and the deployer have just the rights that docs/security.md gives."""
    roles = FILES["modules/roles.bicep"]
    declared = dict(re.findall(r"var (\w+) = '([0-9a-f-]{36})'", roles.path.read_text()))
    assert declared == BUILT_IN_ROLES
    given: dict[str, set[tuple[str, str]]] = {"appPrincipalId": set(), "deployerId": set()}
    for assignment in of_type("Microsoft.Authorization/roleAssignments"):
        [scope], [who], [definition] = (values(assignment, name) for name in ("scope", "principalId", "roleDefinitionId"))
        role = definition.rstrip(")").rpartition(", ")[2]
        given[who].add((scope, role))
        assert role in values(assignment, "name")[0]
        assert who in values(assignment, "name")[0]
    assert given == {"appPrincipalId": APP_RIGHTS, "deployerId": DEPLOYER_RIGHTS}
    page = (ROOT / "docs/security.md").read_text("utf-8")
    for role in BUILT_IN_ROLES:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", role)
        assert words[0].upper() + words[1:] in page, role


def test_with_a_network_nothing_stays_public() -> None:
    """The switch closes storage, vault and database, and each has its private endpoint."""
    for kind in ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults", "Microsoft.Sql/servers"):
        for resource in of_type(kind):
            [access] = values(resource, "publicNetworkAccess")
            assert re.fullmatch(r"privateOnly( && empty\(administratorRanges\))? \? 'Disabled' : 'Enabled'", access)
    assert len(re.findall(r"privateOnly: networkEnabled", MAIN.path.read_text())) == 3
    services = FILES["modules/endpoints.bicep"].path.read_text()
    for kind in ("blob", "queue", "table", "vault", "sqlServer"):
        assert f"kind: '{kind}'" in services


def test_wildcards_only_forbid() -> None:
    """`*` stands in rules that deny, and for the port that a caller comes from; nowhere else."""
    for name, resource in resources():
        found = [one for one in resource.properties if one.value == "'*'" and not one.name.startswith("source")]
        if found:
            assert resource.kind.startswith("Microsoft.Network/networkSecurityGroups"), (name, found)
    for group in of_type("Microsoft.Network/networkSecurityGroups"):
        for rule in re.findall(r"properties: \{\s+priority.*?\}", bicep.text(group.node), re.DOTALL):
            assert "access: 'Deny'" in rule or "AddressPrefix: '*'" not in rule


def test_alert_rules_read_the_queries_of_the_docs() -> None:
    """Five rules, each with its query file; a threshold that is a parameter is found in the query that it is put into."""
    text = FILES["modules/monitoring.bicep"].path.read_text()
    loaded = set(re.findall(r"loadTextContent\('\.\./queries/([\w-]+\.kql)'\)", text))
    assert loaded == {path.name for path in (INFRA / "queries").glob("*.kql")}
    for query, placeholder in re.findall(r"replace\(loadTextContent\('\.\./queries/([\w-]+\.kql)'\), '([^']+)'", text):
        assert (INFRA / "queries" / query).read_text().count(placeholder) == 1


def test_parameters_of_a_deployment_are_known() -> None:
    """main.parameters.json names parameters of main.bicep, and every one without a default."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    assert given.keys() <= MAIN.parameters.keys()
    assert {name for name, has_default in MAIN.parameters.items() if not has_default} <= given.keys()


def test_every_parameter_is_described() -> None:
    """Whoever deploys reads what each parameter of main.bicep does; docs/infrastructure.md names them all."""
    declarations = MAIN.root.named_children
    described = {
        bicep.text(after.named_children[0])
        for before, after in pairwise(declarations)
        if after.type == "parameter_declaration" and "@description" in _decorators(declarations, after)
    }
    assert described == MAIN.parameters.keys()
    page = (ROOT / "docs/infrastructure.md").read_text("utf-8")
    assert [name for name in MAIN.parameters if f"`{name}`" not in page] == []


def _decorators(declarations: list[Node], parameter: Node) -> str:
    before = declarations[: declarations.index(parameter)]
    found = ""
    for node in reversed(before):
        if node.type not in {"decorators", "decorator"}:
            break
        found += bicep.text(node)
    return found


def test_azd_runs_hooks_that_are_there() -> None:
    """azure.yaml's hooks exist for both families of systems and read only what main.bicep gives out."""
    text = (ROOT / "azure.yaml").read_text()
    scripts = re.findall(r"infra/hooks/[\w.]+", text)
    assert len(scripts) == 4
    known = MAIN.outputs | {"BIC_ADMINISTRATOR_NAME", "BIC_SETTINGS_FILE"}
    for script in scripts:
        used = set(re.findall(r"(?:\$\{?|\$env:)((?:BIC|AZURE)_[A-Z_]+)", (ROOT / script).read_text()))
        assert used <= known, script


LIES_ABOUT = (
    *("bic.toml", ".env", "key.pem", "archive/a.xml", "logs/scheduler.log", "bic-uploads/a.xml", "bic-ledger.sqlite-wal"),
    *("local.settings.json", ".azure/bic/.env", "infra/main.bicep", "docs/security.md", "tests/support.py", "new/folder/file"),
)
"""What may be in the folder that is deployed."""


def test_only_the_program_is_deployed() -> None:
    """By gitignore's rules, which azd follows, what is packed is the program without simulator and contract suites, no more."""
    program = [path.relative_to(ROOT).as_posix() for path in (ROOT / "bic_lib").rglob("*.py")]
    named = {"function_app.py", "host.json", "requirements.txt"}
    ignored = GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())
    packed = {path for path in (*program, *named, *LIES_ABOUT, "bic_lib/__pycache__/run.pyc") if not ignored.match_file(path)}
    assert packed == named | {path for path in program if not path.startswith(("bic_lib/simulator/", "bic_lib/contracts/"))}


def test_core_tools_deploy_nothing_that_lies_about() -> None:
    """Core Tools take along what begins like a line with `!`, whatever the others say: that is the program only."""
    kept = tuple(line[2:] for line in (ROOT / ".funcignore").read_text().splitlines() if line.startswith("!/"))
    assert set(kept) == {"bic_lib", "function_app.py", "host.json", "requirements.txt"}
    assert not [path for path in LIES_ABOUT if path.startswith(kept)]
