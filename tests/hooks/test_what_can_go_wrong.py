# SPDX-License-Identifier: MIT
import json

import pytest

from bench import requests
from contract import names


def test_an_exhausted_pool_lets_the_later_service_wait_and_serves_it_first(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.12"])
    world.add(requests.service("web", created="2026-01-31T11:00:00Z"))
    world.add(requests.service("api"))
    world.settle()
    assert len(world.addresses("shop/web")) == 3
    condition = world.condition("shop/api")
    assert (condition["status"], condition["reason"]) == ("False", "PoolExhausted")
    assert "spec.addressPool" in condition["message"]
    assert world.balancers["front"]["status"]["services"] == {"total": 2, "pending": 1}
    assert world.balancer_condition("AddressesAvailable")["status"] == "False"
    del world.services["shop/web"]
    world.settle()
    world.clock.advance(7)
    world.settle()
    assert len(world.addresses("shop/api")) == 3
    assert world.condition("shop/api")["status"] == "True"
    assert sorted(world.children) == [f"shop/api-l2-{n}" for n in (1, 2, 3)]


def test_a_service_with_fewer_addresses_than_asked_for_says_which_it_has(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.11"])
    world.add(requests.service("web"))
    world.settle()
    assert world.addresses("shop/web") == ["192.0.2.10", "192.0.2.11"]
    condition = world.condition("shop/web")
    assert condition["reason"] == "PoolExhausted"
    assert "192.0.2.11" in condition["message"]


def test_the_note_between_the_hooks_is_no_child_that_a_speaker_would_see(world):
    world.respec(addressPool=["192.0.2.10"])
    world.add(requests.service("web"))
    world.settle()
    note = world.children["shop/web-l2-0"]
    assert note["spec"]["clusterIP"] == "None"
    assert names.PROXY_NAME_LABEL not in note["metadata"]["labels"]
    assert names.CHILD_BALANCER not in note["metadata"]["labels"]


def test_without_nodes_the_reason_counts_the_excluded_ones(world):
    for node in world.nodes.values():
        node["metadata"]["labels"][names.EXCLUDE_LABEL] = ""
    world.add(requests.service("web"))
    world.settle()
    condition = world.condition("shop/web")
    assert condition["reason"] == "NoNodes"
    assert "3 nodes" in condition["message"]
    assert names.EXCLUDE_LABEL in condition["message"]
    assert world.balancer_condition("Ready")["reason"] == "NoNodes"


def test_without_nodes_the_remedy_is_a_command_that_works(world):
    world.respec(nodeSelector={"zone": "b", "node-role/edge": ""})
    world.add(requests.service("web"))
    world.settle()
    message = world.condition("shop/web")["message"]
    assert "'kubectl label node NAME node-role/edge= zone=b'" in message


def test_of_nodes_that_are_all_being_deleted_no_label_is_to_be_removed(world):
    for node in world.nodes.values():
        node["metadata"]["deletionTimestamp"] = world.clock.text
    world.settle()
    message = world.balancer_condition("Ready")["message"]
    assert "3 being deleted: n1, n2, n3" in message
    assert names.EXCLUDE_LABEL not in message
    assert message.endswith("label another with 'kubectl label node NAME node-role/frontend='")


def test_excluded_nodes_are_used_when_the_balancer_says_so(world):
    for node in world.nodes.values():
        node["metadata"]["labels"][names.EXCLUDE_LABEL] = ""
    world.respec(ignoreExcludeLabel=True)
    world.add(requests.service("web"))
    world.settle()
    assert len(world.addresses("shop/web")) == 3


def test_when_all_nodes_leave_addresses_and_lists_stay(world):
    world.add(requests.service("web"))
    world.settle()
    before, children = world.addresses("shop/web"), dict(world.children)
    world.nodes.clear()
    world.settle()
    assert world.addresses("shop/web") == before
    assert {k: v for k, v in world.children.items() if not k.endswith("-0")} == children


def test_a_namespace_that_is_not_listed_is_refused_with_the_listed_ones(world):
    world.respec(namespaces=["web", "api"])
    world.add(requests.service("web"))
    world.settle()
    assert world.addresses("shop/web") == []
    condition = world.condition("shop/web")
    assert condition["reason"] == "NamespaceNotAllowed"
    assert "api, web" in condition["message"]


def test_pools_that_overlap_belong_to_the_older_balancer(world):
    younger = requests.balancer("young", addressPool=["192.0.2.48-192.0.2.52"])
    younger["metadata"]["creationTimestamp"] = "2026-01-31T12:30:00Z"
    world.add(younger)
    world.add(requests.service("web", annotations={names.SERVICE_BALANCER: "young"}))
    world.settle()
    assert world.addresses("shop/web") == ["192.0.2.51", "192.0.2.52"]
    condition = world.balancer_condition("PoolValid", "young")
    assert (condition["status"], condition["reason"]) == ("False", "OverlappingPool")
    assert "192.0.2.48-192.0.2.50 belongs to front" in condition["message"]
    assert world.balancer_condition("PoolValid")["status"] == "True"


def test_an_unreadable_pool_takes_nothing_away_and_gives_nothing(world):
    world.add(requests.service("web"))
    world.settle()
    before = world.addresses("shop/web")
    world.respec(addressPool=["2001:db8::9-2001:db8::1"])
    world.add(requests.service("api"))
    world.settle()
    assert world.addresses("shop/web") == before
    assert world.addresses("shop/api") == []
    condition = world.balancer_condition("PoolValid")
    assert condition["status"] == "False"
    assert "2001:db8::1-2001:db8::9" in condition["message"]


def test_a_huge_pool_is_counted_within_the_schemas_limits(world):
    world.respec(addressPool=["2001:db8::/64"])
    world.add(requests.service("web", ipFamilies=["IPv6"]))
    world.settle()
    assert world.balancers["front"]["status"]["addresses"]["ipv6"]["total"] == 2**31 - 1
    assert len(world.addresses("shop/web")) == 3


def test_a_replace_that_wipes_the_label_changes_no_address(world):
    world.add(requests.service("web"), requests.service("api"))
    world.settle()
    before = world.addresses("shop/web")
    del world.services["shop/web"]["metadata"]["labels"][names.SERVICE_BALANCER]
    answer = world.sync_balancer("front")
    assert 0 < answer["resyncAfterSeconds"] <= 6
    kept = world.children["shop/web-l2-1"]["metadata"]["annotations"]
    assert names.CHILD_RELEASE_AFTER in kept
    world.add(requests.service("new"))
    world.sync_balancer("front")
    world.clock.advance(2)
    world.settle()
    assert world.addresses("shop/web") == before
    kept = world.children["shop/web-l2-1"]["metadata"]["annotations"]
    assert names.CHILD_RELEASE_AFTER not in kept


def test_the_moment_of_release_is_not_put_off_by_further_syncs(world):
    world.add(requests.service("web"))
    world.settle()
    del world.services["shop/web"]
    world.sync_balancer("front")
    moment = world.children["shop/web-l2-1"]["metadata"]["annotations"][names.CHILD_RELEASE_AFTER]
    world.clock.advance(3)
    world.sync_balancer("front")
    assert (
        world.children["shop/web-l2-1"]["metadata"]["annotations"][names.CHILD_RELEASE_AFTER]
        == moment
    )
    world.clock.advance(4)
    world.sync_balancer("front")
    assert world.children == {}


def test_a_service_deleted_and_made_anew_does_not_wait_for_the_old_ones_release(world):
    world.add(requests.service("web"))
    world.settle()
    before = world.addresses("shop/web")
    anew = requests.service("web")
    anew["metadata"]["uid"] = requests.uid("anew")
    world.add(anew)
    world.settle()
    assert world.addresses("shop/web") == before
    assert not any(
        names.CHILD_RELEASE_AFTER in c["metadata"]["annotations"] for c in world.children.values()
    )


def recreated(world, name="web", **spec):
    anew = requests.service(name, created=world.clock.text, **spec)
    anew["metadata"]["uid"] = requests.uid("anew", name)
    return anew


def test_a_service_made_anew_with_another_family_gets_a_child_of_that_family(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.50", "2001:db8::10/124"], ipCount=1)
    world.add(requests.service("web"))
    world.settle()
    world.clock.advance(60)
    world.add(recreated(world, ipFamilies=["IPv6"]))
    assert world.sync_balancer("front")["resyncAfterSeconds"] == 1
    assert world.children == {}
    world.settle()
    assert world.addresses("shop/web") == ["2001:db8::10"]
    assert world.condition("shop/web")["status"] == "True"


def test_no_childs_list_version_runs_backwards_when_its_service_is_made_anew(world):
    world.respec(ipCount=1)
    world.add(requests.service("web"))
    world.settle()
    first = world.preferred("shop/web")[0]
    node = world.nodes.pop(first)
    world.settle()
    world.nodes[first] = node
    world.settle()
    before = world.children["shop/web-l2-1"]["metadata"]
    assert before["annotations"][names.CHILD_LIST_VERSION] != "1"
    world.clock.advance(60)
    world.add(recreated(world))
    world.settle()
    after = world.children["shop/web-l2-1"]["metadata"]
    assert after["creationTimestamp"] > before["creationTimestamp"]
    assert world.condition("shop/web")["status"] == "True"


def test_a_service_made_anew_that_cannot_be_asked_keeps_no_child_of_the_old_one(world):
    world.add(requests.service("web"))
    world.settle()
    world.add(recreated(world))
    world.edit("shop/web", ip_count="many")
    world.settle()
    assert world.children == {}


def test_what_a_deleted_service_left_behind_and_cannot_be_deleted_is_named(world):
    world.respec(ipCount=1)
    world.add(requests.service("web"))
    world.settle()
    stuck = world.children["shop/web-l2-1"]
    world.add(recreated(world))
    for _ in range(16):
        world.clock.advance(1)
        world.sync_balancer("front")
        world.children["shop/web-l2-1"] = stuck
    world.sync_service("shop/web")
    assert world.condition("shop/web")["reason"] == "ChildMissing"
    assert "web-l2-1" in world.condition("shop/web")["message"]


def test_a_terminating_namespace_is_left_out(world):
    world.add(requests.service("web"), requests.service("web", namespace="gone"))
    world.settle()
    world.namespaces["gone"] = requests.namespace("gone", terminating=True)
    world.sync_balancer("front")
    assert not any(key.startswith("gone/") for key in world.children)
    assert any(key.startswith("shop/") for key in world.children)


def test_a_terminating_service_is_left_out(world):
    world.add(requests.service("web"))
    world.settle()
    world.services["shop/web"]["metadata"]["deletionTimestamp"] = world.clock.text
    assert world.sync_service("shop/web") == {}
    world.sync_balancer("front")
    assert world.children == {}


def test_an_address_that_a_terminating_service_still_shows_is_given_once_it_is_gone(world):
    world.respec(addressPool=["192.0.2.10"])
    world.add(requests.service("web"))
    world.settle()
    world.services["shop/web"]["metadata"]["deletionTimestamp"] = world.clock.text
    world.add(requests.service("api"))
    world.settle()
    assert world.addresses("shop/api") == []
    assert world.condition("shop/api")["reason"] == "PoolExhausted"
    assert world.balancers["front"]["status"]["addresses"]["free"] == 0
    del world.services["shop/web"]
    world.settle()
    assert world.addresses("shop/api") == ["192.0.2.10"]


def takes_the_label_away(metadata):
    del metadata["labels"][names.SERVICE_BALANCER]


def names_another_balancer(metadata):
    metadata["annotations"][names.SERVICE_BALANCER] = "back"
    metadata["labels"][names.SERVICE_BALANCER] = "back"


@pytest.mark.parametrize("tries", [takes_the_label_away, names_another_balancer])
def test_a_terminating_service_can_not_hide_that_it_shows_an_address(world, tries):
    world.respec(addressPool=["192.0.2.10"])
    world.add(requests.balancer("back", addressPool=["192.0.2.20"]))
    world.add(requests.service("web"))
    world.settle()
    metadata = world.services["shop/web"]["metadata"]
    metadata |= {"deletionTimestamp": world.clock.text, "finalizers": ["example.com/hold"]}
    tries(metadata)  # policy l2lb-mirror-label refuses it; without that the Service's hook mends it
    world.settle()
    world.clock.advance(30)
    world.add(requests.service("api"))
    world.settle()
    assert world.addresses("shop/web") == ["192.0.2.10"]  # nobody may write it any more
    assert world.addresses("shop/api") == []


def is_deleted(world):
    world.services["shop/web"]["metadata"] |= {
        "deletionTimestamp": world.clock.text,
        "finalizers": ["example.com/hold"],
    }


def loses_its_label_and_is_deleted(world):
    takes_the_label_away(world.services["shop/web"]["metadata"])
    is_deleted(world)


def is_deleted_and_names_another_balancer(world):
    is_deleted(world)
    world.settle()
    world.edit("shop/web", load_balancer="back")


@pytest.mark.parametrize(
    "goes", [loses_its_label_and_is_deleted, is_deleted_and_names_another_balancer]
)
def test_a_terminating_service_hides_nothing_from_a_balancer_that_is_asked_first(world, goes):
    world.respec(addressPool=["192.0.2.10"])
    world.add(requests.balancer("back", addressPool=["192.0.2.20"]))
    world.add(requests.service("web"))
    world.settle()
    goes(world)
    world.add(requests.service("api"))
    world.sync_balancer("front")
    world.settle()
    world.clock.advance(30)
    world.settle()
    assert world.addresses("shop/web") == ["192.0.2.10"]
    assert world.addresses("shop/api") == []


def test_a_terminating_service_that_names_no_balancer_any_more_shows_nothing(world):
    world.respec(addressPool=["192.0.2.10"])
    world.add(requests.service("web"))
    world.settle()
    metadata = world.services["shop/web"]["metadata"]
    metadata |= {"deletionTimestamp": world.clock.text, "finalizers": ["example.com/hold"]}
    del metadata["annotations"][names.SERVICE_BALANCER]
    world.settle()
    assert world.addresses("shop/web") == []
    assert names.SERVICE_BALANCER not in metadata["labels"]


def namespace_is_deleted(world):
    world.namespaces["tenant"] = requests.namespace("tenant", terminating=True)


def namespace_is_no_longer_allowed(world):
    world.respec(namespaces=["shop"])


def service_names_another_balancer(world):
    world.edit("tenant/web", load_balancer="back")


def service_is_no_longer_of_our_class(world):
    world.services["tenant/web"]["spec"]["loadBalancerClass"] = "example.com/other"


def service_names_no_balancer(world):
    world.edit("tenant/web", load_balancer=None)


def service_says_nonsense_and_has_lost_its_child(world):
    world.children.clear()
    world.edit("tenant/web", ip_count="many")


@pytest.mark.parametrize(
    "change",
    [
        namespace_is_deleted,
        namespace_is_no_longer_allowed,
        service_names_another_balancer,
        service_is_no_longer_of_our_class,
        service_names_no_balancer,
        service_says_nonsense_and_has_lost_its_child,
    ],
)
def test_what_a_service_that_is_not_served_any_more_still_shows_is_nobody_elses(world, change):
    world.respec(addressPool=["192.0.2.10"])
    world.add(requests.service("web", namespace="tenant"))
    world.settle()
    world.add(requests.service("api", created="2026-01-31T12:30:00Z"))
    world.settle()
    change(world)
    for _ in range(2):
        world.sync_balancer("front")
        assert world.addresses("tenant/web") == ["192.0.2.10"]
        assert not [key for key in world.children if key.startswith("shop/api-l2-1")]
    world.services["tenant/web"]["status"] = {"loadBalancer": {}}
    world.sync_balancer("front")
    assert "shop/api-l2-1" in world.children


def test_what_a_mistyped_balancer_frees_is_shown_no_more_before_others_get_it(world):
    world.respec(addressPool=["192.0.2.10"], ipCount=1)
    world.add(requests.service("web"))
    world.settle()
    world.add(requests.service("api", created="2026-01-31T12:30:00Z"))
    world.settle()
    world.edit("shop/web", load_balancer="frnt")
    world.sync_service("shop/web")
    assert world.addresses("shop/web") == []
    condition = world.condition("shop/web")
    assert condition["status"] == "False"
    assert condition["message"] == (
        "had 192.0.2.10 from front; since 2026-01-31T13:00:00Z frnt has not answered"
    )
    world.settle()
    world.clock.advance(7)
    world.settle()
    assert world.addresses("shop/api") == ["192.0.2.10"]
    assert world.addresses("shop/web") == []


def test_a_balancer_that_refuses_a_namespace_for_a_moment_gives_each_its_own_back(world):
    world.respec(ipCount=1)
    for name in ("first", "web", "api"):
        world.add(requests.service(name))
        world.settle()
    before = {name: world.addresses(f"shop/{name}") for name in ("web", "api")}
    world.respec(ipCount=1, namespaces=["another"])
    world.settle()
    assert world.addresses("shop/web") == []
    del world.services["shop/first"]
    world.respec(namespaces=["shop"])
    world.settle()
    assert {name: world.addresses(f"shop/{name}") for name in ("web", "api")} == before


def test_a_shared_address_of_a_service_that_says_nonsense_can_still_be_shared(world):
    shared = {names.SERVICE_SHARING_KEY: "edge"}
    world.respec(ipCount=1)
    world.add(requests.service("web", annotations=shared, ports=[{"port": 80}]))
    world.add(requests.service("api", annotations=shared, ports=[{"port": 81}]))
    world.settle()
    world.edit("shop/web", ip_count="many")
    world.add(requests.service("new", annotations=shared, ports=[{"port": 82}]))
    world.settle()
    assert world.addresses("shop/new") == world.addresses("shop/web")


def test_a_service_whose_namespace_is_not_known_yet_gets_nothing_for_now(world):
    world.add(requests.service("web"))
    world.namespaces.clear()
    assert world.sync_balancer("front")["children"] == []


def test_a_tenants_service_with_our_controller_uid_is_neither_deleted_nor_changed(world):
    stranger = requests.service("stranger")
    stranger["metadata"]["labels"] = {"controller-uid": requests.BALANCER_UID}
    stranger["metadata"]["annotations"] = {
        requests.LAST_APPLIED: json.dumps(
            {
                "metadata": {"name": "stranger", "namespace": "shop"},
                "spec": {"externalIPs": ["192.0.2.1"]},
            }
        )
    }
    stranger["metadata"]["ownerReferences"] = [{"uid": requests.BALANCER_UID}]
    request = world.request("front")
    request["children"]["Service.v1"]["shop/stranger"] = stranger
    answer = world.hooks.answer("balancer/sync", request)
    assert answer["children"] == [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "stranger", "namespace": "shop"},
        }
    ]
    ready = next(c for c in answer["status"]["conditions"] if c["type"] == "Ready")
    assert ready["reason"] == "ObjectsLeftAlone"
    assert "shop/stranger" in ready["message"]


def test_a_tenants_service_in_the_way_of_a_child_is_not_overwritten(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "1"}))
    stranger = requests.service("web-l2-1")
    stranger["metadata"]["labels"] = {"controller-uid": requests.BALANCER_UID}
    request = world.request("front")
    request["children"]["Service.v1"]["shop/web-l2-1"] = stranger
    (child,) = world.hooks.answer("balancer/sync", request)["children"]
    assert "spec" not in child


