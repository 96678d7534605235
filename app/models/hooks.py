# SPDX-License-Identifier: MIT
"""Requests and answers of Metacontroller's hooks, version v2."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import pydantic
import pydantic_core
from typing_extensions import TypedDict

from app import errors
from app.models import kubernetes

SERVICES: Final = "Service.v1"
NODES: Final = "Node.v1"
NAMESPACES: Final = "Namespace.v1"
BALANCERS: Final = "L2LoadBalancer.l2lb.io/v1alpha1"

Services = dict[str, kubernetes.AnyService]
Children = TypedDict("Children", {"Service.v1": Services}, total=False)
BalancerRelated = TypedDict(
    "BalancerRelated",
    {
        "L2LoadBalancer.l2lb.io/v1alpha1": dict[str, kubernetes.AnyBalancer],
        "Namespace.v1": dict[str, kubernetes.AnyNamed],
        "Node.v1": dict[str, kubernetes.AnyNamed],
        "Service.v1": Services,
    },
    total=False,
)


class BalancerSyncRequest(TypedDict):
    """What CompositeController l2lb-balancer asks."""

    parent: kubernetes.Balancer
    children: Children
    related: BalancerRelated


class ServiceSyncRequest(TypedDict):
    """What DecoratorController l2lb-service asks."""

    object: kubernetes.ServiceWithHistory
    related: Children


class CleanupSyncRequest(TypedDict):
    """What DecoratorController l2lb-service-cleanup asks."""

    object: kubernetes.ServiceWithHistory


class CustomizeBalancerRequest(TypedDict):
    """The customize request for a balancer."""

    parent: kubernetes.Balancer


class CustomizeServiceRequest(TypedDict):
    """The customize request for a Service."""

    parent: kubernetes.Named


class LabelSelector(pydantic.BaseModel):
    """A label selector; an empty one is left out."""

    matchLabels: dict[str, str]  # noqa: N815  # the name on the wire


class RelatedRule(pydantic.BaseModel):
    """One rule for related objects."""

    apiVersion: str  # noqa: N815  # the name on the wire
    resource: str
    namespace: str | None = None
    labelSelector: LabelSelector | None = None  # noqa: N815  # the name on the wire


class CustomizeAnswer(pydantic.BaseModel):
    """Which other objects Metacontroller sends along."""

    relatedResources: list[RelatedRule]  # noqa: N815  # the name on the wire


class BalancerSyncAnswer(pydantic.BaseModel):
    """Every child that should exist, and the balancer's whole status."""

    status: dict[str, Any]
    children: list[dict[str, Any]]
    resyncAfterSeconds: float = 0  # noqa: N815  # the name on the wire


class ServiceSyncAnswer(pydantic.BaseModel):
    """Labels to merge (null deletes) and, unless it stays as it is, the whole status."""

    labels: dict[str, str | None] | None = None
    status: dict[str, Any] | None = None
    resyncAfterSeconds: float = 0  # noqa: N815  # the name on the wire


class ErrorAnswer(pydantic.BaseModel):
    """Why there is no answer."""

    error: str


_Request = TypeVar("_Request")
_Object = TypeVar("_Object")


def parse(adapter: pydantic.TypeAdapter[_Request], body: bytes) -> _Request:
    """Read a request. Raises NotJsonError or MalformedRequestError naming what is wrong."""
    try:
        return adapter.validate_json(body, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise errors.NotJsonError(
                f"the body is no JSON: {first['msg']}; send the request as Metacontroller does, "
                "like the files in examples/hooks"
            ) from None
        where = ".".join(map(str, first["loc"])) or "the body"
        raise errors.MalformedRequestError(
            f"{where}: {first['msg']}; send the request as Metacontroller does, like the files in "
            "examples/hooks"
        ) from None


def whole(shape: type[_Object], manifest: _Object | kubernetes.Broken) -> _Object:
    """Return an object that has the shape of its kind. Raises ObjectError for one that has not."""
    if not isinstance(manifest, kubernetes.Broken):
        return manifest
    try:
        return pydantic.TypeAdapter(shape).validate_python(manifest.raw, strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the object"
        raise errors.ObjectError(f"{where}: {first['msg']}") from None


def ordered(value: Any) -> Any:
    """Return a value that is echoed, with all its maps in the order of their keys."""
    if isinstance(value, Mapping):
        return {key: ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [ordered(one) for one in value]
    return value


def encode(answer: Mapping[str, Any]) -> bytes:
    """Return the bytes of an answer; equal answers built in equal order give equal bytes."""
    return pydantic_core.to_json(answer, inf_nan_mode="null")
