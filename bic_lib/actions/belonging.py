"""Which site a stored file belongs to: by the host that its name begins with, as the vendor's program and bic name files."""

from __future__ import annotations

import re

from bic_lib.actions.selection import unusable_sites
from bic_lib.core import naming
from bic_lib.core.errors import UsageError
from bic_lib.core.model import DataType
from bic_lib.engine.app import App

_HOST = re.compile(r"((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}|\d{1,3}(?:\.\d{1,3}){3})(?:_x003A_\d+)?-", re.IGNORECASE)
"""A whole host name or address, with its port as file names have it, before the hyphen that both put behind it."""


def owner(app: App, name: str, site: str | None = None) -> str:
    """The site that a file of this name belongs to: `site` or, without it, the one whose host it begins with, or the only one.

    Raises UsageError where the name begins with the host of another site, or with one that no site has.
    """
    found = _by_host(app, name)
    if found is None and (another := _HOST.match(name)):
        hint = "If it is the same appliance, give the file another name."
        raise UsageError(f"its name begins with another host, {another[1]}", hint=hint)
    if found and site and found != site:
        raise UsageError(f"its name begins with the host of the site {found}")
    found = found or site or (next(iter(app.sites)) if len(app.sites) == 1 else None)
    if found is None:
        raise UsageError("its name begins with no configured host; name the site")
    if problems := unusable_sites(app, [found]):
        raise UsageError(*problems)
    return found


def _by_host(app: App, name: str) -> str | None:
    for site in sorted(app.sites.values(), key=lambda one: -len(one.host)):
        host = site.host.partition(":")[0].lower()
        written = naming.location("%SUPPORT_SITE_HOST%", {"SUPPORT_SITE_HOST": site.host}, DataType.SESSIONS).lower()
        if name.lower().startswith((f"{host}-", f"{written}-")):
            return site.name
    return None
