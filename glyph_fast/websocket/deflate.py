"""permessage-deflate (RFC 7692): what to agree on, and the codecs that keep to it.

Two ways to compress, for two kinds of traffic:

`shared`: every message stands for itself (no context takeover in either direction), so a connection
holds no compression state at all, and a broadcast is compressed once for all members that agreed on
the same parameters. `dedicated`: each connection keeps its own contexts, which pays when one
connection carries many small messages that resemble each other, and costs memory: at most
`DEDICATED_BYTES` for the two contexts of a connection.

Compression is by ISA-L where it is installed (isal), else by zlib: for 2 KiB of words ISA-L takes
a quarter of the time, for an output a hundredth longer, and twice the memory where a context is
kept. Inflation is by zlib, the quicker of the two below 1 KiB, in a fifth of the memory
(`python -m bench.compression`, docs/performance-notes.md).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from ..core import Frame, encode_frame
from ..errors import HandshakeError, ProtocolError
from ..wire import INVALID_DATA, TOO_BIG
from .handshake import Extension, parse_extensions

NAME = "permessage-deflate"
CLIENT_OFFER = f"{NAME}; client_max_window_bits"  # what browsers send
MIN_BITS = 9  # what zlib can do of the 8 to 15 of RFC 7692 §7.1.2
MAX_BITS = 15
DEDICATED_BITS = 12  # windows of 4 KiB: messages are small, and two contexts are kept for each peer
MEMORY_LEVEL = 5
ISAL_KEPT_LEVEL = 1  # its memory level where a context is kept: 105 KiB, where 5 asks for 226
# zlib's own account (zconf.h): deflate (1 << bits+2) + (1 << level+9) and 7 KiB, inflate
# (1 << bits) + 7 KiB. ISA-L's compressor takes the same for every window; two thirds of it stay
# untouched, and so not resident, while messages are small.
ZLIB_BYTES = (1 << DEDICATED_BITS + 2) + (1 << MEMORY_LEVEL + 9) + 7168
ISAL_BYTES = 105 * 1024
INFLATER_BYTES = (1 << MAX_BITS) + 7168  # with the largest window, which a peer may insist on
MAX_REMEMBERED = 256  # characters of an offer whose answer is kept
TAIL = b"\x00\x00\xff\xff"  # what a sender leaves out of each message (RFC 7692 §7.2.1)


class Parameters(NamedTuple):
    """The terms that both sides agreed on. Windows are powers of two; booleans forbid takeover."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_max_window_bits: int
    client_max_window_bits: int

    def header(self, *, names_server_bits: bool = False) -> str:
        """The value of Sec-WebSocket-Extensions that says so.

        `names_server_bits`: the offer did, so the answer must (RFC 7692 §7.1.2.1), 15 or not. It
        need not where the offer did not: a peer inflates a smaller window with its larger one, and
        some take a parameter that they have not offered for an error.
        """
        text = NAME
        for name, value in zip(self._fields, self, strict=True):
            if value is True:
                text += f"; {name}"
            elif name == "server_max_window_bits":
                text += f"; {name}={value}" if names_server_bits else ""
            elif value is not False and value < MAX_BITS:
                text += f"; {name}={value}"
        return text


class _Offer(NamedTuple):
    """One offer of a client (RFC 7692 §7.1); bits are None where it does not speak of them."""

    server_no_context_takeover: bool
    client_no_context_takeover: bool
    server_bits: int | None
    client_bits: int | None


def negotiate(values: Sequence[str], mode: str) -> tuple[str, Parameters] | None:
    """Choose among the offers of Sec-WebSocket-Extensions fields; None declines them all.

    Returns the answer, as the value of the same field, and what is thereby agreed on.

    `mode` is `shared` or `dedicated`. The first offer that can be met is taken; one with unknown,
    repeated or impossible parameters, or with a server window of 8 bits (which zlib has not), is
    passed over (RFC 7692 §5). Raises HandshakeError 400 for fields that break the grammar.
    """
    for name, parameters in parse_extensions(values):
        if name != NAME:
            continue
        offer = _read_offer(parameters)
        if offer is None or (offer.server_bits or MAX_BITS) < MIN_BITS:
            continue
        agreed = _answer(offer, mode)
        return agreed.header(names_server_bits=offer.server_bits is not None), agreed
    return None


@lru_cache(maxsize=256)  # browsers send the same few for ever
def _negotiate_one(value: str, mode: str) -> tuple[str, Parameters] | None:
    return negotiate([value], mode)


def _read_offer(parameters: Sequence[tuple[str, str | None]]) -> _Offer | None:
    found = dict(parameters)
    if len(found) != len(parameters) or not found.keys() <= set(Parameters._fields):
        return None
    if any(found.get(name) is not None for name in Parameters._fields[:2]):
        return None
    server_bits = client_bits = None
    if "server_max_window_bits" in found:
        server_bits = _read_bits(found["server_max_window_bits"])
        if server_bits is None:
            return None
    if "client_max_window_bits" in found:
        hint = found["client_max_window_bits"]
        client_bits = MAX_BITS if hint is None else _read_bits(hint)
        if client_bits is None:
            return None
    return _Offer(
        "server_no_context_takeover" in found,
        "client_no_context_takeover" in found,
        server_bits,
        client_bits,
    )


