# SPDX-License-Identifier: MIT
import json
from typing import Any

import pytest

from lab.metacontroller import answers
from lab.metacontroller.errors import HookError

CHILD = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web-l2-1"}}


def encoded(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_a_composite_answer_is_read_whole() -> None:
    answer = answers.composite(encoded(status={"a": 1}, children=[CHILD], resyncAfterSeconds=1.5))
    assert answer == answers.BalancerAnswer({"a": 1}, (CHILD,), 1.5)


@pytest.mark.parametrize("body", [b"{}", b"null", b'{"status": null, "children": null}'])
def test_an_empty_composite_answer_wants_no_children(body: bytes) -> None:
    assert answers.composite(body) == answers.BalancerAnswer(None, (), 0.0)


def test_a_decorator_answer_tells_null_from_nothing() -> None:
    answer = answers.decorator(encoded(labels={"a": None, "b": "1"}, status={}))
    assert answer.labels == {"a": None, "b": "1"}
    assert answer.status == {}
    assert answers.decorator(b"{}").status is None


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"{", "no JSON"),
        (b"[]", "no JSON object"),
        (encoded(childs=[]), 'unknown field "childs"'),
        (b'{"status": {}, "status": {}}', '"status" twice'),
        (b'{"status": {"a": 1, "a": 2}}', '"a" twice'),
        (encoded(children={}), '"children" must be a list'),
        (encoded(status=[]), '"status" must be a dict'),
        (encoded(resyncAfterSeconds="1"), "must be a number"),
        (encoded(resyncAfterSeconds=True), "must be a number"),
        (encoded(children=[None]), "no kind or apiVersion"),
        (encoded(children=[{"metadata": {"name": "a"}}]), "no kind or apiVersion"),
        (encoded(children=[{"apiVersion": "v1", "kind": "Service"}]), "has no name"),
        (
            encoded(children=[{**CHILD, "metadata": {"name": "a", "labels": {"n": 3}}}]),
            "must be a string",
        ),
    ],
)
def test_a_composite_answer_is_decoded_strictly(body: bytes, complaint: str) -> None:
    with pytest.raises(HookError, match=complaint):
        answers.composite(body)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (encoded(children=[]), 'unknown field "children"'),
        (encoded(labels={"a": 1}), "which is no string"),
        (encoded(labels=["a"]), '"labels" must be a dict'),
        (encoded(attachments=[CHILD]), "attachments"),
    ],
)
def test_a_decorator_answer_is_decoded_strictly(body: bytes, complaint: str) -> None:
    with pytest.raises(HookError, match=complaint):
        answers.decorator(body)


def test_related_rules_are_read() -> None:
    rules = answers.customize(
        encoded(
            relatedResources=[
                {"apiVersion": "v1", "resource": "nodes", "labelSelector": {"matchLabels": {}}},
                {"apiVersion": "v1", "resource": "services", "namespace": "shop", "names": ["a"]},
            ]
        )
    )
    assert [(rule.resource, rule.namespace, rule.names) for rule in rules] == [
        ("nodes", "", ()),
        ("services", "shop", ("a",)),
    ]
    assert rules[0].selector is not None
    assert rules[1].selector is None


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"names": ["a"], "labelSelector": {}}, "an empty one counts"),
        ({"names": ["a"], "namespaceSelector": {}}, "an empty one counts"),
        ({"namespace": "a", "namespaceSelector": {}}, "beside a namespaceSelector"),
        ({"selector": {}}, 'unknown field "selector"'),
        ({"labelSelector": {"labels": {}}}, 'unknown field "labels"'),
        ({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "="}]}}, "bad selector"),
        ({"names": [1]}, "must hold strings"),
    ],
)
def test_a_related_rule_that_contradicts_itself_is_refused(
    rule: dict[str, Any], complaint: str
) -> None:
    whole = {"apiVersion": "v1", "resource": "services", **rule}
    with pytest.raises(HookError, match=complaint):
        answers.customize(encoded(relatedResources=[whole]))
