# SPDX-License-Identifier: MIT
"""What the hooks' answers make of children and of decorated objects."""

import pytest

from lab.api import Json
from lab.metacontroller import children, controller, decorator
from lab.metacontroller.answers import DecoratorAnswer
from lab.metacontroller.errors import SyncError

FRONT: Json = {
    "apiVersion": "l2lb.io/v1alpha1",
    "kind": "L2LoadBalancer",
    "metadata": {"name": "front", "uid": "u1"},
}


def child(**metadata: object) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web-l2-1", "namespace": "shop", **metadata},
    }


def answer(
    labels: dict[str, str | None] | None = None, status: Json | None = None
) -> DecoratorAnswer:
    return DecoratorAnswer(labels or {}, {}, status, 0.0)


def test_every_child_gets_its_parents_label() -> None:
    wanted = child(labels={"a": "1"})
    groups = children.desired(FRONT, [wanted])
    assert groups["Service.v1"]["shop/web-l2-1"]["metadata"]["labels"] == {
        "controller-uid": "u1",
        "a": "1",
    }
    assert wanted["metadata"]["labels"] == {"a": "1"}


def test_a_child_with_another_parents_label_fails_the_sync() -> None:
    with pytest.raises(SyncError, match="don't match parent selector"):
        children.desired(FRONT, [child(labels={"controller-uid": "u2"})])


def test_a_child_without_namespace_gets_its_parents() -> None:
    parent = {**FRONT, "metadata": {**FRONT["metadata"], "namespace": "shop"}}
    nameless = child()
    del nameless["metadata"]["namespace"]
    assert list(children.desired(parent, [nameless])["Service.v1"]) == ["shop/web-l2-1"]


def test_labels_merge_and_null_removes() -> None:
    service = child(labels={"keep": "1", "drop": "2", "change": "3"})
    wanted = decorator.decorated(
        service, answer({"drop": None, "absent": None, "change": "4", "new": "5"})
    )
    assert wanted["metadata"]["labels"] == {"keep": "1", "change": "4", "new": "5"}


def test_an_answer_that_asks_for_what_is_there_changes_nothing() -> None:
    service = {**child(labels={"a": "1"}), "status": {"loadBalancer": {}}}
    wanted = decorator.decorated(service, answer({"a": "1", "b": None}, {"loadBalancer": {}}))
    assert wanted == service


def test_status_null_leaves_it_alone_and_an_object_replaces_all_of_it() -> None:
    service = {**child(), "status": {"loadBalancer": {}, "conditions": []}}
    assert decorator.decorated(service, answer())["status"] == service["status"]
    replaced = decorator.decorated(service, answer(status={"loadBalancer": {"ingress": []}}))
    assert replaced["status"] == {"loadBalancer": {"ingress": []}}


@pytest.mark.parametrize(
    ("change", "is_status_only"),
    [
        ({"resourceVersion": "2"}, True),
        ({"generation": 2}, False),
        ({"labels": {"a": "1"}}, False),
        ({"annotations": {"a": "1"}}, False),
        ({"deletionTimestamp": "now"}, False),
    ],
)
def test_ignored_are_changes_of_nothing_but_the_status(
    change: Json, *, is_status_only: bool
) -> None:
    old = child(generation=1, resourceVersion="1")
    new = child(**{"generation": 1, "resourceVersion": "1", **change})
    assert controller.is_status_change(old, new) is is_status_only


def test_a_resync_and_a_new_object_are_never_ignored() -> None:
    service = child()
    assert not controller.is_status_change(service, service)
    assert not controller.is_status_change(None, service)
