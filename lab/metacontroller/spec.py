# SPDX-License-Identifier: MIT
"""CompositeControllers and DecoratorControllers, read from their objects.

What the stand-in does not do is refused, so that nobody measures or tests
something that is not there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lab.api import Json
from lab.metacontroller import hooks, selectors
from lab.metacontroller.errors import UnsupportedError
from lab.metacontroller.selectors import Selector

API_VERSION = "metacontroller.k8s.io/v1alpha1"
COMPOSITE = "compositecontrollers"
DECORATOR = "decoratorcontrollers"


@dataclass(frozen=True, slots=True)
class SecretKey:
    """One value in a Secret."""

    namespace: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class HookSpec:
    """Where a hook is, how long to wait for it, and by whose certificates it is believed.

    Without ``authority``, by what the machine trusts.
    """

    url: str
    timeout_s: float = hooks.TIMEOUT_S
    authority: SecretKey | None = None


@dataclass(frozen=True, slots=True)
class Composite:
    """A CompositeController; ``source`` is its object, which is a part of each request."""

    name: str
    parent_api_version: str
    parent_plural: str
    parent_selector: Selector
    ignore_status_changes: bool
    children: tuple[tuple[str, str], ...]
    resync_period_s: float | None
    sync: HookSpec
    customize: HookSpec | None
    source: Json = field(repr=False)


@dataclass(frozen=True, slots=True)
class Decorator:
    """A DecoratorController for one resource."""

    name: str
    api_version: str
    plural: str
    label_selector: Selector
    annotation_selector: Selector
    ignore_status_changes: bool
    resync_period_s: float | None
    sync: HookSpec
    customize: HookSpec | None
    source: Json = field(repr=False)


def composite(source: Json) -> Composite:
    """Read a CompositeController; raises :class:`UnsupportedError`."""
    spec = source["spec"]
    parent = spec["parentResource"]
    _only(
        spec,
        "spec",
        "parentResource",
        "childResources",
        "hooks",
        "resyncPeriodSeconds",
        "generateSelector",
    )
    _only(
        parent,
        "spec.parentResource",
        "apiVersion",
        "resource",
        "labelSelector",
        "ignoreStatusChanges",
    )
    if not spec.get("generateSelector"):
        raise UnsupportedError("spec.generateSelector must be true for the stand-in")
    for child in spec.get("childResources") or ():
        if (child.get("updateStrategy") or {}).get("method") != "InPlace":
            raise UnsupportedError(
                f"spec.childResources: {child['resource']} needs the updateStrategy InPlace, "
                "the only one of the stand-in"
            )
    sync, customize = _hooks(spec)
    return Composite(
        name=source["metadata"]["name"],
        parent_api_version=parent["apiVersion"],
        parent_plural=parent["resource"],
        parent_selector=_selector(parent, "labelSelector"),
        ignore_status_changes=bool(parent.get("ignoreStatusChanges")),
        children=tuple(
            (child["apiVersion"], child["resource"]) for child in spec.get("childResources") or ()
        ),
        resync_period_s=_resync_period_s(spec),
        sync=sync,
        customize=customize,
        source=source,
    )


def decorator(source: Json) -> Decorator:
    """Read a DecoratorController; raises :class:`UnsupportedError`."""
    spec = source["spec"]
    _only(spec, "spec", "resources", "hooks", "resyncPeriodSeconds")
    resources: Sequence[Json] = spec["resources"]
    if len(resources) != 1:
        raise UnsupportedError(
            f"spec.resources has {len(resources)} entries, the stand-in takes exactly one"
        )
    (resource,) = resources
    sync, customize = _hooks(spec)
    return Decorator(
        name=source["metadata"]["name"],
        api_version=resource["apiVersion"],
        plural=resource["resource"],
        label_selector=_selector(resource, "labelSelector"),
        annotation_selector=_selector(resource, "annotationSelector", exact="matchAnnotations"),
        ignore_status_changes=bool(resource.get("ignoreStatusChanges")),
        resync_period_s=_resync_period_s(spec),
        sync=sync,
        customize=customize,
        source=source,
    )


def _only(found: Mapping[str, Any], where: str, *known: str) -> None:
    for name, value in found.items():
        if name not in known and value:
            raise UnsupportedError(f"{where}.{name} is nothing the stand-in knows")


def _selector(resource: Json, name: str, *, exact: str = "matchLabels") -> Selector:
    try:
        return selectors.parse(resource.get(name), exact=exact)
    except ValueError as error:
        raise UnsupportedError(f"the {name} for {resource['resource']}: {error}") from error


def _resync_period_s(spec: Json) -> float | None:
    period = spec.get("resyncPeriodSeconds")
    return None if period is None else max(1.0, float(period))


def _hooks(spec: Json) -> tuple[HookSpec, HookSpec | None]:
    found = spec.get("hooks") or {}
    _only(found, "spec.hooks", "sync", "customize")
    sync = _hook(found, "sync")
    if sync is None:
        raise UnsupportedError("spec.hooks.sync is missing, and nothing can be done without it")
    return sync, _hook(found, "customize")


def _hook(found: Json, name: str) -> HookSpec | None:
    hook = found.get(name)
    if hook is None:
        return None
    where = f"spec.hooks.{name}"
    if hook.get("version") != "v2":
        raise UnsupportedError(f"{where}.version must be v2 for the stand-in")
    webhook = hook.get("webhook") or {}
    _only(webhook, f"{where}.webhook", "url", "service", "path", "timeout", "caBundle")
    return HookSpec(
        _url(webhook, where),
        _seconds(webhook.get("timeout"), where),
        _authority(webhook.get("caBundle"), f"{where}.webhook.caBundle"),
    )


def _authority(bundle: Json | None, where: str) -> SecretKey | None:
    if not bundle:
        return None
    _only(bundle, where, "secretRef")
    secret = bundle["secretRef"]
    return SecretKey(secret["namespace"], secret["name"], secret["key"])


def _url(webhook: Json, where: str) -> str:
    if webhook.get("url"):
        return str(webhook["url"])
    service, path = webhook.get("service"), webhook.get("path")
    if not service or not path:
        raise UnsupportedError(f"{where}.webhook needs a url, or a service and a path")
    protocol, port = service.get("protocol") or "http", service.get("port") or 80
    return f"{protocol}://{service['name']}.{service['namespace']}:{port}{path}"


def _seconds(duration: str | None, where: str) -> float:
    if duration is None:
        return hooks.TIMEOUT_S
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise UnsupportedError(f"{where}.webhook.timeout is {duration!r}, write it like 10s or 1m")
    return sum(float(number) * units[unit] for number, unit in parts) or hooks.TIMEOUT_S
