# SPDX-License-Identifier: MIT
"""Whatever the order of joins, leaves, additions and deletions, no promise is broken on the way."""

import dataclasses

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from app.placement import model
from tests.unit.placement import scenes

COUNTS = st.one_of(st.integers(1, 6), st.just(model.AUTO))
FAMILIES = st.sampled_from([(True, False), (False, True), (True, True)])


class History(stateful.RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.nodes = ["n0", "n1", "n2"]
        self.named = 3
        self.services: list[model.Wish] = []
        self.created = 0
        self.placement = scenes.decide(self.nodes, [])
        self.placed_for = list(self.nodes)

    def settle(self) -> tuple[scenes.Lists, scenes.Lists]:
        """Apply the answer; return the lists before and after."""
        before = scenes.held_lists(self.services)
        known = frozenset(self.placed_for)
        self.placed_for = list(self.nodes)
        self.placement = scenes.decide(scenes.balancer(self.nodes, known=known), self.services)
        self.services = scenes.settled(self.placement, self.services)
        return before, scenes.lists(self.placement)

    @stateful.rule(count=COUNTS, families=FAMILIES)
    def add_a_service(self, count, families) -> None:
        before = scenes.loads(scenes.held_lists(self.services), self.nodes)
        one = scenes.wish(f"s{self.created:03}", created=float(self.created))
        ipv4, ipv6 = (count if wanted else None for wanted in families)
        self.services.append(dataclasses.replace(one, ipv4=ipv4, ipv6=ipv6))
        self.created += 1
        old, new = self.settle()
        assert old.items() <= new.items()
        after = scenes.loads(new, self.nodes)
        assert scenes.gap(after.values()) <= max(1, scenes.gap(before.values()))

    @stateful.precondition(lambda self: self.services)
    @stateful.rule(data=st.data())
    def delete_a_service(self, data) -> None:
        gone = data.draw(st.integers(0, len(self.services) - 1))
        del self.services[gone]
        old, new = self.settle()
        assert new.items() <= old.items()

    @stateful.precondition(lambda self: self.services)
    @stateful.rule(data=st.data(), count=COUNTS)
    def change_a_count(self, data, count) -> None:
        changed = data.draw(st.integers(0, len(self.services) - 1))
        one = self.services[changed]
        self.services[changed] = dataclasses.replace(
            one,
            ipv4=count if one.ipv4 is not None else None,
            ipv6=count if one.ipv6 is not None else None,
        )
        own = {child.address for child in one.held}
        old, new = self.settle()
        others = {address: listed for address, listed in old.items() if address not in own}
        assert others.items() <= new.items()

    @stateful.rule(how_many=st.sampled_from([1, 1, 1, 2, 15]))
    def join(self, how_many) -> None:
        gap = scenes.gap(scenes.loads(scenes.held_lists(self.services), self.nodes).values())
        before = len(self.nodes)
        joined = [f"n{self.named + number}" for number in range(how_many)]
        self.named += how_many
        self.nodes += joined
        old, new = self.settle()
        moved = [address for address, listed in old.items() if new[address][0] != listed[0]]
        roomy = all(len(listed) <= before for listed in scenes.groups(self.placement))
        assert not roomy or {new[address][0] for address in moved} <= set(joined)
        assert len(moved) <= how_many * -(-len(new) // len(self.nodes)) or not roomy
        assert scenes.gap(scenes.loads(new, self.nodes).values()) <= max(1, gap)
        self.check_failures()

    @stateful.precondition(lambda self: len(self.nodes) > 1)
    @stateful.rule(data=st.data())
    def leave(self, data) -> None:
        gone = set(data.draw(st.lists(st.sampled_from(self.nodes), min_size=1, max_size=2)))
        if len(gone) == len(self.nodes):
            return
        survivors = [node for node in self.nodes if node not in gone]
        before = scenes.held_lists(self.services)
        gap = scenes.gap(scenes.loads(before, survivors).values())
        self.nodes = survivors
        _, new = self.settle()
        assert scenes.gap(scenes.loads(new, self.nodes).values()) <= max(1, gap)
        assert not any(node in gone for listed in new.values() for node in listed)
        self.check_failures()

    def check_failures(self) -> None:
        held = scenes.lists(self.placement)
        if scenes.gap(scenes.loads(held, self.nodes).values()) > 1 or len(self.nodes) < 2:
            return
        for node in self.nodes:
            assert scenes.gap(scenes.loads(held, self.nodes, [node]).values()) <= 2

    @stateful.invariant()
    def siblings_are_distinct_now_and_after_any_failure(self) -> None:
        assert all(gap <= 1 for gap in scenes.group_gaps(self.placement, self.nodes))
        for node in self.nodes if len(self.nodes) > 1 else ():
            assert all(gap <= 1 for gap in scenes.group_gaps(self.placement, self.nodes, [node]))

    @stateful.invariant()
    def lists_name_members_only_and_enough_of_them(self) -> None:
        for listed in scenes.lists(self.placement).values():
            assert len(set(listed)) == len(listed)
            assert set(listed) <= set(self.nodes)
            assert min(3, len(self.nodes)) <= len(listed) <= model.MAX_LISTED

    @stateful.invariant()
    def an_answer_that_came_true_is_answered_again(self) -> None:
        before = self.placement
        self.settle()
        assert self.placement == before

    @stateful.invariant()
    def the_order_of_the_request_does_not_matter(self) -> None:
        shuffled = scenes.balancer(self.nodes[::-1], known=frozenset(self.nodes))
        assert scenes.decide(shuffled, self.services[::-1]) == self.placement


EXAMPLES = (hypothesis.settings.default or hypothesis.settings()).max_examples // 3
History.TestCase.settings = hypothesis.settings(max_examples=EXAMPLES, stateful_step_count=15)
TestHistory = History.TestCase
