# SPDX-License-Identifier: MIT
"""Measured rows: samples with their median and worst, and whether a bar was met."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Any, Final, Self

HEAD: Final = ("what", "who", "samples", "median", "p10 to p90", "worst", "bar", "verdict")
FEWEST: Final = 5  # samples of which a tenth at each end can be left out
_SIGNIFICANT: Final = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """A limit; `of` is the statistic it holds for: `median` or `worst`."""

    of: str
    limit: float
    at_least: bool = False

    def met(self, row: "Row") -> bool:
        """Whether the row keeps the limit; a row without samples does not."""
        value = row.median if self.of == "median" else row.worst
        if value is None:
            return False
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{self.of} {'>=' if self.at_least else '<='} {number(self.limit)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one program; `more_is_better` decides which sample is the worst.

    `resolution` is how far apart, in its unit, two medians must be to say anything. Without
    samples `note` says why there are none.
    """

    what: str
    who: str
    unit: str
    samples: tuple[float, ...]
    bars: tuple[Bar, ...] = ()
    more_is_better: bool = False
    note: str = ""
    resolution: float = 0.0

    @classmethod
    def missing(cls, what: str, who: str, why: str) -> Self:
        """Return the row of a program that could not be measured."""
        return cls(what, who, "", (), note=why)

    @property
    def median(self) -> float | None:
        """The middle sample."""
        return statistics.median(self.samples) if self.samples else None

    @property
    def middle(self) -> tuple[float, float] | None:
        """The bounds of what is left without a tenth of the samples at each end, None if few."""
        if len(self.samples) < FEWEST:
            return None
        tenths = statistics.quantiles(self.samples, n=10, method="inclusive")
        return tenths[0], tenths[-1]

    @property
    def worst(self) -> float | None:
        """The sample that is furthest on the bad side."""
        if not self.samples:
            return None
        return min(self.samples) if self.more_is_better else max(self.samples)

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing where there is no bar."""
        if not self.bars:
            return ""
        return "met" if all(bar.met(self) for bar in self.bars) else "missed"

    def document(self) -> dict[str, Any]:
        """Return the row as data."""
        return {
            "what": self.what,
            "who": self.who,
            "unit": self.unit,
            "count": len(self.samples),
            "median": self.median,
            "middle": self.middle,
            "worst": self.worst,
            "more_is_better": self.more_is_better,
            "resolution": self.resolution,
            "bar": ", ".join(map(str, self.bars)),
            "verdict": self.verdict,
            "note": self.note,
            "samples": list(self.samples),
        }

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, one cell for each of :data:`HEAD`."""
        if self.median is None or self.worst is None:
            return self.what, self.who, "0", self.note, "", "", "", self.verdict
        return (
            self.what,
            self.who,
            str(len(self.samples)),
            f"{number(self.median)} {self.unit}".rstrip(),
            span(self.middle),
            f"{number(self.worst)} {self.unit}".rstrip(),
            ", ".join(map(str, self.bars)),
            self.verdict,
        )


def span(bounds: Sequence[float] | None) -> str:
    """Return a range as people write it; nothing for none."""
    return "" if bounds is None else " to ".join(map(number, bounds))


def number(value: float) -> str:
    """Return a number with four significant digits, as people write it."""
    if value == 0 or math.isinf(value):
        return f"{value:g}"
    digits = _SIGNIFICANT - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value):,}" if digits <= 0 else f"{round(value, digits):g}"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as an aligned text table, notes below."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    notes = [f"{row.who}, {row.what}: {row.note}" for row in rows if row.note and row.samples]
    return "\n".join(text + notes)
