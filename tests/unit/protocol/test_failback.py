# SPDX-License-Identifier: MIT
import dataclasses

import pytest

from tests.simulator.world import World, address, listed

NAMES = ("a", "b", "c", "d")


@pytest.mark.parametrize("cut_s", [0.3, 0.7, 1.1, 2.0, 5.0])
def test_a_preferred_node_that_heals_takes_its_address_back_after_the_delay(cut_s):
    world = World(NAMES)
    one = dataclasses.replace(listed(1, *"abcd"), failback_delay_s=3.0)
    world.start([one, listed(2, *"bcad"), listed(3, *"cdab")])
    world.run(4)
    world.unplug("a")
    world.run(cut_s)
    world.heal()
    world.run(2.9)
    assert world.holders(address(1)) == ["b"]
    world.run(1)
    assert world.holders(address(1)) == ["a"]
