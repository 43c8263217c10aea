"""The options as a program gives them: by name, to `run`, `serve`, `replace` and test clients.

For type checkers alone, which cannot read it off the fields of `Config`; a test compares the two.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypedDict

from .rooms import RoomDeclaration
from .values import Address, Rate


class Options(TypedDict, total=False):
    """Each option of `Config`, in the forms in which it may be given."""

    host: str | Iterable[str]
    port: int
    uds: str | os.PathLike[str] | None
    uds_mode: str
    tls_cert: str | os.PathLike[str] | None
    tls_key: str | os.PathLike[str] | None
    tls_key_password: str | None
    tls_client_ca: str | os.PathLike[str] | None
    tls_min_version: Literal["1.2", "1.3"]
    core: Literal["auto", "compiled", "python"]
    engine: Literal["auto", "native", "asyncio"]
    loop: Literal["auto", "uvloop", "asyncio"]
    log_level: Literal["debug", "info", "warning", "error", "critical"]
    log_format: Literal["text", "json"]
    workers: int | str
    worker_timeout: float | str
    reload: bool
    dev: bool
    skip_unsupported: bool
    max_connections: int
    max_connections_per_ip: int | str | None
    max_connections_per_user: int | str | None
    max_room_members: int
    max_rooms_per_connection: int
    max_room_name: int | str
    max_message_size: int | str
    max_body_size: int | str
    inbox_messages: int
    inbox_bytes: int | str
    rate_limit: Rate | str | None
    byte_rate_limit: Rate | str | None
    rate_policy: Literal["drop", "disconnect"]
    handshake_rate: Rate | str | None
    queue_messages: int
    queue_bytes: int | str
    queue_policy: Literal["drop_oldest", "drop_newest", "block", "disconnect"]
    write_timeout: float | str
    ping_interval: float | str
    max_missed_pongs: int
    close_timeout: float | str
    head_timeout: float | str
    keep_alive_timeout: float | str
    handler_grace: float | str
    allowed_origins: Iterable[str]
    redirect_slashes: bool
    trusted_proxies: Iterable[str]
    proxy_protocol: bool
    user_room: str | None
    root_path: str
    subprotocols: Iterable[str]
    client_commands: Iterable[str]
    client_broadcast_all: bool
    centrifuge: str | None
    serve_client: bool
    rooms: Mapping[str, Mapping[str, Any]] | tuple[RoomDeclaration, ...]
    json_default: Callable[[Any], object] | None
    history_memory: int | str
    history_answer: int
    compression: Literal["off", "shared", "dedicated"]
    compression_min_size: int | str
    jwt_secret: str | None
    jwt_jwks: str | None
    jwt_audience: str | None
    jwt_algorithms: Iterable[str]
    broker: str | None
    broker_prefix: str
    ready_needs_broker: bool
    admin: Address | str | None
    admin_token: str | None
    drain_delay: float | str
    drain_timeout: float | str
