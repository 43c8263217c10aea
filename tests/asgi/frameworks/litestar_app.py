"""Litestar: the sample application of test_frameworks.py."""

from litestar import Litestar, Request, get, post, websocket_listener
from litestar.config.cors import CORSConfig


@get("/healthz", sync_to_thread=False)
def health() -> dict[str, str]:
    return {"status": "own"}


@get("/sync", sync_to_thread=True)
def in_a_thread() -> dict[str, bool]:
    return {"thread": True}


@post("/upload", status_code=200, request_max_body_size=None)
async def upload(request: Request) -> dict[str, int]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return {"size": size}


@websocket_listener("/socket")
async def socket(data: str) -> str:
    return data


app = Litestar(
    [health, in_a_thread, upload, socket],
    cors_config=CORSConfig(allow_origins=["https://page.example"]),
)
