"""A layer of Django's Channels. The cases after their names in the suites of two other layers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull, MessageTooLarge
from channels.layers import channel_layers, get_channel_layer
from django.conf import settings
from django.test.utils import override_settings

from glyph_fast import ConfigError, Server
from glyph_fast.channels import MAX_MESSAGE, Layer
from tests.admin.operated import TOKEN, operated
from tests.running import running

if not settings.configured:
    settings.configure()

GROUP, TEXT = "test-group", {"type": "test.message", "text": "Ahoy-hoy!"}
SHORTLY_S = 0.05


@pytest.fixture
def on_server(backend, run) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Runs a coroutine function where a server serves."""

    def on_server(main: Callable[[], Awaitable[None]]) -> None:
        async def whole() -> None:
            async with running(Server(), backend):
                await main()

        run(whole())

    return on_server


async def is_empty(layer: Layer, channel: str) -> bool:
    """Whether a channel has no message."""
    try:
        await asyncio.wait_for(layer.receive(channel), SHORTLY_S)
    except TimeoutError:
        return True
    return False


async def numbers(layer: Layer, channel: str, n: int) -> list[int]:
    """The `n` of the next messages."""
    return [(await layer.receive(channel))["n"] for _ in range(n)]


# Sending and receiving.


def test_send_receive(on_server):
    async def main():
        layer = Layer()
        await layer.send("test-channel-1", TEXT)
        await layer.send("test-channel-1", TEXT)
        assert await layer.receive("test-channel-1") == TEXT
        assert await layer.receive("test-channel-1") == TEXT
        assert await is_empty(layer, "test-channel-1")

    on_server(main)


def test_a_message_has_all_types_of_the_specification(on_server):
    async def main():
        layer = Layer()
        message = {
            "type": "x", "bytes": b"\0\xff", "int": -(2**63), "float": 0.5, "list": [1, None],
            "dict": {"a": True}, "text": "é",
        }  # fmt: skip
        await layer.send("a", message)
        await layer.send("a", {"tuple": (1, 2)})
        assert await layer.receive("a") == message
        assert await layer.receive("a") == {"tuple": [1, 2]}
        for bad in ([1], "text", None):
            with pytest.raises(TypeError):
                await layer.send("a", bad)
        with pytest.raises(TypeError):
            await layer.send("a", {"x": object()})

    on_server(main)


def test_a_message_is_as_it_was_when_it_was_sent(on_server):
    async def main():
        layer, message = Layer(), {"list": [1]}
        await layer.send("a", message)
        message["list"].append(2)
        assert await layer.receive("a") == {"list": [1]}

    on_server(main)


def test_messages_of_a_megabyte_and_too_large_ones(on_server):
    async def main():
        layer = Layer()
        await layer.send("a", {"data": "x" * 2**20})
        assert len((await layer.receive("a"))["data"]) == 2**20
        for send in (layer.send, layer.group_send):
            with pytest.raises(MessageTooLarge):
                await send("a", {"data": b"x" * MAX_MESSAGE})

    on_server(main)


def test_race_empty(on_server):
    async def main():
        layer = Layer()
        receiving = asyncio.create_task(layer.receive("test-channel-1"))
        await asyncio.sleep(0)
        await layer.send("test-channel-1", TEXT)
        assert await receiving == TEXT

    on_server(main)


def test_double_receive(on_server):
    async def main():
        layer = Layer()
        first, second = await layer.new_channel(), await layer.new_channel()
        receiving = [asyncio.create_task(layer.receive(each)) for each in (first, second)]
        await layer.send(second, {"n": 2})
        await layer.send(first, {"n": 1})
        assert [(await each)["n"] for each in receiving] == [1, 2]

    on_server(main)


def test_each_message_has_one_reader(on_server):
    async def main():
        layer = Layer()
        readers = [asyncio.create_task(layer.receive("jobs")) for _ in range(3)]
        await asyncio.sleep(0)
        for n in range(4):
            await layer.send("jobs", {"n": n})
        assert [(await each)["n"] for each in readers] == [0, 1, 2]
        assert await numbers(layer, "jobs", 1) == [3]

    on_server(main)


