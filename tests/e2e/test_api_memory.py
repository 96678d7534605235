# SPDX-License-Identifier: MIT
"""Addresses stay where they are, and other people's objects are respected."""

import json

import pytest

from contract import child, names
from lab import inside
from tests.e2e import people

STRANGER = "stranger"


def foreign(namespace: str, name: str, **metadata: object) -> people.Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"ports": [{"port": 80}]},
    }


def written(user: people.User, name: str, *addresses: str) -> None:
    """Write a Service's status as another load balancer does."""
    patch = {"status": {"loadBalancer": {"ingress": [{"ip": a} for a in addresses]}}}
    words = ("-n", user.namespace, "patch", "service", name, "--subresource=status", "--type=merge")
    user.lab.kubectl(*words, "-p", json.dumps(patch))


@pytest.mark.parametrize("mirror", ["policy", "hook"])
def test_a_replace_that_wipes_the_label_changes_no_address(lab, user, block, mirror, request):
    if mirror == "hook":
        request.getfixturevalue("unmirrored")
    user.serve("web", count="3")
    user.gets("web", block.v4(1), block.v4(2), block.v4(3))
    before = {item["metadata"]["uid"] for item in user.children("web")}

    for _ in range(3):
        manifest = user.manifest("web", count="3")
        lab.kubectl("replace", "-f", "-", standard_input=json.dumps(manifest))

    inside.until(
        lambda: (
            user.service("web")["metadata"].get("labels") == {names.SERVICE_BALANCER: user.balancer}
        ),
        "the label is there again",
    )
    user.gets("web", block.v4(1), block.v4(2), block.v4(3))
    assert {item["metadata"]["uid"] for item in user.children("web")} == before


def test_addresses_that_another_load_balancer_left_in_the_status_are_taken_over(user, block):
    user.serve("old", count="2", annotations={names.SERVICE_BALANCER: None}, loadBalancerClass=None)
    written(user, "old", block.v4(8), block.v4(6))

    user.annotate("old", names.SERVICE_BALANCER, user.balancer)

    user.gets("old", block.v4(6), block.v4(8))
    assert user.condition("old", "Assigned")["status"] == "True"


def test_another_load_balancers_status_is_left_as_it_is(user, block):
    user.serve("web", count="1", loadBalancerClass=None)
    user.gets("web", block.v4(1))

    written(user, "web", "203.0.113.9")

    user.complaint("web", "ForeignStatus", "203.0.113.9", names.SERVICE_CLASS)
    assert user.ingress("web") == ["203.0.113.9"]
    written(user, "web")
    user.gets("web", block.v4(1))


def test_a_foreign_service_with_a_childs_name_is_reported_and_left_alone(lab, user, block):
    lab.apply(foreign(user.namespace, "web-l2-2"))
    user.serve("web", count="3")

    user.complaint("web", "ChildMissing", "web-l2-2")
    user.gets("web", block.v4(1), block.v4(3))
    assert "annotations" not in lab.get("service", "web-l2-2", "-n", user.namespace)["spec"]

    user.delete("web-l2-2")

    user.gets("web", block.v4(1), block.v4(2), block.v4(3))
    assert user.condition("web", "Assigned")["status"] == "True"


def test_a_service_whose_only_child_cannot_be_created_is_told_why(lab, user, balancer, block):
    lab.apply(foreign(user.namespace, "web-l2-1"))
    user.serve("web", count="1")

    user.complaint("web", "ChildMissing", "web-l2-1")
    assert "web-l2-1" in balancer.condition("Ready", "ServicesPending")

    user.delete("web-l2-1")

    user.gets("web", block.v4(1))


def test_a_quota_that_forbids_a_child_is_named(lab, user, block):
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": user.namespace},
        "spec": {"hard": {"services.loadbalancers": "2"}},
    }
    lab.apply(quota)
    inside.until(
        lambda: "used" in lab.get("resourcequota", "few", "-n", user.namespace)["status"],
        "the quota counts",
    )
    user.serve("web", count="2")

    user.complaint("web", "ChildMissing", "quota", user.namespace)
    left = user.addresses("web", 1)  # the two are created in any order
    assert set(left) < {block.v4(1), block.v4(2)}

    lab.kubectl("-n", user.namespace, "delete", "resourcequota", "few")
    user.gets("web", block.v4(1), block.v4(2))


