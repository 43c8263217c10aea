"""Patterns of channels, as in the library `glob` of Go, which Centrifugo uses.

`*` stands for any characters, `?` for one, `[abc]`, `[a-z]` and `[!a]` for one of some, `{a,b}` for
either (not within another), and what follows a backslash for itself.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

from .errors import BAD_REQUEST, ApiError

MAX_ALTERNATIVES = 64

_TOKEN = re.compile(r"\\.|\[!?\]?[^\]]*\]|.", re.DOTALL)
_SPECIAL = "*?["  # to `fnmatch`


def matcher(pattern: str) -> Callable[[str], object]:
    """Tells whether a name matches; an empty pattern is one of all names.

    `fnmatch` writes expressions that try each star once, so a name costs no more than its length
    times that of the pattern. Raises ApiError for what is no pattern.
    """
    if not pattern:
        return lambda name: True
    return re.compile("|".join(map(fnmatch.translate, _alternatives(pattern)))).match


def _alternatives(pattern: str) -> list[str]:
    """Patterns of `fnmatch` that together are this one."""
    found, choices = [""], None
    for token in _TOKEN.findall(pattern):
        if token == "{" and choices is None:
            choices = [""]
        elif token == "," and choices is not None:
            choices.append("")
        elif token == "}" and choices is not None:
            if len(found) * len(choices) > MAX_ALTERNATIVES:
                raise ApiError(BAD_REQUEST, f"pattern: at most {MAX_ALTERNATIVES} alternatives")
            found, choices = [each + choice for each in found for choice in choices], None
        else:
            text = _quoted(token[1]) if len(token) == 2 and token[0] == "\\" else token
            if choices is None:
                found = [each + text for each in found]
            else:
                choices[-1] += text
    if choices is not None:
        raise ApiError(BAD_REQUEST, "pattern: a { without its }")
    return found


def _quoted(character: str) -> str:
    return f"[{character}]" if character in _SPECIAL else character
