"""The page `docs/options.md`: `python -m glyph_fast.options.page > docs/options.md`."""

from __future__ import annotations

from collections.abc import Container, Iterable

from .config import DEFAULT_FILE, FIELDS, NOT_YET, OPTIONS
from .option import Option, by_group
from .rooms import KEYS


def options_page() -> str:
    """All of it."""
    own = [f"| `{e.name}` | {e.help} |" for e in FIELDS.values() if e.is_python]
    return "\n".join((_PAGE + markdown(OPTIONS, NOT_YET), _ROOMS + _keys(), _PYTHON, *own, ""))


def markdown(options: Iterable[Option], not_yet: Container[str]) -> str:
    """The table of options for the documentation, a heading for each group."""
    lines: list[str] = []
    for group, members in by_group(each for each in options if each.name not in not_yet):
        lines += [f"## {group}", "", "| option | default | meaning |", "|---|---|---|"]
        for each in members:
            flag = f"`{each.flag} {each.metavar}`" if each.metavar else f"`{each.flag}`"
            flag = flag.replace("|", "\\|") + (" (repeat)" if each.repeat else "")
            default = f"`{each.default_text}`" if each.default_text else "–"
            lines.append(f"| {flag} | {default} | {each.help} |")
        lines.append("")
    return "\n".join(lines)


def _keys() -> str:
    rows = [f"| `{key}` | {each.default} | {each.help} |" for key, each in KEYS.items()]
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows, ""])


_PAGE = f"""# Options of `glyph-fast serve`

This page is for you if you know an option's name, or look for one. You can give each as a flag, as an environment
variable and as a key of `{DEFAULT_FILE}`. A flag wins over the environment, the environment over the file, the file over
the default. In Python the same names are the fields of `Config`.

| | `--ping-interval` | `--allowed-origin`, which may be repeated |
|---|---|---|
| environment | `{FIELDS["ping_interval"].env}=30s` | `{FIELDS["allowed_origins"].env}=https://a.example,https://b.example` |
| file | `ping_interval = "30s"` | `allowed_origins = ["https://a.example", "https://b.example"]` |
| Python | `Config(ping_interval=30)` | `Config(allowed_origins=["https://a.example", "https://b.example"])` |

A switch is `on` or `off` in the environment, `true` or `false` in the file; `--no-NAME` turns off
what one of these has turned on. Durations read `250ms`, `30s`, `5m`, `1h`, `30d`, or seconds. Sizes read
`512KiB`, `1MiB`, or bytes. `GLYPH_HOST` and `GLYPH_PORT` count below `{FIELDS["host"].env}` and
`{FIELDS["port"].env}`. An empty variable counts as not set, and so do the variables Kubernetes makes
for a Service named `glyph-fast` or `glyph`, such as `GLYPH_FAST_PORT=tcp://10.0.0.1:80`. An unknown
variable is ignored, with a warning when its name is near to that of an option.

An unknown flag or key, a bad value or a combination that cannot work ends `serve` with one line on stderr
and exit status 2; in Python it raises `ConfigError`. The status is 0 after a drain, 1 when the
program does not load, and 3 when the server cannot listen.

"""  # noqa: E501

_ROOMS = f"""## Rooms

You declare rooms by a table for each pattern in the file, or by
[`server.room`](python.md#declared-rooms) in Python, with the same keys:

```toml
# {DEFAULT_FILE}
[rooms."chat:*"]
client_join = true
max_members = 50
```

`*`, `?` and `[ab]` in a pattern are those of file names. If several patterns match a name, one
counts, whole: the file's before the program's, then the one with the most literal characters, then
the first.

"""

_PYTHON = """## In Python alone

These fields of `Config` have no flag, variable or key, for no text could hold them.

| field | meaning |
|---|---|"""


if __name__ == "__main__":
    print(options_page(), end="")
