"""Slots of a cluster: that of a name, and which primary has which, as its servers tell.

Servers learn of a change one after the other, and one that is cut off does not learn of it. So a
slot is taken to be where most of those that were asked say that it is.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ....errors import BrokerUnavailable
from ....options.values import Address

SLOTS = 16384

Owners = list["Address | None"]  # by slot
NOBODY: Owners = [None] * SLOTS

# What an error begins with by which a server says that it has done nothing, and others may.
_ELSEWHERE = ("MOVED ", "ASK ", "TRYAGAIN", "CLUSTERDOWN")


class Range(NamedTuple):
    """Slots, and the primary that has them."""

    first: int
    last: int
    primary: Address


def slot_of(name: bytes) -> int:
    """The slot of a key or channel: of what stands in its first braces, if anything does."""
    begin = name.find(b"{") + 1
    end = name.find(b"}", begin) if begin else -1
    return crc_hqx(name[begin:end] if end > begin else name, 0) % SLOTS


def is_elsewhere(error: object) -> bool:
    """Whether a server has refused something as it is, or soon will be, for another one."""
    return isinstance(error, Exception) and str(error).startswith(_ELSEWHERE)


def read_slots(answer: Any, asked: Address) -> tuple[Range, ...]:
    """What a server that was asked at an address answers. Raises BrokerUnavailable for nonsense."""
    try:
        return tuple(sorted(_range(each, asked) for each in answer))
    except (TypeError, ValueError, IndexError, AttributeError):
        raise BrokerUnavailable("a server does not say where the slots are") from None


def _range(told: Any, asked: Address) -> Range:
    first, last, (host, port, *_), *_ = told
    if not (0 <= first <= last < SLOTS and 0 < port < 65536):
        raise ValueError
    return Range(first, last, Address(host.decode() if host else asked.host, port))


def elect(views: Sequence[tuple[Range, ...]], present: Owners) -> Owners:
    """Who has which slot, as most views have it; where as many say another, as it was."""
    maps = [_owners(view) for view in views]
    edges = {0, SLOTS} | {at for view in views for one in view for at in (one.first, one.last + 1)}
    found: Owners = []
    for first, end in pairwise(sorted(edges)):
        votes = Counter(at for each in maps if (at := each[first]) is not None)
        most = max(votes.values(), default=0)
        best = [each for each, count in votes.items() if count == most]
        if len(best) == 1:
            found += [best[0]] * (end - first)
        else:
            rest = min(best, default=None)
            found += [at if at in best else rest for at in present[first:end]]
    return found


def _owners(view: tuple[Range, ...]) -> Owners:
    owners = list(NOBODY)
    for first, last, primary in view:
        owners[first : last + 1] = [primary] * (last + 1 - first)
    return owners
