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
from importlib.util import find_spec
from typing import Any

import click

from .. import json
from ..engine.tls import client_context
from ..http.headers import TOKEN
from ..logs import visible
from ..options.readers import size
from ..urls import WebSocketUrl, websocket_url
from ..wire import ABNORMAL
from . import Failure, Seconds, is_terminal, lacking, silence_stdout
from .dialogue import Dialogue, Opening, open_dialogue

EDITOR = "prompt_toolkit"  # of lines on a terminal
DEFAULT_WAIT_S = 1.0
DEFAULT_TIMEOUT_S = 10.0
DEFAULT_MAX_SIZE = "64MiB"
READ_AHEAD = 1024 * 1024  # bytes of stdin, before the network has taken them
MAX_LINE = 64 * 1024 * 1024  # bytes of a line that is sent


class Screen:
    """Writes frames for people on a terminal, and bare payloads into a pipe."""

    def __init__(self, is_terminal: bool) -> None:
        self._is_terminal = is_terminal
        self._is_coloured = is_terminal and not os.environ.get("NO_COLOR")

    def frame(self, payload: str | bytes) -> None:
        """A message that came; binary ones are written in hexadecimal."""
        is_binary = isinstance(payload, bytes)
        body = payload.hex(" ") if isinstance(payload, bytes) else payload
        if not self._is_terminal:
            print(body, flush=True)  # as it came: `click.echo` would take parts out
            return
        nbytes = len(payload if isinstance(payload, bytes) else payload.encode())
        head = f"{datetime.now():%H:%M:%S.%f}"[:-3]
        head += f" {'binary' if is_binary else 'text'} {nbytes} B"
        # Not `click.echo`: what stands for stdout while a line is edited is unknown to it.
        print(self._dimmed(head), visible(body, keep="\n\t"), flush=True)

    def note(self, text: str) -> None:
        """Something that is no frame."""
        if sys.stderr is None:  # where `print` would take stdout
            return
        with suppress(OSError):  # it is full: the frames matter
            print(self._dimmed(visible(text)), file=sys.stderr, flush=True)

    def _dimmed(self, text: str) -> str:
        return click.style(text, dim=True) if self._is_coloured else text


class Conversation:
    """A dialogue with what is typed on one side, and a screen on the other."""

    def __init__(self, dialogue: Dialogue, screen: Screen, *, is_json: bool, wait: float) -> None:
        self._dialogue = dialogue
        self._screen = screen
        self._is_json = is_json
        self._wait = wait
        self._unwritten: OSError | Failure | None = None  # why nothing can be written any more
        dialogue.heard = self.heard

    async def run(self, first: bytes) -> None:
        """Talk until either side has enough. Raises Failure when the connection is lost."""
        listening = asyncio.create_task(self._dialogue.listen(first))
        try:
            if is_terminal(sys.stdin) and is_terminal(sys.stdout):
                await self._edit(listening)
            else:
                start_reading(self.typed, self._dialogue.drain, self.end)
            await listening
        finally:
            listening.cancel()
        if self._unwritten is not None:
            raise self._unwritten
        code, reason = self._dialogue.close_info or (ABNORMAL, "")
        if code == ABNORMAL and not self._dialogue.is_closing:
            raise Failure("the connection was lost")
        self._screen.note(f"closed with {code}" + (f": {reason}" if reason else ""))

    async def _edit(self, listening: asyncio.Task[None]) -> None:
        """Send lines that are edited on the terminal, until either side has enough."""
        editing = asyncio.create_task(edit_lines(self.typed))
        await asyncio.wait((editing, listening), return_when=asyncio.FIRST_COMPLETED)
        editing.cancel()
        with suppress(asyncio.CancelledError):
            await editing
        self.end()

    def heard(self, payload: str | bytes) -> None:
        """A message came."""
        if self._unwritten is None:
            try:
                self._screen.frame(payload)
            except OSError as exc:  # whoever read our output has enough, or the disk is full
                silence_stdout()
                self._unwritten = exc
                self._dialogue.close()
            except MemoryError:  # written out, a binary one has three times its size
                self._unwritten = Failure(f"no memory to show a message of {len(payload)} bytes")
                self._dialogue.close()

    def typed(self, line: str) -> None:
        """A line was typed: send it."""
        if self._is_json:
            try:
                json.loads(line)
            except ValueError as exc:
                self._screen.note(f"not sent, this is not JSON: {exc}")
                return
        try:
            line.encode()
        except UnicodeEncodeError:
            self._screen.note("not sent, this is not UTF-8")
            return
        if len(line) > MAX_LINE:
            self._screen.note(f"not sent, this line is longer than {MAX_LINE} bytes")
            return
        self._dialogue.send(line)

    def end(self) -> None:
        """There are no more lines: what is on its way may still come, then the close."""
        asyncio.get_running_loop().call_later(self._wait, self._dialogue.close)


