# SPDX-License-Identifier: MIT
"""A balancer as a grid: addresses down, nodes across, in each cell who does what. Pure."""

import dataclasses
import enum
import math
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from app.explain import model

T = TypeVar("T")

ROWS: Final = 100  # a page that a browser lays out at once
COLUMNS: Final = 24


class Part(enum.StrEnum):
    """What a node is to an address; the value names the cell's style."""

    HOLDS = "holds"
    STANDS_IN = "stands-in"
    LAST_SEEN = "last-seen"
    SHOULD_HOLD = "should-hold"
    LISTED = "listed"
    NOTHING = "nothing"


@dataclasses.dataclass(frozen=True, slots=True)
class Cell:
    """One cell; `words` say the same as the colour."""

    part: Part
    words: str


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """An address and its cells, one a column."""

    view: model.AddressView
    cells: tuple[Cell, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Grid:
    """A part of a balancer's addresses; `hidden` counts nodes that have nothing to do with them."""

    columns: tuple[model.NodeView, ...]
    rows: tuple[Row, ...]
    hidden: int


@dataclasses.dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """One page of many things: number `page` of `pages`, counted from 1."""

    items: tuple[T, ...]
    page: int
    pages: int
    total: int

    @property
    def first(self) -> int:
        """Which of all the first here is, counted from 1; 0 when there is none."""
        return (self.page - 1) * ROWS + 1 if self.items else 0

    @property
    def last(self) -> int:
        """Which of all the last here is."""
        return max(self.first + len(self.items) - 1, 0)


def sliced(items: Sequence[T], page: int) -> Slice[T]:
    """Return a page of things; a number that is out of range gets the nearest that is not."""
    pages = max(math.ceil(len(items) / ROWS), 1)
    page = min(max(page, 1), pages)
    return Slice(tuple(items[(page - 1) * ROWS : page * ROWS]), page, pages, len(items))


def of(nodes: Sequence[model.NodeView], addresses: Sequence[model.AddressView]) -> Grid:
    """Return the grid of these addresses.

    All nodes are columns while they fit. Beyond that, only those that should hold or do hold one
    of the addresses, as far as they fit.
    """
    columns = list(nodes)
    if len(columns) > COLUMNS:
        busy = {name for one in addresses for name in (one.desired, one.holder) if name}
        columns = [node for node in columns if node.name in busy][:COLUMNS]
    return Grid(
        columns=tuple(columns),
        rows=tuple(Row(one, tuple(cell(one, node.name) for node in columns)) for one in addresses),
        hidden=len(nodes) - len(columns),
    )


def cell(view: model.AddressView, node: str) -> Cell:
    """Return what a node is to an address."""
    if node == view.holder:
        if view.state is model.AddressState.STALE:
            return Cell(Part.LAST_SEEN, "was last seen here")
        if node == view.desired:
            return Cell(Part.HOLDS, "holds it")
        return Cell(Part.STANDS_IN, "stands in" if node in view.nodes else "holds it, unlisted")
    if node == view.desired:
        return Cell(Part.SHOULD_HOLD, "should hold it")
    if node in view.nodes:
        return Cell(Part.LISTED, f"stand-in {view.nodes.index(node)}")
    return Cell(Part.NOTHING, "")
