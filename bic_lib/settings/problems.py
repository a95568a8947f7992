"""pydantic's complaints in the words of an administrator: `path.in.file: what is wrong; what would be right`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Tag
from pydantic_core import ErrorDetails

from bic_lib.core.meant import meant
from bic_lib.settings.visible import shown

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class _Spot:
    """A place in the settings file: its path, what is declared for it, the keys known beside it."""

    path: str
    declared: Any
    description: str = ""
    beside: tuple[str, ...] = ()


def problem(form: type[BaseModel], details: ErrorDetails) -> str:
    """One line for one complaint about a file that should have been `form`. Quotes no value but short wrong choices."""
    spot = _Spot("", form)
    for step in details["loc"]:
        spot = _step(spot, step)
    path = spot.path
    if details["type"].startswith("union_tag"):
        path = f"{path}.kind"
    return f"{path}: {_words(details, spot)}"


# --- the way there ---------------------------------------------------------------------------------------------------


def _step(spot: _Spot, step: str | int) -> _Spot:
    declared = _unwrapped(spot.declared)
    if step == "[key]":
        return spot
    if isinstance(declared, type) and issubclass(declared, BaseModel):
        fields = {field.alias or name: field for name, field in declared.model_fields.items()}
        field = fields.get(str(step))
        path = joined(spot.path, step)
        return _Spot(path, field.annotation if field else None, (field.description or "") if field else "", tuple(fields))
    if get_origin(declared) in {Union, UnionType}:
        return _Spot(spot.path, _branch(declared, step), spot.description)
    inner = get_args(declared)
    declared = (inner[1] if get_origin(declared) is dict else inner[0]) if inner else None
    return _Spot(joined(spot.path, step), declared, spot.description)


def joined(path: str, step: str | int) -> str:
    """The path of what lies at a key or number below a path, as it is written in TOML and in every message."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    key = step if _BARE_KEY.fullmatch(step) else json.dumps(step, ensure_ascii=False)
    return f"{path}.{key}" if path else key


def within(problem: str, path: str) -> bool:
    """Whether a problem is at this path or below it."""
    return problem.startswith(path) and problem[len(path) : len(path) + 1] in {":", ".", "["}


def _unwrapped(declared: Any) -> Any:
    """Without `Annotated` and without `| None`: neither is a step of its own."""
    if get_origin(declared) is Annotated:
        return _unwrapped(get_args(declared)[0])
    if get_origin(declared) in {Union, UnionType}:
        members = [member for member in get_args(declared) if member is not NoneType]
        return _unwrapped(members[0]) if len(members) == 1 else declared
    return declared


def _tag(member: Any) -> str:
    """By what pydantic tells this branch of a choice from the others: its kind, or the tag it was given."""
    tags = [part.tag for part in get_args(member) if isinstance(part, Tag)]
    if tags:
        return tags[0]
    kind = member.model_fields.get("kind") if isinstance(member, type) and issubclass(member, BaseModel) else None
    return str(get_args(kind.annotation)[0]) if kind else ""


def _branch(declared: Any, tag: str | int) -> Any:
    return next((member for member in get_args(declared) if _tag(member) == tag), None)


# --- the words -------------------------------------------------------------------------------------------------------

_WRONG_TYPE = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number, without quotes",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false, without quotes",
    "tuple_type": "must be a list in square brackets",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}

_BOUNDS = {
    "greater_than_equal": ("is too small", "at least {ge}"),
    "greater_than": ("is too small", "more than {gt:g}"),
    "less_than_equal": ("is too large", "at most {le}"),
}


def _words(details: ErrorDetails, spot: _Spot) -> str:
    kind, ctx = details["type"], details.get("ctx", {})
    if kind == "value_error":
        return str(ctx["error"])
    if kind in _WRONG_TYPE:
        return f"{_WRONG_TYPE[kind]}; {_right(spot)}"
    if kind in _BOUNDS:
        wrong, right = _BOUNDS[kind]
        return f"{wrong}; {right.format(**ctx)}"
    return _choice(kind, details, spot)


def _choice(kind: str, details: ErrorDetails, spot: _Spot) -> str:
    ctx = details.get("ctx", {})
    match kind:
        case "missing":
            wrong, right = "missing", _right(spot)
        case "extra_forbidden":
            wrong, right = "unknown key", meant(str(details["loc"][-1]), spot.beside)
        case "too_short":
            wrong, right = "is empty", f"at least one: {_right(spot)}"
        case "enum" | "literal_error":
            wrong, right = f"{shown(details['input'])}is not known", f"one of {ctx['expected']}"
        case "union_tag_invalid":
            wrong, right = f"{shown(ctx['tag'])}is not known", f"one of {_kinds(spot)}"
        case "union_tag_not_found":
            wrong, right = "missing", f"one of {_kinds(spot)}"
        case _:
            wrong, right = details["msg"], _right(spot)
    return f"{wrong}; {right}"


def _kinds(spot: _Spot) -> str:
    return ", ".join(_tag(member) for member in get_args(_unwrapped(spot.declared)))


def _right(spot: _Spot) -> str:
    return spot.description or "see docs/settings.md"
