"""Which pages may connect: origins sent, and origins allowed."""

from __future__ import annotations

import random

import pytest

from glyph_fast.options.origin import MAX_ORIGIN, check_origin, origin_rule, split_origin

PIECES = ["https", "file", "app", "://", ":", ":80", ":99999", "*", "*.", ".", "a", "b.c", "[", "]"]
PIECES += ["[::1]", "[:::]", "[::g]", "%", "/", "@", ",", "é", " ", "null", "\x00"]


def test_a_rule_that_is_taken_is_understood_at_every_request() -> None:
    """One grammar: what the options accept never fails when a browser comes."""
    rng = random.Random(13)
    taken = 0
    for _ in range(20_000):
        rule, origin = ("".join(rng.choices(PIECES, k=rng.randint(1, 6))) for _ in range(2))
        check_origin(origin, "a", (), "https")
        try:
            allowed = [origin_rule(rule)]
        except ValueError:
            continue
        taken += 1
        check_origin(origin, "a", allowed, "https")
        if rule not in ("*", "null") and "*" not in rule:
            assert check_origin(rule, "a", allowed, "https") and split_origin(rule) is not None
    assert taken > 100


SAME_ORIGIN: list[tuple[str | None, str, str, bool]] = [
    (None, "example.com", "http", True),
    ("http://example.com", "example.com", "http", True),
    ("https://example.com", "example.com", "https", True),
    ("HTTP://Example.COM", "example.com", "http", True),
    ("http://example.com", "EXAMPLE.com", "http", True),
    ("http://example.com:80", "example.com", "http", True),
    ("http://example.com", "example.com:80", "http", True),
    ("https://example.com", "example.com:443", "https", True),
    ("https://example.com:443", "example.com", "https", True),
    ("http://example.com:8080", "example.com:8080", "http", True),
    ("https://example.com:8080", "example.com:8080", "http", True),
    ("http://[::1]:8080", "[::1]:8080", "http", True),
    ("http://[0:0::1]", "[::1]:80", "http", True),
    ("http://127.0.0.1", "127.0.0.1", "http", True),
    ("http://localhost:8080", "127.0.0.1:8080", "http", False),
    ("http://example.com:8080", "example.com", "http", False),
    ("http://example.com", "example.com:8080", "http", False),
    ("http://example.com", "example.com", "https", False),
    ("https://example.com", "example.com", "http", True),  # something in front speaks TLS
    ("https://example.com", "example.com:80", "http", False),
    ("https://example.com", "example.com:443", "http", True),
    ("https://example.com:8443", "example.com", "http", False),
    ("https://example.com", "example.com", "https", True),
    ("https://EXAMPLE.com", "Example.COM:443", "https", True),
    ("https://[::1]", "[::1]", "https", True),
    ("https://[2001:DB8::1]:8443", "[2001:db8:0:0::1]:8443", "https", True),
    ("https://[2001:db8::1]", "[2001:db8::2]", "https", False),
    ("http://example.com.", "example.com", "http", False),
    ("http://example.com", "example.com.", "http", False),
    ("http://example.com.", "example.com.", "http", True),
    ("http://example.com:0", "example.com", "http", False),
    ("wss://example.com", "example.com", "http", False),
    ("http://evil.com", "example.com", "http", False),
    ("http://example.com.evil.com", "example.com", "http", False),
    ("http://evilexample.com", "example.com", "http", False),
    ("http://sub.example.com", "example.com", "http", False),
    ("http://example.com@evil.com", "example.com", "http", False),
    ("http://evil.com#example.com", "example.com", "http", False),
    ("http://example.com/", "example.com", "http", False),
    ("http://example.com:", "example.com", "http", True),
    ("http://[::1", "[::1]", "http", False),
    ("http://example.com:99999", "example.com:8080", "http", False),
    ("http://[:::]", "[::1]", "http", False),
    ("null", "example.com", "http", False),
    ("null", "null", "http", False),
    ("", "example.com", "http", False),
    ("", "", "http", False),
    ("http://", "", "http", False),
    ("example.com", "example.com", "http", False),
    ("file://", "example.com", "http", False),
    ("http://example.com http://example.com", "example.com", "http", False),
    ("chrome-extension://abc", "abc", "http", False),
]


@pytest.mark.parametrize(("origin", "host", "scheme", "allowed"), SAME_ORIGIN)
def test_by_default_the_origin_must_be_the_host(
    origin: str | None, host: str, scheme: str, allowed: bool
) -> None:
    assert check_origin(origin, host, (), scheme) is allowed


