"""Operators and what rooms keep: places in answers, reading, forgetting, keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.admin.operated import operated

ROOMS = {"chat*": {"history_size": 3}}


def test_operators_read_and_forget_what_a_room_keeps(backend: Any, run: Callable[..., Any]) -> None:
    async def main() -> None:
        async with operated(backend, rooms=ROOMS) as site:
            first = await site.act("publish", room="chat", data={"n": 1})
            assert (first["offset"], first["sent"]) == (1, 0)
            for n in (2, 3, 4):
                await site.act("publish", room="chat", data={"n": n})
            path = "/api/rooms/chat/history"
            whole = (await site.http.get(path)).json()
            assert [each["data"]["n"] for each in whole["messages"]] == [2, 3, 4]
            assert (whole["epoch"], whole["offset"]) == (first["epoch"], 4)
            query = f"?epoch={first['epoch']}&offset=2&limit=1"
            (one,) = (await site.http.get(path + query)).json()["messages"]
            assert one["offset"] == 3
            lost = (await site.http.get(path + "?epoch=other&offset=2")).json()
            assert (lost["lost"], lost["messages"]) == (True, [])
            assert (await site.http.get(path + "?before=3")).json()["messages"][0]["offset"] == 2
            assert (await site.http.get(path + "?limit=x")).status_code == 400
            assert (await site.http.get("/api/rooms/other/history")).status_code == 404
            gone = await site.http.delete(path)
            assert gone.json() == {"epoch": first["epoch"], "offset": 4}
            assert (await site.http.get(path)).json()["messages"] == []
            await site.act("close-room", room="chat")
            assert (await site.http.get(path)).json()["epoch"] != first["epoch"]

    run(main())


def test_a_key_counts_where_nobody_remembers_the_answer(
    backend: Any, run: Callable[..., Any]
) -> None:
    """As in a process that took over from the one that had answered."""

    async def main() -> None:

        async with operated(backend, rooms=ROOMS) as site:
            body = {"room": "chat", "data": 1}
            headers = {"Idempotency-Key": "k"}
            first = await site.http.post("/api/publish", json=body, headers=headers)
            site.server.hub._rooms._broker.ids.sweep()
            again = await site.http.post("/api/publish", json=body, headers=headers)
            assert again.json() == first.json()
            ((known, _),) = list(site.server.hub._rooms._broker.ids)
            assert known[0] == "chat" and known[2].startswith("operator:k ")
            calls = [{"method": "publish", "params": body}] * 2
            many = await site.http.post("/api/batch", json={"calls": calls}, headers=headers)
            assert many.status_code == 422
            headers = {"Idempotency-Key": "l"}
            many = await site.http.post("/api/batch", json={"calls": calls}, headers=headers)
            assert [each["offset"] for each in many.json()["results"]] == [2, 3]

    run(main())
