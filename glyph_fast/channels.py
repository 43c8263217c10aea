"""A Django Channels layer on the processes of one server: no Redis on one machine.

    CHANNEL_LAYERS = {"default": {"BACKEND": "glyph_fast.channels.Layer"}}

In a process that serves, what a consumer waits for lies in that process. Elsewhere, say in a
management command or in Celery, the layer asks the operators' port of the server for everything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .admin.channels import MESSAGE, PATH
from .errors import ConfigError
from .logs import SERVER, log
from .server.current import current_server

try:
    import msgspec
    from channels.exceptions import ChannelFull, MessageTooLarge
    from channels.layers import BaseChannelLayer
except ModuleNotFoundError as exc:
    if exc.name not in ("channels", "django", "msgspec"):
        raise
    needed = f"glyph_fast.channels needs {exc.name}: pip install {exc.name}"
    raise ModuleNotFoundError(needed, name=exc.name) from None

if TYPE_CHECKING:
    from .server.server import Server

MAX_MESSAGE = 16 * 2**20  # bytes, packed
TOKEN = "GLYPH_FAST_ADMIN_TOKEN"  # the variable that has the token of the operators' port


class Layer(BaseChannelLayer):  # type: ignore[misc]  # Channels has no types
    """Sends messages to channels and groups, in every process of the server.

    A message is taken by one reader, in order, within `expiry` seconds; a channel holds `capacity`
    of them, or what `channel_capacity` says by patterns. Layers of one `prefix` see the same.
    `publisher` is the URL of the server's operators' port, for processes that do not serve, and
    `token` its token.
    """

    extensions = ["groups", "flush"]
    ChannelFull = ChannelFull
    MessageTooLarge = MessageTooLarge

    def __init__(
        self,
        *,
        expiry: float = 60,
        group_expiry: float = 86400,
        capacity: int = 100,
        channel_capacity: Mapping[Any, int] | None = None,
        prefix: str = "asgi",
        publisher: str | None = None,
        token: str | None = None,
    ) -> None:
        super().__init__(
            expiry=expiry,
            capacity=capacity,
            channel_capacity=self.compile_capacities(channel_capacity or {}),
        )
        self.group_expiry = group_expiry
        self.prefix = prefix
        self._made_by = (0, "")  # the process whose channels are called so
        self._asker: Any = None
        if publisher is not None:
            from .publisher import AsyncPublisher  # which needs the extra

            self._asker = AsyncPublisher(publisher, token or os.environ.get(TOKEN, ""))

    @property
    def client_prefix(self) -> str:
        """Return the beginning of the names of channels that were made in this process."""
        pid = os.getpid()
        if self._made_by[0] != pid:
            self._made_by = pid, secrets.token_hex(8)
        return self._made_by[1]

    async def send(self, channel: str, message: Mapping[str, Any]) -> None:
        """Put a message into a channel. Raises ChannelFull, and MessageTooLarge."""
        name = self._channel(channel)
        packed, capacity = _pack(message), self.get_capacity(channel)
        if not await self._do(
            "send", channel=name, message=packed, capacity=capacity, expiry=self.expiry
        ):
            raise ChannelFull(channel)

    async def receive(self, channel: str) -> dict[str, Any]:
        """The next message of a channel, once there is one."""
        name = self._channel(channel, receive=True)
        if "!" in channel and not self._is_own(channel):
            raise ValueError(f"{channel} is read by the process that made it")
        packed = None
        while packed is None:  # by the operators' port, none came in the time of one question
            packed = await self._do("receive", channel=name, expiry=self.expiry)
        message: dict[str, Any] = msgspec.msgpack.decode(packed)
        return message

    async def new_channel(self, prefix: str = "specific") -> str:
        """The name of a channel that only this process reads."""
        channel = f"{prefix}.{self.client_prefix}!{secrets.token_hex(12)}"
        name = self._channel(channel)
        if (server := _server_here()) is not None:
            _channels_of(server).own(name)
        return channel

    async def group_add(self, group: str, channel: str) -> None:
        """Make a channel a member of a group for `group_expiry` seconds, from now."""
        await self._do(
            "group_add",
            group=self._group(group),
            channel=self._channel(channel),
            capacity=self.get_capacity(channel),
            expiry=self.group_expiry,
        )

    async def group_discard(self, group: str, channel: str) -> None:
        """End a membership, if there is one."""
        await self._do("group_discard", group=self._group(group), channel=self._channel(channel))

    async def group_send(self, group: str, message: Mapping[str, Any]) -> None:
        """Put a message into the channels of a group. Those that are full do not get it."""
        name = self._group(group)
        sent = await self._do("group_send", group=name, message=_pack(message), expiry=self.expiry)
        if sent[0]:
            log(
                SERVER, logging.INFO, "channels over capacity",
                group=group, full=sent[0], channels=sent[1],
            )  # fmt: skip

    async def flush(self) -> None:
        """Forget all messages and groups."""
        await self._do("flush", prefix=f"{self.prefix}:")

    async def close(self) -> None:
        """Nothing: the server has the messages, and ends by itself."""

    def _channel(self, channel: str, *, receive: bool = False) -> str:
        self.require_valid_channel_name(channel)
        if receive and channel.endswith("!"):
            raise TypeError("a channel is received from by its whole name")
        return f"{self.prefix}:{channel}"

    def _group(self, group: str) -> str:
        self.require_valid_group_name(group)
        return f"{self.prefix}:{group}"

    def _is_own(self, channel: str) -> bool:
        return f".{self.client_prefix}!" in channel

    async def _do(self, call: str, **args: Any) -> Any:
        """Have it done where the channels are, in the loop of who has them."""
        server = _server_here()
        if server is None:
            return await self._ask(call, args)
        channels = _channels_of(server)
        if self._is_own(args.get("channel", "")):  # made before this server was there
            channels.own(args["channel"])
        doing = channels.do(call, *args.values())
        lifecycle = server._lifecycle
        loop = None if lifecycle is None else lifecycle.loop
        if loop is None or loop is asyncio.get_running_loop():
            return await doing
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(doing, loop))

    async def _ask(self, call: str, args: dict[str, Any]) -> Any:
        if self._asker is None:
            raise ConfigError(
                "glyph_fast.channels.Layer is used in a process that does not serve: "
                'CONFIG needs {"publisher": URL}, the URL of the operators\' port'
            )
        if MESSAGE in args:
            args[MESSAGE] = b64encode(args[MESSAGE]).decode()
        result = (await self._asker._once(PATH, {"call": call, **args}))["result"]
        return b64decode(result) if isinstance(result, str) else result


def _server_here() -> Server | None:
    try:
        return current_server()
    except RuntimeError:
        return None


def _channels_of(server: Server) -> Any:
    return server.hub._rooms._broker.channels


def _pack(message: Mapping[str, Any]) -> bytes:
    if not isinstance(message, Mapping):
        raise TypeError(f"a message is a dict, not {type(message).__name__}")
    packed = msgspec.msgpack.encode(message)
    if len(packed) > MAX_MESSAGE:
        raise MessageTooLarge(f"a message has at most {MAX_MESSAGE} bytes, this {len(packed)}")
    return packed


__all__ = ["Layer"]
