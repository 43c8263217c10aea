"""Every server of the comparison: what it needs, how it is started, what it is called.

A server gets its port in the environment variable PORT (or as an argument) and is ready once it
accepts connections. All offer `/echo`, `/room/NAME` and `/idle`, as `servers/floor.c` says; some
`/json` and `/json-typed`, where an event is answered as `reply_json` does. One that speaks TLS
gets its certificate's files in TLS_CERT and TLS_KEY.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SERVERS = Path(__file__).parent / "servers"
ROOT = Path(__file__).parent.parent.parent
CACHE = Path(os.environ.get("GLYPH_FAST_RIVALS") or Path.home() / ".cache" / "glyph-fast-rivals")

PYTHON_PACKAGES = (
    "picows>=2.3,<3",
    "websockets>=17,<18",
    "aiohttp>=3.11",
    "uvicorn>=0.35",
    "httptools",
    "granian>=2.5",
    "socketify>=0.0.31",
    "uvloop>=0.21",
    "python-socketio>=5.11",  # this and the next two: what they cost at a broker, or as workers
    "channels-redis>=4.2",
    "hiredis>=3",
    "orjson>=3.10",  # of the JSON works
)
NODE_PACKAGES = ("bun", "ws", "bufferutil", "socket.io", "@socket.io/cluster-adapter")
GO_PACKAGES = ("golang-go", "golang-github-gorilla-websocket-dev")  # of Debian
GO_SOURCES = Path("/usr/share/gocode")


@dataclass(frozen=True)
class Rival:
    """A server to run. `command` is given the cache directory and the port."""

    name: str
    title: str
    command: Callable[[Path, int], list[str]]
    needs: str  # the part of the installation: c, python, node, bun, go, ours
    package: str = ""  # whose version to show
    environment: Mapping[str, str] = field(default_factory=dict)
    required: bool = False  # a comparison without it is none
    tls: bool = False


def _python(cache: Path) -> str:
    return str(cache / "python" / "bin" / "python")


def _script(name: str) -> Callable[[Path, int], list[str]]:
    return lambda cache, port: [_python(cache), str(SERVERS / name)]


def _floor(how: str) -> Callable[[Path, int], list[str]]:
    return lambda cache, port: [str(cache / "bin" / "floor"), how]


def _floor_tls(cache: Path, port: int) -> list[str]:
    return [str(cache / "bin" / "floor-tls"), "turn"]


def certificate(cache: Path) -> tuple[Path, Path]:
    """The files of the certificate of servers that speak TLS, and of its key."""
    return cache / "tls" / "cert.pem", cache / "tls" / "key.pem"


def _uvicorn(cache: Path, port: int) -> list[str]:
    return [
        *(_python(cache), "-m", "uvicorn", "asgi_app:app", "--app-dir", str(SERVERS)),
        *("--ws", "websockets-sansio", "--loop", "uvloop", "--http", "httptools"),
        *("--host", "127.0.0.1", "--port", str(port), "--backlog", "4096"),
    ]


def _granian(cache: Path, port: int) -> list[str]:
    return [
        *(_python(cache), "-m", "granian", "rsgi_app:app", "--working-dir", str(SERVERS)),
        *("--interface", "rsgi", "--ws", "--loop", "uvloop", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port), "--backlog", "4096"),
    ]


def _bun(cache: Path, port: int) -> list[str]:
    return [str(cache / "node" / "node_modules" / ".bin" / "bun"), str(SERVERS / "bun_server.js")]


def _node(cache: Path, port: int) -> list[str]:
    return [shutil.which("node") or "node", str(SERVERS / "ws_server.js")]


def _gorilla(cache: Path, port: int) -> list[str]:
    return [str(cache / "bin" / "gorilla")]


def _ours(*options: str) -> Callable[[Path, int], list[str]]:
    def command(cache: Path, port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "glyph_fast", "serve", "bench.rivals.servers.ours:server"),
            *("--host", "127.0.0.1", "--port", str(port), *options),
        ]

    return command


def _ours_tls(*options: str) -> Callable[[Path, int], list[str]]:
    def command(cache: Path, port: int) -> list[str]:
        cert, key = map(str, certificate(cache))
        return _ours(*options, "--tls-cert", cert, "--tls-key", key)(cache, port)

    return command


_OURS = {"PYTHONPATH": str(ROOT)}

RIVALS = (
    Rival("floor-each", "C floor, a send each", _floor("each"), "c", required=True),
    Rival("floor-turn", "C floor, a send per turn", _floor("turn"), "c", required=True),
    Rival(
        "glyph-fast",
        "glyph-fast",
        _ours("--core", "compiled", "--engine", "native"),
        "ours",
        environment={**_OURS, "GLYPH_FAST_CORE": "compiled"},
        required=True,
    ),
    Rival(
        "glyph-fast-asyncio",
        "glyph-fast, asyncio engine",
        _ours("--core", "compiled", "--engine", "asyncio"),
        "ours",
        environment={**_OURS, "GLYPH_FAST_CORE": "compiled"},
    ),
    Rival(
        "glyph-fast-python",
        "glyph-fast, pure Python core",
        _ours("--core", "python", "--engine", "asyncio"),
        "ours",
        environment={**_OURS, "GLYPH_FAST_CORE": "python"},
    ),
    Rival("bun", "Bun (uWebSockets)", _bun, "bun", "bun", required=True),
    Rival(
        "socketify",
        "socketify (uWebSockets)",
        _script("socketify_server.py"),
        "python",
        "socketify",
    ),
    Rival("picows", "picows", _script("picows_server.py"), "python", "picows", required=True),
    Rival(
        "websockets",
        "websockets",
        _script("websockets_server.py"),
        "python",
        "websockets",
        required=True,
    ),
    Rival("aiohttp", "aiohttp", _script("aiohttp_server.py"), "python", "aiohttp"),
    Rival("uvicorn", "uvicorn (websockets-sansio)", _uvicorn, "python", "uvicorn"),
    Rival("granian", "granian (RSGI)", _granian, "python", "granian"),
    Rival("ws", "ws on Node", _node, "node", "ws"),
    Rival(
        "gorilla",
        "gorilla/websocket",
        _gorilla,
        "go",
        "gorilla",
        environment={"GOMAXPROCS": "1"},
        required=True,
    ),
)

TLS_RIVALS = (
    Rival(
        "floor-tls",
        "C floor with OpenSSL",
        _floor_tls,
        "openssl",
        "openssl",
        required=True,
        tls=True,
    ),
    Rival(
        "glyph-fast-tls",
        "glyph-fast",
        _ours_tls("--core", "compiled", "--engine", "native"),
        "ours",
        environment={**_OURS, "GLYPH_FAST_CORE": "compiled"},
        required=True,
        tls=True,
    ),
    Rival(
        "glyph-fast-tls-asyncio",
        "glyph-fast, asyncio engine",
        _ours_tls("--core", "compiled", "--engine", "asyncio"),
        "ours",
        environment={**_OURS, "GLYPH_FAST_CORE": "compiled"},
        tls=True,
    ),
    Rival("bun-tls", "Bun (uWebSockets, BoringSSL)", _bun, "bun", "bun", tls=True),
    Rival("picows-tls", "picows (ssl)", _script("picows_server.py"), "python", "picows", tls=True),
)

BY_NAME = {rival.name: rival for rival in RIVALS + TLS_RIVALS}
