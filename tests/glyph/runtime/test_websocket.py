"""The `ws` object and the events of WebSocket routes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.glyph.harness import World

ECHO = "@ ws /c/:room {{\n  on connect {{ ws.join(room) }}\n  on message {{\n{0}\n  }}\n}}\n"


def says(statements: str, message: Any = "go") -> list[Any]:
    """The frames a client gets for one message, decoded."""
    world = World(ECHO.format(statements))
    frames = world.connect("/c/lobby").says(message)
    assert not world.failures, world.failures
    return [json.loads(frame) for frame in frames]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"hi"', '"hi"'),
        ("{a: 1, b: [2.0, null]}", '{"a":1,"b":[2,null]}'),
        ("null", "null"),
        ("1 + 0.5", "1.5"),
        ("Ok(1)", '{"ok":1}'),
    ],
)
def test_messages_are_the_bare_json_of_the_value(value: str, text: str) -> None:
    assert World(ECHO.format(f"ws.send({value})")).connect("/c/x").says("go") == [text]


def test_program_order_is_kept_between_all_ways_of_sending() -> None:
    statements = "ws.send(1) ws.broadcast(2) ws.broadcast_to_room(room, 3) ws.send(4)"
    assert says(statements) == [1, 2, 3, 4]


def test_broadcast_reaches_everybody_on_every_route() -> None:
    world = World(ECHO.format("ws.broadcast(input)") + "@ ws /other { on connect { } }\n")
    a, b, c = world.connect("/c/x"), world.connect("/c/y"), world.connect("/other")
    a.says("all")
    assert a.frames == b.frames == c.frames == ['"all"']


def test_broadcast_can_leave_one_connection_out() -> None:
    world = World(ECHO.format("ws.broadcast(1, client) ws.broadcast(2, null)"))
    a, b = world.connect("/c/x"), world.connect("/c/x")
    a.says("go")
    assert (a.frames, b.frames) == (["2"], ["1", "2"])


def test_room_messages_go_to_members_whoever_sends_them() -> None:
    world = World(ECHO.format('ws.broadcast_to_room("x", 1) ws.broadcast_to_room("none", 2)'))
    a, b = world.connect("/c/x"), world.connect("/c/y")
    b.says("go")
    assert (a.frames, b.frames) == (["1"], [])


def test_join_and_leave_take_effect_at_once_and_are_idempotent() -> None:
    statements = (
        'ws.join("b") ws.join("b") ws.send(ws.get_rooms()) ws.leave(room) ws.leave(room)\n'
        "ws.send(ws.get_rooms()) ws.send(ws.get_room_count())"
    )
    assert says(statements) == [["b", "lobby"], ["b"], 1]


def test_a_full_room_fails_the_handler() -> None:
    world = World('@ ws /c {\n  on connect { ws.join("r") }\n}\n')
    for _ in range(world.hub.max_members):
        world.connect("/c")
    assert not world.failures
    world.connect("/c")
    assert [failure.text for failure in world.failures] == ["room is full"]


def test_who_is_there() -> None:
    world = World(
        ECHO.format(
            "ws.send([ws.get_room_clients(room), ws.get_room_users(room), "
            'ws.get_room_user_count(room), ws.get_room_clients("none"), '
            'ws.get_room_user_count("none"), ws.get_connection_count(), client])'
        )
    )
    a, b = world.connect("/c/x"), world.connect("/c/x")
    (frame,) = a.says("go")
    assert json.loads(frame) == [[a.id, b.id], [a.id, b.id], 2, [], 0, 2, a.id]
    assert len(a.id) == 32


def test_a_connection_shows_what_the_program_says_of_it() -> None:
    world = World(ECHO.format('ws.set_info({name: "Ada", n: 4 / 2, ok: Ok(input)})'))
    peer = world.connect("/c/x")
    peer.says("go")
    assert peer.info == '{"name":"Ada","n":2,"ok":{"ok":"go"}}'


def test_what_is_too_large_to_be_shown_fails_the_handler() -> None:
    world = World(ECHO.format("ws.set_info(input)"))
    world.connect("/c/x").says("x" * 5000)
    assert [each.text for each in world.failures] == ["too large"]


def test_uptime_is_whole_seconds_since_the_start() -> None:
    world = World(ECHO.format("ws.send(ws.get_uptime())"))
    world.site.started -= 90
    assert world.connect("/c/x").says("go") in (["90"], ["91"])


def test_close_says_why_and_ends_the_connection_while_the_handler_goes_on() -> None:
    world = World(ECHO.format('ws.close("bye") ws.send("late") ws.join("z") ws.broadcast(1)'))
    a, b = world.connect("/c/x"), world.connect("/c/x")
    assert a.says("go") == ['{"type":"close","reason":"bye"}']
    assert a.closed == (1000, "bye")
    assert b.frames == ["1"]
    assert not world.failures


def test_close_without_a_reason_sends_nothing_first() -> None:
    for argument in ("", '""', "null"):
        peer = World(ECHO.format(f"ws.close({argument})")).connect("/c/x")
        assert peer.says("go") == []
        assert peer.closed == (1000, "")


def test_close_reason_is_cut_at_a_character_to_what_a_frame_holds() -> None:
    peer = World(ECHO.format('ws.close("' + "é" * 100 + '")')).connect("/c/x")
    peer.says("go")
    assert peer.closed == (1000, "é" * 61)


@pytest.mark.parametrize(
    ("statement", "failure"),
    [
        ("ws.join(1)", "a room's name must be a string, not an integer"),
        ("ws.leave(null)", "a room's name must be a string, not null"),
        ("ws.broadcast_to_room([], 1)", "a room's name must be a string, not an array"),
        ("ws.get_room_clients(1)", "a room's name must be a string, not an integer"),
        ("ws.close(5)", "the reason of `ws.close` must be a string, not an integer"),
        ("ws.broadcast(1, 2)", "`ws.broadcast` excludes a connection by its id, not by an integer"),
        ("$ f = ws.send\nws.send(1)", ""),
    ],
)
def test_wrong_arguments_fail(statement: str, failure: str) -> None:
    if not failure:
        with pytest.raises(Exception, match="`ws` is not a value"):
            World(ECHO.format(statement))
        return
    world = World(ECHO.format(statement))
    world.connect("/c/x").says("go")
    assert [each.text for each in world.failures] == [failure]


def test_functions_of_ws_return_null() -> None:
    statements = 'ws.send([ws.join("a"), ws.leave("a"), ws.broadcast_to_room("none", 1)])'
    assert says(statements) == [[None, None, None]]


def test_effects_before_a_failure_stay() -> None:
    world = World(ECHO.format("ws.send(1)\n ws.send(1 / 0)\n ws.send(2)"))
    assert world.connect("/c/x").says("go") == ["1"]
    assert str(world.failures[0]) == "app.glyph:5:12: division by zero"


# --- events --------------------------------------------------------------------------------------


def test_input_is_null_in_connect_and_disconnect() -> None:
    world = World(
        "@ ws /c {\n  on connect { ws.send({in: input}) }\n"
        "  on disconnect { ws.broadcast({in: input, who: client}) }\n}\n"
    )
    a, b = world.connect("/c"), world.connect("/c")
    assert a.frames == ['{"in":null}']
    b.leaves()
    assert json.loads(a.frames[-1]) == {"in": None, "who": b.id}


def test_disconnect_lists_the_former_rooms_and_counts_without_the_leaving_one() -> None:
    world = World(
        "@ ws /c/:room {\n  on connect { ws.join(room) }\n  on disconnect {\n"
        "    ws.send(1)\n    ws.broadcast_to_room(room, [ws.get_rooms(), ws.get_connection_count(),"
        " ws.get_room_user_count(room)])\n  }\n}\n"
    )
    a, b = world.connect("/c/x"), world.connect("/c/x")
    b.leaves()
    assert a.frames == ['[["x"],1,1]']
    assert not world.failures


def test_error_event_gets_the_text_of_the_failure() -> None:
    world = World(
        "@ ws /c/:room {\n  on connect { ws.send(input.x) }\n  on message { > 1 / 0 }\n"
        "  on disconnect { > [][1] }\n  on error { ws.send([room, input, client == client]) }\n}\n"
    )
    peer = world.connect("/c/x")
    assert [json.loads(frame) for frame in peer.frames] == [["x", "null has no field `x`", True]]
    assert peer.says("go") == ['["x","division by zero",true]']
    peer.leaves()
    assert len(world.failures) == 3


def test_failure_of_the_error_event_is_not_handled_again() -> None:
    world = World("@ ws /c {\n  on message { > 1 / 0 }\n  on error { > input.x }\n}\n")
    world.connect("/c").says("go")
    assert [failure.text for failure in world.failures] == [
        "division by zero",
        "a string has no field `x`",
    ]


def test_guards_and_returns_end_a_handler_silently() -> None:
    text = (
        '? input.n > 1 :: 400 "no"\nif input.n > 2 { > {ignored: true} :: 201 }\nws.send(input.n)'
    )
    world = World(ECHO.format(text))
    peer = world.connect("/c/x")
    assert [peer.says({"n": n}) for n in (1, 2, 3)] == [[], ["2"], []]
    assert not world.failures


def test_validations_end_a_handler_silently() -> None:
    declared = '! check(x: any!) {\n  ? x != 2 :: 400 "two"\n  > x.n > 1\n}\n'
    world = World(declared + ECHO.format("? check(input)\n ws.send(1)"))
    peer = world.connect("/c/x")
    assert [peer.says(m) for m in ({"n": 5}, {"n": 0}, "text", "2")] == [["1"], [], [], []]
    assert not world.failures


def test_query_and_headers_of_the_handshake_are_there_in_every_event() -> None:
    read = '[query.a, query.b, headers["X-Test"], headers.Host]'
    world = World(
        f"@ ws /c {{\n  on connect {{ ws.send({read}) }}\n  on message {{ ws.send({read}) }}\n"
        f"  on disconnect {{ ws.broadcast({read}) }}\n}}\n"
    )
    a, b = world.connect("/c?a=1&b=x+y"), world.connect("/c?a=2")
    assert a.frames == ['[1,"x y","yes",null]']
    assert a.says("go") == ['[1,"x y","yes",null]']
    b.leaves()
    assert a.frames[-1] == '[2,null,"yes",null]'


def test_nothing_persists_between_messages() -> None:
    world = World(
        "const SEEN = []\n"
        + ECHO.format('set(query, "n", 1)\n$ s = SEEN\n$ o = {s: s}\nws.send([query, length(o.s)])')
    )
    peer = world.connect("/c/x")
    assert peer.says("a") == peer.says("b") == ['[{"n":1},0]']


# --- the message passed on -----------------------------------------------------------------------


def test_a_relayed_message_is_sent_as_it_came() -> None:
    world = World(ECHO.format("ws.broadcast_to_room(room, input)"))
    peer = world.connect("/c/x")
    assert peer.says('{"type":"json","data":{"n": 1.50, "k" :[ ]}}') == ['{"n": 1.50, "k" :[ ]}']
    assert peer.says("plain") == ['"plain"']
    assert peer.says('{"type":"text"}') == ["null"]


@pytest.mark.parametrize(
    "statements",
    [
        "ws.send(input)",
        "ws.broadcast(input)",
        'ws.broadcast(input, "nobody")',
        "if input.n == 1.5 { ws.send(input) }",
        "$ x = input.n\nws.send(input)",
        "$ f = async { ws.send(input) }",
        "match input { {n} => ws.send(input) }",
    ],
)
def test_relaying_works_wherever_the_message_is_not_changed(statements: str) -> None:
    world = World(ECHO.format(statements))
    assert world.connect("/c/x").says('{"n":1.50}') == ['{"n":1.50}']


@pytest.mark.parametrize(
    "statements",
    [
        "input.n = 2\nws.send(input)",
        '$ x = input\n$ x["n"] = 2\nws.send(input)',
        'set(input, "n", 2)\nws.send(input)',
        '$ y = input\nremove(y, "n")\nset(y, "n", 2)\nws.send(input)',
        "change(input)\nws.send(input)",
        "input |> change\nws.send(input)",
        "input = {n: 2}\nws.send(input)",
        "map([input], change)\nws.send(input)",
        "$ c = change\nc(input)\nws.send(input)",
    ],
)
def test_a_message_that_was_changed_is_sent_changed(statements: str) -> None:
    declared = "! change(o: any) {\n  o.n = 2\n}\n"
    world = World(declared + ECHO.format(statements))
    assert world.connect("/c/x").says('{"n":1.50}') == ['{"n":2}']
    assert not world.failures


# --- from HTTP routes ----------------------------------------------------------------------------


def test_http_routes_may_look_and_broadcast() -> None:
    world = World(
        ECHO.format("ws.send(1)")
        + "@ GET /rooms { > [ws.get_rooms(), ws.get_room_count(), ws.get_connection_count()] }\n"
        + '@ POST /say {\n ws.broadcast(input)\n ws.broadcast_to_room("b", 1)\n}\n'
    )
    b, a = world.connect("/c/b"), world.connect("/c/a")
    world.connect("/c/gone").leaves()
    assert world.get("/rooms").json == [["a", "b"], 2, 2]
    assert world.post("/say", {"x": 1.5}).status == 200
    assert (a.frames, b.frames) == (['{"x":1.5}'], ['{"x":1.5}', "1"])


@pytest.mark.parametrize("call", ["send(1)", 'join("a")', 'leave("a")', "close()"])
def test_http_routes_have_no_connection(call: str) -> None:
    world = World(f"@ GET / {{\n  ws.{call}\n  > 1\n}}\n")
    assert world.get("/").status == 500
    assert "needs a connection" in world.failures[0].text
