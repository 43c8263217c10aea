"""`glyph-fast check`: every error of Glyph programs, without serving them."""

from __future__ import annotations

import click

from ..glyph import check as checking
from . import LOAD_FAILED, Failure, why


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE.glyph…")
@click.option("--json", "as_json", is_flag=True, help="Write a JSON array, for editors.")
@click.pass_context
def check(ctx: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Report every error and warning of Glyph programs as file:line:column: message.

    The exit status is 1 when there are errors, 0 when there are at most warnings.
    """
    found, unread = checking.check_files(files)
    if as_json:
        click.echo(checking.as_json(found))
    elif found:
        click.echo(checking.as_text(found))
    if not as_json and len(unread) < len(files):
        click.echo(checking.summary(found), err=True)
    if unread:
        raise Failure("; ".join(map(_reason, unread)))
    ctx.exit(LOAD_FAILED if checking.has_errors(found) else 0)


def _reason(exc: OSError) -> str:
    return f"could not read {exc.filename}: {why(exc)}"
