"""What infra/ promises, read from what Microsoft's compiler makes of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pathspec import GitIgnoreSpec

from bic_lib.hosts.functions import _LEAST_MINUTES, FUNCTION_TIMEOUT
from infra import package
from tests.infra.deployment import INFRA, PAGE, Resource, Snapshot, combinations, documented, everything, expand, template
from tests.infra.makers import kusto
from tests.support import ROOT

BUILT_IN_ROLES = {
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "Storage Blob Data Reader",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Storage Table Data Contributor",
    "4633458b-17de-408a-b874-0445c86b69e6": "Key Vault Secrets User",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    "12338af0-0e69-4776-bea7-57ae8d297424": "Key Vault Crypto User",
    "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
}
"""Azure's built-in roles by their published ids (learn.microsoft.com, "Azure built-in roles")."""

APP_RIGHTS = {
    ("stbichost", "Storage Blob Data Owner"),
    ("stbichost", "Storage Queue Data Contributor"),
    ("stbichost", "Storage Table Data Contributor"),
    ("bic-settings", "Storage Blob Data Reader"),
    ("archive", "bic archivist"),
    ("backups", "bic backup keeper"),
    ("appi-bic", "Monitoring Metrics Publisher"),
}
CHOSEN_RIGHTS = {
    *((secret, "Key Vault Secrets User") for secret in ("support-secret", "share-password", "page-key", "view-key")),
    ("bic-seal", "Key Vault Crypto User"),
}
DEPLOYER_RIGHTS = {("bic-settings", "Storage Blob Data Contributor"), ("kv-bic", "Key Vault Secrets Officer")}

PLATFORM_SETTINGS = re.compile(
    r"AzureWebJobsStorage__(credential|clientId|(blob|queue|table)ServiceUri)"
    r"|APPLICATIONINSIGHTS_(CONNECTION|AUTHENTICATION)_STRING"
    r"|PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY|AzureFunctionsJobHost__telemetryMode"
)
"""What the Functions platform reads itself."""

BLOBS = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/"
_ASSIGNMENT = re.compile(r"/(?P<scope>[^/]+)/providers/Microsoft\.Authorization/roleAssignments/")


@pytest.fixture(scope="session")
def plain() -> Snapshot:
    """What comes without any switch."""
    return documented("defaults")


@pytest.fixture(scope="session")
def whole() -> Snapshot:
    """What comes with every switch."""
    return everything()


def values(found: Any, name: str) -> Iterator[Any]:
    """All values of a property, at any depth."""
    if isinstance(found, dict):
        for key, value in found.items():
            if key == name:
                yield value
            yield from values(value, name)
    elif isinstance(found, list):
        for one in found:
            yield from values(one, name)


def app_settings(snapshot: Snapshot) -> dict[str, str]:
    """The settings of the function app. A setting whose value is known on the spot only stands there as an expression."""
    properties = snapshot.one("Microsoft.Web/sites/config", "/appsettings")["properties"]
    if isinstance(properties, dict):
        return properties
    return dict.fromkeys(re.findall(r"'([A-Z]\w+_\w+)', ", properties), "")


# --- parameters ------------------------------------------------------------------------------------------------------


def test_parameters_of_a_deployment_are_known() -> None:
    """main.parameters.json names parameters of main.bicep, and every one without a default."""
    given = json.loads((INFRA / "main.parameters.json").read_text())["parameters"]
    declared = template()["parameters"]
    assert given.keys() <= declared.keys()
    assert {name for name, parameter in declared.items() if "defaultValue" not in parameter} <= given.keys()


def test_defaults_of_azd_are_those_of_the_template() -> None:
    """A variable that nobody set means what the parameter means by itself."""
    declared = template()["parameters"]
    for name, one in json.loads((INFRA / "main.parameters.json").read_text())["parameters"].items():
        default = re.fullmatch(r"\$\{\w+=(.*)\}", one["value"])
        if default:
            assert default[1] == str(declared[name]["defaultValue"]).replace("True", "true").replace("False", "false"), name


