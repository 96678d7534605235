# SPDX-License-Identifier: MIT
import pytest

from bench import requests
from contract import names

ONE = {names.SERVICE_IP_COUNT: "1"}
TAKEN = {"shop/web-l2-1"}
NOT_EVEN_A_NOTE = {"shop/web-l2-0", "shop/web-l2-1"}


def wait(world, seconds):
    world.clock.advance(seconds)
    world.settle()


def assert_at_rest(world):
    before = world.writes
    wait(world, 3600)
    assert world.writes == before


def assigned(world):
    condition = world.condition("shop/web")
    return condition["status"], condition["reason"]


def test_a_child_that_was_asked_for_a_moment_ago_is_not_missing_yet(world):
    world.add(requests.service("web", annotations=ONE))
    world.forbidden = TAKEN
    world.settle()
    wait(world, 4)
    assert world.children == {}
    assert world.balancer_condition("Ready")["status"] == "True"
    assert world.balancers["front"]["status"]["awaited"] == [
        {"name": "shop/web-l2-1", "since": "2026-01-31T13:00:00Z"}
    ]


def test_a_new_services_children_cost_no_memory_of_the_status(world):
    world.add(requests.service("web", annotations=ONE, created=world.clock.text))
    world.sync_balancer("front")
    assert "awaited" not in world.balancers["front"]["status"]
    assert "resyncAfterSeconds" not in world.sync_balancer("front")
    world.add(requests.service("api", annotations=ONE, created=world.clock.text))
    world.forbidden = {"shop/api-l2-1"}
    assert world.sync_balancer("front")["resyncAfterSeconds"] == 1
    assert "awaited" not in world.balancers["front"]["status"]
    for _ in range(16):
        wait(world, 1)
    assert world.condition("shop/api")["reason"] == "ChildMissing"


def test_a_service_without_any_child_and_its_balancer_say_that_children_are_missing(world):
    world.add(requests.service("web", annotations=ONE))
    world.forbidden = TAKEN
    world.settle()
    wait(world, 9)
    assert assigned(world) == ("False", "ChildMissing")
    assert "web-l2-1" in world.condition("shop/web")["message"]
    ready = world.balancer_condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ServicesPending")
    assert "web-l2-1" in ready["message"]
    assert world.balancers["front"]["status"]["services"] == {"total": 1, "pending": 1}
    assert_at_rest(world)
    world.forbidden = set()
    world.settle()
    assert assigned(world) == ("True", "Assigned")
    assert list(world.children) == ["shop/web-l2-1"]
    assert world.balancer_condition("Ready")["status"] == "True"
    assert "awaited" not in world.balancers["front"]["status"]


def test_a_quota_that_forbids_the_note_too_leaves_its_next_place_to_the_child(world):
    world.add(requests.service("web", annotations=ONE))
    world.forbidden = NOT_EVEN_A_NOTE
    for _ in range(4):
        wait(world, 20)
    assert world.balancer_condition("Ready")["reason"] == "ServicesPending"
    assert "the condition Ready says" in world.condition("shop/web")["message"]
    assert_at_rest(world)
    world.forbidden = {"shop/web-l2-1"}
    world.settle()
    assert world.children == {}
    world.forbidden = set()
    world.settle()
    assert assigned(world) == ("True", "Assigned")


def test_a_raised_count_that_a_quota_does_not_allow_is_said(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "2"}))
    world.settle()
    world.clock.advance(3600)
    world.forbidden = {"shop/web-l2-3"}
    world.edit("shop/web", ip_count="3")
    world.settle()
    assert assigned(world) == ("True", "Assigned")
    wait(world, 9)
    assert assigned(world) == ("False", "ChildMissing")
    assert "1 of 3" in world.condition("shop/web")["message"]
    assert len(world.addresses("shop/web")) == 2
    assert sorted(world.children) == ["shop/web-l2-1", "shop/web-l2-2"]
    assert_at_rest(world)


def test_lost_children_that_cannot_come_back_yet_keep_their_addresses(world):
    world.add(requests.service("web", annotations=ONE))
    world.settle()
    before = world.addresses("shop/web")
    world.children.clear()
    world.forbidden = TAKEN
    world.settle()
    wait(world, 20)
    assert assigned(world) == ("False", "ChildMissing")
    assert world.addresses("shop/web") == []
    world.add(requests.service("api", annotations=ONE, created="2026-01-31T10:00:00Z"))
    world.settle()
    world.forbidden = set()
    world.settle()
    assert world.addresses("shop/web") == before


@pytest.mark.parametrize(("passed_s", "again_s"), [(0, 1), (30, 5), (90, 20)])
def test_the_longer_a_child_is_awaited_the_more_rarely_it_is_looked_for(world, passed_s, again_s):
    world.add(requests.service("web", annotations=ONE))
    world.forbidden = NOT_EVEN_A_NOTE
    world.settle()
    world.clock.advance(passed_s)
    assert world.sync_balancer("front")["resyncAfterSeconds"] == again_s


