"""Where the options of a command line come from.

flag  >  environment  >  file  >  default
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from .config import CONFIG_FILE, DEFAULT_FILE, FIELDS, OPTIONS, Config
from .errors import ConfigError
from .options import ENV_PREFIX, unknown_option

# Variables with our prefix that are not options: those of the build, the core's switch, and those
# that Kubernetes sets in every container when a Service is called "glyph-fast".
_FOREIGN_ENV = re.compile(
    r"GLYPH_FAST_(BUILD=.*|DEBUG=.*|SANITIZE=.*|IO_URING=.*"
    r"|SERVICE_(HOST|PORT\w*)=.*|PORT_[0-9]+_(TCP|UDP|SCTP)\w*=.*"
    r"|PORT=(tcp|udp|sctp)://.*)",
    re.DOTALL,
)


class Given(NamedTuple):
    """The options somebody gave, unread, and the names they came under."""

    values: dict[str, Any]
    sources: dict[str, str]  # `--port`, `GLYPH_FAST_PORT` or `glyph-fast.toml: port`

    def over(self, base: Config) -> Config:
        """`base` with these options in place of its own. Raises ConfigError."""
        return replace(base, **self.values, _sources=self.sources)


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
    names: an unknown one raises ConfigError.
    """
    given = Given({}, {})
    from_flags, from_environ = _flags(flags), _environment(environ)
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
    by_env = {each.env: each for each in OPTIONS}
    layer: _Layer = {}
    for each in OPTIONS:
        if environ.get(each.older_env):
            layer[each.name] = environ[each.older_env], each.older_env
    for variable, value in environ.items():
        if not variable.startswith(ENV_PREFIX) or _FOREIGN_ENV.fullmatch(f"{variable}={value}"):
            continue
        if variable not in by_env:
            raise unknown_option(variable, by_env)
        if value:
            layer[by_env[variable].name] = value, variable
    return layer


def _file(chosen: str | os.PathLike[str] | None) -> _Layer:
    path = Path(chosen or DEFAULT_FILE)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
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
            raise unknown_option(f"{path}: {key}", [f"{path}: {name}" for name in FIELDS])
    return {key: (value, f"{path}: {key}") for key, value in content.items()}
