"""What a storage account refuses: one blob fails alone, whatever the code; account and container rest the destination."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bic_lib.actions.purge_choice import Asked
from bic_lib.actions.purging import purge
from bic_lib.contracts.place import VIDEO, held, staged, stamp
from bic_lib.core.errors import DestinationError, Interrupted, ItemError, Unexpected
from bic_lib.core.model import State
from bic_lib.destinations import azure_blob
from bic_lib.simulator import Profile, Simulator
from tests.destinations.refusing_blobs import Refusals, refusing
from tests.engine.steps.world import World, wanted
from tests.fixtures_servers import Azurite

PASSES = {
    "LeaseIdMissing": 412,
    "LeaseAlreadyPresent": 409,
    "LeaseIdMismatchWithBlobOperation": 412,
    "LeaseLost": 412,
    "BlobBeingRehydrated": 409,
    "BlobOverwritten": 409,
    "PendingCopyOperation": 409,
    "Md5Mismatch": 400,
}
STAYS = {
    "BlobImmutableDueToPolicy": 409,
    "BlobArchived": 409,
    "SnapshotsPresent": 409,
    "BlobUsesCustomerSpecifiedEncryption": 409,
    "BlobTierInadequateForContentLength": 409,
    "InvalidBlobType": 409,
    "ResourceTypeMismatch": 409,
    "UnauthorizedBlobOverwrite": 403,
    "InvalidResourceName": 400,
    "InvalidUri": 400,
    "BlockListTooLong": 400,
    "RequestBodyTooLarge": 413,
    "NobodyHasHeardOf": 409,
    "NobodyHasHeardOfEither": 412,
}
"""What is about one blob; the second lot is not over by itself."""
PLACES = {
    "ContainerBeingDeleted": 409,
    "ContainerDisabled": 409,
    "ContainerNotFound": 404,
    "AccountBeingCreated": 409,
    "AccountIsDisabled": 403,
    "AuthenticationFailed": 403,
    "AuthorizationFailure": 403,
    "KeyBasedAuthenticationNotPermitted": 403,
    "AuthorizationSourceIPMismatch": 403,
    "AuthorizationPermissionMismatch": 403,
    "InsufficientAccountPermissions": 403,
    "ServerBusy": 503,
    "InternalError": 500,
    "OperationTimedOut": 500,
    "NobodyHasHeardOfThis": 500,
}


@pytest.fixture(scope="module")
def account(azurite: Azurite) -> Iterator[Refusals]:
    with refusing(azurite) as running:
        yield running


@pytest.fixture
def refusals(account: Refusals) -> Iterator[Refusals]:
    """Nothing is refused before the test says so, nor after it."""
    account.given.clear()
    account.method, account.told = "PUT", {}
    yield account
    account.code = ""


@pytest.fixture
def store(refusals: Refusals) -> azure_blob.BlobContainer:
    """A container with two blobs."""
    store = azure_blob.create(connection_string=refusals.connection_string, container=f"c-{uuid.uuid4()}")
    for name in ("good.xml", "bad.xml"):
        store.put(name, b"old", replace=False)
    return store


@pytest.mark.parametrize("what", ["comp=blocklist", "comp=block&"], ids=["commit", "block"])
@pytest.mark.parametrize("code", PASSES | STAYS)
def test_a_refused_blob_fails_alone(store: azure_blob.BlobContainer, refusals: Refusals, code: str, what: str) -> None:
    """Overwrite meets a blob that can't be replaced now, or ever: that item fails and says why, others go on."""
    refusals.marked, refusals.status, refusals.code = f"bad.xml?{what}", (PASSES | STAYS)[code], code
    with pytest.raises(ItemError, match=f"bad.xml: .*{code}") as caught:
        store.put("bad.xml", b"new", replace=True)
    assert isinstance(caught.value, Interrupted if code in PASSES else Unexpected)
    assert caught.value.hint
    assert store.put("good.xml", b"new", replace=True)
    refusals.code = ""
    assert held(store, "bad.xml") == b"old"
    assert refusals.given


@pytest.mark.parametrize("code", PASSES | STAYS)
def test_a_recording_over_a_refused_blob_fails_alone(store: azure_blob.BlobContainer, refusals: Refusals, code: str) -> None:
    """The same for what is staged first and published later."""
    token = staged(store, "bad.xml", VIDEO)
    refusals.marked, refusals.status, refusals.code = "bad.xml", (PASSES | STAYS)[code], code
    with pytest.raises(ItemError, match=code):
        store.publish(token, "bad.xml", stamp(VIDEO), replace=True)


