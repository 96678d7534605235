# SPDX-License-Identifier: MIT
"""From `kubectl apply` to a client's connection, with the faults that an operator meets first."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from contract import child, names
from lab import client, inside
from tests.e2e import people

POOL = "10.77.0.200-10.77.0.230"


@pytest.fixture
def user(whole: inside.Lab, namespace: str) -> Iterator[people.User]:
    """A user with Pods on node-5 and a balancer on node-1 to node-4."""
    name = f"front-{uuid.uuid4().hex[:6]}"
    label = f"test/{name}"
    for node in ("node-1", "node-2", "node-3", "node-4"):
        whole.kubectl("label", "--overwrite", "node", node, f"{label}=")
    balancer = people.Balancer(
        whole, [POOL, "fd77::200-fd77::230"], name=name, selector={label: ""}
    )
    whole.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "echo", "namespace": namespace},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "echo"}},
                "template": {
                    "metadata": {"labels": {"app": "echo"}},
                    "spec": {
                        "nodeSelector": {"kubernetes.io/hostname": "node-5"},
                        "containers": [client.ECHO],
                    },
                },
            },
        },
    )
    whole.kubectl("-n", namespace, "rollout", "status", "deployment/echo", "--timeout=30s")
    yield people.User(whole, namespace, balancer.name)
    balancer.delete()
    whole.kubectl("label", "node", "--all", f"{label}-")


@pytest.fixture
def outside(lab: inside.Lab) -> client.Client:
    return client.Client(lab)


def until_served(user: people.User, outside: client.Client, count: int) -> dict[str, str]:
    """Wait until each address reaches a Pod by its preferred node, and may do so by any other.

    Return address -> node.
    """
    outside.until_served(f"{user.namespace}/web", user.addresses("web", count))

    def served() -> dict[str, str]:
        wanted = {str(c.address): c.nodes[0] for c in map(child.decode, user.children("web"))}
        right = all(
            outside.machine_of(address) == node
            and (outside.ask(address) or "").startswith("node-5/echo-")
            for address, node in wanted.items()
        )
        return wanted if right and len(wanted) == count else {}

    return inside.until(served, "each address reaches a Pod by its preferred node")


def test_each_address_is_answered_by_another_node_and_reaches_a_pod(
    user: people.User, outside: client.Client
) -> None:
    user.serve("web", count="3")
    user.addresses("web", 3)
    holders = user.holders("web", 3)
    assert len(set(holders.values())) == 3
    assert until_served(user, outside, 3).keys() == holders.keys()
    assert {e["ipMode"] for e in user.status("web")["loadBalancer"]["ingress"]} == {"VIP"}
    assert user.condition("web", "Assigned")["status"] == "True"


@pytest.mark.parametrize("fault", ["cut", "kill speaker", "kill node"])
def test_a_failure_takes_only_its_own_share_down_and_a_stand_in_serves_on(
    user: people.User, outside: client.Client, fault: str
) -> None:
    user.serve("web", count="3")
    addresses = user.addresses("web", 3)
    until_served(user, outside, 3)
    faults: dict[str, Callable[[str], object]] = {
        "cut": lambda node: user.lab.run(None, "ip", "link", "set", f"port-{node}", "nomaster"),
        "kill speaker": lambda node: user.lab.change("process", "kill", f"speaker-{node}"),
        "kill node": lambda node: user.lab.change("node", "kill", node),
    }
    with outside.watch(addresses) as results:
        victim = addresses[0]
        mac = inside.until(lambda: outside.mac_of(victim), f"{victim} answers")
        node = client.machine_of_mac(user.lab, mac)
        assert node
        faults[fault](node)
        inside.until(
            lambda: outside.mac_of(victim) not in {mac, None}, f"{victim} is on another node"
        )
    if fault == "kill speaker":
        user.lab.change("process", "start", f"speaker-{node}")
    _, *others = results
    assert [(other["failures"], other["cut"]) for other in others] == [([], 0), ([], 0)]


def test_a_speaker_that_is_stopped_hands_over_without_a_failed_connection(
    user: people.User, outside: client.Client
) -> None:
    user.serve("web", count="3")
    addresses = user.addresses("web", 3)
    holders = until_served(user, outside, 3)
    victim = addresses[0]
    mac = outside.mac_of(victim)
    with outside.watch(addresses) as results:
        user.lab.change("process", "stop", f"speaker-{holders[victim]}")
        inside.until(
            lambda: outside.mac_of(victim) not in {mac, None}, f"{victim} is on another node"
        )
    user.lab.change("process", "start", f"speaker-{holders[victim]}")
    assert [result["failures"] for result in results] == [[], [], []]


def test_a_service_without_annotation_gives_everything_back(user: people.User) -> None:
    user.serve("web", count="2")
    user.addresses("web", 2)
    user.annotate("web", names.SERVICE_BALANCER, None)
    inside.until(
        lambda: not user.children("web") and not user.ingress("web"), "children and status are gone"
    )
    metadata = user.lab.get("service", "web", "-n", user.namespace)["metadata"]
    assert names.SERVICE_BALANCER not in metadata.get("labels", {})


def test_auto_grows_with_the_nodes_and_never_shrinks(user: people.User) -> None:
    user.serve("web", count="auto")
    before = user.addresses("web", 4)
    user.lab.kubectl("label", "node", "node-5", f"test/{user.balancer}=")
    after = user.addresses("web", 5)
    assert set(before) < set(after)
    holders = user.holders("web", 5)
    assert holders[(set(after) - set(before)).pop()] == "node-5"
    user.lab.kubectl("label", "node", "node-5", f"test/{user.balancer}-")
    inside.until(
        lambda: all("node-5" not in child.decode(c).nodes for c in user.children("web")),
        "no child lists node-5 any more",
    )
    assert set(user.ingress("web")) == set(after)


def test_a_service_that_asks_for_nonsense_is_told_what_would_be_right(user: people.User) -> None:
    with pytest.raises(inside.CommandError, match='"many": write a number from 1 to 64, or auto'):
        user.serve("web", count="many")


def test_both_families_are_announced(user: people.User, outside: client.Client) -> None:
    user.serve("web", count="2", ipFamilyPolicy="RequireDualStack")
    addresses = user.addresses("web", 4)
    assert sum(":" in address for address in addresses) == 2
    until_served(user, outside, 4)


def test_a_deleted_service_leaves_no_child_and_no_answer(
    user: people.User, outside: client.Client
) -> None:
    user.serve("web", count="2")
    addresses = user.addresses("web", 2)
    user.holders("web", 2)
    user.delete("web")
    inside.until(lambda: not user.children("web"), "the children are gone")
    for address in addresses:
        inside.until(
            lambda address=address: outside.machine_of(address) is None,  # type: ignore[misc] # mypy cannot infer a lambda with a default
            f"nobody answers for {address}",
        )
