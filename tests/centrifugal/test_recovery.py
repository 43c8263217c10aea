"""A client that was away gets what it missed, all of it, or is told that it cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.centrifugal.speaking import KEPT, server_of, speaking

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


def since(epoch: str, offset: int, **more: Any) -> dict[str, Any]:
    return {"channel": "a", "recover": True, "epoch": epoch, "offset": offset, **more}


@pytest.mark.parametrize("offset", [0, 2, 5])
def test_what_was_missed_comes_with_the_answer(run: Run, offset: int) -> None:
    async def main() -> None:
        async with speaking(server_of()) as (client, ann):
            epoch = (await ann.ask("subscribe", channel="a"))["epoch"]
            await ann.ask("unsubscribe", channel="a")
            for n in range(1, 6):
                client.hub.broadcast_json_to_room("a", n)
            result = await ann.ask("subscribe", **since(epoch, offset))
            found = [each["offset"] for each in result.pop("publications", [])]
            assert found == list(range(offset + 1, 6))
            assert result == {
                "recoverable": True, "positioned": True, "epoch": epoch, "offset": offset,
                "was_recovering": True, "recovered": True,
            }  # fmt: skip
            client.hub.broadcast_json_to_room("a", 6)
            assert (await ann.push())["pub"]["offset"] == 6
            assert client.hub.metrics.resumes["resumed"] == 1

    run(main())


LOST = [("other", 3), ("", 1), ("own", 1), ("own", 9)]  # of five messages, two are kept


@pytest.mark.parametrize(("epoch", "offset"), LOST)
@pytest.mark.parametrize("flag", [0, 2])
def test_what_cannot_be_known_is_said(run: Run, epoch: str, offset: int, flag: int) -> None:
    server = server_of({"a": KEPT | {"history_size": 2}})

    async def main() -> None:
        async with speaking(server) as (client, ann):
            for n in range(1, 6):
                client.hub.broadcast_json_to_room("a", n)
            own = (await ann.ask("subscribe", channel="a"))["epoch"]
            await ann.ask("unsubscribe", channel="a")
            asked = since(own if epoch == "own" else epoch, offset, flag=flag)
            answer = await ann.ask("subscribe", **asked)
            if flag:
                assert answer == (112, "unrecoverable position")
                assert client.hub.get_room_manager().count() == 0
                assert (await ann.ask("publish", channel="a", data=1))[0] == 103
                assert not ann.pushes
            else:
                assert answer == {
                    "recoverable": True, "positioned": True, "epoch": own, "offset": 5,
                    "was_recovering": True,
                }  # fmt: skip

    run(main())


def test_from_the_beginning_without_an_epoch(run: Run) -> None:
    async def main() -> None:
        async with speaking(server_of()) as (client, ann):
            client.hub.broadcast_json_to_room("a", 1)
            result = await ann.ask("subscribe", channel="a", recover=True)
            assert result["recovered"] and [e["data"] for e in result["publications"]] == [1]

    run(main())


def test_a_room_that_keeps_one_message_gives_the_newest(run: Run) -> None:
    """As Centrifugo's recovery mode `cache`."""

    async def main() -> None:
        async with speaking(server_of({"a": KEPT | {"history_size": 1}})) as (client, ann):
            for n in range(1, 6):
                client.hub.broadcast_json_to_room("a", n)
            for epoch, offset in (("", 0), ("other", 77)):
                result = await ann.ask("subscribe", **since(epoch, offset))
                assert result["recovered"] and result["offset"] == 4
                assert [each["offset"] for each in result["publications"]] == [5]
                await ann.ask("unsubscribe", channel="a")
            result = await ann.ask("subscribe", **since(result["epoch"], 5))
            assert result["recovered"] and "publications" not in result

    run(main())


def test_a_room_without_history_has_no_positions(run: Run) -> None:
    async def main() -> None:
        async with speaking(server_of({"a": {"client_join": True}})) as (_client, ann):
            assert await ann.ask("subscribe", **since("e", 3)) == {}

    run(main())


def test_a_room_that_begins_anew_ends_what_knows_the_old_positions(run: Run) -> None:
    async def main() -> None:
        async with speaking(server_of(), 2) as (client, ann, bob):
            epoch = (await ann.ask("subscribe", channel="a"))["epoch"]
            client.hub.get_connections()[1].join_room("a")
            await bob.push()
            client.hub.broadcast_json_to_room("a", 1)
            assert (await ann.push())["pub"]["offset"] == 1
            client.hub.get_room_manager()._broker.forget("a")
            client.hub.broadcast_json_to_room("a", 2)
            told = await ann.push()
            while "unsubscribe" not in told:
                told = await ann.push()
            assert told["unsubscribe"] == {"code": 2500, "reason": "insufficient state"}
            assert await bob.ended() == (3010, "insufficient state")
            await client.settle()
            assert client.hub.get_room_manager().get_room_size("a") == 0
            result = await ann.ask("subscribe", **since(epoch, 1))
            assert "recovered" not in result and result["epoch"] != epoch

    run(main())