def test_a_child_that_somebody_edited_is_mended(world):
    world.add(requests.service("web"))
    world.settle()
    before = world.children["shop/web-l2-1"]["metadata"]["annotations"][names.CHILD_ADDRESS]
    edited = world.children["shop/web-l2-1"]["metadata"]["annotations"]
    edited[names.CHILD_ADDRESS] = "nonsense"
    world.settle()
    mended = world.children["shop/web-l2-1"]["metadata"]["annotations"]
    assert mended[names.CHILD_ADDRESS] == before


def test_a_child_that_somebody_edited_to_have_endless_siblings_is_read_as_it_was(world):
    world.add(requests.service("web"))
    world.settle()
    before = world.addresses("shop/web")
    world.clock.advance(60)
    world.children["shop/web-l2-1"]["metadata"]["annotations"][names.CHILD_PLANNED] = "9" * 18
    world.settle()
    assert world.addresses("shop/web") == before
    assert world.children["shop/web-l2-1"]["metadata"]["annotations"][names.CHILD_PLANNED] == "3"


def test_a_child_of_a_newer_contract_is_answered_as_it_is(world):
    world.add(requests.service("web"))
    world.settle()
    child = world.children["shop/web-l2-1"]
    applied = json.loads(child["metadata"]["annotations"][requests.LAST_APPLIED])
    applied["metadata"]["annotations"][names.CHILD_CONTRACT] = "99"
    child["metadata"]["annotations"][names.CHILD_CONTRACT] = "99"
    child["metadata"]["annotations"][requests.LAST_APPLIED] = json.dumps(applied)
    del world.services["shop/web"]
    answer = world.sync_balancer("front")
    assert applied in answer["children"]


