"""What a fuzzer may throw bytes at: one function a parser, which must survive any of them.

Each takes bytes and raises only when something is wrong with the code: an exception that is not
the parser's own, twins that disagree, a bound that did not hold. `coverage.py` runs them under a
coverage-guided fuzzer, `test_corpus.py` on everything that was found worth keeping.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any, NamedTuple

from glyph_fast import _core, _numbers, _pure, json, numbers
from glyph_fast.centrifuge.fields import COMMANDS
from glyph_fast.centrifuge.protobuf import Protobuf
from glyph_fast.centrifuge.wireformat import BadFrame, Json
from glyph_fast.dialects.base import Dialect
from glyph_fast.dialects.message import Message
from glyph_fast.errors import HandshakeError, InvalidMessage, ProtocolError, Reject
from glyph_fast.glyph.serving.load import GlyphLoadError, diagnose, load_source
from glyph_fast.glyph.syntax.format import CannotFormat, format_source
from glyph_fast.glyph.syntax.source import Source, UndecodableSource
from glyph_fast.http import parsers
from glyph_fast.http.body import BodyReader
from glyph_fast.http.forms import Bounds, UploadFile
from glyph_fast.http.forwarded import Proxies
from glyph_fast.http.head import parse_head
from glyph_fast.http.headers import Headers
from glyph_fast.http.multipart import Parts
from glyph_fast.http.request import Request
from glyph_fast.opening.proxy_protocol import read_proxy_header
from glyph_fast.options.declaration import CLIENT_COMMANDS
from glyph_fast.options.origin import check_origin
from glyph_fast.websocket.deflate import Deflate
from glyph_fast.websocket.handshake import (
    check_accept,
    check_upgrade,
    choose_subprotocol,
    is_upgrade,
    parse_extensions,
)
from tests.core.peer import Peer
from tests.core.schedules import schedule
from tests.fuzz.model import judge
from tests.fuzz.oracles import ours
from tests.http.reading import Unread, read, reading

TWINS = (_core, _pure)
MAX_INFLATED = 10_000
DIALECT = Dialect(CLIENT_COMMANDS)
LIBRARIES = (parsers.httptools_reader(), parsers.h11_reader())
TRUSTING = Proxies(["10.0.0.0/8"])
BODY_HEADS = (
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\n",
)


def cut(data: bytes) -> list[bytes]:
    """`data` in pieces as its last bytes say, which stay in it."""
    sizes = [byte + 1 for byte in data[-4:]]
    parts, at = [], 0
    while at < len(data):
        size = sizes[len(parts) % len(sizes)]
        parts.append(data[at : at + size])
        at += size
    return parts


def frames(data: bytes) -> None:
    """Frames of a client: both twins do what the RFCs say, however the bytes are cut."""
    deflate, data = bool(data[:1] > b"\x7f"), data[1:]
    heard = judge(data, deflate=deflate).heard
    for twin in TWINS:
        for parts in ([data], cut(data)):
            assert ours(twin, parts, deflate=deflate) == heard, twin.__name__


def ends(data: bytes) -> None:
    """Frames, an echo that is cut short by a small queue and a slow peer, time, and the end."""
    assert _talk(_core, data) == _talk(_pure, data)


def _talk(core: Any, data: bytes) -> object:
    policy, takes, data = data[:1] or b"\0", data[1:5], data[5:]
    peer = Peer(
        core,
        takes=[byte for byte in takes for _ in range(3)],
        max_message_size=300,
        queue_messages=4,
        queue_bytes=400,
        queue_policy=policy[0] & 3,
        ping_interval=3 if policy[0] & 4 else 0,
    )
    other, sink = peer.join(takes=[byte for byte in takes for _ in range(2)])
    room = core.Room()
    room.add(peer.conn)
    room.add(other)

    def on_message(conn: Any, opcode: int, payload: str | bytes) -> None:
        room.publish(core.Frame(payload), conn.id if policy[0] & 8 else None)
        if payload in ("close", b"close"):
            conn.close(4000, "asked")
        elif payload in ("abort", b"abort"):
            other.abort()

    peer.handler.on_message = on_message
    for part in cut(data):
        peer.feed(part)
        if policy[0] & 16:
            peer.sweep(1)
    peer.conn._feed_eof() if policy[0] & 32 else peer.sweep(9)
    peer.flush()
    handler = peer.handler
    figures = [getattr(peer.turn.counters, name) for name in _pure.Counters.__slots__]
    return (
        handler.messages,
        handler.closed,
        handler.drained,
        handler.full_calls,
        [str(failure) for failure in handler.failures],
        peer.sink.written,
        sink.written,
        peer.sink.events,
        [count for count in figures if isinstance(count, int)],  # the others measure time
    )


def queues(data: bytes) -> None:
    """Sends, broadcasts, pings and a slow peer in any order: the same results from both twins."""
    names = ["send", "publish", "flush", "ping", "take"]
    steps = [(names[a % 5], b % 61) for a, b in zip(data[1::2], data[2::2], strict=False)]
    policy = data[0] % 4 if data else 0
    assert schedule(_core, steps, policy) == schedule(_pure, steps, policy)


def heads(data: bytes) -> None:
    """The beginning of HTTP connections: the same heads and refusals, however they are cut."""
    expected = _heads(_core, [data])
    for twin in TWINS:
        for parts in ([data], cut(data)):
            assert _heads(twin, parts) == expected, twin.__name__


def _heads(core: Any, parts: list[bytes]) -> object:
    peer = Peer(core, is_open=False)
    peer.handler.on_request = lambda conn, head: conn._expect_head()
    for part in parts:
        peer.feed(part)
    assert not peer.handler.failures
    return peer.handler.heads, peer.handler.refused


def requests(data: bytes) -> None:
    """A request head: the same answer whoever reads it, and sound values from sound heads."""
    readers = [(library, Unread) for library in LIBRARIES]
    readers += [(LIBRARIES[0], twin) for twin in TWINS]
    found = []
    for library, twin in readers:
        with reading(library, twin):
            request, upgrade = read(data)
            fields = None if isinstance(request, int) else request.headers.fields
            found.append((request if isinstance(request, int) else request.target, fields, upgrade))
    assert all(each == found[0] for each in found)
    if not isinstance(request, int):
        _use(request)


def _use(request: Request) -> None:
    """Look at everything a request has, as an application may."""
    assert request.path and request.method and request.host is not None
    list(request.query.items())
    list(request.cookies.items())
    again = Request._from_head(request._head)
    assert (again.path, again.host, again._keep_alive) == (
        request.path,
        request.host,
        request._keep_alive,
    )
    if not is_upgrade(request):
        return
    try:
        upgrade = check_upgrade(request)
        check_origin(upgrade.origin, upgrade.host, (), "http")
        choose_subprotocol(upgrade.subprotocols, ["chat"])
        for mode in ("shared", "dedicated"):
            Deflate(mode).agree(upgrade.extensions)
    except HandshakeError as exc:
        assert exc.status in (400, 405, 426)


def extensions(data: bytes) -> None:
    """Values of Sec-WebSocket-Extensions and -Protocol, and a server's answer."""
    text = data.decode("latin-1")
    for function in (parse_extensions, Deflate("shared").agree, Deflate("dedicated").agree):
        try:
            function(text.split("\n"))  # type: ignore[operator]
        except HandshakeError as exc:
            assert exc.status == 400
    try:
        choose_subprotocol(text.split("\n"), ["chat", "a"])
    except HandshakeError as exc:
        assert exc.status == 400
    check_origin(text, "example.com", (), "https")
    check_origin(text, text, ("https://*.example.com",), "https")
    try:
        check_accept(data, "AAAAAAAAAAAAAAAAAAAAAA==")
    except HandshakeError as exc:
        assert 100 <= exc.status <= 999


