# SPDX-License-Identifier: MIT
"""Answers of hooks, decoded strictly as hook version v2 is.

An unknown field, or one given twice, fails the whole answer. Metacontroller
overlooks doubled fields inside a child; the stand-in does not.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from lab.api import Json
from lab.metacontroller import selectors
from lab.metacontroller.errors import HookError
from lab.metacontroller.selectors import Selector

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BalancerAnswer:
    """What a CompositeController's sync hook wants: children, and the parent's whole status."""

    status: Json | None
    children: tuple[Json, ...]
    resync_after_s: float


@dataclass(frozen=True, slots=True)
class DecoratorAnswer:
    """What a DecoratorController's sync hook wants: None removes a label, or leaves the status."""

    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]
    status: Json | None
    resync_after_s: float


@dataclass(frozen=True, slots=True)
class RelatedRule:
    """Which objects of a resource the sync hook wants to see beside the parent.

    Without a selector and names it is all of them. ``names`` and ``selector``
    exclude each other.
    """

    api_version: str
    resource: str
    selector: Selector | None
    namespace_selector: Selector | None
    namespace: str
    names: tuple[str, ...]


def composite(body: bytes) -> BalancerAnswer:
    """Decode the answer of a CompositeController's sync hook; raises :class:`HookError`."""
    answer = _object(body, {"status", "children", "resyncAfterSeconds", "finalized"})
    return BalancerAnswer(
        status=_typed(answer, "status", dict),
        children=tuple(_child(child) for child in _typed(answer, "children", list) or ()),
        resync_after_s=_seconds(answer),
    )


def decorator(body: bytes) -> DecoratorAnswer:
    """Decode the answer of a DecoratorController's sync hook; raises :class:`HookError`."""
    fields = {"labels", "annotations", "status", "attachments", "resyncAfterSeconds", "finalized"}
    answer = _object(body, fields)
    if answer.get("attachments"):
        raise HookError("the answer has attachments, which the stand-in does not make")
    return DecoratorAnswer(
        labels=_changes(answer, "labels"),
        annotations=_changes(answer, "annotations"),
        status=_typed(answer, "status", dict),
        resync_after_s=_seconds(answer),
    )


def customize(body: bytes) -> tuple[RelatedRule, ...]:
    """Decode the answer of a customize hook; raises :class:`HookError`."""
    answer = _object(body, {"relatedResources"})
    return tuple(_rule(rule) for rule in _typed(answer, "relatedResources", list) or ())


def _object(body: bytes, fields: set[str]) -> Json:
    def unique(pairs: list[tuple[str, Any]]) -> Json:
        seen: Json = {}
        for name, value in pairs:
            if name in seen:
                raise HookError(f'the answer has the field "{name}" twice')
            seen[name] = value
        return seen

    try:
        answer = json.loads(body, object_pairs_hook=unique)
    except ValueError as error:
        raise HookError(f"the answer is no JSON: {error}") from error
    if answer is None:
        return {}
    if not isinstance(answer, dict):
        raise HookError(f"the answer is no JSON object but {type(answer).__name__}")
    _known(answer, fields, "the answer")
    return answer


def _known(found: Mapping[str, Any], fields: set[str], where: str) -> None:
    for name in found:
        if name not in fields:
            raise HookError(f'unknown field "{name}" in {where}, known are {sorted(fields)}')


def _typed(found: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    value = found.get(name)
    if value is None or isinstance(value, kind):
        return value
    raise HookError(f'the field "{name}" must be a {kind.__name__}, not {value!r}')


def _strings(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values: Sequence[Any] = _typed(found, name, list) or ()
    for value in values:
        if not isinstance(value, str):
            raise HookError(f'the field "{name}" must hold strings, not {value!r}')
    return tuple(values)


def _seconds(answer: Mapping[str, Any]) -> float:
    value = answer.get("resyncAfterSeconds")
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HookError(f'the field "resyncAfterSeconds" must be a number, not {value!r}')
    return float(value)


def _changes(answer: Mapping[str, Any], name: str) -> dict[str, str | None]:
    changes: Json = _typed(answer, name, dict) or {}
    for key, value in changes.items():
        if not isinstance(value, str | None):
            raise HookError(f'"{name}" gives {key} the value {value!r}, which is no string')
    return changes


def _child(child: Any) -> Json:
    if not isinstance(child, dict) or not child.get("kind") or not child.get("apiVersion"):
        raise HookError(f"a child has no kind or apiVersion: {str(child)[:200]}")
    metadata = _typed(child, "metadata", dict) or {}
    if not metadata.get("name"):
        raise HookError(f"a child of kind {child['kind']} has no name")
    for field in ("labels", "annotations"):
        for key, value in (_typed(metadata, field, dict) or {}).items():
            if not isinstance(value, str):
                raise HookError(
                    f"the child {metadata['name']} has {value!r} among its {field}, for {key}: "
                    "it must be a string"
                )
    return child


def _rule(rule: Any) -> RelatedRule:
    if not isinstance(rule, dict):
        raise HookError(f"a related rule must be an object, not {rule!r}")
    fields = {"apiVersion", "resource", "labelSelector", "namespaceSelector", "namespace", "names"}
    _known(rule, fields, "a related rule")
    found = RelatedRule(
        api_version=_typed(rule, "apiVersion", str) or "",
        resource=_typed(rule, "resource", str) or "",
        selector=_selector(rule, "labelSelector"),
        namespace_selector=_selector(rule, "namespaceSelector"),
        namespace=_typed(rule, "namespace", str) or "",
        names=_strings(rule, "names"),
    )
    if found.names and (found.selector is not None or found.namespace_selector is not None):
        raise HookError(
            f"the related rule for {found.resource} has names beside a selector, "
            "an empty one counts: leave it out"
        )
    if found.namespace and found.namespace_selector is not None:
        raise HookError(
            f"the related rule for {found.resource} has a namespace beside a namespaceSelector"
        )
    return found


def _selector(rule: Mapping[str, Any], name: str) -> Selector | None:
    value = _typed(rule, name, dict)
    if value is None:
        return None
    _known(value, {"matchLabels", "matchExpressions"}, name)
    return _refused(lambda: selectors.parse(value))


def _refused(parse: Callable[[], Selector]) -> Selector:
    try:
        return parse()
    except (ValueError, TypeError, AttributeError) as error:
        raise HookError(f"a related rule has a bad selector: {error}") from error
