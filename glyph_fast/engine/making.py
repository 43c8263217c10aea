"""From options to an engine, and to the limits of its connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import core
from ..core import Limits
from ..errors import ConfigError
from ..options.choice import choose_engine
from ..options.config import Config
from ..options.values import Rate
from ..wire import POLICIES
from .asyncio import AsyncioEngine
from .native import NativeEngine
from .tls import Certificates

if TYPE_CHECKING:
    from ..interfaces import Engine

NewEngine: TypeAlias = "Callable[[core.Turn, asyncio.AbstractEventLoop], Engine]"


def engine_of(config: Config, *, preface: Any = None) -> NewEngine:
    """Return what makes the engine that the options ask for.

    `preface` reads what stands before TLS. Raises ConfigError for what cannot work here.
    """
    name = choose_engine(config, core.NAME)
    if name == "native" and not core.HAS_POLLER:
        raise ConfigError("the native engine needs Linux")
    engine: Any = NativeEngine if name == "native" else AsyncioEngine
    if config.tls_cert is None:
        new: NewEngine = engine
        return new
    certificates = Certificates(
        config.tls_cert,
        config.tls_key,
        password=config.tls_key_password,
        client_ca=config.tls_client_ca,
        min_version=config.tls_min_version,
    )
    return partial(engine, tls=certificates.context, renewed=certificates.renewed, preface=preface)


def limits_of(config: Config) -> Limits:
    """The options that the core goes by."""
    messages = config.rate_limit or Rate(0.0, 1)
    data = config.byte_rate_limit or Rate(0.0, 1)
    return Limits(
        max_message_size=config.max_message_size,
        queue_messages=config.queue_messages,
        queue_bytes=config.queue_bytes,
        queue_policy=POLICIES.index(config.queue_policy),
        write_timeout=config.write_timeout,
        close_timeout=config.close_timeout,
        head_timeout=config.head_timeout,
        keep_alive_timeout=config.keep_alive_timeout,
        ping_interval=config.ping_interval,
        max_missed_pongs=config.max_missed_pongs,
        message_rate=messages.per_second,
        message_burst=messages.burst,
        byte_rate=data.per_second,
        byte_burst=data.burst,
        rate_disconnects=config.rate_policy == "disconnect",
    )


__all__ = ["NewEngine", "engine_of", "limits_of"]
