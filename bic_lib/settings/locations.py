"""Places as they are written in `bic.toml`: hosts, URLs, containers, folders, shares; each check raises ValueError."""

from __future__ import annotations

import re
import sys
from urllib.parse import urlsplit

from pydantic import AfterValidator

from bic_lib.core import azure_hosts
from bic_lib.core.miscopied import in_quotes
from bic_lib.settings.visible import shown, visible

_HOST_NAME = re.compile(r"(?![-.])[\w.-]{1,253}(?<![-.])|\[[0-9A-Fa-f:.]+\]")
_DRIVE = re.compile(r"[A-Za-z]:")
_UNC = re.compile(r"(\\\\|//)([^\\/\s]+)[\\/][^\\/]+([\\/].*)?", re.DOTALL)
_CONTAINER_NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}")
_ACCOUNT = re.compile(r"[a-z0-9]+")
"""A storage account's name; its copy that is read only has one with a hyphen."""
_OWN_CONTAINERS = frozenset({"$root", "$web"})
"""Containers of Azure's that may be written to."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_SERVER = re.compile(r"[\w.-]{1,253}")
_SHELL = re.compile(r"^~(?=$|[\\/])|%\w+%|\$\w+|\$\{\w+\}")


def host(text: str) -> str:
    if "://" in text:
        raise ValueError('has a scheme; only the host name, such as "support.example.com" (always https)')
    name, port = _split_port(text)
    if not _HOST_NAME.fullmatch(name) or re.search(r"[@/]|\.\.", text):
        raise ValueError('is no host name; such as "support.example.com" or "support.example.com:8443", without user and path')
    if port is not None and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError("has no usable port; a number from 1 to 65535 after the colon")
    return text


def _split_port(text: str) -> tuple[str, str | None]:
    head, colon, tail = text.rpartition(":")
    return (head, tail) if colon and not text.endswith("]") else (text, None)


def mail_host(text: str) -> str:
    if _split_port(text)[1] is not None and "://" not in text:
        raise ValueError('has a port; the host name alone, and the port as "port"')
    return host(text)


def https(text: str) -> str:
    try:
        url = urlsplit(text)
        well = url.scheme == "https" or (url.scheme == "http" and url.hostname in azure_hosts.LOOPBACK)
        well = well and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        well = False
    if not well or re.search(r"\s", text):
        raise ValueError('is no https URL; the whole address, beginning with "https://"')
    if "@" in url.netloc:
        raise ValueError("holds a user or password; the plain URL (who enters is set in [identity])")
    if url.query or url.fragment:
        raise ValueError("has a query or signature; the plain URL (a signed one belongs into a connection by env: or keyvault:)")
    return text


def web(text: str) -> str:
    """A URL whose answers prove themselves, so that plain HTTP will do."""
    if re.match(r"http://", text):
        https(text.replace("http://", "https://", 1))
        return text
    return https(text)


def azure(service: tuple[str, ...], otherwise: str) -> AfterValidator:
    """A service's URL that is entered by tokens. `otherwise` is what to do for any other host."""

    def check(text: str) -> str:
        if not azure_hosts.takes_tokens(azure_hosts.host(https(text)), service):
            raise ValueError(f"is no host of Azure, and a token is sent to no other; one that ends in {service[0]}, {otherwise}")
        return text

    return AfterValidator(check)


def container_url(text: str) -> str:
    """The URL of a container itself, without what would be a folder in it."""
    account = azure_hosts.host(text).partition(".")[0]
    if azure_hosts.host(text) not in azure_hosts.LOOPBACK and (not _ACCOUNT.fullmatch(account) or ".privatelink." in text):
        own = f"{account.removesuffix('-secondary')}.{azure_hosts.BLOB[0]}"
        raise ValueError(f'is not the account\'s own host; "{own}", wherever its DNS leads')
    if "//" in text.partition("://")[2]:
        raise ValueError("has an empty step, //; one / between its parts")
    steps = azure_hosts.below_account(text)
    if not steps:
        raise ValueError('names an account without a container; "https://ACCOUNT.blob.core.windows.net/CONTAINER"')
    name, *folders = steps
    if folders:
        folder = "/".join(folders)
        url = text.rstrip("/").removesuffix(f"/{folder}")
        raise ValueError(f'goes on behind the container "{name}"; container_url = "{url}", directory = "{folder}"')
    container(name)
    return text


def container(name: str) -> str:
    """A container's name."""
    if not _CONTAINER_NAME.fullmatch(name) and name not in _OWN_CONTAINERS:
        raise ValueError(f"names no container: {shown(name)}; 3 to 63 lower-case letters, digits and single hyphens, or $root")
    return name


def local_directory(text: str) -> str:
    if found := _SHELL.search(text):
        raise ValueError(f"holds {found[0]}, which only a shell replaces; the whole path, or one from this file's folder on")
    if _SCHEME.match(text):
        raise ValueError("is a URL; a path, as /data/archive or 'D:\\archive'")
    if text.startswith(("\\\\", "//")):
        raise ValueError('is a network path; a local folder, or kind = "smb_share" for shares')
    if _DRIVE.match(text) and sys.platform != "win32":
        raise ValueError("is a Windows drive; a path of this machine, or kind = \"smb_share\" with '\\\\server\\share'")
    if said := in_quotes(text):
        raise ValueError(f"{said}; the path without")
    if "\\" in text and sys.platform != "win32":
        raise ValueError('holds \\, which is part of a name here; folders separated by "/"')
    if _DRIVE.fullmatch(text[:2]) and text[2:3] not in ("\\", "/"):
        raise ValueError("begins at whatever folder is that drive's at the moment; the whole path, as 'D:\\archive'")
    return text


def unc(text: str) -> str:
    visible(text)
    if _DRIVE.match(text):
        raise ValueError("is a drive, and mapped drives exist only for the user who mapped them; '\\\\server\\share\\folder'")
    path = _UNC.fullmatch(text)
    if path is None:
        raise ValueError("is no UNC path; '\\\\server\\share\\folder' in single quotes")
    if not _SERVER.fullmatch(path[2]):
        raise ValueError(f"{shown(path[2])}is no server; '\\\\server\\share\\folder', without port, user and \\\\?\\")
    if ".." in re.split(r"[\\/]", text):
        raise ValueError('leads upwards by ".."; the folder\'s own path')
    return text


def blob_directory(text: str) -> str:
    visible(text)
    steps = text.rstrip("/").split("/") if text else []
    if "\\" in text or not {"", ".", ".."}.isdisjoint(steps):
        raise ValueError('is no folder within a container; such as "support" or "archive/support"')
    return text
