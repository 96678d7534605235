# SPDX-License-Identifier: MIT
import ipaddress
import itertools

import pytest

from lab import errors, machines


def everybody() -> list[machines.Machine]:
    nodes = [machines.node(index) for index in range(1, machines.MOST_NODES + 1)]
    return [machines.client(), *nodes]


def test_a_machine_has_the_addresses_that_the_documentation_promises() -> None:
    assert machines.node(1).addresses == ("10.77.0.11", "fd77::11")
    assert machines.node(5).addresses == ("10.77.0.15", "fd77::15")
    assert machines.client().addresses == ("10.77.0.100", "fd77::100")


def test_no_two_machines_share_an_address_or_a_mac() -> None:
    present = everybody()
    while len(present) < machines.MOST_NODES + 10:
        present.append(machines.stranger(f"other-{len(present)}", present))
    for switch in machines.SWITCHES:
        numbers = [machines.CONTROL_PLANE, *(machine.number for machine in present)]
        addresses = list(itertools.chain.from_iterable(map(switch.addresses, numbers)))
        assert len(set(addresses)) == len(addresses)
        assert len({switch.mac(number) for number in numbers}) == len(numbers)


def test_pods_subnets_lie_within_the_clusters_and_never_overlap() -> None:
    whole = [ipaddress.ip_network(subnet) for subnet in machines.POD_SUBNETS]
    for family, subnet in enumerate(whole):
        parts = [
            ipaddress.ip_network(machines.node(index).pod_subnets[family])
            for index in range(1, machines.MOST_NODES + 1)
        ]
        assert all(part.subnet_of(subnet) for part in parts)  # type: ignore[arg-type]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(parts, 2))


def test_only_nodes_have_pods() -> None:
    assert machines.client().pod_subnets == ()
    assert machines.stranger("other", [machines.client()]).pod_subnets == ()


@pytest.mark.parametrize("index", [0, -1, machines.MOST_NODES + 1])
def test_a_node_too_many_is_refused_with_the_bounds(index: int) -> None:
    with pytest.raises(errors.LabError, match=f"1 to {machines.MOST_NODES} nodes, not {index}"):
        machines.node(index)


@pytest.mark.parametrize("name", ["", "A", "1a", "a_b", "a-", "tenletters", "a b", "a/b"])
def test_a_name_that_no_interface_could_carry_is_refused(name: str) -> None:
    with pytest.raises(errors.LabError, match="cannot name a machine"):
        machines.stranger(name, [])


@pytest.mark.parametrize("name", ["client", "node-9"])
def test_a_name_that_is_taken_or_would_be_is_refused(name: str) -> None:
    with pytest.raises(errors.LabError, match=f"the name '{name}' is taken"):
        machines.stranger(name, [machines.client()])


def test_the_longest_names_still_fit_an_interface_name() -> None:
    names = [machines.node(machines.MOST_NODES).name, machines.stranger("nine-char", []).name]
    for switch, name in itertools.product(machines.SWITCHES, names):
        assert len(switch.port_prefix + name) <= 15  # IFNAMSIZ with its final zero is 16


def test_strangers_take_the_first_free_place_until_all_are_taken() -> None:
    present: list[machines.Machine] = []
    for index in range(machines.LAST_STRANGER - machines.FIRST_STRANGER + 1):
        present.append(machines.stranger(f"other-{index}", present))
    assert [machine.number for machine in present] == sorted(machine.number for machine in present)
    with pytest.raises(errors.LabError, match="all 20 places"):
        machines.stranger("one-more", present)
    del present[3]
    assert machines.stranger("one-more", present).number == machines.FIRST_STRANGER + 3
