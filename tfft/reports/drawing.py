"""Figures as SVG: the shapes that they consist of, and scales with round ticks.

A figure is text in the page: it prints sharply, can be searched and needs no library in the
browser. Its colours are classes of ``templates/figures.css``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

# Significant digits of a tick; further ones come from floating point.
_DIGITS = 12


@dataclass(frozen=True)
class Figure:
    """A picture of the report.

    Attributes:
        name: Name of its PNG file.
        title: What it shows, in a few words.
        description: What can be seen in it, for readers who cannot see it.
        svg: Its ``<svg>`` element.
    """

    name: str
    title: str
    description: str
    svg: Markup


@dataclass(frozen=True)
class Scale:
    """A linear scale from the values `low`..`high` to the positions `start`..`end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return self.start + share * (self.end - self.start)


class Drawing:
    """Collects the shapes of one SVG; x grows to the right, y downwards, in pixels."""

    def __init__(self, width: float, height: float) -> None:
        self._width, self._height = width, height
        self._shapes: list[Markup] = []

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        kind: str,
        tip: str = "",
        **attributes: str,
    ) -> None:
        """Adds a rectangle; `tip` is shown where the mouse rests on it."""
        self._add(
            "rect", kind, tip, x=_n(x), y=_n(y), width=_n(width), height=_n(height), **attributes
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Adds a straight line."""
        self._add("line", kind, "", x1=_n(x1), y1=_n(y1), x2=_n(x2), y2=_n(y2))

    def polyline(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Adds a line through points."""
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._add("polyline", kind, "", points=path)

    def dot(self, x: float, y: float, radius: float, kind: str, tip: str = "") -> None:
        """Adds a filled circle."""
        self._add("circle", kind, tip, cx=_n(x), cy=_n(y), r=_n(radius))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        kind: str = "label",
        anchor: str = "start",
        turn: float = 0,
    ) -> None:
        """Adds a line of text that starts, ends or is centred at x, turned by degrees."""
        place = Markup('x="{}" y="{}"').format(_n(x), _n(y))
        if turn:
            place += Markup(' transform="rotate({} {} {})"').format(_n(turn), _n(x), _n(y))
        self._shapes.append(
            Markup('<text class="{}" text-anchor="{}" {}>{}</text>').format(
                kind, anchor, place, text
            )
        )

    def figure(self, name: str, title: str, description: str) -> Figure:
        """Returns the drawing as a figure; screen readers read its title and description."""
        width, height, shapes = _n(self._width), _n(self._height), Markup("").join(self._shapes)
        svg = Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {1}" width="{0}" '
            'height="{1}" role="img" aria-labelledby="{2}-title {2}-description">'
            '<title id="{2}-title">{3}</title><desc id="{2}-description">{4}</desc>{5}</svg>'
        ).format(width, height, name, title, description, shapes)
        return Figure(name, title, description, svg)

    def _add(self, element: str, kind: str, tip: str, **attributes: str) -> None:
        written = Markup(" ").join(
            Markup('{}="{}"').format(key.replace("_", "-"), value)
            for key, value in attributes.items()
        )
        inside = Markup("><title>{}</title></{}>").format(tip, element) if tip else Markup("/>")
        self._shapes.append(Markup('<{} class="{}" {}').format(element, kind, written) + inside)


@dataclass(frozen=True)
class Axes:
    """The frame of a diagram: two scales, drawn with ticks and names."""

    x: Scale
    y: Scale

    def draw(
        self,
        drawing: Drawing,
        x_ticks: Sequence[float],
        y_ticks: Sequence[float],
        x_name: str,
        y_name: str,
    ) -> None:
        """Draws grid lines, tick labels and names of the axes."""
        bottom, left = self.y.start, self.x.start
        for value in y_ticks:
            drawing.line(left, self.y(value), self.x.end, self.y(value), "grid")
            drawing.text(left - 8, self.y(value) + 4, tick_text(value), "tick", "end")
        for value in x_ticks:
            drawing.text(self.x(value), bottom + 18, tick_text(value), "tick", "middle")
        drawing.line(left, bottom, self.x.end, bottom, "axis")
        drawing.text((left + self.x.end) / 2, bottom + 36, x_name, "tick", "middle")
        drawing.text(left - 8, self.y.end - 12, y_name, "tick", "start")


def round_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Returns about `count` round numbers from `low` to `high`, in steps of 1, 2 or 5."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    rough = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, _DIGITS) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float) -> str:
    """Returns a number as text for a tick, with all digits that `round_ticks` gives it."""
    if value and abs(value) < 1e-3:
        digits, _, power = f"{value:.{_DIGITS - 1}e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    return f"{value:,.{_DIGITS}g}"


def _n(value: float) -> str:
    return str(escape(f"{value:.2f}".rstrip("0").rstrip(".")))
