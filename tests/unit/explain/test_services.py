# SPDX-License-Identifier: MIT
import dataclasses
from typing import Any

import pytest

from app import annotations, conditions
from app.explain import model, reading, services, view
from contract import names
from contract.names import AnnouncedReason, AssignedReason
from tests.unit.explain import scenes

LOCAL: scenes.Json = {"externalTrafficPolicy": "Local", "selector": {"app": "web"}}


def explained(*manifests: scenes.Json, **objects: Any) -> model.ServiceView:
    """Return the explanation of Service shop/web."""
    settled = reading.Objects(
        balancers=objects.pop("balancers", [scenes.balancer()]),
        services=manifests,
        nodes=scenes.nodes(),
        **objects,
    )
    found = view.explain_service(settled, "shop", "web")
    assert found is not None
    return found


def test_a_service_that_has_all_is_served():
    found = view.explain_service(scenes.served(), "shop", "web")
    assert found is not None
    assert found.state is model.ServiceState.SERVED
    assert found.level is model.Level.GOOD
    assert (found.asked, found.wanted, found.reason) == ("3", 3, "Assigned")
    assert any("has 3 of 3" in sentence for sentence in found.sentences)


def test_auto_wants_an_address_a_member_node():
    found = explained(scenes.service(count="auto", verdict=scenes.ASSIGNED), scenes.child_of())
    assert found.wanted == 3
    assert found.state is model.ServiceState.PARTIAL
    assert "one IPv4 address for each of the 3 nodes of balancer front" in found.sentences[0]


def test_auto_never_wants_less_than_it_has():
    children = [scenes.child_of(ordinal=number) for number in range(1, 6)]
    found = explained(scenes.service(count="auto", verdict=scenes.ASSIGNED), *children)
    assert found.wanted == 5


def test_the_balancer_decides_where_the_service_does_not():
    found = explained(scenes.service(count=None), balancers=[scenes.balancer(ipCount=2)])
    assert (found.asked, found.asked_by, found.wanted) == ("2", "ipCount of balancer front", 2)


def test_both_families_are_counted():
    dual = scenes.service(count="2", ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
    assert explained(dual).wanted == 4


def test_a_note_of_the_balancers_hook_is_the_reason():
    verdict = conditions.Verdict(
        holds=False, reason=AssignedReason.POOL_EXHAUSTED, message="1 IPv4 address missing"
    )
    found = explained(scenes.service(), scenes.note(verdict))
    assert found.state is model.ServiceState.PENDING
    assert found.reason == AssignedReason.POOL_EXHAUSTED
    assert found.summary == "1 IPv4 address missing"
    assert any("1 IPv4 address missing" in sentence for sentence in found.sentences)


def test_the_condition_is_the_reason_without_a_note():
    verdict = conditions.Verdict(
        holds=False, reason=AssignedReason.FOREIGN_STATUS, message="another wrote it"
    )
    found = explained(scenes.service(verdict=verdict), scenes.child_of())
    assert found.state is model.ServiceState.TROUBLED
    assert found.reason == AssignedReason.FOREIGN_STATUS


@pytest.mark.parametrize(
    ("service", "reason", "word"),
    [
        (scenes.service(count="many"), AssignedReason.INVALID_ANNOTATION, "'many'"),
        (
            scenes.service(notes={names.SERVICE_BALANCER: "frnot"}),
            AssignedReason.BALANCER_NOT_FOUND,
            "frnot",
        ),
    ],
)
def test_what_the_object_itself_tells_needs_no_hook(service, reason, word):
    found = explained(service)
    assert found.state is model.ServiceState.PENDING
    assert found.reason == reason
    assert word in found.summary


def test_a_namespace_that_is_not_allowed_is_told_by_the_spec():
    found = explained(scenes.service(), balancers=[scenes.balancer(namespaces=["web"])])
    assert found.reason == AssignedReason.NAMESPACE_NOT_ALLOWED


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"labels": {}}, "has not yet put the label"),
        ({}, "has 0 of 1 addresses and no hook has said why"),
    ],
)
def test_silence_of_the_hooks_leads_to_metacontroller(change, word):
    service = scenes.service()
    service["metadata"] |= change
    found = explained(service)
    assert found.reason == services.UNANSWERED
    assert word in found.summary
    assert "Metacontroller" in found.summary


def test_a_balancer_without_an_answer_is_why_its_services_have_none():
    found = explained(scenes.service(), balancers=[scenes.balancer(ready=None)])
    assert "has not yet answered for front" in found.summary


def test_an_exhausted_pool_of_the_past_is_not_held_against_a_service_that_has_all():
    verdict = conditions.Verdict(
        holds=False, reason=AssignedReason.POOL_EXHAUSTED, message="1 missing"
    )
    service = scenes.service(listed=["192.0.2.10"], verdict=verdict)
    assert explained(service, scenes.child_of()).state is model.ServiceState.SERVED


