"""What counts as a URL that can be asked."""

from __future__ import annotations

import pytest

from glyph_fast.urls import is_sound_url


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
