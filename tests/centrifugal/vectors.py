"""Frames of the Protobuf format, recorded: written by another library by the protocol's schema."""

from __future__ import annotations

from typing import Any

COMMANDS: list[tuple[dict[str, Any], str]] = [
    (
        {},
        "00",
    ),
    (
        {"id": 1, "connect": {}},
        "0408012200",
    ),
    (
        {
            "id": 1,
            "connect": {
                "token": "t",
                "data": {"a": 1},
                "name": "js",
                "version": "5",
                "subs": {"x": {"recover": True, "offset": 9223372036854775808, "epoch": "e"}},
                "headers": {"a": "b"},
            },
        },
        "37080122330a017412087b2261223a20317d1a150a01781210180132016538808080808080808080"
        "0122026a732a013532060a0161120162",
    ),
    (
        {"id": 2, "subscribe": {"channel": "ü", "token": "t", "recover": True, "offset": 7}},
        "0f08022a0b0a02c3bc12017418013807",
    ),
    (
        {"id": 2, "subscribe": {"channel": "x", "join_leave": True, "delta": "fossil", "flag": 2}},
        "1308022a0f0a017858016206666f7373696c7002",
    ),
    (
        {"id": 2, "subscribe": {"channel": "x"}},
        "1308022a0f0a01786a0a0a03616e64320312016b",
    ),
    (
        {"id": 3, "unsubscribe": {"channel": "x"}},
        "07080332030a0178",
    ),
    (
        {"id": 4, "publish": {"channel": "x", "data": [1, 2.5, None, "ü"]}},
        "2108043a1d0a017812185b312c20322e352c206e756c6c2c20225c7530306663225d",
    ),
    (
        {"id": 5, "presence": {"channel": "x"}},
        "07080542030a0178",
    ),
    (
        {"id": 6, "presence_stats": {"channel": "x"}},
        "0708064a030a0178",
    ),
    (
        {"id": 7, "history": {"channel": "x", "limit": -1, "since": {"offset": 1, "epoch": "e"}}},
        "19080752150a017838ffffffffffffffffff0142050801120165",
    ),
    (
        {"id": 7, "history": {"channel": "x", "limit": 5, "reverse": True}},
        "0b080752070a017838054801",
    ),
    (
        {"send": {"data": {"a": 1}}},
        "0c620a0a087b2261223a20317d",
    ),
    (
        {"id": 8, "rpc": {"method": "m", "data": "text"}},
        "0f08086a0b0a0622746578742212016d",
    ),
    (
        {"id": 9, "refresh": {"token": "t"}},
        "07080972030a0174",
    ),
    (
        {"id": 4294967295, "sub_refresh": {"channel": "x", "token": "t"}},
        "0e08ffffffff0f7a060a0178120174",
    ),
]

REPLIES: list[tuple[dict[str, Any], str]] = [
    (
        {},
        "00",
    ),
    (
        {"id": 1, "error": {"code": 103, "message": "permission denied"}},
        "1908011215086712117065726d697373696f6e2064656e696564",
    ),
    (
        {"id": 1, "error": {"code": 100, "message": "internal server error", "temporary": True}},
        "1f0801121b08641215696e7465726e616c20736572766572206572726f721801",
    ),
    (
        {
            "id": 1,
            "connect": {
                "client": "c",
                "version": "v",
                "expires": True,
                "ttl": 60,
                "subs": {"x": {"recoverable": True, "epoch": "e", "offset": 3, "positioned": True}},
                "ping": 25,
                "pong": True,
            },
        },
        "2208012a1e0a01631201761801203c320e0a0178120918013201654803500138194001",
    ),
    (
        {
            "id": 2,
            "subscribe": {
                "recoverable": True,
                "positioned": True,
                "epoch": "e",
                "offset": 1,
                "was_recovering": True,
                "recovered": True,
                "publications": [
                    {
                        "data": b'{"a":1}',
                        "offset": 2,
                        "tags": {"event": "x"},
                        "info": {"user": "u", "client": "c"},
                    }
                ],
            },
        },
        "320802322e18013201653a1f22077b2261223a317d2a060a017512016330023a0a0a056576656e74"
        "1201784001480150016001",
    ),
    (
        {"id": 3, "unsubscribe": {}},
        "0408033a00",
    ),
    (
        {"id": 4, "publish": {}},
        "0408044200",
    ),
    (
        {
            "id": 5,
            "presence": {"presence": {"c": {"user": "u", "client": "c", "conn_info": b"{}"}}},
        },
        "1508054a110a0f0a0163120a0a01751201631a027b7d",
    ),
    (
        {"id": 6, "presence_stats": {"num_clients": 2, "num_users": 1}},
        "080806520408021001",
    ),
    (
        {
            "id": 7,
            "history": {"publications": [{"data": b"1", "offset": 1}], "epoch": "e", "offset": 300},
        },
        "1108075a0d0a05220131300112016518ac02",
    ),
    (
        {"id": 8, "rpc": {"data": b'"text"'}},
        "0c08086a080a06227465787422",
    ),
    (
        {"id": 9, "refresh": {"client": "c", "version": "v", "expires": True, "ttl": 60}},
        "0e0809720a0a01631201761801203c",
    ),
    (
        {"id": 10, "sub_refresh": {"expires": True, "ttl": 60}},
        "08080a7a040801103c",
    ),
    (
        {"push": {"channel": "x", "pub": {"data": b"1", "offset": 18446744073709551615}}},
        "152213120178220e22013130ffffffffffffffffff01",
    ),
    (
        {"push": {"channel": "x", "join": {"info": {"user": "u", "client": "c"}}}},
        "0f220d1201782a080a060a0175120163",
    ),
    (
        {"push": {"channel": "x", "leave": {"info": {"user": "u", "client": "c"}}}},
        "0f220d12017832080a060a0175120163",
    ),
    (
        {"push": {"channel": "x", "unsubscribe": {"code": 2500, "reason": "insufficient state"}}},
        "1e221c1201783a1710c4131a12696e73756666696369656e74207374617465",
    ),
    (
        {"push": {"message": {"data": b"{}"}}},
        "08220642040a027b7d",
    ),
    (
        {
            "push": {
                "channel": "x",
                "subscribe": {"recoverable": True, "positioned": True, "epoch": "e", "offset": 5},
            }
        },
        "10220e1201784a09080122016528053001",
    ),
]
