# SPDX-License-Identifier: MIT
"""The fields of Kubernetes objects that the hooks read; all others are skipped while parsing.

Every field may be absent: what is required is judged where an object is turned into a value.
"""

from typing import Any

import pydantic
from typing_extensions import TypedDict

Labels = dict[str, str] | None


OwnedMetadata = TypedDict("OwnedMetadata", {"f:labels": dict[str, Any] | None}, total=False)
OwnedFields = TypedDict("OwnedFields", {"f:metadata": OwnedMetadata | None}, total=False)


class ManagedFields(TypedDict, total=False):
    """One entry of metadata.managedFields; of the fields, which labels they own."""

    manager: str
    time: str
    fieldsV1: OwnedFields | None


class Metadata(TypedDict, total=False):
    """ObjectMeta."""

    name: str
    namespace: str
    uid: str
    generation: int
    creationTimestamp: str | None
    deletionTimestamp: str | None
    labels: Labels
    annotations: Labels


class PortSpec(TypedDict, total=False):
    """A port of a Service."""

    name: str
    port: int
    protocol: str


class ServiceSpec(TypedDict, total=False):
    """The spec of a Service."""

    type: str
    loadBalancerClass: str | None
    externalTrafficPolicy: str
    healthCheckNodePort: int
    ipFamilies: list[str] | None
    ipFamilyPolicy: str
    ports: list[PortSpec] | None
    selector: Labels


class Ingress(TypedDict, total=False):
    """One entry of status.loadBalancer.ingress."""

    ip: str
    hostname: str
    ipMode: str


class LoadBalancerStatus(TypedDict, total=False):
    """A Service's status.loadBalancer."""

    ingress: list[Ingress] | None


class ServiceStatus(TypedDict, total=False):
    """The status of a Service; conditions whole, since those of others are echoed."""

    loadBalancer: LoadBalancerStatus
    conditions: list[dict[str, Any]] | None


class Service(TypedDict, total=False):
    """A Service: a user's, or a child."""

    metadata: Metadata
    spec: ServiceSpec
    status: ServiceStatus


class ServiceHistoryMetadata(Metadata, total=False):
    """ObjectMeta with the times of its last writes."""

    managedFields: list[ManagedFields] | None


class WholeStatus(TypedDict, total=False):
    """The status of a Service with all that anybody put there."""

    __pydantic_config__ = pydantic.ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's way

    loadBalancer: dict[str, Any]
    conditions: list[dict[str, Any]] | None


class ServiceWithHistory(TypedDict, total=False):
    """A user's Service with the times of its last writes, and its status whole, to be echoed."""

    metadata: ServiceHistoryMetadata
    spec: ServiceSpec
    status: WholeStatus


class Named(TypedDict, total=False):
    """A Node or a Namespace: metadata is all that matters."""

    metadata: Metadata


class BalancerSpec(TypedDict, total=False):
    """The spec of an L2LoadBalancer, as the CRD describes it."""

    addressPool: list[str]
    nodeSelector: dict[str, str]
    ipCount: int | str
    interfaces: list[str] | None
    namespaces: list[str] | None
    avoidBuggyIPs: bool
    ignoreExcludeLabel: bool
    failbackDelay: str


class NodeShare(TypedDict, total=False):
    """One entry of a balancer's status.nodes."""

    name: str
    preferred: int


class AwaitedChild(TypedDict, total=False):
    """One entry of a balancer's status.awaited."""

    name: str
    since: str


class BalancerStatus(TypedDict, total=False):
    """What of its own status a balancer remembers."""

    observedGeneration: int
    conditions: list[dict[str, Any]] | None
    nodeCount: int
    nodes: list[NodeShare] | None
    quarantined: list[str] | None
    awaited: list[AwaitedChild] | None


class Balancer(TypedDict, total=False):
    """An L2LoadBalancer."""

    metadata: Metadata
    spec: BalancerSpec
    status: BalancerStatus


SERVICE = pydantic.TypeAdapter(Service)
SERVICE_WITH_HISTORY = pydantic.TypeAdapter(ServiceWithHistory)
NAMED = pydantic.TypeAdapter(Named)
BALANCER = pydantic.TypeAdapter(Balancer)