LISTED: list[tuple[str | None, list[str], bool]] = [
    (None, ["https://a.com"], True),
    ("https://a.com", ["https://a.com"], True),
    ("https://A.com:443", ["HTTPS://a.COM"], True),
    ("https://a.com", ["https://a.com:443"], True),
    ("https://b.com", ["https://a.com", "https://b.com"], True),
    ("http://a.com", ["https://a.com"], False),
    ("https://a.com:8443", ["https://a.com"], False),
    ("https://example.com", ["https://a.com"], False),
    ("https://x.a.com", ["https://a.com"], False),
    ("https://x.a.com", ["https://*.a.com"], True),
    ("https://X.Y.a.com", ["https://*.a.com"], True),
    ("https://a.com", ["https://*.a.com"], False),
    ("https://.a.com", ["https://*.a.com"], False),
    ("https://xa.com", ["https://*.a.com"], False),
    ("http://x.a.com", ["https://*.a.com"], False),
    ("https://x.a.com:8443", ["https://*.a.com"], False),
    ("https://x.a.com:8443", ["https://*.a.com:8443"], True),
    ("https://x.a.com.evil.com", ["https://*.a.com"], False),
    ("https://evil.com", ["*"], True),
    ("https://a.com.", ["https://a.com"], False),  # to a browser, another host
    ("https://a.com.", ["https://a.com."], True),
    ("https://x.a.com.", ["https://*.a.com"], False),
    ("https://a.com:443", ["https://a.com:8443"], False),
    ("https://a.com:444", ["https://a.com"], False),
    ("https://a.com:65536", ["https://a.com"], False),
    ("http://a.com:443", ["https://a.com"], False),
    ("https://*.a.com", ["https://*.a.com"], False),  # only a forger sends it
    ("https://x.[::1]", ["https://*.a.com"], False),
    ("file://", ["file://"], True),
    ("FILE://", ["file://"], True),
    ("file://", ["https://a.com"], False),
    ("file://x", ["file://"], False),
    ("null", ["file://"], False),
    ("app://.", ["app://."], True),
    ("app://-", ["app://."], False),
    ("qrc://", ["qrc://"], True),
    ("capacitor://localhost", ["capacitor://localhost"], True),
    ("app://x:1", ["app://x:1"], True),
    ("app://x:1", ["app://x"], False),
    ("https://a.com:99999", ["https://a.com"], False),
    ("https://[:::]", ["https://a.com", "https://[::1]"], False),
    ("https://", ["file://"], False),
    ("https://a.com,https://b.com", ["https://a.com", "https://b.com"], False),
    ("https://user@a.com", ["https://a.com"], False),
    ("https://a.com\x00.evil.com", ["https://*.evil.com"], False),
    ("wss://a.com", ["https://a.com"], False),
    ("http://[::1]", ["http://[0:0:0:0:0:0:0:1]:80"], True),
    ("http://[::1]:81", ["http://[::1]"], False),
    ("http://[::2]", ["http://[::1]"], False),
    ("http://[::ffff:127.0.0.1]", ["http://127.0.0.1"], False),
    ("http://127.1", ["http://127.0.0.1"], False),
    ("https://xn--bcher-kva.example", ["https://xn--bcher-kva.example"], True),
    ("null", ["*"], True),
    ("null", ["https://a.com"], False),
    ("null", ["null"], True),
    ("https://a.com", ["null"], False),
    ("nonsense", ["https://a.com"], False),
    ("chrome-extension://abcdef", ["chrome-extension://abcdef"], True),
    ("http://[::1]:3000", ["http://[0::1]:3000"], True),
]


@pytest.mark.parametrize(("origin", "allowed", "answer"), LISTED)
def test_a_list_replaces_the_rule_of_the_same_origin(
    origin: str | None, allowed: list[str], answer: bool
) -> None:
    assert check_origin(origin, "example.com", allowed, "https") is answer


@pytest.mark.parametrize(
    "rule",
    ["*", "null", "https://a.com", "https://*.a.com", "http://[::1]:1", "file://", "app://."],
)
def test_a_sound_origin_rule_is_returned(rule: str) -> None:
    assert origin_rule(rule) == rule


BAD_RULES = ["", "a.com", "*.a.com", "https://", "https://*", "https://a.*.com", "https://*a.com"]
BAD_RULES += ["https://a.com/path", "https://a.com:port", "https://a.com:99999", "https://[::g]"]
BAD_RULES += ["https://a.com/", "https://[:::]", "https://a.com:65536", "http://:80", "app://:80"]
BAD_RULES += ["https://.a.com", "https://*.[::1]", "https://a..com", "https://a%62.com", "file:///"]
BAD_RULES += [
    "https://*.",
    "file://*.",
    "https://a,b",
    "https://user@a.com",
    "file:",
    "://a",
    "é://a",
]


@pytest.mark.parametrize("rule", BAD_RULES)
def test_a_bad_origin_rule_is_refused_in_words(rule: str) -> None:
    with pytest.raises(ValueError, match="bad origin"):
        origin_rule(rule)


def test_an_origin_that_is_too_long_is_none_and_is_not_read() -> None:
    """It would be read again for each rule."""
    longest = "https://" + "a" * (MAX_ORIGIN - len("https://"))
    assert check_origin(longest, "", (longest,), "")
    assert split_origin(longest) is not None
    assert split_origin(longest + "a") is None
    assert not check_origin("http://" + "a." * 30_000, "", ("https://*.example.com",), "")
