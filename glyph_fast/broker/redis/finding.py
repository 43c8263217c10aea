"""Where the primary is: one of the addresses of the URL, or what Sentinels know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import hiredis

from ...errors import BrokerRefused, BrokerUnavailable
from ...options.broker import SENTINEL, BrokerUrl
from ...options.values import Address, bracketed
from ..absence import LATE
from .connection import Connection, ignore
from .login import authenticate, reach, refusal

SENTINEL_S = 2.0  # for one Sentinel to answer


async def places(url: BrokerUrl) -> AsyncIterator[Address]:
    """The addresses at which the primary may be, one after the other.

    Where no Sentinel tells one, raises BrokerUnavailable, or BrokerRefused if all of them refuse.
    """
    if url.kind != SENTINEL:
        for address in url.addresses:
            yield address
        return
    is_told = False
    failed: Exception | None = None
    for sentinel in url.addresses:
        try:
            primary = await _ask(sentinel, url)
        except (OSError, BrokerUnavailable) as exc:
            if failed is None or isinstance(failed, BrokerRefused):
                failed = _of(sentinel, exc)
        else:
            is_told = True
            yield primary
    if failed is not None and not is_told:
        raise failed


def _of(sentinel: Address, exc: Exception) -> Exception:
    """What is wrong with a Sentinel, which is named: its servers may be at fault, or the URL."""
    kind = BrokerRefused if isinstance(exc, BrokerRefused) else BrokerUnavailable
    place = f"{bracketed(sentinel.host)}:{sentinel.port}"
    return kind(f"Sentinel {place}: {str(exc) or LATE}")


async def _ask(sentinel: Address, url: BrokerUrl) -> Address:
    """The primary that a Sentinel knows. Raises OSError, BrokerRefused and BrokerUnavailable."""
    async with asyncio.timeout(SENTINEL_S):
        conn = await reach(lambda: Connection(ignore), sentinel, url)
        try:
            found = await _primary(conn, url)
        except hiredis.ReplyError as exc:
            raise refusal(exc) from None
        finally:
            conn.abort()
    if found is None:
        raise BrokerUnavailable(f"it knows no primary of the name {url.service!r}")
    if not isinstance(found, list) or len(found) != 2:
        raise BrokerUnavailable("it is no Sentinel")
    return Address(found[0].decode(), int(found[1]))


async def _primary(conn: Connection, url: BrokerUrl) -> object:
    question = "SENTINEL", "get-master-addr-by-name", url.service
    try:
        return await conn.ask(*question)
    except hiredis.ReplyError as exc:
        if not (url.password and str(exc).startswith("NOAUTH")):
            raise
        await authenticate(conn, url)  # only where it asks: most Sentinels have no password
        return await conn.ask(*question)
