"""A new connection to a Redis server: who we are, and whom we have reached."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import hiredis

from ...errors import BrokerRefused, BrokerUnavailable
from ...options.broker import BrokerUrl
from ...options.values import Address
from .connection import Connection

CONNECT_S = 5.0  # for a connection with all that is said at its beginning
OLDEST = (7, 0)  # version; Valkey says 7.2 beside its own
NAME = "glyph-fast"

# What an error begins with that another try would not change.
_FINAL = ("WRONGPASS", "NOAUTH", "NOPERM", "ERR AUTH", "ERR invalid password", "ERR Client sent")

C = TypeVar("C", bound=Connection)


class Server(NamedTuple):
    """Whom a connection leads to."""

    run_id: str  # another one whenever it was started
    is_primary: bool
    is_cluster: bool
    version: str


async def connect(make: Callable[[], C], address: Address, url: BrokerUrl) -> tuple[C, Server]:
    """A connection to the server at an address, and who that is.

    Raises BrokerRefused where it does not want us, and OSError or BrokerUnavailable where it
    cannot be reached now.
    """
    async with asyncio.timeout(CONNECT_S):  # TimeoutError is an OSError
        conn = await reach(make, address, url)
        try:
            return conn, await _log_in(conn, url)
        except BaseException:
            conn.abort()
            raise


async def reach(make: Callable[[], C], address: Address, url: BrokerUrl) -> C:
    """A connection to an address, over TLS where the URL says so; nothing is said on it yet.

    Raises BrokerRefused for a certificate that is not good, and OSError.
    """
    context = ssl.create_default_context() if url.is_tls else None
    try:
        _, conn = await asyncio.get_running_loop().create_connection(
            make, address.host, address.port,
            ssl=context, server_hostname=address.host if url.is_tls else None,
        )  # fmt: skip
    except ssl.SSLCertVerificationError as exc:
        reason = exc.verify_message.partition(", certificate is not valid")[0]
        raise BrokerRefused(f"its certificate is not good: {reason}") from None
    return conn


async def _log_in(conn: Connection, url: BrokerUrl) -> Server:
    try:
        if url.password:
            await authenticate(conn, url)
        if url.database:
            await conn.ask("SELECT", url.database)
        await conn.ask("CLIENT", "SETNAME", NAME)
        server = read_info(await conn.ask("INFO"))
    except hiredis.ReplyError as exc:
        raise refusal(exc) from None
    if tuple(int(part) for part in server.version.split(".")[:2]) < OLDEST:
        raise BrokerRefused(f"Redis {server.version} is too old: 7.0 is needed")
    return server


async def authenticate(conn: Connection, url: BrokerUrl) -> None:
    """Say who we are. Raises `hiredis.ReplyError` where that is not believed."""
    await conn.ask("AUTH", *filter(None, (url.user, url.password)))


def refusal(exc: Exception) -> Exception:
    """The error of ours for one that a server answers with."""
    text = str(exc)
    if text.startswith(_FINAL) or text.startswith("ERR DB index"):
        return BrokerRefused(text)
    return BrokerUnavailable(text)


def read_info(answer: Any) -> Server:
    """What `INFO` tells about a server. Raises BrokerUnavailable for what is none."""
    if not isinstance(answer, bytes):
        raise BrokerUnavailable("no Redis server")
    lines = (line.partition(":") for line in answer.decode("utf-8", "replace").splitlines())
    said = {name: value for name, colon, value in lines if colon}
    if said.get("loading") == "1":
        raise BrokerUnavailable("the server is loading its data")
    if "run_id" not in said or "redis_version" not in said:
        raise BrokerUnavailable("a server that does not say who it is")
    return Server(
        said["run_id"],
        said.get("role") == "master",
        said.get("cluster_enabled") == "1",
        said["redis_version"],
    )
