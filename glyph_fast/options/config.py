"""The options of a server in effect: read, checked, and what follows from them.

A `Config` that exists is valid: reading and checking happen when it is made. What there is to set
stands in `declaration.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from . import readers as o
from .declaration import CLIENT_COMMANDS, RUNNING, Declaration
from .jwt import JwtOptions
from .option import Option, unknown_option
from .unusable import unusable
from .values import bracketed

if TYPE_CHECKING:
    from typing import Unpack

    from .given import Options

DEFAULT_FILE = "glyph-fast.toml"

# Options of features that do not exist yet: setting one is refused rather than ignored. Whoever
# adds the feature removes the line (and renews docs/options.md).
NOT_YET: set[str] = set()


class Config(Declaration):
    """The options of a server, read and checked.

    Durations are seconds or text such as "250ms", "30s", "5m"; sizes are bytes or text such as
    "512KiB"; lists become tuples. Raises ConfigError for an unknown name, a bad value or an
    unusable combination.
    """

    if TYPE_CHECKING:  # what an editor shows; the fields of `Declaration` say how each is read

        def __init__(self, **options: Unpack[Options]) -> None: ...

    def __new__(cls, **options: Any) -> Config:
        """Refuse unknown names as `replace` does, before Python complains in its own words."""
        for name in options:
            if name not in FIELDS and name != "_sources":
                raise unknown_option(name, FIELDS)
        return super().__new__(cls, options)

    def __post_init__(self, _sources: Mapping[str, str] | None) -> None:
        def named(name: str) -> str:
            return name if _sources is None else _sources.get(name, FIELDS[name].flag)

        for name, declared in FIELDS.items():
            value = declared.value(getattr(self, name), named(name))
            object.__setattr__(self, name, value)
            if name in NOT_YET and value != declared.read(declared.default):
                raise ConfigError(f"{named(name)} is not available in this version")
        for problem in unusable(self, named):
            raise ConfigError(problem)

    def replace(self, **changes: Unpack[Options]) -> Config:
        """A copy with some options changed. Raises ConfigError, for an unknown name as well."""
        for name in changes:
            if name not in FIELDS:
                raise unknown_option(name, FIELDS)
        return self._with(changes)

    @property
    def command_words(self) -> tuple[str, ...]:
        """The built-in words that clients are answered to, be it by a refusal."""
        return CLIENT_COMMANDS if self.client_commands == o.AUTO else self.client_commands

    @property
    def is_development(self) -> bool:
        """Return whether development mode is on: by `dev`, or by `reload` unless `dev` is off."""
        return self.dev or (self.reload and not self.is_given("dev"))

    @property
    def is_tls(self) -> bool:
        """Return whether the public port speaks TLS."""
        return self.tls_cert is not None

    @property
    def jwt(self) -> JwtOptions:
        """The options of tokens."""
        return JwtOptions(self.jwt_secret, self.jwt_jwks, self.jwt_audience, self.jwt_algorithms)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts to listen on, one by one."""
        return tuple(self.host.split(","))

    def url(self, port: int) -> str:
        """Return where clients find it, if it listens on `port`: `http://[::1]:8080`."""
        return self.urls(port)[0]

    def urls(self, port: int) -> tuple[str, ...]:
        """Return what `url` does, for each host."""
        if self.uds is not None:
            return (f"unix:{self.uds}",)
        scheme = "https" if self.is_tls else "http"
        return tuple(f"{scheme}://{bracketed(host)}:{port}" for host in self.hosts)


FIELDS: Mapping[str, Option] = {
    declared.name: Option(name=declared.name, **declared.metadata) for declared in fields(Config)
}
CONFIG_FILE = Option(
    name="config",
    default=None,
    read=o.path,
    group=RUNNING,
    help=f"the file of options; {DEFAULT_FILE} when it exists",
    metavar="FILE",
)
OPTIONS = (
    *(each for each in FIELDS.values() if not (each.is_table or each.is_python)),
    CONFIG_FILE,
)
