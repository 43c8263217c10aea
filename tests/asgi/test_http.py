"""HTTP through an application. The cases are those of uvicorn's and gunicorn's suites, by name."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from glyph_fast import Reject, Server
from tests.asgi.apps import answering, body, exchange, get, only, parts, serving, start, whole_body
from tests.running import running

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def ask(app, data, backend, run, **options):
    """What a server of that application sends, until the end of the connection."""

    async def main():
        async with serving(app, backend, **options) as url:
            return await exchange(url, data)

    return run(main())


def test_get_request(backend, run):
    answer = ask(answering(headers=[(b"x-a", b"b")]), get(), backend, run)
    line, fields, rest = parts(answer)
    assert line == b"HTTP/1.1 200 OK"
    assert fields == [b"x-a: b", b"content-length: 5", b"connection: close"]
    assert rest == b"hello"
    assert answer.lower().count(b"date:") == 1


def test_head_request(backend, run):
    _, fields, rest = parts(ask(answering(), get(method="HEAD"), backend, run))
    assert b"content-length: 5" in fields and rest == b""


def test_a_head_request_keeps_the_announced_length(backend, run):
    app = answering(b"", headers=[(b"content-length", b"12")])
    _, fields, rest = parts(ask(app, get(method="HEAD"), backend, run))
    assert b"content-length: 12" in fields and rest == b""


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_no_length_and_loses_one(backend, run, status):
    answer = ask(answering(b"x", status), get(), backend, run)
    _, fields, rest = parts(answer)
    assert fields == [b"connection: close"] and rest == b""


def test_post_request(backend, run):
    async def echo(scope, receive, send):
        await send(start())
        await send(body(b"Body: " + await whole_body(receive)))

    data = get("/", "Content-Length: 18", method="POST") + b'{"hello": "world"}'
    assert parts(ask(only("http", echo), data, backend, run))[2] == b'Body: {"hello": "world"}'


@pytest.mark.parametrize("size", [10, 100_000, 5_000_000])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_large_post_request(backend, run, size, is_chunked):
    async def count(scope, receive, send):
        content = await whole_body(receive)
        await send(start())
        await send(body(b"%d" % len(content)))

    content = bytes(size)
    if is_chunked:
        data = get("/", "Transfer-Encoding: chunked", method="POST")
        data += b"%x\r\n" % size + content + b"\r\n0\r\n\r\n"
    else:
        data = get("/", f"Content-Length: {size}", method="POST") + content
    # There is no --max-body-size unless it is given.
    assert parts(ask(only("http", count), data, backend, run))[2] == b"%d" % size


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_beyond_the_option_is_413(backend, run, is_chunked):
    heard = []

    async def app(scope, receive, send):
        heard.append("called")
        while (message := await receive())["type"] == "http.request":
            pass
        heard.append(message["type"])
        with pytest.raises(OSError):
            await send(start())

    fields = ["Transfer-Encoding: chunked"] if is_chunked else ["Content-Length: 3000"]
    data = get("/", *fields, method="POST") + b"bb8\r\n" + bytes(3000) + b"\r\n0\r\n\r\n"
    answer = ask(only("http", app), data, backend, run, max_body_size=1000)
    assert b" 413 " in parts(answer)[0]
    assert heard == (["called", "http.disconnect"] if is_chunked else [])


def test_keepalive_and_pipelined_requests(backend, run):
    async def app(scope, receive, send):
        await asyncio.sleep(0)
        await send(start())
        await send(body(scope["path"].encode()))

    data = get("/a", "Connection: keep-alive") + get("/b", "Connection: keep-alive") + get("/c")
    answer = ask(only("http", app), data, backend, run)
    assert [answer.count(each) for each in (b"/a", b"/b", b"/c", b"200 OK")] == [1, 1, 1, 3]
    assert answer.index(b"/a") < answer.index(b"/b") < answer.index(b"/c")


@pytest.mark.parametrize("value", [b"close", b"Close", b"close, x"])
def test_return_close_header(backend, run, value):
    app = answering(headers=[(b"connection", value)])
    _, fields, _ = parts(ask(app, get("/", "Connection: keep-alive"), backend, run))
    assert fields.count(b"connection: close") == 1


def test_chunked_encoding(backend, run):
    async def app(scope, receive, send):
        await send(start())
        for piece in (b"one", b"", b"two"):
            await send(body(piece, more=True))
        await send(body())

    _, fields, rest = parts(ask(only("http", app), get(), backend, run))
    assert b"transfer-encoding: chunked" in fields
    assert rest == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


def test_chunked_encoding_empty_body(backend, run):
    async def app(scope, receive, send):
        await send(start(headers=[(b"transfer-encoding", b"chunked")]))
        await send(body(b"", more=True))
        await send(body())

    _, fields, rest = parts(ask(only("http", app), get(), backend, run))
    assert fields.count(b"transfer-encoding: chunked") == 1 and rest == b"0\r\n\r\n"


def test_http10_request(backend, run):
    async def app(scope, receive, send):
        await send(start())
        await send(body(scope["http_version"].encode(), more=True))
        await send(body(b"!"))

    _, fields, rest = parts(ask(only("http", app), get(version="1.0"), backend, run))
    assert fields == [b"connection: close"] and rest == b"1.0!"


def test_http10_keep_alive(backend, run):
    data = get("/", "Connection: keep-alive", version="1.0") + get(version="1.0")
    answer = ask(answering(), data, backend, run)
    assert answer.count(b"hello") == 2 and answer.lower().count(b"connection: keep-alive") == 1


def test_app_exception(backend, run, caplog):
    async def app(scope, receive, send):
        raise ArithmeticError("mine")

    line, _, rest = parts(ask(only("http", app), get(), backend, run))
    assert line == b"HTTP/1.1 500 Internal Server Error"
    assert rest == b'{"error":"internal server error"}'
    assert "mine" in caplog.text and "handler failed" in caplog.text


def test_exception_after_the_start_and_before_the_body_is_500(backend, run, caplog):
    async def app(scope, receive, send):
        await send(start())
        raise ArithmeticError("mine")

    assert parts(ask(only("http", app), get(), backend, run))[0].startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize("length", [b"", b"10"])
def test_exception_during_response_cuts_the_connection(backend, run, caplog, length):
    async def app(scope, receive, send):
        await send(start(headers=[(b"content-length", length)] if length else []))
        await send(body(b"x", more=True))
        raise ArithmeticError("mine")

    _, _, rest = parts(ask(only("http", app), get(), backend, run))
    assert rest == (b"x" if length else b"1\r\nx\r\n")  # and no end
    assert "mine" in caplog.text


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204)])
def test_exception_in_a_body_that_nobody_gets_leaves_the_head(backend, run, method, status):
    async def app(scope, receive, send):
        await send(start(status))
        await send(body(b"part", more=True))
        raise RuntimeError("mine")

    line, _, rest = parts(ask(only("http", app), get(method=method), backend, run))
    assert line.startswith(b"HTTP/1.1 %d" % status) and rest == b""


def test_no_response_returned(backend, run, caplog):
    async def app(scope, receive, send):
        pass

    assert parts(ask(only("http", app), get(), backend, run))[0].startswith(b"HTTP/1.1 500")
    assert "returned without an answer" in caplog.text


def test_partial_response_returned(backend, run, caplog):
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"x", more=True))

    assert parts(ask(only("http", app), get(), backend, run))[2] == b"1\r\nx\r\n"
    assert "before its answer was whole" in caplog.text


def test_value_returned_means_nothing(backend, run):
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"ok"))
        return 123

    assert parts(ask(only("http", app), get(), backend, run))[2] == b"ok"


@pytest.mark.parametrize(
    "field",
    [(b"x-a", b"b\r\nx-c: d"), (b"x-a\r\nx-c", b"d"), (b"x a", b""), (b"", b""), (b"x", b"\0")],
)
def test_response_header_splitting(backend, run, field, caplog):
    line, fields, _ = parts(ask(answering(headers=[field]), get(), backend, run))
    assert line.startswith(b"HTTP/1.1 500") and b"x-c: d" not in fields


def test_header_value_allowed_characters(backend, run):
    value = bytes(each for each in range(256) if each == 9 or each > 31 and each != 127)
    answer = ask(answering(headers=[(b"x-a", b"<" + value + b">")]), get(), backend, run)
    assert b"x-a: <" + value + b">\r\n" in answer


def test_iterator_headers(backend, run):
    app = answering(headers=iter([(b"x-a", b"1")]))
    assert b"x-a: 1" in parts(ask(app, get(), backend, run))[1]


@pytest.mark.parametrize(
    "messages",
    [
        [start(), start()],
        [body(b"x")],
        [start(), {"type": "websocket.send"}],
        [start(99)],
        [start(b"200")],
        [start(headers=[(b"content-length", b"2")]), body(b"abc")],
        [start(headers=[(b"content-length", b"4")]), body(b"abc")],
        [start(headers=[(b"content-length", b"x")]), body(b"abc")],
        [start(), body("text")],
        [{"type": "http.response.trailers"}],
    ],
    ids=[
        "duplicate_start", "missing_start", "foreign", "status", "status_type", "too_long",
        "too_short", "no_length", "text", "trailers_first",
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_500(backend, run, caplog, messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    assert parts(ask(only("http", app), get(), backend, run))[0].startswith(b"HTTP/1.1 500")


def test_message_after_body_complete_is_an_error_of_the_program(backend, run, caplog):
    async def app(scope, receive, send):
        await send(start())
        await send(body(b"ok"))
        await send(body(b"more"))

    assert parts(ask(only("http", app), get(), backend, run))[2] == b"ok"
    assert "after the answer is complete" in caplog.text


@pytest.mark.parametrize("size", [2, 200_000])
def test_more_than_the_announced_length_cuts_the_connection(backend, run, caplog, size):
    async def app(scope, receive, send):
        await send(start(headers=[(b"content-length", b"3")]))
        await send(body(b"ab", more=True))
        await send(body(bytes(size)))

    assert parts(ask(only("http", app), get(), backend, run))[2] == b"ab"


def test_early_disconnect(backend, run):
    async def main():
        heard = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await receive()
            heard.set_result((await receive())["type"])
            with pytest.raises(OSError):
                await send(start())

        async with serving(only("http", app), backend) as url:
            peer = await url.peer()
            peer.write(get())
            await asyncio.sleep(0.05)
            peer.reset()
            assert await heard == "http.disconnect"

    run(main())


def test_a_client_that_ends_its_side_is_gone_after_the_grace(backend, run):
    async def main():
        heard = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await receive()
            heard.set_result((await receive())["type"])

        async with serving(only("http", app), backend, handler_grace="50ms") as url:
            peer = await url.peer()
            peer.write(get())
            peer.writer.write_eof()
            assert await heard == "http.disconnect"
            await peer.close()

    run(main())


def test_a_client_that_ends_its_side_gets_a_quick_answer(backend, run):
    async def main():
        async def app(scope, receive, send):
            await asyncio.sleep(0.01)
            await send(start())
            await send(body(b"ok"))

        async with serving(only("http", app), backend) as url:
            peer = await url.peer()
            peer.write(get())
            peer.writer.write_eof()
            assert parts(await peer.rest())[2] == b"ok"
            await peer.close()

    run(main())


def test_early_response_to_a_body_that_is_not_read(backend, run):
    data = get("/", "Content-Length: 100000", "Connection: keep-alive", method="POST")
    line, fields, rest = parts(ask(answering(), data + b"x", backend, run))
    assert line == b"HTTP/1.1 200 OK" and rest == b"hello"
    assert b"connection: close" in fields


def test_read_after_response_is_a_disconnect(backend, run):
    heard = []

    async def app(scope, receive, send):
        await send(start())
        await send(body(b"ok"))
        heard.append(await receive())

    ask(only("http", app), get(), backend, run)
    assert heard == [{"type": "http.disconnect"}]


def test_who_waits_for_the_end_hears_of_the_answer(backend, run):
    heard = []

    async def app(scope, receive, send):
        await receive()

        async def listen():
            heard.append(await receive())

        listening = [asyncio.create_task(listen()) for _ in range(2)]
        await asyncio.sleep(0)
        await send(start())
        await send(body(b"ok"))
        await asyncio.gather(*listening)

    ask(only("http", app), get(), backend, run)
    assert heard == [{"type": "http.disconnect"}] * 2


def test_100_continue_sent_when_body_consumed(backend, run):
    async def main():
        async def app(scope, receive, send):
            content = await whole_body(receive)
            await send(start())
            await send(body(content))

        async with serving(only("http", app), backend) as url:
            peer = await url.peer()
            peer.write(get("/", "Expect: 100-continue", "Content-Length: 5", method="POST"))
            assert await peer.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            peer.write(b"hello")
            assert parts(await peer.rest())[2] == b"hello"
            await peer.close()

    run(main())


def test_100_continue_not_sent_when_body_not_consumed(backend, run):
    data = get("/", "Expect: 100-continue", "Content-Length: 5", method="POST")
    answer = ask(answering(status=401), data, backend, run)
    assert answer.startswith(b"HTTP/1.1 401") and b"100 Continue" not in answer


def test_trailers(backend, run):
    async def app(scope, receive, send):
        await send(start(trailers=True))
        await send(body(b"ok"))
        fields = [(b"x-sum", b"1")]
        await send({"type": "http.response.trailers", "headers": fields, "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-end", b"2")]})

    rest = parts(ask(only("http", app), get("/", "TE: trailers"), backend, run))[2]
    assert rest == b"2\r\nok\r\n0\r\nx-sum: 1\r\nx-end: 2\r\n\r\n"
    rest = parts(ask(only("http", app), get(), backend, run))[2]
    assert rest == b"2\r\nok\r\n0\r\n\r\n"  # to who has not asked for them


def test_early_hint(backend, run):
    async def app(scope, receive, send):
        links = [b"</a.css>; rel=preload"]
        await send({"type": "http.response.early_hint", "links": links})
        await send(start())
        await send(body(b"ok"))

    answer = ask(only("http", app), get(), backend, run)
    hint = b"HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n"
    assert answer.startswith(hint + b"HTTP/1.1 200 OK")


def test_pathsend(backend, run, tmp_path):
    content = bytes(range(256)) * 1000
    path = tmp_path / "file"
    path.write_bytes(content)

    async def app(scope, receive, send):
        assert "http.response.pathsend" in scope["extensions"]
        await send(start())
        await send({"type": "http.response.pathsend", "path": str(path)})

    _, fields, rest = parts(ask(only("http", app), get(), backend, run))
    assert b"content-length: 256000" in fields and rest == content
    _, fields, rest = parts(ask(only("http", app), get(method="HEAD"), backend, run))
    assert b"content-length: 256000" in fields and rest == b""


def test_pathsend_of_no_file_is_500(backend, run, tmp_path, caplog):
    async def app(scope, receive, send):
        await send(start())
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "none")})

    assert parts(ask(only("http", app), get(), backend, run))[0].startswith(b"HTTP/1.1 500")


@pytest.mark.parametrize("by_number", [False, True])
def test_zerocopysend(backend, run, tmp_path, by_number):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))

    async def app(scope, receive, send):
        with path.open("rb") as file:
            own = file.fileno() if by_number else file
            kind = {"type": "http.response.zerocopysend", "file": own}
            await send(start())
            await send({**kind, "offset": 10, "count": 5, "more_body": True})
            await send({**kind, "count": 3, "more_body": True})
            await send(body(b"|", more=True))
            await send({**kind, "offset": 98})

    _, fields, rest = parts(ask(only("http", app), get(), backend, run))
    pieces = [bytes(range(10, 15)), bytes(range(3)), b"|", bytes([98, 99])]
    assert rest == b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def test_send_holds_the_application_back_while_nobody_reads(backend, run):
    async def main():
        sent = 0

        async def app(scope, receive, send):
            nonlocal sent
            await send(start())
            with pytest.raises(OSError):
                while True:
                    await send(body(bytes(65536), more=True))
                    sent += 65536

        async with serving(only("http", app), backend) as url:
            peer = await url.peer()
            peer.write(get())
            await peer.reader.read(1)
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
            assert 0 < sent < 64 * 1024 * 1024
            peer.reset()

    run(main())


def test_the_head_leaves_while_the_application_waits_for_its_first_piece(backend, run):
    async def main():
        go_on = asyncio.Event()

        async def app(scope, receive, send):
            if scope["path"] == "/late":
                await asyncio.sleep(0)
            await send(start(headers=[(b"content-type", b"text/event-stream")]))
            await go_on.wait()
            await send(body(b"ok"))

        async with serving(only("http", app), backend) as url:
            for path in ("/", "/late"):
                go_on.clear()
                peer = await url.peer()
                peer.write(get(path))
                assert b"text/event-stream" in await peer.head()
                go_on.set()
                assert await peer.rest() == b"2\r\nok\r\n0\r\n\r\n"
                await peer.close()

    run(main())


def test_what_runs_after_the_answer_holds_up_nobody(backend, run):
    async def main():
        done, go_on = [], asyncio.Event()

        async def app(scope, receive, send):
            await send(start())
            await send(body(scope["path"].encode()))
            if scope["path"] == "/first":
                await go_on.wait()
                done.append(scope["path"])

        async with serving(only("http", app), backend) as url:
            peer = await url.peer()
            peer.write(get("/first", "Connection: keep-alive"))
            assert (await peer.answer())[2] == b"/first"
            peer.write(get("/second"))
            assert (await peer.answer())[2] == b"/second"
            await peer.close()
            await asyncio.sleep(0.05)
            go_on.set()
        assert done == ["/first"]

    run(main())


def test_each_request_has_context_variables_of_its_own(backend, run):
    own: contextvars.ContextVar[str] = contextvars.ContextVar("own", default="")

    async def app(scope, receive, send):
        before = own.get()
        own.set(scope["path"])
        if scope["path"] == "/waits":
            await asyncio.sleep(0)
        await send(start())
        await send(body((before + ">" + own.get()).encode()))

    data = get("/waits", "Connection: keep-alive") + get("/b", "Connection: keep-alive") + get("/c")
    answer = ask(only("http", app), data, backend, run)
    assert b">/waits" in answer and b"\r\n\r\n>/b" in answer and b"\r\n\r\n>/c" in answer


def test_shutdown_during_request(backend, run):
    async def main():
        server = Server()

        async def app(scope, receive, send):
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(server.shutdown()))
            await asyncio.sleep(0.1)
            await send(start())
            await send(body(b"ok"))

        server.mount("/", only("http", app))
        async with running(server, backend) as url:
            answer = await exchange(url, get("/", "Connection: keep-alive"))
            assert parts(answer)[2] == b"ok" and b"connection: close" in parts(answer)[1]

    run(main())


def test_what_runs_at_the_end_of_the_drain_is_answered_503(backend, run):
    async def main():
        server = Server()

        async def app(scope, receive, send):
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(server.shutdown()))
            await asyncio.Event().wait()

        server.mount("/", only("http", app))
        async with running(server, backend, drain_timeout="100ms") as url:
            assert parts(await exchange(url, get()))[0].startswith(b"HTTP/1.1 503")

    run(main())


def test_a_reject_of_the_programs_own_is_an_error_here(backend, run, caplog):
    async def app(scope, receive, send):
        raise Reject(401)

    assert parts(ask(only("http", app), get(), backend, run))[0].startswith(b"HTTP/1.1 500")


def test_an_error_that_comes_of_a_client_who_left_is_nobodys(backend, run, caplog):
    async def main():
        ended = asyncio.Event()

        async def app(scope, receive, send):
            await receive()
            await receive()
            try:
                await send(start())
            finally:
                ended.set()

        async with serving(only("http", app), backend) as url:
            peer = await url.peer()
            peer.write(get())
            await asyncio.sleep(0.05)
            peer.reset()
            await ended.wait()
        assert "handler failed" not in caplog.text

    run(main())


def test_the_access_line_has_the_route_that_the_framework_tells(backend, run, caplog):
    caplog.set_level("INFO")

    class Route:
        path = "/items/{id}"

    async def app(scope, receive, send):
        scope["route"] = Route()
        await send(start())
        await send(body(b"ok"))

    ask(only("http", app), get("/items/7"), backend, run)
    assert "status=200" in caplog.text and "route=/items/{id}" in caplog.text
