# SPDX-License-Identifier: MIT
import dataclasses
import ipaddress

import pytest

from app.explain import model
from app.page import grid
from app.page.grid import Part

ADDRESS = model.AddressView(
    address=ipaddress.ip_address("192.0.2.10"),
    balancer="front",
    namespace="shop",
    service="web",
    child="web-l2-1",
    nodes=("n1", "n2", "n3"),
    desired="n1",
    holder="n1",
    interface="eth0",
    mac="52:54:00:00:00:01",
    since=None,
    state=model.AddressState.ANNOUNCED,
    reason="Announcing",
    why="",
)


def node(name):
    return model.NodeView(
        name=name,
        exists=True,
        member=True,
        fit=True,
        why="",
        ready=True,
        cordoned=False,
        excluded=False,
        desired=1,
        held=1,
    )


def parts(view, *names):
    return [grid.cell(view, name).part for name in names]


def test_at_rest_the_preferred_node_holds_and_the_others_stand_by():
    assert [grid.cell(ADDRESS, name) for name in ("n1", "n2", "n3", "n4")] == [
        grid.Cell(Part.HOLDS, "holds it"),
        grid.Cell(Part.LISTED, "stand-in 1"),
        grid.Cell(Part.LISTED, "stand-in 2"),
        grid.Cell(Part.NOTHING, ""),
    ]


def test_a_stand_in_that_holds_shows_in_two_cells():
    moved = dataclasses.replace(ADDRESS, holder="n2", state=model.AddressState.MOVED)

    assert parts(moved, "n1", "n2", "n3") == [Part.SHOULD_HOLD, Part.STANDS_IN, Part.LISTED]


def test_nobody_holds_what_nobody_announces():
    silent = dataclasses.replace(ADDRESS, holder=None, state=model.AddressState.SILENT)

    assert parts(silent, "n1", "n2") == [Part.SHOULD_HOLD, Part.LISTED]


def test_a_holder_that_is_gone_does_not_show_as_holding():
    stale = dataclasses.replace(ADDRESS, state=model.AddressState.STALE)

    assert grid.cell(stale, "n1") == grid.Cell(Part.LAST_SEEN, "was last seen here")


def test_a_holder_that_is_not_listed_any_more_says_so():
    moved = dataclasses.replace(ADDRESS, holder="n9", state=model.AddressState.MOVED)

    assert grid.cell(moved, "n9") == grid.Cell(Part.STANDS_IN, "holds it, unlisted")


def test_every_cell_but_an_empty_one_says_in_words_what_it_is():
    for state in model.AddressState:
        for holder in (None, "n1", "n2", "n9"):
            view = dataclasses.replace(ADDRESS, holder=holder, state=state)
            for name in ("n1", "n2", "n3", "n4", "n9"):
                cell = grid.cell(view, name)
                assert bool(cell.words) == (cell.part is not Part.NOTHING)


def test_few_nodes_are_all_columns():
    made = grid.of([node(f"n{n}") for n in range(grid.COLUMNS)], [ADDRESS])

    assert len(made.columns) == grid.COLUMNS
    assert made.hidden == 0
    assert all(len(row.cells) == grid.COLUMNS for row in made.rows)


def test_of_many_nodes_only_those_that_matter_are_columns():
    moved = dataclasses.replace(ADDRESS, holder="n2", state=model.AddressState.MOVED)
    made = grid.of([node(f"n{n}") for n in range(100)], [moved])

    assert [column.name for column in made.columns] == ["n1", "n2"]
    assert made.hidden == 98
    assert [cell.part for cell in made.rows[0].cells] == [Part.SHOULD_HOLD, Part.STANDS_IN]


def test_more_busy_nodes_than_fit_are_cut():
    views = [dataclasses.replace(ADDRESS, desired=f"n{n}", holder=f"n{n}") for n in range(100)]
    made = grid.of([node(f"n{n}") for n in range(100)], views)

    assert len(made.columns) == grid.COLUMNS
    assert made.hidden == 100 - grid.COLUMNS


@pytest.mark.parametrize(
    ("page", "first", "last"), [(1, 1, 100), (3, 201, 250), (0, 1, 100), (99, 201, 250)]
)
def test_a_page_that_is_out_of_range_is_the_nearest(page, first, last):
    part: grid.Slice[int] = grid.sliced(range(250), page)

    assert (part.first, part.last, part.pages, part.total) == (first, last, 3, 250)
    assert part.items == tuple(range(first - 1, last))


def test_a_page_of_nothing_counts_from_nothing():
    part: grid.Slice[int] = grid.sliced((), 1)

    assert (part.first, part.last, part.pages, part.items) == (0, 0, 1, ())
