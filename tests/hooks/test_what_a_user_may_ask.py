# SPDX-License-Identifier: MIT
import re
from typing import Any

import pytest

from app import settings
from bench import requests
from contract import names

DUAL = {"ipFamilies": ["IPv4", "IPv6"]}
PREFER_DUAL = {**DUAL, "ipFamilyPolicy": "PreferDualStack"}


def ask(world, name="web", *, settle=True, annotations=None, **spec):
    world.add(requests.service(name, annotations=annotations, **spec))
    if settle:
        world.settle()


def reason(world, key="shop/web"):
    condition = world.condition(key)
    return condition["status"], condition["reason"]


def test_requested_addresses_come_first_and_exactly(world):
    ask(
        world,
        annotations={
            names.SERVICE_ADDRESSES: "192.0.2.40, 192.0.2.30",
            names.SERVICE_IP_COUNT: "3",
        },
    )
    assert set(world.addresses("shop/web")) == {"192.0.2.40", "192.0.2.30", "192.0.2.10"}


def test_more_requested_addresses_than_the_balancers_count_are_all_given(world):
    world.respec(ipCount=1)
    ask(world, annotations={names.SERVICE_ADDRESSES: "192.0.2.40,192.0.2.30"})
    assert set(world.addresses("shop/web")) == {"192.0.2.40", "192.0.2.30"}


def test_a_requested_address_of_a_family_that_the_balancer_lacks_is_not_in_its_pool(world):
    ask(world, annotations={names.SERVICE_ADDRESSES: "192.0.2.20,2001:db8::5"}, **PREFER_DUAL)
    assert reason(world) == ("False", "AddressNotInPool")
    assert "192.0.2.20" in world.addresses("shop/web")


def test_a_requested_address_outside_the_pool_is_named(world):
    ask(world, annotations={names.SERVICE_ADDRESSES: "203.0.113.7", names.SERVICE_IP_COUNT: "1"})
    assert reason(world) == ("False", "AddressNotInPool")
    assert "203.0.113.7" in world.condition("shop/web")["message"]


def test_a_requested_address_of_another_service_is_refused_with_its_name(world):
    ask(world, "first", annotations={names.SERVICE_ADDRESSES: "192.0.2.40"})
    ask(
        world,
        "web",
        annotations={names.SERVICE_ADDRESSES: "192.0.2.40", names.SERVICE_IP_COUNT: "1"},
    )
    assert reason(world) == ("False", "AddressTaken")
    assert "shop/first" in world.condition("shop/web")["message"]


@pytest.mark.parametrize(
    ("key", "value", "remedy"),
    [
        (names.SERVICE_IP_COUNT, "three", "a number from 1 to 64, or auto"),
        (names.SERVICE_IP_COUNT, "0", "a number from 1 to 64, or auto"),
        (names.SERVICE_IP_COUNT, "65", "a number from 1 to 64, or auto"),
        (names.SERVICE_IP_COUNT, "٣", "a number from 1 to 64, or auto"),
        (names.SERVICE_ADDRESSES, "192.0.2.400", "'192.0.2.400' in it is no address"),
        (names.SERVICE_ADDRESSES, "192.0.2.10,192.0.2.10", "name it once"),
        (names.SERVICE_ADDRESSES, "2001:db8::1", "ipFamilies are IPv4"),
        (names.SERVICE_SHARING_KEY, "a b", "at most 63 letters"),
        (names.SERVICE_BALANCER, "Front!", "kubectl get l2lb"),
    ],
)
def test_an_invalid_annotation_is_named_with_what_would_be_right(world, key, value, remedy):
    ask(world)
    before = world.addresses("shop/web")
    children = dict(world.children)
    world.services["shop/web"]["metadata"]["annotations"][key] = value
    world.settle()
    assert reason(world) == ("False", "InvalidAnnotation")
    message = world.condition("shop/web")["message"]
    assert key in message
    assert value in message
    assert remedy in message
    assert world.addresses("shop/web") == before  # the Service stays as it is
    assert world.children == children


