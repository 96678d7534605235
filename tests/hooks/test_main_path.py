# SPDX-License-Identifier: MIT
import collections
import re

import pytest

from bench import requests
from contract import names


def test_a_service_that_asks_for_three_addresses_gets_them_on_three_nodes(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "3"}))
    world.settle()
    assert world.addresses("shop/web") == ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
    assert sorted(world.preferred("shop/web")) == ["n1", "n2", "n3"]
    condition = world.condition("shop/web")
    assert (condition["status"], condition["reason"]) == ("True", "Assigned")


def test_a_service_is_to_see_its_children_and_a_child_nothing(world):
    service = requests.service("web")
    world.add(service)
    world.settle()
    (rule,) = world.hooks.answer("service/customize", requests.customize(service))[
        "relatedResources"
    ]
    wanted = rule["labelSelector"]["matchLabels"].items()
    assert world.children
    for child in world.children.values():
        assert wanted <= child["metadata"]["labels"].items()
        seen = world.hooks.answer("service/customize", requests.customize(child))
        assert seen == {"relatedResources": []}


def test_the_status_says_ip_mode_vip(world):
    world.add(requests.service("web"))
    world.settle()
    ingress = world.services["shop/web"]["status"]["loadBalancer"]["ingress"]
    assert {entry["ipMode"] for entry in ingress} == {"VIP"}


def test_at_rest_nothing_is_written(world):
    world.add(*(requests.service(f"web-{i}") for i in range(4)))
    world.settle()
    before = world.writes
    world.clock.advance(3600)
    for key in world.services:
        answer = world.sync_service(key)
        assert answer == {}
    answer = world.sync_balancer("front")
    assert "resyncAfterSeconds" not in answer
    assert world.writes == before


def test_the_label_that_selects_a_service_is_mirrored_from_its_annotation(world):
    service = requests.service("web")
    del service["metadata"]["labels"][names.SERVICE_BALANCER]
    world.add(service)
    assert world.sync_service("shop/web")["labels"] == {names.SERVICE_BALANCER: "front"}


def test_a_node_that_joins_gets_an_address_of_an_auto_service(world):
    world.add(requests.service("web"), requests.service("api"))
    world.settle()
    before = {key: world.addresses(key) for key in world.services}
    nodes = {key: world.preferred(key) for key in world.services}
    world.add(requests.node("n4", images=1))
    world.settle()
    for key, addresses in before.items():
        assert world.addresses(key)[:3] == addresses
        assert len(world.addresses(key)) == 4
        assert world.preferred(key) == [*nodes[key], "n4"]


@pytest.mark.parametrize("members", [100, 101])
def test_a_deleted_service_moves_nobody_however_many_nodes_there_are(world, members):
    world.respec(ipCount=1, addressPool=["10.0.0.0/24"])
    world.nodes.clear()
    world.add(*(requests.node(f"n{number:03}", images=0) for number in range(members)))
    world.add(*(requests.service(f"web-{number:03}") for number in range(members + 1)))
    world.sync_balancer("front")
    nodes = {key: world.preferred(key)[0] for key in world.services}
    ((fullest, count),) = collections.Counter(nodes.values()).most_common(1)
    assert count == 2
    both = [key for key, node in nodes.items() if node == fullest]
    lists = {key: world.children[f"{key}-l2-1"] for key in both}
    for key in world.services.keys() - set(both):
        del world.services[key]
        del world.children[f"{key}-l2-1"]
    world.sync_balancer("front")
    assert {key: world.children[f"{key}-l2-1"] for key in both} == lists


def test_more_than_a_hundred_nodes_and_one_that_joins(world):
    world.respec(ipCount=1, addressPool=["10.0.0.0/24"])
    world.nodes.clear()
    world.add(*(requests.node(f"n{number:03}", images=0) for number in range(101)))
    world.add(*(requests.service(f"web-{number:03}") for number in range(202)))
    world.sync_balancer("front")
    world.add(requests.node("new", images=0))
    world.sync_balancer("front")
    shares = {
        node["name"]: node["preferred"] for node in world.balancers["front"]["status"]["nodes"]
    }
    assert max(shares.values()) == 2
    preferred = [world.preferred(key)[0] for key in world.services]
    assert preferred.count("new") == 1


