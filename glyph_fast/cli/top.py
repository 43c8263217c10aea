"""`glyph-fast top`: the figures of a running server, in the terminal.

Reads `/stats` of its operators' port again and again; what it shows of a second is the difference
between two answers, so it does not depend on who else asks. What answers may be anything: an answer
has a deadline, a size and a shape, and no text of it reaches the terminal as a command.
"""

from __future__ import annotations

import http.client
import socket
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import SplitResult, unquote, urlsplit

import click
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .. import json
from ..engine.tls import client_context
from ..logs import visible
from ..urls import is_sound_url
from . import Failure, Seconds, is_terminal, why

TIMEOUT_S = 5.0  # for a whole answer
MAX_ANSWER = 16 * 1024 * 1024  # bytes
LISTED = 8  # rooms, consumers, errors
MOST_WORKERS = 64
MAX_NAME = 200  # characters of each
LONGEST_S = 86_400.0  # between two looks
_RATED = ("messages_received", "messages_sent", "bytes_received", "bytes_sent")

Figures = Mapping[str, Any]


class NoAnswer(Failure):
    """Nobody answers; after a restart somebody may again."""


class Server:
    """An operators' port as a source of figures. Raises Failure where there is none."""

    def __init__(
        self, url: str, token: str | None, *, ca: str | None = None, insecure: bool = False
    ) -> None:
        full = url if "//" in url else f"http://{url}"
        is_visible = full.isprintable() and full.isascii() and " " not in full
        if not is_visible or not is_sound_url(full, ("http", "https")):
            raise click.BadParameter(f"expected a URL such as http://127.0.0.1:9090, found {url!r}")
        parts = urlsplit(full)
        if token is not None and not (token.isascii() and token.isprintable()):
            raise click.BadParameter("--token: expected visible ASCII characters")
        self._netloc = parts.netloc.rpartition("@")[2]
        if (ca is not None or insecure) and parts.scheme != "https":
            raise click.UsageError("--ca and --insecure are for https://")
        self._tls = client_context(ca, insecure=insecure) if parts.scheme == "https" else None
        self._headers = _authorization(parts, token)

    def figures(self) -> Figures:
        """Fetch what `/stats` says now."""
        status, body = self._answer()
        if status == 401 and self._headers:
            raise Failure(f"{self._netloc} refuses this token")
        if status == 401:
            raise Failure(f"{self._netloc} wants a token: --token, or GLYPH_FAST_ADMIN_TOKEN")
        if status >= 500:  # of a proxy, as a rule, while the server restarts
            raise NoAnswer(f"{self._netloc} answers {status}")
        try:
            figures = json.loads(body)
        except (ValueError, RecursionError):
            figures = None
        if status == 403 and isinstance(figures, dict) and "error" in figures:
            raise Failure(f"{self._netloc} refuses: {str(figures['error'])[:MAX_NAME]}")
        if status != 200 or not _are_figures(figures):
            raise Failure(f"{self._netloc} is no operators' port of glyph-fast ({status})")
        return cast(Figures, figures)

    def _answer(self) -> tuple[int, bytes]:
        """Status and body of `/stats`, in time and of a size that can be."""
        connection = self._connection()
        is_done, is_late = threading.Event(), threading.Event()

        def end_late(sock: socket.socket) -> None:
            if not is_done.wait(TIMEOUT_S):
                is_late.set()
                with suppress(OSError):  # not that of TLS, which would wait
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

        try:
            connection.connect()
            # A time-out of sockets is for each wait, and there may be many.
            threading.Thread(target=end_late, args=(connection.sock,), daemon=True).start()
            connection.request("GET", "/stats", headers=self._headers)
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise NoAnswer(self._what_went_wrong(exc, is_late.is_set())) from exc
        finally:
            is_done.set()
            connection.close()
        if is_late.is_set():  # an answer without a length has then simply ended
            raise NoAnswer(self._what_went_wrong(TimeoutError(), True))
        if len(body) > MAX_ANSWER:
            raise Failure(f"{self._netloc} answers with more than {size(MAX_ANSWER)}")
        return answer.status, body

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._netloc, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(self._netloc, timeout=TIMEOUT_S, context=self._tls)

    def _what_went_wrong(self, exc: Exception, is_late: bool) -> str:
        if is_late:
            return f"no answer from {self._netloc}: not whole within {TIMEOUT_S:g} s"
        if isinstance(exc, http.client.RemoteDisconnected):
            return f"no answer from {self._netloc}: it closed the connection"
        if isinstance(exc, OSError):
            return f"no answer from {self._netloc}: {why(exc)}"
        return (
            f"{self._netloc} does not answer as HTTP: {str(exc)[:MAX_NAME] or type(exc).__name__}"
        )


