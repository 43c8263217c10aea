"""Who a client is, in full, and what is shown of it: `tests/test_authentication.py` has sockets."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from glyph_fast import Identity
from glyph_fast.hub.identity import MAX_INFO, info_json
from tests.wired import Site


@pytest.mark.parametrize(
    "args, error, text",
    [
        ((7,), TypeError, "the user of an Identity is text, not int"),
        ((None,), TypeError, "the user of an Identity is text, not NoneType"),
        (("",), ValueError, "the user of an Identity is empty"),
        (("ada", None, float("nan")), ValueError, "expires at a time, not at NaN"),
        (("ada", "x" * 4095), ValueError, "info is 4097 bytes of JSON, at most 4096 are allowed"),
        (("ada", object()), TypeError, "object"),
    ],
)
def test_a_mistake_is_told_where_it_is_made(args: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Identity(*args)


def test_an_identity_has_what_it_was_given_and_shows_no_info() -> None:
    identity = Identity("ada", {"role": "admin"}, 5)
    assert (identity.user, identity.info, identity.expires_at) == ("ada", {"role": "admin"}, 5)
    assert repr(identity) == "Identity('ada')"
    assert Identity("ada").info is None and Identity("ada").expires_at is None


def test_the_largest_info_fits_and_null_is_none() -> None:
    assert info_json("x" * (MAX_INFO - 2)) == b'"' + b"x" * (MAX_INFO - 2) + b'"'
    assert info_json(None) is None


@pytest.mark.both_cores
def test_info_is_a_copy_of_what_was_set() -> None:
    conn = Site().connect().conn
    assert conn.info is None
    given: dict[str, Any] = {"name": "Ada", "tags": ["a"]}
    conn.info = given
    given["tags"].append("b")
    conn.info["tags"].append("c")
    assert conn.info == {"name": "Ada", "tags": ["a"]}
    with pytest.raises(ValueError, match="5002 bytes"):
        conn.info = "x" * 5000
    assert conn.info == {"name": "Ada", "tags": ["a"]}
    conn.info = None
    assert conn.info is None


@pytest.mark.both_cores
def test_info_may_be_set_in_another_thread() -> None:
    site = Site()
    conn = site.connect().conn
    caught: list[Exception] = []

    def change() -> None:
        conn.info = {"busy": True}
        try:
            conn.info = "x" * 5000
        except ValueError as exc:
            caught.append(exc)

    thread = threading.Thread(target=change)
    thread.start()
    thread.join()
    site.flush()
    assert conn.info == {"busy": True} and len(caught) == 1
