"""Origins (RFC 6454): one grammar, for those that options allow and those that browsers send.

With two of them, what the options accept could fail at the request. An origin is a scheme, a host
and a port; of a scheme that is nobody's on the network (`file://`, `app://.`, an extension's) the
host means nothing to us, and may be empty.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address

Origin = tuple[str, str, int]  # scheme, host, port

ANYBODY = ("*", "null")  # rules that name nobody

MAX_ORIGIN = 512  # characters of a scheme, a host (253 at most by RFC 1035 §2.3.4) and a port
_DEFAULT_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_ORIGIN = re.compile(r"([a-z][a-z0-9+.\-]*)://(\[[0-9a-f:.]+\]|[^\[\]:/]*)(?::([0-9]{0,5}))?")
_DOMAIN = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?")
_OPAQUE = re.compile(r"[a-z0-9._~!$&'()+;=%-]*")  # RFC 3986 §3.2.2, less what lists and rules need


def check_origin(origin: str | None, host: str, allowed: Sequence[str], scheme: str) -> bool:
    """Return whether a page of `origin` may open a WebSocket here (RFC 6455 §10.2).

    Without `allowed`: when its host and port are those of `host` (the Host field), defaults filled
    in, `scheme` ("http" or "https") being how the request came. A page that came by https while the
    request did not has met a proxy in front that speaks TLS, so its default port is the one meant.
    With `allowed`: when that lists it, as an exact origin, as `https://*.example.com` (any
    subdomain, not the domain itself), or as `*`. No origin at all means no browser, and is allowed.
    ValueError for an entry of `allowed` that `origin_rule` refuses.
    """
    if origin is None:
        return True
    if allowed:
        return any(_matches(origin, rule) for rule in allowed)
    if origin == f"{scheme}://{host}" and host:
        return True  # nearly always, and at a tenth of the price
    page = split_origin(origin)
    if page is None or page[0] not in ("http", "https"):
        return False
    if page[0] == "https":
        scheme = "https"
    server = split_origin(f"{scheme}://{host}")
    return server is not None and page[1:] == server[1:]


def origin_rule(text: str) -> str:
    """A rule of `allowed` in lower case: an origin, one with `*.` before its host, `*` or `null`.

    ValueError for anything else.
    """
    lowered = text.lower()
    _read_rule(lowered)
    return lowered


def split_origin(text: str) -> Origin | None:
    """The parts of an origin with its default port filled in (RFC 6454 §4), None if it is none."""
    match = None if len(text) > MAX_ORIGIN else _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    number = int(port) if port else _DEFAULT_PORTS.get(scheme, 0)
    if number > 65535:
        return None
    if host.startswith("["):
        try:
            host = IPv6Address(host[1:-1]).compressed  # one address has many spellings
        except ValueError:
            return None
    elif not (_DOMAIN if scheme in _DEFAULT_PORTS or port else _OPAQUE).fullmatch(host):
        return None
    return scheme, host, number


@lru_cache(maxsize=256)  # the rules are the operator's: few, and the same for every handshake
def _read_rule(rule: str) -> tuple[Origin, bool] | None:
    """The origin, and whether its subdomains are meant; None for a rule that names nobody."""
    if rule in ANYBODY:
        return None
    is_pattern = "://*." in rule
    parts = split_origin(rule.replace("://*.", "://", 1))
    if parts is None or is_pattern and not _DOMAIN.fullmatch(parts[1]):
        raise ValueError(
            f"bad origin {rule!r}: expected https://example.com, https://*.example.com or file://"
        )
    return parts, is_pattern


def _matches(origin: str, rule: str) -> bool:
    wanted = _read_rule(rule.lower())
    if wanted is None:
        return rule == "*" or origin == rule
    given, (parts, is_pattern) = split_origin(origin), wanted
    if given is None or not is_pattern:
        return given == parts
    return given[0] == parts[0] and given[2] == parts[2] and given[1].endswith("." + parts[1])
