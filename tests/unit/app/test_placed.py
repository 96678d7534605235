# SPDX-License-Identifier: MIT
import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from app.balancer import placed
from app.placement import place
from contract.pool import Pool
from tests.unit.placement import scenes

steps = st.lists(
    st.tuples(st.lists(st.integers(1, 4), max_size=4), st.integers(0, 4), st.integers(1, 3)),
    min_size=1,
    max_size=8,
)


@given(steps=steps)
def test_what_is_remembered_never_changes_an_answer(steps):
    for counts, nodes, balancers in steps:
        wishes = scenes.wishes(counts)
        for number in range(balancers):
            balancer = dataclasses.replace(scenes.balancer(nodes), uid=f"b{number}")
            for _ in range(2):
                answer = placed.of(balancer, wishes)
                assert answer == place.place(balancer, wishes)
                wishes = scenes.settled(answer, wishes)


def test_nothing_is_worked_out_twice(monkeypatch):
    balancer, wishes = scenes.balancer(3), scenes.wishes([2])
    first = placed.of(balancer, wishes)
    monkeypatch.setattr(place, "place", None)
    assert placed.of(scenes.balancer(3), scenes.wishes([2])) is first


def test_another_pool_of_the_same_balancer_is_placed_anew():
    wishes = scenes.wishes([1])
    placed.of(scenes.balancer(3), wishes)
    answer = placed.of(scenes.balancer(3, Pool.parse(["192.0.2.7"])), wishes)
    assert scenes.assigned(answer, "s000") == ["192.0.2.7"]


def test_of_very_many_balancers_only_some_are_remembered():
    for number in range(3 * placed.REMEMBERED):
        placed.of(dataclasses.replace(scenes.balancer(1), uid=f"b{number}"), ())
    assert len(placed._last) == placed.REMEMBERED