def test_the_status_remembers_the_first_and_judges_no_others(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.200"], ipCount=1)
    world.add(*(requests.service(f"web-{i:03}") for i in range(100)))
    world.forbidden = {f"shop/web-{i:03}-l2-{n}" for i in range(100) for n in (0, 1)}
    world.settle()
    wait(world, 20)
    status = world.balancers["front"]["status"]
    assert [one["name"] for one in status["awaited"]] == [
        f"shop/web-{i:03}-l2-1" for i in range(64)
    ]
    assert status["services"] == {"total": 100, "pending": 64}
    assert_at_rest(world)


def test_one_service_with_a_full_quota_keeps_no_other_from_being_told(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.200"])
    sixty_four = {names.SERVICE_IP_COUNT: "64"}
    world.add(requests.service("big", namespace="first", annotations=sixty_four))
    world.forbidden = {f"first/big-l2-{n}" for n in range(65)} | TAKEN
    world.settle()
    wait(world, 600)
    world.add(requests.service("web", annotations=ONE))
    world.settle()
    wait(world, 20)
    assert assigned(world) == ("False", "ChildMissing")
    assert [one["name"] for one in world.balancers["front"]["status"]["awaited"]] == [
        "first/big-l2-1",
        "shop/web-l2-1",
    ]
    assert "64 of 64 child Services" in world.balancer_condition("Ready")["message"]


def test_many_services_of_a_namespace_with_a_full_quota_keep_no_other_namespace_from_it(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.200"], ipCount=1)
    world.add(*(requests.service(f"a{i}", namespace="first") for i in range(70)))
    world.forbidden = {f"first/a{i}-l2-{n}" for i in range(70) for n in (0, 1)} | TAKEN
    world.settle()
    wait(world, 600)
    world.add(requests.service("web"))
    world.settle()
    wait(world, 20)
    assert assigned(world) == ("False", "ChildMissing")
    assert len(world.balancers["front"]["status"]["awaited"]) == 64


def test_a_service_whose_annotations_mean_nothing_is_pending(world):
    world.add(requests.service("web"))
    world.settle()
    world.edit("shop/web", ip_count="many")
    world.settle()
    ready = world.balancer_condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ServicesPending")
    assert "shop/web: annotation l2lb.io/ip-count is 'many'" in ready["message"]
    assert world.balancers["front"]["status"]["services"] == {"total": 1, "pending": 1}
    assert "shop/web-l2-0" not in world.children


def test_a_full_pool_is_said_whatever_else_a_service_lacks(world):
    world.respec(addressPool=["192.0.2.10"])
    named = {names.SERVICE_IP_COUNT: "3", names.SERVICE_ADDRESSES: "198.51.100.1"}
    world.add(requests.service("web", annotations=named))
    world.settle()
    assert assigned(world) == ("False", "AddressNotInPool")
    available = world.balancer_condition("AddressesAvailable")
    assert (available["status"], available["reason"]) == ("False", "PoolExhausted")


def between_two_writes(world, *gone):
    """Sync the Service after Metacontroller has deleted these, and before it does anything else."""
    world.clock.advance(3600)
    world.hooks.events.clear()
    for name in gone:
        del world.children[f"shop/{name}"]
    return world.sync_service("shop/web")


def warned(world):
    return [event for event in world.hooks.events if event.warning]


def test_a_count_that_is_lowered_makes_no_child_missing(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "3"}))
    world.settle()
    before = world.addresses("shop/web")
    world.edit("shop/web", ip_count="2")
    answer = between_two_writes(world, "web-l2-3")
    assert answer["resyncAfterSeconds"] == 3
    assert world.addresses("shop/web") == before
    assert assigned(world) == ("True", "Assigned")
    world.settle()
    assert world.addresses("shop/web") == before[:2]
    assert world.condition("shop/web")["message"] == "has 192.0.2.10, 192.0.2.11 from front"
    assert not warned(world)
    assert_at_rest(world)


def test_a_service_that_loses_its_children_is_not_told_of_a_missing_balancer_first(world):
    world.add(requests.service("web", annotations=ONE))
    world.settle()
    before = world.addresses("shop/web")
    world.respec(namespaces=["other"])
    between_two_writes(world, "web-l2-1")
    assert world.addresses("shop/web") == before
    assert assigned(world) == ("True", "Assigned")
    world.settle()
    assert world.addresses("shop/web") == []
    assert assigned(world) == ("False", "NamespaceNotAllowed")
    assert [event.reason for event in warned(world)] == ["NamespaceNotAllowed"]


def test_children_that_are_deleted_and_come_back_at_once_leave_no_trace_in_the_status(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "2"}))
    world.settle()
    before = world.addresses("shop/web")
    between_two_writes(world, "web-l2-1", "web-l2-2")
    assert world.addresses("shop/web") == before
    world.settle()
    assert world.addresses("shop/web") == before
    assert assigned(world) == ("True", "Assigned")
    assert "since" not in world.condition("shop/web")["message"]
    assert not warned(world)


def test_a_child_that_stays_away_is_missing_from_the_moment_that_the_condition_remembers(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "2"}))
    world.settle()
    before = world.addresses("shop/web")
    world.forbidden = {"shop/web-l2-2"}
    between_two_writes(world, "web-l2-2")
    told = world.condition("shop/web")["message"]
    assert told.endswith("; since 2026-01-31T14:00:00Z some of these are without a child")
    world.clock.advance(2)
    assert world.sync_service("shop/web") == {"resyncAfterSeconds": 1}
    world.clock.advance(1)
    world.settle()
    assert assigned(world) == ("False", "ChildMissing")
    assert world.addresses("shop/web") == before[:1]
    assert len(warned(world)) == 1
    wait(world, 9)  # its balancer says so too
    assert_at_rest(world)
