"""The two command API answers that a preflight reads (docs/appliance.md 7.2, 7.3); both need the optional command right."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lxml import etree

from bic_lib.appliance.answers import message, report_error
from bic_lib.appliance.safe_xml import fault, hardened, text_of, without_namespaces
from bic_lib.core.errors import Unexpected


@dataclass(frozen=True, slots=True)
class ApiInfo:
    """`get_api_info`. `timestamp` is the appliance's clock (Unix seconds); permissions are named as in docs/appliance.md 1.18."""

    api_version: str
    timestamp: int | None
    permissions: dict[str, str]


def api_info(content: bytes) -> ApiInfo:
    """Raises Refused or Unexpected for an `<error>` answer, Unexpected for anything else."""
    root = _root(content, "api_information")
    timestamp = text_of(root.find("timestamp"))
    return ApiInfo(
        api_version=text_of(root.find("api_version")),
        timestamp=int(timestamp) if re.fullmatch("[0-9]{1,10}", timestamp) else None,
        permissions={entry.get("name", ""): text_of(entry) for entry in root.iter("permission")},
    )


def failover_role(content: bytes) -> str:
    """The role told by `check_health`, "" where none is told. Raises as :func:`api_info`."""
    return text_of(_root(content, "health_check").find("failover_role"))


def _root(content: bytes, name: str) -> etree._Element:
    if b"<!DOCTYPE" in content:
        raise Unexpected("the command API's answer has a DOCTYPE, which an appliance never sends: refused")
    try:
        root = without_namespaces(etree.fromstring(content.lstrip(), hardened()))
    except etree.XMLSyntaxError as error:
        raise Unexpected(f"the command API's answer is no XML: {fault(error)}") from error
    if root.tag != name or root.find("error") is not None:
        raise report_error("the command API", message(content))
    return root
