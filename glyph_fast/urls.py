"""URLs that users give."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit


def is_sound_url(url: str, schemes: Collection[str]) -> bool:
    """Whether a URL has one of the schemes, a host, and a port that can be, where it has one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not match, a port that is none
        return False
