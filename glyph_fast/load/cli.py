"""The command: options in, progress, a table, and the files asked for."""

from __future__ import annotations

import json
import os
import select
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from ..errors import needs
from ..logs import visible
from .comparison import Comparison
from .machine import own_command
from .opening import OpeningFailed
from .options import MODES, Options
from .page import render_page
from .report import Report
from .runner import run
from .steady import Progress
from .swarm import LoadError


def _report_path(ctx: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file that cannot be written before the run rather than after it."""
    if path is None or str(path) == "-":
        return path
    place = path if path.exists() else path.parent
    if path.is_dir() or not place.exists() or not os.access(place, os.W_OK):
        raise click.BadParameter(f"{path} cannot be written")
    return path


@click.command()
@click.argument("url")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default="echo",
    show_default=True,
    help="What is done; see above.",
)
@click.option(
    "-c",
    "--connections",
    type=int,
    default=64,
    show_default=True,
    help="Echoing connections, members of the room, or connections to open.",
)
@click.option(
    "--publishers",
    type=int,
    default=1,
    show_default=True,
    help="fan-out: publishing connections, besides the members.",
)
@click.option(
    "--rooms",
    type=int,
    default=1,
    show_default=True,
    help="Spread over so many rooms; {} in the URL becomes the room's number.",
)
@click.option(
    "-p",
    "--in-flight",
    type=int,
    default=1,
    show_default=True,
    help="Messages outstanding per connection or publisher; connect: handshakes at once.",
)
@click.option("-s", "--size", type=int, default=64, show_default=True, help="Bytes per message.")
@click.option("--binary", is_flag=True, help="Binary messages instead of text.")
@click.option("--json-messages", is_flag=True, help="JSON objects instead of plain text.")
@click.option(
    "--event",
    metavar="NAME",
    default="",
    help="echo: envelopes of this event; each must be answered by one with the same data.",
)
@click.option(
    "--rate",
    type=float,
    default=0.0,
    help="Open loop: publish so many messages per second, whatever comes back.",
)
@click.option(
    "--stalled",
    type=float,
    default=0.0,
    help="Share of members that never read (mode stalled: 0.1).",
)
@click.option("-d", "--duration", type=float, default=5.0, show_default=True, help="Seconds.")
@click.option(
    "--warm-up", type=float, default=0.5, show_default=True, help="Seconds before counting."
)
@click.option(
    "--server-cpu",
    type=float,
    default=0.0,
    help="Go on until the server has used so many seconds of CPU.",
)
@click.option(
    "--max-duration",
    type=float,
    default=60.0,
    show_default=True,
    help="But not longer than this, in seconds.",
)
@click.option(
    "--hold",
    type=float,
    default=2.0,
    show_default=True,
    help="connect: seconds to watch the idle connections.",
)
@click.option("--browser-head", is_flag=True, help="Ask with a head as long as a browser's.")
@click.option(
    "--compression",
    is_flag=True,
    help="Compress, by permessage-deflate as browsers offer it; payloads are then words.",
)
@click.option("--ca", metavar="FILE", help="Trust these authorities (PEM) alone, for wss.")
@click.option("--insecure", is_flag=True, help="Trust any certificate, for wss.")
@click.option("--pid", type=int, help="The server's process, if it cannot be found by its port.")
@click.option(
    "--timeout",
    type=float,
    default=10.0,
    show_default=True,
    help="Seconds to wait for an answer before giving up.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path, allow_dash=True),
    callback=_report_path,
    help="Write the report as JSON; - for stdout.",
)
@click.option(
    "--html",
    "html_path",
    type=click.Path(path_type=Path),
    callback=_report_path,
    help="Write the report as a page with plots.",
)
@click.option(
    "--compare",
    "compare_path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Show an earlier run, its --json file, beside this one.",
)
@click.option(
    "--progress/--no-progress",
    default=None,
    help="Show progress (default: when stderr is a terminal).",
)
def bench(
    url: str,
    json_path: Path | None,
    html_path: Path | None,
    compare_path: Path | None,
    progress: bool | None,
    **values: Any,
) -> None:
    """Load the WebSocket server at URL (ws:// or wss://) and check every answer.

    What a server says by itself when connections open is passed over; what comes later must be an
    answer.

    \b
    echo      every message must come back
    fan-out   URL is a room: what one member sends, all others get
    connect   handshakes, then memory and CPU of idle connections
    churn     connect, say something, close, for ever
    stalled   fan-out with a tenth of the members never reading
    """
    if not hasattr(select, "epoll"):
        raise click.ClickException("the load generator needs Linux")
    try:
        options = Options(url=url, **values)
    except ValueError as exc:
        raise click.UsageError(str(exc)) from None
    earlier = _earlier(compare_path)
    is_summed_up = json_path is None or str(json_path) != "-"
    if progress is None:
        progress = _is_terminal() and (is_summed_up or find_spec("rich") is not None)
    drawn = _drawing() if progress or is_summed_up else None
    if drawn is None or not progress:
        report = _run(options, None)
    else:
        with drawn.Live(options) as live:
            report = _run(options, live.update)
    report.command = own_command(url, options.place.text)
    _write(report, json_path, html_path, earlier)
    if is_summed_up and drawn is not None:
        drawn.print_summary(report, earlier=earlier)


def _earlier(path: Path | None) -> Comparison | None:
    try:
        return None if path is None else Comparison.from_file(path)
    except (OSError, ValueError):
        raise click.UsageError(f"--compare: {path} is not the JSON of a run") from None


def _write(
    report: Report, json_path: Path | None, html_path: Path | None, earlier: Comparison | None
) -> None:
    try:
        write_report(report, json_path, html_path, earlier)
    except BrokenPipeError:  # of the reader of stdout; the command line knows what to do
        raise
    except OSError as exc:  # the disk is full, say
        raise click.ClickException(f"{exc.filename or 'report'}: {exc.strerror}") from None


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _drawing() -> ModuleType:
    """Load what draws on a terminal. Raises UsageError where its package is missing."""
    try:
        from . import live
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] != "rich":
            raise
        raise click.UsageError(needs("glyph-fast bench", "rich", "tools")) from None
    return live


def _run(options: Options, shown: Progress | None) -> Report:
    try:
        return run(options, shown)
    except (LoadError, OpeningFailed, ProcessLookupError) as exc:
        raise click.ClickException(visible(str(exc))) from None
    except ValueError as exc:  # what only the mode can know to mean nothing
        raise click.UsageError(str(exc)) from None
    except OSError as exc:
        why = (exc.strerror or str(exc)).lower()
        raise click.ClickException(f"{options.host}:{options.port}: {why}") from None


def write_report(
    report: Report,
    json_path: Path | None,
    html_path: Path | None,
    earlier: Comparison | None = None,
) -> None:
    """Write the files that were asked for; `-` is stdout."""
    if json_path is not None:
        text = json.dumps(report.to_dict(), indent=1) + "\n"
        if str(json_path) == "-":
            click.echo(text, nl=False)
        else:
            json_path.write_text(text)
    if html_path is not None:
        html_path.write_text(render_page(report, earlier))
