"""How the values of options are read: a table of each reader's answers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from glyph_fast.options import readers as o
from glyph_fast.options.readers import function, path_prefix
from glyph_fast.options.values import Address, Rate

ANY_TIME = o.duration(may_be_zero=True)
SOME_TIME = o.duration(may_be_zero=False)
PORT = o.count(0, 65535)
LIMIT = o.count(1, may_be_off=True)
MESSAGES = o.rate(o.count(1), "100/s")
BYTES = o.rate(o.size(), "64KiB/s")
ORIGINS = o.words(o.origin)
NETWORKS = o.words(o.network)
NAMES = o.words(o.token)
COMMANDS = o.words_auto_or_none("join", "ping")

READ = [
    (o.text, "a b", "a b"),
    (o.text, None, None),
    (o.bearer, "S3cret-._~+/=", "S3cret-._~+/="),
    (o.bearer, "two words", "two words"),
    (o.bearer, None, None),
    (o.host, "example.com", "example.com"),
    (o.host, "0.0.0.0", "0.0.0.0"),
    (o.host, "::1", "::1"),
    (o.host, "[::1]", "::1"),
    (o.host, "fe80::1%eth0", "fe80::1%eth0"),
    (o.path, "/a/b", "/a/b"),
    (o.path, Path("/a/b"), "/a/b"),
    (o.path, None, None),
    (o.switch, True, True),
    (o.switch, "on", True),
    (o.switch, "TRUE", True),
    (o.switch, "1", True),
    (o.switch, "yes", True),
    (o.switch, "off", False),
    (o.switch, "false", False),
    (o.switch, "0", False),
    (o.switch, "no", False),
    (o.choice("a", "b"), "b", "b"),
    (o.choice("debug", "info"), "DEBUG", "debug"),
    (PORT, 0, 0),
    (PORT, "65535", 65535),
    (PORT, "08080", 8080),
    (LIMIT, "off", None),
    (LIMIT, None, None),
    (LIMIT, "7", 7),
    (o.size(), 1, 1),
    (o.size(), "64", 64),
    (o.size(), "64B", 64),
    (o.size(), "512KiB", 524288),
    (o.size(), "1 MiB", 1048576),
    (o.size(), "2GiB", 2 * 2**30),
    (o.size(0), "0", 0),
    (ANY_TIME, "250ms", 0.25),
    (ANY_TIME, "30s", 30.0),
    (ANY_TIME, "1.5 s", 1.5),
    (ANY_TIME, "5m", 300.0),
    (ANY_TIME, "1h", 3600.0),
    (ANY_TIME, "2", 2.0),
    (ANY_TIME, 2, 2.0),
    (ANY_TIME, 0.5, 0.5),
    (ANY_TIME, "0", 0.0),
    (MESSAGES, "100/s", Rate(100, 100)),
    (MESSAGES, "100/s:200", Rate(100, 200)),
    (MESSAGES, "30/m", Rate(0.5, 30)),
    (MESSAGES, "36/h:1", Rate(0.01, 1)),
    (MESSAGES, "off", None),
    (MESSAGES, None, None),
    (BYTES, "64KiB/s:1MiB", Rate(65536, 1048576)),
    (o.address, "127.0.0.1:9090", Address("127.0.0.1", 9090)),
    (o.address, "[::1]:0", Address("::1", 0)),
    (o.address, "localhost:9", Address("localhost", 9)),
    (o.address, "off", None),
    (o.address, None, None),
    (ORIGINS, [], ()),
    (ORIGINS, "", ()),
    (ORIGINS, "*", ("*",)),
    (ORIGINS, "null", ("null",)),
    (ORIGINS, "https://a.example, http://B:80", ("https://a.example", "http://b:80")),
    (ORIGINS, ["https://*.a.example"], ("https://*.a.example",)),
    (ORIGINS, ["file://", "app://."], ("file://", "app://.")),
    (ORIGINS, ["https://[::1]:8", "app://x"], ("https://[::1]:8", "app://x")),
    (ORIGINS, ["https://a.example", "https://A.example"], ("https://a.example",)),
    (NETWORKS, "10.0.0.0/8,::1", ("10.0.0.0/8", "::1/128")),
    (NAMES, "chat.v2, chat.v1", ("chat.v2", "chat.v1")),
    (NAMES, ("chat",), ("chat",)),
    (COMMANDS, "ping,join", ("ping", "join")),
    (COMMANDS, "none", ()),
    (COMMANDS, [], ()),
    (COMMANDS, "auto", ("auto",)),
    (COMMANDS, ["auto"], ("auto",)),
    (COMMANDS, ("auto",), ("auto",)),
]  # fmt: skip


@pytest.mark.parametrize(("read", "raw", "value"), READ)
def test_reader_understands(read, raw, value):
    assert read(raw) == value
    assert type(read(raw)) is type(value)


@pytest.mark.parametrize(("read", "raw", "value"), READ)
def test_reader_takes_its_own_result_back_unchanged(read, raw, value):
    assert read(value) == value


REFUSED = [
    (o.bearer, "sch\u00f6n"),
    (o.bearer, " x"),
    (o.bearer, ""),
    (o.bearer, 5),
    (o.text, ""),
    (o.text, "  "),
    (o.text, "a\nb"),
    (o.text, "a\0"),
    (o.text, 5),
    (o.host, ""),
    (o.host, "a b"),
    (o.host, "example.com:80"),
    (o.host, "http://example.com"),
    (o.host, "[::1"),
    (o.host, None),
    (o.path, b"x"),
    (o.path, ""),
    (o.switch, "maybe"),
    (o.switch, 1),
    (o.switch, None),
    (o.choice("a", "b"), "c"),
    (o.choice("a", "b"), "ab"),
    (o.choice("a", "b"), False),
    (PORT, "65536"),
    (PORT, -1),
    (PORT, "-1"),
    (PORT, "abc"),
    (PORT, ""),
    (PORT, " 80"),
    (PORT, "8_0"),
    (PORT, "٨"),
    (PORT, 80.0),
    (PORT, True),
    (PORT, None),
    (PORT, "off"),
    (PORT, "9" * 5000),
    (LIMIT, 0),
    (o.count(1), 2**31),
    (o.size(), 0),
    (o.size(), "1MB"),
    (o.size(), "1.5MiB"),
    (o.size(), "-1"),
    (o.size(), "MiB"),
    (o.size(), "1mib"),
    (o.size(), 2**41),
    (o.size(), True),
    (o.size(), 1.0),
    (ANY_TIME, "-1s"),
    (ANY_TIME, -1),
    (ANY_TIME, "5 minutes"),
    (ANY_TIME, "5m30s"),
    (ANY_TIME, "1e3"),
    (ANY_TIME, "nan"),
    (ANY_TIME, math.nan),
    (ANY_TIME, math.inf),
    (ANY_TIME, "9" * 17 + "h"),
    (ANY_TIME, 10**400),
    (ANY_TIME, True),
    (ANY_TIME, None),
    (SOME_TIME, 0),
    (SOME_TIME, "0ms"),
    (MESSAGES, "100"),
    (MESSAGES, "0/s"),
    (MESSAGES, "1/d"),
    (MESSAGES, "1.5/s"),
    (MESSAGES, "1/s:"),
    (MESSAGES, "1/s:0"),
    (MESSAGES, "1/s:2:3"),
    (MESSAGES, 100),
    (BYTES, "1MB/s"),
    (o.address, "9090"),
    (o.address, ":9090"),
    (o.address, "::1:9090"),
    (o.address, "localhost:"),
    (o.address, "localhost:99999"),
    (o.address, 9090),
    (ORIGINS, "example.com"),
    (ORIGINS, "https://example.com/"),
    (ORIGINS, "https://example.com:99999"),
    (ORIGINS, "https://[:::]"),
    (ORIGINS, "https://"),
    (ORIGINS, "file:///"),
    (ORIGINS, "https://user@example.com"),
    (ORIGINS, "https://a.*.example"),
    (ORIGINS, "https://*"),
    (ORIGINS, "https://bücher.example"),
    (ORIGINS, ["https://a.example,https://b.example"]),
    (ORIGINS, "https://a.example,,"),
    (ORIGINS, [1]),
    (ORIGINS, 5),
    (ORIGINS, b"https://a.example"),
    (NETWORKS, "10.0.0.1/8"),
    (NETWORKS, "proxy.example"),
    (NETWORKS, [5]),
    (NAMES, "two words"),
    (NAMES, ["a,b"]),
    (COMMANDS, "ping,shout"),
    (COMMANDS, ["none"]),
    (COMMANDS, "auto,ping"),
    (COMMANDS, None),
]


@pytest.mark.parametrize(("read", "raw"), REFUSED)
def test_reader_refuses(read, raw):
    with pytest.raises(ValueError, match=r"\w+"):
        read(raw)


@pytest.mark.parametrize(
    ("text", "prefix"), [("", ""), ("/", ""), ("/app", "/app"), ("/app/v1/", "/app/v1")]
)
def test_prefixes(text, prefix):
    assert path_prefix(text) == prefix


@pytest.mark.parametrize("text", ["app", "/a b", "/a?b", "//a", "http://a", None, 7])
def test_what_is_none(text):
    with pytest.raises(ValueError, match="a path such as /app"):
        path_prefix(text)


def test_functions():
    assert function(None) is None and function(len) is len
    with pytest.raises(ValueError, match="a function"):
        function(7)
