# SPDX-License-Identifier: MIT
import pytest

from tests.simulator.world import World, address, listed


@pytest.mark.parametrize("late_s", [0.0, 0.05, 0.3, 0.6])
def test_a_node_that_joins_gets_its_own_new_address_and_no_stand_in_before(late_s):
    world = World(tuple("abce"))
    old = listed(1, *"abc")
    joined = listed(2, *"eabc", announced=False)
    for name in "abc":
        world.nodes[name].children = (old,)
        world.nodes[name].start()
    world.run(10)
    world.set_children([old, joined])
    world.run(late_s)
    world.nodes["e"].children = (old, joined)
    world.nodes["e"].start()
    world.run(2)
    assert world.holders(address(2)) == ["e"]
    takes = [node for _, node, action in world.log if _is_take(action, address(2))]
    assert takes == ["e"]


def test_a_node_that_never_comes_is_waited_for_a_second():
    world = World(tuple("abce"))
    old = listed(1, *"abc")
    for name in "abc":
        world.nodes[name].children = (old,)
        world.nodes[name].start()
    world.run(10)
    world.set_children([old, listed(2, *"eabc", announced=False)])
    world.run(0.9)
    assert world.holders(address(2)) == []
    world.run(0.6)
    assert world.holders(address(2)) == ["a"]


def _is_take(action, taken):
    return type(action).__name__ == "Take" and action.address == taken
