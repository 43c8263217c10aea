"""The commands of Centrifugo's HTTP API: what each does to a server, and what it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ... import json
from ...broker.history import Ask
from ...errors import BrokerUnavailable
from ...http.resting import Resting
from ...hub.identity import checked_info
from ..calls import MAX_BATCH, CallError
from ..operated import Operated
from .connections import Who
from .errors import BAD_REQUEST, INTERNAL, LIMIT_EXCEEDED, NOT_AVAILABLE, NOT_FOUND, ApiError
from .fields import Params, read
from .patterns import matcher
from .publications import Outgoing, asked, outgoing

ELSEWHERE = frozenset(
    # Of Centrifugo or its PRO edition, and not here.
    "rpc map_publish map_remove map_read_state map_read_stream map_stats map_clear"
    " shared_poll_publish connections update_user_status get_user_status delete_user_status"
    " block_user unblock_user revoke_token invalidate_user_tokens device_register device_update"
    " device_remove device_list device_topic_list device_topic_update user_topic_list"
    " user_topic_update send_push_notification update_push_status cancel_push".split()
)
FORCED = {"code": 3503, "reason": "force disconnect"}  # what ends for good unless asked otherwise

Result = dict[str, Any]


class Commands:
    """Does the commands on a server; `most` messages stand in one answer."""

    def __init__(self, operated: Operated, most: int) -> None:
        self._operated = operated
        self._most = most
        self._methods: Mapping[str, Callable[[Params], Awaitable[Result]]] = {
            "publish": self._publish,
            "broadcast": self._broadcast,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "disconnect": self._disconnect,
            "refresh": self._refresh,
            "presence": self._presence,
            "presence_stats": self._presence_stats,
            "history": self._history,
            "history_remove": self._history_remove,
            "channels": self._channels,
            "info": self._info,
        }

    async def do(self, method: str, body: object) -> Result:
        """Do one command and return its result. Raises ApiError."""
        if method in ELSEWHERE:
            raise ApiError(NOT_AVAILABLE, f"{method} is not available")
        if method not in self._methods:
            raise ApiError(NOT_FOUND, "no such command")
        params = read(method, body)
        self._check_channel(params.get("channel", ""))
        try:
            return await self._methods[method](params)
        except BrokerUnavailable:
            raise ApiError(INTERNAL, "the broker is away: try again") from None
        except CallError as exc:
            raise ApiError(INTERNAL, exc.reason) from None

    async def batch(self, body: object) -> list[Result]:
        """Do several in order; one that fails has its error in its place. Raises ApiError."""
        commands = read("batch", body).get("commands", [])
        if len(commands) > MAX_BATCH:
            raise ApiError(BAD_REQUEST, f"commands: at most {MAX_BATCH}")
        replies, resting = [], Resting()
        for each in commands:
            replies.append(await self._one(each))
            await resting.rest()
        return replies

    async def _one(self, command: object) -> Result:
        try:
            if not isinstance(command, dict) or len(command) != 1:
                raise ApiError(BAD_REQUEST, "expected an object with one command")
            ((method, params),) = command.items()
            return {method: await self.do(method, params)}
        except ApiError as exc:
            return {"error": exc.as_json()}

    def _check_channel(self, channel: str) -> None:
        try:
            if channel:
                self._operated.check_name(channel)
        except ValueError as exc:
            raise ApiError(BAD_REQUEST, f"channel: {exc}") from None

    # Publishing.

    async def _publish(self, params: Params) -> Result:
        return await self._publish_to(params["channel"], outgoing(params), params)

    async def _broadcast(self, params: Params) -> Result:
        channels, what = params.get("channels"), outgoing(params)
        if not channels:
            raise ApiError(BAD_REQUEST, "channels are missing")
        responses, resting = [], Resting()
        for channel in channels:
            await resting.rest()
            try:
                if not channel:
                    raise ApiError(BAD_REQUEST, "a channel without a name")
                self._check_channel(channel)
                responses.append({"result": await self._publish_to(channel, what, params)})
            except ApiError as exc:
                responses.append({"error": exc.as_json()})
        return {"responses": responses}

    async def _publish_to(self, channel: str, what: Outgoing, params: Params) -> Result:
        if params.get("skip_history") and self._operated.remembers(channel):
            raise ApiError(
                NOT_AVAILABLE, "skip_history: every message of a channel with history is kept"
            )
        key = params.get("idempotency_key", "")
        position = await self._operated.publish(channel, what, f"centrifugo:{key}" if key else "")
        return position._asdict() if position.epoch else {}

    # Connections.

    async def _subscribe(self, params: Params) -> Result:
        failed = await self._each("subscribe", _who(params), params["channel"])
        if failed:
            raise ApiError(LIMIT_EXCEEDED, failed)
        return {}

    async def _unsubscribe(self, params: Params) -> Result:
        await self._each("unsubscribe", _who(params), params.get("channel", ""))
        return {}

    async def _disconnect(self, params: Params) -> Result:
        how = FORCED | params.get("disconnect", {})
        but = params.get("whitelist", [])
        await self._each("disconnect", _who(params), but, how["code"], how["reason"])
        return {}

    async def _refresh(self, params: Params) -> Result:
        info = b""
        if params.get("info") is not None:
            info = json.dumps(params["info"])
            try:
                checked_info(info)
            except ValueError as exc:
                raise ApiError(BAD_REQUEST, str(exc)) from None
        is_expired, expire_at = params.get("expired", False), params.get("expire_at", 0)
        await self._each("refresh", _who(params), is_expired, expire_at, info)
        return {}

    async def _each(self, call: str, *args: Any) -> str:
        """Do it in all processes; why it failed in one of them, or ""."""
        return next(filter(None, await self._operated.each(call, *args)), "")

    # Asking.

    async def _presence(self, params: Params) -> Result:
        _, members = await self._operated.presence(self._shown(params))
        return {
            "presence": {
                each.id: {
                    "client": each.id,
                    "user": each.user or "",
                    **({} if each.info is None else {"conn_info": each.info}),
                }
                for each in members
            }
        }

    async def _presence_stats(self, params: Params) -> Result:
        (clients, users), _ = await self._operated.presence(self._shown(params))
        return {"num_clients": clients, "num_users": users}

    def _shown(self, params: Params) -> str:
        channel: str = params["channel"]
        if not self._operated.shows(channel):
            raise ApiError(NOT_AVAILABLE, "this channel has no presence")
        return channel

    async def _history(self, params: Params) -> Result:
        channel = self._remembered(params)
        page = await self._operated.history(channel, Ask(limit=None if params.get("limit") else 0))
        publications = asked(page, params, self._most)
        return {"publications": publications, **page.position._asdict()}

    async def _history_remove(self, params: Params) -> Result:
        await self._operated.remove_history(self._remembered(params))
        return {}

    def _remembered(self, params: Params) -> str:
        channel: str = params["channel"]
        if not self._operated.remembers(channel):
            raise ApiError(NOT_AVAILABLE, "this channel has no history")
        return channel

    async def _channels(self, params: Params) -> Result:
        matches = matcher(params.get("pattern", ""))
        sizes = await self._operated.rooms()
        return {
            "channels": {
                name: {"num_clients": size}
                for name, size in sizes.items()
                if size and matches(name)
            }
        }

    async def _info(self, params: Params) -> Result:
        return {"nodes": await self._operated.each("node")}


def _who(params: Params) -> Who:
    return Who(params.get("user", ""), params.get("client", ""), params.get("session", ""))
