"""The values that options hold, and the types of the forms in which they may be given."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar


class Rate(NamedTuple):
    """So many per second on average, `burst` at once."""

    per_second: float
    burst: int


class Address(NamedTuple):
    """A host name or IP address (without brackets) and a port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


Out_co = TypeVar("Out_co", covariant=True)
In_contra = TypeVar("In_contra", contravariant=True)


class Takes(Generic[Out_co, In_contra]):
    """The type of a field that is given in one form and read in another.

    For the type checker only: at run time the field holds the plain value.
    """

    if TYPE_CHECKING:

        def __get__(self, instance: object, owner: type | None = None) -> Out_co: ...

        def __set__(self, instance: object, value: In_contra) -> None: ...


Seconds = Takes[float, float | str]
Size = Takes[int, int | str]
Limit = Takes[int | None, int | str | None]
MaybeRate = Takes[Rate | None, Rate | str | None]
MaybeAddress = Takes[Address | None, Address | str | None]
MaybePath = Takes[str | None, str | os.PathLike[str] | None]
Hosts = Takes[str, str | Iterable[str]]
Words = Takes[tuple[str, ...], Iterable[str]]


def bracketed(host: str) -> str:
    """`host` as it stands in a URL: an IPv6 address in brackets (RFC 3986 §3.2.2)."""
    return f"[{host}]" if ":" in host else host
