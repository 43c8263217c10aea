"""Redis over TLS: an authority of one's own, a user of its lists, and wrong certificates."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from glyph_fast.broker.redis.bus import RedisBus
from glyph_fast.broker.redis.link import Link
from glyph_fast.errors import BrokerRefused
from glyph_fast.options.broker import read_broker_url
from tests.broker.redis.nodes import ROOM, Follower, node, refused_start, until
from tests.broker_servers import REDIS, RedisServer, free_port, redis_server
from tests.engine.certificates import shared_certificate

SECRET = "hush-hush"


@asynccontextmanager
async def redis_with_tls() -> AsyncIterator[tuple[RedisServer, int]]:
    """A server, which the tests command without TLS, and the port where it speaks TLS."""
    cert, key = shared_certificate()
    port = free_port()
    options = (
        "--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key,
        "--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--bind", "127.0.0.1", "127.0.0.2",
    )  # fmt: skip
    async with redis_server(*options, binary=REDIS) as redis:
        yield redis, port


@asynccontextmanager
async def bus_at(url: str) -> AsyncIterator[RedisBus]:
    bus = RedisBus(Link(read_broker_url(url)))
    bus.attach(lambda *what: None, lambda is_up: None)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.close()


def test_two_nodes_share_rooms_over_tls_as_a_user_of_the_access_lists(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SSL_CERT_FILE", shared_certificate().cert)

    async def main() -> None:
        async with redis_with_tls() as (redis, port):
            redis.run("ACL", "SETUSER", "chat", "on", f">{SECRET}", "~glyph*", "&glyph*", "+@all")
            url = f"rediss://chat:{SECRET}@localhost:{port}"
            async with node(redis, broker=url) as one, node(redis, broker=url) as two:
                async with Follower(two) as follower:
                    await one.hub.publish(ROOM, "by TLS")
                    await follower.follows("by TLS")
                    users = redis.run("CLIENT", "LIST").decode().count("user=chat")
                    assert users == 4  # two connections of each
                    redis.run("CLIENT", "KILL", "USER", "chat")
                    await until(lambda: one.figures["broker_up"] and two.figures["broker_up"])
        assert SECRET not in caplog.text

    run(main())


WRONG = [
    ("localhost", False, "certificate is not good: self-signed certificate"),
    ("127.0.0.2", True, "certificate is not good: IP address mismatch"),
]


@pytest.mark.parametrize(("host", "is_known", "says"), WRONG, ids=["unknown", "another's"])
def test_a_wrong_certificate_is_refused_at_the_start(
    run: Any, monkeypatch: pytest.MonkeyPatch, host: str, is_known: bool, says: str
) -> None:
    if is_known:
        monkeypatch.setenv("SSL_CERT_FILE", shared_certificate().cert)

    async def main() -> None:
        async with redis_with_tls() as (_, port):
            with pytest.raises(BrokerRefused, match=says):
                async with bus_at(f"rediss://{host}:{port}"):
                    pass

    run(main())


def test_a_wrong_certificate_is_one_line_and_the_status_of_a_refusal(run: Any) -> None:
    async def main() -> None:
        async with redis_with_tls() as (_, port):
            said = await refused_start(f"rediss://:{SECRET}@localhost:{port}")
            assert said.count(b"certificate is not good") == 1
            assert SECRET.encode() not in said

    run(main())


def test_a_certificate_that_turns_bad_is_told_and_waited_for(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", shared_certificate().cert)

    async def main() -> None:
        async with redis_with_tls() as (redis, port), bus_at(f"rediss://localhost:{port}") as bus:
            assert bus.is_up
            monkeypatch.delenv("SSL_CERT_FILE")
            redis.run("CLIENT", "KILL", "TYPE", "normal")
            await until(lambda: "certificate is not good" in caplog.text)
            assert not bus.is_up
            monkeypatch.setenv("SSL_CERT_FILE", shared_certificate().cert)
            await until(lambda: bus.is_up)

    run(main())
