"""The request heads that the core reads itself, and those it leaves to others."""

from __future__ import annotations

import pytest

from glyph_fast.wire import MAX_FIELDS, MAX_HEAD, MAX_REQUEST_LINE

LINE = b"GET /a?b=c HTTP/1.1\r\n"
HOST = b"Host: a:80\r\n"
END = b"\r\n"
HEAD = LINE + HOST + b"Upgrade:websocket\r\nX-Empty:\r\nCookie:   a=b; c  \r\n" + END


def test_a_plain_head_is_taken_apart(core):
    target, fields, values = core.read_plain_head(HEAD)
    assert target == "/a?b=c"
    assert fields == [
        (b"Host", b"a:80"), (b"Upgrade", b"websocket"), (b"X-Empty", b""), (b"Cookie", b"a=b; c"),
    ]  # fmt: skip
    assert list(values.items()) == [(name.lower(), value) for name, value in fields]


def test_a_head_without_fields_is_plain(core):
    assert core.read_plain_head(LINE + END) == ("/a?b=c", [], {})


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_counts_where_the_rfc_has_it(core, byte):
    """RFC 9110 §5.6.2: tokens; RFC 3986 §3.3: targets, here without escapes; values in ASCII."""
    it = bytes([byte])
    is_visible = 0x21 <= byte <= 0x7E
    is_token = is_visible and it not in b'"(),/:;<=>?@[\\]{}'
    name = core.read_plain_head(LINE + b"X" + it + b"Y: b\r\n" + END)
    if it == b":":  # the end of a name
        assert name[1] == [(b"X", b"Y: b")]
    else:
        assert (name is not None) == is_token
    if is_token:
        assert name[2] == {b"x" + it.lower() + b"y": b"b"}
    value = core.read_plain_head(LINE + b"X: a" + it + b"b\r\n" + END)
    assert (value is not None) == (is_visible or it == b" ")
    target = core.read_plain_head(b"GET /a" + it + b"b HTTP/1.1\r\n" + END)
    assert (target is not None) == (is_visible and it not in b"#%")


@pytest.mark.parametrize("size", range(len(HEAD)))
def test_a_part_of_a_head_is_not_plain(core, size):
    assert core.read_plain_head(HEAD[:size]) is None


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"x",
        HEAD + HEAD,
        END + HEAD,
        HEAD.replace(b"GET", b"POST"),
        HEAD.replace(b"GET", b"get"),
        HEAD.replace(b"1.1", b"1.0"),
        HEAD.replace(b" /a", b" http://a/a"),
        HEAD.replace(b" /a", b" *"),
        HEAD.replace(b" /a", b"  /a"),
        HEAD.replace(b"\r\n", b"\n"),
        HEAD.replace(b"Host:", b"Host :"),
        HEAD.replace(b"Host:", b" Host:"),
        HEAD.replace(b"Host:", b":"),
        HEAD.replace(b"Host: a:80", b"Host"),
        HEAD.replace(b"Upgrade", b"HOST"),
        HEAD.replace(b"a=b", b"a=b\r\n "),
    ],
)
def test_others_are_left_alone(core, head):
    assert core.read_plain_head(head) is None


@pytest.mark.parametrize("more", [0, 1])
def test_no_more_than_the_limits_is_read(core, more):
    target = b"/" + b"x" * (MAX_REQUEST_LINE - len(b"GET / HTTP/1.1") + more)
    assert (core.read_plain_head(b"GET " + target + b" HTTP/1.1\r\n" + END) is None) == bool(more)
    rest = MAX_HEAD - len(LINE + b"X: \r\n" + END)
    head = LINE + b"X: " + b"x" * (rest + more) + b"\r\n" + END
    assert (core.read_plain_head(head) is None) == bool(more)


@pytest.mark.parametrize("reader", ["read_plain_head", "read_plain_upgrade"])
@pytest.mark.parametrize("head", ["GET / HTTP/1.1", None])
def test_only_bytes_are_a_head(core, reader, head):
    with pytest.raises(TypeError):
        getattr(core, reader)(head)


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SOUND = {
    "Host": "a:80", "Upgrade": "websocket", "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13",
}  # fmt: skip
OFFERS = {"Sec-WebSocket-Protocol": "chat, v2", "Sec-WebSocket-Extensions": "x; y=1"}


