"""The opening handshake, both sides (RFC 6455 §4)."""

from __future__ import annotations

import json

import pytest

from glyph_fast.errors import HandshakeError
from glyph_fast.http.head import parse_head
from glyph_fast.http.request import Request
from glyph_fast.options.origin import check_origin
from glyph_fast.websocket.handshake import (
    Accept,
    accept_key,
    accept_response,
    check_accept,
    check_upgrade,
    choose_subprotocol,
    client_request,
    is_upgrade,
    new_key,
    parse_extensions,
    refusal,
)

pytestmark = pytest.mark.usefixtures("parser")

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 §1.3, with its answer
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SOUND = {
    "Host": "example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


def upgrade(
    changes: dict[str, str | None] | None = None,
    *more: str,
    line: str = "GET /chat HTTP/1.1",
) -> Request:
    """A sound request, with some fields changed, left out (None) or added."""
    fields = SOUND | (changes or {})
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return parse_head("\r\n".join([line, *lines, *more, "", ""]).encode("latin-1"))


def test_the_key_of_the_standard_has_the_answer_of_the_standard() -> None:
    assert accept_key(KEY) == ACCEPT


ACCEPTED: list[tuple[str, dict[str, str | None]]] = [
    ("as in the standard", {}),
    ("other case", {"Upgrade": "WebSocket", "Connection": "upgrade"}),
    ("as Firefox does", {"Connection": "keep-alive, Upgrade"}),
    ("list with empty elements", {"Connection": ",, upgrade ,"}),
    ("list of protocols", {"Upgrade": "h2c, websocket"}),
    ("no body, said so", {"Content-Length": "0"}),
    ("lower-case names", {"Upgrade": None, "upgrade": "websocket"}),
]


@pytest.mark.parametrize(("name", "changes"), ACCEPTED, ids=[row[0] for row in ACCEPTED])
def test_a_sound_request_is_accepted(name: str, changes: dict[str, str | None]) -> None:
    request = upgrade(changes)
    assert is_upgrade(request)
    assert check_upgrade(request).key == KEY


def test_tokens_may_be_spread_over_fields() -> None:
    assert check_upgrade(upgrade(None, "Connection: keep-alive")).key == KEY
    request = upgrade({"Connection": "keep-alive"}, "Connection: Upgrade")
    assert check_upgrade(request).key == KEY


def test_an_upgrade_tells_what_the_rest_is_decided_by() -> None:
    found = check_upgrade(
        upgrade(
            {"Origin": "https://example.com", "Sec-WebSocket-Protocol": "a, b"},
            "Sec-WebSocket-Protocol: c",
            "Sec-WebSocket-Extensions: x",
        )
    )
    assert found.origin == "https://example.com"
    assert found.host == "example.com"
    assert found.subprotocols == ["a, b", "c"]
    assert found.extensions == ["x"]
    plain = check_upgrade(upgrade())
    assert (plain.origin, plain.subprotocols, plain.extensions) == (None, [], [])


def test_the_host_of_an_absolute_target_counts() -> None:
    assert check_upgrade(upgrade(line="GET ws://other:81/chat HTTP/1.1")).host == "other:81"


REFUSED: list[tuple[str, dict[str, str | None], int]] = [
    ("no Upgrade", {"Upgrade": None}, 400),
    ("another Upgrade", {"Upgrade": "h2c"}, 400),
    ("Upgrade that only begins so", {"Upgrade": "websocket2"}, 400),
    ("no Connection", {"Connection": None}, 400),
    ("another Connection", {"Connection": "keep-alive"}, 400),
    ("Connection that only contains it", {"Connection": "no-upgrade"}, 400),
    ("no version", {"Sec-WebSocket-Version": None}, 426),
    ("version 8", {"Sec-WebSocket-Version": "8"}, 426),
    ("version 0", {"Sec-WebSocket-Version": "0"}, 426),
    ("version 013", {"Sec-WebSocket-Version": "013"}, 426),
    ("version list", {"Sec-WebSocket-Version": "13, 8"}, 426),
    ("no key", {"Sec-WebSocket-Key": None}, 400),
    ("empty key", {"Sec-WebSocket-Key": ""}, 400),
    ("key of 15 bytes", {"Sec-WebSocket-Key": "A" * 20}, 400),
    ("key of 17 bytes", {"Sec-WebSocket-Key": "A" * 23 + "="}, 400),
    ("key of 18 bytes", {"Sec-WebSocket-Key": "A" * 24}, 400),
    ("key without padding", {"Sec-WebSocket-Key": "A" * 22}, 400),
    ("key that is no base64", {"Sec-WebSocket-Key": "A" * 21 + "*=="}, 400),
    ("key in the URL alphabet", {"Sec-WebSocket-Key": "A" * 21 + "_=="}, 400),
    ("two keys in a list", {"Sec-WebSocket-Key": f"{KEY}, {KEY}"}, 400),
    ("body", {"Content-Length": "1"}, 400),
    ("chunked body", {"Transfer-Encoding": "chunked"}, 400),
]


@pytest.mark.parametrize(("name", "changes", "status"), REFUSED, ids=[row[0] for row in REFUSED])
def test_an_unsound_request_is_refused(
    name: str, changes: dict[str, str | None], status: int
) -> None:
    with pytest.raises(HandshakeError) as caught:
        check_upgrade(upgrade(changes))
    assert caught.value.status == status
    wanted = {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"} if status == 426 else {}
    assert caught.value.headers == wanted


@pytest.mark.parametrize(
    ("field", "status"),
    [
        (f"Sec-WebSocket-Key: {KEY}", 400),
        ("Sec-WebSocket-Version: 13", 426),
        ("Origin: http://a\r\nOrigin: http://a", 400),
    ],
)
def test_what_must_stand_once_is_refused_twice(field: str, status: int) -> None:
    with pytest.raises(HandshakeError) as caught:
        check_upgrade(upgrade(None, field))
    assert caught.value.status == status


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "OPTIONS"])
def test_only_get_opens_a_websocket(method: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        check_upgrade(upgrade(line=f"{method} /chat HTTP/1.1"))
    assert (caught.value.status, caught.value.headers) == (405, {"Allow": "GET"})


def test_only_http_1_1_opens_a_websocket() -> None:
    with pytest.raises(HandshakeError) as caught:
        check_upgrade(upgrade(line="GET /chat HTTP/1.0"))
    assert caught.value.status == 400


MEANT: list[tuple[dict[str, str | None], bool]] = [
    ({}, True),
    ({"Upgrade": None}, True),
    ({"Sec-WebSocket-Key": None}, True),
    ({"Sec-WebSocket-Key": None, "Upgrade": "h2c, WebSocket"}, True),
    ({"Sec-WebSocket-Key": None, "Upgrade": "h2c"}, False),
    ({"Sec-WebSocket-Key": None, "Upgrade": None}, False),
]


@pytest.mark.parametrize(("changes", "meant"), MEANT)
def test_an_upgrade_is_told_from_a_plain_request(
    changes: dict[str, str | None], meant: bool
) -> None:
    assert is_upgrade(upgrade(changes)) is meant


SUBPROTOCOLS: list[tuple[list[str], list[str], str | None]] = [
    ([], ["a"], None),
    (["a"], [], None),
    (["a"], ["a"], "a"),
    (["b, a"], ["a", "b"], "a"),
    (["b", "a"], ["a", "b"], "a"),
    (["c"], ["a", "b"], None),
    (["A"], ["a"], None),
    (["a,,b,"], ["b"], "b"),
    ([""], ["a"], None),
    ([" , "], ["a"], None),
    (["", "a"], ["a"], "a"),
    ([",".join(f"p{n}" for n in range(64))], ["p63"], "p63"),
    (["v1.chat+json"], ["v1.chat+json"], "v1.chat+json"),
]


@pytest.mark.parametrize(("values", "supported", "chosen"), SUBPROTOCOLS)
def test_the_servers_order_chooses_the_subprotocol(
    values: list[str], supported: list[str], chosen: str | None
) -> None:
    assert choose_subprotocol(values, supported) == chosen


@pytest.mark.parametrize(
    "values", [["a b"], ["a, a"], ["a", "a"], ["a;b"], ['"a"'], ["a/b"], ["é"]]
)
def test_a_malformed_offer_of_subprotocols_is_refused(values: list[str]) -> None:
    with pytest.raises(HandshakeError) as caught:
        choose_subprotocol(values, ["a"])
    assert caught.value.status == 400


Parsed = list[tuple[str, list[tuple[str, str | None]]]]
EXTENSIONS: list[tuple[list[str], Parsed]] = [
    ([], []),
    (["a"], [("a", [])]),
    (["a, b"], [("a", []), ("b", [])]),
    (["a", "b"], [("a", []), ("b", [])]),
    (["a, a"], [("a", []), ("a", [])]),
    ([",a,,"], [("a", [])]),
    (["a; x"], [("a", [("x", None)])]),
    (["a;x=1"], [("a", [("x", "1")])]),
    (["a ; x = 1 ; y"], [("a", [("x", "1"), ("y", None)])]),
    ([""], []),
    ([" ", ","], []),
    ([", ".join(["a; x; y; z"] * 16)], [("a", [("x", None), ("y", None), ("z", None)])] * 16),
    (["a; x=1; x=2"], [("a", [("x", "1"), ("x", "2")])]),
    (['a; x="1"'], [("a", [("x", "1")])]),
    (['a; x="\\1\\2"'], [("a", [("x", "12")])]),
    (['a; x="1", b'], [("a", [("x", "1")]), ("b", [])]),
    (
        ["permessage-deflate; client_max_window_bits, permessage-deflate; y=9"],
        [
            ("permessage-deflate", [("client_max_window_bits", None)]),
            ("permessage-deflate", [("y", "9")]),
        ],
    ),
]


@pytest.mark.parametrize(("values", "extensions"), EXTENSIONS)
def test_extensions_are_read_in_order(values: list[str], extensions: Parsed) -> None:
    assert parse_extensions(values) == extensions


NONSENSE = [";", "a;", "a;;b", ";a", "a=1", "a b", "a;x y", "a;=1", "a;x=", "a;x=1 2"]
NONSENSE += ['a;x="', 'a;x="1', 'a;x=""', 'a;x="1,2"', 'a;x="a b"', 'a;x="\\', 'a;"x"=1', 'a"b"']
NONSENSE += ['a;x="1"2', "a;x==1", "a/b", "é", "a;x=é", "a:b", "a, ;", "a; x=1;", "(a)"]


@pytest.mark.parametrize("value", NONSENSE)
def test_malformed_extensions_are_refused(value: str) -> None:
    with pytest.raises(HandshakeError) as caught:
        parse_extensions([value])
    assert caught.value.status == 400


@pytest.mark.parametrize("value", ["a," * 64, "a;" * 63 + "b, c", "a" + ";" * 64, "," * 60_000])
def test_more_offers_than_anybody_makes_are_refused_before_they_are_read(value: str) -> None:
    with pytest.raises(HandshakeError, match="more than 64 extensions") as caught:
        parse_extensions([value])
    assert caught.value.status == 400
    for values in ([value.replace(";", ",")], value.replace(";", ",").split(",")):
        with pytest.raises(HandshakeError, match="more than 64 subprotocols"):
            choose_subprotocol(values, ["a"])


def test_the_answer_opens_the_websocket() -> None:
    assert accept_response(KEY) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
    )


