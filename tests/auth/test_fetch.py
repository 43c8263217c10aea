"""Reading keys from a file or a URL."""

from __future__ import annotations

import socket
import ssl
import threading
from http.client import HTTPMessage
from io import BytesIO
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from glyph_fast.auth import fetch as module
from glyph_fast.auth.fetch import fetch, read_file
from tests.auth.signing import Issuer, key_set


def test_a_file_is_read(tmp_path):
    (tmp_path / "keys.json").write_bytes(key_set())
    assert read_file(str(tmp_path / "keys.json")) == key_set()


def test_what_is_too_large_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_SIZE", 100)
    (tmp_path / "keys.json").write_bytes(b"x" * 101)
    with pytest.raises(ValueError, match="at most 100 bytes"):
        read_file(str(tmp_path / "keys.json"))
    with Issuer() as issuer:
        issuer.body = b"x" * 101
        with pytest.raises(ValueError, match="at most 100 bytes"):
            fetch(issuer.url)


def test_a_url_is_fetched():
    with Issuer() as issuer:
        assert fetch(issuer.url) == key_set()
        assert issuer.asked == 1


def test_an_error_of_the_issuer_is_an_oserror():
    with Issuer() as issuer:
        issuer.status = 500
        with pytest.raises(OSError, match="500") as caught:
            fetch(issuer.url)
        assert isinstance(caught.value, HTTPError)
        caught.value.close()


def test_nobody_there_is_an_oserror():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OSError):
        fetch(f"http://127.0.0.1:{port}/")


def test_what_is_no_http_is_a_valueerror():
    def answer(server: socket.socket) -> None:
        peer, _ = server.accept()
        with peer:
            peer.recv(1000)
            peer.sendall(b"hello\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        with pytest.raises(ValueError, match="malformed answer"):
            fetch(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join(10)


def test_an_answer_that_does_not_end_is_given_up():
    with Issuer() as issuer:
        issuer.gate.clear()
        with pytest.raises(TimeoutError):
            fetch(issuer.url, timeout=0.05)


# How the head begins, and what comes for ever after it, a piece at a time.
DRIPS = {
    "status line": (b"HTTP/1.1 200 ", b"O"),
    "informational": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "field": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
}


@pytest.mark.parametrize("part", DRIPS)
def test_an_answer_that_drips_is_given_up(part):
    """Each piece comes within the time-out of the socket; all of them never do."""
    stopped = threading.Event()
    begin, piece = DRIPS[part]

    def drip(handler) -> None:
        handler.wfile.write(begin)
        while not stopped.wait(0.01):
            handler.wfile.write(piece)

    with Issuer() as issuer:
        issuer.answer = drip
        try:
            with pytest.raises(TimeoutError):
                fetch(issuer.url, timeout=0.1)
        finally:
            stopped.set()


def test_redirects_without_end_are_given_up():
    def redirect(handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"{handler.path}x")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with Issuer() as issuer:
        issuer.answer = redirect
        with pytest.raises(OSError, match="redirect"):
            fetch(issuer.url)
        assert issuer.asked < 20


def test_redirects_are_followed():
    def redirect(handler) -> None:
        if handler.path == "/new":
            return issuer._publish(handler)
        handler.send_response(302)
        handler.send_header("Location", "/new")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with Issuer() as issuer:
        issuer.answer = redirect
        assert fetch(issuer.url) == key_set()


@pytest.mark.parametrize(
    ("url", "to", "is_followed"),
    [
        ("https://a.example/keys", "https://b.example/", True),
        ("https://a.example/keys", "http://a.example/", False),
        ("https://a.example/keys", "ftp://a.example/", False),
        ("http://keys/keys", "https://b.example/", True),
        ("http://keys/keys", "http://KEYS:81/new", True),
        ("http://127.0.0.1/keys", "http://b.example/", False),
        ("http://127.0.0.1/keys", "http://127.0.0.1@b.example/", False),
        ("http://keys/keys", "ftp://keys/", False),
    ],
)
def test_no_redirect_leads_to_less_protection(url, to, is_followed):
    def ask() -> Request | None:
        return module._Redirects().redirect_request(
            Request(url), BytesIO(), 302, "", HTTPMessage(), to
        )

    if is_followed:
        found = ask()
        assert found is not None and found.full_url == to
    else:
        with pytest.raises(OSError, match="redirected from"):
            ask()


def test_an_unknown_certificate_is_refused(tmp_path):
    from tests.engine.certificates import make_certificate

    certificate = make_certificate(tmp_path, "issuer")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.cert, certificate.key)
    with Issuer() as issuer:
        issuer._server.socket = context.wrap_socket(issuer._server.socket, server_side=True)
        with pytest.raises(OSError, match="certificate"):
            fetch(issuer.url.replace("http:", "https:"))
        assert issuer.asked == 0