def upgrade(*more: str, line: bytes = LINE, **changes: str | None) -> bytes:
    """A sound request with some fields changed or left out (None); `_` in a name stands for `-`."""
    fields = {name.lower(): (name, value) for name, value in SOUND.items()}
    for name, value in changes.items():
        name = name.replace("_", "-").lower()
        fields[name] = fields.get(name, (name, ""))[0], value
    lines = [f"{name}: {value}" for name, value in fields.values() if value is not None]
    return line + "".join([f"{text}\r\n" for text in (*lines, *more, "")]).encode("latin-1")


def test_a_plain_upgrade_is_taken_apart(core):
    asked = "a:80", KEY, None, [], []
    assert core.read_plain_upgrade(upgrade()) == ("/a?b=c", "/a", "b=c", asked)
    more = [f"{name}: {value}" for name, value in OFFERS.items()]
    everything = core.read_plain_upgrade(upgrade("Origin:http://a", "X: a", "x: b", *more))
    asked = "a:80", KEY, "http://a", ["chat, v2"], ["x; y=1"]
    assert everything == ("/a?b=c", "/a", "b=c", asked)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [("/", "/", ""), ("/a", "/a", ""), ("/?", "/", ""), ("/a?b?c", "/a", "b?c")],
)
def test_the_target_of_a_plain_upgrade_is_cut_at_its_first_question_mark(core, target, path, query):
    head = upgrade(line=f"GET {target} HTTP/1.1\r\n".encode())
    assert core.read_plain_upgrade(head)[:3] == (target, path, query)


@pytest.mark.parametrize(
    "changes",
    [
        {"upgrade": "WebSocket"},
        {"connection": "upgrade"},
        {"connection": "keep-alive, Upgrade"},
        {"host": "example.com"},
        {"host": "192.0.2.1:"},
        {"host": "a-b:65535"},
        {"sec_websocket_key": "+" * 11 + "/" * 11 + "=="},
    ],
)
def test_a_request_as_clients_write_it_is_a_plain_upgrade(core, changes):
    assert core.read_plain_upgrade(upgrade(**changes)) is not None


@pytest.mark.parametrize("name", [*SOUND, *OFFERS, "Origin"])
def test_fields_that_decide_stand_there_once(core, name):
    """In any case of letters: the second one may be somebody else's."""
    field = f"{name}: {(SOUND | OFFERS).get(name, '')}"
    head = upgrade(*[] if name in SOUND else [field])
    assert core.read_plain_upgrade(head) is not None
    assert core.read_plain_upgrade(head[:-2] + f"{field.upper()}\r\n\r\n".encode()) is None


@pytest.mark.parametrize("name", SOUND)
def test_without_a_field_of_the_standard_it_is_none(core, name):
    assert core.read_plain_upgrade(upgrade(**{name.replace("-", "_"): None})) is None
    assert core.read_plain_upgrade(upgrade(**{name.replace("-", "_"): ""})) is None


@pytest.mark.parametrize(
    "head",
    [
        upgrade("Content-Length: 0"),
        upgrade("Transfer-Encoding: chunked"),
        upgrade(upgrade="websocket, h2c"),
        upgrade(upgrade="websockets"),
        upgrade(upgrade="websocke"),
        upgrade(connection="close, Upgrade"),
        upgrade(sec_websocket_version="8"),
        upgrade(sec_websocket_version="130"),
        upgrade(sec_websocket_key=KEY[:-1]),
        upgrade(sec_websocket_key=KEY + "="),
        upgrade(sec_websocket_key=KEY[:-2] + "AA"),
        upgrade(sec_websocket_key="-" + KEY[1:]),
        upgrade(host="[::1]"),
        upgrade(host=":80"),
        upgrade(host="a:123456"),
        upgrade(host="a:8a"),
        upgrade(host="a b"),
        upgrade(host="u@a"),
        upgrade("X: \xe9"),
        upgrade(line=b"POST / HTTP/1.1\r\n"),
        upgrade(line=b"GET / HTTP/1.0\r\n"),
        upgrade(line=b"GET /%41 HTTP/1.1\r\n"),
        upgrade() + b"x",
        upgrade() + END,
        upgrade()[:-1] + b"x",
        END + upgrade(),
        LINE + END,
    ],
)
def test_what_must_be_judged_is_left_alone(core, head):
    assert core.read_plain_upgrade(head) is None


@pytest.mark.parametrize("size", range(len(upgrade())))
def test_a_part_of_a_request_is_none(core, size):
    assert core.read_plain_upgrade(upgrade()[:size]) is None


@pytest.mark.parametrize("more", [0, 1])
def test_an_upgrade_has_no_more_fields_than_others(core, more):
    fields = ["X: a"] * (MAX_FIELDS - len(SOUND) + more)
    assert (core.read_plain_upgrade(upgrade(*fields)) is None) == bool(more)
