"""The view on the terminal: progress while it runs, a table when it is done."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from .comparison import CAUTION, Comparison
from .meter import Usage
from .options import Options
from .report import Report

_REDRAW = 0.25  # seconds; drawing is done by the process that makes the load


class Live:
    """A progress line on stderr, redrawn four times a second."""

    def __init__(self, options: Options) -> None:
        self._next = 0.0
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[what]}", markup=False),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[figures]}"),
            console=Console(stderr=True),
            auto_refresh=False,
        )
        self._task = self._progress.add_task(
            "",
            total=1.0,
            figures="opening connections",
            what=f"{options.mode} {options.place.text}",
        )

    def __enter__(self) -> Live:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def update(self, share: float, count: int, usage: Usage) -> None:
        """Show how far the run is."""
        now = time.monotonic()
        if now < self._next and share < 1:
            return
        self._next = now + _REDRAW
        figures = f"{count / max(usage.seconds, 1e-9):,.0f}/s"
        if usage.server_ns is not None and count:
            figures += f"  {usage.server_ns / 1e3 / count:.2f} µs of server CPU each"
        figures += f"  client {usage.client_busy:.0%}"
        if usage.server_busy is not None:
            figures += f" server {usage.server_busy:.0%}"
        self._progress.update(self._task, completed=min(share, 1.0), figures=figures, refresh=True)


def print_summary(
    report: Report, console: Console | None = None, *, earlier: Comparison | None = None
) -> None:
    """Print the report as a table, and one of what changed since an earlier run."""
    options = report.options
    shape = f"{options.connections:,} connections, {options.in_flight} in flight"
    if options.mode not in ("connect",):
        shape += f", {options.size:,} B {'binary' if options.binary else 'text'}"
    table = Table(title=f"{options.mode}: {shape}", show_header=False, title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for label, value in report.rows():
        table.add_row(label, value)
    console = console or Console()
    console.print(table)
    if earlier is None:
        return
    table = Table("", "now", f"{earlier.taken_at} UTC", "change", title="Compared")
    for row in earlier.rows(report):
        table.add_row(*row)
    console.print(table)
    if different := earlier.differences(report):
        console.print(f"The runs differ in {', '.join(different)}.", markup=False)
    console.print(CAUTION, markup=False)
