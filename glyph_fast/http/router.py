"""From a path to what serves it, for HTTP and WebSocket routes alike.

A pattern is made of segments: `/chat/:room`, where `:room` stands for any one segment that is not
empty. Every slash counts: `/a/`, `//a` and `/a` are three paths, since what judges a request by its
path (an authenticator, a proxy) sees three as well. Of the routes that match, the one with the
fewest parameters wins, then the one declared first. Paths come as they were sent: they are cut into
segments before the escapes are decoded, so `%2F` never makes a segment of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

from .request import percent_decode

T = TypeVar("T")

NO_PARAMS: Mapping[str, str] = MappingProxyType({})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# A parameter as other frameworks write it: {id}, {id:int}, <id>, <int:id>.
_OTHER_PARAM = re.compile(r"\{([^\W\d]\w*)[^}]*\}|<(?:\w+:)?([^\W\d]\w*)>")
_BAD_CHARACTER = re.compile(r"[\x00-\x20\x7f?#%:*{}\\]")


class Match(NamedTuple, Generic[T]):
    """The end of a look-up: the route's target and pattern, and the values of its parameters."""

    target: T
    pattern: str
    params: Mapping[str, str]


class Route(NamedTuple, Generic[T]):
    """One declaration; `method` is None where any method will do."""

    method: str | None
    pattern: str
    target: T


class _Pattern(Generic[T]):
    """A pattern with every route declared for it."""

    __slots__ = ("text", "segments", "statics", "params", "routes")

    def __init__(self, text: str) -> None:
        if not text.startswith("/"):
            raise ValueError(f"pattern {text!r} does not begin with '/'")
        self.text = text
        self.segments = tuple(text[1:].split("/"))
        self.statics: list[tuple[int, str]] = []  # (index, segment)
        self.params: list[tuple[int, str]] = []  # (index, name)
        self.routes: dict[str | None, Route[T]] = {}
        for index, segment in enumerate(self.segments):
            if segment.startswith(":"):
                self._add_param(index, segment[1:])
            elif other := _OTHER_PARAM.search(segment):
                written = f"a parameter is written :{other[1] or other[2]}, not {other.group()}"
                raise ValueError(f"pattern {text!r}: {written}")
            elif bad := _BAD_CHARACTER.search(segment):
                raise ValueError(f"pattern {text!r} contains {bad.group()!r}")
            else:
                self.statics.append((index, segment))

    def _add_param(self, index: int, name: str) -> None:
        if not _NAME.fullmatch(name):
            what = f"a bad parameter name {name!r}" if name else "a parameter without a name"
            raise ValueError(f"pattern {self.text!r} has {what}")
        if any(name == other for _, other in self.params):
            raise ValueError(f"pattern {self.text!r} has the parameter {name!r} twice")
        self.params.append((index, name))

    def admits(self, segments: tuple[str, ...]) -> bool:
        """Return whether a path with equally many segments is one of the pattern."""
        for index, segment in self.statics:  # twice as quick as `all`
            if segments[index] != segment:
                return False
        return "" not in segments or all(segments[index] for index, _ in self.params)

    def route(self, method: str | None) -> Route[T] | None:
        """The route for `method`, else the one for any method."""
        return self.routes.get(method) or self.routes.get(None)


