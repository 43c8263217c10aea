"""The AsyncAPI document of a program, judged by the official parser."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from glyph_fast.documents.asyncapi import asyncapi
from glyph_fast.documents.program import program_of
from tests.documents.declared import server
from tests.nodejs import program

DOCUMENT = asyncapi(program_of(server), title="A game", version="2.0.0")


def test_the_official_parser_accepts_it() -> None:
    done = subprocess.run(
        [program("node"), Path(__file__).parent / "validate.mjs"],
        input=json.dumps(DOCUMENT),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"isRead": True, "errors": []}


def test_each_route_is_a_channel() -> None:
    addresses = [channel["address"] for channel in DOCUMENT["channels"].values()]
    assert addresses == ["/shop/{id}", "/game/{room}"]
    assert DOCUMENT["channels"]["shop_id"]["parameters"] == {"id": {}}


def test_an_event_of_all_routes_is_received_on_each() -> None:
    assert sorted(DOCUMENT["operations"]) == sorted(
        f"{event}.{route}"
        for event in ("move", "order_placed", "hello", "raw")
        for route in ("shop_id", "game_room")
    )
    assert DOCUMENT["operations"]["move.shop_id"]["summary"] == "Move a piece."


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("move", {"$ref": "#/components/schemas/Move"}),
        ("move.answer", {"$ref": "#/components/schemas/Board"}),
        ("order_placed", {"$ref": "#/components/schemas/Order"}),
        ("order_placed.answer", {"type": "integer"}),
        ("hello", {}),
        ("raw", {}),
    ],
)
def test_a_message_is_an_envelope_around_its_type(message: str, data: dict[str, Any]) -> None:
    payload = DOCUMENT["components"]["messages"][message]["payload"]
    assert payload["properties"]["data"] == data


def test_data_is_required_where_it_has_a_type() -> None:
    messages = DOCUMENT["components"]["messages"]
    assert messages["move"]["payload"]["required"] == ["event", "data"]
    assert messages["hello"]["payload"]["required"] == ["event"]


def test_names_are_those_of_the_wire() -> None:
    assert list(DOCUMENT["components"]["schemas"]["Move"]["properties"]) == [
        "pieceId",
        "at",
        "kind",
    ]
