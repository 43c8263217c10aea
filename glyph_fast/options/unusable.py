"""Options that are right by themselves and cannot work together."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .jwt import unusable_tokens
from .values import Address

if TYPE_CHECKING:
    from .config import Config

MAX_UDS = 107 if sys.platform == "linux" else 103  # bytes; sockaddr_un.sun_path less its NUL


def unusable(config: Config, named: Callable[[str], str]) -> Iterator[str]:
    """Yield what is wrong with the combination; `named` gives the name an option came under."""
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
    for name in ("tls_key", "tls_key_password", "tls_client_ca"):
        if getattr(config, name) is not None and config.tls_cert is None:
            yield f"{named(name)} needs {named('tls_cert')}"
    for name in ("tls_cert", "tls_key", "tls_client_ca"):
        file = getattr(config, name)
        if file is not None and not Path(file).is_file():
            yield f"{named(name)}: no such file: {file}"
    if config.engine == "native" and sys.platform != "linux":
        yield f"{named('engine')}: the native engine needs Linux"
    if config.proxy_protocol and not config.trusted_proxies:
        if config.uds is None and not all(
            Address(each, config.port).is_loopback for each in config.hosts
        ):
            yield (
                f"{named('proxy_protocol')} needs {named('trusted_proxies')}"
                " on an address other machines can reach"
            )
    if config.client_broadcast_all and "broadcast" not in config.command_words:
        yield f"{named('client_broadcast_all')} needs broadcast in {named('client_commands')}"
    if config.admin and not config.admin.is_loopback and config.admin_token is None:
        yield f"{named('admin')}: an address other machines can reach needs {named('admin_token')}"
    yield from unusable_tokens(config.jwt, named)
