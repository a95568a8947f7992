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
    """The tree, changed to local names only; where two attributes then share a name, the one without a prefix stays."""
    for element in tree.iter("*"):
        element.tag = etree.QName(element).localname
        for name, value in list(element.attrib.items()):
            plain = etree.QName(name).localname
            if name != plain:
                del element.attrib[name]
                element.set(plain, element.get(plain, value))
    etree.cleanup_namespaces(tree)
    return tree


def text_of(element: etree._Element | None) -> str:
    """The element's trimmed text, "" where there is none (docs/appliance.md 3.1)."""
    return "" if element is None else (element.text or "").strip()


_FAULTS = {code: name for name, code in vars(etree.ErrorTypes).items() if isinstance(code, int)}


def fault(error: etree.XMLSyntaxError) -> str:
    """What is wrong with XML, and where; the parser's own words would quote it."""
    kind = _FAULTS.get(getattr(error, "code", 0), "malformed").removeprefix("ERR_").replace("_", " ").lower()
    line, column = error.position
    return f"malformed XML: {kind}, line {line}, column {column}"
