# SPDX-License-Identifier: MIT
"""Draws moments as ticks on lanes over one axis of time, as an SVG document."""

import dataclasses
import html
from collections.abc import Iterator, Sequence
from typing import Final

PLAIN: Final = "#3f51b5"
ASKED: Final = "#f57c00"
TOLD: Final = "#00897b"
GOOD: Final = "#2e7d32"
BAD: Final = "#c62828"

WIDTH: Final = 900
LEFT: Final = 190
RIGHT: Final = 20
TOP: Final = 34
LANE: Final = 28
TICK: Final = 16
EVERY_MS: Final = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Lane:
    """A row with a tick for each moment, in milliseconds."""

    title: str
    colour: str
    moments: Sequence[float]


def svg(lanes: Sequence[Lane], *, first: float, last: float, mark: str) -> str:
    """Return the picture of what lies between `first` and `last`; `mark` names the moment 0."""
    height = TOP + LANE * len(lanes) + 30
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="13" role="img">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>\n'
    )
    return head + "".join(f"{line}\n" for line in _lines(lanes, first, last, mark)) + "</svg>\n"


def _lines(lanes: Sequence[Lane], first: float, last: float, mark: str) -> Iterator[str]:
    bottom = TOP + LANE * len(lanes)

    def x(moment: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (moment - first) / (last - first), 1)

    for moment in range(int(first), int(last) + 1, EVERY_MS):
        yield f'<path d="M{x(moment)} {TOP}V{bottom}" stroke="#e0e0e0"/>'
        yield _text(
            x(moment), bottom + 18, f"{moment} ms" if moment == 0 else f"{moment}", "middle"
        )
    yield f'<path d="M{x(0)} {TOP - 8}V{bottom}" stroke="{BAD}" stroke-dasharray="4 3"/>'
    yield _text(x(0), TOP - 14, mark, "middle")
    for number, lane in enumerate(lanes):
        middle = TOP + LANE * number + LANE // 2
        yield _text(LEFT - 12, middle + 4, lane.title, "end")
        ticks = "".join(
            f"M{x(moment)} {middle - TICK // 2}v{TICK}"
            for moment in lane.moments
            if first <= moment <= last
        )
        yield f'<path d="{ticks or "M0 0"}" stroke="{lane.colour}" stroke-width="2.5"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#212121">{html.escape(text)}</text>'