def test_every_parameter_stands_in_the_page() -> None:
    """Whoever deploys finds each one in docs/infrastructure.md, with its default, and with the variable that sets it."""
    assert [name for name in template()["parameters"] if f"`{name}`" not in PAGE] == []
    variables = re.findall(r"\$\{(BIC_\w+)", (INFRA / "main.parameters.json").read_text())
    assert [name for name in variables if f"`{name}`" not in PAGE] == []


def test_azd_runs_hooks_that_are_there() -> None:
    """azure.yaml's hooks exist for both families of systems and read only what azd knows."""
    scripts = re.findall(r"infra/hooks/[\w.]+", (ROOT / "azure.yaml").read_text())
    assert len(scripts) >= 4
    variables = set(re.findall(r"\$\{(\w+)", (INFRA / "main.parameters.json").read_text()))
    known = template()["outputs"].keys() | variables | {"BIC_SETTINGS_FILE", "AZURE_SUBSCRIPTION_ID"}
    for script in scripts:
        used = set(re.findall(r"(?:\$\{?|\$env:|choice |Get-Choice )((?:BIC|AZURE)_[A-Z_]+)", (ROOT / script).read_text()))
        assert used <= known, script


# --- the app ---------------------------------------------------------------------------------------------------------


def test_app_settings_are_those_that_the_code_reads(whole: Snapshot) -> None:
    """Each BIC_ setting that the code reads is in the app's settings, each one there is read, and all else is the platform's."""
    sources = [ROOT / "function_app.py", *(path for path in (ROOT / "bic_lib").rglob("*.py") if "cli" not in path.parts)]
    read = set(re.findall(r"""["'%](BIC_[A-Z_]+)["'%]""", "\n".join(path.read_text("utf-8") for path in sources)))
    declared = {name for name in app_settings(whole) if name.startswith("BIC_")}
    assert declared == read
    rest = {name for name in app_settings(whole) if not name.startswith("BIC_")}
    assert {name for name in rest if not PLATFORM_SETTINGS.fullmatch(name)} == set()


def test_no_secret_is_in_the_template() -> None:
    """No key, password or connection string with one: neither as a value nor by asking for keys."""
    text = json.dumps(template())
    assert not re.search(
        r"listKeys|listSecrets|listAccountSas|AccountKey=|administratorLoginPassword|securestring", text, re.IGNORECASE
    )
    assert "'AzureWebJobsStorage'" not in text


