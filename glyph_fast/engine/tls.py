"""TLS as bytes in, bytes out: a session between plaintext and ciphertext, without a socket.

asyncio's own TLS transports hide how much the kernel has refused, cost a task and a timer for each
handshake, and differ between loops. On memory buffers the one account of what has left holds for
`wss://` as well, and a handshake that takes too long is a request head that takes too long.
"""

from __future__ import annotations

import logging
import os
import ssl
from typing import cast

from ..errors import ConfigError
from ..http.tls import Tls
from ..logs import SERVER, log
from ..records import MAX_HANDSHAKE, MAX_IDLE, MAX_SILENT, Records, long_handshake, silent

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def server_context(
    cert: str,
    key: str | None = None,
    *,
    password: str | None = None,
    client_ca: str | None = None,
    min_version: str = "1.2",
) -> ssl.SSLContext:
    """The settings of a server that shows the certificate chain `cert` (PEM files).

    With `client_ca`, clients must show a certificate one of these authorities has signed. Raises
    ConfigError, which names the file, for one that cannot be read, does not fit, or is a key whose
    password is not `password`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[min_version]
    context.options |= ssl.OP_NO_RENEGOTIATION  # RFC 9325 §3.5
    context.set_alpn_protocols(["http/1.1"])
    asked = []

    def password_of_key() -> str:  # without one, OpenSSL would ask for it on the terminal
        asked.append(True)
        return password or ""

    try:
        context.load_cert_chain(cert, key, password=password_of_key)
    except (OSError, ValueError) as exc:
        raise ConfigError(_unusable_pair(cert, key, password, bool(asked), exc)) from None
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as exc:
            raise ConfigError(f"cannot use the authorities {client_ca}: {_text(exc)}") from None
    return context


def client_context(ca: str | None = None, *, insecure: bool = False) -> ssl.SSLContext:
    """The settings of a client, which trusts the system's authorities, or those of `ca` alone.

    An `insecure` one trusts everybody. Raises ConfigError for a file that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot use the authorities {ca}: {_text(exc)}") from None
    context.set_alpn_protocols(["http/1.1"])
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _unusable_pair(
    cert: str, key: str | None, password: str | None, was_asked: bool, exc: Exception
) -> str:
    """Say what is wrong with a certificate and its key, and with which of the files."""
    holder = key or cert
    if was_asked:  # the certificate itself was read before
        if password is None:
            return f"cannot use the key {holder}: it has a password, see --tls-key-password"
        return f"cannot use the key {holder}: the password is not its own"
    reason = _text(exc)
    if reason == "key values mismatch":
        return f"cannot use the key {holder}: it is not that of the certificate {cert}"
    try:
        open(cert, "rb").close()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cert)
    except (OSError, ValueError) as wrong:
        return f"cannot use the certificate {cert}: {_text(wrong)}"
    return f"cannot use the key {holder}: {reason}"


def _text(exc: Exception) -> str:
    reason = getattr(exc, "reason", None) or getattr(exc, "strerror", None) or str(exc)
    return str(reason).lower().replace("_", " ")


class Certificates:
    """The settings of a server, made anew when a file changes.

    A new context is used for new handshakes; sessions keep the one they began with.
    """

    def __init__(
        self,
        cert: str,
        key: str | None = None,
        *,
        password: str | None = None,
        client_ca: str | None,
        min_version: str,
    ) -> None:
        self._cert = cert
        self._key = key
        self._password = password
        self._client_ca = client_ca
        self._min_version = min_version
        self._seen = self._look()
        self.context = self._load()

    def renewed(self) -> ssl.SSLContext | None:
        """The new settings when a file has changed since the last call and they can be used."""
        seen = self._look()
        if seen == self._seen:
            return None
        self._seen = seen  # before they are read: what changes meanwhile is seen the next time
        try:
            self.context = self._load()
        except ConfigError as exc:
            log(SERVER, logging.ERROR, "not renewed; the former certificate stays", reason=str(exc))
            return None
        log(SERVER, logging.INFO, "certificate renewed", file=self._cert)
        return self.context

    def _load(self) -> ssl.SSLContext:
        for file in (self._cert, self._key, self._client_ca):
            if file is not None and os.path.exists(file) and not os.path.isfile(file):
                raise ConfigError(f"no regular file: {file}")  # a pipe would have the loop wait
        return server_context(
            self._cert,
            self._key,
            password=self._password,
            client_ca=self._client_ca,
            min_version=self._min_version,
        )

    def _look(self) -> list[tuple[int, int, int] | None]:
        """Return what tells one state of the files from the next; None for a missing file."""
        found: list[tuple[int, int, int] | None] = []
        for file in (self._cert, self._key, self._client_ca):
            try:
                status = os.stat(file) if file is not None else None
            except OSError:
                status = None
            known = status and (status.st_mtime_ns, status.st_size, status.st_ino)
            found.append(known)
        return found


class TlsSession:
    """The server's end of one TLS connection."""

    __slots__ = (
        "_ahead", "_idle", "_incoming", "_is_ready", "_object", "_outgoing", "_records", "_silent",
    )  # fmt: skip

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_ready = False
        self._records = Records()
        self._idle = 0  # records of the latest reading in which no data was found
        self._silent = 0  # bytes of ciphertext that came since the latest with data, or in all
        self._ahead = b""  # what came beyond the longest handshake, in the same reading

    @property
    def tls(self) -> Tls:
        """Return what it tells about the peer."""
        return Tls(self._object)

    def feed(self, ciphertext: bytes | memoryview) -> None:
        """Take bytes of the peer."""
        count = self._records.count(ciphertext)
        if self._is_ready:
            self._incoming.write(ciphertext)
            self._idle += count
        else:
            room = MAX_HANDSHAKE - self._silent
            self._incoming.write(ciphertext[:room])
            self._ahead = bytes(ciphertext[room:])
        self._silent += len(ciphertext)

    def read_into(self, buffer: memoryview) -> int:
        """Fill `buffer` with plaintext and return its size; 0 when the peer ended its side.

        Raises ssl.SSLWantReadError when more ciphertext is needed first, another ssl.SSLError when
        the peer breaks the protocol; in each case there may be something to send.
        """
        if not self._is_ready:
            self._shake_hands()
        try:
            # With a buffer it returns a count, which its declared type leaves out.
            size = cast(int, self._object.read(len(buffer), cast(bytearray, buffer)))
        except ssl.SSLWantReadError:
            idle, self._idle = self._idle, 0
            if idle > MAX_IDLE or self._silent > MAX_SILENT:
                raise silent() from None
            raise
        self._idle -= 1
        self._silent = 0
        return size

    def _shake_hands(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            if self._ahead:
                raise long_handshake() from None
            raise
        self._is_ready = True
        self._silent = 0
        self._incoming.write(self._ahead)
        self._ahead = b""

    def write(self, plaintext: bytes | memoryview) -> None:
        """Encrypt something to send. Raises OSError before the handshake is done."""
        if not self._is_ready:
            raise BrokenPipeError("the TLS handshake is not done")
        self._object.write(plaintext)

    def end(self) -> None:
        """Tell the peer that nothing more comes (RFC 8446 §6.1)."""
        if self._is_ready:
            try:
                self._object.unwrap()
            except ssl.SSLError:
                pass  # its own end has not come, or the session is broken: it was told all the same

    def to_send(self) -> bytes:
        """The ciphertext that is due, once."""
        return self._outgoing.read()
