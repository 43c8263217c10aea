"""`glyph-fast serve`: load a program, configure it, run it until it is told to stop."""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from .. import __version__
from ..errors import BrokerRefused, ConfigError, ListenError
from ..logs import SERVER, configure_logging, log
from ..options.config import CONFIG_FILE, DEFAULT_FILE, NOT_YET, OPTIONS, Config
from ..options.option import Option, by_group
from ..options.sources import given_options
from ..options.values import bracketed
from ..process.handover import is_watched, own_command
from ..process.process import end_at_once
from ..process.watcher import check_watching, watch
from ..process.worker import Seat
from . import (
    NOT_LISTENING,
    PROGRAM,
    Failure,
    collect_nothing_loaded,
    silence_stdout,
    why,
    without_collecting,
)
from .open_files import is_too_low, raise_open_file_limit
from .parts import choose_parts, load_core
from .target import failure_of, load_target

HELP = """Serve a program.

TARGET is a program in Glyph (FILE.glyph), a Server made in Python or an ASGI application
(module:attribute), or a function that makes one (module:function()). Without one, the bundled chat
is served.

The options of a Python program's own Config stand unless they are given here, in the environment
or in the file.
"""
EPILOG = """Each option is also an environment variable, GLYPH_FAST_ and its name, and a key of
glyph-fast.toml. For one that may be repeated both are lists with the name in the plural
(GLYPH_FAST_ALLOWED_ORIGINS, with commas), save GLYPH_FAST_HOST. Durations read 250ms, 30s, 5m;
sizes read 512KiB, 1MiB.
"""


class GroupedCommand(click.Command):
    """A command whose help lists its options under the headings of their groups."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options; those of features that do not exist yet are left out."""
        records = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        for title, members in by_group(each for each in OPTIONS if each.name not in NOT_YET):
            with formatter.section(title):
                formatter.write_dl([record for each in members if (record := records[each.name])])
        with formatter.section("Help"):
            formatter.write_dl([("-h, --help", "show this text")])


def _flag(option: Option) -> click.Option:
    help = option.help + ("; may be repeated" if option.repeat else "")
    if option.is_switch:
        names = [f"{option.flag}/--no-{option.flag.removeprefix('--')}", option.name]
        return click.Option(names, default=None, help=help)
    if option.default_text:
        help += f" [default: {option.default_text}]"
    may_be_bare: dict[str, Any] = {"is_flag": False, "flag_value": option.bare}
    return click.Option(
        [option.flag, option.name],
        **(may_be_bare if option.bare else {}),
        metavar=option.metavar,
        multiple=option.repeat,
        default=None,
        help=help,
    )


def run(target: str | None, **flags: object) -> int:
    """Serve `target` until it is drained. Raises ConfigError and Failure."""
    if os.getpid() == 1:  # the kernel would ignore it until the server serves
        signal.signal(signal.SIGTERM, lambda number, frame: end_at_once(number))
    given = given_options(flags, os.environ)
    config = given.over(Config())  # what is wrong with it is said before anything is loaded
    configure_logging(config.log_level, config.log_format)
    is_worker = Seat.is_taken(os.environ)
    if config.reload and not is_watched(os.environ) and not is_worker:
        check_watching()
        files = [flags.get("config") or os.environ.get(CONFIG_FILE.env) or DEFAULT_FILE]
        if target is not None and target.endswith(".glyph"):
            files.append(target)
        return watch(own_command(), os.environ, map(str, files))
    with without_collecting():
        load_core(config.core)
        if config.workers == 1 or is_worker:
            import_module("..server.server", __package__)  # what every program needs
        collect_nothing_loaded()
    if config.workers > 1 and not is_worker:
        from ..server.main import run_workers  # it brings the core

        with _failures(config):
            run_workers(config, announce)
        return 0
    server = load_target(target, config)
    collect_nothing_loaded()  # the program, too
    config = given.over(server.config)
    configure_logging(config.log_level, config.log_format)
    parts = choose_parts(config)
    for doubt in given.doubts:
        log(SERVER, logging.WARNING, doubt)
    _provide_open_files(config)
    log(SERVER, logging.INFO, f"{PROGRAM} {__version__}", **parts._asdict())
    with _failures(config):
        server.run(config, announce=announce)
    return 0


@contextmanager
def _failures(config: Config) -> Iterator[None]:
    """Put into words what ends a run that could not be."""
    try:
        yield
    except ListenError as exc:
        place, hint = _place(config), ""
        if config.admin is not None and exc.filename == str(config.admin):
            place = f"{exc.filename} (--admin)"
        elif exc.errno == errno.EADDRINUSE and config.uds is None:
            hint = "; --port takes another, 0 a free one"
        raise Failure(f"could not listen on {place}: {why(exc)}{hint}", NOT_LISTENING) from exc
    except BrokerRefused as exc:
        raise Failure(f"the broker refuses this server: {exc}", NOT_LISTENING) from exc
    except ConfigError:
        raise
    except Exception as exc:  # of a hook of the program, as a rule
        raise failure_of(exc, "could not run") from exc


def announce(line: str) -> None:
    """Write a line to stdout at once; a reader that is gone does not stop the server."""
    try:
        print(line, flush=True)
    except OSError:
        silence_stdout()


def _provide_open_files(config: Config) -> None:
    limit = raise_open_file_limit()
    if is_too_low(limit, config.max_connections):
        log(
            SERVER,
            logging.WARNING,
            "the limit on open files is lower than --max-connections needs",
            limit=limit,
            max_connections=config.max_connections,
        )


def _place(config: Config) -> str:
    if config.uds is not None:
        return f"unix:{config.uds}"
    return ", ".join(f"{bracketed(host)}:{config.port}" for host in config.hosts)


def _parameters(options: Iterable[Option]) -> list[click.Parameter]:
    return [click.Argument(["target"], required=False), *map(_flag, options)]


serve = GroupedCommand("serve", params=_parameters(OPTIONS), callback=run, help=HELP, epilog=EPILOG)
