"""The vault's client against a Key Vault on loopback: caching, versions, challenges, throttling, refusals."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from bic_lib.credentials import identity
from bic_lib.credentials.key_vault import KEEP_SECONDS, LONGEST_PAUSE, PAUSE_UNNAMED, STALE_SECONDS, WAIT_LIMIT, Vault
from bic_lib.credentials.references import References, Unresolved
from tests.cloud.fakes import Cloud


class Clock:
    """A steady clock that tests and waiting move."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def vault(cloud: Cloud, clock: Clock) -> Vault:
    """A client of the vault at `cloud`, which holds one secret."""
    cloud.set_secret("support", "first")
    return Vault(cloud.vault_url, identity.managed_identity(), monotonic=clock, sleep=clock.sleep)


def asked(cloud: Cloud) -> int:
    return cloud.asked_of("/secrets/")


def test_a_value_is_kept_for_minutes(cloud: Cloud, clock: Clock, vault: Vault) -> None:
    """One call to the vault and one for a token, however often it is needed; minutes later the vault is asked again."""
    assert [vault("support"), vault("support")] == ["first", "first"]
    assert (asked(cloud), cloud.asked_of("/msi/token")) == (1, 1)
    cloud.set_secret("support", "second")
    assert vault("support") == "first"
    clock.now += KEEP_SECONDS
    assert vault("support") == "second"


def test_refresh_reads_past_the_cache(cloud: Cloud, vault: Vault) -> None:
    """A credential that was refused is read again at once, and what was read is kept."""
    vault("support")
    cloud.set_secret("support", "second")
    assert vault.refresh("support") == "second"
    assert vault("support") == "second"
    assert asked(cloud) == 2


def test_the_version_before(cloud: Cloud, vault: Vault) -> None:
    """While a secret is changed the one before may still count; disabled ones don't, and a pinned one has none."""
    with pytest.raises(Unresolved, match="no version before"):
        vault.before("support")
    for value in ("second", "third"):
        cloud.set_secret("support", value)
    assert (vault("support"), vault.before("support")) == ("third", "second")
    cloud.vault["support"][1].enabled = False
    assert vault.before("support") == "first"
    with pytest.raises(Unresolved, match="pins this version"):
        vault.before(f"{cloud.vault_url}/secrets/support/{cloud.vault['support'][0].name}")


def test_a_url_names_another_secret_or_pins_a_version(cloud: Cloud, vault: Vault) -> None:
    """A secret's URL stands for itself, with its version where it has one."""
    pinned = f"{cloud.vault_url}/secrets/support/{cloud.vault['support'][0].name}"
    cloud.set_secret("support", "second")
    assert vault(pinned) == "first"
    assert vault(f"{cloud.vault_url}/secrets/support/") == "second"
    without_name = Vault(None, identity.managed_identity())
    with pytest.raises(Unresolved, match="which vault is not said"):
        without_name("support")


def test_a_token_goes_to_vaults_only(cloud: Cloud, vault: Vault) -> None:
    """A reference to some other host is refused before anything is sent."""
    for url in (
        "https://vault.azure.net.example.com/secrets/x",
        "https://example.com/secrets/x",
        r"https://localhost\.vault.azure.net/secrets/x",
        "https://localhost#.vault.azure.net/secrets/x",
        "https://me@v.vault.azure.net/secrets/x",
    ):
        with pytest.raises(Unresolved, match="is no Key Vault"):
            vault(url)
    assert cloud.asked == []


def test_a_challenge_for_another_cloud_is_answered(cloud: Cloud, vault: Vault) -> None:
    """The vault says which audience it takes; a token for that is sent, once."""
    cloud.demands = "https://vault.usgovcloudapi.net"
    assert vault("support") == "first"
    assert asked(cloud) == 2


def test_a_challenge_for_something_else_is_not_answered(cloud: Cloud, vault: Vault) -> None:
    """Nobody gets a token for our storage or management by calling himself a vault."""
    cloud.demands = "https://management.azure.com"
    with pytest.raises(Unresolved, match="HTTP 401"):
        vault("support")
    assert set(cloud.tokens.values()) == {"https://vault.azure.net"}


