"""TLS between a poller's sockets and their connections.

OpenSSL reads ciphertext from one memory buffer and writes it to another. Here these two are shared
by all sessions of a poller: what comes of a peer is put in, and OpenSSL takes all of it in the same
call (half a record stays in the session), and what it has to send is taken out at once. So an idle
session holds no buffer, and nothing of one peer is left there when the next has its turn; after a
failure, what may be left is thrown away first.

What is encrypted has to leave, for records are numbered. So only a piece at a time is, and while
the kernel has not taken the whole of its ciphertext, the sink owes: it does not own up to the last
byte of the plaintext. To the connection that message is then partly written, as it would be on a
plain socket, and everything that holds for those (what may be displaced, progress, when all has
left) holds here.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ..records import (
    MAX_HANDSHAKE,
    MAX_IDLE,
    MAX_SILENT,
    SHAKE_BYTES,
    Records,
    long_handshake,
    silent,
)
from ..wire import CLOSED
from .connection import GATHER_SIZE
from .descriptor import _DescriptorSink
from .sockets import unacknowledged

if TYPE_CHECKING:
    from .connection import Connection
    from .poller import Poller

RECORD_SIZE = 16 * 1024  # RFC 8446 §5.1
COLD_RECORD = 1369  # of plaintext: its record fits one segment, so it can be read as it arrives
COLD_BYTES = 32 * 1024  # sent in such records at first: then TCP's window has opened
IDLE_SWEEPS = 2  # without a byte sent, after which it may have closed again
MAX_REST = 256 * 1024  # bytes of ciphertext that wait, answers to a peer who reads none included
MAX_SHAKES = 32  # steps of handshakes in one turn; each may be worth fifty messages


class _Tls:
    """What the sessions of a poller share."""

    __slots__ = ("context", "describe", "failed", "incoming", "outgoing", "preface")

    def __init__(
        self,
        context: ssl.SSLContext,
        describe: Callable[[ssl.SSLObject], object],
        failed: Callable[[Connection, ssl.SSLError], object],
        preface: Callable[[Connection, bytes], int] | None,
    ) -> None:
        self.context = context
        self.describe = describe
        self.failed = failed
        self.preface = preface
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()

    def purge(self) -> None:
        """Throw away what a session that failed has left in the buffers."""
        self.incoming.read()
        self.outgoing.read()


class _TlsSink(_DescriptorSink):
    """The sink of a connection that speaks TLS."""

    __slots__ = (
        "_cold_until",
        "_end_waits",
        "_has_ended",
        "_heard_end",
        "_is_shut",
        "_owes",
        "_preface",
        "_records",
        "_rest",
        "_session",
        "_silent",
        "_sweep",
        "_tls",
        "is_ready",
    )

    def __init__(self, poller: Poller, sock: socket.socket, tls: _Tls) -> None:
        super().__init__(poller, sock)
        self._tls = tls
        self._session: ssl.SSLObject | None = None  # from the first byte on: silence costs nothing
        # Of what stands before TLS, the bytes so far; None when nothing does, or once it is over.
        self._preface = None if tls.preface is None else b""
        self._rest = b""  # ciphertext that has not left; the kernel has refused it if `is_full`
        self._owes = False  # the last byte of plaintext, encrypted and not owned up to
        self._cold_until = COLD_BYTES  # of the connection's `bytes_sent`
        self._sweep = 0  # the turn's, when something was sent last
        self._records = Records()
        self._silent = 0  # bytes of ciphertext that came since the latest with data, or in all
        self.is_ready = False  # the handshake is done
        self._is_shut = False  # our side is ended, or there is nobody to tell
        self._has_ended = False  # TCP's side is to be ended, once the rest has left
        self._heard_end = False  # of the peer's side
        self._end_waits = False  # for the connection to handle what came before

    @property
    def tls(self) -> object:
        """What TLS tells about the peer."""
        return None if self._session is None else self._tls.describe(self._session)

    # What the poller calls.

    def writable(self) -> None:
        """The kernel takes bytes again."""
        self._push()
        if not self.is_full and self.conn._phase != CLOSED:
            self.conn._flush()

    def received(self, data: bytes) -> None:
        """Ciphertext came: give the connection what it says, and send what TLS has to say."""
        conn = self.conn
        if self._preface is not None:
            data = self._read_preface(self._preface + data)
            if not data:
                return
        plain, is_end, failure = self._decrypt(data)
        if plain:
            conn._feed(plain)
        if is_end:
            self.ended()
        if failure is not None and conn._phase != CLOSED:
            with suppress(OSError):
                self._send_rest()  # an alert
            self._is_shut = True  # nothing can follow it
            if isinstance(failure, ssl.SSLError):
                self._tls.failed(conn, failure)
            else:
                conn._turn._failed(conn, failure)
            conn._lost()
        elif self._rest and not self.is_full and not conn._dirty and conn._phase != CLOSED:
            self._push()

    def ended(self) -> None:
        """The peer ended its side, of TLS or of TCP."""
        if self._heard_end or self.conn._phase == CLOSED:
            return
        self._end_waits = self.is_paused
        if not self.is_paused:
            self._heard_end = True
            super().pause_reading()  # there is nothing more to read
            self.conn._feed_eof()

    # What the connection calls.

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        if not self.is_ready:
            raise BrokenPipeError("the TLS handshake is not done")
        if self.is_full:
            self._send_rest()
            if self.is_full:
                return 0
        data = memoryview(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        taken, self._owes = int(self._owes), False
        while taken < len(data) and not self.is_full:
            piece = data[taken : taken + GATHER_SIZE]
            self._encrypt(piece)
            taken += len(piece)
            self._send_rest()
        self._owes = self.is_full
        return taken - self._owes

    def unsent(self) -> int:
        return len(self._rest) + unacknowledged(self.sock.fileno())

    def resume_reading(self) -> None:
        if self._end_waits:  # not from here: who calls is not done with the connection
            self.is_paused = self._end_waits = False
            self.conn._turn.post(self._end_late)
        elif not self._heard_end:
            super().resume_reading()

    def shutdown(self) -> None:
        self._end()
        if self._heard_end:
            raise BrokenPipeError("the peer has ended its side, too")
        if self.is_full:
            self._has_ended = True
        else:
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._end()
        super().close()

    def abort(self) -> None:
        self._is_shut = True
        super().abort()

    # TLS.

    def _end_late(self) -> None:
        self.conn._flush()
        self.ended()

    def _read_preface(self, data: bytes) -> bytes:
        """What is left of `data` for TLS: nothing while the preface is not complete."""
        assert self._tls.preface is not None
        size = self._tls.preface(self.conn, data)
        self._preface = None if size else data
        if size < 0:
            self.conn.abort()
            return b""
        return data[size:] if size else b""

    def _decrypt(self, data: bytes) -> tuple[bytes, bool, BaseException | None]:
        """What all of it says, whether it ends there, and how that failed."""
        tls = self._tls
        pieces: list[bytes] = []
        is_end = False
        failure: BaseException | None = None
        was_ready, idle = self.is_ready, self._records.count(data)
        ahead = b""  # what came beyond the longest handshake
        if not was_ready:
            room = MAX_HANDSHAKE - self._silent
            self._silent += len(data)
            data, ahead = data[:room], data[room:]
        try:
            tls.incoming.write(data)
            if self._session is None:
                self._session = tls.context.wrap_bio(tls.incoming, tls.outgoing, server_side=True)
            if not self.is_ready:
                self.poller._shakes += 1 + self._silent // SHAKE_BYTES
                self._session.do_handshake()
                self.is_ready = True
                self._silent = 0
                tls.incoming.write(ahead)
            while tls.incoming.pending:
                pieces.append(self._session.read(RECORD_SIZE))
                if not pieces[-1]:
                    is_end = True
                    break
        except ssl.SSLWantReadError:
            if ahead and not self.is_ready:
                failure = long_handshake()
        except ssl.SSLZeroReturnError:  # both sides are ended
            is_end = True
        except ssl.SSLError as exc:
            failure = exc.with_traceback(None)  # which would hold this frame, and that the failure
        except BaseException as exc:
            failure = exc
        if was_ready:
            self._silent = 0 if pieces else self._silent + len(data)
            self.poller._shakes += not pieces
            is_idle = idle - len(pieces) > MAX_IDLE or self._silent > MAX_SILENT
            if is_idle and failure is None:
                failure = silent()
        try:
            self._keep()
            if is_end or failure is not None:
                tls.purge()
        except BaseException as exc:
            failure = failure or exc
        return b"".join(pieces), is_end, failure

    def _encrypt(self, data: memoryview) -> None:
        """Add records to the rest: small ones while the peer would wait for the end of large."""
        assert self._session is not None
        size, turn = RECORD_SIZE, self.conn._turn
        if turn._sweeps - self._sweep >= IDLE_SWEEPS:
            self._cold_until = self.conn.bytes_sent + COLD_BYTES
        self._sweep = turn._sweeps
        if self.conn.bytes_sent < self._cold_until:
            size = COLD_RECORD
        try:
            while data:
                data = data[self._session.write(data[:size]) :]
            self._keep()
        except BaseException:
            self._is_shut = True
            self._tls.purge()
            raise

    def _keep(self) -> None:
        """Take out what OpenSSL has to send; it leaves with the next write."""
        if self._tls.outgoing.pending:
            self._rest += self._tls.outgoing.read()
            if len(self._rest) > MAX_REST:
                raise ssl.SSLError("the peer reads none of the answers it causes")

    def _push(self) -> None:
        try:
            self._send_rest()
        except OSError:
            self._is_shut = True
            self.conn._lost()

    def _send_rest(self) -> None:
        """Send ciphertext as far as the kernel takes it. Raises OSError when the peer is gone."""
        while self._rest:
            try:
                sent = self.sock.send(self._rest)
            except (BlockingIOError, InterruptedError):
                break
            self._rest = self._rest[sent:]
        if bool(self._rest) != self.is_full:
            self.is_full = bool(self._rest)
            self.register()
        if self._has_ended and not self._rest:
            self._has_ended = False
            self.sock.shutdown(socket.SHUT_WR)

    def _end(self) -> None:
        """Tell the peer that nothing more comes (RFC 8446 §6.1), unless it reads none."""
        if not self.is_ready or self._is_shut:
            return
        assert self._session is not None
        self._is_shut = True
        try:
            # Its own end has not come, or the session is broken: it was told all the same.
            with suppress(ssl.SSLError):
                self._session.unwrap()
            self._keep()
        except BaseException as exc:
            self._tls.purge()
            self.conn._turn._failed(self.conn, exc)
        with suppress(OSError):
            self._send_rest()