@pytest.mark.usefixtures("unguarded")
def test_a_look_alike_of_a_child_gives_nobody_anything(lab, user, block):
    user.serve("web", count="1")
    user.gets("web", block.v4(1))
    (item,) = user.children("web")
    fake = foreign(
        user.namespace,
        "web-l2-2",
        labels=item["metadata"]["labels"],
        annotations={
            **item["metadata"]["annotations"],
            names.CHILD_ADDRESS: "203.0.113.66",
            names.CHILD_PLANNED: "2",
        },
    )
    lab.apply(fake)

    user.annotate("web", names.SERVICE_IP_COUNT, "3")

    inside.until(
        lambda: {block.v4(1), block.v4(3)} <= set(user.ingress("web")), "the real ones are there"
    )
    assert "203.0.113.66" not in user.ingress("web")


@pytest.mark.usefixtures("unguarded")
def test_a_service_that_claims_to_be_a_balancers_child_stops_nobody(lab, user, balancer, block):
    uid = lab.get(names.PLURAL, balancer.name)["metadata"]["uid"]
    lab.apply(foreign(user.namespace, "claim", labels={"controller-uid": uid}))
    user.serve("web", count="2")

    user.gets("web", block.v4(1), block.v4(2))

    claim = lab.get("service", "claim", "-n", user.namespace)
    assert claim["spec"]["type"] == "ClusterIP"
    assert "claim" in balancer.condition("Ready", "ObjectsLeftAlone")


def test_a_namespace_that_goes_stops_nobody_elses_service(lab, user, block):
    doomed = people.User(lab, f"{user.namespace}-gone", user.balancer)
    held = foreign(doomed.namespace, "held", finalizers=["example.com/hold"])
    lab.kubectl("create", "namespace", doomed.namespace)
    doomed.serve("web", count="2")
    doomed.gets("web", block.v4(1), block.v4(2))
    lab.apply(held)

    lab.kubectl("delete", "namespace", doomed.namespace, "--wait=false")
    doomed.loses_all("web")
    # Until it is gone itself its addresses are nobody else's: proxies send them to its Pods still.
    inside.until(
        lambda: (
            [one["metadata"]["name"] for one in lab.items("services", "-n", doomed.namespace)]
            == ["held"]
        ),
        "only what has a finalizer is left in the namespace",
    )
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))
    held["metadata"]["finalizers"] = []
    lab.kubectl("replace", "-f", "-", standard_input=json.dumps(held))


def test_a_child_that_somebody_deletes_comes_back_with_its_address(lab, user, block):
    user.serve("web", count="3")
    user.gets("web", block.v4(1), block.v4(2), block.v4(3))
    lost = user.children("web")[1]

    user.delete(lost["metadata"]["name"])

    inside.until(
        lambda: (
            len(now := user.children("web")) == 3
            and lost["metadata"]["uid"] not in {item["metadata"]["uid"] for item in now}
        ),
        "there are three children again",
    )
    user.gets("web", block.v4(1), block.v4(2), block.v4(3))


@pytest.mark.usefixtures("unguarded")
def test_a_child_that_somebody_edits_is_mended(lab, user, block):
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))
    edited = user.children("web")[0]["metadata"]["name"]

    user.annotate(edited, names.CHILD_ADDRESS, "nonsense")

    inside.until(
        lambda: (
            sorted(str(child.decode(item).address) for item in user.children("web"))
            == [block.v4(1), block.v4(2)]
        ),
        "both children carry their addresses",
        ignored=(inside.CommandError, ValueError),
    )
    user.gets("web", block.v4(1), block.v4(2))


def test_an_address_that_a_stranger_uses_is_replaced_and_told(lab, namespace):
    lab.change("machine", "add", STRANGER)
    lab.run(STRANGER, "ip", "address", "add", "10.77.0.231/24", "dev", "eth0")
    balancer = people.Balancer(lab, ["10.77.0.231-10.77.0.234"])
    try:
        user = people.User(lab, namespace, balancer.name)
        user.serve("web", count="2")

        user.gets("web", "10.77.0.232", "10.77.0.233")

        assert balancer.status()["quarantined"] == ["10.77.0.231"]
        user.holders("web", 2)
        described = lab.kubectl("-n", namespace, "describe", "service", "web")
        assert "10.77.0.231" in described.partition("Events:")[2]
    finally:
        balancer.delete()
        lab.run(STRANGER, "ip", "address", "del", "10.77.0.231/24", "dev", "eth0")
