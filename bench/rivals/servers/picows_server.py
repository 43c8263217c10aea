"""picows on uvloop: listeners called straight from the protocol, payloads as memory views."""

from __future__ import annotations

import asyncio
import os
import ssl

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

ROOMS: dict[str, set[WSTransport]] = {}
DATA = (WSMsgType.TEXT, WSMsgType.BINARY)


class Idle(WSListener):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


class Echo(Idle):
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in DATA:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())
        else:
            super().on_ws_frame(transport, frame)


class Member(Idle):
    def __init__(self, name: str) -> None:
        self.name = name
        self.room = ROOMS.setdefault(name, set())

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.room.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type not in DATA:
            super().on_ws_frame(transport, frame)
            return
        kind, payload = frame.msg_type, frame.get_payload_as_bytes()
        for member in self.room:
            if member is not transport:
                member.send(kind, payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.room.discard(transport)
        if not self.room:
            ROOMS.pop(self.name, None)


def listener(request: WSUpgradeRequest) -> WSListener:
    path = request.path.decode()
    if path == "/echo":
        return Echo()
    if path.startswith("/room/"):
        return Member(path[len("/room/") :])
    return Idle()


async def main() -> None:
    port = int(os.environ["PORT"])
    tls = None
    if cert := os.environ.get("TLS_CERT"):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, os.environ["TLS_KEY"])
    server = await ws_create_server(listener, "127.0.0.1", port, backlog=4096, ssl=tls)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(main())
