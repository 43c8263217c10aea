"""A line plot as SVG: axes from zero, rules at round numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 450, 270  # so narrow that a phone shows its texts as large as a desk does
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 18, 16, 28

Point = tuple[float, float]
Text = Callable[[float], str]


def round_ticks(top: float, about: int = 5) -> list[float]:
    """Round numbers from 0 to at least `top`, some `about` of them: steps of 1, 2 or 5."""
    if top <= 0:
        return [0.0, 1.0]
    raw = top / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * (1 - 1e-9))
    return [round(n * step, 12) for n in range(math.ceil(top / step - 1e-9) + 1)]


class Plot:
    """One line over two axes. `x_ticks` are (position, text); without them they are made.

    `others` are lines beside it by name, such as those of an earlier run; `marks` are places on it
    with what is said of them.
    """

    def __init__(
        self,
        points: Sequence[Point],
        *,
        label: str,
        x_ticks: Sequence[tuple[float, str]] | None = None,
        x_text: Text = str,
        y_text: Text = str,
        others: Mapping[str, Sequence[Point]] | None = None,
        marks: Sequence[tuple[float, float, str]] = (),
    ) -> None:
        self.points = points
        self.label = label
        self.others = {} if others is None else others
        self.marks = marks
        every = [*points, *(point for line in self.others.values() for point in line)]
        self.right = max((x for x, _ in every), default=1.0) or 1.0
        made = [(x, x_text(x)) for x in round_ticks(self.right, 5) if x <= self.right * 1.001]
        self.x_ticks = made if x_ticks is None else x_ticks
        ys = round_ticks(max((y for _, y in every), default=1.0))
        self.top = ys[-1]
        self.y_ticks = [(y, y_text(y)) for y in ys]

    def render(self) -> str:
        """The SVG element."""
        return (
            f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(self.label)}">'
            f"{self._rules()}{self._line()}{self._others()}{self._marks()}</svg>"
        )

    def _x(self, x: float) -> float:
        return _LEFT + x / self.right * (_WIDTH - _LEFT - _RIGHT)

    def _y(self, y: float) -> float:
        return _HEIGHT - _BOTTOM - y / self.top * (_HEIGHT - _TOP - _BOTTOM)

    def _rules(self) -> str:
        parts = []
        for y, text in self.y_ticks:
            at = self._y(y)
            parts.append(
                f'<line class="rule" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" '
                f'y2="{at:.1f}"/><text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">'
                f"{escape(text)}</text>"
            )
        for x, text in self.x_ticks:
            is_last = self._x(x) > _WIDTH - 2 * _RIGHT  # it would stand out of the frame
            at, anchor = (_WIDTH - 1.0, "end") if is_last else (self._x(x), "middle")
            parts.append(
                f'<text x="{at:.1f}" y="{_HEIGHT - 8}" text-anchor="{anchor}">{escape(text)}</text>'
            )
        return "".join(parts)

    def _others(self) -> str:
        lines = []
        for number, points in enumerate(self.others.values(), 1):
            path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
            lines.append(f'<polyline class="line other{number}" points="{path}"/>')
        return "".join(lines)

    def _marks(self) -> str:
        texts = []
        for x, y, text in self.marks:
            at_x, at_y = self._x(x), self._y(y)
            is_right = at_x > _WIDTH * 0.7  # its text then stands to the left of it
            texts.append(
                f'<circle class="mark" cx="{at_x:.1f}" cy="{at_y:.1f}" r="3.5"/>'
                f'<text class="said" x="{at_x + (-6 if is_right else 4):.1f}" '
                f'y="{max(at_y - 8, _TOP):.1f}" text-anchor="{"end" if is_right else "start"}">'
                f"{escape(text)}</text>"
            )
        return "".join(texts)

    def _line(self) -> str:
        if not self.points:
            return ""
        path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in self.points)
        ground = self._y(0)
        first, last = self._x(self.points[0][0]), self._x(self.points[-1][0])
        area = f"{first:.1f},{ground:.1f} {path} {last:.1f},{ground:.1f}"
        return f'<polygon class="area" points="{area}"/><polyline class="line" points="{path}"/>'
