"""What derives from the declaration of an option: its names, its default as text, its errors."""

from __future__ import annotations

import re

import pytest

from glyph_fast.errors import ConfigError
from glyph_fast.options.option import unknown_option
from glyph_fast.options.readers import text as read_text
from tests.options.declaring import option


def test_names_derive_from_the_field():
    assert option().flag == "--some-size"
    assert option().env == "GLYPH_FAST_SOME_SIZE"
    assert option(flag="--size").flag == "--size"


@pytest.mark.parametrize(
    ("default", "text"),
    [("1KiB", "1KiB"), (5, "5"), (None, ""), (True, "on"), (False, "off"), (("a", "b"), "a,b")],
)
def test_default_is_shown_as_one_would_write_it(default, text):
    assert option(default=default).default_text == text


def test_error_names_source_expectation_and_finding():
    expected = (
        "--some-size: expected a size of at least 1 bytes, such as 65536, 512KiB or 1MiB, "
        "found 'big'"
    )
    with pytest.raises(ConfigError, match=f"^{re.escape(expected)}$"):
        option().value("big", "--some-size")


def test_error_of_a_secret_does_not_show_it():
    with pytest.raises(ConfigError) as caught:
        option(read=read_text, secret=True).value("hush\n", "--token")
    assert str(caught.value) == "--token: expected text without control characters"


def test_error_is_one_line_whatever_was_found():
    with pytest.raises(ConfigError) as caught:
        option().value("1\n2", "--some-size")
    assert "\n" not in str(caught.value)


def test_unknown_option_hints_at_a_close_name():
    assert str(unknown_option("prot", ["port", "host"])) == (
        "prot: unknown option; did you mean port?"
    )
    assert str(unknown_option("zzzzz", ["port", "host"])) == "zzzzz: unknown option"
