"""Errors that come of clients who have left."""

from __future__ import annotations

from glyph_fast.asgi.errors import ClientDisconnected, comes_of_disconnect

GONE = ClientDisconnected("gone")


def caused(outer: Exception, inner: BaseException) -> Exception:
    outer.__cause__ = inner
    return outer


def test_what_comes_of_a_disconnect():
    assert comes_of_disconnect(GONE)
    assert comes_of_disconnect(caused(RuntimeError(), caused(ValueError(), GONE)))
    assert comes_of_disconnect(ExceptionGroup("", [GONE, caused(ValueError(), GONE)]))


def test_what_does_not():
    assert not comes_of_disconnect(OSError())
    assert not comes_of_disconnect(None)
    assert not comes_of_disconnect(ExceptionGroup("", [GONE, ValueError()]))
    turning = ValueError()
    turning.__context__ = RuntimeError()
    turning.__context__.__context__ = turning
    assert not comes_of_disconnect(turning)