def proxies(data: bytes) -> None:
    """What says who a client is: no client can say it, whatever it writes, where a proxy does."""
    written, _, more = data.partition(b"\n")
    for name, appended in (
        (b"forwarded", b"for=198.51.100.9"),
        (b"x-forwarded-for", b"198.51.100.9"),
    ):
        for fields in (
            [written + b", " + appended],
            [written, appended],
            [written, more, appended],
        ):
            headers = Headers([(name, value) for value in fields])
            try:
                found = TRUSTING.client(Asked(headers), "10.0.0.1")
            except HandshakeError as exc:
                assert exc.status == 400
            else:
                assert found.remote == "198.51.100.9", (name, fields)
    _proxy_header(data)


def _proxy_header(data: bytes) -> None:
    try:
        header = read_proxy_header(data)
    except ValueError as exc:
        assert "PROXY header" in str(exc)
        return
    if header is None:
        return
    assert 0 < header.size <= len(data)
    assert read_proxy_header(data[: header.size]) == header
    assert read_proxy_header(data[: header.size - 1]) is None
    if header.source is not None:
        ip_address(header.source)


class Asked(NamedTuple):
    """As much of a request as there is to read of proxies."""

    headers: Any


def bodies(data: bytes) -> None:
    """Request bodies: whole or in pieces, the same bytes are taken and the same is refused."""
    head, data = BODY_HEADS[data[:1] > b"\x7f"], data[1:]
    assert _body(head, [data]) == _body(head, cut(data))