@pytest.mark.parametrize(
    ("service", "word"),
    [
        (scenes.service(type="ClusterIP"), "set spec.type to LoadBalancer"),
        (scenes.service(loadBalancerClass="metallb.io/metallb"), "metallb.io/metallb"),
    ],
)
def test_a_service_that_is_not_ours_is_told_what_would_make_it_so(service, word):
    found = explained(service)
    assert found.state is model.ServiceState.NOT_OURS
    assert word in found.summary


def test_a_service_that_only_carries_our_traces_misses_the_annotation():
    service = scenes.service(verdict=scenes.ASSIGNED)
    service["metadata"]["annotations"] = {}
    assert "no annotation l2lb.io/load-balancer" in explained(service).summary


def test_a_service_without_our_marks_is_not_there():
    other = scenes.service()
    other["metadata"] |= {"annotations": {}, "labels": {}}
    assert view.explain_service(reading.Objects(services=[other]), "shop", "web") is None


def test_a_service_that_is_deleted_is_leaving():
    service = scenes.service()
    service["metadata"]["deletionTimestamp"] = scenes.CREATED
    assert explained(service).state is model.ServiceState.LEAVING


def test_an_address_that_nobody_announces_troubles_its_service():
    said = AnnouncedReason.NO_INTERFACE, "n1 has no interface"
    found = explained(
        scenes.service(listed=["192.0.2.10"], verdict=scenes.ASSIGNED), scenes.child_of(said=said)
    )
    assert found.state is model.ServiceState.TROUBLED
    assert found.summary == "192.0.2.10: n1 has no interface"


def test_requested_and_shared_addresses_are_named_as_such():
    note = {names.SERVICE_ADDRESSES: "192.0.2.10", names.SERVICE_SHARING_KEY: "edge"}
    service = scenes.service(notes=note, verdict=scenes.ASSIGNED, listed=["192.0.2.10"])
    found = explained(service, scenes.child_of(), scenes.child_of("api"))
    told = " ".join(found.sentences)
    assert "192.0.2.10: requested by the annotation l2lb.io/addresses" in told
    assert "192.0.2.10 is shared with shop/api (sharing key edge)" in told
    assert [str(address) for address in found.requested] == ["192.0.2.10"]


@pytest.mark.parametrize(
    ("ours", "theirs", "apart"),
    [
        ({}, {}, False),
        ({}, {"externalTrafficPolicy": "Local"}, True),
        ({"externalTrafficPolicy": "Local"}, {"externalTrafficPolicy": "Local"}, True),
        (LOCAL, LOCAL, False),
        (LOCAL, LOCAL | {"selector": {"app": "api"}}, True),
    ],
)
def test_services_that_their_traffic_policy_keeps_apart_are_named(
    ours: scenes.Json, theirs: scenes.Json, *, apart: bool
) -> None:
    note = {names.SERVICE_SHARING_KEY: "edge"}
    web = scenes.service(notes=note, verdict=scenes.ASSIGNED, **ours)
    api = scenes.service("api", notes=note, verdict=scenes.ASSIGNED, **theirs)
    other = scenes.service("other", notes={names.SERVICE_SHARING_KEY: "inner"})
    told = " ".join(explained(web, api, other).sentences)
    assert ("shares no address with shop/api under sharing key edge" in told) == apart
    assert "shop/other" not in told


def test_count_and_addresses_are_named_by_the_keys_that_the_user_wrote():
    service = scenes.service(count=None, notes={"old/count": "2", "old/ips": "192.0.2.10"})
    found = view.explain_service(
        reading.Objects(
            balancers=[scenes.balancer()], services=[service, scenes.child_of()], nodes=[]
        ),
        "shop",
        "web",
        keys=annotations.Keys.of(aliases={"old/count": "ip-count", "old/ips": "addresses"}),
    )
    assert found is not None
    assert (found.asked, found.asked_by) == ("2", "annotation old/count")
    assert "requested by the annotation old/ips" in " ".join(found.sentences)


def test_a_status_that_lists_something_else_is_named():
    found = explained(
        scenes.service(listed=["192.0.2.40"], verdict=scenes.ASSIGNED), scenes.child_of()
    )
    assert any("Its status lists 192.0.2.40" in sentence for sentence in found.sentences)


def test_a_balancer_that_is_not_ready_is_part_of_the_explanation():
    found = explained(scenes.service(), balancers=[scenes.balancer(ready=False)])
    assert "Balancer front is not ready: no node matches." in found.sentences


def test_policy_local_is_part_of_the_explanation():
    found = explained(scenes.service(externalTrafficPolicy="Local", healthCheckNodePort=31000))
    assert found.local
    assert any("port 31000" in sentence for sentence in found.sentences)


def test_every_view_has_the_fields_that_json_shows():
    found = view.explain_service(scenes.served(), "shop", "web")
    assert found is not None
    shown = model.plain(found)
    assert set(shown) == {
        "level",
        *(model.camel(field.name) for field in dataclasses.fields(model.ServiceView)),
    }
    assert shown["addresses"][0]["address"] == "192.0.2.10"
    assert shown["addresses"][0]["since"] == "2026-02-01T10:00:00Z"
    assert shown["level"] == "good"
