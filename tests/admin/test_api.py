"""The server API: what each call does, and how it says no."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest

from glyph_fast.admin.api import IdempotencyKeys
from glyph_fast.admin.calls import CallError
from glyph_fast.http import resting
from glyph_fast.http.response import Response
from tests.admin.operated import TOKEN, operated
from tests.serving import serving

# TRACE is answered with 501 by the whole server (RFC 9110 §9.1). Keys that repeat with other bodies
# are right requests too, and how many characters a room's name has does not tell its bytes.
SCHEMATHESIS = """
[phases.coverage]
unexpected-methods = ["DELETE", "PATCH", "PUT"]

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "422"]

[[operations]]
include-path = "/api/rooms/{name}/metadata"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]
"""
NOBODY = {"sent": 0, "queued": 0, "dropped": 0}
ONE = {"sent": 1, "queued": 0, "dropped": 0}


def test_publish_reaches_the_members_of_a_room(backend, run):
    async def main():
        async with operated(backend) as site:
            ada, bob = await site.connect("?room=blue"), await site.connect("?room=blue")
            eve = await site.connect("?room=red")
            result = await site.act("publish", room="blue", data={"text": "grüße"})
            assert result == {"sent": 2, "queued": 0, "dropped": 0}
            assert await ada.json() == await bob.json() == {"text": "grüße"}
            assert await site.act("publish", room="blue", data=None, exclude=[ada.id]) == ONE
            assert await bob.json() is None
            assert await site.act("publish", room="nowhere", data=1) == NOBODY
            assert await eve.echo("only this") == "only this"
            assert await ada.echo("and this") == "and this"

    run(main())


def test_a_member_of_several_rooms_receives_once(backend, run):
    async def main():
        async with operated(backend) as site:
            ada, bob = await site.connect("?room=blue&room=red"), await site.connect("?room=red")
            rooms = ["blue", "red", "red", "unknown"]
            result = await site.act("publish", rooms=rooms, data=[1])
            assert result["sent"] == 2
            assert await ada.json() == await bob.json() == [1]
            assert await site.act("publish", rooms=rooms, data=2, exclude=[bob.id]) == ONE
            assert await ada.json() == 2
            assert await ada.echo("next") == await bob.echo("next") == "next"
            assert await site.act("publish", rooms=[], data=2) == NOBODY

    run(main())


def test_broadcast_and_send_reach_whom_they_name(backend, run):
    async def main():
        async with operated(backend) as site:
            ada = await site.connect("?user=ada")
            phone, eve = await site.connect("?user=ada"), await site.connect("?user=eve")
            assert (await site.act("broadcast", data="all"))["sent"] == 3
            assert [await each.json() for each in (ada, phone, eve)] == ["all"] * 3
            assert await site.act("send", connection=phone.id, data=1) == ONE
            assert await phone.json() == 1
            assert (await site.act("send", user="ada", data=2))["sent"] == 2
            assert await ada.json() == await phone.json() == 2
            assert await eve.echo("nothing") == "nothing"
            for missing in ({"connection": "nobody"}, {"user": "nobody"}):
                answer = await site.http.post("/api/send", json={**missing, "data": 1})
                assert (answer.status_code, answer.json()) == (
                    404, {"error": "no such connection"},
                )  # fmt: skip

    run(main())


def test_disconnect_and_close_room_close_with_code_and_reason(backend, run):
    async def main():
        async with operated(backend) as site:
            ada, bob = await site.connect("?user=ada"), await site.connect("?room=blue")
            assert await site.act("disconnect", user="ada", code=4001, reason="bye") == {
                "closed": 1
            }
            await ada.socket.wait_closed()
            assert (ada.socket.close_code, ada.socket.close_reason) == (4001, "bye")
            assert await site.act("close-room", room="blue") == {"closed": 1}
            await bob.socket.wait_closed()
            assert bob.socket.close_code == 1000
            assert (await site.http.get("/api/rooms")).json() == {"rooms": []}
            assert await site.act("close-room", room="blue") == {"closed": 0}
            assert await site.act("disconnect", connection=ada.id) == {"closed": 0}

    run(main())


def test_rooms_are_listed_and_described(backend, run):
    async def main():
        async with operated(backend) as site:
            ada = await site.connect("?room=a/b%20c&room=blue")
            assert (await site.http.get("/api/rooms")).json() == {
                "rooms": [{"name": "a/b c", "size": 1}, {"name": "blue", "size": 1}]
            }
            path = "/api/rooms/a%2Fb%20c"
            put = await site.http.put(f"{path}/metadata", json={"topic": "tea"})
            assert put.json() == {"topic": "tea"}
            room = (await site.http.get(path)).json()
            assert room == {
                "name": "a/b c", "size": 1, "members": [ada.id], "metadata": {"topic": "tea"},
            }  # fmt: skip
            site.server.hub.get_room_manager().get_room("blue").set_metadata("made by", object)
            blue = (await site.http.get("/api/rooms/blue")).json()
            assert blue["metadata"] == {"made by": "<class 'object'>"}
            missing = await site.http.get("/api/rooms/none")
            assert (missing.status_code, missing.json()) == (404, {"error": "no such room"})

    run(main())


def test_metadata_keeps_a_room_that_nobody_is_in_until_it_is_emptied(backend, run):
    async def main():
        async with operated(backend) as site:
            for values, names in (({"a": 1}, ["new"]), ({"b": 2}, ["new"]), ({}, [])):
                put = await site.http.put("/api/rooms/new/metadata", json=values)
                assert put.json() == values
                assert site.server.hub.get_room_manager().get_room_names() == names
            for path, body in (("/api/rooms/%01/metadata", {"a": 1}), ("/api/rooms/x/metadata", 1)):
                assert (await site.http.put(path, json=body)).status_code == 400

    run(main())


def test_info_tells_what_runs(backend, run):
    async def main():
        async with operated(backend) as site:
            info = (await site.http.get("/api/info")).json()
            assert (info["core"], info["engine"]) == (backend.core, backend.engine)
            assert info["loop"] == backend.loop
            assert info["connections"] == info["rooms"] == 0
            assert info["uptime"] > 0

    run(main())


def test_a_batch_answers_each_call_in_its_place(backend, run):
    async def main():
        async with operated(backend) as site:
            ada = await site.connect("?room=blue")
            calls = [
                {"method": "publish", "params": {"room": "blue", "data": 1}},
                {"method": "send", "params": {"connection": "nobody", "data": 2}},
                {"method": "dance"},
                {"method": "broadcast", "params": {"data": 3, "extra": 4}},
                7,
                {"method": "broadcast", "params": {"data": 5}},
            ]
            results = (await site.act("batch", calls=calls))["results"]
            assert results[0] == results[5] == ONE
            assert results[1] == {"error": "no such connection", "status": 404}
            assert [results[i]["status"] for i in (2, 3, 4)] == [400, 400, 400]
            assert [await ada.json(), await ada.json()] == [1, 5]
            many = await site.http.post("/api/batch", json={"calls": [{}] * 1001})
            assert many.status_code == 400

    run(main())


@pytest.mark.parametrize(
    ("call", "body", "error"),
    [
        ("publish", b"{", "request body is not valid JSON"),
        ("publish", b"", "request body is not valid JSON"),
        ("publish", b"[]", "expected a JSON object"),
        ("publish", b'{"room":"a"}', "data is missing"),
        ("publish", b'{"data":1}', "expected one of room, rooms"),
        ("publish", b'{"data":1,"room":"a","rooms":[]}', "expected one of room, rooms"),
        ("publish", b'{"data":1,"room":7}', "room: expected a text of"),
        ("publish", b'{"data":1,"room":"%b"}' % (b"x" * 20_000), "room: expected a text of"),
        ("publish", b'{"data":1,"rooms":["a","%b"]}' % (b"x" * 20_000), "rooms: expected a list"),
        (
            "publish",
            b'{"data":1,"rooms":["a",1]}',
            "rooms: expected a list of at most 10000 texts of",
        ),
        ("publish", b'{"data":1,"room":"a","to":1}', "unknown member 'to'"),
        ("disconnect", b'{"user":"a","code":1006}', "code: expected a close code that may"),
        ("disconnect", b'{"user":"a","code":true}', "code: expected a close code that may"),
        ("close-room", b'{"room":"a","reason":"%s"}' % (b"x" * 124), "reason: expected a text of"),
        ("batch", b'{"calls":1}', "expected"),
    ],
)
def test_a_wrong_body_is_named(backend, run, call, body, error):
    async def main():
        async with operated(backend) as site:
            answer = await site.http.post(f"/api/{call}", content=body)
            assert answer.status_code == 400
            assert answer.json()["error"].startswith(error)

    run(main())


def test_a_repeated_request_acts_once(backend, run):
    async def main():
        async with operated(backend) as site:
            ada = await site.connect("?room=blue")
            body = {"room": "blue", "data": "once"}
            keyed = {"Idempotency-Key": "k1"}
            first, second = [
                await site.http.post("/api/publish", json=body, headers=keyed) for _ in range(2)
            ]
            assert first.json() == second.json() == ONE
            for path, other in (("/api/publish", {**body, "data": 2}), ("/api/broadcast", body)):
                answer = await site.http.post(path, json=other, headers=keyed)
                assert answer.status_code == 422
            assert await ada.json() == "once"
            assert await ada.echo("then") == "then"

    run(main())


def test_keys_are_forgotten_after_five_minutes_or_ten_thousand_others():
    now = [0.0]
    keys = IdempotencyKeys(lambda: now[0])
    first = Response({"n": 1})
    keys.keep("a", b"1", first)
    now[0] = 299.0
    assert keys.find("a", b"1") is first
    with pytest.raises(CallError):
        keys.find("a", b"2")
    now[0] = 300.0
    assert keys.find("a", b"2") is None
    for number in range(10_001):
        keys.keep(str(number), b"", first)
    assert len(keys) == 10_000
    assert keys.find("0", b"other") is None
    with pytest.raises(CallError):
        keys.find("x" * 256, b"")


def test_answers_that_are_kept_have_a_bound_in_bytes():
    keys = IdempotencyKeys()
    for number in range(100):
        keys.keep(str(number), b"", Response("x" * 2**20))
        keys.keep(str(number), b"", Response("x" * 2**20))
        assert keys.nbytes == len(keys) * 2**20 <= 64 * 2**20
    assert keys.find("99", b"") is not None and keys.find("0", b"") is None


def test_a_request_repeated_while_it_is_done_acts_once(backend, run, monkeypatch):
    monkeypatch.setattr(resting, "TURN_S", 0.0)  # a batch lets others in after each call

    async def main():
        async with operated(backend) as site:
            ada = await site.connect()
            calls = [{"method": "broadcast", "params": {"data": n}} for n in range(20)]
            keyed = {"Idempotency-Key": "k"}
            asked = [
                site.http.post("/api/batch", json={"calls": calls}, headers=keyed) for _ in range(4)
            ]
            answers = await asyncio.gather(*asked)
            assert len({each.content for each in answers}) == 1
            assert [await ada.json() for _ in calls] == list(range(20))
            assert await ada.echo("then") == "then"

    run(main())


def test_a_line_about_what_operators_do_is_short(backend, run, caplog):
    async def main():
        async with operated(backend) as site:
            await site.act("close-room", room="x" * 16_383)
            await site.act("publish", rooms=["red"] * 10_000, data=1)
            keyed = {"X-API-Key": TOKEN}
            body = {"user": "y" * 100_000}
            async with httpx.AsyncClient(base_url=site.admin) as bare:
                await bare.post("/api/disconnect", json=body, headers=keyed)

    caplog.set_level("DEBUG", "glyph_fast")
    run(main())
    lines = [line for line in caplog.messages if line.startswith("operator's call")]
    assert len(lines) == 3 and all(len(line) < 500 for line in lines)


def test_what_operators_do_leaves_a_line_without_contents(backend, run, caplog):
    async def main():
        async with operated(backend) as site:
            with caplog.at_level("INFO", "glyph_fast"):
                await site.act("broadcast", data="secret words")
                await site.act("disconnect", user="nobody", code=4000, reason="enough")
                await site.act("publish", room="blue", data="secret words")
                params = {"room": "blue"}
                await site.act("batch", calls=[{"method": "close-room", "params": params}])

    run(main())
    said = [record.fields for record in caplog.records if hasattr(record, "fields")
            and "call" in record.fields]  # fmt: skip
    assert [each["call"] for each in said] == ["broadcast", "disconnect", "close-room"]
    assert said[1].items() >= {"user": "nobody", "code": 4000, "reason": "enough"}.items()
    assert said[2].items() >= {"room": "blue", "closed": 0}.items()
    assert "secret" not in caplog.text
    assert "let-me-in" not in caplog.text


@pytest.mark.slow
def test_the_openapi_document_is_kept(tmp_path):
    """Generated requests, right and wrong ones: no answer that the document does not tell of."""
    options = ("--admin", "127.0.0.1:0", "--admin-token", TOKEN, "--log-level", "error")
    with serving(*options) as server:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        (tmp_path / "schemathesis.toml").write_text(SCHEMATHESIS)
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--header", f"Authorization: Bearer {TOKEN}", "--checks", "all"),
            *("--phases", "examples,coverage,fuzzing", "--max-examples", "15", "--seed", "1"),
            *("--suppress-health-check", "all", "--no-color"),
        ]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]


def test_who_is_in_a_room_with_presence_is_told(backend, run):
    async def main():
        config = {"rooms": {"blue": {"presence": True}}}
        async with operated(backend, **config) as site:
            ada, bob = await site.connect("?room=blue&user=ada"), await site.connect("?room=blue")
            await site.connect("?room=red")
            assert (await site.http.get("/api/rooms/blue/presence")).json() == {
                "clients": 2,
                "users": 2,
                "members": [
                    {"id": ada.id, "user": "ada", "info": None},
                    {"id": bob.id, "user": None, "info": None},
                ],
            }
            missing = await site.http.get("/api/rooms/red/presence")
            assert (missing.status_code, missing.json()) == (
                404, {"error": "this room has no presence"}
            )  # fmt: skip

    run(main())
