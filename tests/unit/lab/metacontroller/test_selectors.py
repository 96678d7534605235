# SPDX-License-Identifier: MIT
from typing import Any

import pytest

from lab.metacontroller import selectors

KEY = "l2lb.io/load-balancer"


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        (None, {"a": "1"}, True),
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1", "b": "3"}}, {"a": "1", "b": "2"}, False),
        ({"matchLabels": {"a": ""}}, {}, False),
        ({"matchExpressions": [{"key": KEY, "operator": "Exists"}]}, {KEY: ""}, True),
        ({"matchExpressions": [{"key": KEY, "operator": "Exists"}]}, {}, False),
        ({"matchExpressions": [{"key": KEY, "operator": "DoesNotExist"}]}, {KEY: "x"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {"a": "1"}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        (
            {"matchLabels": {"a": "1"}, "matchExpressions": [{"key": "b", "operator": "Exists"}]},
            {"a": "1"},
            False,
        ),
    ],
)
def test_a_selector_matches_when_all_of_it_does(
    selector: dict[str, Any] | None, labels: dict[str, str], *, matches: bool
) -> None:
    assert selectors.parse(selector).matches(labels) is matches


def test_annotations_have_another_name_for_the_exact_ones() -> None:
    parsed = selectors.parse({"matchAnnotations": {"a": "1"}}, exact="matchAnnotations")
    assert parsed.matches({"a": "1"})
    assert not parsed.matches({})


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ({"key": "a", "operator": "Is"}, "'Is' is no operator"),
        ({"key": "a"}, "is no operator"),
        ({"operator": "Exists"}, "names no key"),
        ({"key": "a", "operator": "In"}, "needs values"),
        ({"key": "a", "operator": "Exists", "values": ["1"]}, "takes no values"),
    ],
)
def test_a_bad_expression_is_refused(expression: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        selectors.parse({"matchExpressions": [expression]})
