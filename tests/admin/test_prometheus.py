"""What a scrape finds."""

from __future__ import annotations

from tests.admin.documented import NAMES, PREFIX, samples
from tests.admin.operated import operated


def test_a_scrape_has_what_happened_under_the_documented_names(backend, run):
    async def main():
        async with operated(backend) as site:
            ada, bob = await site.connect("?room=blue"), await site.connect('?room=blue&room="q"')
            for text in ("one", "two"):
                assert await ada.echo(text) == text
            await ada.socket.send("fail")
            await ada.socket.send(b"nobody listens")
            assert await ada.echo("three") == "three"
            await site.act("publish", room="blue", data={"n": 1})
            assert await ada.json() == await bob.json() == {"n": 1}
            await bob.socket.close(1001)
            while len(site.server.hub) != 1:
                await ada.echo("wait")
            refused = await site.http.get(f"{site.public}/ws", headers={
                "Upgrade": "websocket", "Connection": "Upgrade", "Origin": "http://evil.example",
                "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13",
            })  # fmt: skip
            assert refused.status_code == 403

            answer = await site.http.get("/metrics")
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            found = samples(answer.text)
            names = {name.removeprefix(PREFIX) for name, _ in found if name.startswith(PREFIX)}
            assert names == NAMES
            figures = {
                (name.removeprefix(PREFIX), *labels): value
                for (name, labels), value in found.items()
            }
            received = figures["messages_received_total",]
            assert received >= 4
            assert figures["messages_sent_total",] == received - 2 + 2 + 2
            assert figures["messages_unhandled_total",] == 1
            assert figures["connections",] == 1
            assert figures["connections_total",] == 2
            assert figures["connections_rejected_total", "origin"] == 1
            assert figures["connections_rejected_total", "full"] == 0
            assert figures["disconnects_total", "1001"] == 1
            assert figures["disconnects_total", "4008"] == 0
            assert figures["messages_dropped_total", "oldest"] == 0
            assert figures["rooms",] == 1
            assert figures["room_members", "blue"] == 1
            assert figures["handler_errors_total",] == 1
            assert figures["broadcast_seconds_count",] == 1
            assert figures["bytes_sent_total",] > figures["messages_sent_total",]
            assert ("process_resident_memory_bytes", ()) in found

    run(main())


def test_the_largest_twenty_rooms_are_named(backend, run):
    async def main():
        async with operated(backend) as site:
            query = "&".join(f"room=r{number}" for number in range(25))
            await site.connect(f"?{query}")
            await site.connect("?room=r24")
            found = samples((await site.http.get("/metrics")).text)
            rooms = {labels[0] for name, labels in found if name == PREFIX + "room_members"}
            assert len(rooms) == 20
            assert found[PREFIX + "room_members", ("r24",)] == 2
            assert found[PREFIX + "rooms", ()] == 25

    run(main())
