"""XML from an appliance, read without trust: no entities, no network, no DTD, no namespaces (docs/performance.md 4)."""

from __future__ import annotations

from lxml import etree


def hardened(*, huge: bool = False) -> etree.XMLParser:
    """A parser that resolves and fetches nothing and repairs nothing: a repair would hide that a body was cut off.

    `huge` lifts the limit of 10 million characters a text.
    """
    return etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=huge, recover=False
    )


def without_namespaces(tree: etree._Element) -> etree._Element:
    """A copy of the tree with local names only; where two attributes then share a name, the one without a prefix stays.

    (lxml's removal of namespaces takes time that grows with declarations times elements, and stops all threads meanwhile.)
    """
    copy = etree.TreeBuilder()
    for event, node in etree.iterwalk(tree, events=("start", "end", "comment", "pi")):
        if event == "start":
            copy.start(_local(node.tag), _plain(node.attrib))
        elif event == "end":
            copy.end(_local(node.tag))
        elif event == "pi":
            copy.pi(node.target, node.text)
        inner = node.text if event == "start" else node.tail if node is not tree else None
        if inner:
            copy.data(inner)
    return copy.close()


def _plain(attributes: etree._Attrib) -> dict[str | bytes, str | bytes]:
    """Attributes by local names."""
    plain: dict[str | bytes, str | bytes] = {}
    for name, value in sorted(attributes.items(), key=lambda pair: str(pair[0]).startswith("{")):
        plain.setdefault(_local(str(name)), value)
    return plain


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def text_of(element: etree._Element | None) -> str:
    """The element's trimmed text, "" where there is none (docs/appliance.md 3.1)."""
    return "" if element is None else (element.text or "").strip()


_FAULTS = {code: name for name, code in vars(etree.ErrorTypes).items() if isinstance(code, int)}


def fault(error: etree.XMLSyntaxError) -> str:
    """What is wrong with XML, and where; the parser's own words would quote it."""
    kind = _FAULTS.get(getattr(error, "code", 0), "malformed").removeprefix("ERR_").replace("_", " ").lower()
    line, column = error.position
    return f"malformed XML: {kind}, line {line}, column {column}"
