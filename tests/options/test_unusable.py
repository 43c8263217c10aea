"""Combinations; most are tried through `Config` in test_config.py, and these beside them."""

from __future__ import annotations

import pytest

from glyph_fast.errors import ConfigError
from glyph_fast.options.config import Config


def test_the_password_of_a_key_needs_a_certificate():
    with pytest.raises(ConfigError, match="tls_key_password needs tls_cert"):
        Config(tls_key_password="x")


def test_each_of_several_hosts_counts():
    Config(host=["127.0.0.1", "::1"], proxy_protocol=True)
    with pytest.raises(ConfigError, match="proxy_protocol needs trusted_proxies"):
        Config(host=["127.0.0.1", "192.0.2.1"], proxy_protocol=True)
