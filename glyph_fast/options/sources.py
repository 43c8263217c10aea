"""The sources of a command line's options, the strongest first.

flag  >  environment  >  file  >  default
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigError
from .config import CONFIG_FILE, DEFAULT_FILE, FIELDS, OPTIONS, Config
from .option import ENV_PREFIX, unknown_option

# Variables with our prefix that are read elsewhere: when it is built, and by the core.
_OWN_SWITCHES = {
    ENV_PREFIX + name for name in ("BUILD", "DEBUG", "SANITIZE", "IO_URING", "DIRECT_TLS")
}

# What Kubernetes sets in every container of a namespace for each Service in it, whatever that is
# called: "glyph-fast", "glyph-fast-redis-master", "glyph".
_SERVICE_ENV = re.compile(
    r"\w+_(SERVICE_(HOST|PORT\w*)=.*|PORT_[0-9]+_(TCP|UDP|SCTP)\w*=.*|PORT=(tcp|udp|sctp)://.*)",
    re.DOTALL,
)
_NEAR = 0.7  # of `difflib`: PROT for PORT is 0.75, and VERSION is near to nothing


class Given(NamedTuple):
    """The options somebody gave, unread, and the names they came under."""

    values: dict[str, Any]
    sources: dict[str, str]  # `--port`, `GLYPH_FAST_PORT` or `glyph-fast.toml: port`
    doubts: tuple[str, ...] = ()  # what is ignored, and may have been meant otherwise

    def over(self, base: Config) -> Config:
        """`base` with these options in place of its own. Raises ConfigError."""
        return base._with(self.values, self.sources)


def load_config(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file_path: str | os.PathLike[str] | None = None,
) -> Config:
    """The configuration of a command line, as `given_options` finds it. Raises ConfigError."""
    return given_options(flags, environ, file_path).over(Config())


def given_options(
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    file_path: str | os.PathLike[str] | None = None,
) -> Given:
    """Gather options from flags, environment and file, the earlier ones winning.

    `flags` are named like the fields of `Config`; None stands for a flag that was not given. An
    empty variable counts as not set. The file is `file_path`, else the option `config`, else
    `glyph-fast.toml` in the working directory if it is there. Nothing is read or checked here but
    names: an unknown flag or key raises ConfigError. A variable may be somebody else's, an image's
    or an orchestrator's: an unknown one is ignored, and is a doubt when it is near to one of ours.
    """
    from_flags, from_environ = _flags(flags), _environment(environ)
    given = Given({}, {}, (*_doubts(environ), *_shown_passwords(from_flags)))
    chosen = file_path
    for layer in (from_flags, from_environ):
        value, source = layer.pop("config", (None, ""))
        chosen = chosen or CONFIG_FILE.value(value, source)
    for layer in (_file(chosen), from_environ, from_flags):
        for name, (value, source) in layer.items():
            given.values[name], given.sources[name] = value, source
    return given


_Layer = dict[str, tuple[object, str]]  # field: its value, the name it was given under


def _flags(flags: Mapping[str, object]) -> _Layer:
    by_name = {each.name: each for each in OPTIONS}
    for name in flags:
        if name not in by_name:
            raise unknown_option(name, by_name)
    return {
        name: (value, by_name[name].flag)
        for name, value in flags.items()
        if value is not None and not (by_name[name].repeat and value == ())
    }


def _environment(environ: Mapping[str, str]) -> _Layer:
    layer: _Layer = {}
    for each in OPTIONS:
        for variable in (each.env, each.older_env):
            if (value := environ.get(variable)) and not _is_of_service(variable, value):
                layer[each.name] = value, variable
                break
    return layer


def _doubts(environ: Mapping[str, str]) -> Iterator[str]:
    """A line for each unknown variable that looks like a mistake in the name of an option."""
    known = {each.env.removeprefix(ENV_PREFIX) for each in OPTIONS}
    for variable, value in environ.items():
        name = variable.removeprefix(ENV_PREFIX)
        if name == variable or name in known or variable in _OWN_SWITCHES:
            continue
        from difflib import get_close_matches  # for what may be a mistake

        near = get_close_matches(name, known, n=1, cutoff=_NEAR)
        if near and not _is_of_service(variable, value):
            yield f"{variable} is not an option; did you mean {ENV_PREFIX}{near[0]}?"


def _shown_passwords(flags: _Layer) -> Iterator[str]:
    """A line where a password stands in the list of processes."""
    url, flag = flags.get("broker", (None, ""))
    if isinstance(url, str) and "@" in url:
        variable = FIELDS["broker"].env
        yield f"others can see the password of {flag} in the list of processes; {variable} hides it"


def _is_of_service(variable: str, value: str) -> bool:
    return _SERVICE_ENV.fullmatch(f"{variable}={value}") is not None


def _file(chosen: str | os.PathLike[str] | None) -> _Layer:
    path = Path(chosen or DEFAULT_FILE)
    try:
        text = path.read_text(encoding="utf-8-sig")
        from tomllib import loads  # for those who have a file

        content = loads(text)
    except FileNotFoundError:
        if chosen is None:
            return {}
        raise ConfigError(f"{CONFIG_FILE.flag}: no such file: {path}") from None
    except OSError as exc:
        raise ConfigError(f"{path}: {(exc.strerror or str(exc)).lower()}") from None
    except ValueError as exc:  # not TOML, not UTF-8, or a number of thousands of digits
        raise ConfigError(f"{path}: not TOML: {exc}") from None
    for key in content:
        if key not in FIELDS:
            raise unknown_option(key, FIELDS, place=f"{path}: ")
        if FIELDS[key].is_python:
            raise ConfigError(f"{path}: {key}: only a program can give it, in Config({key}=…)")
    return {key: (value, f"{path}: {key}") for key, value in content.items()}