def _authorization(parts: SplitResult, token: str | None) -> dict[str, str]:
    """The field that says who asks: the token, or the user of the URL, for a proxy before it."""
    if token is not None:
        return {"Authorization": f"Bearer {token}"}
    if parts.username is None:
        return {}
    user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": f"Basic {b64encode(user.encode()).decode()}"}


def _are_figures(figures: object) -> bool:
    """Return whether an answer has the shape that is shown."""
    if not isinstance(figures, dict):
        return False
    try:
        render(figures, None)
        return all(figures[name] + 0.0 >= 0 for name in (*_RATED, "uptime_seconds"))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        return False


def render(now: Figures, before: Figures | None) -> RenderableType:
    """One screen. Without figures from before, rates are the server's own."""
    what = f"glyph-fast {now['version']} · {now['core']} · {now['engine']}"
    title = Text(f"{_name(what)} · up {now['uptime_seconds']:,.0f} s", style="bold")
    panels = [_panel("Now", _now(now, before)), _panel("Times", _times(now))]
    panels.append(
        _panel("Process" if not now.get("workers") else "Processes", _process(now, before))
    )
    if now["room_members"]:
        panels.append(_panel("Largest rooms", _rooms(now)))
    if now["slowest_consumers"]:
        panels.append(_panel("Slowest consumers", _slowest(now)))
    if now.get("workers"):  # of a server of several processes
        panels.append(_panel("Workers", _workers(now)))
    if now["recent_errors"]:
        panels.append(_panel("Errors of handlers", _errors(now)))
    return Group(title, Columns(panels))


def rates(now: Figures, before: Figures | None) -> dict[str, float]:
    """Messages and bytes per second between two answers of one run of the server."""
    seconds = 0.0 if before is None else now["uptime_seconds"] - before["uptime_seconds"]
    if before is None or seconds <= 0:  # the first answer, or of a server that was restarted
        return {name: now["rates"][name] for name in _RATED}
    return {name: (now[name] - before[name]) / seconds for name in _RATED}


def _panel(title: str, table: Table) -> Panel:
    return Panel(table, title=title, title_align="left", border_style="dim")


def _rows(*columns: str) -> Table:
    table = Table(box=None, show_header=any(columns), padding=(0, 2, 0, 0), header_style="dim")
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    return table


def _now(now: Figures, before: Figures | None) -> Table:
    table, rate = _rows("", ""), rates(now, before)
    dropped = sum(now["messages_dropped"].values())
    for name, value in (
        ("connections", f"{now['connections']:,}"),
        ("messages in", f"{rate['messages_received']:,.0f}/s"),
        ("messages out", f"{rate['messages_sent']:,.0f}/s"),
        ("bytes in", f"{size(rate['bytes_received'])}/s"),
        ("bytes out", f"{size(rate['bytes_sent'])}/s"),
        ("queued", size(now["queue_bytes"])),
        ("dropped", f"{dropped:,}"),
        ("handler errors", f"{now['handler_errors']:,}"),
        ("rooms", f"{now['rooms']:,}"),
        ("remembered", f"{now['history_messages']:,} · {size(now['history_bytes'])}"),
        ("resumed", f"{now['resumes']['resumed']:,}, {now['resumes']['refused']:,} refused"),
        ("present", f"{now['presence_members']:,}"),
    ):
        is_bad = name in ("dropped", "handler errors") and value != "0"
        table.add_row(name, Text(value, style="red" if is_bad else ""))
    return table


