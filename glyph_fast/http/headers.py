"""Header fields, query and cookies: read-only mappings over what the client sent.

What `[]` asks for and the client left out is the client's mistake: a `KeyError` that is a 400.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar, overload
from urllib.parse import parse_qsl

from ..errors import Reject
from .parsers import Field

T = TypeVar("T")

# What is read of lists that clients write: far more than honest ones send, and little work. An
# element costs a hundred times what its byte does on the wire, and everybody waits meanwhile.
MAX_ELEMENTS = 256  # of a list of tokens, over all its fields
MAX_COOKIES = 1024
MAX_PARAMETERS = 1000  # of a query

_ESCAPED = re.compile(r"\\?(.)", re.DOTALL)

TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2


class MissingFromRequest(Reject, KeyError):
    """A handler asked for something the client did not send: HTTP 400 with its name."""

    def __init__(self, what: str, name: str) -> None:
        self.reason = f"missing {what} {name!r}"
        super().__init__(400, {"error": self.reason})

    def __str__(self) -> str:
        return self.reason


class Headers(Mapping[str, str]):
    """Header fields; names compare without case, and `[]` and `get` give a name's first value.

    Values are decoded as ISO 8859-1, which keeps every byte (RFC 9110 §5.5).
    """

    __slots__ = ("fields", "is_repeated", "raw", "_first")

    def __init__(self, fields: Sequence[Field], values: dict[bytes, bytes] | None = None) -> None:
        """Make them of fields as they came; `values` are theirs by lower-case name, where known."""
        self.fields = fields
        if values is None:
            values = {name.lower(): value for name, value in fields}
        self._first = values
        self.is_repeated = len(self._first) != len(fields)  # whether some name stands there twice
        if self.is_repeated:  # the comprehension kept the last of each name
            for name, value in reversed(fields):
                self._first[name.lower()] = value
        # The first value as bytes, or None, of a name in lower case: quick, for the handshake.
        self.raw: Callable[[bytes], bytes | None] = self._first.get

    def getlist(self, name: str) -> list[str]:
        """All values of `name`, in the order they came."""
        key = name.lower().encode("latin-1", "replace")
        if not self.is_repeated:
            value = self.raw(key)
            return [] if value is None else [value.decode("latin-1")]
        return [v.decode("latin-1") for n, v in self.fields if n.lower() == key]

    def tokens(self, name: str) -> list[str]:
        """The elements of a comma-separated list, over all its fields, in lower case.

        Of more than `MAX_ELEMENTS`, empty ones included, the first so many.
        """
        elements = split_list(self.getlist(name), MAX_ELEMENTS)
        return [token.lower() for token in elements if token]

    def in_lower_case(self) -> list[Field]:
        """Every field as bytes, repeated ones too, with its name in lower case."""
        if not self.is_repeated:
            return list(self._first.items())
        return [(name.lower(), value) for name, value in self.fields]

    def items_as_sent(self) -> list[tuple[str, str]]:
        """Every field, repeated ones too, with the names written as the client wrote them."""
        return [(n.decode("latin-1"), v.decode("latin-1")) for n, v in self.fields]

    def __getitem__(self, name: str) -> str:
        value = self.raw(name.lower().encode("latin-1", "replace"))
        if value is None:
            raise MissingFromRequest("header field", name)
        return value.decode("latin-1")

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str | T) -> str | T: ...
    def get(self, name: str, /, default: str | T | None = None) -> str | T | None:
        """The first value of `name`."""
        value = self.raw(name.lower().encode("latin-1", "replace"))
        return default if value is None else value.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._first)

    def __len__(self) -> int:
        return len(self._first)

    def __repr__(self) -> str:
        return f"Headers({self.items_as_sent()!r})"


def split_list(values: Sequence[str], limit: int, separator: str = ",") -> list[str]:
    """The first `limit` elements of a list over all its fields, without blanks around them; empty
    ones stay."""
    elements: list[str] = []
    for value in values:
        elements += value.split(separator, limit)[: limit - len(elements)]
        if len(elements) == limit:
            break
    return [element.strip(" \t") for element in elements]


def unescape(quoted: str) -> str:
    """Return what stands in a quoted string, between its quotes (RFC 9110 §5.6.4)."""
    return "".join(_ESCAPED.findall(quoted)) if "\\" in quoted else quoted


class Query(Mapping[str, str]):
    """The parameters of a query string; `[]` and `get` give a name's first value.

    Reject 400 for more than `MAX_PARAMETERS`.
    """

    __slots__ = ("_pairs", "_first")

    def __init__(self, query: str) -> None:
        if query.count("&") >= MAX_PARAMETERS:
            raise Reject(400, {"error": f"more than {MAX_PARAMETERS} parameters in the query"})
        self._pairs = parse_qsl(query, keep_blank_values=True)
        self._first = dict(reversed(self._pairs))

    def getlist(self, name: str) -> list[str]:
        """All values of `name`, in the order they came."""
        return [value for key, value in self._pairs if key == name]

    def __getitem__(self, name: str) -> str:
        try:
            return self._first[name]
        except KeyError:
            raise MissingFromRequest("query parameter", name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(self._first)

    def __repr__(self) -> str:
        return f"Query({self._pairs!r})"


class Cookies(dict[str, str]):
    """The cookies of a request; `[]` is like that of its headers and its query."""

    def __missing__(self, name: str) -> str:
        raise MissingFromRequest("cookie", name)


def parse_cookies(values: Sequence[str]) -> dict[str, str]:
    """The cookies of `Cookie` fields (RFC 6265 §5.4); of one name's values the first counts.

    Of more than `MAX_COOKIES`, the first so many.
    """
    cookies = Cookies()
    for pair in split_list(values, MAX_COOKIES, ";"):
        name, equals, content = pair.partition("=")
        if not equals or not name:
            continue  # not a cookie; whoever put it there, the others still count
        if len(content) >= 2 and content[0] == content[-1] == '"':
            content = content[1:-1]
        cookies.setdefault(name, content)
    return cookies
