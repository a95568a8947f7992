"""Bicep files as far as the checks need them: read with a real grammar, then asked for declarations and properties."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from tests.support import ROOT

INFRA = ROOT / "infra"
FILES = sorted(INFRA.rglob("*.bicep"))


@dataclass(frozen=True)
class Property:
    """One property of an object anywhere in a file, with the source text of its value."""

    name: str
    value: str
    line: int


@dataclass(frozen=True)
class Block:
    """A resource or module declaration: its symbol, its type or path, its properties at any depth."""

    symbol: str
    kind: str
    node: Node

    @property
    def properties(self) -> list[Property]:
        return [_property(node) for node in walk(self.node) if node.type == "object_property"]

    def under(self, name: str) -> list[Property]:
        """The direct properties of the object that is the value of `name`, in the block itself and not in one nested in it."""
        for node in walk(self.node):
            if node.type == "object_property" and _name(node) == name:
                values = [child for child in node.named_children if child.type == "object"]
                return [_property(child) for value in values for child in value.named_children if child.type == "object_property"]
        return []


class File:
    """A parsed file."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        self.path = path
        parser = Parser(Language(tree_sitter_bicep.language()))
        self.root = parser.parse(path.read_bytes() if content is None else content).root_node

    @property
    def errors(self) -> list[str]:
        wrong = (node for node in walk(self.root) if node.is_error or node.is_missing)
        return [f"{self.path.name}:{node.start_point.row + 1}: {text(node)[:60]}" for node in wrong]

    @property
    def parameters(self) -> dict[str, bool]:
        """Name of each parameter, and whether it has a default."""
        found = {}
        for node in self.root.named_children:
            if node.type == "parameter_declaration":
                identifier = next(child for child in node.named_children if child.type == "identifier")
                found[text(identifier)] = "=" in text(node)
        return found

    @property
    def outputs(self) -> set[str]:
        declared = (node for node in self.root.named_children if node.type == "output_declaration")
        return {text(node.named_children[0]) for node in declared}

    @property
    def modules(self) -> list[Block]:
        return self._blocks("module_declaration")

    @property
    def resources(self) -> list[Block]:
        """All resources, nested ones too; those that exist already are not among them."""
        return [block for block in self._blocks("resource_declaration") if " existing " not in text(block.node).split("{")[0]]

    @property
    def properties(self) -> list[Property]:
        return [_property(node) for node in walk(self.root) if node.type == "object_property"]

    def _blocks(self, kind: str) -> list[Block]:
        return [_block(node) for node in walk(self.root) if node.type == kind]


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from walk(child)


def text(node: Node) -> str:
    return (node.text or b"").decode()


def _block(node: Node) -> Block:
    identifier = next(child for child in node.named_children if child.type == "identifier")
    kind = next(child for child in node.named_children if child.type == "string")
    return Block(text(identifier), text(kind).strip("'"), node)


def _name(node: Node) -> str:
    return text(node.named_children[0]).strip("'")


def _property(node: Node) -> Property:
    value = text(node).partition(":")[2].strip()
    return Property(_name(node), value, node.start_point.row + 1)


def read() -> dict[str, File]:
    """Every Bicep file by its path below infra/."""
    return {path.relative_to(INFRA).as_posix(): File(path) for path in FILES}
