"""What reads as `parsers.py` does, without a socket, so that one read can be counted and timed."""

from __future__ import annotations

from glyph_fast.opening.exchange import READING
from glyph_fast.options.config import Config
from tests.abuse.attacks import attacks
from tests.engine.desk import Desk

READ = 1 << 18  # bytes that one read takes


def desk() -> Desk:
    """An opening that reads what `parsers.py` reads."""

    def authenticate(request):
        request.cookies.get("session")
        request.query.get("token")

    async def size(request):
        return len(await request.body())

    config = Config(trusted_proxies=["192.0.2.7"], compression="dedicated", allowed_origins=["*"])
    it = Desk(config, authenticate=authenticate)
    it.websockets.add(None, "/ws", False)
    for method in READING:
        it.route(method, "/page", lambda request: "page")
    it.get("/query", lambda request: len(request.query))
    it.route("POST", "/body", size)
    return it


REQUESTS = [name for name in attacks() if "JSON" not in name and "frames" not in name]