def test_the_answer_carries_what_was_agreed() -> None:
    data = accept_response(KEY, "chat", "permessage-deflate", [("Set-Cookie", "a=b")])
    assert data.endswith(
        b"\r\nSet-Cookie: a=b\r\nSec-WebSocket-Protocol: chat\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )


def test_nothing_breaks_out_of_the_answer() -> None:
    with pytest.raises(ValueError, match="X"):
        accept_response(KEY, headers=[("X", "a\r\nY: b")])
    with pytest.raises(ValueError, match="Sec-WebSocket-Protocol"):
        accept_response(KEY, "a\r\nY: b")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Connection": "close"}, "decides the field 'Connection'"),
        ({"upgrade": "x"}, "decides the field 'upgrade'"),
        ({"Content-Length": "0"}, "decides the field 'Content-Length'"),
        ({"Sec-WebSocket-Protocol": "a"}, "decides the field 'Sec-WebSocket-Protocol'"),
        ({"Set-Cookie": "a=b\r\nX: y"}, "bad value"),
        ({"a b": "c"}, "bad header name"),
    ],
)
def test_an_authenticator_cannot_break_the_answer(headers: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Accept(None, headers)
    assert repr(Accept("ada", {"Set-Cookie": "secret"})) == "Accept('ada')"


def test_a_refusal_is_json_and_closes() -> None:
    data = refusal(426, "version 13, please", [("Sec-WebSocket-Version", "13")])
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
    assert b"\r\nSec-WebSocket-Version: 13\r\n" in head
    assert head.endswith(b"\r\nConnection: close")
    assert json.loads(body) == {"error": "version 13, please"}


def test_the_client_asks_what_the_server_accepts() -> None:
    key = new_key()
    data = client_request(
        "example.com:8080",
        "/chat?a=b",
        key,
        subprotocols=["chat", "log"],
        extensions="permessage-deflate",
        origin="http://example.com:8080",
        headers=[("Cookie", "a=b")],
    )
    request = parse_head(data)
    found = check_upgrade(request)
    assert (request.target, request.cookies) == ("/chat?a=b", {"a": "b"})
    assert (found.key, found.host) == (key, "example.com:8080")
    assert (found.subprotocols, found.extensions) == (["chat, log"], ["permessage-deflate"])
    assert check_origin(found.origin, found.host, (), "http")
    agreed = check_accept(accept_response(key, "log", "permessage-deflate; x=1"), key)
    assert agreed.subprotocol == "log"
    assert agreed.extensions == [("permessage-deflate", [("x", "1")])]
    assert agreed.headers["upgrade"] == "websocket"


def test_keys_are_fresh() -> None:
    assert new_key() != new_key()


@pytest.mark.parametrize("path", ["", "chat", "/a b", "/a\r\nX: y", "/é"])
def test_the_client_does_not_ask_for_a_bad_target(path: str) -> None:
    with pytest.raises(ValueError, match="bad request target"):
        client_request("example.com", path, KEY)


def test_the_client_does_not_send_a_bad_host() -> None:
    with pytest.raises(ValueError, match="Host"):
        client_request("a\r\nX: y", "/", KEY)


ANSWER = accept_response(KEY)
BAD_ANSWERS = [
    ("another key", ANSWER.replace(b"s3p", b"S3p"), 400),
    ("no accept", ANSWER.replace(b"Accept", b"Except"), 400),
    ("two accepts", ANSWER[:-2] + f"Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n".encode(), 400),
    ("no upgrade", ANSWER.replace(b"Upgrade: websocket", b"X: y"), 400),
    ("no connection", ANSWER.replace(b"Connection", b"X"), 400),
    ("two subprotocols", ANSWER[:-2] + b"Sec-WebSocket-Protocol: a\r\n" * 2 + b"\r\n", 400),
    ("bad extensions", ANSWER[:-2] + b"Sec-WebSocket-Extensions: ;\r\n\r\n", 400),
    ("no blank line", ANSWER[:-2], 400),
    ("no colon", ANSWER[:-2] + b"X\r\n\r\n", 400),
    ("bad name", ANSWER[:-2] + b"X Y: z\r\n\r\n", 400),
    ("another protocol", b"SSH-2.0\r\n\r\n", 400),
    ("nothing", b"", 400),
    ("plain answer", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ("no phrase", b"HTTP/1.1 200\r\n\r\n", 200),
    ("refusal", refusal(403, "no"), 403),
]


@pytest.mark.parametrize(
    ("name", "head", "status"), BAD_ANSWERS, ids=[row[0] for row in BAD_ANSWERS]
)
def test_the_client_refuses_an_unsound_answer(name: str, head: bytes, status: int) -> None:
    with pytest.raises(HandshakeError) as caught:
        check_accept(head[: head.find(b"\r\n\r\n") + 4] if b"\r\n\r\n" in head else head, KEY)
    assert caught.value.status == status


def test_the_client_learns_why_it_was_refused() -> None:
    head = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n"
    with pytest.raises(HandshakeError, match="Unauthorized") as caught:
        check_accept(head, KEY)
    assert caught.value.headers == {"www-authenticate": "Bearer"}
