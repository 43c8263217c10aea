"""Which engine the options ask for, and which limits its connections have."""

from __future__ import annotations

import pytest

from glyph_fast import core
from glyph_fast.engine.making import engine_of, limits_of
from glyph_fast.engine.native import NativeEngine
from glyph_fast.errors import ConfigError
from glyph_fast.options.config import Config
from glyph_fast.wire import BLOCK


def test_the_core_gets_every_limit():
    times = {"write_timeout": 1, "close_timeout": 2, "head_timeout": 3, "ping_interval": 4}
    times["keep_alive_timeout"] = 9
    sizes = {"max_message_size": 5, "queue_messages": 6, "queue_bytes": 7, "max_missed_pongs": 8}
    limits = limits_of(Config(**times, **sizes, queue_policy="block"))
    for name, value in {**times, **sizes}.items():
        assert getattr(limits, name) == value
    assert limits.queue_policy == BLOCK


def test_the_native_engine_needs_what_the_platform_lacks(monkeypatch):
    assert engine_of(Config(engine="native")) is NativeEngine
    monkeypatch.setattr(core, "HAS_POLLER", False)
    with pytest.raises(ConfigError, match="needs Linux"):
        engine_of(Config(engine="native"))
