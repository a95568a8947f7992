"""Hosts of Azure's services, in the public cloud, that of the US government and that of China: a token is sent to no other.

Loopback hosts stand for them, for emulators: a token that is sent to the own machine goes nowhere.
"""

from __future__ import annotations

import re

BLOB = ("blob.core.windows.net", "blob.core.usgovcloudapi.net", "blob.core.chinacloudapi.cn", "blob.storage.azure.net")
TABLE = ("table.core.windows.net", "table.core.usgovcloudapi.net", "table.core.chinacloudapi.cn", "table.storage.azure.net")
VAULT = ("vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn")
DATABASE = ("database.windows.net", "database.usgovcloudapi.net", "database.chinacloudapi.cn")
LOOPBACK = frozenset({"127.0.0.1", "localhost"})

_URL = re.compile(r"https?://([A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:/[^\s?#\\]*)?")


def host(url: str) -> str:
    """The host of a URL without user, query and fragment; empty where two libraries might read different ones."""
    match = _URL.fullmatch(url)
    return match[1].lower() if match else ""


def takes_tokens(name: str, service: tuple[str, ...]) -> bool:
    """Whether this host is one of a service's, such as :data:`BLOB`, or this machine."""
    return name in LOOPBACK or name.endswith(tuple(f".{suffix}" for suffix in service))


def below_account(url: str) -> list[str]:
    """The steps of a blob URL's path: a container, and what stands behind it. An emulator has its account's name first."""
    steps = [step for step in _path(url).split("/") if step]
    return steps[1:] if host(url) in LOOPBACK else steps


def _path(url: str) -> str:
    return url.partition("://")[2].partition("/")[2]
