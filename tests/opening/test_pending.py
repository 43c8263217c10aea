"""A request until it is answered."""

from __future__ import annotations

from types import SimpleNamespace

from glyph_fast.opening.pending import Exchange


class Handle:
    """A timer."""

    was_cancelled = False

    def cancel(self):
        self.was_cancelled = True


def test_what_is_called_later_takes_the_place_of_what_was():
    exchange, calls = Exchange(SimpleNamespace(_has_body=True), 1.5), []
    assert (exchange.started, exchange.is_read, exchange.is_answered) == (1.5, False, False)
    exchange.after(1.0, print)
    assert exchange.grace is None  # without a task

    def call_later(*args):
        calls.append(args)
        return Handle()

    loop = SimpleNamespace(call_later=call_later)
    exchange.task = SimpleNamespace(get_loop=lambda: loop)
    exchange.after(1.0, print)
    first = exchange.grace
    exchange.after(2.0, print, 1)
    assert first.was_cancelled and calls == [(1.0, print), (2.0, print, 1)]
    exchange.stop_waiting()
    assert exchange.grace is None
