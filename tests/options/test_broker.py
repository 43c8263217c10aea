"""The URL of a broker, as it is read and shown."""

from __future__ import annotations

import pytest

from glyph_fast.errors import ConfigError
from glyph_fast.options.broker import BrokerUrl, read_broker_url
from glyph_fast.options.config import Config
from glyph_fast.options.sources import given_options
from glyph_fast.options.values import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("redis://a", BrokerUrl("redis", False, (Address("a", 6379),))),
        ("redis://a:1/2", BrokerUrl("redis", False, (Address("a", 1),), database=2)),
        ("redis://[::1]:7/", BrokerUrl("redis", False, (Address("::1", 7),))),
        ("rediss://u:p%40x@a", BrokerUrl("redis", True, (Address("a", 6379),), "u", "p@x")),
        ("redis://:p@a,b:2", BrokerUrl(
            "redis", False, (Address("a", 6379), Address("b", 2)), "", "p"
        )),
        ("redis+sentinel://a,b:1/main/3", BrokerUrl(
            "sentinel", False, (Address("a", 26379), Address("b", 1)), database=3, service="main"
        )),
        ("redis+cluster://a", BrokerUrl("cluster", False, (Address("a", 6379),))),
        ("nats://token@a", BrokerUrl("nats", False, (Address("a", 4222),), "token")),
        ("tls://a", BrokerUrl("nats", True, (Address("a", 4222),))),
    ],
)  # fmt: skip
def test_a_url_says_where_and_how(text, expected):
    assert read_broker_url(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "redis:", "http://a", "redis://", "redis://a:99999", "redis://a/b", "redis://a/1/2",
        "redis://a?x=1", "redis://a b", "redis://word@a", "redis+sentinel://a", "redis://[a",
        "redis+cluster://a/1", "nats://a/1", 7,
    ],
)  # fmt: skip
def test_what_is_no_url_of_a_broker_is_refused_without_being_shown(text):
    with pytest.raises(ConfigError) as caught:
        Config(broker=text)
    assert str(caught.value).startswith("broker: expected a URL")
    assert "found" not in str(caught.value)


def test_a_password_is_shown_nowhere():
    config = Config(broker="redis://me:hush@a:1/2")
    assert "hush" not in repr(config)
    url = read_broker_url(config.broker)
    assert "hush" not in repr(url)
    assert str(url) == "redis://a:1/2"


def test_a_password_in_a_flag_is_a_doubt_and_elsewhere_is_not():
    said = given_options({"broker": "redis://:hush@a"}, {}).doubts
    assert said == (
        "others can see the password of --broker in the list of processes;"
        " GLYPH_FAST_BROKER hides it",
    )
    assert not given_options({"broker": "redis://a"}, {}).doubts
    assert not given_options({}, {"GLYPH_FAST_BROKER": "redis://:hush@a"}).doubts


def test_a_broker_is_off_when_it_is_said_to_be():
    assert Config(broker="off").broker is None
