"""Testing an application without a port: clients in the same process, and a clock that obeys.

    async with TestClient(server) as client:
        ws = await client.connect("/chat/lobby")
        await ws.send("hello")
        assert await ws.receive() == "hello"

`SyncTestClient` is the same without `await`. Not for production: import it from tests only.
"""

from .client import TestClient
from .http import Answer
from .sync import SyncTestClient, SyncWebSocket
from .websocket import TestWebSocket, UpgradeRefused

__all__ = [
    "Answer",
    "SyncTestClient",
    "SyncWebSocket",
    "TestClient",
    "TestWebSocket",
    "UpgradeRefused",
]
