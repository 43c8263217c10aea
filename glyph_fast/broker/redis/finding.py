"""Where the primary is: one of the addresses of the URL, or what Sentinels know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import hiredis

from ...errors import BrokerUnavailable
from ...options.broker import SENTINEL, BrokerUrl
from ...options.values import Address
from .connection import Connection

SENTINEL_S = 2.0  # for one Sentinel to answer


async def places(url: BrokerUrl) -> AsyncIterator[Address]:
    """The addresses at which the primary may be, one after the other."""
    for address in url.addresses:
        if url.kind != SENTINEL:
            yield address
        elif (found := await _ask(address, url)) is not None:
            yield found


async def _ask(sentinel: Address, url: BrokerUrl) -> Address | None:
    """The primary that a Sentinel knows; None where it does not answer, or knows none."""
    loop = asyncio.get_running_loop()
    conn = None
    try:
        async with asyncio.timeout(SENTINEL_S):
            _, conn = await loop.create_connection(
                lambda: Connection(lambda gone: None), sentinel.host, sentinel.port
            )
            found = await conn.ask("SENTINEL", "get-master-addr-by-name", url.service)
    except (OSError, BrokerUnavailable, hiredis.ReplyError):
        return None
    finally:
        if conn is not None:
            conn.abort()
    if not isinstance(found, list) or len(found) != 2:
        return None
    return Address(found[0].decode(), int(found[1]))
