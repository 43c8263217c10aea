"""Under which names the nodes of a server speak to each other at a broker.

    PREFIX.VERSION.KIND.{NAME}

No name that a client chooses reaches another subject, key or slot: it is base64url after a letter,
so it has no dot, star, blank or brace; one that would be long is its digest, and what is said there
carries the whole name. The braces make all that belongs to a room one slot of a Redis cluster.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64encode

VERSION = 1  # of subjects and keys: nodes of other versions neither hear nor disturb each other
PREFIX = "glyph"

# Kinds.
ROOM = b"r"  # to the members of a room
USER = b"u"  # to the connections of a user
ALL = b"a"  # to everybody
NODES = b"n"  # of nodes to nodes
INBOX = b"i"  # to one node; the name is its id
PRESENCE = b"p"  # who is in a room

LONGEST = 120  # bytes of a name that is written out
_PREFIXES = re.compile(r"[A-Za-z0-9_-]{1,64}")


def encode(name: str | bytes) -> bytes:
    """A name as a part of subjects and keys: one of `A-Z a-z 0-9 _ -`, never empty."""
    raw = name.encode("utf-8", "surrogatepass") if isinstance(name, str) else name
    if len(raw) > LONGEST:
        return b"h" + urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=")
    return b"b" + urlsafe_b64encode(raw).rstrip(b"=")


class Subjects:
    """The subjects of one server; those with other prefixes share its broker undisturbed."""

    def __init__(self, prefix: str = PREFIX) -> None:
        if not _PREFIXES.fullmatch(prefix):
            raise ValueError(
                f"a prefix is 1 to 64 letters, digits, dashes and underscores, not {prefix!r}"
            )
        self._begin = b"%b.%d." % (prefix.encode(), VERSION)

    def of(self, kind: bytes, name: str | bytes = b"") -> bytes:
        """The subject of a kind and a name."""
        return b"%b%b.{%b}" % (self._begin, kind, encode(name))
