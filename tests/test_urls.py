"""What counts as a URL that can be asked."""

from __future__ import annotations

import pytest

from glyph_fast.urls import is_sound_url, websocket_url


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("http://a", True),
        ("HTTPS://a:65535/b?c", True),
        ("http://[::1]:80", True),
        ("http://user@a", True),
        ("ws://a", False),
        ("http://", False),
        ("http://:80", False),
        ("http://a:0", False),
        ("http://a:65536", False),
        ("http://a:b", False),
        ("http://[::1", False),
        ("a:80", False),
        ("", False),
    ],
)
def test_a_sound_url_has_a_scheme_a_host_and_a_port_that_can_be(url: str, answer: bool) -> None:
    assert is_sound_url(url, ("http", "https")) is answer


@pytest.mark.parametrize(
    ("url", "host", "port", "field", "target"),
    [
        ("ws://a", "a", 80, "a", "/"),
        ("WSS://A/b?c=%d", "a", 443, "a", "/b?c=%d"),
        ("ws://a:80/", "a", 80, "a", "/"),
        ("ws://a:8080/{}?x={}", "a", 8080, "a:8080", "/{}?x={}"),
        ("ws://[::1]:9/x", "::1", 9, "[::1]:9", "/x"),
        ("ws://[fe80::1%lo]:9/", "fe80::1%lo", 9, "[fe80::1]:9", "/"),
        ("ws://bücher.example/ü?ß", "xn--bcher-kva.example", 80, "xn--bcher-kva.example",
         "/%C3%BC?%C3%9F"),
    ],
)  # fmt: skip
def test_a_websocket_url_is_taken_apart(
    url: str, host: str, port: int, field: str, target: str
) -> None:
    found = websocket_url(url)
    assert (found.host, found.port, found.host_field, found.target) == (host, port, field, target)
    assert found.is_secure is url.lower().startswith("wss")
    assert found.authorization is None
    assert found.server_name == host.partition("%")[0]


def test_a_user_in_a_url_is_basic_authentication_and_not_shown() -> None:
    found = websocket_url("ws://a%40b:c%3Ad@host:1/x?y")
    assert found.authorization == "Basic YUBiOmM6ZA=="
    assert found.text == "ws://host:1/x?y"
    assert websocket_url("ws://a@host").authorization == "Basic YTo="


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "begins with ws://"),
        ("http://a", "begins with ws://"),
        ("a:80", "begins with ws://"),
        ("ws://", "a host and a port"),
        ("ws://:80", "a host and a port"),
        ("ws://a:0", "a port from 1 to 65535"),
        ("ws://a:65536", "range 0-65535"),
        ("ws://a:b", "expected a URL, found"),
        ("ws://[::1", "expected a URL, found"),
        ("ws://a/b c", "without blanks"),
        ("ws://a/b\n", "without blanks"),
        ("ws://a/\x1b[31m", "without blanks"),
        ("ws://a/\udcff", "without blanks"),
        ("ws://a#b", "no fragment"),
        ("ws://a<b>/", "the name or the address of a host"),
        ("ws://" + "ä" * 70, "the name or the address of a host"),
    ],
)
def test_a_websocket_url_that_is_none_is_an_error_that_can_be_shown(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("(", r"\(")) as caught:
        websocket_url(url)
    assert str(caught.value).isprintable()
