# SPDX-License-Identifier: MIT
"""What a user's Service looks like, and what its children then do."""

import pytest

from contract import child, names
from lab import inside


def test_a_service_without_a_class_is_served(user, block):
    user.serve("web", count="1", loadBalancerClass=None)

    user.gets("web", block.v4(1))


@pytest.mark.parametrize(
    "spec",
    [
        {"loadBalancerClass": "example.com/other"},
        {"loadBalancerClass": None, "type": "ClusterIP"},
    ],
    ids=["another class", "no load balancer"],
)
def test_a_service_that_is_not_ours_is_left_alone(user, spec):
    user.serve("foreign", count="1", **spec)
    user.serve("ours", count="1")
    user.addresses("ours", 1)

    assert user.children("foreign") == []
    assert user.status("foreign") == {"loadBalancer": {}}
    assert "labels" not in user.service("foreign")["metadata"]


def test_a_service_that_is_a_load_balancer_no_more_gives_everything_back(lab, user, block):
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))

    manifest = user.manifest("web", count="2", type="ClusterIP", loadBalancerClass=None)
    lab.apply(manifest)

    user.loses_all("web")
    inside.until(
        lambda: (
            user.status("web") == {"loadBalancer": {}}
            and "labels" not in user.service("web")["metadata"]
        ),
        "status and label are clean",
    )


def test_a_deleted_service_takes_its_children_along(user, block):
    user.serve("web", count="3")
    user.addresses("web", 3)

    user.delete("web")

    user.loses_all("web")
    user.serve("next", count="1")
    user.gets("next", block.v4(1))


def test_a_service_that_is_created_anew_under_its_name_is_a_new_one(user, block):
    user.serve("web", count="2")
    user.gets("web", block.v4(1), block.v4(2))
    before = {child.decode(item).service_uid for item in user.children("web")}

    user.delete("web")
    user.serve("web", count="2")

    user.addresses("web", 2)
    inside.until(
        lambda: (
            len(after := {child.decode(item).service_uid for item in user.children("web")}) == 1
            and not after & before
        ),
        "all children are those of the new Service",
    )


def test_tcp_and_udp_on_one_number_are_one_entry_of_the_child(user):
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        {"name": "metrics", "port": 9153, "protocol": "TCP"},
    ]
    user.serve("dns", count="2", ports=ports)

    user.addresses("dns", 2)

    for item in user.children("dns"):
        assert sorted(port["port"] for port in item["spec"]["ports"]) == [53, 9153]


def test_changed_ports_reach_the_children(user):
    user.serve("web", count="2", ports=[{"port": 80}])
    user.addresses("web", 2)

    user.serve("web", count="2", ports=[{"name": "a", "port": 81}, {"name": "b", "port": 444}])

    inside.until(
        lambda: (
            [
                [(port["name"], port["port"]) for port in item["spec"]["ports"]]
                for item in user.children("web")
            ]
            == [[("a", 81), ("b", 444)]] * 2
        ),
        "both children have the new ports",
    )


def test_of_a_hundred_ports_a_child_shows_sixteen(user):
    ports = [{"name": f"p{n}", "port": 1000 + n} for n in range(100)]
    user.serve("many", count="1", ports=ports)

    user.addresses("many", 1)

    (item,) = user.children("many")
    assert [port["port"] for port in item["spec"]["ports"]] == [*range(1000, 1016)]


def test_names_that_are_too_long_are_shortened_and_stay_apart(user, block):
    long = "a" * 62
    user.serve(f"{long}a", count="2")
    user.gets(f"{long}a", block.v4(1), block.v4(2))

    user.serve(f"{long}b", count="2")

    user.gets(f"{long}b", block.v4(3), block.v4(4))


def test_policy_local_gives_the_children_the_port_that_speakers_ask(user):
    user.serve("web", count="1", externalTrafficPolicy="Local")
    user.addresses("web", 1)

    (item,) = user.children("web")

    assert (
        child.decode(item).health_check_port == user.service("web")["spec"]["healthCheckNodePort"]
    )


def test_kube_proxy_and_others_leave_the_children_alone(user):
    user.serve("web", count="1")
    user.addresses("web", 1)

    (item,) = user.children("web")

    assert item["metadata"]["labels"][names.PROXY_NAME_LABEL] == names.PROXY_NAME
    assert item["spec"]["loadBalancerClass"] == names.CHILD_CLASS
    assert "selector" not in item["spec"]
    assert all("nodePort" not in port for port in item["spec"]["ports"])


@pytest.mark.usefixtures("unguarded")
def test_a_user_reads_what_happened_in_the_events(lab, user):
    user.serve("web", count="many")
    user.condition("web", "InvalidAnnotation")
    user.annotate("web", names.SERVICE_IP_COUNT, "1")
    user.condition("web", "Assigned")

    def told() -> bool:
        described = lab.kubectl("-n", user.namespace, "describe", "service", "web")
        events = described.partition("Events:")[2]
        return "InvalidAnnotation" in events and "write a number from 1 to 64" in events

    inside.until(told, "kubectl describe shows why the annotation was refused")


def test_a_balancer_that_does_not_exist_is_told(user):
    user.serve("web", count="1", annotations={names.SERVICE_BALANCER: "nobody"})

    user.complaint("web", "BalancerNotFound", "nobody", "kubectl get l2lb")
