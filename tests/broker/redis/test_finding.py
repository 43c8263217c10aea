"""Which primary Sentinels know, how they are asked, and what is said where none tells."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.broker.redis.finding import places
from glyph_fast.errors import BrokerRefused, BrokerUnavailable
from glyph_fast.options.broker import read_broker_url
from tests.broker_servers import free_port, redis_server, sentinels
from tests.engine.certificates import shared_certificate

SECRET = "hush-hush"


async def found(url: str) -> list[tuple[str, int]]:
    return [tuple(each) async for each in places(read_broker_url(url))]


def test_each_sentinel_that_answers_tells_and_those_that_do_not_are_passed_over(run: Any) -> None:
    async def main() -> None:
        async with redis_server() as primary, sentinels(primary, 2) as url:
            places = url.replace("//", f"//127.0.0.1:{free_port()},")
            assert await found(places) == [("127.0.0.1", primary.port)] * 2

    run(main())


def test_a_sentinel_that_wants_a_password_gets_that_of_the_url(run: Any) -> None:
    async def main() -> None:
        lines = f"requirepass {SECRET}", f"sentinel auth-pass main {SECRET}"
        async with (
            redis_server(password=SECRET) as primary,
            sentinels(primary, 1, lines=lines) as url,
        ):
            good = url.replace("//", f"//:{SECRET}@")
            assert await found(good) == [("127.0.0.1", primary.port)]
            for login, says in (":wrong@", "WRONGPASS"), ("", "NOAUTH"):
                with pytest.raises(BrokerRefused, match=rf"Sentinel 127.0.0.1:\d+: {says}"):
                    await found(url.replace("//", f"//{login}"))
            for places in ("127.0.0.1:1,{}", "{},127.0.0.1:1"):  # who is away may come back
                host = url.partition("//")[2].partition("/")[0]
                with pytest.raises(BrokerUnavailable, match="127.0.0.1:1: "):
                    await found(f"redis+sentinel://{places.format(host)}/main")

    run(main())


def test_where_no_sentinel_tells_it_is_said_why(run: Any) -> None:
    async def main() -> None:
        async with redis_server() as primary, sentinels(primary, 1) as url:
            with pytest.raises(BrokerUnavailable, match="knows no primary of the name 'other'"):
                await found(url.replace("/main", "/other"))
            with pytest.raises(BrokerUnavailable, match=f"Sentinel 127.0.0.1:{primary.port}: "):
                await found(f"redis+sentinel://127.0.0.1:{primary.port}/main")  # it is none
        with pytest.raises(BrokerUnavailable, match="(?i)connect"):
            await found(url)

    run(main())


def test_sentinels_are_asked_over_tls_and_must_be_who_they_are(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = shared_certificate()
    port = free_port()
    lines = (
        f"tls-port {port}", f"tls-cert-file {cert}", f"tls-key-file {key}",
        f"tls-ca-cert-file {cert}", "tls-auth-clients no",
    )  # fmt: skip

    async def main() -> None:
        async with redis_server() as primary, sentinels(primary, 1, lines=lines):
            url = f"rediss+sentinel://localhost:{port}/main"
            with pytest.raises(BrokerRefused, match="certificate is not good: self-signed"):
                await found(url)
            monkeypatch.setenv("SSL_CERT_FILE", cert)
            assert await found(url) == [("127.0.0.1", primary.port)]

    run(main())
