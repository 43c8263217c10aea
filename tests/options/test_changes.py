"""Which options somebody has set."""

from __future__ import annotations

import copy
import pickle

from glyph_fast import Config
from glyph_fast.options.sources import given_options


def test_a_default_is_given_where_it_is_set():
    assert not Config().is_given("max_body_size")
    assert Config(max_body_size="10MiB").is_given("max_body_size")
    assert Config() == Config(max_body_size="10MiB")


def test_what_is_given_stays_given_through_changes():
    config = Config(max_body_size="10MiB").replace(port=0)
    assert config.is_given("max_body_size") and config.is_given("port")
    assert not config.is_given("host")


def test_flags_variables_and_files_give():
    config = given_options({"port": "0"}, {"GLYPH_FAST_MAX_BODY_SIZE": "10MiB"}).over(Config())
    assert config.is_given("max_body_size") and config.is_given("port")
    assert not config.is_given("host")


def test_copies_know_it_too():
    config = Config(port=0)
    for each in (copy.copy(config), pickle.loads(pickle.dumps(config))):
        assert each == config and each.is_given("port") and not each.is_given("host")
