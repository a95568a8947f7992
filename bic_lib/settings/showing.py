"""What shows the settings: the effective ones, and the JSON Schema of the file."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from bic_lib.masking import masked
from bic_lib.settings.defaults import OWN
from bic_lib.settings.loading import Settings
from bic_lib.settings.model import File
from bic_lib.settings.times import duration, percentage


def effective(settings: Settings) -> dict[str, Any]:
    """All settings with their defaults, as plain JSON values. References are shown as references; a secret is never in it."""
    shown: dict[str, Any] = json.loads(settings.model_dump_json(by_alias=True, exclude_none=True), object_hook=_masked_texts)
    return shown


def _masked_texts(table: dict[str, Any]) -> dict[str, Any]:
    return {key: masked(value) if isinstance(value, str) else value for key, value in table.items()}


_SPELLED: dict[str, Callable[[Any], str]] = {"duration": duration, "percentage": percentage}
"""What is a number inside, as it is written in the file."""


def described() -> dict[str, Any]:
    """Each table of the file with its keys, as JSON Schema; a site and a destination with all that they need."""
    found = File.model_json_schema(by_alias=True)
    for field in (field for table in found["$defs"].values() for field in table.get("properties", {}).values()):
        if "default" in field and (spelled := _SPELLED.get(field.get("format", ""))):
            field["default"] = spelled(field["default"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def schema() -> dict[str, Any]:
    """The JSON Schema of the settings file as it is written: what a site or destination needs may stand in its defaults."""
    found = described()
    tables = found["$defs"]
    kinds = [choice["$ref"].rpartition("/")[2] for choice in _destination(found)["oneOf"]]
    for name, own in (("SiteSettings", OWN["sites"]), *((kind, OWN["destinations"]) for kind in kinds)):
        tables[name]["required"] = [key for key in tables[name]["required"] if key in own]
    for section, members in (("sites", ["SiteSettings"]), ("destinations", kinds)):
        shared = {key: field for name in members for key, field in tables[name]["properties"].items() if key not in OWN[section]}
        found["properties"][f"{section.removesuffix('s')}_defaults"] |= {
            "type": "object",
            "additionalProperties": False,
            "properties": {key: _without_default(field) for key, field in shared.items()},
        }
    return found


def _destination(found: dict[str, Any]) -> dict[str, Any]:
    (named,) = found["properties"]["destinations"]["patternProperties"].values()
    return dict(named)


def _without_default(field: dict[str, Any]) -> dict[str, Any]:
    bare = copy.deepcopy(field)
    bare.pop("default", None)
    return bare
