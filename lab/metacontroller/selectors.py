# SPDX-License-Identifier: MIT
"""Label selectors, which Metacontroller matches against annotations too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]

OPERATORS: Mapping[str, Operator] = {operator: operator for operator in get_args(Operator)}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on one key."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet the condition; a missing key is not in any set."""
        match self.operator:
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values


@dataclass(frozen=True, slots=True)
class Selector:
    """All of its requirements must be met; without any, everything matches."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet every requirement."""
        return all(requirement.matches(labels) for requirement in self.requirements)


EVERYTHING = Selector()


def parse(selector: Mapping[str, Any] | None, *, exact: str = "matchLabels") -> Selector:
    """Read a LabelSelector; ``exact`` names its map of keys and values.

    None and an empty selector match everything. Raises :class:`ValueError` for
    an operator that does not exist, or values that do not fit it.
    """
    if not selector:
        return EVERYTHING
    equal = (
        Requirement(key, "In", frozenset([value]))
        for key, value in (selector.get(exact) or {}).items()
    )
    expressions = (_requirement(entry) for entry in selector.get("matchExpressions") or ())
    return Selector((*equal, *expressions))


def _requirement(expression: Mapping[str, Any]) -> Requirement:
    key, operator = expression.get("key") or "", str(expression.get("operator"))
    values = frozenset(expression.get("values") or ())
    if not key:
        raise ValueError(f"the selector expression {dict(expression)} names no key")
    if operator not in OPERATORS:
        raise ValueError(
            f"{operator!r} is no operator of a selector, use one of {', '.join(OPERATORS)}"
        )
    if bool(values) != (operator in ("In", "NotIn")):
        fits = "needs values" if operator in ("In", "NotIn") else "takes no values"
        raise ValueError(f"the operator {operator} of the selector key {key!r} {fits}")
    return Requirement(key, OPERATORS[operator], values)
