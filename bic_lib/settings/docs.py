"""Writes docs/settings.md from the JSON Schema: `python -m bic_lib.settings.docs > docs/settings.md`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from bic_lib.core.model import DataType
from bic_lib.settings.showing import described

Schema = Mapping[str, Any]

_HEAD = """\
# Settings: `bic.toml`

<!-- Written by `python -m bic_lib.settings.docs`; a test holds it to the code. The texts are in bic_lib/settings/model.py. -->

The file is found by `--settings`, else `BIC_SETTINGS`, else `./bic.toml`. It is read again at every tick; a broken file keeps
the last good settings. Unknown keys are errors, and all problems are listed at once. Relative paths are relative to the file.
`bic.example.toml` is a complete example.

How values are written:

| type | means |
|---|---|
| duration | a number and `d`, `h`, `m` or `s`: `"10m"`, `"1h30m"`, `"90d"` |
| HH:MM | a time of day: `"02:30"` |
| percentage | a number and `%`, more than 0, at most 100: `"5%"` |
| time zone | a name of the time zone database: `"Europe/Berlin"` |
| host | a host name without scheme; of a site also with `:port` |
| secret reference | `"env:NAME"`, `"keyvault:NAME"` or `"keyvault:https://VAULT/secrets/NAME"`; a secret itself is refused |
| text or reference | plain text, or a reference like those for secrets |
| connection string or reference | an SQLAlchemy URL or ODBC connection string; with a password in it only as a reference |
| file name format | text with `%VALUE%`s: `%SUPPORT_SITE_HOST%-%SESSION_TYPE%-%LSID%.%EXTENSION%`; `/` makes folders |
| UNC path | `'\\\\server\\share\\folder'`, in single quotes |

### Many sites

What several sites or destinations share stands once, in `[site_defaults]` (any key of `[sites.NAME]` but `host` and
`client_id`) and `[destination_defaults]` (any key of `[destinations.NAME]` but `kind`; it counts in each whose kind has that
key). A key that a site or destination has itself counts there, whole. `{site}` in a text is the site's name; of a
destination, the name of the one site that sends to it.

```toml
include = ["sites.d/*.toml"]

[site_defaults]
client_secret = "keyvault:{site}-secret"

[schedules.hourly]
every = "1h"
transfers = [{ site = "*", destination = "archive", data = ["sessions", "session_recordings"] }]
```

`site = "*"` is every enabled site, those that come later too. Where a line names a site as well, its data types are given by
that line alone.

`include` names files, or patterns of file names, from the folder of the main file on. They hold `[sites.*]`,
`[destinations.*]` and `[schedules.*]`, nothing else, and include no further ones; a table stands in one file only. Paths in
them are relative to the main file. Where the settings come from a URL, `include` lists the names of blobs beside that one,
without patterns. Each problem names its file. All files together are the settings: a change of one takes effect at the next
tick, and all are kept as the last good ones.

### Names

Names of sites, destinations and schedules match `[A-Za-z0-9][A-Za-z0-9_-]{0,39}` and are their identity: under a new name
everything begins anew. Data types: DATA_TYPES.
"""

_FOOT = """\
## What must fit together

- A transfer's site and destination are in the file; the same data of one site to one destination at most once per schedule.
- A `sql_database` takes `sessions` only: recordings, presentations and backups are files.
- No two sites have one host.
- No two destinations write to the same place, nor one inside another's.
- The ledger is a file of its own, never the storage database.
- `at` goes with whole days only.
- `keyvault:NAME` needs `[key_vault]`.
- `username` and `password` go together.
- `azure_blob` takes `container_url`, or `connection` and `container`; an `azure_table` ledger one of `account_url` and
  `connection`.
- `container_url`, `account_url` and the vault's `url` are at Azure's own hosts (`….blob.core.windows.net`,
  `….table.core.windows.net`, `….vault.azure.net`, and those of Azure Government and China), since the identity's token goes
  there; a custom domain is used by `connection`. This machine (`localhost`, `127.0.0.1`) is allowed, for emulators.

A destination kind from another package is used by its name: `kind = "its-name"`; its keys are told by that package.
"""


def document() -> str:
    """The text of docs/settings.md."""
    whole = described()
    sections = [text for key, part in whole["properties"].items() for text in _sections(whole, key, part)]
    head = _HEAD.replace("DATA_TYPES", ", ".join(f"`{data}`" for data in DataType))
    return "\n".join((head, *sections, _FOOT))


def _sections(whole: Schema, path: str, part: Schema) -> Iterator[str]:
    """The tables at one key of the file and below it; a table for each kind."""
    for named in part.get("patternProperties", {}).values():
        path, part = f"{path}.NAME", named
    for model in _models(whole, part):
        fields: Schema = model["properties"]
        below = {name: field for name, field in fields.items() if _models(whole, field)}
        if len(below) < len(fields):
            yield _table(path, model)
        for name, field in below.items():
            yield from _sections(whole, f"{path}.{name}", field)


def _models(whole: Schema, part: Schema) -> list[Schema]:
    """The tables that a value can be: none for a text or number, several where the kind decides."""
    if "$ref" in part:
        found = whole["$defs"][part["$ref"].rpartition("/")[2]]
        return [found] if "properties" in found else []
    inner = [*part.get("oneOf", ()), *part.get("anyOf", ()), *([part["items"]] if "items" in part else ())]
    return [model for choice in inner for model in _models(whole, choice)]


def _table(path: str, model: Schema) -> str:
    kind = model["properties"].get("kind", {}).get("const")
    title = f"## `[{path}]`" + (f" with `kind = {json.dumps(kind)}`" if kind else "")
    required = model.get("required", ())
    rows = [_row(name, field, needed=name in required) for name, field in _fields(model).items()]
    about = " ".join(model.get("description", "").split())
    return "\n".join((title, "", about, "", "| key | type | default | meaning |", "|---|---|---|---|", *rows, ""))


def _fields(model: Schema) -> dict[str, Schema]:
    """The keys in reading order: `kind` first, then what must be there."""
    required = model.get("required", ())
    return dict(sorted(model["properties"].items(), key=lambda item: (item[0] != "kind", item[0] not in required)))


def _row(name: str, field: Schema, *, needed: bool) -> str:
    default = "**required**" if needed else "–" if field.get("default") is None else f"`{json.dumps(field['default'])}`"
    return f"| `{name}` | {_type(field)} | {default} | {field.get('description', '')} |"


def _type(field: Schema) -> str:
    if "const" in field:
        return f"`{json.dumps(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    if "$ref" in field:
        return _named(field["$ref"].rpartition("/")[2])
    if "anyOf" in field or "oneOf" in field:
        choices = [_type(choice) for choice in (*field.get("anyOf", ()), *field.get("oneOf", ()))]
        return " or ".join(dict.fromkeys(choice for choice in choices if choice != "null"))
    if field.get("type") == "array":
        return f"list of {_type(field['items'])}"
    return str(field.get("format") or _WORDS.get(field.get("type", ""), field.get("type", "table")))


_WORDS = {"string": "text", "integer": "whole number", "boolean": "true / false", "object": "table"}


def _named(definition: str) -> str:
    found = described()["$defs"][definition]
    return _type(found) if "enum" in found else "table"


if __name__ == "__main__":
    sys.stdout.buffer.write(document().encode())