@pytest.mark.parametrize(
    "broken",
    [
        "text",
        {"metadata": {"name": "odd", "namespace": "shop"}},
        {"metadata": {"name": "odd", "namespace": "shop", "uid": "u", "labels": [1]}},
        {"metadata": {"name": "odd", "namespace": "shop", "uid": "u", "creationTimestamp": "now"}},
    ],
)
def test_one_malformed_service_does_not_stop_the_others(world, broken):
    world.add(requests.service("web"))
    request = world.request("front")
    request["related"]["Service.v1"]["shop/odd"] = broken
    answer = world.hooks.answer("balancer/sync", request)
    assert len(answer["children"]) == 3
    ready = next(c for c in answer["status"]["conditions"] if c["type"] == "Ready")
    assert ready["reason"] == "ObjectsLeftAlone"
    assert "Service shop/odd" in ready["message"]
    assert (
        'l2lb_objects_left_alone_total{hook="balancer_sync",kind="Service"}'
        in world.hooks.get("/metrics").text
    )


def test_a_number_too_long_to_read_on_a_terminating_service_stops_nobody(world):
    world.add(requests.service("web"), requests.service("odd", namespace="other"))
    world.settle()
    world.services["other/odd"]["metadata"]["deletionTimestamp"] = world.clock.text
    world.edit("other/odd", ip_count="9" * 5000)
    answer = world.sync_balancer("front")
    assert len(answer["children"]) == 3


