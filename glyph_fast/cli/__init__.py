"""The command `glyph-fast`: one module per subcommand, loaded when it is called.

What goes wrong through no fault of ours is one line on stderr and an exit status, never a
traceback of this program.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TextIO

import click

from ..errors import ConfigError

PROGRAM = "glyph-fast"

# Exit statuses
LOAD_FAILED = 1  # the program to serve
BAD_USAGE = 2
NOT_LISTENING = 3
INTERRUPTED = 130  # 128 + SIGINT, before the server handles signals itself

# name: the module, seen from this package, and the command in it; the line of `glyph-fast --help`
COMMANDS = {
    "serve": (".serve:serve", "Serve a program, a Glyph file or the bundled chat."),
    "check": (".check:check", "Report every error of Glyph programs."),
    "fmt": (".fmt:fmt", "Rewrite Glyph programs in the one layout."),
    "routes": (".routes:routes", "List the routes of a program and their handlers."),
    "top": (".top:top", "Show the figures of a running server."),
    "connect": (".connect:connect", "Talk to a WebSocket server: type lines, see frames."),
    "bench": ("..load.cli:bench", "Load a WebSocket server and check every answer."),
}


class Failure(Exception):
    """A command cannot do its work: a line for the user and the exit status."""

    def __init__(self, message: str, status: int = LOAD_FAILED) -> None:
        super().__init__(message)
        self.status = status


class _LazyGroup(click.Group):
    """The subcommands of `COMMANDS`. `--help` and `--version` load none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module, __name__), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from .parts import version_line

        click.echo(version_line())
        ctx.exit()


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show version, core, engine and loop.",
)
@click.pass_context
def command(ctx: click.Context) -> None:
    """A real-time WebSocket server: rooms, broadcast, handlers and a compiled core."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        ctx.exit(BAD_USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process unless given) and return its exit status."""
    try:
        status = command.main(arguments, prog_name=PROGRAM, standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except Failure as exc:
        return complain(str(exc), exc.status)
    except ConfigError as exc:
        return complain(str(exc), BAD_USAGE)
    except click.ClickException as exc:
        return complain(exc.format_message(), exc.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has enough; click says 1 as well
        silence_stdout()
        return 1


def complain(message: str, status: int) -> int:
    """Write one line to stderr and return `status`."""
    click.echo(f"{PROGRAM}: {' '.join(message.split())}", err=True)
    return status


def why(exc: OSError) -> str:
    """The system's word for the error, without what the loop adds to it."""
    from ssl import SSLError  # takes a while to load; its numbers are not the system's

    text = exc.strerror or str(exc) or "timed out"
    if isinstance(exc, SSLError):
        return text
    return (os.strerror(exc.errno or 0) if exc.errno in errno.errorcode else text).lower()


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person is there; a process started without the stream has None."""
    return stream is not None and stream.isatty()


def silence_stdout() -> None:
    """Send what is still to be written nowhere; its reader is gone.

    Otherwise the interpreter would complain when it flushes stdout at exit.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
