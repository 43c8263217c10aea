"""The command `glyph-fast`: one module per subcommand, loaded when it is called.

What goes wrong through no fault of ours is one line on stderr and an exit status, never a
traceback of this program.
"""

from __future__ import annotations

import errno
import gc
import io
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TextIO

import click

from ..errors import ConfigError, needs
from ..logs import visible

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
    "asyncapi": (".asyncapi:asyncapi", "Describe a program's events and HTTP routes."),
    "top": (".top:top", "Show the figures of a running server."),
    "connect": (".connect:connect", "Talk to a WebSocket server: type lines, see frames."),
    "bench": ("..load.cli:bench", "Load a WebSocket server and check every answer."),
}

# Of the extra `tools`: module, package
TOOLS = {"rich": "rich", "prompt_toolkit": "prompt-toolkit"}


class Failure(Exception):
    """A command cannot do its work: a line for the user and the exit status."""

    def __init__(self, message: str, status: int = LOAD_FAILED) -> None:
        super().__init__(message)
        self.status = status


def lacking(command: str, module: str) -> Failure:
    """The failure of a command for which a module of the extra `tools` is not installed."""
    return Failure(needs(f"{PROGRAM} {command}", TOOLS[module], "tools"), BAD_USAGE)


class Seconds(click.FloatRange):
    """A number of seconds, which is neither infinite nor none at all."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number, in its range."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"expected a number of seconds, found {value}", param, ctx)
        return seconds


class _LazyGroup(click.Group):
    """The subcommands of `COMMANDS`. `--help` and `--version` load none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        try:
            with without_collecting():
                command: click.Command = getattr(import_module(module, __name__), attribute)
        except ModuleNotFoundError as exc:
            package = (exc.name or "").partition(".")[0]
            if package not in TOOLS:
                raise
            raise lacking(cmd_name, package) from None
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
        say(ctx.get_help())
        ctx.exit(BAD_USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process unless given) and return its exit status."""
    occupy_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        tolerate(stream)
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
    except OSError as exc:  # what a command does not expect to fail: writing, as a rule
        silence_stdout()
        return complain(f"{exc.filename or 'could not write the output'}: {why(exc)}", LOAD_FAILED)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Load modules without looking for garbage meanwhile: nearly all that they make stays."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def collect_nothing_loaded() -> None:
    """Have no collection look at what is there now, most of which stays until the end."""
    if hasattr(gc, "freeze"):  # not on PyPy
        gc.freeze()


def complain(message: str, status: int) -> int:
    """Write one line to stderr and return `status`."""
    say(f"{PROGRAM}: {' '.join(message.split())}")
    return status


def say(text: str) -> None:
    """Write lines to stderr. That it is closed or full is no reason to do anything else."""
    try:
        click.echo(shown(text), err=True)
    except OSError:
        silence(sys.stderr)


def shown(text: str) -> str:
    """Lines that hold what others wrote, without what would command a terminal."""
    return visible(text, keep="\n\t")


def occupy_standard_descriptors() -> None:
    """Open what was closed among stdin, stdout and stderr, reading and writing nothing.

    Their numbers would go to the next sockets and files: what is then printed lands in those, and
    libuv, to be on the safe side, ends the process that closes one.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def why(exc: OSError) -> str:
    """The system's word for the error, without what the loop adds to it."""
    from ssl import SSLCertVerificationError, SSLError  # take a while to load

    if isinstance(exc, SSLCertVerificationError):
        # `verify_message` is missing where the system's own library judges.
        found = getattr(exc, "verify_message", "") or "it does not verify"
        return f"its certificate is not trusted: {found.lower()} (--ca, --insecure)"
    if isinstance(exc, SSLError):  # whose numbers are not the system's
        return (exc.reason or exc.strerror or str(exc)).lower().replace("_", " ")
    number = exc.errno
    if number is None and (first := re.search(r"\[Errno (\d+)\]", str(exc))):
        number = int(first[1])  # of several addresses, none of which answered
    text = exc.strerror or str(exc) or "timed out"
    return (os.strerror(number or 0) if number in errno.errorcode else text).lower()


def tolerate(stream: TextIO | None) -> None:
    """Have a stream of a narrow encoding show what it cannot write as escapes."""
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="backslashreplace")


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a person is there; a process started without the stream has None."""
    return stream is not None and stream.isatty()


def silence_stdout() -> None:
    """Send what is still to be written nowhere; its reader is gone."""
    silence(sys.stdout)


def silence(stream: TextIO | None) -> None:
    """Send what is still to be written to a standard stream nowhere.

    Otherwise the interpreter would complain when it flushes the stream at exit.
    """
    if stream is None:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
