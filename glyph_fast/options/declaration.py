"""Every option of the server, declared once.

Each field carries its reader, its help and its group. The flags, the environment variables, the
keys of `glyph-fast.toml` and the table of `docs/options.md` derive from it, and so does `Config`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass
from typing import Any, Literal, TypeAlias

from ..wire import COMMANDS, POLICIES
from . import readers as o
from .broker import DEFAULT_PREFIX, broker_prefix, broker_url
from .changes import Given
from .jwt import algorithm
from .option import option
from .processors import WorkerCount, worker_count
from .rooms import Rooms, tables
from .values import (
    Hosts,
    Limit,
    MaybeAddress,
    MaybePath,
    MaybeRate,
    Seconds,
    Size,
    Words,
)

JsonDefault: TypeAlias = Callable[[Any], object] | None
CLIENT_COMMANDS = tuple(word.value for word in COMMANDS)

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
BROKER = "Broker"
OPERATORS = "Operators' port"
STOPPING = "Stopping"


_some_time = o.duration(may_be_zero=False)
_any_time = o.duration(may_be_zero=True)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Declaration(Given):
    """The options as they are declared; a `Config` is made of them."""

    # fmt: off
    host: Hosts = option(
        "127.0.0.1", o.hosts, LISTENING,
        "an address or a name to listen on; :: for every address of both families", metavar="HOST",
        older_env="GLYPH_HOST", repeat=True,
    )
    port: int = option(
        8080, o.count(0, 65535), LISTENING, "the port to listen on; 0 picks a free one",
        metavar="PORT", older_env="GLYPH_PORT",
    )
    uds: MaybePath = option(
        None, o.path, LISTENING, "listen on a Unix socket instead", metavar="PATH"
    )
    uds_mode: str = option(
        "660", o.file_mode, LISTENING, "who may connect to the Unix socket: 660 is its owner and "
        "its group, 666 everybody", metavar="MODE",
    )
    tls_cert: MaybePath = option(
        None, o.path, TLS, "certificate chain (PEM); turns https and wss on", metavar="FILE"
    )
    tls_key: MaybePath = option(
        None, o.path, TLS, "its private key (PEM), unless the certificate's file holds it",
        metavar="FILE",
    )
    tls_key_password: str | None = option(
        None, o.text, TLS, "the password of the private key; better set as a variable, for a "
        "command line can be seen by others", metavar="PASSWORD", secret=True,
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
        "who owns the sockets: the core itself (Linux), or asyncio",
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
    workers: WorkerCount = option(
        1, worker_count(), RUNNING,
        "processes that serve; auto: one for each processor it may use", metavar="N|auto",
    )
    worker_timeout: Seconds = option(
        "30s", _some_time, RUNNING, "a worker that shows no sign of life for so long is replaced",
        metavar="DURATION",
    )
    reload: bool = option(False, o.switch, RUNNING, "restart when a source file changes")
    dev: bool = option(
        False, o.switch, RUNNING, "development mode: tell clients what goes wrong in handlers, and "
        "show a page at / that talks to the routes; `--reload` turns it on, `--dev` never reloads",
    )
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
    max_body_size: Size = option(
        "10MiB", o.size(), LIMITS, "bytes of a request's body; beyond it HTTP 413", metavar="SIZE"
    )
    inbox_messages: int = option(
        64, o.count(1), LIMITS, "messages waiting for a slow handler before reading pauses",
        metavar="N",
    )
    inbox_bytes: Size = option(
        1_048_576, o.size(), LIMITS, "bytes of them in memory; the limit reached first counts",
        metavar="SIZE",
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
    keep_alive_timeout: Seconds = option(
        "75s", _some_time, TIMEOUTS,
        "wait for the next request on an HTTP connection that was answered", metavar="DURATION",
    )
    handler_grace: Seconds = option(
        "1s", _any_time, TIMEOUTS,
        "time for handlers of a client that is gone; then they are cancelled", metavar="DURATION",
    )
    allowed_origins: Words = option(
        (), o.words(o.origin), ACCESS,
        "an origin whose pages may connect and read answers, https://*.example.com for all below "
        "it, * for any; without one, only the server's own", metavar="ORIGIN",
        flag="--allowed-origin", repeat=True,
    )
    redirect_slashes: bool = option(
        False, o.switch, ACCESS,
        "send GET for a path with a slash too many or too few to the one that is served (307)",
    )
    trusted_proxies: Words = option(
        (), o.words(o.network), ACCESS, "an address or network whose forwarding headers count",
        metavar="NETWORK", flag="--trusted-proxy", repeat=True,
    )
    proxy_protocol: bool = option(
        False, o.switch, ACCESS,
        "every connection begins with a PROXY header, version 1 or 2, of a trusted proxy"
    )
    user_room: str | None = option(
        None, o.user_room, CLIENTS,
        "a room for each user, which only its own connections are in: user:{user}",
        metavar="PATTERN",
    )
    root_path: str = option(
        "", o.path_prefix, ACCESS, "what a proxy takes off paths; ASGI applications are told",
        metavar="PATH",
    )
    subprotocols: Words = option(
        (), o.words(o.token), CLIENTS, "a subprotocol to offer, the preferred one first",
        metavar="NAME", flag="--subprotocol", repeat=True,
    )
    client_commands: Words = option(
        o.AUTO, o.words_auto_or_none(*CLIENT_COMMANDS), CLIENTS,
        "the built-in messages clients may send, with commas, on all rooms; or none; auto: those "
        "of rooms on the rooms that an `on_join` or a declaration allows", metavar="WORDS",
    )
    client_broadcast_all: bool = option(
        False, o.switch, CLIENTS, "let clients broadcast to everybody"
    )
    centrifuge: str | None = option(
        None, o.centrifuge_path, CLIENTS,
        "serve the Centrifuge protocol, to its client libraries, at /connection/websocket or PATH",
        metavar="[PATH]", bare="on",
    )
    serve_client: bool = option(
        False, o.switch, CLIENTS,
        "serve the JavaScript client at /glyph-fast.js, as a module at /glyph-fast.mjs",
    )
    rooms: Rooms = option(
        (), tables, CLIENTS, "what is declared about rooms, by patterns", is_table=True
    )
    json_default: JsonDefault = option(
        None, o.function, SENDING, "a function that is given a value JSON does not know, and "
        "returns one that stands for it or raises `TypeError`", is_python=True,
    )
    history_memory: Size = option(
        "256MiB", o.size(), CLIENTS,
        "for what all rooms keep, in one server; beyond it the room used longest ago loses its own",
        metavar="SIZE",
    )
    history_answer: int = option(
        1000, o.count(1), CLIENTS,
        "messages of one answer with history, of 1MiB at most; a resumption that needs more fails",
        metavar="N",
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
    broker: str | None = option(
        None, broker_url, BROKER, "what joins several machines to one server, such as "
        "redis://HOST:6379/0; a password is better set as a variable, for a command line can be "
        "seen by others", metavar="URL", secret=True,
    )
    broker_prefix: str = option(
        DEFAULT_PREFIX, broker_prefix, BROKER, "what names in the broker begin with; servers with "
        "different ones share it undisturbed", metavar="PREFIX",
    )
    ready_needs_broker: bool = option(
        False, o.switch, BROKER, "answer /readyz with 503 whenever the broker is away",
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

    def __post_init__(self, _sources: Mapping[str, str] | None) -> None:
        """Read and check what was given."""
        raise NotImplementedError
