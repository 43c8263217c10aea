"""WebSockets through an application. The cases are those of uvicorn's suite, by name."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus

from glyph_fast import Server
from glyph_fast.asgi.websocket import WebSocketCall
from tests.asgi.apps import echo, only, serving, upgrade
from tests.running import running

ACCEPT = {"type": "websocket.accept"}


def sending(*messages):
    """An application that sends these, after the wish to connect has come."""

    async def app(scope, receive, send):
        assert await receive() == {"type": "websocket.connect"}
        for message in messages:
            await send(message)

    return only("websocket", app)


def drive(app, backend, run, script, **options):
    async def main():
        async with serving(app, backend, **options) as url:
            return await script(url)

    return run(main())


def status_of(app, backend, run, **options):
    """The status of the refusal, its headers and its body."""

    async def script(url):
        with pytest.raises(InvalidStatus) as caught:
            await connect(url.ws("/"))
        response = caught.value.response
        return response.status_code, response.headers, response.body

    return drive(app, backend, run, script, **options)


@pytest.mark.parametrize("message", ["", "hello", "héllo 🎉", "x" * 300_000, b"", bytes(300_000)])
def test_what_is_sent_comes_back(backend, run, message):
    async def script(url):
        async with connect(url.ws("/"), max_size=None) as client:
            for _ in range(3):
                await client.send(message)
                assert await client.recv() == message

    drive(only("websocket", echo), backend, run, script)


def test_rapid_messages_keep_their_order(backend, run):
    async def script(url):
        async with connect(url.ws("/")) as client:
            for number in range(1000):
                await client.send(str(number))
            assert [await client.recv() for _ in range(1000)] == [str(n) for n in range(1000)]

    drive(only("websocket", echo), backend, run, script)


def test_headers_path_and_raw_path(backend, run):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        told = {
            "path": scope["path"],
            "raw_path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "scheme": scope["scheme"],
            "x": [value.decode() for name, value in scope["headers"] if name == b"x-a"],
            "spec": scope["asgi"]["spec_version"],
        }
        await send({"type": "websocket.send", "text": json.dumps(told)})

    async def script(url):
        fields = [("X-A", "1"), ("x-a", "2")]
        async with connect(url.ws("/one%2Ftwo%20x?q=%20"), additional_headers=fields) as client:
            assert json.loads(await client.recv()) == {
                "path": "/one/two x", "raw_path": "/one%2Ftwo%20x", "query": "q=%20",
                "scheme": "ws", "x": ["1", "2"], "spec": "2.5",
            }  # fmt: skip

    drive(only("websocket", app), backend, run, script)


def test_extra_headers(backend, run):
    accept = {**ACCEPT, "headers": [(b"x-a", b"1"), (b"set-cookie", b"a=b")]}

    async def script(url):
        async with connect(url.ws("/")) as client:
            assert client.response.headers["x-a"] == "1"
            assert client.response.headers["set-cookie"] == "a=b"

    drive(sending(accept), backend, run, script)


@pytest.mark.parametrize("chosen", ["proto2", None])
def test_subprotocols(backend, run, chosen):
    async def app(scope, receive, send):
        assert scope["subprotocols"] == ["proto1", "proto2", "proto3"]
        await receive()
        await send({**ACCEPT, "subprotocol": chosen})
        await receive()

    async def script(url):
        peer = await url.peer()
        peer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: proto1, proto2\r\nSec-WebSocket-Protocol: proto3\r\n\r\n"
        )
        head = (await peer.head()).lower()
        await peer.close()
        assert (b"sec-websocket-protocol: proto2" in head) == (chosen is not None)

    drive(only("websocket", app), backend, run, script)


def test_send_and_close_connection(backend, run):
    app = sending(
        ACCEPT,
        {"type": "websocket.send", "text": "123"},
        {"type": "websocket.close", "code": 4001, "reason": "enough"},
    )

    async def script(url):
        async with connect(url.ws("/")) as client:
            assert await client.recv() == "123"
            with pytest.raises(ConnectionClosedError):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4001, "enough")

    drive(app, backend, run, script)


def test_a_return_without_a_close_is_1000(backend, run):
    async def script(url):
        async with connect(url.ws("/")) as client:
            with pytest.raises(ConnectionClosedOK):
                await client.recv()
            assert client.close_code == 1000

    drive(sending(ACCEPT), backend, run, script)


def test_an_exception_is_1011(backend, run, caplog):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        raise ArithmeticError("mine")

    async def script(url):
        async with connect(url.ws("/")) as client:
            with pytest.raises(ConnectionClosedError):
                await client.recv()
            assert client.close_code == 1011

    drive(only("websocket", app), backend, run, script)
    assert "mine" in caplog.text


def test_server_reject_connection(backend, run):
    app = sending({"type": "websocket.close", "code": 1008})
    status, _, content = status_of(app, backend, run)
    assert (status, content) == (403, b'{"error":"Forbidden"}')


@pytest.mark.parametrize("bodies", [[b"denied"], [b"de", b"nied"], [b""]])
def test_server_reject_connection_with_response(backend, run, bodies):
    kind = "websocket.http.response.body"
    pieces = [{"type": kind, "body": each, "more_body": True} for each in bodies[:-1]]
    begin = {
        "type": "websocket.http.response.start",
        "status": 401,
        "headers": [(b"x-a", b"1"), (b"content-type", b"text/plain")],
    }
    app = sending(begin, *pieces, {"type": kind, "body": bodies[-1]})
    status, headers, content = status_of(app, backend, run)
    assert (status, headers["x-a"], content) == (401, "1", b"".join(bodies))


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"type": "websocket.send", "text": "x"}],
        [{"type": "websocket.http.response.start", "status": 700_000}],
        [{"type": "websocket.http.response.start", "status": 401}],
        [{"type": "websocket.http.response.body", "body": b""}],
        [{**ACCEPT, "headers": [(b"x\r\n", b"")]}],
    ],
    ids=["none", "send", "status", "missing_body", "missing_start", "field"],
)
def test_what_is_no_decision_is_500(backend, run, caplog, messages):
    assert status_of(sending(*messages), backend, run)[0] == 500
    assert "handler failed" in caplog.text


def test_asgi_return_value_means_nothing(backend, run):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        return 123

    async def script(url):
        async with connect(url.ws("/")) as client:
            with pytest.raises(ConnectionClosedOK):
                await client.recv()

    drive(only("websocket", app), backend, run, script)


@pytest.mark.parametrize("is_text", [True, False])
def test_duplicate_handshake_and_what_is_no_message(backend, run, caplog, is_text):
    bad = ACCEPT if is_text else {"type": "websocket.send", "text": 7}

    async def script(url):
        async with connect(url.ws("/")) as client:
            with pytest.raises(ConnectionClosedError):
                await client.recv()
            assert client.close_code == 1011

    drive(sending(ACCEPT, bad), backend, run, script)


def ends_with(backend, run, leave, **options):
    """What the application is told of the end."""

    async def main():
        heard = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await receive()
            await send(ACCEPT)
            message = await receive()
            with pytest.raises(OSError):
                await send({"type": "websocket.send", "text": "late"})
            heard.set_result(message)

        async with serving(only("websocket", app), backend, **options) as url:
            await leave(url)
            return await heard

    return run(main())


def test_client_close(backend, run):
    async def leave(url):
        async with connect(url.ws("/")) as client:
            await client.close(4000, "bye")

    assert ends_with(backend, run, leave) == {
        "type": "websocket.disconnect", "code": 4000, "reason": "bye",
    }  # fmt: skip


def test_client_close_without_a_code_is_1005(backend, run):
    async def leave(url):
        peer = await url.peer()
        await peer.upgrade()
        peer.send(8, b"")
        await peer.rest()
        await peer.close()

    assert ends_with(backend, run, leave)["code"] == 1005


@pytest.mark.parametrize("is_reset", [True, False])
def test_client_connection_lost_is_1006(backend, run, is_reset):
    async def leave(url):
        peer = await url.peer()
        await peer.upgrade()
        if is_reset:
            peer.reset()
        else:
            await peer.close()

    assert ends_with(backend, run, leave)["code"] == 1006


def test_connection_lost_before_handshake_complete(backend, run):
    async def main():
        heard = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await receive()
            message = await receive()
            with pytest.raises(OSError):
                await send(ACCEPT)
            heard.set_result(message)

        server = Server()
        server.mount("/", only("websocket", app))
        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write(
                b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            await asyncio.sleep(0.05)
            assert server.hub._count() == 0
            await peer.close()
            assert (await heard)["code"] == 1006

    run(main())


@pytest.mark.parametrize("is_read", [True, False])
def test_send_close_on_server_shutdown(backend, run, is_read):
    async def main():
        heard = []

        async def app(scope, receive, send):
            await receive()
            await send(ACCEPT)
            if is_read:
                heard.append(await receive())
            else:
                await asyncio.Event().wait()

        server = Server()
        server.mount("/", only("websocket", app))
        async with running(server, backend, drain_timeout="200ms") as url:
            client = await connect(url.ws("/"))
            assert server.hub._count() == 1 and server.hub.metrics.connections_total == 1
            assert len(server.hub) == 0  # it is the application's
            stopping = asyncio.create_task(server.shutdown())
            await client.wait_closed()
            assert client.close_code == 1001
            await stopping
        if is_read:
            assert heard[0]["code"] == 1001
        assert server.hub._count() == 0 and server.hub.metrics.disconnects[1001] == 1

    run(main())


def test_one_that_is_accepted_after_the_shutdown_has_begun_is_refused(backend, run, caplog):
    async def main():
        asked, go_on, heard = asyncio.Event(), asyncio.Event(), []

        async def app(scope, receive, send):
            await receive()
            asked.set()
            await go_on.wait()
            try:
                await send(ACCEPT)
            except OSError:
                heard.append("too late")
                raise

        server = Server()
        server.mount("/", only("websocket", app))
        async with running(server, backend, drain_timeout="10s") as url:
            peer = await url.peer()
            peer.write(upgrade())
            await asked.wait()
            stopping = asyncio.create_task(server.shutdown())
            await asyncio.sleep(0.05)
            go_on.set()
            assert (await peer.answer())[0] == 503
            await peer.close()
            await stopping
        assert "did not close in time" not in caplog.text
        assert heard == ["too late"] and server.hub.metrics.connections_total == 0
        assert "handler failed" not in caplog.text

    run(main())


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("Sec-WebSocket-Protocol: " + "a, " * 64 + "b", {}),
        ("Sec-WebSocket-Extensions: ,;=", {"compression": "shared"}),
        ("Sec-WebSocket-Extensions: " + "a, " * 64 + "b", {"compression": "shared"}),
    ],
    ids=["subprotocols", "malformed", "extensions"],
)
def test_offers_that_are_none_are_400_and_no_application_hears_of_them(
    backend, run, caplog, field, options
):
    async def script(url):
        peer = await url.peer()
        peer.write(upgrade(field))
        assert (await peer.answer())[0] == 400
        await peer.close()

    async def app(scope, receive, send):
        raise AssertionError("it was asked")

    drive(only("websocket", app), backend, run, script, **options)
    assert "handler failed" not in caplog.text


def test_fields_of_the_101_that_are_the_servers(backend, run):
    ours = {"connection": "close", "content-length": "5", "transfer-encoding": "chunked",
            "sec-websocket-accept": "x", "sec-websocket-extensions": "permessage-deflate",
            "upgrade": "x"}  # fmt: skip
    pairs = [(name.encode(), value.encode()) for name, value in ours.items()]
    app = sending({**ACCEPT, "headers": [*pairs, (b"a", b"b")], "subprotocol": ""})

    async def script(url):
        peer = await url.peer()
        peer.write(upgrade())
        head = (await peer.head()).lower()
        assert head.count(b"\r\n") == 6 and b"a: b\r\n" in head, head
        assert b"upgrade: websocket\r\nconnection: upgrade\r\n" in head
        await peer.close()

    drive(app, backend, run, script)


def test_messages_that_came_before_the_end_are_read(backend, run):
    async def main():
        heard, go_on = [], asyncio.Event()

        async def app(scope, receive, send):
            await receive()
            await send(ACCEPT)
            await go_on.wait()
            while (message := await receive())["type"] != "websocket.disconnect":
                heard.append(message["text"])

        async with serving(only("websocket", app), backend) as url:
            async with connect(url.ws("/")) as client:
                for number in range(10):
                    await client.send(str(number))
            go_on.set()
            await asyncio.sleep(0.05)
        assert heard == [str(number) for number in range(10)]

    run(main())


def test_an_application_that_does_not_read_is_sent_no_more(backend, run):
    async def main():
        go_on, heard = asyncio.Event(), []

        async def app(scope, receive, send):
            await receive()
            await send(ACCEPT)
            await go_on.wait()
            for _ in range(2000):
                heard.append(len((await receive())["bytes"]))

        async with serving(only("websocket", app), backend, inbox_messages=4) as url:
            async with connect(url.ws("/")) as client:
                sent = 0

                async def flood():
                    nonlocal sent
                    for _ in range(2000):
                        await client.send(bytes(20_000))
                        sent += 1

                flooding = asyncio.create_task(flood())
                before = -1
                while before != sent:
                    before = sent
                    await asyncio.sleep(0.1)
                assert sent < 2000
                go_on.set()
                await flooding
                await client.wait_closed()
        assert heard == [20_000] * 2000

    run(main())


def test_send_waits_for_a_client_that_does_not_read_and_drops_nothing(backend, run):
    async def main():
        sent = 0

        async def app(scope, receive, send):
            nonlocal sent
            await receive()
            await send(ACCEPT)
            for number in range(1000):
                await send({"type": "websocket.send", "bytes": b"%8d" % number + bytes(50_000)})
                sent += 1

        async with serving(only("websocket", app), backend) as url:
            peer = await url.peer()
            await peer.upgrade()
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
            assert sent < 1000
            for number in range(1000):
                assert int((await peer.frame())[1][:8]) == number
            assert await peer.close_code() == 1000
            await peer.close()

    run(main())


def test_what_many_tasks_send_leaves_in_the_order_of_their_sends(backend, run):
    async def main():
        async def app(scope, receive, send):
            await receive()
            await send(ACCEPT)

            async def one(number):
                await send({"type": "websocket.send", "text": f"{number:8}" + "x" * 20_000})

            async with asyncio.TaskGroup() as tasks:
                for number in range(1000):
                    tasks.create_task(one(number))
            await send({"type": "websocket.send", "text": f"{1000:8}"})

        async with serving(only("websocket", app), backend) as url:
            peer = await url.peer()
            await peer.upgrade()
            await asyncio.sleep(0.1)
            for number in range(1001):
                assert int((await peer.frame())[1][:8]) == number
            assert await peer.close_code() == 1000
            await peer.close()

    run(main())


def test_those_who_wait_to_send_hear_that_the_client_is_gone(backend, run):
    async def main():
        heard = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await receive()
            await send(ACCEPT)
            message = {"type": "websocket.send", "text": "x" * 100_000}
            ends = [asyncio.create_task(send(message)) for _ in range(1000)]
            results = await asyncio.gather(*ends, return_exceptions=True)
            heard.set_result([type(each).__name__ for each in results if each is not None])

        async with serving(only("websocket", app), backend) as url:
            peer = await url.peer()
            await peer.upgrade()
            await asyncio.sleep(0.1)
            peer.reset()
            kinds = await heard
            assert len(kinds) > 500 and set(kinds) == {"ClientDisconnected"}

    run(main())


def test_a_message_beyond_the_option_is_1009(backend, run):
    async def script(url):
        async with connect(url.ws("/")) as client:
            await client.send("x" * 2000)
            with pytest.raises(ConnectionClosedError):
                await client.recv()
            assert client.close_code == 1009

    drive(only("websocket", echo), backend, run, script, max_message_size=1000)


@pytest.mark.parametrize("mode", ["off", "shared", "dedicated"])
def test_permessage_deflate_by_option(backend, run, mode):
    async def script(url):
        async with connect(url.ws("/")) as client:
            agreed = client.response.headers.get("sec-websocket-extensions", "")
            assert ("permessage-deflate" in agreed) == (mode != "off")
            await client.send("hello " * 1000)
            assert await client.recv() == "hello " * 1000

    drive(only("websocket", echo), backend, run, script, compression=mode)


def test_invalid_upgrade(backend, run):
    async def script(url):
        peer = await url.peer()
        peer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        )
        assert (await peer.answer())[0] in (400, 426)
        await peer.close()

    drive(only("websocket", echo), backend, run, script)


def test_limits_of_connections_hold_for_applications(backend, run):
    async def script(url):
        async with connect(url.ws("/")):
            with pytest.raises(InvalidStatus) as caught:
                await connect(url.ws("/"))
            assert caught.value.response.status_code == 503

    drive(only("websocket", echo), backend, run, script, max_connections=1)


def test_a_broadcast_of_the_server_is_not_for_applications(backend, run):
    async def main():
        server = Server()
        server.websocket("/own")
        server.mount("/", only("websocket", echo))
        async with running(server, backend) as url:
            async with connect(url.ws("/own")) as own, connect(url.ws("/theirs")) as theirs:
                assert server.hub.broadcast("to all").sent == 1
                assert await own.recv() == "to all"
                await theirs.send("mine")
                assert await theirs.recv() == "mine"

    run(main())


def test_a_wait_that_is_cancelled_loses_no_message(backend, run):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(receive(), 0.01)
        await send({"type": "websocket.send", "text": "ready"})
        message = await asyncio.create_task(receive())
        await send({"type": "websocket.send", "text": message["text"]})

    async def script(url):
        async with connect(url.ws("/")) as client:
            assert await client.recv() == "ready"
            await client.send("here")
            assert await client.recv() == "here"

    drive(only("websocket", app), backend, run, script)


def test_two_that_wait_at_a_time_are_an_error(backend, run):
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        first = asyncio.create_task(receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="already waits"):
            await receive()
        await send({"type": "websocket.send", "text": (await first)["text"]})

    async def script(url):
        async with connect(url.ws("/")) as client:
            await client.send("x")
            assert await client.recv() == "x"

    drive(only("websocket", app), backend, run, script)


@pytest.mark.parametrize(
    ("message", "share"), [("text", 256), (b"bytes", 256), ('{"n":1}', 52)], ids=str
)
def test_what_waited_is_taken_a_share_of_a_turn_at_a_time(run, message, share):
    """Somebody else is served between the shares of an application that was busy."""

    async def main():
        scopes = SimpleNamespace(websocket=lambda *known: {})
        mount = SimpleNamespace(scopes=scopes, pace=lambda conn: None)
        call = WebSocketCall(mount, None, None, SimpleNamespace(subprotocols=[]))
        for _ in range(600):
            call.put(1, message)
        steps, taken = [], 0

        async def take():
            nonlocal taken
            assert await call.receive() == {"type": "websocket.connect"}
            for _ in range(600):
                await call.receive()
                taken += 1

        taking = asyncio.create_task(take())
        while not taking.done():
            before = taken
            await asyncio.sleep(0)
            steps.append(taken - before)
        assert max(steps) == share and taken == 600
        await taking

    run(main())