def test_the_app_speaks_https_only(whole: Snapshot) -> None:
    """HTTPS with TLS 1.3, no FTP, no password to deploy with, no remote debugging, no origin of other pages."""
    app = whole.one("Microsoft.Web/sites")["properties"]
    site = app["siteConfig"]
    assert app["httpsOnly"] is True
    assert (site["minTlsVersion"], site["scmMinTlsVersion"]) == ("1.3", "1.2")
    assert (site["ftpsState"], site["remoteDebuggingEnabled"]) == ("Disabled", False)
    assert site["cors"]["allowedOrigins"] == []
    policies = whole.of("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert [one["properties"]["allow"] for one in policies] == [False, False]


def test_the_app_runs_as_it_was_tried(plain: Snapshot) -> None:
    """Python 3.13, eight pages at once an instance, no health check that would replace instances while an appliance is away."""
    app = plain.one("Microsoft.Web/sites")["properties"]
    running = app["functionAppConfig"]
    assert running["runtime"] == {"name": "python", "version": "3.13"}
    assert running["scaleAndConcurrency"]["triggers"]["http"]["perInstanceConcurrency"] == 8
    assert list(values(app, "healthCheckPath")) == []
    assert running["siteUpdateStrategy"] == {"type": "Recreate"}
    visits = template()["parameters"]["visitMinutes"]
    assert _LEAST_MINUTES == visits["minValue"] < visits["maxValue"] < FUNCTION_TIMEOUT / 60
    rolling = expand(("siteUpdateStrategy = 'RollingUpdate'",)).one("Microsoft.Web/sites")
    assert list(values(rolling, "siteUpdateStrategy")) == [{"type": "RollingUpdate"}]


def test_deploying_and_calling_can_be_narrowed(plain: Snapshot, whole: Snapshot) -> None:
    """Named ranges are the only ones from which code is deployed and routes are called; the two lists are apart."""
    assert plain.one("Microsoft.Web/sites")["properties"]["siteConfig"]["scmIpSecurityRestrictionsDefaultAction"] == "Allow"
    site = whole.one("Microsoft.Web/sites")["properties"]["siteConfig"]
    assert site["scmIpSecurityRestrictionsDefaultAction"] == site["ipSecurityRestrictionsDefaultAction"] == "Deny"
    assert site["scmIpSecurityRestrictionsUseMain"] is False
    assert [one["ipAddress"] for one in site["scmIpSecurityRestrictions"]] == ["198.51.100.7/32", "203.0.113.0/28"]
    assert [one["ipAddress"] for one in site["ipSecurityRestrictions"]] == ["192.0.2.0/24"]
    single = expand(("callerRanges = ['192.0.2.7', '2001:db8::7']",)).one("Microsoft.Web/sites")["properties"]["siteConfig"]
    assert [one["ipAddress"] for one in single["ipSecurityRestrictions"]] == ["192.0.2.7/32", "2001:db8::7/128"]


def test_sign_in_is_for_one_registration(plain: Snapshot, whole: Snapshot) -> None:
    """By the switch only; tokens of other applications and tenants don't count."""
    assert [one["name"] for one in plain.of("Microsoft.Web/sites/config") if "authsettings" in one["name"]] == []
    sign_in = whole.one("Microsoft.Web/sites/config", "authsettingsV2")["properties"]
    assert sign_in["platform"]["enabled"] is True
    directory = sign_in["identityProviders"]["azureActiveDirectory"]
    client = directory["registration"]["clientId"]
    assert directory["validation"]["defaultAuthorizationPolicy"]["allowedApplications"] == [client]
    assert set(directory["validation"]["allowedAudiences"]) == {client, f"api://{client}"}
    assert "22222222-2222-2222-2222-222222222222" in directory["registration"]["openIdIssuer"]


# --- storage ---------------------------------------------------------------------------------------------------------


def test_storage_takes_no_key_and_no_plain_http(whole: Snapshot) -> None:
    """Shared keys, anonymous reading and copies to other tenants are off, TLS 1.2 is the least."""
    accounts = whole.of("Microsoft.Storage/storageAccounts")
    assert len(accounts) == 2
    for account in accounts:
        properties = account["properties"]
        assert properties["allowSharedKeyAccess"] is properties["allowBlobPublicAccess"] is False
        assert properties["allowCrossTenantReplication"] is False
        assert properties["allowedCopyScope"] == "AAD"
        assert properties["supportsHttpsTrafficOnly"] is True
        assert properties["minimumTlsVersion"] == "TLS1_2"
        assert properties["sasPolicy"] == {"expirationAction": "Block", "sasExpirationPeriod": "0.01:00:00"}
    assert set(values(whole.resources, "publicAccess")) == {"None"}


def test_what_the_code_stores_has_its_place(plain: Snapshot) -> None:
    """Queues, tables and containers are there under the names that the code uses."""

    def names(kind: str) -> set[str]:
        return {one["name"].rpartition("/")[2] for one in plain.of(f"Microsoft.Storage/storageAccounts/{kind}")}

    app = (ROOT / "function_app.py").read_text("utf-8")
    assert names("queueServices/queues") == {"bic-visits", "bic-visits-poison"}
    assert '"bic-visits"' in app
    tables = set(re.findall(r'"(bic(?:items|due|state|runs|index|journal))"', _code("bic_lib/ledger")))
    assert names("tableServices/tables") >= {"bicstate", "bicitems", "bicdue", "bicruns"} | tables
    containers = {"archive", "backups", "bic-settings", "bic-uploads", "deployment"}
    assert names("blobServices/containers") == containers


def _code(folder: str) -> str:
    return "\n".join(path.read_text("utf-8") for path in (ROOT / folder).rglob("*.py"))


def test_what_is_replaced_by_mistake_comes_back(plain: Snapshot) -> None:
    """Settings and files keep older versions and what was deleted for 30 days, and a record of all changes for 90."""
    account = plain.one("Microsoft.Storage/storageAccounts", "stbicdata" + _token(plain))["name"]
    blobs = plain.one("Microsoft.Storage/storageAccounts/blobServices", f"{account}/default")["properties"]
    assert blobs["isVersioningEnabled"] is True
    assert blobs["changeFeed"] == {"enabled": True, "retentionInDays": 90}
    assert blobs["deleteRetentionPolicy"] == blobs["containerDeleteRetentionPolicy"] == {"enabled": True, "days": 30}
    lifecycle = plain.one("Microsoft.Storage/storageAccounts/managementPolicies", f"{account}/default")["properties"]
    assert list(values(lifecycle, "actions")) == [{"version": {"delete": {"daysAfterCreationGreaterThan": 30}}}]


def _token(snapshot: Snapshot) -> str:
    """What names of an installation end with."""
    name: str = snapshot.one("Microsoft.Web/sites")["name"]
    return name.rpartition("-")[2]


def test_the_archive_can_be_made_unalterable(plain: Snapshot, whole: Snapshot) -> None:
    """The switch is a policy on the archive container alone: backups are removed by their retention, settings change."""
    kind = "Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"
    assert plain.of(kind) == []
    policy = whole.one(kind)
    assert policy["name"].endswith("/archive/default")
    assert policy["properties"] == {"immutabilityPeriodSinceCreationInDays": 365, "allowProtectedAppendWrites": False}


@pytest.mark.parametrize(("redundancy", "sku"), [("Local", "Standard_LRS"), ("Zone", "Standard_ZRS"), ("Geo", "Standard_GRS")])
def test_copies_are_where_one_parameter_says(redundancy: str, sku: str) -> None:
    """For storage and for the database's backups alike: a region without zones is served by `Local`."""
    snapshot = expand((f"redundancy = '{redundancy}'",))
    assert {one["sku"]["name"] for one in snapshot.of("Microsoft.Storage/storageAccounts")} == {sku}
    database = snapshot.one("Microsoft.Sql/servers/databases")
    assert database["properties"]["requestedBackupStorageRedundancy"] == redundancy


# --- vault and database ----------------------------------------------------------------------------------------------


def test_the_vault_gives_rights_by_role_and_forgets_nothing(plain: Snapshot) -> None:
    """RBAC, soft delete, purge protection; a vault that was deleted keeps its name, so the name can be another one."""
    vault = plain.one("Microsoft.KeyVault/vaults")["properties"]
    assert vault["enableRbacAuthorization"] is vault["enableSoftDelete"] is vault["enablePurgeProtection"] is True
    assert "accessPolicies" not in vault
    assert expand(("vaultName = 'kv-second'",)).one("Microsoft.KeyVault/vaults")["name"] == "kv-second"


def test_the_seal_key_never_leaves_the_vault(plain: Snapshot, whole: Snapshot) -> None:
    """By the switch only: EC P-256, signs and verifies, not exportable."""
    assert plain.of("Microsoft.KeyVault/vaults/keys") == []
    key = whole.one("Microsoft.KeyVault/vaults/keys")["properties"]
    assert (key["kty"], key["curveName"], set(key["keyOps"])) == ("EC", "P-256", {"sign", "verify"})
    assert key["attributes"]["exportable"] is False
    assert whole.outputs["BIC_SEAL_KEY"] == "bic-seal"


def test_the_database_is_entered_by_entra_only(whole: Snapshot) -> None:
    """No SQL login exists; TLS 1.2; what is audited holds no statement, so nothing of a session."""
    server = whole.one("Microsoft.Sql/servers")["properties"]
    assert server["administrators"]["azureADOnlyAuthentication"] is True
    assert server["minimalTlsVersion"] == "1.2"
    assert "administratorLogin" not in server
    auditing = whole.one("Microsoft.Sql/servers/auditingSettings")["properties"]
    assert (auditing["state"], auditing["isAzureMonitorTargetEnabled"]) == ("Enabled", True)
    groups = set(auditing["auditActionsAndGroups"])
    assert {"SUCCESSFUL_DATABASE_AUTHENTICATION_GROUP", "FAILED_DATABASE_AUTHENTICATION_GROUP"} <= groups
    assert all(re.search(r"AUTHENTICATION|CHANGE", group) for group in groups)


def test_an_application_administers_by_its_client_id() -> None:
    """Azure SQL knows users and groups by object id, applications by client id."""
    client = "44444444-4444-4444-4444-444444444444"
    bot = expand(("principalType = 'Application'", f"principalClientId = '{client}'"))
    assert bot.one("Microsoft.Sql/servers")["properties"]["administrators"]["sid"] == client
    person = documented("defaults").one("Microsoft.Sql/servers")["properties"]["administrators"]["sid"]
    assert person == "33333333-3333-3333-3333-333333333333"


@pytest.mark.parametrize(
    ("parameters", "public", "open_to_azure"),
    [
        ((), "Enabled", True),
        (("networkEnabled = true",), "Disabled", False),
        (("networkEnabled = true", "databaseOpenToAzure = 'false'"), "Disabled", False),
        (("networkEnabled = true", "databaseOpenToAzure = 'true'"), "Enabled", True),
    ],
)
def test_all_of_azure_knocks_only_where_that_is_said(parameters: tuple[str, ...], public: str, *, open_to_azure: bool) -> None:
    """Without a network the app has no fixed address: then by default; with one not, unless somebody says so."""
    snapshot = expand(parameters)
    assert snapshot.one("Microsoft.Sql/servers")["properties"]["publicNetworkAccess"] == public
    rules = [one["name"] for one in snapshot.of("Microsoft.Sql/servers/firewallRules")]
    assert any("AllowAllWindowsAzureIps" in name for name in rules) is open_to_azure


def test_administrators_enter_the_database_from_their_ranges(whole: Snapshot) -> None:
    """A single address and a range, first and last address of each."""
    rules = {one["name"].rpartition("/")[2]: one["properties"] for one in whole.of("Microsoft.Sql/servers/firewallRules")}
    assert rules == {
        "administrators-0": {"startIpAddress": "198.51.100.7", "endIpAddress": "198.51.100.7"},
        "administrators-1": {"startIpAddress": "203.0.113.0", "endIpAddress": "203.0.113.15"},
    }


@pytest.mark.slow
def test_the_database_is_cheap_by_default_and_free_by_a_switch(plain: Snapshot) -> None:
    """It sleeps after 15 minutes; the free offer pauses or is billed when it is used up, and keeps backups as it must."""
    database = plain.one("Microsoft.Sql/servers/databases")["properties"]
    assert (database["autoPauseDelay"], database["minCapacity"], database["useFreeLimit"]) == (15, 0.5, False)
    for offer, behaviour in (("pause", "AutoPause"), ("bill", "BillOverUsage")):
        free = expand((f"databaseFreeOffer = '{offer}'", "databaseBackupDays = 35", "databasePauseMinutes = 60"))
        properties = free.one("Microsoft.Sql/servers/databases")["properties"]
        assert (properties["useFreeLimit"], properties["freeLimitExhaustionBehavior"]) == (True, behaviour)
        assert (properties["autoPauseDelay"], properties["requestedBackupStorageRedundancy"]) == (60, "Local")
        retention = free.one("Microsoft.Sql/servers/databases/backupShortTermRetentionPolicies")["properties"]
        assert retention["retentionDays"] == 7


# --- who may do what -------------------------------------------------------------------------------------------------


def rights(snapshot: Snapshot) -> dict[str, set[tuple[str, str]]]:
    """What the app and whoever deploys may do: the scope's own name without the installation's token, and the role's name."""
    own = {one["id"]: one["properties"]["roleName"] for one in snapshot.of("Microsoft.Authorization/roleDefinitions")}
    found: dict[str, set[tuple[str, str]]] = {"app": set(), "deployer": set()}
    token = _token(snapshot)
    for one in snapshot.of("Microsoft.Authorization/roleAssignments"):
        match = _ASSIGNMENT.search(one["id"])
        assert match is not None
        role: str = one["properties"]["roleDefinitionId"]
        name = own.get(role) or BUILT_IN_ROLES[role.rpartition("/")[2]]
        who = "app" if "userAssignedIdentities" in one["properties"]["principalId"] else "deployer"
        found[who].add((match["scope"].replace(token, "").rstrip("-"), name.replace(token, "").strip()))
    return found


def test_roles_are_no_more_than_needed(plain: Snapshot, whole: Snapshot) -> None:
    """The app and the deployer have just the rights that docs/security.md gives: secrets one by one, the seal's key alone."""
    assert rights(plain) == {"app": APP_RIGHTS, "deployer": DEPLOYER_RIGHTS}
    assert rights(whole) == {"app": APP_RIGHTS | CHOSEN_RIGHTS, "deployer": DEPLOYER_RIGHTS}
    page = (ROOT / "docs/security.md").read_text("utf-8")
    for _, role in APP_RIGHTS | CHOSEN_RIGHTS | DEPLOYER_RIGHTS:
        assert role in page


def test_the_app_deletes_nothing_from_the_archive(plain: Snapshot, whole: Snapshot) -> None:
    """Its role there stores and reads; removing is for backups and, by a role that nobody has, for a purge."""
    found = {one["properties"]["roleName"].rpartition(" ")[0]: one["properties"] for one in _definitions(plain)}
    may = {name: {action.removeprefix(BLOBS) for action in one["permissions"][0]["dataActions"]} for name, one in found.items()}
    assert may == {
        "bic archivist": {"read", "write", "add/action"},
        "bic backup keeper": {"read", "write", "add/action", "delete"},
        "bic purger": {"read", "delete", "deleteBlobVersion/action"},
    }
    assert all(one["permissions"][0]["actions"] == [] for one in found.values())
    tagging = [
        action for one in _definitions(whole) for action in values(one, "dataActions") for action in action if "tags" in action
    ]
    assert tagging == [f"{BLOBS}tags/write"] * 2


def _definitions(snapshot: Snapshot) -> list[Resource]:
    return snapshot.of("Microsoft.Authorization/roleDefinitions")


def test_names_are_known_before_anything_is_made(whole: Snapshot) -> None:
    """An assignment's name hangs on no value that only Azure knows: a check before the deployment sees all of them."""
    names = [one["name"] for one in whole.of("Microsoft.Authorization/roleAssignments")]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[0-9a-f-]{36}", name) for name in names)


# --- network ---------------------------------------------------------------------------------------------------------


def test_a_network_closes_every_door(whole: Snapshot) -> None:
    """Each service that the app speaks to has a private endpoint with its name zone, and its public door is shut or narrowed."""
    closed = documented("a network")
    for kind in ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults", "Microsoft.Sql/servers"):
        for one in closed.of(kind):
            assert one["properties"]["publicNetworkAccess"] == "Disabled", one["name"]
    connected = {(kind, one["name"].split("-bic-")[1]) for one in _endpoints(closed) for kind in _kinds(one)}
    assert {kind for kind, _ in connected} == {"blob", "queue", "table", "vault", "sqlServer"}
    assert len(connected) == 6
    assert len(closed.of("Microsoft.Network/privateDnsZones")) == 5
    assert list(values(closed.one("Microsoft.Network/virtualNetworks"), "defaultOutboundAccess")) == [False, False]
    assert len(closed.of("Microsoft.Network/privateEndpoints/privateDnsZoneGroups")) == 6
    narrowed = whole.one("Microsoft.Storage/storageAccounts", "stbicdata" + _token(whole))["properties"]
    assert narrowed["networkAcls"]["defaultAction"] == "Deny"
    assert [one["value"] for one in narrowed["networkAcls"]["ipRules"]] == ["198.51.100.7", "203.0.113.0/28"]


def _endpoints(snapshot: Snapshot) -> list[Resource]:
    return snapshot.of("Microsoft.Network/privateEndpoints")


def _kinds(endpoint: Resource) -> list[str]:
    return [kind for kinds in values(endpoint, "groupIds") for kind in kinds]


def test_wildcards_only_forbid(whole: Snapshot) -> None:
    """`*` stands in rules that deny, for the port that a caller comes from, and for all values of an alert's dimension."""
    groups = whole.of("Microsoft.Network/networkSecurityGroups")
    assert len(groups) == 2
    for rule in (rule["properties"] for group in groups for rule in group["properties"]["securityRules"]):
        open_to_all = [name for name, value in rule.items() if value == "*" and name != "sourcePortRange"]
        assert not open_to_all or rule["access"] == "Deny", rule
    for one in whole.resources:
        if one not in groups and one["type"] != "Microsoft.Insights/scheduledQueryRules":
            assert '"*"' not in json.dumps(one), one["name"]


# --- what is watched -------------------------------------------------------------------------------------------------


def test_who_did_what_is_logged(plain: Snapshot) -> None:
    """Vault, files, ledger, program, database and app write their logs to the workspace."""
    logged = {}
    for one in plain.of("Microsoft.Insights/diagnosticSettings"):
        scope = one["id"].partition("/providers/Microsoft.Insights/diagnosticSettings")[0].replace(_token(plain), "")
        logged[scope.partition("/providers/")[2]] = {log["category"] for log in one["properties"]["logs"] if log["enabled"]}
        assert one["properties"]["workspaceId"].endswith(_token(plain))
    storage = "Microsoft.Storage/storageAccounts"
    assert logged == {
        "Microsoft.KeyVault/vaults/kv-bic-": {"AuditEvent"},
        f"{storage}/stbicdata/blobServices/default": {"StorageRead", "StorageWrite", "StorageDelete"},
        f"{storage}/stbichost/blobServices/default": {"StorageWrite", "StorageDelete"},
        f"{storage}/stbichost/tableServices/default": {"StorageWrite", "StorageDelete"},
        "Microsoft.Sql/servers/sql-bic-/databases/master": {"SQLSecurityAuditEvents"},
        "Microsoft.Web/sites/func-bic-": {"FunctionAppLogs"},
    }


def _alerts(snapshot: Snapshot) -> dict[str, Any]:
    found = {}
    for one in snapshot.of("Microsoft.Insights/scheduledQueryRules"):
        name = one["name"].removeprefix("alert-bic-").removesuffix(f"-{_token(snapshot)}")
        found[name] = one["properties"]
    return found


def test_alert_rules_ask_the_queries_of_the_files(plain: Snapshot) -> None:
    """Each file is a rule, each rule a file; thresholds that are parameters are put into just one place of the query."""
    alerts = _alerts(plain)
    files = {path.stem: path.read_text("utf-8") for path in (INFRA / "queries").glob("*.kql")}
    assert {name: one["criteria"]["allOf"][0]["query"] for name, one in alerts.items()} == files
    changed = _alerts(expand(("quietHours = 7", "lagHours = 8", "backupHours = 9")))
    for name, sign in (("nothing-stored", "ago(7h)"), ("lagging", "> 8 "), ("backup-too-old", "> 9")):
        query = changed[name]["criteria"]["allOf"][0]["query"]
        assert sign in query + " "
        assert query != files[name]
    problems = kusto({name: one["criteria"]["allOf"][0]["query"] for name, one in changed.items()})
    assert [problem for found in problems.values() for problem in found] == []


def test_a_site_never_hides_another(plain: Snapshot) -> None:
    """A rule whose query names a site (or schedule, or what was refused) is split by it, by a column that the query gives."""
    for name, one in _alerts(plain).items():
        [criterion] = one["criteria"]["allOf"]
        dimensions = [dimension["name"] for dimension in criterion["dimensions"]]
        named = [
            column for column in ("site", "schedule", "subject") if f"{column} = tostring(event.{column})" in criterion["query"]
        ]
        assert dimensions == named, name
        assert all(dimension["values"] == ["*"] for dimension in criterion["dimensions"])
    assert [name for name, one in _alerts(plain).items() if not one["criteria"]["allOf"][0]["dimensions"]] == [
        "silent",
        "no-tick",
    ]


def test_alerts_are_mailed_to_whom_one_names(plain: Snapshot, whole: Snapshot) -> None:
    """Without an address there is no group; with one every rule has it."""
    assert plain.of("Microsoft.Insights/actionGroups") == []
    group = whole.one("Microsoft.Insights/actionGroups")
    assert list(values(group, "emailAddress")) == ["ops@example.com"]
    assert {tuple(one["actions"]["actionGroups"]) for one in _alerts(whole).values()} == {(group["id"],)}


def test_the_workbook_asks_what_the_page_asks(plain: Snapshot) -> None:
    """The questions of docs/operating.md, in its order, word for word."""
    page = (ROOT / "docs/operating.md").read_text("utf-8")
    asked = re.findall(r"^([A-Z][^\n]*\?)\n\n```kusto\n(.*?)```", page, re.DOTALL | re.MULTILINE)
    workbook = json.loads(plain.one("Microsoft.Insights/workbooks")["properties"]["serializedData"])
    shown = [(item["content"]["title"], item["content"]["query"]) for item in workbook["items"]]
    assert shown == [(title, f"// {title}\n{query}") for title, query in asked]
    assert workbook["version"] == "Notebook/1.0"


@pytest.mark.slow
def test_every_combination_is_tagged() -> None:
    """azd finds what it made, in whatever combination: each resource that can carry a tag carries its environment's."""
    for number, snapshot in enumerate(combinations().values()):
        for one in snapshot.resources:
            if "location" in one:
                assert one["tags"]["azd-env-name"] == f"bic-{number}", one["name"]


# --- what is deployed ------------------------------------------------------------------------------------------------

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


def test_both_tools_take_what_the_package_takes() -> None:
    """Who publishes without `make package` misses nothing of it: neither a module nor a page's template or style."""
    lines = (ROOT / ".funcignore").read_text().splitlines()
    there = {path.relative_to(ROOT).as_posix() for path in (ROOT / "bic_lib").rglob("*") if path.is_file()}
    there = {name for name in there if "__pycache__" not in name} | {"function_app.py", "host.json"}
    wanted = {str(name) for name, _ in package.program()}
    azd = GitIgnoreSpec.from_lines(lines)
    assert {name for name in there if not azd.match_file(name)} == wanted
    core_tools = {name for name in there if name.startswith(tuple(line[2:] for line in lines if line.startswith("!/")))}
    assert {name for name in core_tools - wanted if not name.startswith(("bic_lib/simulator/", "bic_lib/contracts/"))} == set()
    assert wanted <= core_tools