def test_send_capacity(on_server):
    async def main():
        layer = Layer(capacity=3)
        for _ in range(3):
            await layer.send("test-channel-1", TEXT)
        with pytest.raises(ChannelFull):
            await layer.send("test-channel-1", TEXT)
        await layer.receive("test-channel-1")
        await layer.send("test-channel-1", TEXT)

    on_server(main)


def test_send_specific_capacity(on_server):
    async def main():
        layer = Layer(capacity=3, channel_capacity={"one*": 1, re.compile("t.o"): 2})
        for channel, capacity in {"one-x": 1, "two": 2, "three": 3}.items():
            for _ in range(capacity):
                await layer.send(channel, TEXT)
            with pytest.raises(ChannelFull):
                await layer.send(channel, TEXT)

    on_server(main)


def test_process_local_send_receive(on_server):
    async def main():
        layer = Layer()
        name = await layer.new_channel()
        assert name.startswith("specific.") and "!" in name and len(name) < 100
        await layer.send(name, TEXT)
        assert await layer.receive(name) == TEXT

    on_server(main)


def test_multi_send_receive(on_server):
    async def main():
        layer = Layer()
        for n in range(50):
            await layer.send("test-channel-3", {"n": n})
        assert await numbers(layer, "test-channel-3", 50) == list(range(50))

    on_server(main)


def test_reject_bad_channel(on_server):
    async def main():
        layer = Layer()
        for bad in ("=+135!", "", "x" * 100, "é", "a b", 5, None):
            for call in (layer.send(bad, TEXT), layer.receive(bad), layer.group_add(GROUP, bad)):
                with pytest.raises(TypeError):
                    await call
            for call in (layer.group_send(bad, TEXT), layer.group_add(bad, "a")):
                with pytest.raises(TypeError):
                    await call
        for call in (layer.group_send("a!b", TEXT), layer.receive("a!"), layer.new_channel("a b")):
            with pytest.raises(TypeError):
                await call

    on_server(main)


def test_reject_bad_client_prefix(on_server):
    async def main():
        with pytest.raises(ValueError, match="process that made it"):
            await Layer().receive("specific.of-another!x")

    on_server(main)


def test_receive_on_non_owned_general_channel(on_server):
    async def main():
        layer, other = Layer(), Layer()
        receiving = asyncio.create_task(other.receive("test-channel"))
        await asyncio.sleep(0)
        await layer.send("test-channel", {"n": 1})
        assert await receiving == {"n": 1}

    on_server(main)


def test_layers_of_another_prefix_see_nothing(on_server):
    async def main():
        layer, other = Layer(), Layer(prefix="other")
        await layer.group_add(GROUP, "a")
        await other.group_send(GROUP, TEXT)
        await other.send("a", TEXT)
        await other.flush()
        await layer.send("a", {"n": 1})
        assert await numbers(layer, "a", 1) == [1]

    on_server(main)


def test_receive_hang(on_server):
    async def main():
        layer = Layer()
        assert await is_empty(layer, await layer.new_channel("test-channel"))

    on_server(main)


def test_receive_cancel(on_server):
    async def main():
        layer = Layer(capacity=1000)
        channel = await layer.new_channel()
        got = 0
        for n in range(300):
            receiving = asyncio.create_task(layer.receive(channel))
            for _ in range(n % 3):
                await asyncio.sleep(0)
            await layer.send(channel, {"n": n})
            for _ in range(n % 2):
                await asyncio.sleep(0)
            receiving.cancel()
            try:
                await receiving
                got += 1
            except asyncio.CancelledError:
                pass
        left = await numbers(layer, channel, 300 - got)
        assert left == sorted(left) and await is_empty(layer, channel)

    on_server(main)


# Groups.


