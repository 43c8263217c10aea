"""One time for all that is read of an answer, where httpx has one for each read.

A server that sends a byte of a head now and then, or one early answer (103) after the other, would
hold up its client for ever. So a stream of ours stands between httpx and the network: from the
first read after something was written, there are as many seconds as httpx would give one read.
"""

from __future__ import annotations

import time
from typing import Any

import httpcore
import httpx


def bound_reads(client: httpx.Client | httpx.AsyncClient) -> None:
    """Have the connections of `client` read each answer within its `timeout` for reading."""
    # httpx has no option for what opens its connections; the pool of each transport has.
    for transport in (client._transport, *client._mounts.values()):
        pool: Any = getattr(transport, "_pool", None)
        backend = getattr(pool, "_network_backend", None)
        if isinstance(backend, httpcore.NetworkBackend):
            pool._network_backend = _Backend(backend)
        elif isinstance(backend, httpcore.AsyncNetworkBackend):
            pool._network_backend = _AsyncBackend(backend)


class _Clock:
    """The time that is left for reading."""

    def __init__(self) -> None:
        self._end: float | None = None  # nothing was read since the latest write

    def wrote(self) -> None:
        self._end = None

    def left(self, timeout: float | None) -> float | None:
        """Return the seconds for one read. Raises httpcore.ReadTimeout when there are none."""
        if timeout is None:
            return None
        now = time.monotonic()
        if self._end is None:
            self._end = now + timeout
        if now >= self._end:
            raise httpcore.ReadTimeout("timed out")
        return self._end - now


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner
        self.sleep = inner.sleep  # type: ignore[method-assign]

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_tcp(*args, **options))

    def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.connect_unix_socket(*args, **options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner
        self._clock = _Clock()
        self.close = inner.close  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._clock.wrote()
        self._inner.write(buffer, timeout)

    def start_tls(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(*args, **options))


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner
        self.sleep = inner.sleep  # type: ignore[method-assign]

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._inner.connect_tcp(*args, **options))

    async def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._inner.connect_unix_socket(*args, **options))


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._clock = _Clock()
        self.aclose = inner.aclose  # type: ignore[method-assign]
        self.get_extra_info = inner.get_extra_info  # type: ignore[method-assign]

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._inner.read(max_bytes, self._clock.left(timeout))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._clock.wrote()
        await self._inner.write(buffer, timeout)

    async def start_tls(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return _AsyncStream(await self._inner.start_tls(*args, **options))
