"""infra/ with any two switches together, which no page can list: all of it in one call of the compiler, an installation a row."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from itertools import combinations, product

import pytest

from tests.infra.deployment import Resource, Snapshot, side_by_side

HUB = "'/subscriptions/66666666-6666-6666-6666-666666666666/resourceGroups/hub/providers/Microsoft.Network/virtualNetworks/hub'"
LONGEST = "'" + "n" * 64 + "'"
"""As long a name as azd lets an environment have."""
ADMINISTRATORS: dict[str, tuple[list[str], list[str]]] = {
    "[]": ([], []),
    "['198.51.100.7/32', '198.51.100.8/31', '203.0.113.0/28']": (
        ["198.51.100.7", "198.51.100.8", "198.51.100.9", "203.0.113.0/28"],
        [],
    ),
    "['10.2.0.0/16', '172.31.0.9', '192.168.7.0/24', '172.32.0.1']": (
        ["172.32.0.1"],
        ["10.2.0.0/16", "172.31.0.9", "192.168.7.0/24"],
    ),
}
"""Ranges of administrators; those that firewalls of storage and vault get (no /31, no /32), and those of private networks."""
SWITCHES: dict[str, Collection[str]] = {
    "environmentName": ("'a'", LONGEST, "'Bic.prod_(eu)'"),
    "networkEnabled": ("false", "true"),
    "databaseEnabled": ("true", "false"),
    "databaseOpenToAzure": ("'auto'", "'true'"),
    "databaseFreeOffer": ("'off'", "'pause'", "'bill'"),
    "databaseThreatDetection": ("false", "true"),
    "redundancy": ("'Zone'", "'Local'", "'Geo'"),
    "zoneRedundant": ("false", "true"),
    "hubNetworkId": ("''", HUB),
    "onPremisesRanges": ("[]", "['10.0.0.0/8']"),
    "hubFirewallAddress": ("''", "'10.1.0.4'"),
    "administratorRanges": ADMINISTRATORS,
    "callerRanges": ("[]", "['192.0.2.0/24', '2001:db8::7']"),
    "alertEmail": ("''", "'ops@example.com'"),
    "archiveRetentionDays": ("0", "36500"),
    "vaultName": ("''", "'kv-other'"),
    "secretNames": ("''", "'one, Page-Key,, ONE'"),
    "sealKeyEnabled": ("false", "true"),
    "pageKeyName": ("''", "'page-key'"),
    "viewKeyName": ("''", "'page-key'", "'view-key'"),
    "entraClientId": ("''", "'55555555-5555-5555-5555-555555555555'"),
    "blobTags": ("false", "true"),
    "openTelemetry": ("false", "true"),
    "siteUpdateStrategy": ("'Recreate'", "'RollingUpdate'"),
}
LENGTHS = {
    "Microsoft.Storage/storageAccounts": 24,
    "Microsoft.KeyVault/vaults": 24,
    "Microsoft.Web/sites": 60,
    "Microsoft.Web/serverfarms": 60,
    "Microsoft.Sql/servers": 63,
    "Microsoft.Network/privateEndpoints": 64,
    "Microsoft.Network/virtualNetworks": 64,
    "Microsoft.ManagedIdentity/userAssignedIdentities": 128,
    "Microsoft.Resources/resourceGroups": 90,
}
"""The longest name that Azure takes (learn.microsoft.com, "Naming rules and restrictions for Azure resources")."""

Row = dict[str, str]
Pair = tuple[tuple[str, str], tuple[str, str]]
_SCOPE = re.compile(r"^(.*)/providers/Microsoft\.Authorization/roleAssignments/")


def rows() -> list[Row]:
    """Installations in which each value of a switch meets each value of every other: each takes as many new pairs as it can."""
    left = {pair for one, two in combinations(SWITCHES, 2) for pair in product(_values(one), _values(two))}
    found: list[Row] = []
    while left:
        row = dict(min(left))
        for name, values in SWITCHES.items():
            if name not in row:
                row[name] = max(values, key=lambda value: len(left & _pairs({**row, name: value})))  # used at once
        left -= _pairs(row)
        found.append(row)
    return found


def _values(name: str) -> list[tuple[str, str]]:
    return [(name, value) for value in SWITCHES[name]]


def _pairs(row: Row) -> set[Pair]:
    return set(combinations([(name, row[name]) for name in SWITCHES if name in row], 2))


@pytest.fixture(scope="module")
def installations() -> list[tuple[Row, Snapshot]]:
    """Each row with what it makes. An environment's name gets the row's number, so that each has a group of its own."""
    named: dict[str, Row] = {f"{number:02}{row.pop('environmentName')[1:-1][:62]}": row for number, row in enumerate(rows())}
    made = side_by_side({name: [f"{switch} = {value}" for switch, value in row.items()] for name, row in named.items()})
    return [(row, made[name]) for name, row in named.items()]


@pytest.mark.slow
def test_any_two_switches_go_together(installations: list[tuple[Row, Snapshot]]) -> None:
    """Nothing stays unexpanded, nothing is made twice, and no name is longer than Azure takes it."""
    for row, made in installations:
        assert (made.diagnostics, made.of("Microsoft.Resources/deployments")) == ([], []), row
        ids = Counter(one["id"].lower() for one in made.resources)
        assert max(ids.values()) == 1, (row, ids.most_common(1))
        names = [(one["type"], one["name"].rpartition("/")[2]) for one in made.resources]
        assert [(kind, name) for kind, name in names if len(name) > LENGTHS.get(kind, 999)] == [], row
        assert {kind for kind in LENGTHS if "Network" not in kind and "Sql" not in kind} <= {kind for kind, _ in names}


@pytest.mark.slow
def test_no_right_is_given_twice(installations: list[tuple[Row, Snapshot]]) -> None:
    """Azure refuses a second assignment that means the same: a secret named twice, or in other letters, is one secret."""
    for row, made in installations:
        rights = Counter(
            (_scope(one), one["properties"]["principalId"], one["properties"]["roleDefinitionId"])
            for one in made.of("Microsoft.Authorization/roleAssignments")
        )
        assert max(rights.values()) == 1, (row, rights.most_common(1))


def _scope(assignment: Resource) -> str:
    match = _SCOPE.search(assignment["id"])
    assert match, assignment["id"]
    return match[1].lower()


@pytest.mark.slow
def test_private_doors_are_opened_by_private_addresses(installations: list[tuple[Row, Snapshot]]) -> None:
    """With a network the services' own firewalls get the public addresses, the one before the endpoints the private ones."""
    for row, made in installations:
        public, private = ADMINISTRATORS[row["administratorRanges"]]
        networked = row["networkEnabled"] == "true"
        for kind in ("Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"):
            for one in made.of(kind):
                rules = [rule["value"] for rule in one["properties"]["networkAcls"]["ipRules"]]
                assert rules == (public if networked else []), one["name"]
        inside = [
            rule["properties"]["sourceAddressPrefixes"]
            for group in made.of("Microsoft.Network/networkSecurityGroups")
            for rule in group["properties"]["securityRules"]
            if rule["name"] == "administrators-in"
        ]
        assert inside == ([private] if networked and private else []), row
