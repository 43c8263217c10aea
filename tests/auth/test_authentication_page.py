"""The programs of docs/authentication.md, as they stand there, served and talked to."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from glyph_fast.options.config import FIELDS
from tests.auth.signing import SECRET, later, signed
from tests.serving import ServeProcess, serving

pytestmark = pytest.mark.application

PAGE = (Path(__file__).parents[2] / "docs/authentication.md").read_text()
PROGRAMS = {
    name: program
    for program, name in re.findall(r"^```python\n(# (\w+)\.py\n.*?)^```", PAGE, re.M | re.S)
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def served(name: str, folder: Path, **options: Any) -> Any:
    (folder / f"{name}.py").write_text(PROGRAMS[name])
    return serving(f"{name}:server", cwd=folder, **options)


def client(server: ServeProcess, path: str = "/ws", **options: Any) -> ClientConnection:
    return connect(server.ws(path), proxy=None, **options)


def receive(peer: ClientConnection) -> Any:
    return json.loads(peer.recv(timeout=10))


def status_of(server: ServeProcess, path: str = "/ws", **options: Any) -> int:
    with pytest.raises(InvalidStatus) as caught:
        client(server, path, **options)
    return caught.value.response.status_code


def post(server: ServeProcess, path: str) -> Any:
    request = urllib.request.Request(server.url + path, data=b"", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_every_program_is_tried_here():
    assert set(PROGRAMS) == {"cookies", "doors", "tokens", "users", "inbox", "shown", "rooms"}
    assert len(blocks("python")) == len(PROGRAMS)


def test_a_session_cookie(tmp_path):
    with served("cookies", tmp_path) as server:
        fields = {"Cookie": "session=c29tZXRoaW5n"}
        with client(server, additional_headers=fields) as ada:
            assert receive(ada) == {"hello": "Ada"}
        assert status_of(server) == 401


def test_an_authenticator_of_one_route(tmp_path):
    with served("doors", tmp_path) as server:
        with client(server, "/public"):
            pass
        assert status_of(server, "/admin") == 401
        fields = {"Cookie": "session=c29tZWJvZHk"}
        with client(server, "/admin", additional_headers=fields):
            pass
        request = urllib.request.Request(server.url + "/admin", headers=fields)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.load(answer) == {"name": "grace"}
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(server.url + "/admin", timeout=10)


def test_tokens_by_options_of_the_program(tmp_path):
    token = signed(sub="ada", exp=later())
    with served("tokens", tmp_path, env={"CHAT_SECRET": SECRET}) as server:
        offered: Any = ["bearer", token]
        with client(server, subprotocols=offered) as ada:
            assert receive(ada) == {"hello": "ada"}
            (message,) = blocks("json")
            newer = signed(sub="ada", exp=later(7200))
            ada.send(message.replace("…", newer))
            answer = receive(ada)["data"]
            assert answer["type"] == "auth_refresh_success" and answer["expires"] > later(7000)
        assert status_of(server) == 401


def test_tokens_by_a_variable_alone(tmp_path):
    first, second = blocks("sh")
    secret = re.search(r"GLYPH_FAST_JWT_SECRET='(.*)'", first)
    assert secret is not None
    (tmp_path / "app.py").write_text("from glyph_fast import Server\nserver = Server()\n")
    with serving("app:server", cwd=tmp_path, env={"GLYPH_FAST_JWT_SECRET": secret[1]}) as server:
        assert status_of(server) == 401
        with client(server, f"/ws?access_token={signed(key=secret[1], sub='ada')}") as ada:
            ada.send('{"type":"ping"}')
            assert receive(ada)["type"] == "pong"
    flags = {option.flag for option in FIELDS.values()}
    assert set(re.findall(r"--jwt-[a-z]+", second)) <= flags


@pytest.mark.one_process
def test_users(tmp_path):
    with served("users", tmp_path) as server:
        assert status_of(server) == 401
        assert post(server, "/orders/ada/shipped") == {"devices": 0}
        with client(server, "/ws?name=ada") as phone, client(server, "/ws?name=ada") as laptop:
            assert post(server, "/orders/ada/shipped") == {"devices": 2}
            for peer in (phone, laptop):
                assert peer.recv(timeout=10) == "your order is on its way"
            assert post(server, "/users/ada/sign-out") == {"closed": 2}
            with pytest.raises(ConnectionClosed):
                phone.recv(timeout=10)
            assert (phone.close_code, phone.close_reason) == (4001, "signed out")


@pytest.mark.one_process  # whose connections `devices` counts
def test_a_room_for_each_user(tmp_path):
    with served("inbox", tmp_path) as server:
        with client(server, "/ws?name=ada") as ada, client(server, "/ws?name=eve") as eve:
            eve.send(json.dumps({"type": "join_room", "room": "user:ada"}))
            assert receive(eve)["type"] == "error"
            ada.send(json.dumps({"type": "join_room", "room": "user:ada", "presence": True}))
            there = receive(ada)["data"]["presence"]["members"]
            assert [each["user"] for each in there] == ["ada"]
            assert post(server, "/remind/ada") == {"devices": 1}
            assert ada.recv(timeout=10) == "time to go"


def test_what_others_see(tmp_path):
    with served("shown", tmp_path) as server:
        with client(server, "/ws?name=Ada") as ada:
            ada.send(json.dumps({"event": "status", "data": "away"}))
            assert receive(ada)["data"] == {"name": "Ada", "status": "away"}
        assert status_of(server) == 401


def test_rooms(tmp_path):
    def join(peer: ClientConnection, room: str) -> Any:
        peer.send(json.dumps({"type": "join_room", "room": room}))
        data = receive(peer)["data"]
        return data.get("error", data.get("status"))

    with served("rooms", tmp_path) as server:
        with client(server, "/ws?name=ada") as ada, client(server, "/ws?name=bob") as bob:
            assert join(ada, "team:red") == join(bob, "team:blue") == "joined"
            assert join(bob, "team:red") == "not allowed to join this room"
            assert join(bob, "code:red") == "the red room is full of Ada"
            assert join(ada, "team:green") == "not allowed to join this room"
            assert join(bob, "lobby") == "joined"
            assert join(bob, "other").startswith("clients may not join this room")


def test_the_places_of_a_token_are_those_of_the_code():
    from glyph_fast.auth.bearer import NAME, SUBPROTOCOL
    from glyph_fast.auth.keys import LIFETIME_S, MIN_INTERVAL_S, MIN_RSA_BITS
    from glyph_fast.auth.tokens import LEEWAY_S

    assert f"the cookie `{NAME}`" in PAGE and f"?{NAME}=TOKEN" in PAGE
    assert f"subprotocols `{SUBPROTOCOL}, TOKEN`" in PAGE
    assert f"every {LIFETIME_S / 60:g} minutes" in PAGE
    assert f"every {MIN_INTERVAL_S:g} seconds" in PAGE
    assert f"differ by {LEEWAY_S:g} s" in PAGE
    assert f"{MIN_RSA_BITS} bits" in PAGE
