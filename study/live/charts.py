"""Curves as inline SVG, thinned to what a screen can show: a run of 10,000 steps makes the same page as one of 100."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

MOST = 240  # points of a curve
WIDTH, HEIGHT = 480, 190
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 10, 22  # margins

Points = Sequence[tuple[float, float]]  # (step, value)


@dataclass(frozen=True)
class Curve:
    label: str
    style: str  # a class of style.css
    points: Points
    dots: bool = False


def thinned(points: Points, most: int = MOST) -> list[tuple[float, float]]:
    """At most `most` points: the means of neighbours."""
    size = math.ceil(len(points) / most)
    if size <= 1:
        return list(points)
    parts = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(step for step, _ in part) / len(part), sum(value for _, value in part) / len(part)) for part in parts]


def chart(title: str, curves: Sequence[Curve], percent: bool = False) -> Markup:
    """Curves over the steps, with axes and a legend; nothing where there is nothing to draw."""
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return Markup("")
    steps = [step for curve in curves for step, _ in curve.points]
    values = [value for curve in curves for _, value in curve.points]
    frame = Frame.of(steps, values, percent)
    body = [frame.axes(percent)]
    for curve in curves:
        points = [frame.at(*point) for point in thinned(curve.points)]
        body.append(f'<polyline class="line {curve.style}" points="{_path(points)}"/>')
        if curve.dots or len(points) == 1:
            for (step, value), (x, y) in zip(thinned(curve.points), points, strict=True):
                text = f"step {step:.0f}: {_number(value, percent)}"
                body.append(f'<circle class="dot {curve.style}" cx="{x:.1f}" cy="{y:.1f}" r="3">'
                            f"<title>{escape(text)}</title></circle>")  # fmt: skip
    return _figure(title, body, [(curve.label, curve.style) for curve in curves], _last(curves, percent))


def areas(title: str, layers: Sequence[Curve]) -> Markup:
    """Shares that add up to 1, one on top of the other. All layers have the same steps."""
    layers = [layer for layer in layers if layer.points]
    if not layers:
        return Markup("")
    frame = Frame.of([step for step, _ in layers[0].points], [0.0, 1.0], percent=True)
    body, floor = [], [0.0] * len(thinned(layers[0].points))
    for layer in layers:
        points = thinned(layer.points)
        roof = [low + value for low, (_, value) in zip(floor, points, strict=True)]
        upper = [frame.at(step, value) for (step, _), value in zip(points, roof, strict=True)]
        lower = [frame.at(step, value) for (step, _), value in zip(points, floor, strict=True)]
        body.append(f'<polygon class="area {layer.style}" points="{_path([*upper, *reversed(lower)])}"/>')
        floor = roof
    return _figure(title, [*body, frame.axes(percent=True)], [(layer.label, layer.style) for layer in layers], "")


def spark(points: Points) -> Markup:
    """A small curve without axes, shares from 0 to 1."""
    if not points:
        return Markup("")
    points = thinned(points, 60)
    first, last = points[0][0], points[-1][0]
    width = max(1.0, last - first)
    drawn = [(1 + 98 * (step - first) / width, 23 - 22 * min(1.0, max(0.0, value))) for step, value in points]
    x, y = drawn[-1]
    return Markup(
        f'<svg class="spark" viewBox="0 0 102 24" width="102" height="24" aria-hidden="true">'
        f'<polyline class="line c0" points="{_path(drawn)}"/>'
        f'<circle class="dot c0" cx="{x:.1f}" cy="{y:.1f}" r="2"/></svg>'
    )


@dataclass(frozen=True)
class Frame:
    """The ranges of a chart's axes."""

    first: float
    last: float
    low: float
    high: float

    @classmethod
    def of(cls, steps: Sequence[float], values: Sequence[float], percent: bool) -> Frame:
        low, high = min(values), max(values)
        if percent:
            low, high = 0.0, 1.0 if high > 0.5 else max(0.05, 1.1 * high)
        elif low >= 0 and low < 0.5 * high:
            low = 0.0
        if high - low < 1e-12:
            low, high = low - (abs(low) or 1.0) / 2, high + (abs(high) or 1.0) / 2
        return cls(min(steps), max(max(steps), min(steps) + 1), low, high)

    def at(self, step: float, value: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - LEFT - RIGHT) * (step - self.first) / (self.last - self.first)
        y = TOP + (HEIGHT - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)
        return x, y

    def axes(self, percent: bool) -> str:
        parts = []
        for value in ticks_between(self.low, self.high):
            _, y = self.at(self.first, value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
                         f'<text class="tick" text-anchor="end" x="{LEFT - 5}" y="{y + 4:.1f}">'
                         f"{_number(value, percent)}</text>")  # fmt: skip
        for step in ticks_between(self.first, self.last):
            x, _ = self.at(step, self.low)
            if step == int(step):
                place = f'x="{x:.1f}" y="{HEIGHT - 6}"'
                parts.append(f'<text class="tick" text-anchor="middle" {place}>{step:.0f}</text>')
        return "".join(parts)


def ticks_between(low: float, high: float) -> list[float]:
    """Some round numbers from `low` to `high`."""
    unit = 10.0 ** math.floor(math.log10((high - low) / 3))
    step = next(unit * factor for factor in (1, 2, 5, 10) if (high - low) / (unit * factor) <= 5)
    start = math.ceil(low / step - 1e-9)
    return [n * step for n in range(start, math.floor(high / step + 1e-9) + 1)]


def _number(value: float, percent: bool = False) -> str:
    return f"{100 * value:.3g}\N{NO-BREAK SPACE}%" if percent else f"{value:.3g}"


def _last(curves: Sequence[Curve], percent: bool) -> str:
    return ", ".join(f"{curve.label} {_number(curve.points[-1][1], percent)}" for curve in curves[:2])


def _path(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _figure(title: str, body: Sequence[str], legend: Sequence[tuple[str, str]], last: str) -> Markup:
    names = "".join(
        f'<li><svg viewBox="0 0 10 10" width="10" height="10" aria-hidden="true">'
        f'<rect class="area {style}" width="10" height="10"/></svg>{escape(label)}</li>'
        for label, style in legend
    )
    return Markup(
        f'<figure><figcaption>{escape(title)}<span class="last">{escape(last)}</span></figcaption>'
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}: {escape(last)}">'
        f"{''.join(body)}</svg>" + (f'<ul class="legend">{names}</ul>' if len(legend) > 1 else "") + "</figure>"
    )