def test_an_address_is_not_given_a_second_time_under_the_name_of_a_zone(world):
    world.respec(addressPool=["2001:db8:0:1::100/126"], ipCount=1)
    world.add(requests.service("web", ipFamilies=["IPv6"]))
    world.settle()
    (given,) = world.addresses("shop/web")
    thief = {names.SERVICE_ADDRESSES: f"{given}%x"}
    world.add(requests.service("thief", namespace="other", ipFamilies=["IPv6"], annotations=thief))
    world.settle()
    assert world.addresses("other/thief") == []
    assert world.condition("other/thief")["reason"] == "InvalidAnnotation"


def test_a_zone_in_a_listed_address_is_not_taken_over(world):
    world.respec(addressPool=["2001:db8:0:1::100/126"], ipCount=1)
    world.add(requests.service("web", ipFamilies=["IPv6"]))
    world.settle()
    (given,) = world.addresses("shop/web")
    thief = requests.service("thief", namespace="other", ipFamilies=["IPv6"])
    thief["status"] = {"loadBalancer": {"ingress": [{"ip": f"{given}%x"}]}}
    world.add(thief)
    world.settle()
    assert world.addresses("other/thief") == ["2001:db8:0:1::101"]


def test_a_service_that_becomes_malformed_keeps_its_children(world):
    world.add(requests.service("web"), requests.service("api"))
    world.settle()
    request = world.request("front")
    request["related"]["Service.v1"]["shop/web"]["spec"]["ports"] = "many"
    answer = world.hooks.answer("balancer/sync", request)
    assert len(answer["children"]) == 6
    assert "resyncAfterSeconds" not in answer


