"""The names a program can use: built-in functions, `ws` functions, methods of Result values.

Only names and numbers of arguments; what they do is in `builtins.py`, `collections.py` and
`socket.py`. The checks and the compiler need no more.
"""

from __future__ import annotations

from typing import NamedTuple


class Arity(NamedTuple):
    """The number of arguments a function takes; `most` is None where more are ignored."""

    least: int
    most: int | None

    def accepts(self, count: int) -> bool:
        """Return whether a call with `count` arguments can succeed."""
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least} arguments"
        if self.least == self.most:
            return f"{self.least} argument{'' if self.least == 1 else 's'}"
        return f"{self.least} to {self.most} arguments"


BUILTINS: dict[str, Arity] = {
    "now": Arity(0, None),
    "time.now": Arity(0, None),
    "length": Arity(1, 1),
    "upper": Arity(1, 1),
    "lower": Arity(1, 1),
    "trim": Arity(1, 1),
    "split": Arity(2, 2),
    "join": Arity(2, 2),
    "contains": Arity(2, 2),
    "replace": Arity(3, 3),
    "substring": Arity(3, 3),
    "startsWith": Arity(2, 2),
    "endsWith": Arity(2, 2),
    "indexOf": Arity(2, 2),
    "charAt": Arity(2, 2),
    "parseInt": Arity(1, 1),
    "parseFloat": Arity(1, 1),
    "toString": Arity(1, 1),
    "abs": Arity(1, 1),
    "min": Arity(2, 2),
    "max": Arity(2, 2),
    "randomInt": Arity(2, 2),
    "generateId": Arity(0, 0),
    "append": Arity(2, 2),
    "reverse": Arity(1, 1),
    "flat": Arity(1, 1),
    "slice": Arity(3, 3),
    "sort": Arity(1, 2),
    "map": Arity(2, 2),
    "filter": Arity(2, 2),
    "find": Arity(2, 2),
    "some": Arity(2, 2),
    "every": Arity(2, 2),
    "reduce": Arity(3, 3),
    "set": Arity(3, 3),
    "remove": Arity(2, 2),
    "keys": Arity(1, 1),
    "text": Arity(1, 2),
    "html": Arity(1, 2),
    "blob": Arity(2, 3),
    "redirect": Arity(1, 2),
    "Ok": Arity(1, 1),
    "Err": Arity(1, 1),
}

# These call functions of the program and so need the run they belong to.
CALLING = frozenset("sort map filter find some every reduce".split())

# Methods of Result values, tried before the built-in of the same name.
RESULT_METHODS: dict[str, Arity] = {
    "isOk": Arity(0, 0),
    "isErr": Arity(0, 0),
    "unwrap": Arity(0, 0),
    "unwrapOr": Arity(1, 1),
    "unwrapErr": Arity(0, 0),
    "map": Arity(1, 1),
    "mapErr": Arity(1, 1),
    "andThen": Arity(1, 1),
    "orElse": Arity(1, 1),
}

SOCKET: dict[str, Arity] = {
    "send": Arity(1, 1),
    "broadcast": Arity(1, 2),
    "broadcast_to_room": Arity(2, 2),
    "join": Arity(1, 1),
    "leave": Arity(1, 1),
    "close": Arity(0, 1),
    "set_info": Arity(1, 1),
    "get_rooms": Arity(0, 0),
    "get_room_count": Arity(0, 0),
    "get_room_clients": Arity(1, 1),
    "get_room_users": Arity(1, 1),
    "get_room_user_count": Arity(1, 1),
    "get_connection_count": Arity(0, 0),
    "get_uptime": Arity(0, 0),
}

# These act on the connection of an event, so in an HTTP route they fail.
CONNECTION_ONLY = frozenset({"send", "join", "leave", "close", "set_info"})

HTTP_CLIENT = frozenset({"http.get", "http.post", "http.put", "http.patch", "http.delete"})

# The types of the language, without those a program declares.
BASIC_TYPES = frozenset("int float str string bool timestamp any object List Map".split())

# What the language can inject and a server here does not; a function may still name them.
PROVIDERS = frozenset({"Database", "Redis", "MongoDB", "LLM", "HTTP"})
