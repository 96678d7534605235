# SPDX-License-Identifier: MIT
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import errors
from lab.agent import network

SUBNETS = (ipaddress.ip_network("10.88.1.0/28"), ipaddress.ip_network("fd88:1::/64"))
CAPACITY = 13  # of 16 addresses: not the network, the node's side and the broadcast


@given(st.lists(st.one_of(st.just(None), st.integers(0, CAPACITY - 1))))
def test_no_number_is_held_twice_and_all_of_them_can_be_held(steps: list[int | None]) -> None:
    numbers = network.Numbers(SUBNETS)
    held: list[int] = []
    for step in steps:
        if step is not None and held:
            numbers.give_back(held.pop(step % len(held)))
        elif len(held) < CAPACITY:
            held.append(numbers.take())
    assert len(set(held)) == len(held)
    held += [numbers.take() for _ in range(CAPACITY - len(held))]
    assert sorted(held) == list(range(2, 2 + CAPACITY))


def test_a_number_given_back_is_the_last_to_be_given_again() -> None:
    numbers = network.Numbers(SUBNETS)
    first = numbers.take()
    numbers.give_back(first)
    others = [numbers.take() for _ in range(CAPACITY - 1)]
    assert first not in others
    assert numbers.take() == first


def test_a_full_subnet_is_named_with_its_size() -> None:
    numbers = network.Numbers(SUBNETS)
    for _ in range(CAPACITY):
        numbers.take()
    with pytest.raises(errors.LabError, match="all 13 addresses of this node's Pods are taken"):
        numbers.take()
