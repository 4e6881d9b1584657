"""The plots of docs/benchmarks.md, as SVG: text stays text, and both colour schemes are provided for."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 910, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 690, 50, 340  # of the plot; its labels are right of it

STYLE = """
    .page { fill: #fff } text { fill: #1f2328 } .dim { fill: #57606a } .grid { stroke: #d8dee4 }
    .curve { fill: none; stroke-width: 2.2 }
    .c0 { stroke: #1a62c4 } .c1 { stroke: #b8560f } .c2 { stroke: #2f7d2f }
    @media (prefers-color-scheme: dark) {
      .page { fill: #1e2129 } text { fill: #e6e9ef } .dim { fill: #a3adba } .grid { stroke: #3a4150 }
      .c0 { stroke: #7fb0ff } .c1 { stroke: #f0a05a } .c2 { stroke: #76cf76 }
    }
"""


@dataclass(frozen=True)
class Line:
    controller: str
    state: str
    points: Sequence[tuple[float, float]]
    dashed: bool


@dataclass(frozen=True)
class Axis:
    """From values to places in the picture."""

    place: Callable[[float], float]
    ticks: Sequence[float]
    text: Callable[[float], str]
    title: str


def linear(low: float, high: float, begin: float, end: float, title: str) -> Axis:
    """From `low` to the first tick at or above `high`."""
    rough = (high - low) / 5 or 1
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough)
    ticks = [low + step * number for number in range(math.ceil((high - low) / step - 1e-9) + 1)]
    top = ticks[-1]
    return Axis(
        lambda value: begin + (value - low) / (top - low) * (end - begin),
        ticks,
        lambda value: f"{value:,.10g}",
        title,
    )


def logarithmic(low: float, high: float, begin: float, end: float, title: str) -> Axis:
    marks = [digit * 10.0**power for power in range(-3, 7) for digit in (1, 2, 3, 5, 7)]
    first = max(mark for mark in marks if mark <= low)
    last = min(mark for mark in marks if mark >= high)
    return Axis(
        lambda value: begin + math.log(value / first) / math.log(last / first) * (end - begin),
        [mark for mark in marks if first <= mark <= last],
        lambda value: f"{value:,.10g}",
        title,
    )


def frame(x: Axis, y: Axis, title: str, body: Sequence[str]) -> str:
    grid = []
    for tick in y.ticks:
        at = y.place(tick)
        grid.append(f'<path class="grid" d="M{LEFT} {at:.1f} H{RIGHT}"/>')
        grid.append(
            f'<text x="{LEFT - 8}" y="{at + 5:.1f}" text-anchor="end" class="dim">{y.text(tick)}</text>'
        )
    for tick in x.ticks:
        at = x.place(tick)
        grid.append(f'<path class="grid" d="M{at:.1f} {TOP} V{BOTTOM}"/>')
        grid.append(
            f'<text x="{at:.1f}" y="{BOTTOM + 20}" text-anchor="middle" class="dim">{x.text(tick)}</text>'
        )
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-size="14"'
        f' font-family="Helvetica, Arial, sans-serif" role="img" aria-label="{escape(title)}">'
    )
    parts = [
        f"<style>{STYLE}  </style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" rx="10"/>',
        f'<text x="{LEFT}" y="26" font-weight="bold">{escape(y.title)}</text>',
        f'<text x="{(LEFT + RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x.title)}</text>',
        *grid,
        *body,
    ]
    return "\n".join([root, *(f"  {part}" for part in parts), "</svg>"]) + "\n"


def path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def apart(places: Sequence[float], distance: float) -> list[float]:
    """The same order, but not closer together than that, and all inside of the plot."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, index in zip(order, order[1:]):
        moved[index] = max(moved[index], moved[before] + distance)
    excess = max(0.0, moved[order[-1]] - BOTTOM) if order else 0.0
    limit = math.inf
    for index in reversed(order):
        moved[index] = min(moved[index], BOTTOM if excess else math.inf, limit)
        limit = moved[index] - distance
    return moved


def memory(lines: Sequence[Line]) -> str:
    most = max(x for line in lines for x, _ in line.points)
    x = linear(0, most, LEFT, RIGHT, "Secrets of others in the cluster, of 4 KiB each")
    y = linear(0, max(y for line in lines for _, y in line.points), BOTTOM, TOP, "Resident memory, MiB")
    colours = {name: number for number, name in enumerate(dict.fromkeys(line.controller for line in lines))}
    ends = apart([y.place(line.points[-1][1]) for line in lines], 18)
    body = []
    for line, end in zip(lines, ends):
        colour = f"c{colours[line.controller]}"
        dashes = ' stroke-dasharray="6 5"' if line.dashed else ""
        places = [(x.place(number), y.place(value)) for number, value in line.points]
        body.append(f'<path class="curve {colour}"{dashes} d="{path(places)}"/>')
        body.append(f'<path class="{colour}" fill="none" d="{path([places[-1], (RIGHT + 14, end)])}"/>')
        label = f"{line.controller}, {line.state}"
        body.append(f'<text x="{RIGHT + 20}" y="{end + 5:.1f}">{escape(label)}</text>')
    return frame(x, y, "Resident memory against the number of foreign Secrets", body)


def latency(every: Mapping[str, Sequence[float]]) -> str:
    low = min(min(values) for values in every.values())
    high = max(max(values) for values in every.values())
    x = logarithmic(max(low, 0.1), high, LEFT, RIGHT, "From the update of the source to the right target, ms")
    y = linear(0, 100, BOTTOM, TOP, "Share of the rotations that took at most so long, %")
    body = []
    for number, (name, values) in enumerate(every.items()):
        steps = [
            (x.place(max(value, 0.1)), y.place(100 * count / len(values)))
            for count, value in enumerate(sorted(values), 1)
        ]
        key = TOP + 20 + 24 * number
        body.append(f'<path class="curve c{number}" d="{path(steps)}"/>')
        body.append(f'<path class="curve c{number}" d="M{RIGHT + 20} {key} h24"/>')
        body.append(f'<text x="{RIGHT + 52}" y="{key + 5}">{escape(name)}</text>')
    return frame(x, y, "Distribution of the rotation latency", body)
