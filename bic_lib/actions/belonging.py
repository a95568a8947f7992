"""Which site a stored file belongs to: by the host in its name, as the vendor's program and bic name files; never by guess."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from pathlib import PurePath

from bic_lib.actions.selection import unusable_sites
from bic_lib.core import naming
from bic_lib.core.errors import UsageError
from bic_lib.core.model import Document
from bic_lib.engine.app import App

_LABEL = r"[^\W_]+(?:-+[^\W_]+)*"
_TOP = r"(?:xn--[a-z0-9-]+|[^\W\d_]{2,})(?![^\W_])"
_ADDRESS = r"\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"
_BEGINS = re.compile(rf"((?:{_LABEL}\.)+{_TOP}|{_ADDRESS})(?:[:_]\d+)?-")
"""A host name in any script or an address, with its port, before the hyphen that the vendor's program and bic put behind it."""
_HOST = re.compile(rf"(?:(?<![\w.])|(?<=_))(?:(?:{_LABEL}\.){{2,}}{_TOP}|{_ADDRESS})")
"""One anywhere else, of three labels at least: `backup.old` is none."""
_LINK = re.compile(r"\s*https://([^\s/?#@]+)")
_HOST_ENDS = r"(?:-|(?![^\W_]|\.[^\W\d_]))"
_HINT = "If it is the same appliance, give the file another name."


def owner(app: App, path: PurePath, site: str | None = None) -> str:
    """The site of a file that is called so from the folder on that was named: the one whose host its name begins with or its
    folder is called by; else `site`, or the only one where no other host is in these names.

    Raises UsageError where none can be told, or not one that may be used.
    """
    name, *folders = (_plain(part) for part in (path.stem, *reversed(path.parts[:-1])))
    found = _beginning(app, name) or next(filter(None, (_called(app, folder) for folder in folders)), None)
    if found is None and (another := _BEGINS.match(name)):
        raise UsageError(f"its name begins with another host, {another[1]}", hint=_HINT)
    if found and site and found != site:
        raise UsageError(f"its name has the host of the site {found}")
    found = found or site or _only(app, name, folders)
    if problems := unusable_sites(app, [found]):
        raise UsageError(*problems)
    return found


def anothers(app: App, document: Document, belongs: str) -> str:
    """Why a session is another site's: by its links, which its own appliance wrote; "" where nothing says so.

    An appliance may be known by more hosts than one, so a host that no site has says nothing.
    """
    links = (child.text or "" for child in document.record.iterchildren("*") if str(child.tag).endswith("_url"))
    hosts = {_bare(link[1]) for link in map(_LINK.match, links) if link}
    linked = [one.name for one in app.sites.values() if _bare(one.host) in hosts]
    if not linked or belongs in linked:
        return ""
    return f"session {document.lsid}: its links lead to the host of the site {linked[0]}"


def _only(app: App, name: str, folders: list[str]) -> str:
    """The only site. Raises UsageError where there are several, or another host's name is in these names."""
    if len(app.sites) != 1:
        raise UsageError("its name begins with no configured host; name the site")
    others = [_HOST.search(name), *map(_HOST.fullmatch, folders)]
    if another := next(filter(None, others), None):
        raise UsageError(f"its name has another host, {another[0]}: name the site")
    return next(iter(app.sites))


def _beginning(app: App, name: str) -> str | None:
    """The site whose host a file's name begins with; of several ports of one host none is meant without its port."""
    many = Counter(_bare(site.host) for site in app.sites.values())
    for site in sorted(app.sites.values(), key=lambda one: -len(one.host)):
        host, _, port = _plain(site.host).partition(":")
        port = rf"[:_]{port or 443}(?!\d)"
        if re.match(rf"{re.escape(host)}(?:{port}|{'(?!:)' if many[host] == 1 else port}){_HOST_ENDS}", name):
            return site.name
    return None


def _called(app: App, folder: str) -> str | None:
    """The site whose host a folder is called by, as above."""
    exact = [one.name for one in app.sites.values() if folder == _plain(one.host)]
    bare = [one.name for one in app.sites.values() if folder == _bare(one.host)]
    found = exact or bare
    return found[0] if len(found) == 1 else None


def _bare(host: str) -> str:
    return _plain(host).partition(":")[0]


def _plain(name: str) -> str:
    """As hosts are compared: what file names can't hold is escaped in them, and some systems take letters apart."""
    return unicodedata.normalize("NFC", naming.unescaped(name)).casefold()
