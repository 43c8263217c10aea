"""`glyph-fast connect`: type lines, see frames.

On a terminal lines are edited and remembered, below the frames that come meanwhile; from a pipe
each line is a message, and the frames that come go to stdout, one a line, so a script can read
them. What is no frame goes to stderr.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import click

from .. import json
from ..http.headers import TOKEN
from ..wire import ABNORMAL, NORMAL
from . import Failure, is_terminal, silence_stdout, why

DEFAULT_WAIT_S = 1.0
CLOSE_WAIT_S = 5.0  # for the answer to a close frame
MAX_ANSWER = 200  # characters of a refusal's body that are shown


class Screen:
    """Writes frames for people on a terminal, and bare payloads into a pipe."""

    def __init__(self, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._is_coloured = is_terminal and not os.environ.get("NO_COLOR")

    def frame(self, kind: str, payload: bytes) -> None:
        """A message that came; binary ones are written in hexadecimal."""
        body = payload.hex(" ") if kind == "binary" else payload.decode(errors="replace")
        if not self._is_terminal:
            click.echo(body)
            return
        head = f"{datetime.now():%H:%M:%S.%f}"[:-3] + f" {kind} {len(payload)} B"
        # Not `click.echo`: what stands for stdout while a line is edited is unknown to it.
        print(self._dimmed(head), _visible(body), flush=True)

    def note(self, text: str) -> None:
        """Something that is no frame."""
        print(self._dimmed(_visible(text)), file=sys.stderr, flush=True)

    def _dimmed(self, text: str) -> str:
        return click.style(text, dim=True) if self._is_coloured else text


class Dialogue:
    """One connection, from the handshake to the close."""

    def __init__(self, screen: Screen, *, is_json: bool, wait: float) -> None:
        self._screen = screen
        self._is_json = is_json
        self._wait = wait
        self._ended = asyncio.Event()
        self._is_closing = False  # the close frame is ours
        self._is_unread = False  # whoever read our output has enough
        self.transport: Any = None
        self.close: tuple[int, str] | None = None  # what the peer's close frame said

    async def run(self, url: str, headers: Sequence[tuple[str, str]]) -> None:
        """Talk until either side has enough. Raises Failure when there is no connection."""
        picows = _picows()
        dialogue = self

        class Listener(picows.WSListener):  # type: ignore[name-defined,misc]
            def on_ws_connected(self, transport: Any) -> None:
                dialogue.transport = transport  # frames may come before `ws_connect` returns
                chosen = transport.response.headers.get("Sec-WebSocket-Protocol")
                with_it = f", subprotocol {chosen}" if chosen else ""
                dialogue._screen.note(f"connected to {url}{with_it}")

            def on_ws_frame(self, transport: Any, frame: Any) -> None:
                dialogue.received(picows, frame)

            def on_ws_disconnected(self, transport: Any) -> None:
                dialogue._ended.set()

        try:
            await picows.ws_connect(
                Listener, url, extra_headers=list(headers), enable_auto_pong=True
            )
        except (OSError, picows.WSError, ValueError, TimeoutError) as exc:
            raise Failure(f"cannot connect to {url}: {_refusal(exc)}") from exc
        if is_terminal(sys.stdin) and is_terminal(sys.stdout):
            await self._edit()
        else:
            loop = asyncio.get_running_loop()
            lines = threading.Thread(
                target=read_lines, args=(loop, self.typed, self.end), daemon=True
            )
            lines.start()
            await self._ended.wait()
        if self._is_unread:
            raise BrokenPipeError
        if self.close is None and not self._is_closing:
            raise Failure("the connection was lost")
        code, reason = self.close or (ABNORMAL, "")
        self._screen.note(f"closed with {code}" + (f": {reason}" if reason else ""))

    async def _edit(self) -> None:
        """Send lines that are edited on the terminal, until either side has enough."""
        editing = asyncio.create_task(edit_lines(self.typed))
        ended = asyncio.create_task(self._ended.wait())
        await asyncio.wait((editing, ended), return_when=asyncio.FIRST_COMPLETED)
        editing.cancel()
        with suppress(asyncio.CancelledError):
            await editing
        self.end()
        await ended

    def received(self, picows: Any, frame: Any) -> None:
        """A frame came."""
        kind = frame.msg_type
        if kind == picows.WSMsgType.CLOSE:
            self.close = (int(frame.get_close_code() or 1005), _text(frame.get_close_message()))
            self.transport.send_close(frame.get_close_code() or NORMAL)
            self.transport.disconnect()
        elif kind in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY):
            name = "text" if kind == picows.WSMsgType.TEXT else "binary"
            try:
                self._screen.frame(name, frame.get_payload_as_bytes())
            except BrokenPipeError:
                silence_stdout()
                self._is_unread = True
                self._close()

    def typed(self, line: str) -> None:
        """A line was typed: send it."""
        if self._is_json:
            try:
                json.loads(line)
            except ValueError as exc:
                self._screen.note(f"not sent, this is not JSON: {exc}")
                return
        try:
            payload = line.encode()
        except UnicodeEncodeError:
            self._screen.note("not sent, this is not UTF-8")
            return
        from picows import WSMsgType

        if not self._ended.is_set():
            self.transport.send(WSMsgType.TEXT, payload)

    def end(self) -> None:
        """There are no more lines: what is on its way may still come, then the close."""
        asyncio.get_running_loop().call_later(self._wait, self._close)

    def _close(self) -> None:
        if not self._is_closing and not self._ended.is_set():
            self._is_closing = True
            self.transport.send_close(NORMAL)
            asyncio.get_running_loop().call_later(CLOSE_WAIT_S, self.transport.disconnect)


async def edit_lines(typed: Callable[[str], object]) -> None:
    """Hand over each line that is typed, until Ctrl-D or Ctrl-C; frames are written above it."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    session: PromptSession[str] = PromptSession()
    with patch_stdout(raw=True), suppress(EOFError, KeyboardInterrupt):
        while True:
            typed(await session.prompt_async("> "))


