"""Pieces of the way through TLS, as `cases.py` has those of plain frames, for counting.

A case serves one peer through the poller of the native engine: ciphertext is read, decrypted and
parsed, a handler in Python answers, and its answer is encrypted and written. OpenSSL's share is
counted, too, so the counts are comparable only with the same one; keys and nonces cost the same
whatever they are.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from glyph_fast.engine.tls import client_context, server_context
from glyph_fast.wire import TEXT

from .cases import KEY, Case, Listener, Operation, answer, new_turn
from .tls import make_certificate

_WARM = 8  # exchanges, after which records are as large as they get
# What the counting process has OpenSSL read, so that the cipher is the one most clients agree on.
CONFIGURATION = """\
openssl_conf = settings
[settings]
ssl_conf = contexts
[contexts]
system_default = all
[all]
Ciphersuites = TLS_AES_128_GCM_SHA256
"""


class Peer:
    """A client whose socket is read and written when the case says so."""

    def __init__(self, context: ssl.SSLContext, path: str, turn: Callable[[], object]) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost"
        )
        self._turn = turn
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.setblocking(False)

    def open(self) -> None:
        """Shake hands and be upgraded."""
        for _ in range(3):
            with suppress(ssl.SSLWantReadError):
                self._session.do_handshake()
            self._exchange()
        self.send(b"GET / HTTP/1.1\r\n\r\n")  # which the handler says nothing to
        self._turn()

    def _exchange(self) -> None:
        self.socket.sendall(self._outgoing.read())
        self._turn()
        with suppress(BlockingIOError):
            self._incoming.write(self.socket.recv(1 << 16))

    def send(self, plaintext: bytes) -> None:
        """Encrypt it and have it lie in the server's socket."""
        self._session.write(plaintext)
        self.socket.sendall(self._outgoing.read())

    def receive(self) -> bytes:
        """What the server has written since."""
        found = bytearray()
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            self._incoming.write(self.socket.recv(1 << 18))
            while plain := self._session.read(1 << 14):
                found += plain
        return bytes(found)


@contextmanager
def _echo(core: ModuleType, size: int, count: int) -> Iterator[Operation]:
    """`count` messages of one read, each answered, and their one write."""
    text = "x" * size
    question = core.encode_frame(TEXT, text, key=KEY) * count
    expected = core.encode_frame(TEXT, text) * count
    handler = Listener()
    dispatch = core.Dispatch(None, core.Message, core.Context, "text", "binary")
    handler.message = dispatch.message  # type: ignore[method-assign]
    with _served(core, handler) as (poller, turn, peer):
        (conn,) = turn
        assert conn.is_open
        conn._plan = core.Plan()
        conn._plan.text = (answer,)

        def prepare() -> None:
            peer.receive()
            peer.send(question)

        def check() -> None:
            prepare()
            poller.run_turn()
            assert handler.error is None
            assert peer.receive() == expected

        for _ in range(_WARM):
            check()
        yield Operation(poller.run_turn, check, count, prepare)


@contextmanager
def _served(core: ModuleType, handler: Listener) -> Iterator[tuple[Any, Any, Peer]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        files = make_certificate(folder)
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path := str(folder / "socket"))
        listener.listen(1)
        listener.setblocking(False)
        turn = new_turn(core, handler)
        poller = core.Poller(turn, print)
        stack.callback(poller.close)
        poller.use_tls(server_context(*files), describe=lambda session: session, failed=print)
        poller.listen(listener)
        peer = Peer(client_context(files[0]), path, poller.run_turn)
        stack.callback(peer.socket.close)
        peer.open()
        yield poller, turn, peer


TLS_CASES = (
    Case("tls-echo", partial(_echo, size=64, count=1)),
    Case("tls-echo-16", partial(_echo, size=64, count=16)),
    Case("tls-16k", partial(_echo, size=16384, count=1)),
)
