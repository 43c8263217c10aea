"""The operators' port beside the public one: what it tells, and what is left when it cannot be."""

from __future__ import annotations

import asyncio
import socket

import pytest

from glyph_fast.admin.operated import OneProcess
from glyph_fast.admin.port import OperatorsPort
from glyph_fast.hub.hub import Hub
from glyph_fast.logs import ErrorLog
from glyph_fast.options.config import Config
from glyph_fast.server.operating import Operating


def operating(address: str) -> Operating:
    config = Config(admin=address)
    return Operating(OperatorsPort(config, OneProcess(Hub(config), ErrorLog())), None)


def test_it_serves_from_start_to_stop_and_says_where(backend, run):
    async def main():
        port = operating("127.0.0.1:0")
        await port.start()
        url = port.line.removeprefix("glyph-fast admin on http://")
        host, _, number = url.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(number))
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {url}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        assert answer.endswith(b'{"status":"starting"}')
        writer.close()
        await writer.wait_closed()
        await port.stop()
        with pytest.raises(OSError):
            await asyncio.open_connection(host, int(number))

    run(main())


def test_an_address_that_is_taken_is_named(backend, run):
    async def main(taken: str) -> None:
        port = operating(taken)
        with pytest.raises(OSError) as caught:
            await port.start()
        assert caught.value.filename == taken
        await port.stop()

    with socket.create_server(("127.0.0.1", 0)) as other:
        run(main(f"127.0.0.1:{other.getsockname()[1]}"))