def test_one_malformed_node_keeps_its_place(world):
    world.add(requests.service("web"))
    world.settle()
    request = world.request("front")
    request["related"]["Node.v1"]["n2"] = {"metadata": {"labels": ["odd"]}}
    answer = world.hooks.answer("balancer/sync", request)
    lists = [c["metadata"]["annotations"][names.CHILD_NODES] for c in answer["children"]]
    assert lists == [
        c["metadata"]["annotations"][names.CHILD_NODES] for c in world.children.values()
    ]


def test_one_malformed_child_does_not_stop_the_others(world):
    world.add(requests.service("web"), requests.service("api"))
    world.settle()
    request = world.request("front")
    request["children"]["Service.v1"]["shop/web-l2-2"] = {"metadata": {"labels": "odd"}}
    answer = world.hooks.answer("balancer/sync", request)
    assert len(answer["children"]) == 6


def test_a_service_that_cannot_be_asked_keeps_only_what_the_pool_still_holds(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "2"}))
    world.settle()
    world.edit("shop/web", ip_count="odd")
    world.respec(addressPool=["192.0.2.11-192.0.2.50"])
    world.settle()
    assert list(world.children) == ["shop/web-l2-2"]
    world.edit("shop/web", ip_count="2")
    world.settle()
    assert world.addresses("shop/web") == ["192.0.2.12", "192.0.2.11"]


