# SPDX-License-Identifier: MIT
"""What an administrator changes on a balancer, and what becomes of its Services."""

import collections
import contextlib
import uuid

import pytest

from contract import child, names
from lab import inside
from tests.e2e import people


@pytest.fixture
def another(lab, block):
    """A younger balancer, with other addresses of the same block.

    Within one second of creation the name decides who is the older.
    """
    made = people.Balancer(lab, block.pool(101, 110), name=f"younger-{uuid.uuid4().hex[:6]}")
    yield made
    made.delete()


def test_an_extended_pool_serves_who_waits(user, balancer, block):
    balancer.change(addressPool=block.pool(1, 1))
    user.serve("web", count="3")
    user.gets("web", block.v4(1))

    balancer.change(addressPool=[*block.pool(1, 1), *block.pool(5, 9)])

    user.gets("web", block.v4(1), block.v4(5), block.v4(6))


def test_a_shrunk_pool_replaces_only_what_it_lost(user, balancer, block):
    user.serve("web", count="3")
    user.gets("web", block.v4(1), block.v4(2), block.v4(3))

    balancer.change(addressPool=[block.v4(1), f"{block.v4(3)}-{block.v4(9)}"])

    user.gets("web", block.v4(1), block.v4(3), block.v4(4))


def test_a_split_pool_changes_nothing(user, balancer, block):
    user.serve("web", count="3")
    user.gets("web", block.v4(1), block.v4(2), block.v4(3))
    before = wanted(user)

    balancer.change(addressPool=[*block.pool(1, 2), *block.pool(3, 10)])

    inside.until(
        lambda: (
            balancer.status()["observedGeneration"]
            == balancer.lab.get(names.PLURAL, balancer.name)["metadata"]["generation"]
        ),
        "the change was seen",
    )
    assert wanted(user) == before


def wanted(user):
    """What the hook says of the children; their status is the speakers' and comes when it comes."""
    return [
        (item["metadata"]["annotations"], item["metadata"]["labels"], item["spec"])
        for item in user.children("web")
    ]


def test_of_two_balancers_the_older_keeps_what_both_have(user, balancer, another, block):
    another.change(addressPool=block.pool(9, 12))
    said = another.condition("PoolValid", "OverlappingPool")
    assert balancer.name in said
    assert f"{block.v4(9)}-{block.v4(10)}" in said

    user.serve("web", count="2", annotations={names.SERVICE_BALANCER: another.name})

    user.gets("web", block.v4(11), block.v4(12))

    balancer.change(addressPool=block.pool(1, 8))
    another.condition("PoolValid", "Valid")


def test_an_unreadable_pool_is_told_and_takes_nothing_away(user, balancer, block):
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))

    balancer.change(addressPool=[f"{block.v6(9)}-{block.v6(1)}"])

    assert block.v6(9) in balancer.condition("PoolValid", "InvalidEntry")
    user.gets("web", block.v4(1), block.v4(2))


def test_another_node_selector_moves_the_addresses_and_changes_none(user, balancer, block):
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))

    balancer.change(nodeSelector={"kubernetes.io/hostname": "node-2", "kubernetes.io/os": None})

    inside.until(
        lambda: {child.decode(item).nodes for item in user.children("web")} == {("node-2",)},
        "all children list node-2 alone",
    )
    user.gets("web", block.v4(1), block.v4(2))


def test_a_join_that_the_api_server_refuses_in_part_is_finished(lab, user, balancer):
    label = f"test/{balancer.name}"
    lab.kubectl("label", "node", "node-1", f"{label}=")
    balancer.change(nodeSelector={label: "", "kubernetes.io/os": None})
    try:
        user.serve("web", count="10")
        before = user.addresses("web", 10)
        inside.until(lambda: spread(user) == [10], "node-1 has all addresses")
        with refused(lab, user, preferring="node-2"):
            lab.kubectl("label", "node", "node-2", f"{label}=")
            inside.until(
                lambda: any("node-2" in child.decode(item).nodes for item in user.children("web")),
                "what is not refused is written",
            )
        inside.until(lambda: spread(user) == [5, 5], "node-2 has its share")
        assert user.ingress("web") == before
    finally:
        lab.kubectl("label", "node", "--all", f"{label}-")


def spread(user):
    """How many children prefer each node that any does."""
    nodes = [child.decode(item).nodes for item in user.children("web")]
    return sorted(collections.Counter(listed[0] for listed in nodes if listed).values())


