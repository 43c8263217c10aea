"""Which handlers leave what they received as it came."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.checks.checks import check_program
from glyph_fast.glyph.compiler.bodies import can_relay, reads
from glyph_fast.glyph.syntax.declarations import SocketRoute
from glyph_fast.glyph.syntax.source import Source


@pytest.mark.parametrize(
    ("statements", "relays", "is_read"),
    [
        ("ws.send(input)", True, True),
        ("ws.send(1)", True, False),
        ("$ x = input.a\nx = 1", True, True),
        ("input = 1", False, True),
        ("input.a = 1", False, True),
        ("$ x = input\nx[0] = 1", False, True),
        ('set(input, "a", 1)', False, True),
        ("f(1)", False, False),
        ("input.items.map(f)", False, True),
        ("if keys(input) == [] { }", True, True),
    ],
)
def test_handlers_that_could_change_the_message_do_not_relay(
    statements: str, relays: bool, is_read: bool
) -> None:
    text = "! f(x: any) { }\n@ ws /c {\n  on message {\n" + statements + "\n  }\n}\n"
    (module,) = check_program(Source("a", text))
    assert not module.report.has_errors, module.report.diagnostics
    route = module.tree.items[1]
    assert isinstance(route, SocketRoute)
    (event,) = route.events
    assert can_relay(event.body, event.given["input"]) is relays
    assert reads(event.body, event.given["input"]) is is_read