def test_a_missing_role_is_told(cloud: Cloud, vault: Vault) -> None:
    """403 says which role is missing; the service's text with the caller's ids is not repeated."""
    cloud.rbac = False
    with pytest.raises(Unresolved) as caught:
        vault("support")
    assert "403 ForbiddenByRbac" in caught.value.message
    assert "Key Vault Secrets User" in caught.value.hint
    assert "11111111" not in str(caught.value)


def test_a_missing_or_disabled_secret_is_told(cloud: Cloud, vault: Vault) -> None:
    """404 names the secret; a disabled one says so."""
    with pytest.raises(Unresolved, match="secrets/other: HTTP 404 SecretNotFound"):
        vault("other")
    cloud.vault["support"][0].enabled = False
    with pytest.raises(Unresolved) as caught:
        vault("support")
    assert "Enable the secret" in caught.value.hint


def test_throttling_is_waited_out(cloud: Cloud, clock: Clock, vault: Vault) -> None:
    """429 with Retry-After: that long, then again."""
    cloud.throttle = ["3", "nonsense"]
    assert vault("support") == "first"
    assert clock.slept == [3.0, 2.0]


def test_long_throttling_is_not_waited_for(cloud: Cloud, clock: Clock, vault: Vault) -> None:
    """More than the limit is an error at once, and nobody asks again before the time that was named."""
    cloud.throttle = ["20", f"{WAIT_LIMIT:.0f}"]
    with pytest.raises(Unresolved, match="throttles"):
        vault("support")
    with pytest.raises(Unresolved, match="asked again in 30 s"):
        vault("support")
    assert (asked(cloud), clock.slept) == (2, [20.0])
    clock.now += 30
    assert vault("support") == "first"


@pytest.mark.parametrize("named", ["inf", "nan", "1e9", "-5", "999999999999999999999", "\u00b2"])
def test_no_vault_is_left_alone_for_ever(cloud: Cloud, clock: Clock, vault: Vault, named: str) -> None:
    """Whatever it names: what is no number of seconds counts as none named, and after an hour it is asked again."""
    cloud.throttle = [named]
    with suppress(Unresolved):
        vault("support")
    clock.now += LONGEST_PAUSE
    assert vault("support") == "first"
    assert max(clock.slept, default=0) <= PAUSE_UNNAMED


def test_a_vault_that_is_away_stops_nothing_that_was_read(cloud: Cloud, clock: Clock, vault: Vault) -> None:
    """What was read serves for a day while the vault throttles or fails; a refusal is no absence."""
    vault("support")
    clock.now += KEEP_SECONDS
    cloud.down = True
    assert vault("support") == "first"
    clock.now += STALE_SECONDS
    with pytest.raises(Unresolved, match="HTTP 503"):
        vault("support")
    cloud.down, cloud.rbac = False, False
    with pytest.raises(Unresolved, match="HTTP 403"):
        vault("support")


def test_no_token_and_no_answer_are_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in the way has one error with a hint."""
    with pytest.raises(Unresolved, match="managed identity nobody got no token"):
        Vault(cloud.vault_url, identity.managed_identity("nobody"))("support")
    with pytest.raises(Unresolved, match="the vault can't be reached: Connection refused"):
        Vault("https://127.0.0.1:9", identity.managed_identity())("support")


def test_threads_read_a_secret_once(cloud: Cloud, vault: Vault) -> None:
    """Many visits that begin together ask the vault once."""
    together = threading.Barrier(8)

    def read(_number: int) -> str:
        together.wait()
        return vault("support")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(read, range(8))) == {"first"}
    assert asked(cloud) == 1


def test_references_offer_what_a_refused_credential_may_be(cloud: Cloud, vault: Vault) -> None:
    """Read anew, then the version before; an environment variable has just itself."""
    references = References({"NAME": "from-environment"}, vault, (vault.refresh, vault.before))
    assert references.text("keyvault:support") == "first"
    cloud.set_secret("support", "second")
    assert [one.text("keyvault:support") for one in references.anew()] == ["second", "first"]
    assert {one.text("env:NAME") for one in references.anew()} == {"from-environment"}
