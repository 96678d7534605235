# SPDX-License-Identifier: MIT
"""The pictures of docs/benchmarks.md, each drawn from the JSON of one scenario."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import axes as mpl_axes
from matplotlib import figure

from bench import growth, share, spread

Document = Mapping[str, Any]
_SIZE: Final = (7.0, 3.5)  # inches
_GAP: Final = "cable cut: gap"


def draw(document: Document, folder: Path) -> str | None:
    """Draw a scenario's picture; return a Markdown line that shows it, None if it has none."""
    measured = [row for row in document["rows"] if row["samples"]]
    if not measured or document["scenario"] not in _DRAWN:
        return None
    title, into = _DRAWN[document["scenario"]]
    plot = figure.Figure(figsize=_SIZE, layout="constrained")
    into(plot, measured)
    path = folder / f"{document['title']}.svg"
    scratch = path.with_suffix(".new")
    # Text as text, and the same bytes each time.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "benchmarks"}):
        plot.savefig(scratch, format="svg", metadata={"Date": None})
    scratch.replace(path)
    return f"![{title}]({path.name})"


def _gaps(plot: figure.Figure, rows: Sequence[Document]) -> None:
    """For each program the part of the cuts after which it served again within a time."""
    axes = plot.subplots()
    for row in rows:
        if row["what"] == _GAP:
            gaps = sorted(row["samples"])
            parts = [number / len(gaps) * 100 for number in range(1, len(gaps) + 1)]
            label = f"{row['who']} ({len(gaps)})"
            axes.step([gaps[0], *gaps], [0, *parts], where="post", label=label)
    axes.set_xscale("log")
    _name_axes(axes, "longest time without a served connection, s", "cable cuts, %")
    axes.legend()


def _shares(plot: figure.Figure, rows: Sequence[Document]) -> None:
    """For each program a bar as long as the part of a Service's traffic that a failure hits."""
    axes = plot.subplots()
    shown = [row for row in rows if row["what"].startswith(share.HIT)]
    names = [f"{row['who']},\n{row['what'].removeprefix(share.HIT)}" for row in shown]
    bars = axes.barh(names, [row["median"] for row in shown])
    axes.bar_label(bars, fmt="%.0f %%", padding=3)
    axes.invert_yaxis()
    axes.set_xlim(0, 115)
    _name_axes(axes, "connections that fail while a failed node is not replaced, %", "")


def _loads(plot: figure.Figure, rows: Sequence[Document]) -> None:
    """For each program its nodes by load, before and after failures."""
    rows = [row for row in rows if row["what"].startswith(spread.LOADS)]
    names = list(dict.fromkeys(row["who"] for row in rows))
    panels = plot.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        mine = [row for row in rows if row["who"] == name]
        width = 0.8 / len(mine)
        for number, row in enumerate(mine):
            loads = sorted(row["samples"], reverse=True)
            places = [
                place + 1 + (number - (len(mine) - 1) / 2) * width for place in range(len(loads))
            ]
            axes.bar(places, loads, width, label=spread.of_row(row["what"]))
        axes.set_title(name)
        _name_axes(axes, "nodes, the one with most first", "")
    panels[0].set_ylabel("addresses that it answers for")
    panels[-1].legend()


def _times(plot: figure.Figure, rows: Sequence[Document]) -> None:
    """For each program the median by number of Services, and the range of the samples."""
    axes = plot.subplots()
    for name in dict.fromkeys(row["who"] for row in rows):
        mine = [row for row in rows if row["who"] == name]
        sizes = [growth.of_row(row["what"]) for row in mine]
        medians = [statistics.median(row["samples"]) for row in mine]
        least = [min(row["samples"]) for row in mine]
        most = [max(row["samples"]) for row in mine]
        axes.plot(sizes, medians, marker="o", label=f"{name}: median and range")
        axes.fill_between(sizes, least, most, alpha=0.2)
    axes.set_ylim(bottom=0)
    _name_axes(axes, "Services that are there already", "create to first answer, ms")
    axes.legend()


def _name_axes(axes: mpl_axes.Axes, horizontal: str, vertical: str) -> None:
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.set_axisbelow(True)


_DRAWN: Final[Mapping[str, tuple[str, Callable[[figure.Figure, Sequence[Document]], None]]]] = {
    "failover": ("Fail-over gaps as a cumulative distribution", _gaps),
    "share": ("Share of the traffic that a failure hits", _shares),
    "spread": ("Addresses a node, before and after failures", _loads),
    "growth": ("Time to the first answer by number of Services", _times),
}
