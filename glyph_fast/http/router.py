"""From a path to what serves it, for HTTP and WebSocket routes alike.

A pattern is made of segments: `/chat/:room`, where `:room` stands for any one segment. Empty
segments do not count, so `/a//b/` is `/a/b`. Of the routes that match, the one with the fewest
parameters wins, then the one declared first. Paths come as they were sent: they are cut into
segments before the escapes are decoded, so `%2F` never makes a segment of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from .request import percent_decode

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BAD_CHARACTER = re.compile(r"[\x00-\x20\x7f?#%:*{}\\]")


class Match(NamedTuple, Generic[T]):
    """What a path led to: the route's target and pattern, and the values of its parameters."""

    target: T
    pattern: str
    params: dict[str, str]


class Route(NamedTuple, Generic[T]):
    """One declaration; `method` is None where any method will do."""

    method: str | None
    pattern: str
    target: T


class _Pattern(Generic[T]):
    """A pattern with everything declared for it."""

    __slots__ = ("text", "segments", "params", "targets")

    def __init__(self, text: str) -> None:
        self.text = text
        self.segments = tuple(segment for segment in text.split("/") if segment)
        self.params: list[tuple[int, str]] = []  # (index of the segment, name)
        self.targets: dict[str | None, T] = {}
        if not text.startswith("/"):
            raise ValueError(f"pattern {text!r} does not begin with '/'")
        for index, segment in enumerate(self.segments):
            if segment.startswith(":"):
                self._add_param(index, segment[1:])
            elif bad := _BAD_CHARACTER.search(segment):
                raise ValueError(f"pattern {text!r} contains {bad.group()!r}")

    def _add_param(self, index: int, name: str) -> None:
        if not _NAME.fullmatch(name):
            what = f"a bad parameter name {name!r}" if name else "a parameter without a name"
            raise ValueError(f"pattern {self.text!r} has {what}")
        if any(name == other for _, other in self.params):
            raise ValueError(f"pattern {self.text!r} has the parameter {name!r} twice")
        self.params.append((index, name))

    def admits(self, segments: tuple[str, ...]) -> bool:
        """Whether the static segments are those of a path with equally many segments."""
        return all(
            own == given or own.startswith(":")
            for own, given in zip(self.segments, segments, strict=True)
        )

    def match(self, target: T, segments: tuple[str, ...]) -> Match[T]:
        return Match(target, self.text, {name: segments[index] for index, name in self.params})


class Router(Generic[T]):
    """Routes, found by method and path."""

    def __init__(self) -> None:
        self._routes: list[Route[T]] = []
        self._exact: dict[str, _Pattern[T]] = {}  # the usual spelling of a static path, at once
        self._static: dict[tuple[str, ...], _Pattern[T]] = {}
        self._by_count: dict[int, list[_Pattern[T]]] = {}  # with parameters, fewest first

    def add(self, method: str | None, pattern: str, target: T) -> None:
        """Declare a route; ValueError for a bad pattern, or one declared for `method` before."""
        known = self._pattern(pattern)
        if method in known.targets:
            raise ValueError(f"route {method or 'WebSocket'} {known.text} is declared twice")
        known.targets[method] = target
        self._routes.append(Route(method, pattern, target))

    def _pattern(self, text: str) -> _Pattern[T]:
        new: _Pattern[T] = _Pattern(text)
        if not new.params:
            known = self._static.setdefault(new.segments, new)
            self._exact["/" + "/".join(new.segments)] = known
            return known
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
        if (exact := self._exact.get(path)) is not None:
            for key in (method, None):
                if key in exact.targets:
                    return Match(exact.targets[key], exact.text, {})
        segments = _segments(path)
        for pattern in self._candidates(segments):
            for key in (method, None):
                if key in pattern.targets:
                    return pattern.match(pattern.targets[key], segments)
        return self.match("GET", path) if method == "HEAD" else None

    def methods_for(self, path: str) -> list[str]:
        """The methods some route takes at `path`, sorted, for `Allow`; empty: no such path."""
        methods = {route.method for route in self.routes_for(path) if route.method is not None}
        if "GET" in methods:
            methods.add("HEAD")
        return sorted(methods)

    def routes_for(self, path: str) -> list[Route[T]]:
        """Every route that matches `path`, whatever its method, the best one first."""
        return [
            Route(method, pattern.text, target)
            for pattern in self._candidates(_segments(path))
            for method, target in pattern.targets.items()
        ]

    def routes(self) -> Iterator[Route[T]]:
        """All routes in the order they were declared."""
        return iter(self._routes)

    def _candidates(self, segments: tuple[str, ...]) -> Iterator[_Pattern[T]]:
        if (static := self._static.get(segments)) is not None:
            yield static
        for pattern in self._by_count.get(len(segments), ()):
            if pattern.admits(segments):
                yield pattern


def _segments(path: str) -> tuple[str, ...]:
    if "%" not in path:
        return tuple([segment for segment in path.split("/") if segment])
    return tuple([percent_decode(segment) for segment in path.split("/") if segment])