@pytest.mark.parametrize("named", ["front", "back"])
def test_an_invalid_annotation_and_a_replace_that_wipes_the_label_give_nothing_away(world, named):
    ask(world, annotations={names.SERVICE_IP_COUNT: "1"})
    before = world.addresses("shop/web")
    world.edit("shop/web", load_balancer=named, addresses=f"{before[0]},{before[0]}")
    world.services["shop/web"]["metadata"]["labels"].clear()
    world.sync_balancer("front")
    world.settle()
    world.clock.advance(30)
    world.settle()
    ask(world, "api", annotations={names.SERVICE_IP_COUNT: "1"})
    assert world.addresses("shop/web") == before
    assert world.condition("shop/web")["message"].startswith(f"has {before[0]} from front; ")
    assert sorted(world.children) == ["shop/api-l2-1", "shop/web-l2-1"]
    assert before[0] not in world.addresses("shop/api")


def test_a_balancers_name_of_any_length_leaves_a_sentence_that_a_condition_takes(world):
    ask(world)
    world.edit("shop/web", load_balancer="x" * 200_000)
    world.settle()
    assert reason(world) == ("False", "InvalidAnnotation")
    assert len(world.condition("shop/web")["message"]) < 1000


def test_a_corrected_annotation_goes_on_where_it_was(world):
    ask(world, annotations={names.SERVICE_IP_COUNT: "2"})
    before = world.addresses("shop/web")
    world.edit("shop/web", ip_count="many")
    world.settle()
    world.edit("shop/web", ip_count="3")
    world.settle()
    assert world.addresses("shop/web")[:2] == before
    assert reason(world) == ("True", "Assigned")