def _body(head: bytes, parts: list[bytes]) -> object:
    reader = BodyReader(parse_head(head), limit=MAX_INFLATED)
    taken = 0
    try:
        for part in parts:
            while part and (used := reader.feed(part)):  # the rest comes again in another turn
                taken, part = taken + used, part[used:]
    except HandshakeError as exc:
        return exc.status
    body = reader.take()
    assert len(body) <= MAX_INFLATED
    return reader.is_complete, body, taken


def forms(data: bytes) -> None:
    """Multipart bodies: the same parts however they are cut, and never more than may be."""
    boundary, data = b"b", data.replace(b"\n", b"\r\n")  # so that a fuzzer finds its lines
    assert _form(boundary, [data]) == _form(boundary, cut(data))


def _form(boundary: bytes, pieces: list[bytes]) -> object:
    parts = Parts(boundary, Bounds(files=3, fields=4, part_size=20))
    try:
        for piece in pieces:
            parts.feed(piece)
            parts.write()
        found = parts.end()
    except Reject as exc:
        assert exc.status in (400, 413)
        return exc.status
    files = [value for _, value in found if isinstance(value, UploadFile)]
    texts = [value for _, value in found if isinstance(value, str)]
    assert len(files) <= 3 and len(texts) <= 4 and all(len(text) <= 20 for text in texts)
    return [
        (name, (value.filename, value.content_type, value.file.read()))
        if isinstance(value, UploadFile)
        else (name, value)
        for name, value in found
    ]


def inflate(data: bytes) -> None:
    """Compressed messages: never more than the limit, and what we compress comes back."""
    mode = "dedicated" if data[:1] > b"\x7f" else "shared"
    bits = 9 + data[0] % 7 if data else 15
    agreed = Deflate(mode, 0).agree(
        [f"permessage-deflate; client_max_window_bits={bits}; server_max_window_bits={bits}"]
    )
    assert agreed is not None
    codec: Any = agreed.codec
    try:
        for message in data[1:].split(b"\xff\xfe"):
            payload = codec.decode(message, MAX_INFLATED)
            assert len(payload) <= MAX_INFLATED
    except ProtocolError as exc:
        assert exc.code in (1007, 1009)
    inflater = zlib.decompressobj(-bits)
    for twin in TWINS:
        if mode == "shared":
            inflater = zlib.decompressobj(-bits)
        frame = codec.encode(twin.Frame(data))
        frame = codec.pack(frame) if hasattr(codec, "pack") else frame
        payload = frame[{126: 4, 127: 10}.get(frame[1], 2) :]
        if frame[0] & 0x40:
            payload = inflater.decompress(payload + b"\0\0\xff\xff")
        assert payload == data


def envelopes(data: bytes) -> None:
    """Text of a client: a message comes of any, and an envelope is written as it was read."""
    text = data.decode(errors="replace")
    for whole in (data, text):
        assert _numbers.has_large_integer(whole) == numbers.has_large_integer(whole)
    message = DIALECT.read(text, "f" * 32)
    assert message.raw == text and message.connection_id == "f" * 32
    try:
        message = Message.from_json(data)
    except InvalidMessage:
        return
    again = Message.from_json(message.to_json())
    assert json.loads(again.to_json()) == json.loads(message.to_json())


def centrifuge(data: bytes) -> None:
    """Frames of the Centrifuge protocol: commands come of them, or one error; JSON comes back."""
    for wire, payload in ((Json(), data.decode(errors="replace")), (Protobuf(), data)):
        try:
            commands = list(wire.read(payload))
        except BadFrame:
            continue
        for command in commands:
            assert command.keys() <= {"id", *COMMANDS}
            if wire.name == "json":
                assert list(wire.read(json.dumps(command).decode())) == [command]


def glyph(data: bytes) -> None:
    """A Glyph source: it loads, or it says what is wrong and where."""
    try:
        source = Source.from_bytes("fuzz", data)
    except UndecodableSource:
        return
    for diagnostic in diagnose(source):
        assert diagnostic.render()
    try:
        load_source(source, skip_unsupported=True)
    except GlyphLoadError as exc:
        assert exc.diagnostics
    try:
        formatted = format_source(source)
    except CannotFormat:
        return
    assert format_source(Source("again", formatted)) == formatted


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        frames,
        ends,
        queues,
        heads,
        requests,
        extensions,
        proxies,
        bodies,
        forms,
        inflate,
        envelopes,
        centrifuge,
        glyph,
    )
}