class Router(Generic[T]):
    """Routes, found by method and path."""

    def __init__(self) -> None:
        self._routes: list[Route[T]] = []
        # Static ones as they are spelled, and then by method.
        self._exact: dict[str, dict[str | None, Match[T]]] = {}
        self._static: dict[tuple[str, ...], _Pattern[T]] = {}
        self._counts: set[int] = set()  # of the segments of some pattern
        self._by_count: dict[int, list[_Pattern[T]]] = {}  # with parameters, fewest first
        self._spelled: Router[T] | None = None  # those that any spelling reaches

    def add(
        self, method: str | None, pattern: str, target: T, *, any_spelling: bool = False
    ) -> None:
        """Declare a route; ValueError for a bad pattern, or one declared for `method` before.

        With `any_spelling` needless slashes of a path do not count: `/a//b/` leads to `/a/b` too,
        where no other route is spelled like that.
        """
        if any_spelling:
            if self._spelled is None:
                self._spelled = Router()
            self._spelled.add(method, pattern, target)
        known = self._pattern(pattern)
        if method in known.routes:
            raise ValueError(
                f"route {method + ' ' if method else ''}{known.text} is declared twice"
            )
        route = known.routes[method] = Route(method, pattern, target)
        self._routes.append(route)
        if not known.params:
            matches = self._exact.setdefault(known.text, {})
            matches[method] = Match(target, pattern, NO_PARAMS)

    def _pattern(self, text: str) -> _Pattern[T]:
        new: _Pattern[T] = _Pattern(text)
        self._counts.add(len(new.segments))
        if not new.params:
            return self._static.setdefault(new.segments, new)
        same_count = self._by_count.setdefault(len(new.segments), [])
        for known in same_count:
            if known.segments == new.segments:
                return known
        same_count.append(new)
        same_count.sort(key=lambda each: len(each.params))  # stable: then by declaration
        return new

    def match(self, method: str | None, path: str) -> Match[T] | None:
        """The route for a path as sent (`Request.raw_path`), None when there is none.

        A HEAD request without a route of its own takes that of GET. ValueError for bad escapes,
        which `parse_head` has refused before.
        """
        exact = self._exact.get(path)
        if exact is not None and (match := exact.get(method) or exact.get(None)):
            return match
        match = None
        if path.count("/") in self._counts:  # of a server of one application, never
            match = self._search(method, path)
            if match is None and method == "HEAD":
                match = self._search("GET", path)
        if match is None and self._spelled is not None and (plain := plain_spelling(path)) != path:
            return self._spelled.match(method, plain)
        return match

    def _search(self, method: str | None, path: str) -> Match[T] | None:
        """The route for exactly that method, among all patterns."""
        segments = segments_of(path)
        for pattern in self._candidates(segments):
            if route := pattern.route(method):
                params = {name: segments[index] for index, name in pattern.params}
                return Match(route.target, route.pattern, params)
        return None

    def methods_for(self, path: str) -> list[str]:
        """The methods some route takes at `path`, sorted, for `Allow`; empty: no such path."""
        methods = {route.method for route in self.routes_for(path) if route.method is not None}
        if "GET" in methods:
            methods.add("HEAD")
        return sorted(methods)

    def routes_for(self, path: str) -> list[Route[T]]:
        """Every route that matches `path`, whatever its method, the best one first."""
        candidates = self._candidates(self._segments(path))
        return [route for pattern in candidates for route in pattern.routes.values()]

    def routes(self) -> Iterator[Route[T]]:
        """All routes in the order they were declared."""
        return iter(self._routes)

    def _segments(self, path: str) -> tuple[str, ...]:
        """Split a path at its slashes; give none for one with as many as no pattern has."""
        # Counted first: a path may have thousands, and escapes in each.
        return segments_of(path) if path.count("/") in self._counts else ()

    def _candidates(self, segments: tuple[str, ...]) -> list[_Pattern[T]]:
        found = [each for each in self._by_count.get(len(segments), ()) if each.admits(segments)]
        static = self._static.get(segments)
        return found if static is None else [static, *found]


def segments_of(path: str) -> tuple[str, ...]:
    """Split a path behind each slash; give none for one without, as of `OPTIONS *`."""
    if not path.startswith("/"):
        return ()
    if "%" not in path:
        return tuple(path[1:].split("/"))
    return tuple([percent_decode(segment) for segment in path[1:].split("/")])


def plain_spelling(path: str) -> str:
    """The path without needless slashes."""
    return "/" + "/".join([segment for segment in path.split("/") if segment])


def other_spellings(path: str) -> tuple[str, ...]:
    """The paths that `path`, as sent, may have meant: without needless slashes, and with one or
    none at its end. `path` itself is none of them.
    """
    plain = plain_spelling(path)
    if plain == "/":
        return () if path == "/" else ("/",)
    closest, other = (plain + "/", plain) if path.endswith("/") else (plain, plain + "/")
    return (other,) if closest == path else (closest, other)


def relative_location(raw_path: str, location: str, query: str) -> str:
    """The reference that leads from a path as sent to another of the same server (RFC 3986 §5.2).

    Relative, for a host name would have to be believed, and a prefix that a proxy strips is not
    known here. `location` begins with one slash, so what it leads to is never another host.
    """
    base = raw_path.rpartition("/")[0] + "/"
    if location.startswith(base) and len(location) > len(base):
        reference = "./" + location[len(base) :]
    else:
        reference = "../" * (raw_path.count("/") - 1) + location[1:] or "./"
    return f"{reference}?{query}" if query else reference
