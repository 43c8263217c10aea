"""Names and numbers of arguments."""

from __future__ import annotations

from glyph_fast.glyph.checks.signatures import BUILTINS, CALLING, CONNECTION_ONLY, SOCKET, Arity


def test_arity_in_words() -> None:
    assert [str(Arity(*a)) for a in ((0, 0), (1, 1), (1, 2), (0, None))] == [
        "0 arguments",
        "1 argument",
        "1 to 2 arguments",
        "at least 0 arguments",
    ]


def test_arity_accepts() -> None:
    assert [Arity(1, 2).accepts(count) for count in range(4)] == [False, True, True, False]
    assert Arity(0, None).accepts(100)


def test_lists_agree() -> None:
    assert CALLING <= BUILTINS.keys()
    assert CONNECTION_ONLY <= SOCKET.keys()
