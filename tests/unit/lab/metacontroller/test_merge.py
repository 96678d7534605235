# SPDX-License-Identifier: MIT
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.api import Json
from lab.metacontroller import merge

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def child(**spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web-l2-1", "labels": {"a": "1"}},
        "spec": spec,
    }


def created(wanted: Json) -> Json:
    """What the API server holds after a first create."""
    held = copy.deepcopy(wanted)
    merge.remember(held, wanted)
    held["metadata"] |= {"uid": "u", "resourceVersion": "7", "creationTimestamp": "then"}
    held["spec"]["clusterIP"] = "10.96.0.9"
    held["status"] = {"loadBalancer": {}}
    return held


def test_the_same_answer_again_changes_nothing() -> None:
    wanted = child(type="LoadBalancer", ports=[{"port": 80}])
    held = created(wanted)
    assert merge.same(merge.update(held, wanted), held)


def test_a_field_no_longer_named_goes_and_one_never_named_stays() -> None:
    held = created(child(type="LoadBalancer", sessionAffinity="None"))
    held["metadata"]["labels"]["theirs"] = "2"
    after = merge.update(held, child(type="LoadBalancer"))
    assert after["spec"] == {"type": "LoadBalancer", "clusterIP": "10.96.0.9"}
    assert after["metadata"]["labels"] == {"a": "1", "theirs": "2"}


def test_the_status_and_what_the_api_server_sets_are_never_changed() -> None:
    wanted = child(type="LoadBalancer")
    held = created(wanted)
    wanted["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    wanted["metadata"] |= {"uid": "other", "resourceVersion": "1", "generation": 9}
    after = merge.update(held, wanted)
    assert after["status"] == {"loadBalancer": {}}
    assert after["metadata"]["uid"] == "u"
    assert after["metadata"]["resourceVersion"] == "7"
    assert "generation" not in after["metadata"]


def test_ports_merge_by_number_and_keep_what_others_filled_in() -> None:
    held = created(child(ports=[{"port": 80, "name": "http"}]))
    held["spec"]["ports"][0] |= {"nodePort": 30080, "targetPort": 80}
    after = merge.update(held, child(ports=[{"port": 80, "name": "web"}, {"port": 443}]))
    assert after["spec"]["ports"] == [
        {"port": 80, "name": "web", "nodePort": 30080, "targetPort": 80},
        {"port": 443},
    ]


def test_two_ports_of_one_number_become_the_same() -> None:
    both = [
        {"port": 53, "protocol": "TCP", "name": "tcp"},
        {"port": 53, "protocol": "UDP", "name": "udp"},
    ]
    held = created(child(ports=both))
    names = [port["name"] for port in merge.update(held, child(ports=both))["spec"]["ports"]]
    assert names == ["udp", "udp"]


def test_a_list_without_a_common_key_is_replaced() -> None:
    held = created(child(externalIPs=["192.0.2.1", "192.0.2.2"]))
    after = merge.update(held, child(externalIPs=["192.0.2.2"]))
    assert after["spec"]["externalIPs"] == ["192.0.2.2"]


def test_the_remembered_text_is_the_one_that_go_writes() -> None:
    obj: Json = {"metadata": {}}
    merge.remember(obj, {"b": "<a&b>", "a": "ü"})
    assert obj["metadata"]["annotations"] == {
        "metacontroller.k8s.io/last-applied-configuration": (
            '{"a":"ü","b":"\\u003ca\\u0026b\\u003e"}'
        )
    }


@pytest.mark.parametrize("text", ["[]", "1", "{"])
def test_an_annotation_that_somebody_spoilt_is_an_error(text: str) -> None:
    obj = {"metadata": {"annotations": {merge.LAST_APPLIED: text}}}
    with pytest.raises(ValueError, match=r"."):
        merge.remembered(obj)


@pytest.mark.parametrize(
    ("left", "right"), [(1, 1.0), (1, True), ({}, None), ([], None), ({"a": None}, {})]
)
def test_what_go_tells_apart_is_not_the_same(left: Any, right: Any) -> None:
    assert not merge.same(left, right)


@given(OBJECTS, OBJECTS, OBJECTS)
def test_a_merge_changes_none_of_its_arguments(observed: Json, applied: Json, wanted: Json) -> None:
    before = json.dumps([observed, applied, wanted])
    merge.merge(observed, applied, wanted)
    assert json.dumps([observed, applied, wanted]) == before


@given(OBJECTS, OBJECTS)
def test_scalars_that_are_wanted_are_there_after_a_merge(observed: Json, wanted: Json) -> None:
    after = merge.merge(observed, {}, wanted)
    for key, value in wanted.items():
        if not isinstance(observed.get(key), dict | list):
            assert merge.same(after[key], value)


@given(OBJECTS, OBJECTS)
def test_a_merge_of_what_is_there_already_changes_nothing(observed: Json, other: Json) -> None:
    assert merge.same(merge.merge(observed, {}, {}), observed)
    once = merge.merge(observed, {}, other)
    assert merge.same(merge.merge(once, other, other), once)
