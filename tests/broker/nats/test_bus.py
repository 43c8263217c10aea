"""The bus over a real NATS server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from glyph_fast.broker.nats import bus as module
from glyph_fast.broker.nats.bus import NatsBus
from glyph_fast.broker.nodes.bus import Bus
from glyph_fast.errors import BrokerRefused
from glyph_fast.options.broker import read_broker_url
from tests.engine.certificates import shared_certificate
from tests.nats_servers import NatsServer, nats_server
from tests.nodes import until

Run = Callable[..., Any]


class One:
    """A bus, and what came."""

    def __init__(self, url: str) -> None:
        self.bus: Bus = NatsBus(read_broker_url(url))
        self.came: list[tuple[bytes, bytes]] = []
        self.changes: list[bool] = []
        self.bus.attach(lambda *said: self.came.append(said), self.changes.append)

    async def __aenter__(self) -> One:
        await self.bus.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.bus.close()


def test_brings_every_message_in_order_whatever_is_in_it(run: Run) -> None:
    async def main(nats: NatsServer) -> None:
        async with One(nats.url) as one, One(nats.url) as other:
            for each in one, other:
                each.bus.subscribe(b"s.{x}")
            await asyncio.sleep(0.05)
            sent = [(b"s.{x}", b"%d\r\nMSG s 1 1\r\n" % n * (n % 50)) for n in range(2000)]
            sent.append((b"s.{x}", b"x" * 1_000_000))
            for subject, payload in sent:
                one.bus.publish(subject, payload)
            one.bus.publish(b"s.other", b"x")
            await until(lambda: len(one.came) == len(other.came) == len(sent))
            assert one.came == other.came == sent
            other.bus.unsubscribe(b"s.{x}")
            await asyncio.sleep(0.05)
            one.bus.publish(b"s.{x}", b"last")
            await until(lambda: len(one.came) == len(sent) + 1)
            assert len(other.came) == len(sent)
            assert one.bus.max_payload == 1024 * 1024

    with nats_server() as nats:
        run(main(nats))


def test_is_there_again_after_the_server_was_with_all_its_subscriptions(run: Run) -> None:
    async def main(nats: NatsServer) -> None:
        async with One(nats.url) as one:
            subjects = [b"s.%d" % n for n in range(1200)]
            for each in subjects:
                one.bus.subscribe(each)
            nats.kill()
            await until(lambda: not one.bus.is_up)
            one.bus.publish(b"s.1", b"lost")
            assert one.bus.dropped == 1
            nats.start()
            await until(lambda: one.bus.is_up)
            for each in subjects:
                one.bus.publish(each, b"x")
            await until(lambda: len(one.came) == len(subjects))
            assert one.changes == [True, False, True]

    with nats_server() as nats:
        run(main(nats))


def test_a_server_that_answers_nothing_is_taken_for_gone(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PING_S", 0.1)

    async def main(nats: NatsServer) -> None:
        async with One(nats.url) as one:
            nats.pause()
            await until(lambda: not one.bus.is_up)
            nats.resume()
            await until(lambda: one.bus.is_up)

    with nats_server() as nats:
        run(main(nats))


def test_a_server_that_is_not_there_is_waited_for(run: Run) -> None:
    async def main(nats: NatsServer) -> None:
        nats.kill()
        async with One(nats.url) as one:
            assert not one.bus.is_up
            nats.start()
            await until(lambda: one.bus.is_up)

    with nats_server() as nats:
        run(main(nats))


def test_of_several_servers_one_that_is_there_is_taken(run: Run) -> None:
    async def main(nats: NatsServer, other: NatsServer) -> None:
        other.kill()
        url = f"nats://127.0.0.1:{other.port},127.0.0.1:{nats.port}"
        async with One(url) as one:
            assert one.bus.is_up
            nats.kill()
            other.start()
            await until(lambda: one.changes == [True, False, True])

    with nats_server() as nats, nats_server() as other:
        run(main(nats, other))


USER = ("--user", "u", "--pass", "p@ss")
LOGINS = [
    (USER, "", "authorization"),
    (USER, "u:wrong@", "authorization"),
    (("--auth", "token"), "wrong@", "authorization"),
    (USER, "u:p%40ss@", None),
    (("--auth", "token"), "token@", None),
]


@pytest.mark.parametrize(("options", "login", "refusal"), LOGINS)
def test_logs_in_or_is_refused(
    run: Run, options: tuple[str, ...], login: str, refusal: str | None
) -> None:
    async def main(nats: NatsServer) -> None:
        if refusal is None:
            async with One(nats.url) as one:
                assert one.bus.is_up
            return
        with pytest.raises(BrokerRefused, match=refusal) as caught:
            await One(nats.url).bus.start()
        assert "wrong" not in str(caught.value)

    with nats_server(*options, login=login) as nats:
        run(main(nats))


def test_speaks_tls_and_refuses_a_certificate_of_nobody(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = shared_certificate()

    async def main(nats: NatsServer, url: str) -> None:
        with pytest.raises(BrokerRefused, match="tls://"):
            await One(f"nats://localhost:{nats.port}").bus.start()
        with pytest.raises(BrokerRefused, match="certificate"):
            await One(url).bus.start()
        monkeypatch.setenv("SSL_CERT_FILE", cert)
        async with One(url) as one, One(url) as other:
            other.bus.subscribe(b"s")
            await asyncio.sleep(0.05)
            one.bus.publish(b"s", b"x")
            await until(lambda: other.came == [(b"s", b"x")])

    with nats_server("--tls", "--tlscert", cert, "--tlskey", key) as nats:
        run(main(nats, f"tls://localhost:{nats.port}"))


HOSTILE = [b"MSG s\r\n", b"MSG s 1 x\r\n", b"x" * 100_000, b"INFO {]\r\n", b"INFO []\r\n",
           b"MSG\r\n", b"\0\r\n" * 1000, b"-ERR 'x'\r\nMSG s 1 -5\r\n"]  # fmt: skip


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_a_server_that_speaks_nonsense_ends_its_connection_alone(run: Run, said: bytes) -> None:
    async def main() -> None:
        greeted = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal greeted
            greeted += 1
            writer.write(b'INFO {"max_payload":1}\r\n')
            with suppress(EOFError):  # the test is over
                await reader.readuntil(b"PING\r\n")
                writer.write(b"PONG\r\n" + said)
                await asyncio.sleep(0.1)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with One(f"nats://127.0.0.1:{port}") as one:
            await until(lambda: greeted >= 2)
            assert one.came == []
        server.close()
        await server.wait_closed()

    run(main())