def test_as_many_refused_addresses_as_can_be_asked_for_leave_a_message_of_bearable_length(world):
    world.respec(addressPool=["192.0.2.1-192.0.2.100", "2001:db8::1:0/120"])
    both, namespace = ["IPv4", "IPv6"], "n" * 63
    sixty_four = {names.SERVICE_IP_COUNT: "64"}
    owner = requests.service("o" * 63, namespace=namespace, annotations=sixty_four, ipFamilies=both)
    world.add(owner)
    world.settle()
    owned = world.addresses(f"{namespace}/{'o' * 63}")
    asked = sixty_four | {names.SERVICE_ADDRESSES: ",".join(owned)}
    web = requests.service(
        "web",
        namespace=namespace,
        annotations=asked,
        created="2026-01-31T12:30:00Z",
        ipFamilies=both,
    )
    world.add(web)
    world.settle()
    condition = world.condition(f"{namespace}/web")
    assert condition["reason"] == "AddressTaken"
    assert condition["message"].endswith("; and 123 more")
    assert len(world.balancer_condition("Ready")["message"]) < 4096


def test_as_many_overlaps_as_there_can_be_leave_a_message_of_bearable_length(world):
    world.respec(addressPool=["2001:db8:1111:2222::/64"])
    for number in range(8):
        older = requests.balancer(
            f"older{number}",
            addressPool=[
                f"2001:db8:1111:2222:aaaa:bbbb:{n:x}:1-2001:db8:1111:2222:aaaa:bbbb:{n:x}:2"
                for n in range(64 * number, 64 * number + 64)
            ],
        )
        older["metadata"]["creationTimestamp"] = "2025-01-31T12:00:00Z"
        world.add(older)
    world.sync_balancer("front")
    message = world.balancer_condition("PoolValid")["message"]
    assert "and 59 more belongs to older0" in message
    assert "and 3 more" in message
    assert len(message) < 4096
