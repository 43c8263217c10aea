"""Starlette: the sample application of test_frameworks.py."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute


async def health(request):
    return JSONResponse({"status": "own"})


def in_a_thread(request):
    return JSONResponse({"thread": True})


async def upload(request):
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return JSONResponse({"size": size})


async def socket(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


class Passing(BaseHTTPMiddleware):
    """Runs the application in a task group, as this kind of middleware does."""

    async def dispatch(self, request, call_next):
        return await call_next(request)


app = Starlette(
    routes=[
        Route("/healthz", health),
        Route("/sync", in_a_thread),
        Route("/upload", upload, methods=["POST"]),
        WebSocketRoute("/socket", socket),
    ],
    middleware=[
        Middleware(Passing),
        Middleware(CORSMiddleware, allow_origins=["https://page.example"]),
    ],
)