def _process(now: Figures, before: Figures | None) -> Table:
    """Lay out what all processes cost; the files are those of the one nearest to its limit."""
    table, own = _rows("", ""), now["process"]
    used = own["cpu_seconds"]
    seconds = 0.0 if before is None else now["uptime_seconds"] - before["uptime_seconds"]
    if before is not None and seconds > 0:
        share = max(0.0, used - before["process"]["cpu_seconds"]) / seconds
        table.add_row("cpu", f"{share:.1%} of one")
    else:
        table.add_row("cpu time", f"{used:,.1f} s")
    table.add_row("memory", size(own["memory_bytes"]))
    most = own["max_files"]
    is_near = own["open_files"] > 0.8 * most > 0
    limit = f" of {most:,}" if most else ""
    table.add_row(
        "open files", Text(f"{own['open_files']:,}{limit}", style="red" if is_near else "")
    )
    table.add_row("loop late by", span(own["loop_lag_seconds"]))
    ago = now["last_drop_seconds"]
    table.add_row("last drop", "never" if ago is None else f"{span(ago)} ago")
    return table


def _times(now: Figures) -> Table:
    table = _rows("", "p50", "p95", "p99")
    for name in ("handler", "broadcast", "ping_rtt"):
        times = now[f"{name}_seconds"]
        shown = [span(times[share]) for share in ("p50", "p95", "p99")]
        table.add_row(name.replace("_rtt", ""), *(shown if times["count"] else ["–"] * 3))
    return table


def _rooms(now: Figures) -> Table:
    table = _rows("room", "members")
    for name, members in list(now["room_members"].items())[:LISTED]:
        table.add_row(_name(name), f"{members:,}")
    return table


def _slowest(now: Figures) -> Table:
    table = _rows("connection", "from", "queued", "dropped")
    for each in now["slowest_consumers"][:LISTED]:
        table.add_row(
            _name(each["connection"][:12]),
            _name(each["remote"] or "local"),
            size(each["queued_bytes"]),
            f"{each['messages_dropped']:,}",
        )
    return table


def _workers(now: Figures) -> Table:
    table = _rows("worker", "connections", "cpu", "memory", "files", "late by", "restarts")
    for each in now["workers"][:MOST_WORKERS]:
        table.add_row(
            f"{each['worker']:d}",
            f"{each['connections']:,}",
            f"{each['cpu_seconds']:,.1f} s",
            size(each["memory_bytes"]),
            f"{each['open_files']:,}",
            span(each["loop_lag_seconds"]),
            Text(f"{each['restarts']:,}", style="red" if each["restarts"] else ""),
        )
    return table


def _errors(now: Figures) -> Table:
    table = _rows("handler", "exception", "times")
    for each in now["recent_errors"][:LISTED]:
        raised = f"{each['exception']}: {each['text']}" if each["text"] else each["exception"]
        told = Text.assemble(_name(raised), "\n", (_name(each["where"]).plain, "dim"))
        table.add_row(_name(each["handler"]), told, f"{each['count']:,}")
    return table


def _name(name: str) -> Text:
    """Show a name that others have chosen, made harmless and short."""
    return Text(visible(name[:MAX_NAME]))


def size(nbytes: float) -> str:
    """Bytes for people: `512 B`, `1.5 KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"


def span(seconds: float) -> str:
    """A duration for people: `12 µs`, `1.5 ms`, `2 s`."""
    for factor, unit in ((1e6, "µs"), (1e3, "ms")):
        if seconds * factor < 1000:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


@click.command()
@click.argument("url")
@click.option(
    "--token",
    envvar="GLYPH_FAST_ADMIN_TOKEN",
    show_envvar=True,
    help="The token of the operators' port.",
)
@click.option(
    "--interval",
    type=Seconds(min=0.1, max=LONGEST_S),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--ca", metavar="FILE", help="Trust these authorities (PEM) alone, for https.")
@click.option("--insecure", is_flag=True, help="Trust any certificate, for https.")
@click.option("--once", is_flag=True, help="Show one screen and end, as without a terminal.")
def top(
    url: str, token: str | None, interval: float, ca: str | None, insecure: bool, once: bool
) -> None:
    """Show the figures of a server: URL is its operators' port, http://127.0.0.1:9090."""
    if ca is not None and insecure:
        raise click.UsageError("--ca and --insecure do not go together")
    server = Server(url, token, ca=ca, insecure=insecure)
    now = server.figures()
    if once or not is_terminal(sys.stdout):
        Console().print(render(now, None))
        return
    is_answered = True
    with Live(render(now, None), screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(interval)
            try:
                before, now = (now if is_answered else None), server.figures()
                is_answered = True
                live.update(render(now, before), refresh=True)
            except NoAnswer as exc:
                is_answered = False
                notice = Text(visible(f"{exc}; these figures are old"), style="bold red")
                live.update(Group(notice, render(now, None)), refresh=True)
