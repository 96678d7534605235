# SPDX-License-Identifier: MIT
"""Promise 6: the same request, in whatever order, gets the same answer."""

import dataclasses
import os
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.placement import scenes, test_addresses


@given(balancer=test_addresses.any_balancer(), asked=test_addresses.anything(), random=st.randoms())
def test_the_order_of_the_request_does_not_matter(balancer, asked, random):
    answer = scenes.decide(balancer, asked)
    shuffled = [dataclasses.replace(one, held=_shuffled(one.held, random)) for one in asked]
    nodes = _shuffled(balancer.nodes, random)
    assert (
        scenes.decide(dataclasses.replace(balancer, nodes=nodes), _shuffled(shuffled, random))
        == answer
    )


@given(scene=scenes.aged(scenes.fresh()), joined=st.integers(0, 2), random=st.randoms())
def test_nor_does_the_order_of_nodes_when_addresses_have_to_move(scene, joined, random):
    nodes = [*scene.nodes[joined:], *(f"j{number}" for number in range(joined))]
    answers = [
        scenes.decide(_shuffled(nodes, random), _shuffled(scene.services, random)) for _ in range(2)
    ]
    assert answers[0] == answers[1]


def test_nor_does_the_process():
    """Python's own hash of strings differs from process to process."""
    program = (
        "from tests.unit.placement import scenes\n"
        "asked = tuple(scenes.wishes([3, 1, 9, 4]))\n"
        "scene = scenes.Scene(scenes.balancer(9).nodes, asked).settled()\n"
        "print(scene.with_nodes([*scene.nodes[1:], 'new']).answer())\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONPATH": ".", "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(answers) == 1


def _shuffled(values, random):
    return tuple(random.sample(list(values), len(values)))
