# SPDX-License-Identifier: MIT
"""A cluster's objects as an API server lists them, for what is made to be seen of them."""

import copy
import datetime as dt
import ipaddress
from collections.abc import Iterable
from typing import Any

from app import conditions, pending
from app.explain import reading
from contract import announcement, child, names
from contract.names import AnnouncedReason

Json = dict[str, Any]

CREATED = "2026-01-31T12:00:00Z"
SINCE = dt.datetime(2026, 2, 1, 10, 0, tzinfo=dt.UTC)
SELECTOR = {"node-role/frontend": ""}
MAC = "52:54:00:00:00:01"


def balancer(name: str = "front", *, ready: bool | None = True, **spec: Any) -> Json:
    """A balancer of 192.0.2.10-50; `ready` None: no hook has answered."""
    manifest: Json = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "creationTimestamp": CREATED,
            "generation": 1,
            "name": name,
            "uid": f"uid-{name}",
        },
        "spec": {
            "addressPool": ["192.0.2.10-192.0.2.50"],
            "failbackDelay": "30s",
            "ipCount": "auto",
            "nodeSelector": SELECTOR,
            **spec,
        },
    }
    if ready is not None:
        manifest["status"] = {
            "observedGeneration": 1,
            "addresses": {"ipv4": {"total": 41, "assigned": 3, "free": 38}},
            "conditions": [
                {
                    "type": "Ready",
                    "status": str(ready),
                    "reason": "Ready" if ready else "NoNodes",
                    "message": "fine" if ready else "no node matches",
                }
            ],
        }
    return manifest


def node(
    name: str, *, ready: str = "True", cordoned: bool = False, labels: dict[str, str] | None = None
) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": SELECTOR | (labels or {}), "uid": f"uid-{name}"},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def nodes(count: int = 3) -> list[Json]:
    return [node(f"n{number}") for number in range(1, count + 1)]


def service(
    name: str = "web",
    *,
    count: str | None = "1",
    listed: Iterable[str] = (),
    verdict: conditions.Verdict | None = None,
    notes: dict[str, str] | None = None,
    **spec: Any,
) -> Json:
    """A Service of balancer front; `verdict` is what its Assigned condition says."""
    annotations = {names.SERVICE_BALANCER: "front"}
    if count is not None:
        annotations[names.SERVICE_IP_COUNT] = count
    manifest: Json = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "annotations": annotations | (notes or {}),
            "creationTimestamp": CREATED,
            "labels": {names.SERVICE_BALANCER: "front"},
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
        },
        "spec": {
            "ipFamilies": ["IPv4"],
            "loadBalancerClass": names.SERVICE_CLASS,
            "ports": [{"port": 80, "protocol": "TCP"}],
            "type": "LoadBalancer",
            **spec,
        },
        "status": {"loadBalancer": {"ingress": [{"ip": address} for address in listed]}},
    }
    if verdict is not None:
        manifest["status"]["conditions"] = [
            conditions.stated(names.ASSIGNED_CONDITION, verdict, before=(), now=SINCE)
        ]
    return manifest


ASSIGNED = conditions.Verdict(holds=True, reason="Assigned", message="has it")


def child_of(
    name: str = "web",
    ordinal: int = 1,
    *,
    by: str | None = "n1",
    listed: tuple[str, ...] = ("n1", "n2", "n3"),
    said: tuple[AnnouncedReason, str] | None = None,
    **more: Any,
) -> Json:
    """The child with this number, 192.0.2.10 being the first's, announced `by` a node or not."""
    address = more.pop("address", None) or ipaddress.ip_address("192.0.2.9") + ordinal
    manifest = child.encode(
        child.Child(
            namespace="shop",
            name=child.child_name(name, ordinal),
            service=name,
            service_uid=f"uid-{name}",
            balancer="front",
            address=address,
            nodes=listed,
            list_version=1,
            ports=(child.Port(80),),
            planned=ordinal,
            **more,
        )
    )
    manifest["metadata"]["creationTimestamp"] = CREATED
    manifest["metadata"]["uid"] = f"uid-{name}-{ordinal}"
    spoken = None
    if said is not None:
        spoken = announcement.Announcement(address, *said)
    elif by is not None:
        spoken = announcement.Announcement.by(address, node=by, interface="eth1", mac=MAC)
    if spoken is not None:
        manifest["status"] = announcement.encode_status(spoken, previous={}, now=SINCE)
    return manifest


def note(verdict: conditions.Verdict, name: str = "web") -> Json:
    manifest = pending.encode(verdict, namespace="shop", service=name, service_uid=f"uid-{name}")
    manifest["metadata"]["uid"] = f"uid-note-{name}"
    return manifest


def moved(address: str, came_from: str, went_to: str, moment: dt.datetime) -> Json:
    return {
        "kind": "Event",
        "metadata": {"name": f"web-{moment.timestamp()}", "namespace": "shop"},
        "involvedObject": {"kind": "Service", "namespace": "shop", "name": "web"},
        "reason": "AddressMoved",
        "message": f"{address} moved from {came_from} to {went_to}: holder-died",
        "type": "Warning",
        "lastTimestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def served() -> reading.Objects:
    """A cluster in which all is well: three nodes, and a Service with an address on each."""
    return reading.Objects(
        balancers=[balancer()],
        services=[
            service(count="3", listed=["192.0.2.10", "192.0.2.11", "192.0.2.12"], verdict=ASSIGNED),
            child_of(ordinal=1, by="n1", listed=("n1", "n2", "n3")),
            child_of(ordinal=2, by="n2", listed=("n2", "n3", "n1")),
            child_of(ordinal=3, by="n3", listed=("n3", "n1", "n2")),
        ],
        nodes=nodes(),
    )


def paths(value: Any, so_far: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the way to each part of a JSON value."""
    found = [so_far]
    if isinstance(value, dict):
        for key, item in value.items():
            found += paths(item, (*so_far, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += paths(item, (*so_far, number))
    return found


def broken(value: Any, path: tuple[Any, ...], splinter: Any) -> Any:
    """Return a copy whose part at `path` is replaced."""
    if not path:
        return splinter
    copied = copy.copy(value)
    copied[path[0]] = broken(value[path[0]], path[1:], splinter)
    return copied
