"""What a command's `--json` holds, told once beside the command: by it docs/json.md is written, and tests compare what it prints.

A shape is a mapping of keys, a list with one shape, a :class:`ByName`, or at its leaves a :class:`Key`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class Key:
    """A value: what it means, and an example, which has its type. `null`: when it is null; `only`: when it is there at all."""

    means: str
    example: Any
    null: str = ""
    only: str = ""


@dataclass(frozen=True, slots=True)
class ByName:
    """An object whose keys are names that only the result knows, such as `example`, each with a value of one shape."""

    name: str
    example: str
    value: Shape


@dataclass(frozen=True, slots=True)
class Told:
    """Whatever another page tells of."""

    where: str


Shape = Mapping[str, Any] | list[Any] | ByName | Told | Key


def type_of(example: object) -> str:
    """The type of a value in a reader's words."""
    if isinstance(example, bool):
        return "true or false"
    if isinstance(example, str):
        return "time" if _TIME.fullmatch(example) else "text"
    if isinstance(example, list):
        return f"list of {type_of(example[0])}s"
    return "integer" if isinstance(example, int) else "number"


def leaves(shape: Shape, path: str = "") -> Iterator[tuple[str, Key | Told]]:
    """Each value that the shape tells of, with its path as docs/json.md writes it: `runs[].id`."""
    match shape:
        case Key() | Told():
            yield path, shape
        case ByName():
            yield from leaves(shape.value, f"{path}.<{shape.name}>".removeprefix("."))
        case list():
            yield from leaves(shape[0], f"{path}[]")
        case _:
            for name, inner in shape.items():
                yield from leaves(inner, f"{path}.{name}".removeprefix("."))


def example(shape: Shape) -> Any:
    """A value of this shape, made of the examples."""
    match shape:
        case Key():
            return shape.example
        case Told():
            return {}
        case ByName():
            return {shape.example: example(shape.value)}
        case list():
            return [example(shape[0])]
        case _:
            return {name: example(inner) for name, inner in shape.items()}


def differences(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """In what a value is not of this shape: keys that are told but missing or not told, values of another type."""
    match shape:
        case Told():
            return
        case Key():
            if not _fits(shape, value):
                yield f"{path} is {json.dumps(value)}, told as {type_of(shape.example)}"
        case ByName() | Mapping() if not isinstance(value, dict):
            yield f"{path or 'it'} is no object"
        case ByName():
            for name, inner in value.items():
                yield from differences(shape.value, inner, f"{path}.{name}")
        case list():
            if not isinstance(value, list):
                yield f"{path} is no list"
                return
            for inner in value:
                yield from differences(shape[0], inner, f"{path}[]")
        case _:
            yield from _different_keys(shape, value, f"{path}." if path else "")


def _different_keys(shape: Mapping[str, Any], value: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name in value.keys() - shape.keys():
        yield f"{prefix}{name} is not told"
    for name, inner in shape.items():
        if name in value:
            yield from differences(inner, value[name], prefix + name)
        elif not (isinstance(inner, Key) and inner.only):
            yield f"{prefix}{name} is missing"


def _fits(key: Key, value: object) -> bool:
    if value is None:
        return bool(key.null)
    if isinstance(key.example, list):
        return isinstance(value, list) and all(type_of(one) == type_of(key.example[0]) for one in value)
    told = type_of(key.example)
    return type_of(value) == told or (told, type_of(value)) == ("number", "integer")
