"""`glyph-fast connect`, driven from a pipe."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.utils import accept_key

from glyph_fast.cli import main
from tests.hostile import SOUND, Client, assert_one_line, hostile
from tests.serving import ROOT, serving

APP = """
from glyph_fast import Config, MessageType, Reject, Server

server = Server(Config(subprotocols=["chat"], allowed_origins=["https://example.com"]))

@server.on_connect
def hello(conn):
    conn.send_json([conn.subprotocol, conn.request.headers.get("x-name")])

@server.on_connect(route="/closed")
def closed(conn):
    raise Reject(403, "not today")

server.websocket("/ws")

@server.on_message(MessageType.TEXT)
def echo(ctx):
    if ctx.message.data == "leave":
        ctx.conn.close(4001, "as asked")
    elif ctx.message.data == "shout":
        ctx.conn.close(4002, "\x1b[31mred")
    else:
        ctx.reply(MessageType.TEXT, ctx.message.data)

@server.on_message(MessageType.JSON)
def bytes_(ctx):
    ctx.conn.send(bytes(ctx.message.data))
"""


def connect(url: str, lines: str, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glyph_fast", "connect", url, "--wait", "0.3", *options],
        cwd=ROOT, env={**os.environ, **env}, input=lines, capture_output=True, text=True,
        encoding=env.get("PYTHONIOENCODING"), timeout=60, check=False,
    )  # fmt: skip


def test_lines_go_out_and_frames_come_back(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        url = server.ws("/ws")
        options = ("--subprotocol", "chat", "-H", "X-Name: Ada", "--origin", "https://example.com")
        done = connect(url, "one\ngrüße\n[1,255]\n", *options)
        assert (done.returncode, done.stdout) == (0, '["chat","Ada"]\none\ngrüße\n01 ff\n')
        assert done.stderr == f"connected to {url}, subprotocol chat\nclosed with 1000\n"

        done = connect(url, 'no json\n{"a"\n"yes"\n', "--json")
        assert done.stdout == '[null,null]\n"yes"\n'
        assert done.stderr.count("not sent") == 2

        done = connect(url, "leave\n", "--wait", "30")
        assert "closed with 4001: as asked" in done.stderr

        refused = connect(url, "", "--origin", "https://evil.example")
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"glyph-fast: cannot connect to {url}")
        assert "403" in refused.stderr
        closed = connect(server.ws("/closed"), "", "--wait", "30")
        assert "closed with 1008: not today" in closed.stderr
        assert "Traceback" not in closed.stderr
        nowhere = connect(server.ws("/nowhere"), "")
        assert "the server answered 404: " in nowhere.stderr
        assert "Route not found" in nowhere.stderr


def test_bytes_that_are_no_text_are_not_sent(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        done = subprocess.run(
            [sys.executable, "-m", "glyph_fast", "connect", server.ws("/ws"), "--wait", "0.3"],
            cwd=ROOT, input=b"\xff\xfe\nnext\r\n", capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, b"[null,null]\nnext\n")
        assert b"not sent, this is not UTF-8" in done.stderr
        assert b"Traceback" not in done.stderr


def test_what_the_peer_says_does_not_command_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        done = connect(server.ws("/ws"), "shout\n")
        assert "closed with 4002: \\x1b[31mred" in done.stderr


def test_a_reader_that_has_enough_ends_it_quietly(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        ours, theirs = os.pipe()
        os.close(ours)
        done = subprocess.run(
            [sys.executable, "-m", "glyph_fast", "connect", server.ws("/ws"), "--wait", "30"],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.PIPE, text=True,
            timeout=25, check=False,
        )  # fmt: skip
        os.close(theirs)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("line", "status"), [(b"leave\n", 0), (b"one\n", 130)])
def test_it_ends_while_more_may_be_typed(tmp_path: Path, line: bytes, status: int) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "glyph_fast", "connect", server.ws("/ws")], cwd=ROOT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            # Whoever is run in the background ignores it, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        assert process.stdin and process.stdout and process.stderr
        try:
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline() == b"[null,null]\n"
            if status == 130:
                assert process.stdout.readline() == line
                process.send_signal(signal.SIGINT)
            assert process.wait(20) == status  # the pipe is still open
            assert b"Fatal" not in process.stderr.read()
        finally:
            process.kill()
            process.communicate()


def test_without_stdin_it_only_listens(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        command = f'"{sys.executable}" -m glyph_fast connect {server.ws("/ws")} --wait 0.3 <&-'
        done = subprocess.run(
            ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (0, "[null,null]\n")
        assert "closed with 1000" in done.stderr


def test_a_lost_connection_is_a_failure() -> None:
    done = connect_to_peer(lambda peer: None, "--wait", "30")
    assert done.returncode == 1
    assert "the connection was lost" in done.stderr


def test_a_peer_that_does_not_answer_a_close_is_left() -> None:
    done = connect_to_peer(read_to_the_end, "--wait", "0")
    assert done.returncode == 0
    assert "closed with 1006" in done.stderr


def connect_to_peer(
    behave: Callable[[socket.socket], object], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Connect to a peer that answers the handshake, does as told, and is gone without a close."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept, args=(listener, behave))
        thread.start()
        try:
            return connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/", "", *arguments)
        finally:
            thread.join(10)


def read_to_the_end(peer: socket.socket) -> None:
    peer.settimeout(30)
    while peer.recv(4096):
        pass


def accept(listener: socket.socket, behave: Callable[[socket.socket], object]) -> None:
    peer, _ = listener.accept()
    with peer:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += peer.recv(4096)
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
        assert key is not None
        peer.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key[1].decode()).encode() + b"\r\n\r\n"
        )
        behave(peer)


class Terminal:
    """`glyph-fast connect` on a terminal: what is typed, and what is seen."""

    def __init__(self, url: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "glyph_fast", "connect", url, "--wait", "0.3"],
            cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        )  # fmt: skip
        os.close(theirs)
        self._seen = b""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, text: str) -> None:
        """Read until the text has come, and forget what came up to it."""
        deadline = time.monotonic() + 30
        while text.encode() not in self._seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._ours], [], [], left)[0], self._seen
            self._seen += os.read(self._ours, 65536)
        self._seen = self._seen.partition(text.encode())[2]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self._ours)


def test_a_line_that_is_being_typed_survives_a_frame(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        terminal = Terminal(server.ws("/ws"))
        try:
            terminal.until("connected to")
            terminal.until("[null,null]")
            terminal.until(">")  # what is typed while there is no prompt may be lost
            terminal.type("one\rtw")  # the answer to the first comes while the second is typed
            terminal.until("text 3 B")
            terminal.type("o\r")
            terminal.until("text 3 B")
            terminal.until("two")
            terminal.until(">")
            terminal.type("\x1b[A\x1b[A\r")  # up, up: the one before the last
            terminal.until("text 3 B")
            terminal.until("one")
            terminal.until(">")
            terminal.type("\x04")
            terminal.until("closed with 1000")
            assert terminal.process.wait(10) == 0
        finally:
            terminal.close()


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("ws://127.0.0.1:1/ws",), 1, "cannot connect"),
        (("http://127.0.0.1:1/ws",), 2, "ws://"),
        (("ws://127.0.0.1:1", "-H", "nonsense"), 2, "Name: value"),
        (("ws://127.0.0.1:1", "-H", "a b: c"), 2, "Name: value"),
        (("ws://127.0.0.1:1", "-H", "a: b\nc: d"), 2, "Name: value"),
        (("ws://127.0.0.1:1/ws",), 1, "/ws: connection refused"),
        (("ws://localhost:1/ws",), 1, "/ws: connection refused"),
        (("ws://[::1]:1/ws",), 1, "/ws: "),
        (("ws://127.0.0.1:99999/ws",), 2, "expected a URL"),
        (("ws://127.0.0.1:1/a b",), 2, "without blanks"),
        (("ws://127.0.0.1:1/", "--max-size", "much"), 2, "expected a size"),
        (("ws://127.0.0.1:1/", "--timeout", "0"), 2, "--timeout"),
        (("ws://127.0.0.1:1/", "--timeout", "nan"), 2, "--timeout"),
        (("ws://127.0.0.1:1/", "--wait", "inf"), 2, "--wait"),
        (("ws://127.0.0.1:1/", "--subprotocol", "a b"), 1, "cannot connect"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: tuple[str, ...], status: int, error: str) -> None:
    done = connect(arguments[0], "", *arguments[1:])
    assert done.returncode == status
    assert error in done.stderr
    assert_one_line(done.stderr)


def test_an_argument_that_is_not_utf_8_is_one_line() -> None:
    for arguments in ([b"ws://127.0.0.1:1/\xff"], [b"ws://127.0.0.1:1/", b"-H", b"a: \xff"]):
        done = subprocess.run(
            [sys.executable, "-m", "glyph_fast", "connect", *arguments], cwd=ROOT,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert_one_line(done.stderr)


@pytest.mark.parametrize(
    ("encoding", "shown"), [("cp1252", "\\U0001f600 \xe4"), ("ascii", "\\U0001f600 \\xe4")]
)
def test_a_narrow_stdout_shows_an_escape_for_what_it_cannot(encoding: str, shown: str) -> None:
    text = "\U0001f600 \xe4".encode()
    frames = b"\x81" + bytes([len(text)]) + text + b"\x88\x02\x03\xe8"
    with hostile(frames, accepts=True) as port:
        done = connect(f"ws://127.0.0.1:{port}/", "", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stdout) == (0, shown + "\n")


def test_a_stdout_that_is_full_is_one_line() -> None:
    with (
        hostile(SOUND["a greeting and fragments"], accepts=True) as port,
        open("/dev/full", "w") as full,
    ):
        done = subprocess.run(
            [sys.executable, "-m", "glyph_fast", "connect", f"ws://127.0.0.1:{port}/"], cwd=ROOT,
            stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
            check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert_one_line(done.stderr, after="connected to ")
    assert "no space left on device" in done.stderr


def test_a_stderr_that_is_closed_or_full_changes_nothing_else() -> None:
    for closed in ("2>&-", "2>/dev/full"):
        with hostile(SOUND["a greeting and fragments"], accepts=True) as port:
            url = f"ws://127.0.0.1:{port}/"
            command = f'"{sys.executable}" -m glyph_fast connect {url} {closed} </dev/null'
            done = subprocess.run(
                ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60
            )
            assert (done.returncode, done.stdout) == (0, "greeting\n")


def test_proxies_of_the_environment_are_passed_by() -> None:
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:1")
    with hostile(SOUND["a greeting and fragments"], accepts=True) as port:
        done = connect(f"ws://127.0.0.1:{port}/", "", **proxies)
    assert (done.returncode, done.stdout) == (0, "greeting\n")


def test_a_line_of_many_bytes_is_sent_whole() -> None:
    size = 20 * 1024 * 1024
    heard: list[int] = []

    def count(client: Client) -> None:
        while chunk := client.sock.recv(1 << 20):
            heard.append(len(chunk))
            if sum(heard) > size:
                client.send(b"\x88\x02\x03\xe8")
                return

    with hostile(count, accepts=True) as port:
        done = connect(f"ws://127.0.0.1:{port}/", "x" * size + "\n", "--wait", "30")
    assert done.returncode == 0, done.stderr


def test_without_the_line_editor_a_terminal_is_refused_before_anything_is_opened(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("glyph_fast.cli.connect.is_terminal", lambda stream: True)
    monkeypatch.setattr("glyph_fast.cli.connect.open_dialogue", None)
    monkeypatch.setitem(sys.modules, "prompt_toolkit", None)
    assert main(["connect", "ws://127.0.0.1:1"]) == 2
    needed = "glyph-fast connect needs prompt-toolkit: pip install 'glyph-fast[tools]'"
    assert capfd.readouterr().err == f"glyph-fast: {needed}\n"
