"""Web pages, by what they begin with: nobody that we ask for data sends one, and what stands in between does."""

from __future__ import annotations

import re

PROLOG = r"(?>\s+|\ufeff|<\?[^<>]*>|<!--.*?-->)*+"
"""What may stand before the first tag; it is never gone back into, so that the time is in step with the text."""
_WEB_PAGE = re.compile(PROLOG + r"<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)


def is_web_page(text: str) -> bool:
    """Whether an answer is an HTML page (docs/appliance.md 8.1)."""
    return _WEB_PAGE.match(text) is not None
