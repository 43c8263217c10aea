"""One conversation, heard by four: both twins of the core, wsproto and websockets.

Each returns what an application would notice: the messages, the pongs that were sent, and the code
of the close frame that was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from types import ModuleType
from typing import NamedTuple

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.extensions import PerMessageDeflate as WsprotoDeflate

from glyph_fast.websocket.deflate import Deflate
from glyph_fast.wire import CLOSE, NO_STATUS, PONG
from tests.core.peer import Peer

MAX_MESSAGE = 1 << 20
OFFER = ["permessage-deflate; server_no_context_takeover; client_no_context_takeover"]


class Heard(NamedTuple):
    """What came of a conversation."""

    messages: tuple[str | bytes, ...]
    pongs: tuple[bytes, ...]
    close: int | None  # code of the close frame sent, 1005 for an empty one; None: none was sent


def ours(core: ModuleType, parts: Iterable[bytes], *, deflate: bool = False) -> Heard:
    """What a twin of the core makes of it."""
    peer = Peer(core, is_open=False, max_message_size=MAX_MESSAGE)
    if deflate:
        agreed = Deflate("shared").agree(OFFER)
        assert agreed is not None
        peer.conn._use_codec(agreed.codec)
    peer.conn._upgrade()
    for part in parts:
        peer.feed(part)
    assert not peer.handler.failures, peer.handler.failures
    pongs, close = read_sent(peer.sink.written)
    return Heard(tuple(peer.handler.messages), pongs, close)


def read_sent(data: bytes) -> tuple[tuple[bytes, ...], int | None]:
    """The pongs and the close code in what a server sent, which must hold nothing else."""
    pongs, close = [], None
    while data:
        assert close is None, "something follows the close frame"
        size = data[1]
        assert data[0] in (0x80 | PONG, 0x80 | CLOSE) and size <= 125
        payload, is_close = data[2 : 2 + size], data[0] == 0x80 | CLOSE
        if is_close:
            close = int.from_bytes(payload[:2], "big") if payload else NO_STATUS
        else:
            pongs.append(payload)
        data = data[2 + size :]
    return tuple(pongs), close


def wsproto(parts: Iterable[bytes], *, deflate: bool = False) -> Heard:
    """What wsproto makes of it."""
    extension = WsprotoDeflate(client_no_context_takeover=True, server_no_context_takeover=True)
    extension._enabled = True
    protocol = Connection(ConnectionType.SERVER, extensions=[extension] if deflate else [])
    messages: list[str | bytes] = []
    pongs: list[bytes] = []
    texts: list[str] = []
    blobs: list[bytes] = []
    for part in parts:
        protocol.receive_data(part)
        for event in protocol.events():
            if isinstance(event, TextMessage):
                texts.append(event.data)
                if event.message_finished:
                    messages.append("".join(texts))
                    texts.clear()
            elif isinstance(event, BytesMessage):
                blobs.append(bytes(event.data))
                if event.message_finished:
                    messages.append(b"".join(blobs))
                    blobs.clear()
            elif isinstance(event, Ping):
                pongs.append(bytes(event.payload))
            elif isinstance(event, CloseConnection):
                return Heard(tuple(messages), tuple(pongs), int(event.code))
    return Heard(tuple(messages), tuple(pongs), None)


_silent = logging.getLogger("silent")
_silent.disabled = True


def websockets(parts: Iterable[bytes], *, deflate: bool = False) -> Heard:
    """What websockets makes of it; text is decoded as its higher layers do, a message at a time."""
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_MESSAGE, logger=_silent)
    if deflate:
        protocol.extensions = [PerMessageDeflate(True, True, 15, 15)]
    messages: list[str | bytes] = []
    fragments: list[Frame] = []
    pongs: list[bytes] = []
    close = None
    for part in parts:
        protocol.receive_data(part)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                fragments.append(frame)
                if frame.fin:
                    data = b"".join(bytes(each.data) for each in fragments)
                    is_text = fragments[0].opcode is Opcode.TEXT
                    fragments.clear()
                    try:
                        messages.append(data.decode() if is_text else data)
                    except UnicodeDecodeError:
                        protocol.fail(1007)
                        protocol.events_received()
                        break
        sent, close = read_sent(b"".join(protocol.data_to_send()))
        pongs += sent
        if close is not None:
            break
    return Heard(tuple(messages), tuple(pongs), close)
