"""Values that options hold."""

from __future__ import annotations

import pytest

from glyph_fast.options.readers import address as read_address


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("127.0.0.1:1", True),
        ("127.8.8.8:1", True),
        ("[::1]:1", True),
        ("LocalHost:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("example.com:1", False),
    ],
)
def test_address_knows_whether_only_this_machine_reaches_it(text, loopback):
    address = read_address(text)
    assert address is not None and address.is_loopback is loopback
    assert str(address) == text
