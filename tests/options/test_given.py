"""The options for type checkers are those of `Config`, in the same forms."""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints

from glyph_fast.options import config, values
from glyph_fast.options.given import Options


def given(hint: Any) -> Any:
    """The form in which a field is given: of those read in another form, the second."""
    return get_args(hint)[1] if get_origin(hint) is values.Takes else hint


def test_the_options_are_those_of_config_in_its_order() -> None:
    hints = get_type_hints(config.Config)
    declared = {name: given(hints[name]) for name in config.FIELDS}
    assert list(get_type_hints(Options).items()) == list(declared.items())
