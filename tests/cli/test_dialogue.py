"""`glyph-fast connect` at servers that do everything wrong: one line, the right status, no wait."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from glyph_fast.cli import main
from glyph_fast.cli.dialogue import READ_SIZE, Opening, open_dialogue
from glyph_fast.engine.tls import server_context
from glyph_fast.urls import websocket_url
from tests.engine.certificates import make_certificate
from tests.hostile import ANSWERS, FRAMES, SOUND, Client, assert_one_line, hostile

# Of those an end comes by the deadline alone, so it has to be short.
SLOW = {"silence", "a field now and then"}


def connect(port: int, *options: str, scheme: str = "ws", host: str = "localhost") -> int:
    return main(["connect", f"{scheme}://{host}:{port}/", "--wait", "20", *options])


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_no_sound_one_is_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile(ANSWERS[name]) as port:
        status = connect(port, "--timeout", "0.3" if name in SLOW else "20")
    assert status == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert_one_line(said.err)


@pytest.mark.parametrize("name", FRAMES)
def test_frames_that_break_the_protocol_are_one_line(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile(FRAMES[name], accepts=True) as port:
        assert connect(port, "--max-size", "1MiB") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert_one_line(said.err, after="connected to ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "the server closed the connection without an answer"),
        ("half a head", "the server closed the connection in the middle of its answer"),
        ("silence", "no answer within 0.3 s"),
        ("another protocol", "its answer is not HTTP: b'SSH-2.0-OpenSSH_9.7"),
        ("a redirect", "the server answered 302, which leads to ws://127.0.0.1:1/\\x1b[31m"),
        ("not you", "the server answered 401: who?"),
        ("not now", "the server answered 503 Service Unavailable"),
        ("chunks", "the server answered 403: late"),
        ("an extension nobody offered", "an extension that was not offered"),
        ("a subprotocol nobody offered", "which was not offered"),
    ],
)
def test_the_line_says_what_came(name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with hostile(ANSWERS[name]) as port:
        connect(port, "--timeout", "0.3" if name in SLOW else "20")
    assert words in capsys.readouterr().err


def test_a_message_beyond_the_limit_names_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    with hostile(FRAMES["a GiB that is announced"], accepts=True) as port:
        connect(port)
    assert "sent too much: message is larger than 67108864 bytes (--max-size)" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_is_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with hostile(SOUND[name], accepts=True) as port:
        assert connect(port) == 0
    said = capsys.readouterr()
    assert all(line.isprintable() for line in said.err.splitlines())
    assert "closed with " in said.err
    if name == "a greeting and fragments":
        assert said.out == "greeting\n"


def test_a_message_of_more_than_ten_mib_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    size = 11 * 1024 * 1024

    def behave(client: Client) -> None:
        client.send(b"\x81\x7f" + size.to_bytes(8, "big") + b"x" * size + b"\x88\x02\x03\xe8")
        client.wait()

    with hostile(behave, accepts=True) as port:
        assert connect(port) == 0
    assert len(capsys.readouterr().out) == size + 1


def test_a_message_that_there_is_no_memory_to_show_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def frame(screen: object, payload: object) -> None:
        raise MemoryError

    monkeypatch.setattr("glyph_fast.cli.connect.Screen.frame", frame)
    with hostile(SOUND["a greeting and fragments"], accepts=True) as port:
        assert connect(port) == 1
    assert "no memory to show a message of 8 bytes" in capsys.readouterr().err


def test_a_server_that_does_not_end_its_side_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glyph_fast.cli.dialogue.CLOSE_WAIT_S", 0.05)

    def behave(client: Client) -> None:
        client.send(b"\x88\x02\x03\xe8")
        client.end.wait(30)

    with hostile(behave, accepts=True) as port:
        assert connect(port) == 0
    assert "closed with 1000" in capsys.readouterr().err


class Counting:
    """A reader of which it is noted how much it gave, and how far ahead of what was heard."""

    def __init__(self, reader: asyncio.StreamReader, frame: bytes) -> None:
        self._reader = reader
        self._frame = frame
        self.taken = self.most_ahead = self.heard = 0

    def count(self, payload: object) -> None:
        self.heard += 1

    async def read(self, size: int) -> bytes:
        self.most_ahead = max(self.most_ahead, self.taken - self.heard * len(self._frame))
        data = await self._reader.read(size)
        self.taken += len(data)
        return data


@pytest.mark.both_cores
def test_of_a_flood_of_tiny_frames_no_more_is_read_than_was_handled(run: Any) -> None:
    frame = b"\x81\x01x"
    frames = 500_000

    def behave(client: Client) -> None:
        for _ in range(frames // 10_000):
            client.send(frame * 10_000)
        client.send(b"\x88\x02\x03\xe8")
        client.wait()

    async def main(port: int) -> Counting:
        dialogue, first = await open_dialogue(Opening(websocket_url(f"ws://127.0.0.1:{port}/")))
        reader = dialogue._reader = Counting(dialogue._reader, frame)  # type: ignore[assignment]
        dialogue.heard = reader.count
        reader.taken += len(first)
        await dialogue.listen(first)
        return reader

    with hostile(behave, accepts=True) as port:
        counted = run(main(port), deadline=60)
    assert counted.heard == frames
    assert counted.most_ahead < READ_SIZE


@pytest.mark.both_cores
def test_what_a_server_does_not_read_waits_where_pongs_are_merged(run: Any) -> None:
    ping = b"\x89\x7d" + b"p" * 125

    def behave(client: Client) -> None:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        client.sock.recv(2)  # the beginning of the client's message
        for _ in range(2000):
            client.send(ping * 30)
            client.end.wait(0.0002)  # so that it is read, and all of it answered
        client.send(b"\x81\x04more")
        client.wait()

    async def main(port: int) -> int:
        dialogue, first = await open_dialogue(Opening(websocket_url(f"ws://127.0.0.1:{port}/")))

        def unsent() -> int:
            return dialogue._writer.transport.get_write_buffer_size() + dialogue._conn.queued_bytes

        sock = dialogue._writer.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        more = asyncio.Event()
        dialogue.heard = lambda payload: more.set()
        listening = asyncio.create_task(dialogue.listen(first))
        dialogue.send("x" * 8_000_000)
        await asyncio.sleep(0)
        before = unsent()
        await more.wait()
        pongs = unsent() - before
        await dialogue.drain()
        assert unsent() < 1 << 18
        dialogue.leave()
        await listening
        return pongs

    with hostile(behave, accepts=True) as port:
        assert run(main(port), deadline=60) < 1 << 15


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ssl.SSLContext]:
    made = make_certificate(tmp_path_factory.mktemp("tls"), "server")
    return made.cert, server_context(made.cert, made.key)


class TestTls:
    def test_a_certificate_of_nobody_is_refused_by_name(
        self, certificate: tuple[str, ssl.SSLContext], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with hostile(SOUND["a greeting and fragments"], accepts=True, tls=certificate[1]) as port:
            assert connect(port, scheme="wss") == 1
        said = capsys.readouterr().err
        assert_one_line(said)
        assert "its certificate is not trusted: self-signed certificate (--ca, --insecure)" in said

    @pytest.mark.parametrize("is_told", ["--ca", "--insecure"])
    def test_own_authorities_or_none_at_all(
        self, is_told: str, certificate: tuple[str, ssl.SSLContext],
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        options = [is_told, certificate[0]] if is_told == "--ca" else [is_told]
        with hostile(SOUND["a greeting and fragments"], accepts=True, tls=certificate[1]) as port:
            assert connect(port, *options, scheme="WSS") == 0
        assert capsys.readouterr().out == "greeting\n"

    def test_a_name_that_is_not_the_certificates_is_refused(
        self, certificate: tuple[str, ssl.SSLContext], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with hostile(b"", tls=certificate[1], host="127.0.0.2") as port:
            assert connect(port, "--ca", certificate[0], scheme="wss", host="127.0.0.2") == 1
        assert "certificate is not valid for '127.0.0.2'" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["nothing", "a reset", "a page", "zeros"])
    def test_a_server_without_tls_is_one_line(
        self, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with hostile(ANSWERS[name], reads=False) as port:
            assert connect(port, "--insecure", scheme="wss") == 1
        assert_one_line(capsys.readouterr().err)

    @pytest.mark.parametrize("name", ["nothing", "a reset", "half a head", "a page"])
    def test_answers_over_tls_are_judged_alike(
        self, name: str, certificate: tuple[str, ssl.SSLContext],
        capsys: pytest.CaptureFixture[str],
    ) -> None:  # fmt: skip
        with hostile(ANSWERS[name], tls=certificate[1]) as port:
            assert connect(port, "--insecure", scheme="wss") == 1
        assert_one_line(capsys.readouterr().err)

    @pytest.mark.parametrize("options", [("--ca", "x"), ("--insecure",)])
    def test_options_of_tls_without_tls_are_bad_usage(
        self, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert connect(1, *options) == 2
        assert "are for wss://" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("options", "status", "words"),
        [
            (("--ca", "/no/such/file"), 2, "cannot use the authorities /no/such/file"),
            (("--ca", __file__), 2, f"cannot use the authorities {__file__}"),
            (("--ca", __file__, "--insecure"), 2, "do not go together"),
        ],
    )
    def test_authorities_that_cannot_be_used_are_bad_usage(
        self, options: tuple[str, ...], status: int, words: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert connect(1, *options, scheme="wss") == status
        said = capsys.readouterr().err
        assert_one_line(said)
        assert words in said


def test_user_and_password_are_sent_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    heads = []

    def behave(client: Client) -> None:
        heads.append(client.head)
        client.send(b"\x88\x02\x03\xe8")

    with hostile(behave, accepts=True) as port:
        assert main(["connect", f"ws://ada:s%40cret@127.0.0.1:{port}/a b".replace(" ", "%20")]) == 0
        own = ["-H", "Authorization: Bearer x", "-H", "Host: example.org"]
        assert main(["connect", f"ws://ada:x@127.0.0.1:{port}/", *own]) == 0
    first, second = heads
    assert b"Authorization: Basic YWRhOnNAY3JldA==\r\n" in first
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in first
    assert b"Authorization: Bearer x\r\n" in second and b"Basic" not in second
    assert second.count(b"Host:") == 1 and b"Host: example.org\r\n" in second
    said = capsys.readouterr().err
    assert "cret" not in said and f"connected to ws://127.0.0.1:{port}/a%20b" in said
