"""`glyph-fast fmt`: Glyph programs in the one layout."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from ..glyph.checks.modules import read_source
from ..glyph.serving.check import as_text
from ..glyph.syntax.diagnostics import Diagnostic
from ..glyph.syntax.format import CannotFormat, format_source
from . import LOAD_FAILED, Failure, say, shown, why


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE.glyph…")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; name what would change.")
@click.pass_context
def fmt(ctx: click.Context, files: tuple[str, ...], only_check: bool) -> None:
    """Rewrite Glyph programs in the one layout.

    A program with syntax errors is left as it is. The exit status is 1 when there was one, and
    with --check also when a file is laid out differently.
    """
    status = 0
    for file in files:
        path = Path(file)
        try:
            before, after = _formatted(path)
            if after != before and not only_check:
                _replace(path, after)
        except CannotFormat as exc:
            say(as_text(exc.diagnostics))
            status = LOAD_FAILED
        except OSError as exc:
            raise Failure(f"could not read or write {file}: {why(exc)}") from exc
        else:
            if after != before:
                click.echo(shown(f"{'would change' if only_check else 'changed'} {file}"))
                status = LOAD_FAILED if only_check else status
    ctx.exit(status)


def _formatted(path: Path) -> tuple[bytes, bytes]:
    """A file's bytes, and those it should have."""
    source = read_source(path, str(path))
    if isinstance(source, Diagnostic):
        raise CannotFormat([source])
    return path.read_bytes(), format_source(source).encode()


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that it is the old one or the new one, whatever happens in between."""
    target = path.resolve()
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(name, target.stat().st_mode & 0o7777)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