@pytest.mark.parametrize("is_own", [True, False])
def test_groups_basic(on_server, is_own):
    async def main():
        layer = Layer()
        made = [await layer.new_channel(f"test-gr-chan-{n}") for n in (1, 2, 3)]
        channels = made if is_own else ["test-gr-chan-1", "test-gr-chan-2", "test-gr-chan-3"]
        for each in channels:
            await layer.group_add(GROUP, each)
        await layer.group_add(GROUP, channels[0])  # twice
        await layer.group_discard(GROUP, channels[1])
        await layer.group_send(GROUP, {"n": 1})
        assert await numbers(layer, channels[0], 1) == await numbers(layer, channels[2], 1) == [1]
        for each in channels:
            assert await is_empty(layer, each)

    on_server(main)


def test_groups_same_prefix(on_server):
    async def main():
        layer = Layer()
        channels = [await layer.new_channel("test-gr-chan") for _ in range(3)]
        for each in channels:
            await layer.group_add(GROUP, each)
        await layer.group_send(GROUP, {"n": 1})
        for each in channels:
            assert await numbers(layer, each, 1) == [1]

    on_server(main)


def test_groups_channel_full(on_server):
    async def main():
        layer = Layer(capacity=3)
        await layer.group_add(GROUP, "test-gr-chan-1")
        for n in range(5):
            await layer.group_send(GROUP, {"n": n})
        assert await numbers(layer, "test-gr-chan-1", 3) == [0, 1, 2]

    on_server(main)


def test_group_send_capacity_multiple_channels(on_server, caplog):
    async def main():
        layer = Layer(capacity=3)
        one, two = await layer.new_channel(), await layer.new_channel("channel_2")
        for each in (one, two):
            await layer.group_add(GROUP, each)
        await layer.send(two, {"n": 0})
        with caplog.at_level(logging.INFO, "glyph_fast"):
            for n in (1, 2, 3):
                await layer.group_send(GROUP, {"n": n})
        assert await numbers(layer, one, 3) == [1, 2, 3]
        assert await numbers(layer, two, 3) == [0, 1, 2]
        assert await is_empty(layer, two)
        (record,) = [each for each in caplog.records if "capacity" in each.getMessage()]
        assert record.levelname == "INFO"
        assert record.fields == {"group": GROUP, "full": 1, "channels": 2}

    on_server(main)


@pytest.mark.parametrize("n", [1, 10, 100])
def test_groups_of_many_channels(on_server, n):
    async def main():
        layer = Layer()
        channels = [await layer.new_channel(f"channel{each}") for each in range(n)]
        for each in channels:
            await layer.group_add(GROUP, each)
        await layer.group_send(GROUP, {"n": 1})
        for each in channels:
            assert await numbers(layer, each, 1) == [1]

    on_server(main)


def test_discard_before_add(on_server):
    async def main():
        layer = Layer()
        await layer.group_discard(GROUP, await layer.new_channel("test-channel"))

    on_server(main)


def test_membership_ends_by_itself(on_server):
    async def main():
        layer = Layer(group_expiry=0.01)
        await layer.group_add(GROUP, "a")
        await asyncio.sleep(0.02)
        await layer.group_send(GROUP, TEXT)
        assert await is_empty(layer, "a")

    on_server(main)


def test_flush(on_server):
    async def main():
        layer = Layer()
        await layer.group_add(GROUP, "a")
        await layer.send("a", TEXT)
        await layer.flush()
        await layer.group_send(GROUP, TEXT)
        assert await is_empty(layer, "a")
        await layer.close()

    on_server(main)


# Expiry; the clock by itself: `broker/test_channels`.


def test_expiry_single(on_server):
    async def main():
        layer = Layer(expiry=0.01)
        await layer.send("test-channel-1", TEXT)
        await layer.group_add(GROUP, "a")
        await layer.group_send(GROUP, TEXT)
        await asyncio.sleep(0.02)
        assert await is_empty(layer, "test-channel-1")
        assert await is_empty(layer, "a")

    on_server(main)


# Names, threads, other loops, settings.


def test_random_reset__channel_name(on_server):
    async def main():
        layer = Layer()
        random.seed(1)
        first = await layer.new_channel()
        random.seed(1)
        assert await layer.new_channel() != first

    on_server(main)


def test_random_reset__client_prefix():
    random.seed(1)
    first = Layer()
    random.seed(1)
    assert Layer().client_prefix != first.client_prefix