def test_an_auto_service_keeps_its_addresses_when_a_node_leaves(world):
    world.add(requests.service("web"))
    world.settle()
    before = world.addresses("shop/web")
    del world.nodes["n2"]
    world.settle()
    assert world.addresses("shop/web") == before
    assert "n2" not in world.preferred("shop/web")


def test_a_higher_number_that_is_removed_leaves_its_addresses_to_auto(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "6"}))
    world.settle()
    before = world.addresses("shop/web")
    world.edit("shop/web", ip_count=None)
    world.settle()
    assert world.addresses("shop/web") == before


def test_one_more_address_rewrites_no_child(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "2"}))
    world.settle()
    before = dict(world.children)
    world.edit("shop/web", ip_count="3")
    world.settle()
    assert len(world.addresses("shop/web")) == 3
    for key, child in before.items():
        assert world.children[key] is child


def test_a_lower_count_takes_the_last_address_away(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "3"}))
    world.settle()
    before = world.addresses("shop/web")
    world.edit("shop/web", ip_count="1")
    world.settle()
    assert world.addresses("shop/web") == before[:1]
    assert list(world.children) == ["shop/web-l2-1"]


def test_the_status_waits_until_all_planned_siblings_exist(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "3"}))
    world.forbidden = {"shop/web-l2-2"}
    world.sync_balancer("front")
    answer = world.sync_service("shop/web")
    assert "status" not in answer
    assert answer["resyncAfterSeconds"] > 0


def test_a_sibling_that_never_appears_does_not_hold_the_others_back(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "3"}))
    world.forbidden = {"shop/web-l2-2"}
    world.sync_balancer("front")
    world.clock.advance(4)
    world.settle()
    assert world.addresses("shop/web") == ["192.0.2.10", "192.0.2.12"]
    condition = world.condition("shop/web")
    assert (condition["status"], condition["reason"]) == ("False", "ChildMissing")
    assert "web-l2-2" in condition["message"]


def test_removing_the_annotation_takes_everything_away(world):
    world.add(requests.service("web"))
    world.settle()
    world.edit("shop/web", load_balancer=None)
    world.settle()
    world.clock.advance(7)
    world.settle()
    service = world.services["shop/web"]
    assert world.children == {}
    assert service["status"] == {"loadBalancer": {}}
    assert names.SERVICE_BALANCER not in service["metadata"]["labels"]


def test_the_balancers_status_counts(world):
    world.add(requests.service("web"), requests.service("api"))
    world.settle()
    status = world.balancers["front"]["status"]
    assert status["addresses"]["ipv4"] == {"total": 41, "assigned": 6, "free": 35}
    assert status["nodes"] == [{"name": f"n{i}", "preferred": 2} for i in (1, 2, 3)]
    assert status["nodeCount"] == 3
    assert status["services"] == {"total": 2, "pending": 0}
    assert world.balancer_condition("Ready")["status"] == "True"


def test_an_unchanged_condition_keeps_its_transition_time(world):
    world.add(requests.service("web"))
    world.settle()
    since = world.condition("shop/web")["lastTransitionTime"]
    world.clock.advance(600)
    world.edit("shop/web", ip_count="1")
    world.settle()
    assert world.condition("shop/web")["lastTransitionTime"] == since


def test_every_child_is_named_after_its_service_even_when_that_name_is_long(world):
    name = "a-very-long-name-" + "x" * 46
    assert len(name) == 63
    world.add(requests.service(name, annotations={names.SERVICE_IP_COUNT: "2"}))
    world.settle()
    for key in world.children:
        assert len(key.partition("/")[2]) <= 63
        assert re.fullmatch(r"shop/a-very-long-name-x*-[0-9a-f]{8}-l2-[12]", key)
    assert len(world.addresses(f"shop/{name}")) == 2


def test_tcp_and_udp_on_one_number_become_one_entry(world):
    ports = [
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        {"name": "dns", "port": 53, "protocol": "UDP"},
    ]
    world.add(requests.service("dns", ports=ports))
    world.settle()
    for child in world.children.values():
        assert [port["port"] for port in child["spec"]["ports"]] == [53]


def test_local_policy_hands_the_health_check_port_to_the_speakers(world):
    world.add(requests.service("web", externalTrafficPolicy="Local", healthCheckNodePort=31234))
    world.settle()
    for child in world.children.values():
        assert child["metadata"]["annotations"][names.CHILD_HEALTH_CHECK_PORT] == "31234"
        assert child["spec"]["externalTrafficPolicy"] == "Cluster"
