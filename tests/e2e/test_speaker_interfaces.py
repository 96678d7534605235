# SPDX-License-Identifier: MIT
"""Interfaces that are no plain uplink, named in the balancer, where addresses are announced."""

from collections.abc import Callable, Iterator

import pytest

from lab import inside
from tests.e2e import front as balanced

GROUP = "239.77.0.1"


def vxlan(lab: inside.Lab, machine: str, last: int) -> None:
    """Make an overlay that spans the machines' uplinks."""
    made = ("link", "add", "over0", "type", "vxlan", "id", "77", "group", GROUP, "dstport", "4789")
    lab.run(machine, "ip", *made, "dev", "eth0")
    lab.run(machine, "ip", "link", "set", "over0", "up")
    lab.run(machine, "ip", "address", "add", f"10.79.0.{last}/24", "dev", "over0")


def macvlan(lab: inside.Lab, machine: str, last: int) -> None:
    """Make a second interface on the uplink, with no address of its own."""
    made = ("link", "add", "link", "eth0", "name", "over0", "type", "macvlan", "mode", "bridge")
    lab.run(machine, "ip", *made)
    lab.run(machine, "ip", "link", "set", "over0", "up")


Make = Callable[[inside.Lab, str, int], None]


@pytest.fixture
def front(
    whole: inside.Lab, namespace: str, request: pytest.FixtureRequest
) -> Iterator[balanced.Front]:
    make: Make
    machines: tuple[str, ...]
    make, machines, pool = request.param
    for last, machine in enumerate(machines, start=11):
        make(whole, machine, last)
    made = balanced.Front(whole, namespace)
    made.install(pool=pool, interfaces=["over0"])
    yield made
    made.remove()
    for machine in machines:
        whole.run(machine, "ip", "link", "delete", "over0")


@pytest.mark.parametrize(
    ("front", "asked_on"),
    [
        ((vxlan, (*balanced.NODES, "client"), "10.79.0.200-10.79.0.209"), "over0"),
        ((macvlan, balanced.NODES, "10.77.0.230-10.77.0.239"), "eth0"),
    ],
    indirect=["front"],
    ids=["vxlan", "macvlan"],
)
def test_an_address_is_announced_and_fails_over_there(front: balanced.Front, asked_on: str) -> None:
    front.serve(1)
    (address,) = front.holders(1)
    node = front.preferred(address)[0]
    on_preferred = {front.mac_of(node, "over0")}
    inside.until(
        lambda: front.claimants(address, 0.5, asked_on) == on_preferred, f"{address} is on {node}"
    )
    front.lab.change("process", "kill", f"speaker-{node}")
    front.claimants(address, 1.0, asked_on)
    (taker,) = front.claimants(address, 1.0, asked_on)
    assert taker in {front.mac_of(other, "over0") for other in balanced.others(node)}
    front.lab.change("process", "start", f"speaker-{node}")
    inside.until(
        lambda: front.claimants(address, 0.5, asked_on) == on_preferred,
        f"{address} is back on {node}",
    )
