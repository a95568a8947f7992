"""References become values, and values stay behind stars."""

from __future__ import annotations

import json
import pickle

import pytest

from bic_lib.core.errors import BicError
from bic_lib.credentials.references import References, Secret, Unresolved, fault, is_reference
from bic_lib.masking import STARS, masked

VALUE = "kh7-9x value/with+odd=chars"


def test_a_variable_is_resolved() -> None:
    """`env:NAME` is the variable's value."""
    references = References({"NAME": VALUE})
    assert references.text("env:NAME") == VALUE
    assert references.secret("env:NAME").reveal() == VALUE


def test_plain_text_stays_what_it_is() -> None:
    """What is no reference is its own value."""
    assert References({}).text("plain") == "plain"
    assert References({}).secret("sqlite:///x.sqlite").reveal() == "sqlite:///x.sqlite"


@pytest.mark.parametrize("environ", [{}, {"NAME": ""}])
def test_an_unset_variable_is_named(environ: dict[str, str]) -> None:
    """An unset or empty variable fails by the reference's name, with what to do."""
    with pytest.raises(Unresolved, match=r"env:NAME: .* not set") as caught:
        References(environ).secret("env:NAME")
    assert "Set NAME" in caught.value.hint


def test_an_app_setting_that_the_platform_left_unresolved_is_an_error() -> None:
    """A value that still begins with `@Microsoft.KeyVault(` is never sent anywhere as a secret."""
    reference = "@Microsoft.KeyVault(VaultName=v;SecretName=n)"
    with pytest.raises(Unresolved, match="env:NAME: the platform did not resolve") as caught:
        References({"NAME": reference}).secret("env:NAME")
    assert reference not in str(caught.value)


@pytest.mark.parametrize(
    ("around", "told"),
    [
        ("{}\n", "line break"),
        ("{}\r\n", "line break"),
        ("\ufeff{}", "byte order mark"),
        ("\n{}", "line break"),
        ("{}\ufeff", "mark"),
        ("\u200b{}", "U\\+200B"),
    ],
)
def test_what_no_secret_has_around_it_is_told(around: str, told: str) -> None:
    """A line break or mark that came along is named with the reference, before anybody calls the secret wrong."""
    copied = around.format(VALUE)
    for references, name in ((References({"N": copied}), "env:N"), (References({}, vault=lambda _: copied), "keyvault:N")):
        for read in (references.secret, references.text):
            with pytest.raises(Unresolved, match=f"{name}: the value .*{told}") as caught:
                read(name)
            assert VALUE not in str(caught.value)


@pytest.mark.parametrize("value", [f'"{VALUE}"', f" {VALUE}", "'", '"'])
def test_what_a_persons_password_may_have_around_it_is_let_through(value: str) -> None:
    """Blanks and quotes may be part of a password: they are told only where it is refused."""
    assert References({"N": value}).secret("env:N").reveal() == value


def test_the_vault_is_asked_by_name_or_url() -> None:
    """`keyvault:` hands the rest to the vault, whatever it is."""
    references = References({}, vault=lambda name: f"value of {name}")
    assert references.secret("keyvault:name").reveal() == "value of name"
    assert references.text("keyvault:https://v/secrets/n/1") == "value of https://v/secrets/n/1"


def test_without_a_vault_a_vault_reference_is_named() -> None:
    """A `keyvault:` reference without a vault client fails by its name."""
    with pytest.raises(Unresolved, match="keyvault:name: no vault client"):
        References({}).secret("keyvault:name")


def test_what_the_vault_refuses_comes_through() -> None:
    """The vault's own error says more than we could."""

    def refuse(name: str) -> str:
        raise BicError(f"The vault refused {name}.")

    with pytest.raises(BicError, match=r"The vault refused name\."):
        References({}, vault=refuse).secret("keyvault:name")


def test_a_secret_prints_as_stars() -> None:
    """No way of printing a secret shows it; `reveal` hands it out."""
    secret = Secret(VALUE)
    for text in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", "%s" % secret, str([secret]), str({"a": secret})):  # noqa: UP031 -- a way of printing
        assert STARS in text
        assert VALUE not in text
    assert secret.reveal() == VALUE


def test_a_secret_is_not_written_down() -> None:
    """Neither pickle nor JSON takes a secret."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret(VALUE))
    with pytest.raises(TypeError):
        json.dumps(Secret(VALUE))


def test_secrets_are_compared_by_value() -> None:
    """Rotation is seen by comparing; an empty secret is false."""
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret(VALUE) != VALUE
    assert len({Secret(VALUE), Secret(VALUE)}) == 1
    assert not Secret("")


def test_resolved_secrets_are_masked_from_then_on() -> None:
    """Once resolved, a secret is masked in every text, plain names are not."""
    References({"A": "resolved-by-test-1", "B": "client-id-of-test"}).secret("env:A")
    References({"B": "client-id-of-test"}).text("env:B")
    assert masked("x resolved-by-test-1 y") == f"x {STARS} y"
    assert masked("client-id-of-test") == "client-id-of-test"


@pytest.mark.parametrize(
    "good", ["env:NAME", "env:my-var.x", "keyvault:name-1", "keyvault:https://v.vault.azure.net/secrets/n/0a"]
)
def test_well_formed_references(good: str) -> None:
    """These are references and nothing is wrong with them."""
    assert is_reference(good)
    assert fault(good) is None


@pytest.mark.parametrize(
    "bad", ["env:", "env:A B", "env:A=B", "keyvault:", "keyvault:a_b", "keyvault:http://v/secrets/n", "hunter2"]
)
def test_malformed_references_are_explained_without_quoting(bad: str) -> None:
    """What is no reference is told with what would be right."""
    told = fault(bad)
    assert told is not None
    assert "; " in told
    assert bad not in told.split("; ")[0]
