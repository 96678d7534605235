# SPDX-License-Identifier: MIT
"""The three-way merge by which a hook's partial child becomes an update of the whole object.

Metacontroller calls it dynamic apply: what the hook said last time is kept in
an annotation, so that a field it no longer names is removed, and a field it
never named is left to others. Lists of objects merge by the first of some
well-known keys that all of their items have; its faults are kept, since hooks
have to live with them: two Service ports of one number become the same port.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.api import Json

LAST_APPLIED = "metacontroller.k8s.io/last-applied-configuration"

# Tried in this order.
LIST_KEYS = ("containerPort", "port", "mountPath", "name", "uid", "ip", "path")

# Set by the API server alone: a hook that names them must not cause an update.
SYSTEM_METADATA = (
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
)


def same(left: Any, right: Any) -> bool:
    """Compare as Go does: 1, 1.0 and true differ, and so do null, {} and nothing."""
    if left is right:
        return True  # nearly all of a merged object is the observed one's
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def remember(obj: Json, applied: Mapping[str, Any]) -> None:
    """Write into ``obj`` what was applied, for the next merge."""
    text = json.dumps(applied, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # Go escapes these for HTML's sake; the same text means no update when the two take turns.
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    obj["metadata"]["annotations"] = {
        **(obj["metadata"].get("annotations") or {}),
        LAST_APPLIED: text,
    }


def remembered(obj: Mapping[str, Any]) -> Json:
    """Return what was applied last, nothing for an object that was never merged.

    Raises :class:`ValueError` for an annotation that is no JSON object.
    """
    text = (obj["metadata"].get("annotations") or {}).get(LAST_APPLIED)
    if not text:
        return {}
    applied = json.loads(text)
    if not isinstance(applied, dict):
        raise ValueError(f"the annotation {LAST_APPLIED} holds {text!r}, which is no object")  # noqa: TRY004 - content, not an argument
    return applied


def update(observed: Json, desired: Json) -> Json:
    """Return ``observed`` as it should be; the same value if nothing is to be done.

    What has not changed is shared with the arguments, none of which changes.
    """
    annotations = dict(desired["metadata"].get("annotations") or {})
    if annotations.pop(LAST_APPLIED, None) is not None:
        desired = {**desired, "metadata": {**desired["metadata"], "annotations": annotations}}
    new: Json = merge(observed, remembered(observed), desired)
    for field in SYSTEM_METADATA:
        _revert(new["metadata"], observed["metadata"], field)
    # The status of a child is never Metacontroller's business.
    _revert(new, observed, "status")
    remember(new, desired)
    return new


def merge(observed: Any, applied: Any, desired: Any) -> Any:
    """Return ``observed`` with the step from ``applied`` to ``desired`` made.

    What has not changed is shared with the arguments, none of which changes.
    """
    if isinstance(observed, dict):
        return _merge_objects(observed, _as(dict, applied), _as(dict, desired))
    if isinstance(observed, list):
        return _merge_lists(observed, _as(list, applied), _as(list, desired))
    return desired


def _merge_objects(observed: Json, applied: Json, desired: Json) -> Json:
    dropped = applied.keys() - desired.keys()
    merged = {key: value for key, value in observed.items() if key not in dropped}
    for key, value in desired.items():
        merged[key] = merge(merged.get(key), applied.get(key), value)
    return merged


def _merge_lists(observed: list[Any], applied: list[Any], desired: list[Any]) -> list[Any]:
    list_key = _list_key((observed, applied, desired))
    if list_key is None:
        return desired
    merged = _merge_objects(
        _by_key(list_key, observed), _by_key(list_key, applied), _by_key(list_key, desired)
    )
    order = [_text(item[list_key]) for item in observed]
    order += [key for key in _by_key(list_key, desired) if key not in order]
    return [merged[key] for key in order if key in merged]


def _list_key(lists: Sequence[list[Any]]) -> str | None:
    items = [item for members in lists for item in members]
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    return next((key for key in LIST_KEYS if all(key in item for item in items)), None)


def _by_key(list_key: str, items: list[Any]) -> Json:
    return {_text(item[list_key]): item for item in items}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _as(kind: type[Any], value: Any) -> Any:
    """Return ``value``, or nothing of that kind where it is of another one."""
    return value if isinstance(value, kind) else kind()


def _revert(new: Json, old: Mapping[str, Any], field: str) -> None:
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)


def changed_fields(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Yield the paths at which two objects differ, for the log."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from changed_fields(old.get(key), new.get(key), f"{path}.{key}")
    elif not same(old, new):
        yield path