async def edit_lines(typed: Callable[[str], object]) -> None:
    """Hand over each line that is typed, until Ctrl-D or Ctrl-C; frames are written above it."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    session: PromptSession[str] = PromptSession()
    with patch_stdout(raw=True), suppress(EOFError, KeyboardInterrupt):
        while True:
            typed(await session.prompt_async("> "))


def start_reading(
    typed: Callable[[str], object], drain: Callable[[], Any], end: Callable[[], object]
) -> None:
    """Hand each line of stdin to the running loop, in a thread of its own, which may wait for ever.

    What is read far ahead of the network waits for it: `drain` is a coroutine function.
    """
    loop = asyncio.get_running_loop()

    def wait(gate: threading.Event) -> None:
        asyncio.create_task(drain()).add_done_callback(lambda _: gate.set())

    def read() -> None:
        ahead = 0
        with suppress(RuntimeError, OSError):  # the loop is closed: nobody wants more lines
            for line in () if sys.stdin is None else _lines(sys.stdin.fileno()):
                text = line.removesuffix(b"\r").decode(errors="surrogateescape")
                loop.call_soon_threadsafe(typed, text)
                ahead += len(line)
                if ahead > READ_AHEAD:
                    gate = threading.Event()
                    loop.call_soon_threadsafe(wait, gate)
                    gate.wait()
                    ahead = 0
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(end)

    threading.Thread(target=read, daemon=True).start()


def _lines(descriptor: int) -> Iterator[bytes]:
    """The lines of a pipe, without their ends; of one beyond MAX_LINE the beginning.

    Not read through `sys.stdin`: a thread that waits there holds its lock, and the interpreter,
    which needs that to end, aborts.
    """
    line = bytearray()
    while chunk := os.read(descriptor, 65536):
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield bytes(line + end)
            line.clear()
        if len(line) <= MAX_LINE:
            line += rest
    if line:
        yield bytes(line)


def _header(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> Any:
    pairs = [tuple(part.strip() for part in value.partition(":")[::2]) for value in values]
    if not all(TOKEN.fullmatch(name) and value.isprintable() and value for name, value in pairs):
        raise click.BadParameter("expected 'Name: value'")
    return [(name, value.encode().decode("latin-1")) for name, value in pairs]  # sent as UTF-8


def _url(ctx: click.Context, param: click.Parameter, value: str) -> WebSocketUrl:
    try:
        return websocket_url(value)
    except ValueError as exc:
        raise click.BadParameter(str(exc)) from None


def _size(ctx: click.Context, param: click.Parameter, value: str) -> int:
    try:
        return int(size()(value))
    except ValueError as exc:
        raise click.BadParameter(f"expected {exc}, found {value!r}") from None


@click.command()
@click.argument("url", callback=_url)
@click.option("--header", "-H", "headers", multiple=True, callback=_header, metavar="NAME:VALUE",
              help="Send a header with the handshake; may be repeated.")  # fmt: skip
@click.option("--origin", help="The Origin to claim.")
@click.option("--subprotocol", "subprotocols", multiple=True,
              help="A subprotocol to offer; may be repeated.")  # fmt: skip
@click.option("--json", "is_json", is_flag=True, help="Send only lines that are JSON.")
@click.option("--wait", type=Seconds(min=0), default=DEFAULT_WAIT_S, show_default=True,
              help="Seconds to go on listening after the last line.")  # fmt: skip
@click.option("--timeout", type=Seconds(min=0, min_open=True), default=DEFAULT_TIMEOUT_S,
              show_default=True, help="Seconds for the connection to open.")  # fmt: skip
@click.option("--max-size", callback=_size, default=DEFAULT_MAX_SIZE, show_default=True,
              help="The largest message to take.")  # fmt: skip
@click.option("--ca", metavar="FILE", help="Trust these authorities (PEM) alone, for wss.")
@click.option("--insecure", is_flag=True, help="Trust any certificate, for wss.")
def connect(url: WebSocketUrl, is_json: bool, wait: float, **values: Any) -> None:
    """Talk to a WebSocket server: lines that are typed go out, frames that come are shown.

    The connection is direct, whatever proxy the environment names, and redirects are shown but not
    followed. A user in the URL (user:password@host) is sent as Basic authentication.
    """
    if is_terminal(sys.stdin) and is_terminal(sys.stdout) and not find_spec(EDITOR):
        raise lacking("connect", EDITOR)  # before anything is opened
    if is_terminal(sys.stdin) and is_terminal(sys.stdout) and find_spec(EDITOR) is None:
        raise lacking("connect", EDITOR)  # lines from a pipe need nothing
    ca, insecure = values.pop("ca"), values.pop("insecure")
    if ca is not None and insecure:
        raise click.UsageError("--ca and --insecure do not go together")
    if (ca is not None or insecure) and not url.is_secure:
        raise click.UsageError("--ca and --insecure are for wss://")
    tls = client_context(ca, insecure=insecure) if url.is_secure else None
    asyncio.run(_talk(Opening(url, tls=tls, **values), is_json=is_json, wait=wait))


async def _talk(opening: Opening, *, is_json: bool, wait: float) -> None:
    screen = Screen(is_terminal(sys.stdout))
    dialogue, first = await open_dialogue(opening)
    chosen = f", subprotocol {dialogue.subprotocol}" if dialogue.subprotocol else ""
    screen.note(f"connected to {opening.url.text}{chosen}")
    await Conversation(dialogue, screen, is_json=is_json, wait=wait).run(first)