def _read_bits(text: str | None) -> int | None:
    """8 to 15, in decimal without leading zeros (RFC 7692 §7.1.2.1)."""
    return int(text) if text in ("8", "9", "10", "11", "12", "13", "14", "15") else None


def _answer(offer: _Offer, mode: str) -> Parameters:
    server_bits = offer.server_bits or MAX_BITS
    if mode == "shared":
        # A window larger than a message buys nothing, and none outlives it: take what is offered.
        client_bits = MAX_BITS if offer.client_bits is None else offer.client_bits
        return Parameters(True, True, server_bits, client_bits)
    # RFC 7692 §7.1.2.2: a window may be asked of a client only if it hinted that it can obey.
    client_bits = MAX_BITS
    if offer.client_bits is not None:
        client_bits = min(offer.client_bits, DEDICATED_BITS)
    return Parameters(
        offer.server_no_context_takeover,
        offer.client_no_context_takeover,
        min(server_bits, DEDICATED_BITS),
        client_bits,
    )


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int, /) -> bytes: ...


def _load_compressor() -> tuple[Any, int, int]:
    try:
        from isal import isal_zlib
    except ModuleNotFoundError:
        return zlib.compressobj, 6, MEMORY_LEVEL
    return isal_zlib.compressobj, 1, ISAL_KEPT_LEVEL


_compressobj, _LEVEL, _KEPT_LEVEL = _load_compressor()
HAS_ISAL = _compressobj is not zlib.compressobj
DEDICATED_BYTES = INFLATER_BYTES + (ISAL_BYTES if HAS_ISAL else ZLIB_BYTES)


def _new_compressor(bits: int, memory_level: int = MEMORY_LEVEL) -> _Compressor:
    compressor: _Compressor = _compressobj(_LEVEL, zlib.DEFLATED, -bits, memory_level)
    return compressor


def _new_inflater(bits: int) -> Any:
    # What was made with a window of 8 bits can be read with a larger one.
    return zlib.decompressobj(-max(bits, MIN_BITS))


def _deflate(compressor: _Compressor, payload: bytes) -> bytes:
    data = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return data[: -len(TAIL)]


def _inflate(inflater: Any, payload: bytes, limit: int) -> bytes:
    """One message, of at most `limit` bytes: no more than that is ever inflated."""
    if not payload:
        return b""  # should be one byte (RFC 7692 §7.2.3.6), but leaves no doubt
    try:
        data: bytes = inflater.decompress(payload, limit + 1)
        if len(data) > limit:
            raise ProtocolError(TOO_BIG, f"message is larger than {limit} bytes")
        # The tail ends an empty block. If it is anything else, it stands inside another one.
        is_whole = not inflater.decompress(TAIL, 1)
    except zlib.error:
        is_whole = False
    if not is_whole:
        raise ProtocolError(INVALID_DATA, "compressed data is broken")
    return data


class SharedCodec:
    """Compresses every message for itself; one serves all connections with its parameters.

    Messages of fewer than `min_size` bytes, and those that would grow, go uncompressed.
    """

    def __init__(self, parameters: Parameters, min_size: int) -> None:
        self.parameters = parameters
        self._min_size = min_size
        self._key = parameters.server_max_window_bits

    def encode(self, frame: Frame) -> bytes:
        """The frame for these connections, made once and kept with `frame`."""
        if len(frame.data) < self._min_size:
            return frame.data
        if frame.variants is None:
            frame.variants = {}
        data = frame.variants.get(self._key)
        if data is None:
            payload = frame.payload
            packed = _deflate(_new_compressor(self._key), payload)
            smaller = len(packed) < len(payload)
            data = encode_frame(frame.opcode, packed, rsv1=True) if smaller else frame.data
            frame.variants[self._key] = data
        return data

    def decode(self, payload: bytes, limit: int) -> bytes:
        """The payload of a compressed message. Raises ProtocolError 1007 or 1009."""
        inflater = _new_inflater(self.parameters.client_max_window_bits)
        return _inflate(inflater, payload, limit)


class DedicatedCodec:
    """The two contexts of one connection, made when first needed."""

    def __init__(self, parameters: Parameters, min_size: int) -> None:
        self.parameters = parameters
        self._min_size = min_size
        self._compressor: _Compressor | None = None
        self._inflater: Any = None

    def encode(self, frame: Frame) -> bytes:
        """The frame as it waits: uncompressed, see `pack`."""
        return frame.data

    def pack(self, data: bytes) -> bytes:
        """Compress a frame that leaves now: each one changes what the next may refer to."""
        if len(data) < self._min_size:
            return data
        return encode_frame(data[0] & 0x0F, self._compress(_payload(data)), rsv1=True)

    def _compress(self, payload: bytes) -> bytes:
        bits = self.parameters.server_max_window_bits
        compressor = self._compressor or _new_compressor(bits, _KEPT_LEVEL)
        packed = _deflate(compressor, payload)
        self._compressor = None if self.parameters.server_no_context_takeover else compressor
        return packed

    def decode(self, payload: bytes, limit: int) -> bytes:
        """The payload of a compressed message. Raises ProtocolError 1007 or 1009."""
        inflater = self._inflater
        if inflater is None or inflater.eof:  # a final block ends a context (RFC 7692 §7.2.3.4)
            inflater = _new_inflater(self.parameters.client_max_window_bits)
        data = _inflate(inflater, payload, limit)
        self._inflater = None if self.parameters.client_no_context_takeover else inflater
        return data