def read_lines(
    loop: asyncio.AbstractEventLoop, typed: Callable[[str], object], end: Callable[[], object]
) -> None:
    """Hand each line of stdin to the loop; for a thread of its own, which may wait for ever."""
    with suppress(RuntimeError):  # the loop is closed: nobody wants more lines
        for line in () if sys.stdin is None else _lines(sys.stdin.fileno()):
            text = line.removesuffix(b"\r").decode(errors="surrogateescape")
            loop.call_soon_threadsafe(typed, text)
        loop.call_soon_threadsafe(end)


def _lines(descriptor: int) -> Iterator[bytes]:
    """The lines of a pipe, without their ends.

    Not read through `sys.stdin`: a thread that waits there holds its lock, and the interpreter,
    which needs that to end, aborts.
    """
    rest = b""
    while chunk := os.read(descriptor, 65536):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


def _visible(text: str) -> str:
    """`text` without what would command the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def _refusal(exc: Exception) -> str:
    """Why there is no connection; of a server that said no, what it said."""
    if isinstance(exc, OSError):
        return why(exc)
    response, body = getattr(exc, "response", None), getattr(exc, "raw_body", None)
    if response is None:
        return str(exc)
    said = _visible(_text(body).strip()[:MAX_ANSWER])
    return f"the server answered {int(response.status)}" + (f": {said}" if said else "")


def _picows() -> Any:
    try:
        import picows
    except ImportError as exc:
        raise Failure("connect needs picows, which is not installed here") from exc
    return picows


def _text(message: Any) -> str:
    if message is None:
        return ""
    return message if isinstance(message, str) else bytes(message).decode(errors="replace")


def _header(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> Any:
    pairs = [tuple(part.strip() for part in value.partition(":")[::2]) for value in values]
    if not all(TOKEN.fullmatch(name) and value.isprintable() and value for name, value in pairs):
        raise click.BadParameter("expected 'Name: value'")
    return pairs


@click.command()
@click.argument("url")
@click.option("--header", "-H", "headers", multiple=True, callback=_header, metavar="NAME:VALUE",
              help="Send a header with the handshake; may be repeated.")  # fmt: skip
@click.option("--origin", help="The Origin to claim.")
@click.option("--subprotocol", multiple=True, help="A subprotocol to offer; may be repeated.")
@click.option("--json", "is_json", is_flag=True, help="Send only lines that are JSON.")
@click.option("--wait", type=click.FloatRange(min=0), default=DEFAULT_WAIT_S, show_default=True,
              help="Seconds to go on listening after the last line.")  # fmt: skip
def connect(
    url: str,
    headers: Sequence[tuple[str, str]],
    origin: str | None,
    subprotocol: Sequence[str],
    is_json: bool,
    wait: float,
) -> None:
    """Talk to a WebSocket server: lines that are typed go out, frames that come are shown."""
    if not url.startswith(("ws://", "wss://")):
        raise click.BadParameter(f"expected a URL that begins with ws:// or wss://, found {url!r}")
    fields = list(headers)
    if origin is not None:
        fields.append(("Origin", origin))
    if subprotocol:
        fields.append(("Sec-WebSocket-Protocol", ", ".join(subprotocol)))

    async def talk() -> None:
        await Dialogue(Screen(is_terminal(sys.stdout)), is_json=is_json, wait=wait).run(url, fields)

    asyncio.run(talk())
