"""The messages of the protocol: the fields of each, with number and type.

A type is a scalar of Protocol Buffers or the name of a message; `[]` before it means many, `{}` a
map of them by text. Fields that only the server of others sends are left out, and filters: a frame
may hold so many that reading them would hold up everybody. Both wire formats follow from this
table.
"""

from __future__ import annotations

from collections.abc import Mapping

Fields = Mapping[str, tuple[int, str]]


def _fields(text: str) -> Fields:
    """Fields as `name number type`, with commas between them."""
    found = [each.split() for each in text.split(",")]
    return {name: (int(number), type_) for name, number, type_ in found}


# What clients send, in the order in which the first that is set counts.
COMMANDS = (
    "connect", "subscribe", "unsubscribe", "publish", "presence", "presence_stats", "history",
    "ping", "send", "rpc", "refresh", "sub_refresh",
)  # fmt: skip

MESSAGES: Mapping[str, Fields] = {
    "Error": _fields("code 1 uint32, message 2 string, temporary 3 bool"),
    "Command": _fields(
        "id 1 uint32, connect 4 ConnectRequest, subscribe 5 SubscribeRequest,"
        "unsubscribe 6 UnsubscribeRequest, publish 7 PublishRequest, presence 8 PresenceRequest,"
        "presence_stats 9 PresenceStatsRequest, history 10 HistoryRequest, ping 11 PingRequest,"
        "send 12 SendRequest, rpc 13 RPCRequest, refresh 14 RefreshRequest,"
        "sub_refresh 15 SubRefreshRequest"
    ),
    "Reply": _fields(
        "id 1 uint32, error 2 Error, push 4 Push, connect 5 ConnectResult,"
        "subscribe 6 SubscribeResult, unsubscribe 7 UnsubscribeResult, publish 8 PublishResult,"
        "presence 9 PresenceResult, presence_stats 10 PresenceStatsResult,"
        "history 11 HistoryResult, ping 12 PingResult, rpc 13 RPCResult, refresh 14 RefreshResult,"
        "sub_refresh 15 SubRefreshResult"
    ),
    "Push": _fields(
        "id 1 int64, channel 2 string, pub 4 Publication, join 5 Join, leave 6 Leave,"
        "unsubscribe 7 Unsubscribe, message 8 Message, subscribe 9 Subscribe, connect 10 Connect,"
        "disconnect 11 Disconnect, refresh 12 Refresh"
    ),
    "ClientInfo": _fields("user 1 string, client 2 string, conn_info 3 bytes, chan_info 4 bytes"),
    "Publication": _fields(
        "data 4 bytes, info 5 ClientInfo, offset 6 uint64, tags 7 {}string, delta 8 bool,"
        "time 9 int64, channel 10 string"
    ),
    "Join": _fields("info 1 ClientInfo"),
    "Leave": _fields("info 1 ClientInfo"),
    "Unsubscribe": _fields("code 2 uint32, reason 3 string"),
    "Subscribe": _fields(
        "recoverable 1 bool, epoch 4 string, offset 5 uint64, positioned 6 bool, data 7 bytes"
    ),
    "Message": _fields("data 1 bytes"),
    "Connect": _fields(
        "client 1 string, version 2 string, data 3 bytes, subs 4 {}SubscribeResult,"
        "expires 5 bool, ttl 6 uint32, ping 7 uint32, pong 8 bool, session 9 string,"
        "node 10 string, time 11 int64"
    ),
    "Disconnect": _fields("code 1 uint32, reason 2 string, reconnect 3 bool"),
    "Refresh": _fields("expires 1 bool, ttl 2 uint32"),
    "ConnectRequest": _fields(
        "token 1 string, data 2 bytes, subs 3 {}SubscribeRequest, name 4 string,"
        "version 5 string, headers 6 {}string, flag 7 int64"
    ),
    "ConnectResult": _fields(
        "client 1 string, version 2 string, expires 3 bool, ttl 4 uint32, data 5 bytes,"
        "subs 6 {}SubscribeResult, ping 7 uint32, pong 8 bool, session 9 string, node 10 string,"
        "time 11 int64, flag 12 int64"
    ),
    "RefreshRequest": _fields("token 1 string"),
    "RefreshResult": _fields("client 1 string, version 2 string, expires 3 bool, ttl 4 uint32"),
    "SubscribeRequest": _fields(
        "channel 1 string, token 2 string, recover 3 bool, epoch 6 string, offset 7 uint64,"
        "data 8 bytes, positioned 9 bool, recoverable 10 bool, join_leave 11 bool,"
        "delta 12 string, flag 14 int64, type 15 int32, phase 16 int32,"
        "cursor 17 string, limit 18 int32, asc 19 bool"
    ),
    "SubscribeResult": _fields(
        "expires 1 bool, ttl 2 uint32, recoverable 3 bool, epoch 6 string,"
        "publications 7 []Publication, recovered 8 bool, offset 9 uint64, positioned 10 bool,"
        "data 11 bytes, was_recovering 12 bool, delta 13 bool"
    ),
    "SubRefreshRequest": _fields("channel 1 string, token 2 string"),
    "SubRefreshResult": _fields("expires 1 bool, ttl 2 uint32"),
    "UnsubscribeRequest": _fields("channel 1 string"),
    "UnsubscribeResult": {},
    "PublishRequest": _fields(
        "channel 1 string, data 2 bytes, type 3 int32, key 4 string, removed 5 bool"
    ),
    "PublishResult": {},
    "PresenceRequest": _fields("channel 1 string"),
    "PresenceResult": _fields("presence 1 {}ClientInfo"),
    "PresenceStatsRequest": _fields("channel 1 string"),
    "PresenceStatsResult": _fields("num_clients 1 uint32, num_users 2 uint32"),
    "StreamPosition": _fields("offset 1 uint64, epoch 2 string"),
    "HistoryRequest": _fields(
        "channel 1 string, limit 7 int32, since 8 StreamPosition, reverse 9 bool"
    ),
    "HistoryResult": _fields("publications 1 []Publication, epoch 2 string, offset 3 uint64"),
    "PingRequest": {},
    "PingResult": {},
    "SendRequest": _fields("data 1 bytes"),
    "RPCRequest": _fields("data 1 bytes, method 2 string"),
    "RPCResult": _fields("data 1 bytes"),
    "EmulationRequest": _fields("node 1 string, session 2 string, data 3 bytes"),
}
