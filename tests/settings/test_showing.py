"""What shows the settings: the effective ones, the JSON Schema, the example and the page."""

from __future__ import annotations

import json

from bic_lib.settings import docs, loading, showing
from tests.support import ROOT

EXAMPLE = (ROOT / "bic.example.toml").read_text("utf-8")


def test_effective_settings_show_defaults_and_references_and_load_again() -> None:
    """The effective settings are complete, hold no secret, and are themselves a valid file."""
    parsed = loading.parse(EXAMPLE, ROOT, "bic.example.toml")
    shown = showing.effective(parsed)
    assert shown["sites"]["support"]["client_secret"] == "keyvault:support-secret"
    assert shown["sites"]["support"]["history"] == "90d"
    assert shown["schedules"]["backup"]["at"] == "02:30"
    again = loading.Settings.model_validate(json.loads(json.dumps(shown)), context={"base": ROOT})
    assert showing.effective(again) == shown


def test_the_example_is_complete() -> None:
    """bic.example.toml loads, and names every key of every section, if only in a comment."""
    loading.parse(EXAMPLE, ROOT, "bic.example.toml")
    missing = {
        name
        for table, found in showing.schema()["$defs"].items()
        if table not in {"ClientSecretIdentity", "CertificateIdentity", "AzureCliIdentity"}
        for name in found.get("properties", {})
        if name not in EXAMPLE
    }
    assert missing == set()


def test_every_key_of_the_schema_is_described() -> None:
    """The JSON Schema can be dumped and each key has a sentence."""
    schema = showing.schema()
    assert json.dumps(schema)
    assert schema["$defs"]["SiteSettings"]["properties"]["history"]["default"] == "90d"
    fields = [field for table in schema["$defs"].values() for field in table.get("properties", {}).values()]
    assert all(field.get("description") for field in fields)


def test_the_settings_page_is_what_the_code_says() -> None:
    """docs/settings.md is written by the code: run `python -m bic_lib.settings.docs > docs/settings.md`."""
    assert (ROOT / "docs/settings.md").read_text("utf-8") == docs.document()


def test_the_page_names_every_key() -> None:
    """No key of the schema is missing on the page."""
    page = docs.document()
    names = {name for table in showing.schema()["$defs"].values() for name in table.get("properties", {})}
    assert {name for name in names if f"| `{name}` |" not in page} == {"channels", "heartbeat", "smtp"}