def test_proxied_methods_coroutine_check():
    layer = Layer()
    for name in "send receive new_channel group_add group_discard group_send flush".split():
        assert inspect.iscoroutinefunction(getattr(layer, name))
    assert set(layer.extensions) == {"groups", "flush"}
    assert (layer.expiry, layer.group_expiry, layer.capacity) == (60, 86400, 100)
    assert (layer.ChannelFull, layer.MessageTooLarge) == (ChannelFull, MessageTooLarge)


@pytest.mark.parametrize("is_forced", [True, False])
def test_multi_send_receive_sync(on_server, is_forced):
    async def main():
        layer = Layer()
        channel = await layer.new_channel()
        await layer.group_add(GROUP, channel)

        def in_a_thread():
            for n in range(3):
                async_to_sync(layer.send, force_new_loop=is_forced)(channel, {"n": n})
            async_to_sync(layer.group_send)(GROUP, {"n": 3})
            return async_to_sync(layer.receive)(channel)

        assert await asyncio.to_thread(in_a_thread) == {"n": 0}
        assert await numbers(layer, channel, 3) == [1, 2, 3]

    on_server(main)


def test_it_is_made_by_the_settings():
    config = {"BACKEND": "glyph_fast.channels.Layer", "CONFIG": {"capacity": 7}}
    with override_settings(CHANNEL_LAYERS={"default": config}):
        layer = get_channel_layer()
    assert isinstance(layer, Layer) and layer.capacity == 7
    channel_layers.backends.clear()


# Outside of a server.


def test_where_nothing_serves_its_first_use_raises():
    layer = Layer()
    with pytest.raises(ConfigError, match="publisher"):
        asyncio.run(layer.send("a", TEXT))


@asynccontextmanager
async def outside(backend: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Layer]:
    """A layer that takes this process for one that does not serve."""
    async with operated(backend) as site:
        monkeypatch.setattr("glyph_fast.channels._server_here", lambda: None)
        yield Layer(capacity=3, publisher=site.admin, token=TOKEN)


def test_other_processes_ask_the_operators_port(backend, run, monkeypatch):
    async def main():
        async with outside(backend, monkeypatch) as layer:
            channel = await layer.new_channel()
            await layer.group_add(GROUP, channel)
            await layer.group_add(GROUP, "b")
            await layer.group_discard(GROUP, "b")
            await layer.group_send(GROUP, {"n": 0, "bytes": b"\0"})
            assert await layer.receive(channel) == {"n": 0, "bytes": b"\0"}
            for n in range(3):
                await layer.send("a", {"n": n})
            with pytest.raises(ChannelFull):
                await layer.send("a", {"n": 3})
            assert await numbers(layer, "a", 3) == [0, 1, 2]
            await layer.send("a", TEXT)
            await layer.flush()
            receiving = asyncio.create_task(layer.receive("a"))
            await asyncio.sleep(SHORTLY_S)
            await layer.send("a", {"n": 4})
            assert await receiving == {"n": 4}

    run(main())


def test_a_question_ends_before_the_asker_gives_up(backend, run, monkeypatch):
    async def main():
        monkeypatch.setattr("glyph_fast.admin.channels.WAIT_S", 0.01)
        async with outside(backend, monkeypatch) as layer:
            receiving = asyncio.create_task(layer.receive("a"))
            await asyncio.sleep(SHORTLY_S)
            await layer.send("a", {"n": 1})
            assert await receiving == {"n": 1}

    run(main())


def test_what_comes_for_one_that_has_left_is_kept(backend, run, monkeypatch):
    async def main():
        async with outside(backend, monkeypatch) as layer:
            assert await is_empty(layer, "a")
            await layer.send("a", {"n": 1})
            assert await numbers(layer, "a", 1) == [1]

    run(main())


def test_calls_without_a_loop_of_their_own(backend, run, monkeypatch):
    async def main():
        async with outside(backend, monkeypatch) as layer:

            def in_a_thread():
                for n in range(2):
                    async_to_sync(layer.send, force_new_loop=True)("a", {"n": n})

            await asyncio.to_thread(in_a_thread)
            assert await numbers(layer, "a", 2) == [0, 1]

    run(main())
