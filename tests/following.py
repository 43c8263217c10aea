"""A client that keeps the list of a room's members, as docs/presence.md has it."""

from __future__ import annotations

import json
from typing import Any

from glyph_fast.hub.room_presence import RoomPresence
from tests.wired import Site


class Follower:
    """The list, and what changes it. Each push must fit to those before it."""

    def __init__(self, room: RoomPresence) -> None:
        self.room = room
        self.peer = Site().connect()
        room.followers.add(self.peer.conn)
        self.take(json.loads(b"{%b}" % b",".join(
            b'"%b":%b' % (name.encode(), text) for name, text in room.state().items()
        )))  # fmt: skip

    def take(self, data: dict[str, Any]) -> None:
        self.version = data["version"]
        self.members = {each["id"]: each for each in data.get("members", ())}
        self.numbers = data.get("clients"), data.get("users")

    def read(self) -> list[dict[str, Any]]:
        pushes = [push["data"] for push in self.peer.json()]
        for data in pushes:
            assert data["version"] == self.version + 1
            if "clients" in data:
                self.take(data)
                continue
            assert self.numbers[0] is None or self.members, "changes of a list that is not known"
            self.version += 1
            for each in data["left"]:
                self.members.pop(each["id"], None)
            for each in data["joined"]:
                self.members[each["id"]] = each
        return pushes