@pytest.mark.parametrize("code", PASSES | STAYS)
@pytest.mark.parametrize("method", ["DELETE", "GET"])
def test_a_blob_that_cannot_be_removed_or_read_is_one(
    store: azure_blob.BlobContainer, refusals: Refusals, code: str, method: str
) -> None:
    """Retention and verify meet such a blob: it is about that one."""
    refusals.method, refusals.marked, refusals.status, refusals.code = method, "bad.xml", (PASSES | STAYS)[code], code
    with pytest.raises(ItemError, match=code):
        store.remove("bad.xml") if method == "DELETE" else list(store.read("bad.xml"))
    assert held(store, "good.xml") == b"old"
    store.remove("good.xml")


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"x-ms-immutability-policy-until-date": "Fri, 01 Jan 2027 06:30:00 GMT"}, "it is kept until 2027-01-01 06:30 UTC"),
        ({"x-ms-legal-hold": "true"}, "a legal hold keeps it"),
        ({}, "the container's policy keeps it"),
    ],
)
def test_how_long_a_blob_is_kept_is_said(
    store: azure_blob.BlobContainer, refusals: Refusals, told: dict[str, str], words: str
) -> None:
    """What may not be deleted yet says until when, as far as the service tells."""
    refusals.method, refusals.marked, refusals.code, refusals.told = "DELETE", "bad.xml", "BlobImmutableDueToPolicy", told
    with pytest.raises(ItemError, match=words):
        store.remove("bad.xml")


def test_what_is_immutable_stays_purging_until_it_is_not(refusals: Refusals, tmp_path: Path) -> None:
    """A purge of such a session is listed with the date; the others go, and when the policy has ended, so does this one."""
    with Simulator(Profile(sessions=6, days=2, presentations=0)) as sim:
        _purge_twice(World(tmp_path, sim), refusals)


def _purge_twice(world: World, refusals: Refusals) -> None:
    blobs = f'[destinations.blobs]\nkind = "azure_blob"\nconnection = "env:STORAGE"\ncontainer = "{uuid.uuid4()}"\n'
    transfers = (
        '[schedules.blobs]\nevery = "1h"\ntransfers = [{ site = "support", destination = "blobs", data = ["sessions"] }]\n'
    )
    world.environ["STORAGE"] = refusals.connection_string
    world.configure(schedules=blobs + transfers)
    world.once()
    one, other, *_ = [truth.lsid for truth in wanted(world.sim)]
    refusals.method, refusals.marked, refusals.code = "DELETE", one, "BlobImmutableDueToPolicy"
    refusals.told = {"x-ms-immutability-policy-until-date": "Fri, 01 Jan 2027 06:30:00 GMT"}
    app = world.app()
    refused = purge(app, Asked(lsids=[one, other], destination="blobs"), "ann").refused
    assert [(record.item.lsid, "until 2027-01-01 06:30 UTC" in reason) for record, reason in refused] == [(one, True)]
    [listed] = app.ledger.troubles.open()
    assert (listed.state, listed.lsid, "until 2027-01-01" in listed.reason) == (State.PURGING, one, True)
    refusals.code = ""
    assert purge(app, Asked(destination="blobs"), "ann").refused == []
    assert list(app.ledger.troubles.open()) == []
    assert {record.item.lsid for record in world.records() if record.outcome.state is State.PURGED} == {one, other}
    app.ledger.store.close()


@pytest.mark.parametrize("code", PLACES)
def test_a_refused_place_rests_the_destination(store: azure_blob.BlobContainer, refusals: Refusals, code: str) -> None:
    """What is about container or account, or about nothing that we know, costs no item a try."""
    refusals.marked, refusals.status, refusals.code = "bad.xml", PLACES[code], code
    with pytest.raises(DestinationError, match=code):
        store.put("bad.xml", b"new", replace=True)


@pytest.mark.parametrize(
    ("code", "hint"),
    {
        "AccountIsDisabled": "subscription",
        "KeyBasedAuthenticationNotPermitted": "entered by [identity]",
        "AuthenticationFailed": "clock is wrong: it shows 2",
        "AuthorizationFailure": "firewall",
        "AuthorizationSourceIPMismatch": "other addresses",
        "AuthorizationServiceMismatch": "r, a, c, w, l",
    }.items(),
)
def test_what_rests_a_container_says_what_to_do(
    store: azure_blob.BlobContainer, refusals: Refusals, code: str, hint: str
) -> None:
    """By the service's own word: the status says the same of a firewall, a clock and a signature."""
    refusals.marked, refusals.status, refusals.code = "bad.xml", 403, code
    with pytest.raises(DestinationError, match=code) as caught:
        store.put("bad.xml", b"new", replace=True)
    assert hint in caught.value.hint


@pytest.mark.parametrize("code", [*PASSES, "BlobArchived", "BlobImmutableDueToPolicy", "ConditionNotMet"])
def test_a_taken_name_is_taken_whatever_else_it_is(store: azure_blob.BlobContainer, refusals: Refusals, code: str) -> None:
    """AppendNumber and Skip: a commit over a leased or archived blob may be refused for that; the name is taken all the same."""
    refusals.marked, refusals.status, refusals.code = "bad.xml?comp=blocklist", 412, code
    assert not store.put("bad.xml", b"new", replace=False)
    token = staged(store, "bad.xml", VIDEO)
    assert not store.publish(token, "bad.xml", stamp(VIDEO), replace=False)
    assert refusals.given