@contextlib.contextmanager
def refused(lab, user, *, preferring):
    """Let the API server refuse that children with an odd number prefer a node, in one namespace.

    It stands for what interrupts Metacontroller between two writes. The user's Service, of which
    no other policy says this, is refused too: it shows when the policy is in force.
    """
    name = f"test-{user.namespace}"
    api = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"]}
    odd = "object.metadata.name.matches('(^web|[13579])$')"
    nodes = f"object.metadata.?annotations[?'{names.CHILD_NODES}'].orValue('')"
    prefers = f"{nodes}.startsWith('{preferring}')"
    lab.apply(
        api
        | {
            "kind": "ValidatingAdmissionPolicy",
            "spec": {
                "matchConstraints": {"resourceRules": [rule | {"resources": ["services"]}]},
                "validations": [{"expression": f"!({odd} && {prefers})", "message": name}],
            },
        },
        api
        | {
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": user.namespace}
                    }
                },
            },
        },
    )
    try:
        inside.until(lambda: is_refused(user, preferring, name), "the change is refused")
        yield
    finally:
        lab.kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", name)


def is_refused(user, node, said):
    try:
        user.lab.kubectl(
            *("annotate", "service", "web", "-n", user.namespace),
            *("--dry-run=server", "--overwrite", f"{names.CHILD_NODES}={node}"),
        )
    except inside.CommandError as error:
        return said in str(error)
    return False


def test_without_nodes_lists_stay_and_nothing_new_is_given(user, balancer, block):
    user.serve("web", count="1")
    user.gets("web", block.v4(1))
    lists = [child.decode(item).nodes for item in user.children("web")]

    balancer.change(nodeSelector={"test/nobody": "", "kubernetes.io/os": None})
    assert "test/nobody" in balancer.condition("Ready", "NoNodes")
    user.serve("late", count="1")

    user.complaint("late", "NoNodes", "kubectl label node")
    user.gets("web", block.v4(1))
    assert [child.decode(item).nodes for item in user.children("web")] == lists


def test_nodes_that_are_excluded_are_counted_and_can_be_allowed(lab, user, balancer):
    balancer.change(nodeSelector={"kubernetes.io/hostname": "node-3", "kubernetes.io/os": None})
    lab.kubectl("label", "node", "node-3", f"{names.EXCLUDE_LABEL}=")
    try:
        user.serve("web", count="1")
        user.complaint("web", "NoNodes", "node-3", "spec.ignoreExcludeLabel")

        balancer.change(ignoreExcludeLabel=True)

        user.addresses("web", 1)
    finally:
        lab.kubectl("label", "node", "node-3", f"{names.EXCLUDE_LABEL}-")


def test_a_balancer_is_for_its_namespaces_only(user, balancer):
    balancer.change(namespaces=["somebody-else"])
    user.serve("web", count="1")
    user.complaint("web", "NamespaceNotAllowed", user.namespace, "spec.namespaces")
    assert user.ingress("web") == []

    balancer.change(namespaces=["somebody-else", user.namespace])
    user.addresses("web", 1)

    balancer.change(namespaces=["somebody-else"])
    user.gets("web")


def test_addresses_that_old_clients_misread_are_left_out(user, balancer, block):
    balancer.change(addressPool=[f"{block.v4(0)}-{block.v4(3)}"], avoidBuggyIPs=True)

    user.serve("web", count="1")

    user.gets("web", block.v4(1))


def test_a_service_moves_to_another_balancer(user, another, block):
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))

    user.annotate("web", names.SERVICE_BALANCER, another.name)

    user.gets("web", block.v4(101), block.v4(102))
    assert {child.decode(item).balancer for item in user.children("web")} == {another.name}


def test_a_balancer_that_is_deleted_and_created_anew_gives_the_same_addresses(
    user, balancer, block
):
    user.serve("other", count="2")
    user.gets("other", block.v4(1), block.v4(2))
    user.serve("web", count="2")
    user.gets("web", block.v4(3), block.v4(4))
    user.delete("other")
    user.loses_all("other")

    balancer.delete()
    user.complaint("web", "BalancerNotFound", balancer.name)
    user.gets("web")
    balancer.create()

    user.gets("web", block.v4(3), block.v4(4))


def test_a_balancer_shows_how_full_it_is(lab, user, balancer):
    user.serve("web", count="3")
    user.addresses("web", 3)

    inside.until(
        lambda: balancer.status()["addresses"]["ipv4"] == {"total": 10, "assigned": 3, "free": 7},
        "3 of 10 are assigned",
    )
    status = balancer.status()
    assert status["services"] == {"total": 1, "pending": 0}
    assert sum(node["preferred"] for node in status["nodes"]) == 3
    assert {node["name"] for node in status["nodes"]} == set(lab.nodes())
    row = lab.kubectl("get", "l2lb", balancer.name, "--no-headers").split()
    assert row[:2] == [balancer.name, "20"]


@pytest.mark.parametrize(
    "spec", [{"addressPool": ["10.0.0.300"]}, {"addressPool": []}, {"failbackDelay": "soon"}]
)
def test_what_the_api_server_can_refuse_it_refuses(balancer, spec):
    with pytest.raises(inside.CommandError, match="is invalid"):
        balancer.change(**spec)
