"""Every option of the server, declared once.

`Config` is that declaration: each field carries its reader, its help and its group, and the flags,
the environment variables, the keys of `glyph-fast.toml` and the table of `docs/options.md` derive
from it. A `Config` that exists is valid: reading and checking happen when it is made.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import InitVar, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from . import options as o
from .errors import ConfigError
from .jwtoptions import JwtOptions, algorithm, unusable_tokens
from .options import (
    Limit,
    MaybeAddress,
    MaybePath,
    MaybeRate,
    Option,
    Seconds,
    Size,
    Words,
    bracketed,
    option,
    unknown_option,
)
from .wire import POLICIES

DEFAULT_FILE = "glyph-fast.toml"
CLIENT_COMMANDS = ("join_room", "leave_room", "broadcast", "ping")

# Options of features that do not exist yet: setting one is refused rather than ignored. Whoever
# adds the feature removes the line (and renews docs/options.md).
NOT_YET: set[str] = set()

MAX_UDS = 107 if sys.platform == "linux" else 103  # bytes; sockaddr_un.sun_path less its NUL


LISTENING = "Listening"
TLS = "TLS"
RUNNING = "Running"
LIMITS = "Limits"
SENDING = "Sending"
TIMEOUTS = "Keep-alive and timeouts"
ACCESS = "Access"
CLIENTS = "What clients may do"
COMPRESSION = "Compression"
TOKENS = "JSON Web Tokens"
OPERATORS = "Operators' port"
STOPPING = "Stopping"

_some_time = o.duration(may_be_zero=False)
_any_time = o.duration(may_be_zero=True)


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of a server, read and checked.

    Durations are seconds or text such as "250ms", "30s", "5m"; sizes are bytes or text such as
    "512KiB"; lists become tuples. Raises ConfigError for an unknown name, a bad value or an
    unusable combination.
    """

    # fmt: off
    host: str = option(
        "127.0.0.1", o.host, LISTENING, "the address to listen on", metavar="HOST",
        older_env="GLYPH_HOST",
    )
    port: int = option(
        8080, o.count(0, 65535), LISTENING, "the port to listen on; 0 picks a free one",
        metavar="PORT", older_env="GLYPH_PORT",
    )
    uds: MaybePath = option(
        None, o.path, LISTENING, "listen on a Unix socket instead", metavar="PATH"
    )
    tls_cert: MaybePath = option(
        None, o.path, TLS, "certificate chain (PEM); turns https and wss on", metavar="FILE"
    )
    tls_key: MaybePath = option(
        None, o.path, TLS, "its private key (PEM), unless the certificate's file holds it",
        metavar="FILE",
    )
    tls_client_ca: MaybePath = option(
        None, o.path, TLS, "demand client certificates that these authorities (PEM) signed",
        metavar="FILE",
    )
    tls_min_version: Literal["1.2", "1.3"] = option(
        "1.2", o.choice("1.2", "1.3"), TLS, "the oldest version of TLS to accept",
        metavar="1.2|1.3",
    )
    core: Literal["auto", "compiled", "python"] = option(
        "auto", o.choice("auto", "compiled", "python"), RUNNING,
        "the code that handles the bytes; auto prefers compiled", metavar="auto|compiled|python",
    )
    engine: Literal["auto", "native", "asyncio"] = option(
        "auto", o.choice("auto", "native", "asyncio"), RUNNING,
        "who owns the sockets: the core itself (Linux, no TLS), or asyncio",
        metavar="auto|native|asyncio",
    )
    loop: Literal["auto", "uvloop", "asyncio"] = option(
        "auto", o.choice("auto", "uvloop", "asyncio"), RUNNING,
        "the event loop; auto prefers uvloop", metavar="auto|uvloop|asyncio",
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = option(
        "info", o.choice("debug", "info", "warning", "error", "critical"), RUNNING,
        "the least severe records to write: debug, info, warning, error, critical",
        metavar="LEVEL",
    )
    log_format: Literal["text", "json"] = option(
        "text", o.choice("text", "json"), RUNNING, "lines for people, or one JSON object per line",
        metavar="text|json",
    )
    reload: bool = option(False, o.switch, RUNNING, "restart when a source file changes")
    skip_unsupported: bool = option(
        False, o.switch, RUNNING, "serve what can be served of a Glyph program"
    )
    max_connections: int = option(
        10_000, o.count(1), LIMITS, "WebSocket connections; beyond it HTTP 503", metavar="N"
    )
    max_connections_per_ip: Limit = option(
        "off", o.count(1, may_be_off=True), LIMITS,
        "of one address (IPv6: of one /64); beyond it HTTP 429", metavar="N",
    )
    max_connections_per_user: Limit = option(
        "off", o.count(1, may_be_off=True), LIMITS, "of one identity; beyond it HTTP 429",
        metavar="N",
    )
    max_room_members: int = option(
        1000, o.count(1), LIMITS, "members of one room; beyond it joining fails", metavar="N"
    )
    max_rooms_per_connection: int = option(
        100, o.count(1), LIMITS, "rooms one connection may be in", metavar="N"
    )
    max_room_name: Size = option(
        128, o.size(), LIMITS, "longest name of a room, in bytes of UTF-8", metavar="SIZE"
    )
    max_message_size: Size = option(
        524_288, o.size(), LIMITS, "largest message after decompression; beyond it close 1009",
        metavar="SIZE",
    )
    inbox_messages: int = option(
        64, o.count(1), LIMITS, "messages waiting for a slow handler before reading pauses",
        metavar="N",
    )
    rate_limit: MaybeRate = option(
        "off", o.rate(o.count(1), "100/s or 100/s:200"), LIMITS,
        "messages of one connection, 100/s or 100/s:200 with burst", metavar="RATE",
    )
    byte_rate_limit: MaybeRate = option(
        "off", o.rate(o.size(), "64KiB/s or 64KiB/s:1MiB"), LIMITS,
        "bytes of its messages, inflated, 64KiB/s or 64KiB/s:1MiB with burst", metavar="RATE",
    )
    rate_policy: Literal["drop", "disconnect"] = option(
        "drop", o.choice("drop", "disconnect"), LIMITS,
        "what becomes of messages beyond a rate; disconnect closes with 1008",
        metavar="drop|disconnect",
    )
    handshake_rate: MaybeRate = option(
        "off", o.rate(o.count(1), "10/s or 10/s:50"), LIMITS,
        "handshakes of one address (IPv6: of one /64); beyond it HTTP 429", metavar="RATE",
    )
    queue_messages: int = option(
        256, o.count(1), SENDING, "messages in the send queue of one connection", metavar="N"
    )
    queue_bytes: Size = option(
        1_048_576, o.size(), SENDING, "bytes in it; the limit reached first counts",
        metavar="SIZE",
    )
    queue_policy: Literal["drop_oldest", "drop_newest", "block", "disconnect"] = option(
        "drop_oldest", o.choice(*POLICIES), SENDING,
        "what a full queue does: drop_oldest, drop_newest, block, disconnect", metavar="POLICY",
    )
    write_timeout: Seconds = option(
        "10s", _some_time, SENDING, "close a connection that takes no byte for so long (4008)",
        metavar="DURATION",
    )
    ping_interval: Seconds = option(
        "30s", _any_time, TIMEOUTS, "time between pings; 0 turns keep-alive off",
        metavar="DURATION",
    )
    max_missed_pongs: int = option(
        3, o.count(1), TIMEOUTS, "unanswered pings before a connection is closed (1011)",
        metavar="N",
    )
    close_timeout: Seconds = option(
        "5s", _some_time, TIMEOUTS, "wait for the answer to a close frame", metavar="DURATION"
    )
    head_timeout: Seconds = option(
        "10s", _some_time, TIMEOUTS, "wait for a complete request head", metavar="DURATION"
    )
    allowed_origins: Words = option(
        (), o.words(o.origin), ACCESS,
        "an origin whose pages may connect and read answers, https://*.example.com for all below "
        "it, * for any; without one, only the server's own", metavar="ORIGIN",
        flag="--allowed-origin", repeat=True,
    )
    trusted_proxies: Words = option(
        (), o.words(o.network), ACCESS, "an address or network whose forwarding headers count",
        metavar="NETWORK", flag="--trusted-proxy", repeat=True,
    )
    proxy_protocol: bool = option(
        False, o.switch, ACCESS,
        "every connection begins with a PROXY header, version 1 or 2, of a trusted proxy"
    )
    subprotocols: Words = option(
        (), o.words(o.token), CLIENTS, "a subprotocol to offer, the preferred one first",
        metavar="NAME", flag="--subprotocol", repeat=True,
    )
    client_commands: Words = option(
        CLIENT_COMMANDS, o.words_or_none(o.one_of(*CLIENT_COMMANDS)), CLIENTS,
        "the built-in messages clients may send, with commas; or none", metavar="WORDS",
    )
    client_broadcast_all: bool = option(
        False, o.switch, CLIENTS, "let clients broadcast to everybody"
    )
    compression: Literal["off", "shared", "dedicated"] = option(
        "off", o.choice("off", "shared", "dedicated"), COMPRESSION,
        "permessage-deflate; shared compresses a broadcast once", metavar="off|shared|dedicated",
    )
    compression_min_size: Size = option(
        512, o.size(0), COMPRESSION, "leave smaller messages as they are", metavar="SIZE"
    )
    jwt_secret: str | None = option(
        None, o.text, TOKENS, "the key of HMAC signatures, of at least 32 bytes; better set as a "
        "variable, for a command line can be seen by others", metavar="SECRET", secret=True,
    )
    jwt_jwks: str | None = option(
        None, o.text, TOKENS, "where the issuer's public keys are, a set in JSON (JWKS)",
        metavar="URL|FILE",
    )
    jwt_audience: str | None = option(
        None, o.text, TOKENS, "the audience a token must be for; without it, no token may name one",
        metavar="NAME",
    )
    jwt_algorithms: Words = option(
        (), o.words(algorithm), TOKENS,
        "the algorithms to accept, with commas; HS256 for a secret, else RS, PS, ES and EdDSA",
        metavar="NAMES",
    )
    admin: MaybeAddress = option(
        None, o.address, OPERATORS, "serve metrics, figures and the dashboard there",
        metavar="HOST:PORT",
    )
    admin_token: str | None = option(
        None, o.bearer, OPERATORS, "the bearer token operators must show", metavar="TOKEN",
        secret=True,
    )
    drain_delay: Seconds = option(
        "0s", _any_time, STOPPING,
        "time between the first 503 and the end of listening, for load balancers",
        metavar="DURATION",
    )
    drain_timeout: Seconds = option(
        "10s", _any_time, STOPPING, "time for connections to close before they are cut",
        metavar="DURATION",
    )
    # fmt: on
    _sources: InitVar[Mapping[str, str] | None] = None  # field: the name its value came under

    def __new__(cls, **options: Any) -> Config:
        """Refuse unknown names as `replace` does, before Python complains in its own words."""
        for name in options:
            if name not in FIELDS and name != "_sources":
                raise unknown_option(name, FIELDS)
        return super().__new__(cls)

    def __post_init__(self, _sources: Mapping[str, str] | None) -> None:
        def named(name: str) -> str:
            return name if _sources is None else _sources.get(name, FIELDS[name].flag)

        for name, declared in FIELDS.items():
            value = declared.value(getattr(self, name), named(name))
            object.__setattr__(self, name, value)
            if name in NOT_YET and value != declared.read(declared.default):
                raise ConfigError(f"{named(name)} is not available in this version")
        for problem in _unusable(self, named):
            raise ConfigError(problem)

    def replace(self, **changes: Any) -> Config:
        """A copy with some options changed. Raises ConfigError, for an unknown name as well."""
        for name in changes:
            if name not in FIELDS:
                raise unknown_option(name, FIELDS)
        return replace(self, **changes)

    @property
    def is_tls(self) -> bool:
        """Whether the public port speaks TLS."""
        return self.tls_cert is not None

    @property
    def jwt(self) -> JwtOptions:
        """The options of tokens."""
        return JwtOptions(self.jwt_secret, self.jwt_jwks, self.jwt_audience, self.jwt_algorithms)

    def url(self, port: int) -> str:
        """Where clients find a server that listens on `port`: `http://[::1]:8080`, `unix:PATH`."""
        if self.uds is not None:
            return f"unix:{self.uds}"
        return f"{'https' if self.is_tls else 'http'}://{bracketed(self.host)}:{port}"


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
OPTIONS = (*FIELDS.values(), CONFIG_FILE)


def _unusable(config: Config, named: Callable[[str], str]) -> Iterator[str]:
    """What is wrong with options that are right by themselves; `named` says whence each came."""
    if config.uds is not None:
        if config.tls_cert is not None:
            yield f"{named('uds')} and {named('tls_cert')} do not go together"
        if len(os.fsencode(config.uds)) > MAX_UDS:
            yield f"{named('uds')}: the path is longer than {MAX_UDS} bytes"
        if not config.trusted_proxies and not config.proxy_protocol:
            for name in ("max_connections_per_ip", "handshake_rate"):
                if getattr(config, name) is not None:
                    yield (
                        f"{named(name)} needs {named('trusted_proxies')} with {named('uds')},"
                        " whose peers have no address"
                    )
    for name in ("tls_key", "tls_client_ca"):
        if getattr(config, name) is not None and config.tls_cert is None:
            yield f"{named(name)} needs {named('tls_cert')}"
    for name in ("tls_cert", "tls_key", "tls_client_ca"):
        file = getattr(config, name)
        if file is not None and not Path(file).is_file():
            yield f"{named(name)}: no such file: {file}"
    if config.engine == "native":
        if sys.platform != "linux":
            yield f"{named('engine')}: the native engine needs Linux"
        if config.is_tls:
            yield f"{named('engine')}: the native engine does not speak TLS; use asyncio or auto"
    if config.proxy_protocol and not config.trusted_proxies:
        if config.uds is None and not o.Address(config.host, config.port).is_loopback:
            yield (
                f"{named('proxy_protocol')} needs {named('trusted_proxies')}"
                " on an address other machines can reach"
            )
    if config.client_broadcast_all and "broadcast" not in config.client_commands:
        yield f"{named('client_broadcast_all')} needs broadcast in {named('client_commands')}"
    if config.admin and not config.admin.is_loopback and config.admin_token is None:
        yield f"{named('admin')}: an address other machines can reach needs {named('admin_token')}"
    yield from unusable_tokens(config.jwt, named)


def options_page() -> str:
    """The page `docs/options.md`: `python -m glyph_fast.config > docs/options.md`."""
    return _PAGE + o.markdown(OPTIONS, NOT_YET)


_PAGE = f"""# Options of `glyph-fast serve`

Each option is a flag, an environment variable and a key of `{DEFAULT_FILE}`; a flag wins over the
environment, the environment over the file, the file over the default. In Python the same names are
the fields of `Config`.

| | `--ping-interval` | `--allowed-origin`, which may be repeated |
|---|---|---|
| environment | `{FIELDS["ping_interval"].env}=30s` | `{FIELDS["allowed_origins"].env}=https://a.example,https://b.example` |
| file | `ping_interval = "30s"` | `allowed_origins = ["https://a.example", "https://b.example"]` |
| Python | `Config(ping_interval=30)` | `Config(allowed_origins=["https://a.example", "https://b.example"])` |

A switch is `on` or `off` in the environment, `true` or `false` in the file; `--no-NAME` turns off
what one of these has turned on. Durations read `250ms`, `30s`, `5m`, `1h`, or seconds. Sizes read
`512KiB`, `1MiB`, or bytes. `GLYPH_HOST` and `GLYPH_PORT` count below `{FIELDS["host"].env}` and
`{FIELDS["port"].env}`. An empty variable counts as not set, and so do the variables Kubernetes makes
for a Service named `glyph-fast`, such as `GLYPH_FAST_PORT=tcp://10.0.0.1:80`.

An unknown name, a bad value or a combination that cannot work ends `serve` with one line on stderr
and exit status 2; in Python it raises `ConfigError`. The status is 0 after a drain, 1 when the
program does not load, and 3 when the server cannot listen.

"""  # noqa: E501


if __name__ == "__main__":
    print(options_page(), end="")
