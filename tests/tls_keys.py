"""A client that asks its server to change the keys of TLS, which `ssl` has no call for."""

from __future__ import annotations

import _ssl
import ctypes
import ssl


class SessionObject(ctypes.Structure):
    """How an object of `_ssl` begins."""

    _fields_ = [
        ("head", ctypes.c_byte * object.__basicsize__),
        ("socket", ctypes.c_void_p),
        ("session", ctypes.c_void_p),
    ]


def ask_for_new_keys(session: ssl.SSLObject) -> None:
    """Send a request to change keys (RFC 8446 §4.6.3), which must be answered."""
    library = ctypes.CDLL(_ssl.__file__)
    found = SessionObject.from_address(id(session._sslobj)).session
    assert library.SSL_key_update(ctypes.c_void_p(found), 1) == 1
    assert library.SSL_do_handshake(ctypes.c_void_p(found)) == 1