def test_services_that_share_a_key_share_an_address_on_one_node(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge", names.SERVICE_ADDRESSES: "192.0.2.20"}
    ask(world, "tcp", annotations=shared, ports=[{"port": 53, "protocol": "TCP"}])
    ask(world, "udp", annotations=shared, ports=[{"port": 53, "protocol": "UDP"}])
    assert world.addresses("shop/tcp") == world.addresses("shop/udp") == ["192.0.2.20"]
    assert world.preferred("shop/tcp") == world.preferred("shop/udp")


def test_a_shared_address_survives_that_one_of_its_services_loses_its_label(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge", names.SERVICE_ADDRESSES: "192.0.2.20"}
    ask(world, "tcp", annotations=shared, ports=[{"port": 53, "protocol": "TCP"}])
    ask(world, "udp", annotations=shared, ports=[{"port": 53, "protocol": "UDP"}])
    del world.services["shop/tcp"]["metadata"]["labels"][names.SERVICE_BALANCER]
    world.sync_balancer("front")
    world.settle()
    assert world.addresses("shop/tcp") == world.addresses("shop/udp") == ["192.0.2.20"]


def test_a_wiped_label_moves_nobody_with_whom_an_address_is_shared(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge"}
    ask(world, "a", annotations={**shared, names.SERVICE_IP_COUNT: "2"}, ports=[{"port": 80}])
    world.clock.advance(60)
    ask(world, "b", annotations=shared, ports=[{"port": 443}])
    world.clock.advance(60)
    second = world.addresses("shop/a")[1]
    ask(world, "c", annotations={**shared, names.SERVICE_ADDRESSES: second}, ports=[{"port": 53}])
    world.edit("shop/c", addresses=None)
    world.settle()
    before = {key: world.addresses(key) for key in world.services}
    assert before["shop/c"] == [second]
    for key in ("shop/a", "shop/b"):
        del world.services[key]["metadata"]["labels"][names.SERVICE_BALANCER]
    world.sync_balancer("front")
    world.settle()
    assert {key: world.addresses(key) for key in world.services} == before


BOTH = [{"name": "t", "port": 53, "protocol": "TCP"}, {"name": "u", "port": 53, "protocol": "UDP"}]


def test_tcp_and_udp_on_one_number_are_no_change(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge"}
    ask(world, "web", annotations=shared, ports=[{"port": 80}])
    world.clock.advance(60)
    ask(world, "dns", annotations=shared, ports=BOTH)  # the younger one
    before = world.addresses("shop/dns")
    assert world.addresses("shop/web") == before
    world.services["shop/web"]["spec"]["ports"].append(BOTH[1])
    world.settle()
    assert world.addresses("shop/dns") == before
    assert world.addresses("shop/web") != before


def test_a_port_of_a_service_that_says_nonsense_is_not_given_to_another(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge"}
    ask(world, "web", annotations=shared, ports=[{"port": 80}])
    ask(world, "dns", annotations=shared, ports=BOTH)
    before = world.addresses("shop/dns")
    world.edit("shop/dns", ip_count="many")
    ask(world, "udp", annotations=shared, ports=BOTH[1:])
    world.edit("shop/dns", ip_count=None)
    world.settle()
    assert world.addresses("shop/dns") == before
    assert world.addresses("shop/udp") not in ([], before)


def test_a_service_of_thousands_of_ports_makes_small_children(world):
    ports = [{"name": f"p{n}", "port": n} for n in range(1, 3001)]
    ask(world, ports=ports, annotations={names.SERVICE_IP_COUNT: "3"})
    assert [len(child["spec"]["ports"]) for child in world.children.values()] == [16] * 3
    ask(world, "shared", ports=ports[:257], annotations={names.SERVICE_SHARING_KEY: "edge"})
    assert world.condition("shop/shared")["reason"] == "InvalidAnnotation"
    assert (
        "has 257 ports: one that shares may have 256" in (world.condition("shop/shared")["message"])
    )
    assert world.addresses("shop/shared") == []


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("key", ["edge", "other", None])
def test_whoever_can_share_no_more_leaves_the_address_to_the_one_that_is_as_it_was(
    world, *, named: bool, key: str | None
):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge"}
    if named:
        shared[names.SERVICE_ADDRESSES] = "192.0.2.20"
    ask(world, "web", annotations=shared, ports=[{"port": 80}])
    world.clock.advance(60)
    ask(world, "api", annotations=shared, ports=[{"port": 81}])  # the younger one
    before = world.addresses("shop/api")
    assert world.addresses("shop/web") == before
    if key != "edge":
        world.edit("shop/web", sharing_key=key)
    else:
        world.services["shop/web"]["spec"]["ports"] = [{"port": 80}, {"port": 81}]
    world.settle()
    assert world.addresses("shop/api") == before
    assert world.addresses("shop/web") != before


LOCAL = {"externalTrafficPolicy": "Local", "healthCheckNodePort": 30_100}
BLUE, GREEN = {"app": "blue", "tier": "web"}, {"app": "green", "tier": "web"}
CLUSTER_BLUE, LOCAL_BLUE = {"selector": BLUE}, {"selector": BLUE, **LOCAL}


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        (CLUSTER_BLUE, {"selector": GREEN}, True),
        (LOCAL_BLUE, LOCAL_BLUE, True),
        (LOCAL_BLUE, {**LOCAL, "selector": dict(reversed(BLUE.items()))}, True),
        (LOCAL_BLUE, {**LOCAL, "selector": GREEN}, False),
        (CLUSTER_BLUE, LOCAL_BLUE, False),
        ({**LOCAL, "selector": {}}, {**LOCAL, "selector": None}, False),  # endpoints by hand
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_services_share_only_where_one_node_forwards_for_both(
    world, *, first, second, share, named
):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "k" * 63}
    if named:
        shared[names.SERVICE_ADDRESSES] = "192.0.2.20"
    ask(world, "web", annotations=shared, ports=[{"port": 80}], **first)
    ask(world, "api", annotations=shared, ports=[{"port": 81}], **second)
    had = world.addresses("shop/web")
    assert had == ["192.0.2.20" if named else "192.0.2.10"]
    assert (world.addresses("shop/api") == had) == share
    if not share:
        taken = ("False", "AddressTaken")
        assert reason(world, "shop/api") == (taken if named else ("True", "Assigned"))
    before = world.writes
    for service in world.services.values():
        service["spec"]["selector"] = dict(reversed((service["spec"]["selector"] or {}).items()))
    world.settle()
    assert world.writes == before


def test_a_policy_that_changes_moves_nobody_else(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge"}
    for number, name in enumerate(("web", "api", "dns")):  # the oldest changes
        ask(world, name, annotations=shared, ports=[{"port": 80 + number}], **CLUSTER_BLUE)
        world.clock.advance(60)
    before = world.addresses("shop/web")
    assert world.addresses("shop/api") == world.addresses("shop/dns") == before
    world.services["shop/web"]["spec"] |= LOCAL
    world.settle()
    apart = world.addresses("shop/web")
    assert apart not in ([], before)
    assert world.addresses("shop/api") == world.addresses("shop/dns") == before
    world.services["shop/api"]["spec"] |= LOCAL  # and now it may share with the other one
    world.settle()
    assert world.addresses("shop/api") == world.addresses("shop/web") == apart
    assert world.addresses("shop/dns") == before


def test_all_that_share_may_change_their_policy_at_once(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge"}
    for number, name in enumerate(("web", "api")):
        ask(world, name, annotations=shared, ports=[{"port": 80 + number}], **CLUSTER_BLUE)
    before = world.addresses("shop/web")
    for service in world.services.values():
        service["spec"] |= LOCAL
    world.settle()
    assert world.addresses("shop/api") == world.addresses("shop/web") == before


def test_a_key_that_policy_local_made_is_taken_by_admission_and_is_no_users_own(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge"}
    ask(world, "web", annotations=shared, ports=[{"port": 80}], **LOCAL_BLUE)
    made = world.children["shop/web-l2-1"]["metadata"]["annotations"][names.CHILD_SHARING_KEY]
    assert re.fullmatch("[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", made)
    ask(world, "api", annotations={names.SERVICE_SHARING_KEY: made}, ports=[{"port": 81}])
    assert world.addresses("shop/api") not in ([], world.addresses("shop/web"))


def test_services_of_two_namespaces_do_not_share(world):
    world.respec(ipCount=1)
    shared = {names.SERVICE_SHARING_KEY: "edge", names.SERVICE_ADDRESSES: "192.0.2.20"}
    world.add(requests.service("web", annotations=shared, ports=[{"port": 80}]))
    world.add(requests.service("web", namespace="b", annotations=shared, ports=[{"port": 81}]))
    world.settle()
    granted = [key for key in world.services if "192.0.2.20" in world.addresses(key)]
    assert len(granted) == 1


def test_another_class_makes_the_service_somebody_elses(world):
    ask(world, loadBalancerClass="example.com/other")
    assert world.children == {}
    assert world.condition("shop/web") == {}
    assert names.SERVICE_BALANCER not in world.services["shop/web"]["metadata"]["labels"]


def test_a_service_without_a_class_is_served(world):
    ask(world, loadBalancerClass=None)
    assert len(world.addresses("shop/web")) == 3


def test_a_service_of_type_cluster_ip_is_not_ours(world):
    ask(world, type="ClusterIP")
    assert world.children == {}


def test_a_service_that_becomes_cluster_ip_loses_everything(world):
    ask(world)
    world.services["shop/web"]["spec"]["type"] = "ClusterIP"
    world.settle()
    world.clock.advance(7)
    world.settle()
    assert world.children == {}
    assert world.services["shop/web"]["status"] == {"loadBalancer": {}}


def test_a_foreign_address_in_the_status_is_left_alone_and_named(world):
    ask(world, loadBalancerClass=None, settle=False)
    foreign = {"ingress": [{"ip": "198.51.100.9", "ipMode": "VIP"}]}
    world.services["shop/web"]["status"] = {"loadBalancer": foreign}
    world.settle()
    assert world.services["shop/web"]["status"]["loadBalancer"] == foreign
    assert reason(world) == ("False", "ForeignStatus")
    assert "198.51.100.9" in world.condition("shop/web")["message"]


@pytest.mark.parametrize("entry", [{"hostname": "edge.example.com"}, {"ip": "edge.example.com"}])
def test_a_host_name_in_the_status_is_somebody_elses(world, entry):
    ask(world, loadBalancerClass=None, settle=False)
    world.services["shop/web"]["status"] = {"loadBalancer": {"ingress": [entry]}}
    world.settle()
    assert world.services["shop/web"]["status"]["loadBalancer"] == {"ingress": [entry]}
    assert reason(world) == ("False", "ForeignStatus")
    assert "edge.example.com" in world.condition("shop/web")["message"]


def test_a_controller_that_overwrites_our_addresses_is_not_fought(world):
    ask(world, loadBalancerClass=None)
    foreign = {"ingress": [{"ip": "198.51.100.9", "ipMode": "VIP"}]}
    world.services["shop/web"]["status"]["loadBalancer"] = foreign
    world.settle()
    assert world.services["shop/web"]["status"]["loadBalancer"] == foreign
    assert reason(world) == ("False", "ForeignStatus")


def test_an_address_that_somebody_adds_to_ours_leaves_ours_on_record(world):
    world.respec(ipCount=1)
    ask(world, loadBalancerClass=None)
    ours, foreign = world.addresses("shop/web"), {"ip": "198.51.100.9", "ipMode": "VIP"}
    world.services["shop/web"]["status"]["loadBalancer"]["ingress"].append(foreign)
    world.settle()
    assert reason(world) == ("False", "ForeignStatus")
    assert world.condition("shop/web")["message"].startswith(f"has {ours[0]} from front; another")
    world.edit("shop/web", load_balancer=None)
    world.settle()
    assert world.services["shop/web"]["status"] == {"loadBalancer": {"ingress": [foreign]}}


def test_under_our_class_the_status_is_ours(world):
    ask(world)
    before = world.addresses("shop/web")
    world.services["shop/web"]["status"]["loadBalancer"] = {"ingress": [{"ip": "198.51.100.9"}]}
    world.settle()
    assert world.addresses("shop/web") == before


def test_addresses_that_the_status_already_lists_are_taken_over(world):
    ask(world, loadBalancerClass=None, settle=False, annotations={names.SERVICE_IP_COUNT: "2"})
    listed = {"ingress": [{"ip": "192.0.2.33", "ipMode": "VIP"}]}
    world.services["shop/web"]["status"] = {"loadBalancer": listed}
    world.sync_balancer("front")  # before the Service's own sync can see a stranger in it
    world.settle()
    assert "192.0.2.33" in world.addresses("shop/web")
    assert reason(world) == ("True", "Assigned")


def test_conditions_of_others_are_kept(world):
    ask(world, settle=False)
    other = {
        "type": "example.com/Seen",
        "status": "True",
        "reason": "Seen",
        "message": "hello",
        "lastTransitionTime": requests.CREATED,
    }
    world.services["shop/web"]["status"]["conditions"] = [other]
    world.settle()
    conditions = world.services["shop/web"]["status"]["conditions"]
    assert conditions[0] == other
    assert len(conditions) == 2
    world.edit("shop/web", load_balancer=None)
    world.settle()
    assert world.services["shop/web"]["status"]["conditions"] == [other]


def test_dual_stack_gives_both_families_the_primary_first(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.50", "2001:db8::10/124"], ipCount=2)
    ask(world, ipFamilies=["IPv6", "IPv4"], ipFamilyPolicy="RequireDualStack")
    assert world.addresses("shop/web") == [
        "2001:db8::10",
        "2001:db8::11",
        "192.0.2.10",
        "192.0.2.11",
    ]


def test_require_dual_stack_is_all_or_nothing(world):
    ask(world, **DUAL, ipFamilyPolicy="RequireDualStack")
    assert world.addresses("shop/web") == []
    assert reason(world) == ("False", "PoolExhausted")
    assert "RequireDualStack" in world.condition("shop/web")["message"]
    world.respec(addressPool=["192.0.2.10-192.0.2.50", "2001:db8::10/124"])
    world.settle()
    assert len(world.addresses("shop/web")) == 6


def test_prefer_dual_stack_takes_what_is_there_and_the_rest_later(world):
    ask(world, **DUAL, ipFamilyPolicy="PreferDualStack")
    before = world.addresses("shop/web")
    assert len(before) == 3
    assert reason(world) == ("True", "Assigned")
    world.respec(addressPool=["192.0.2.10-192.0.2.50", "2001:db8::10/124"])
    world.settle()
    assert world.addresses("shop/web")[:3] == before
    assert len(world.addresses("shop/web")) == 6


def test_a_balancer_that_does_not_exist_is_named_after_a_while(world):
    ask(world, settle=False, annotations={names.SERVICE_BALANCER: "frnt"})
    service = world.services["shop/web"]
    service["metadata"]["creationTimestamp"] = world.clock.text
    answer = world.sync_service("shop/web")
    assert "status" not in answer
    assert answer["resyncAfterSeconds"] == 15
    world.clock.advance(15)
    world.settle()
    assert reason(world) == ("False", "BalancerNotFound")
    assert "frnt" in world.condition("shop/web")["message"]


def written_by_others(world, seconds):
    """Let time pass in which somebody writes the Service every few seconds; return what is told."""
    managed = world.services["shop/web"]["metadata"]["managedFields"]
    managed.append(requests.managed("busy", {}))
    told = []
    for _ in range(seconds // 5):
        world.clock.advance(5)
        managed[-1] = requests.managed("busy", {"f:metadata": {}}, when=world.clock.text)
        world.settle()
        told.append(world.condition("shop/web").get("reason"))
    return told


def test_an_old_service_that_was_annotated_a_moment_ago_waits_for_its_balancer(world):
    ask(world, settle=False, annotations={names.SERVICE_BALANCER: "frnt"})
    metadata = world.services["shop/web"]["metadata"]
    del metadata["labels"][names.SERVICE_BALANCER]
    answer = world.sync_service("shop/web")
    assert answer == {"labels": {names.SERVICE_BALANCER: "frnt"}, "resyncAfterSeconds": 15}
    owned: dict[str, Any] = {f"f:{names.SERVICE_BALANCER}": {}}
    metadata["managedFields"].append(
        requests.managed(
            "metacontroller", {"f:metadata": {"f:labels": owned}}, when=world.clock.text
        )
    )
    world.clock.advance(5)
    assert world.sync_service("shop/web") == {"resyncAfterSeconds": 10}
    assert written_by_others(world, 15) == [None, "BalancerNotFound", "BalancerNotFound"]


def test_a_service_that_others_write_all_the_time_is_told_that_its_balancer_is_gone(world):
    ask(world)
    before = world.addresses("shop/web")
    world.balancers.pop("front")
    world.children.clear()
    world.settle()
    assert world.addresses("shop/web") == before
    assert written_by_others(world, 10) == ["Assigned"] * 2
    assert world.addresses("shop/web") == before
    assert written_by_others(world, 10) == ["BalancerNotFound"] * 2
    assert world.addresses("shop/web") == []


def test_a_service_that_waited_for_an_address_is_not_told_of_a_missing_balancer_first(world):
    world.respec(addressPool=["192.0.2.10"], ipCount=1)
    ask(world, "first")
    ask(world, "web")
    assert reason(world) == ("False", "PoolExhausted")
    world.clock.advance(3600)
    world.hooks.events.clear()
    del world.children[
        "shop/web-l2-0"
    ]  # Metacontroller deletes the note, creates, and asks between
    world.sync_service("shop/web")
    assert reason(world) == ("False", "PoolExhausted")
    assert (
        world.condition("shop/web")["message"]
        == "since 2026-01-31T14:00:00Z front has not answered"
    )
    world.respec(addressPool=["192.0.2.10-192.0.2.11"], ipCount=1)
    world.settle()
    assert reason(world) == ("True", "Assigned")
    assert not [event for event in world.hooks.events if event.warning]


def test_a_corrected_annotation_is_not_told_of_a_missing_balancer_first(world):
    ask(world, annotations={names.SERVICE_IP_COUNT: "many"})
    assert reason(world) == ("False", "InvalidAnnotation")
    world.clock.advance(3600)
    world.edit("shop/web", ip_count="1")
    assert world.sync_service("shop/web")["resyncAfterSeconds"] == 15
    assert reason(world) == ("False", "InvalidAnnotation")
    world.settle()
    assert reason(world) == ("True", "Assigned")


def test_each_balancer_that_is_named_is_waited_for(world):
    ask(world, annotations={names.SERVICE_BALANCER: "frnt"})
    assert reason(world) == ("False", "BalancerNotFound")
    for name in ("frot", "fron"):
        world.edit("shop/web", load_balancer=name)
        world.settle()
        assert world.condition("shop/web")["message"].endswith(f" {name} has not answered")
        assert world.sync_service("shop/web")["resyncAfterSeconds"] == 15
        world.clock.advance(14)
    world.clock.advance(1)
    world.settle()
    assert world.condition("shop/web")["message"].startswith("no L2LoadBalancer fron has answered")


def test_a_balancer_deleted_and_made_anew_gives_the_same_addresses_back(world):
    ask(world, "first")
    ask(world, "web")
    before = world.addresses("shop/web")
    front = world.balancers.pop("front")
    world.children.clear()  # the garbage collector's work
    del world.services["shop/first"]
    world.settle()
    assert world.addresses("shop/web") == before
    world.clock.advance(20)
    world.settle()
    assert world.addresses("shop/web") == []
    assert reason(world) == ("False", "BalancerNotFound")
    front["metadata"]["uid"] = requests.uid("anew")
    front.pop("status")
    world.add(front)
    world.settle()
    assert world.addresses("shop/web") == before
    assert reason(world) == ("True", "Assigned")


def test_auto_does_not_shrink_when_its_balancer_is_made_anew_while_a_node_is_away(world):
    ask(world)
    before = world.addresses("shop/web")
    del world.nodes["n1"]
    world.settle()
    assert world.addresses("shop/web") == before
    world.children.clear()
    front = world.balancers["front"]
    front["metadata"]["uid"] = requests.uid("anew")
    del front["status"]
    world.settle()
    assert world.addresses("shop/web") == before
    assert len(before) == 3


def test_lost_children_come_back_with_the_addresses_that_the_status_lists(world):
    ask(world, "first")
    ask(world, "web")
    before = world.addresses("shop/web")
    world.children.clear()
    del world.services["shop/first"]
    world.settle()
    assert world.addresses("shop/web") == before


def test_a_service_moved_to_another_balancer_gets_its_addresses(world):
    world.add(requests.balancer("back", addressPool=["198.51.100.0/28"]))
    ask(world)
    world.edit("shop/web", load_balancer="back")
    world.settle()
    assert all(address.startswith("198.51.100.") for address in world.addresses("shop/web"))
    assert len(world.addresses("shop/web")) == 3


def test_a_service_moved_to_a_balancer_that_does_not_exist_is_told_from_which_it_had_what(world):
    ask(world, annotations={names.SERVICE_IP_COUNT: "1"})
    world.edit("shop/web", load_balancer="nope")
    world.settle()
    assert world.addresses("shop/web") == []
    world.clock.advance(15)
    world.settle()
    assert reason(world) == ("False", "BalancerNotFound")
    message = world.condition("shop/web")["message"]
    assert message.startswith("had 192.0.2.10 from front; no L2LoadBalancer nope has answered")


DECKHOUSE = settings.Settings(
    annotation_aliases={
        "network.deckhouse.io/l2-load-balancer-name": "load-balancer",
        "network.deckhouse.io/l2-load-balancer-external-ips-count": "ip-count",
    }
)


def older_module(**more):
    service = requests.service("web")
    service["metadata"]["annotations"] = {
        "network.deckhouse.io/l2-load-balancer-name": "front",
        "network.deckhouse.io/l2-load-balancer-external-ips-count": "2",
    } | more
    del service["metadata"]["labels"][names.SERVICE_BALANCER]
    return service


def test_annotations_of_an_older_module_work_as_aliases(make_hooks):
    hooks = make_hooks(DECKHOUSE)
    service = older_module()
    answer = hooks.answer("service/sync", requests.decorator(service))
    assert answer["labels"] == {names.SERVICE_BALANCER: "front"}
    request = requests.composite(
        requests.balancer(), services=[service], nodes=[requests.node("n1"), requests.node("n2")]
    )
    assert len(hooks.answer("balancer/sync", request)["children"]) == 2


def test_two_keys_that_contradict_each_other_are_both_named(make_hooks):
    hooks = make_hooks(DECKHOUSE)
    service = older_module(**{names.SERVICE_BALANCER: "back"})
    answer = hooks.answer("service/sync", requests.decorator(service))
    (condition,) = answer["status"]["conditions"]
    assert condition["reason"] == "InvalidAnnotation"
    assert names.SERVICE_BALANCER in condition["message"]
    assert "network.deckhouse.io/l2-load-balancer-name" in condition["message"]


def test_the_prefix_of_the_annotations_can_be_changed(make_hooks):
    hooks = make_hooks(settings.Settings(annotation_prefix="lb.example.com"))
    service = requests.service("web")
    service["metadata"]["annotations"] = {"lb.example.com/load-balancer": "front"}
    answer = hooks.answer("service/sync", requests.decorator(service))
    assert "labels" not in answer
    service["metadata"]["labels"] = {}
    answer = hooks.answer("service/sync", requests.decorator(service))
    assert answer["labels"] == {names.SERVICE_BALANCER: "front"}


@pytest.mark.parametrize("first", [1, 2, 3])
def test_children_that_go_one_by_one_with_their_balancer_give_the_same_addresses_back(world, first):
    ask(world, "first")
    ask(world, "web")
    before = world.addresses("shop/web")
    del world.services["shop/first"]
    world.clock.advance(20)
    front = world.balancers.pop("front")
    del world.children[f"shop/web-l2-{first}"]
    world.settle()
    assert reason(world) == ("True", "Assigned")
    world.clock.advance(3)
    world.settle()
    assert reason(world) == ("False", "ChildMissing")
    assert world.addresses("shop/web") == [a for a in before if a != before[first - 1]]
    world.children.clear()
    world.settle()
    world.clock.advance(20)
    world.settle()
    assert reason(world) == ("False", "BalancerNotFound")
    front["metadata"]["uid"] = requests.uid("anew")
    world.add(front)
    world.settle()
    assert world.addresses("shop/web") == before
    assert reason(world) == ("True", "Assigned")