def _payload(data: bytes) -> bytes:
    """The payload of an unmasked frame."""
    return data[{126: 4, 127: 10}.get(data[1], 2) :]


class ClientCodec(DedicatedCodec):
    """The two contexts of a client's connection, whose frames are masked.

    `parameters` is what the server answered, as `accept` returns it.
    """

    def __init__(self, parameters: Parameters, min_size: int = 0) -> None:
        server_no_takeover, client_no_takeover, server_bits, client_bits = parameters
        super().__init__(
            Parameters(client_no_takeover, server_no_takeover, client_bits, server_bits), min_size
        )
        self._can_compress = parameters.client_max_window_bits >= MIN_BITS

    def pack(self, data: bytes) -> bytes:
        """Compress and mask a frame that leaves now."""
        payload, opcode, key = _payload(data), data[0] & 0x0F, os.urandom(4)
        if len(data) < self._min_size or not self._can_compress:
            return encode_frame(opcode, payload, key=key)
        return encode_frame(opcode, self._compress(payload), rsv1=True, key=key)


def accept(extensions: Sequence[Extension], offer: str = CLIENT_OFFER) -> Parameters | None:
    """Return what a server's answer agrees to, for a client that sent `offer`; None for nothing.

    `extensions` are those of the answer, as `handshake.check_accept` reads them. HandshakeError 400
    for an answer the client must refuse (RFC 6455 §4.1, RFC 7692 §7.1): of an extension that was
    not offered, or of parameters that make no sense or give less than was asked for.
    """
    if not extensions:
        return None
    ((_, asked),) = parse_extensions([offer])
    hint, answer = _read_offer(asked), None
    if len(extensions) == 1 and extensions[0][0] == NAME:
        named = dict(extensions[0][1])
        if named.get("client_max_window_bits", "") is not None:  # here it must have a value
            answer = _read_offer(extensions[0][1])
    if hint is None or answer is None or not _grants(answer, hint):
        raise HandshakeError(400, "the answer agrees to an extension that was not offered so")
    return Parameters(
        answer.server_no_context_takeover,
        # A client that announced it keeps to it, whatever the server says (RFC 7692 §7.1.1.2).
        answer.client_no_context_takeover or hint.client_no_context_takeover,
        answer.server_bits or MAX_BITS,
        answer.client_bits or MAX_BITS,
    )


def _grants(answer: _Offer, hint: _Offer) -> bool:
    """Return whether an answer grants what an offer asked for, and takes no more than it said."""
    if answer.client_bits is not None and answer.client_bits > (hint.client_bits or 0):
        return False
    if hint.server_bits is not None and (answer.server_bits or MAX_BITS) > hint.server_bits:
        return False
    return answer.server_no_context_takeover or not hint.server_no_context_takeover


class Agreement(NamedTuple):
    """The answer of a server to the offers, and the codec that keeps to it."""

    header: str  # the value of Sec-WebSocket-Extensions
    codec: SharedCodec | DedicatedCodec


class Deflate:
    """Compression of one server: negotiates and hands out codecs."""

    def __init__(self, mode: str, min_size: int = 512) -> None:
        if mode not in ("shared", "dedicated"):
            raise ValueError(f"compression is shared or dedicated, not {mode!r}")
        self.mode = mode
        self.min_size = min_size
        self._shared: dict[Parameters, SharedCodec] = {}

    def check(self, values: Sequence[str]) -> tuple[str, Parameters] | None:
        """As `negotiate`; what was read before is remembered, as browsers send the same few."""
        if len(values) == 1 and len(values[0]) <= MAX_REMEMBERED:
            return _negotiate_one(values[0], self.mode)
        return negotiate(values, self.mode)

    def agree(self, values: Sequence[str]) -> Agreement | None:
        """The answer to a client's Sec-WebSocket-Extensions fields and the codec that keeps to it.

        None when nothing offered can be met. Raises HandshakeError 400 for broken grammar.
        """
        agreed = self.check(values) if values else None
        if agreed is None:
            return None
        header, parameters = agreed
        if self.mode == "dedicated":
            return Agreement(header, DedicatedCodec(parameters, self.min_size))
        codec = self._shared.get(parameters)
        if codec is None:
            codec = self._shared[parameters] = SharedCodec(parameters, self.min_size)
        return Agreement(header, codec)
