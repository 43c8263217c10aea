"""Publishing from another process, through a real operators' port."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from admin.operated import TOKEN, operated

from glyph_fast.publisher import AsyncPublisher, Publisher, PublishError


def test_a_program_without_a_loop_publishes(backend, run):
    async def main():
        async with operated(backend) as site:
            ada = await site.connect("?room=blue&room=red&user=ada")

            def program() -> list[object]:
                with Publisher(site.admin, TOKEN) as publisher:
                    return [
                        publisher.publish("blue", {"n": 1}),
                        publisher.publish(["blue", "red"], 2),
                        publisher.publish("blue", 3, exclude=[ada.id]),
                        publisher.broadcast("all"),
                        publisher.send("you", user="ada"),
                        publisher.rooms(),
                        publisher.room("blue")["members"],
                        publisher.batch([("send", {"user": "eve", "data": 1})])[0]["status"],
                        publisher.set_metadata("blue", {"topic": "tea"}),
                        publisher.room("blue")["metadata"],
                        publisher.info()["connections"],
                        publisher.close_room("blue", code=4000, reason="enough"),
                        publisher.disconnect(connection="nobody"),
                    ]

            one, none = (1, 0, 0), (0, 0, 0)
            assert await asyncio.to_thread(program) == [
                one, one, none, one, one, {"blue": 1, "red": 1}, [ada.id], 404, None,
                {"topic": "tea"}, 1, 1, 0,
            ]  # fmt: skip
            assert [await ada.json() for _ in range(4)] == [{"n": 1}, 2, "all", "you"]
            await ada.socket.wait_closed()
            assert (ada.socket.close_code, ada.socket.close_reason) == (4000, "enough")

    run(main())


def test_coroutines_publish_too(backend, run):
    async def main():
        async with operated(backend) as site, AsyncPublisher(site.admin, TOKEN) as publisher:
            ada = await site.connect("?room=blue/1&user=ada")
            assert await publisher.publish("blue/1", [1]) == (1, 0, 0)
            assert await publisher.broadcast(None) == (1, 0, 0)
            assert await publisher.send("x", connection=ada.id) == (1, 0, 0)
            assert await publisher.rooms() == {"blue/1": 1}
            assert (await publisher.room("blue/1"))["size"] == 1
            assert await publisher.batch([("broadcast", {"data": 1})]) == [
                {"sent": 1, "queued": 0, "dropped": 0}
            ]
            await publisher.set_metadata("blue/1", {"topic": "tea"})
            assert (await publisher.room("blue/1"))["metadata"] == {"topic": "tea"}
            assert (await publisher.info())["rooms"] == 1
            bob = await site.connect("?room=red")
            assert await publisher.close_room("red", code=4000) == 1
            await bob.socket.wait_closed()
            assert await publisher.disconnect(user="ada") == 1

    run(main())


def test_a_refusal_says_why(backend, run):
    async def main():
        async with operated(backend) as site:
            async with AsyncPublisher(site.admin, "wrong") as stranger:
                with pytest.raises(PublishError) as caught:
                    await stranger.broadcast(1)
                assert caught.value.status == 401
            async with AsyncPublisher(site.admin, TOKEN) as publisher:
                with pytest.raises(PublishError, match="no such connection") as caught:
                    await publisher.send(1, user="nobody")
                assert caught.value.status == 404
                with pytest.raises(TypeError, match="name one of connection, user"):
                    await publisher.send(1)

    run(main())


def test_no_server_is_an_error_of_ours() -> None:
    with Publisher("http://127.0.0.1:1", "x") as publisher:
        with pytest.raises(PublishError, match="no answer from the server") as caught:
            publisher.broadcast(1)
        assert caught.value.status is None


def test_without_httpx_it_says_what_to_install():
    program = "import sys; sys.modules['httpx'] = None; import glyph_fast.publisher"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: glyph_fast.publisher needs httpx: pip install 'glyph-fast[publisher]'"
    )
