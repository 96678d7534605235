# SPDX-License-Identifier: MIT
"""Answers that come true only in part: what is at rest in the end keeps the promises all the same.

Metacontroller passes over a child that somebody else has written to meanwhile, and may die between
two writes. The balancer's status remembers who was a member until an answer is what exists.
"""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from app.placement import model
from tests.unit.placement import scenes

NEVER, SELDOM, OFTEN = 0, 1, 2  # how many of three children a round writes


@dataclasses.dataclass
class Cluster:
    """Children, and what the status remembers."""

    nodes: list[str]
    services: list[model.Wish]
    known: frozenset[str] = frozenset()
    planned: dict[str, int] = dataclasses.field(default_factory=dict)
    placement: model.Placement | None = None
    moves: list[str] = dataclasses.field(default_factory=list)  # where to

    @classmethod
    def of(cls, scene: scenes.Scene) -> "Cluster":
        return cls(list(scene.nodes), list(scene.services), frozenset(scene.nodes), scene.loads)

    @property
    def lists(self) -> scenes.Lists:
        return scenes.held_lists(self.services)

    @property
    def gap(self) -> int:
        return scenes.gap(scenes.loads(self.lists, self.nodes).values())

    def sync(self, *, passes_over=lambda: False, writes_status: bool = True) -> bool:
        """Apply an answer, in part; return whether anything was written."""
        before, remembered = self.lists, (self.known, self.planned)
        balancer = scenes.balancer(self.nodes, known=self.known, planned=self.planned)
        self.placement = scenes.decide(balancer, self.services)
        wanted = scenes.settled(self.placement, self.services)
        came_true = wanted == self.services
        self.services = [
            _in_part(old, new, passes_over) for old, new in zip(self.services, wanted, strict=True)
        ]
        self.moves += [
            nodes[0]
            for address, nodes in self.lists.items()
            if before[address][0] in self.nodes and nodes[0] != before[address][0]
        ]
        if writes_status:
            listed = {node for nodes in before.values() for node in nodes}
            gone = listed - set(self.nodes)
            self.known = frozenset(self.nodes) if came_true else self.known | gone
            loads = scenes.loads(scenes.lists(self.placement), self.nodes)
            self.planned = {node: loads.get(node, 0) for node in self.known}
        return self.lists != before or (self.known, self.planned) != remembered

    def come_to_rest(self) -> None:
        """Apply whole answers: one, another that sees that it came true, and one of no effect.

        After several answers that came true in part, one of thousands takes a round more.
        """
        assert not all(self.sync() for _ in range(5))
        answer = self.placement
        assert not self.sync()
        assert self.placement == answer


def _in_part(old: model.Wish, new: model.Wish, passes_over) -> model.Wish:
    before = {child.ordinal: child for child in old.held}
    held = [
        before[child.ordinal] if child != before[child.ordinal] and passes_over() else child
        for child in new.held
    ]
    return dataclasses.replace(new, held=tuple(held))


def interrupt(cluster: Cluster, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(0, 3))):
        share = data.draw(st.sampled_from([NEVER, SELDOM, OFTEN]))
        cluster.sync(
            passes_over=lambda share=share: data.draw(st.integers(0, 2)) >= share,
            writes_status=data.draw(st.booleans()),
        )


@given(scene=scenes.aged(scenes.fresh()), data=st.data())
def test_joins_and_removals_that_were_cut_short_are_finished(scene, data):
    cluster = Cluster.of(scene)
    gap = max(1, cluster.gap)
    for number in range(data.draw(st.integers(1, 3))):
        removable = st.sampled_from([None, *cluster.nodes])
        gone = data.draw(removable)
        if gone is None or len(cluster.nodes) == 1 or data.draw(st.booleans()):
            cluster.nodes.append(f"j{number}")
        if gone is not None and len(cluster.nodes) > 1:
            cluster.nodes.remove(gone)
        interrupt(cluster, data)
    cluster.come_to_rest()
    assert cluster.gap <= gap
    assert cluster.placement is not None
    for failed in [[], *([node] for node in cluster.nodes if len(cluster.nodes) > 1)]:
        assert all(
            width <= 1 for width in scenes.group_gaps(cluster.placement, cluster.nodes, failed)
        )


@given(scene=scenes.fresh(), joined=st.integers(1, 2), data=st.data())
def test_a_join_that_was_cut_short_moves_no_more_than_one_that_was_not(scene, joined, data):
    if any(len(one.held) > len(scene.nodes) for one in scene.services):
        return  # see test_contradictions
    new = [f"j{number}" for number in range(joined)]
    whole, cut = Cluster.of(scene), Cluster.of(scene)
    for cluster in (whole, cut):
        cluster.nodes += new
    interrupt(cut, data)
    for cluster in (whole, cut):
        cluster.come_to_rest()
        assert set(cluster.moves) <= set(new)
    assert len(cut.moves) == len(whole.moves)


@given(scene=scenes.small(), joins=st.booleans(), data=st.data())
def test_a_failure_is_balanced_as_well_as_it_can_be(scene, joins, data):
    cluster = Cluster.of(scene)
    if joins or len(scene.nodes) == 2:
        cluster.nodes.append("new")
    else:
        cluster.nodes.remove(data.draw(st.sampled_from(scene.nodes)))
    interrupt(cluster, data)
    cluster.come_to_rest()
    assert cluster.placement is not None
    for node in cluster.nodes:
        least, _ = scenes.least_gap_after(
            node, cluster.lists, scenes.groups(cluster.placement), cluster.nodes
        )
        left = scenes.loads(cluster.lists, cluster.nodes, [node])
        assert scenes.gap(left.values()) == least


@given(scene=scenes.aged(scenes.fresh()), joined=st.integers(1, 3))
def test_an_answer_is_answered_again_before_the_status_knows_that_it_came_true(scene, joined):
    cluster = Cluster.of(scene)
    cluster.nodes += [f"j{number}" for number in range(joined)]
    cluster.sync(writes_status=False)
    answer = cluster.placement
    cluster.sync()
    assert cluster.placement == answer


def test_a_join_of_which_no_status_was_written_is_finished():
    cluster = Cluster.of(scenes.Scene(("a", "b", "c"), tuple(scenes.wishes([3] * 8))).settled())
    cluster.nodes.append("new")
    turns = iter(range(1000))
    cluster.sync(passes_over=lambda: next(turns) % 5 > 0, writes_status=False)
    assert cluster.gap > 1
    cluster.come_to_rest()
    assert cluster.gap <= 1
    assert cluster.moves == ["new"] * 6
