# SPDX-License-Identifier: MIT
from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from tests.simulator import invariants, scenario, world


class Drawn:
    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def choice(self, options):
        return self.data.draw(st.sampled_from(options))

    def number(self, low, high):
        return self.data.draw(st.integers(low, high))


@hypothesis.settings(max_examples=25)
@hypothesis.given(data=st.data(), seed=st.integers(0, 1000), segments=st.integers(1, 2))
def test_never_two_holders_and_never_none_whatever_happens(data, seed, segments):
    more = {f"eth{number}": world.Network() for number in range(1, segments)}
    made = scenario.start(
        Drawn(data), size=4, addresses=3, seed=seed, network=world.Network(), more=more
    )
    monitors = [invariants.Monitor(made.world, interface=name) for name in made.world.networks]
    for _ in range(data.draw(st.integers(1, 12))):
        made.step()
        for monitor in monitors:
            monitor.check()
    made.mend()
    for monitor in monitors:
        monitor.check()
    made.check_rest()
