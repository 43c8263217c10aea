"""`glyph-fast check`: every error of Glyph programs, without serving them."""

from __future__ import annotations

import os

import click

from ..errors import ConfigError
from ..glyph.serving import check as checking
from ..options.sources import load_config
from . import LOAD_FAILED, Failure, say, shown, why


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE.glyph…")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON array, for editors.")
@click.option(
    "--skip-unsupported", is_flag=True, help="Warn of what `serve --skip-unsupported` leaves out."
)
@click.pass_context
def check(
    ctx: click.Context, files: tuple[str, ...], as_json: bool, skip_unsupported: bool
) -> None:
    """Report every error and warning of Glyph programs as file:line:column: message.

    The exit status is 1 when there are errors, 0 when there are at most warnings.
    """
    skip_unsupported = skip_unsupported or _skips()
    found, unread = checking.check_files(files, skip_unsupported=skip_unsupported)
    if as_json:
        click.echo(checking.as_json(found))
    elif found:
        click.echo(shown(checking.as_text(found)))
    if not as_json and len(unread) < len(files):
        say(checking.summary(found))
    if unread:
        raise Failure("; ".join(map(_reason, unread)))
    ctx.exit(LOAD_FAILED if checking.has_errors(found) else 0)


def _skips() -> bool:
    """Return whether `serve` would skip by the environment or the file of options.

    What is wrong with other options there is no matter of a program's.
    """
    try:
        return load_config({}, os.environ).skip_unsupported
    except ConfigError:
        return False


def _reason(exc: OSError) -> str:
    return f"could not read {exc.filename}: {why(exc)}"
