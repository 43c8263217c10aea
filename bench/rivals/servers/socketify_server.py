"""uWebSockets under Python, by socketify.

Its `publish` reaches the publisher too; the client passes over messages of its own.
"""

from __future__ import annotations

import os
from typing import Any

from socketify import App

LIMITS = {"max_payload_length": 16 * 1024 * 1024, "max_backpressure": 16 * 1024 * 1024}


def upgrade(res: Any, req: Any, context: Any) -> None:
    res.upgrade(
        req.get_header("sec-websocket-key"),
        req.get_header("sec-websocket-protocol"),
        req.get_header("sec-websocket-extensions"),
        context,
        req.get_parameter(0),
    )


def echo(ws: Any, message: Any, opcode: Any) -> None:
    ws.send(message, opcode)


def join(ws: Any) -> None:
    ws.subscribe(ws.get_user_data())


def publish(ws: Any, message: Any, opcode: Any) -> None:
    ws.publish(ws.get_user_data(), message, opcode)


def ignore(ws: Any, message: Any, opcode: Any) -> None:
    pass


app = App(websocket_factory_max_items=16_384)
app.ws("/echo", {**LIMITS, "message": echo})
app.ws("/room/:name", {**LIMITS, "upgrade": upgrade, "open": join, "message": publish})
app.ws("/idle", {**LIMITS, "message": ignore})
app.listen({"host": "127.0.0.1", "port": int(os.environ["PORT"])}, lambda config: None)
app.run()
