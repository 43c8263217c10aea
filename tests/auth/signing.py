"""Tokens for the tests, and an issuer that publishes its keys over the loopback.

token = signed(sub="ada", exp=later())
with Issuer() as issuer:
    issuer.keys = [KEYS["ES256"].public("k1")]
    ... jwt_jwks=issuer.url ...
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from glyph_fast.http.head import parse_head
from glyph_fast.http.request import Request

SECRET = "a secret of the tests, which is long enough for HS512: 64 bytes."
UNSIGNED = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJhZGEifQ."  # {"alg": "none"}, sub: ada


def request(*fields: str, target: str = "/ws") -> Request:
    """A handshake with these fields besides."""
    lines = [f"GET {target} HTTP/1.1", "Host: example.com", *fields, "", ""]
    return parse_head("\r\n".join(lines).encode(), None)


def later(seconds: float = 3600) -> int:
    """A time in the future, as `exp` has it."""
    return int(time.time() + seconds)


def signed(algorithm: str = "HS256", *, key: Any = SECRET, kid: str | None = None, **claims: Any):
    """A token of these claims."""
    return jwt.encode(claims, key, algorithm, headers={"kid": kid} if kid else None)


_MAKERS: dict[str, Callable[[], Any]] = {
    "RS": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


@cache
def _private_key(maker: str, name: str) -> Any:
    return _MAKERS[maker]()


def private_key(algorithm: str, name: str = "") -> Any:
    """The issuer's private key for an algorithm; another one under another name."""
    return _private_key("RS" if algorithm[:2] in ("RS", "PS") else algorithm, name)


def jwk(algorithm: str, kid: str | None = None, *, name: str = "", **members: Any) -> dict:
    """The public key as it is published; members of None are left out."""
    own = json.loads(
        get_default_algorithms()[algorithm].to_jwk(private_key(algorithm, name).public_key())
    )
    own.pop("key_ops", None)
    entry = {**own, "use": "sig", "alg": algorithm, "kid": kid, **members}
    return {name: value for name, value in entry.items() if value is not None}


def key_set(*keys: Any) -> bytes:
    """A set of published keys."""
    return json.dumps({"keys": keys}).encode()


class Issuer:
    """Publishes `answer` at `url`, counting the requests; `gate`, if closed, keeps them waiting."""

    def __init__(self, *keys: Any) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler], None] = self._publish
        self.body = key_set(*keys)
        self.status = 200
        self.asked = 0
        self.gate = threading.Event()
        self.gate.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.gate.wait(10)
                issuer.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that closing it waits for them
        self._server.handle_error = lambda *args: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/keys.json"

    def _publish(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(self.status)
        handler.send_header("Content-Length", str(len(self.body)))
        handler.end_headers()
        handler.wfile.write(self.body)

    def __enter__(self) -> Issuer:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
