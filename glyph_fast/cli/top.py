"""`glyph-fast top`: the figures of a running server, in the terminal.

Reads `/stats` of its operators' port again and again; what it shows of a second is the difference
between two answers, so it does not depend on who else asks.
"""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import click
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from .. import json
from ..urls import is_sound_url
from . import Failure, is_terminal, why

TIMEOUT_S = 5.0
ROOMS = 8  # that are listed

Figures = Mapping[str, Any]


class NoAnswer(Failure):
    """Nobody answers; after a restart somebody may again."""


class Server:
    """An operators' port as a source of figures. Raises Failure where there is none."""

    def __init__(self, url: str, token: str | None) -> None:
        full = url if "//" in url else f"http://{url}"
        if not is_sound_url(full, ("http", "https")):
            raise click.BadParameter(f"expected a URL such as http://127.0.0.1:9090, found {url!r}")
        parts = urlsplit(full)
        if token is not None and not (token.isascii() and token.isprintable()):
            raise click.BadParameter("--token: expected visible ASCII characters")
        self._netloc = parts.netloc.rpartition("@")[2]
        self._kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def figures(self) -> Figures:
        """What `/stats` says now."""
        connection = self._kind(self._netloc, timeout=TIMEOUT_S)
        try:
            connection.request("GET", "/stats", headers=self._headers)
            answer = connection.getresponse()
            body = answer.read()
        except OSError as exc:
            raise NoAnswer(f"no answer from {self._netloc}: {why(exc)}") from exc
        except http.client.HTTPException as exc:
            raise NoAnswer(f"{self._netloc} does not answer as HTTP: {exc!r}") from exc
        finally:
            connection.close()
        if answer.status == 401 and self._headers:
            raise Failure(f"{self._netloc} refuses this token")
        if answer.status == 401:
            raise Failure(f"{self._netloc} wants a token: --token, or GLYPH_FAST_ADMIN_TOKEN")
        try:
            figures = json.loads(body)
        except ValueError:
            figures = None
        if answer.status == 403 and isinstance(figures, dict) and "error" in figures:
            raise Failure(f"{self._netloc} refuses: {figures['error']}")
        if answer.status != 200 or not isinstance(figures, dict) or "connections" not in figures:
            raise Failure(f"{self._netloc} is no operators' port of glyph-fast ({answer.status})")
        return figures


def render(now: Figures, before: Figures | None) -> RenderableType:
    """One screen. Without figures from before, rates are the server's own."""
    title = f"glyph-fast {now['version']} · {now['core']} · {now['engine']}"
    title += f" · up {now['uptime_seconds']:,.0f} s"
    panels = [_panel("Now", _now(now, before)), _panel("Times", _times(now))]
    if now["room_members"]:
        panels.append(_panel("Largest rooms", _rooms(now)))
    if now["slowest_consumers"]:
        panels.append(_panel("Slowest consumers", _slowest(now)))
    if now["recent_errors"]:
        panels.append(_panel("Errors of handlers", _errors(now)))
    return Group(Text(title, style="bold"), Columns(panels))


def rates(now: Figures, before: Figures | None) -> dict[str, float]:
    """Messages and bytes per second between two answers of one run of the server."""
    names = ("messages_received", "messages_sent", "bytes_received", "bytes_sent")
    seconds = 0.0 if before is None else now["uptime_seconds"] - before["uptime_seconds"]
    if before is None or seconds <= 0:  # the first answer, or of a server that was restarted
        return {name: now["rates"][name] for name in names}
    return {name: (now[name] - before[name]) / seconds for name in names}


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
    ):
        is_bad = name in ("dropped", "handler errors") and value != "0"
        table.add_row(name, Text(value, style="red" if is_bad else ""))
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
    for name, members in list(now["room_members"].items())[:ROOMS]:
        table.add_row(Text(name), f"{members:,}")
    return table


def _slowest(now: Figures) -> Table:
    table = _rows("connection", "from", "queued", "dropped")
    for each in now["slowest_consumers"]:
        table.add_row(
            each["connection"][:12],
            Text(each["remote"] or "local"),
            size(each["queued_bytes"]),
            f"{each['messages_dropped']:,}",
        )
    return table


def _errors(now: Figures) -> Table:
    table = _rows("handler", "exception", "times")
    for each in now["recent_errors"]:
        table.add_row(Text(each["handler"]), Text(each["exception"]), f"{each['count']:,}")
    return table


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
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    help="Seconds between two looks.",
)
@click.option("--once", is_flag=True, help="Show one screen and end, as without a terminal.")
def top(url: str, token: str | None, interval: float, once: bool) -> None:
    """Show the figures of a server: URL is its operators' port, http://127.0.0.1:9090."""
    server = Server(url, token)
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
                notice = Text(f"{exc}; these figures are old", style="bold red")
                live.update(Group(notice, render(now, None)), refresh=True)
