"""XML text as the appliance's templates write it: irregular white space included (docs/appliance.md 3.1, 3.14)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b

LINKS_HOST = "support.example.com"


@lru_cache(maxsize=4096)
def text(value: str) -> str:
    """Escaped for element content."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


@lru_cache(maxsize=4096)
def attribute(value: str) -> str:
    """Escaped for an attribute in double quotes; white space survives the parser's normalisation."""
    return text(value).replace('"', "&quot;").replace("\n", "&#10;").replace("\t", "&#9;")


def instant(name: str, stamp: int) -> str:
    """An instant as 3.2 says: ISO 8601 text, and the Unix seconds in `timestamp`."""
    iso = datetime.fromtimestamp(stamp, UTC).isoformat()
    return f'\t<{name} timestamp="{stamp}">{iso}</{name}>\n'


def clock_time(seconds: int) -> str:
    """A duration, HH:MM:SS; hours may exceed 99."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def optional(name: str, value: str) -> str:
    """A line of a participant; left out when there is no value."""
    return f"\t\t<{name}>{text(value)}</{name}>\n" if value else ""


def values(pairs: Iterable[tuple[str, object]]) -> str:
    """The name-value pairs of an event."""
    lines = "".join(f'\t\t<value name="{name}" value="{attribute(str(value))}" />\n' for name, value in pairs)
    return f"\t<data>\n{lines}\t</data>\n"


class Links:
    """The signed addresses in one answer: their check values come from `nonce`, which differs from answer to answer."""

    def __init__(self, nonce: str = "") -> None:
        self._nonce = nonce.encode()

    def signed(self, lsid: str, mode: str, suffix: str = "") -> str:
        """A session_download address (5.2), escaped for XML."""
        check = blake2b(f"{lsid}{mode}".encode(), key=self._nonce, digest_size=20).hexdigest()
        packed = f"l%3D{lsid}%3Bh%3D{check}%3Bt%3Dsd%3Bm%3D{mode}"
        return f"https://{LINKS_HOST}/session_download?lsid={packed}&amp;dl_action={mode}{suffix}"

    def pair(self, prefix: str, lsid: str, mode: str) -> str:
        """The elements `<prefix>_view_url` and `<prefix>_download_url`."""
        address = self.signed(lsid, mode)
        return (
            f"\t<{prefix}_view_url>{address}&amp;view=1</{prefix}_view_url>\n"
            f"\t<{prefix}_download_url>{address}</{prefix}_download_url>\n"
        )

    def instances(self, name: str, lsid: str, mode: str, count: int) -> str:
        """The list of recordings of 3.5; nothing when there are none."""
        if not count:
            return ""
        lines = [f"\t<{name}s>\n"]
        for number in range(count):
            address = self.signed(lsid, mode, f"&amp;instance={number}")
            lines.append(
                f'\t\t<{name} instance="{number}">\n\t\t\t<download_url>{address}</download_url>\n'
                f"\t\t\t<view_url>{address}&amp;view=1</view_url>\n\t\t</{name}>\n"
            )
        lines.append(f"\t</{name}s>\n")
        return "".join(lines)
