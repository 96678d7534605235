# SPDX-License-Identifier: MIT
"""The objects and hooks of the scenarios.

The hooks are as simple as hooks can be that use what ours use: a child for
each Service of a balancer, and its address in the Service's status.
"""

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from lab.api import Json
from tests.e2e.metacontroller.recorder import Hook, Reply

if TYPE_CHECKING:
    from tests.e2e.metacontroller.stage import Stage

LABEL = "l2lb.io/load-balancer"
UID_LABEL = "l2lb.io/service-uid"
ADDRESS = "192.0.2.10"


def balancer() -> Json:
    """Return a balancer that takes the nodes with role front."""
    return {
        "apiVersion": "l2lb.io/v1alpha1",
        "kind": "L2LoadBalancer",
        "metadata": {"name": "front"},
        "spec": {"addressPool": ["192.0.2.10-192.0.2.50"], "nodeSelector": {"role": "front"}},
    }


def node(name: str) -> Json:
    """Return a node that the balancer takes."""
    metadata = {"name": name, "labels": {"role": "front"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def service(
    name: str = "web",
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
) -> Json:
    """Return a user's Service, of the balancer unless other annotations are given."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "annotations": {LABEL: "front"} if annotations is None else annotations,
            "labels": labels or {},
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "l2lb.io/l2-load-balancer",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        },
    }


FRONT = balancer()
WEB = service()
WEB_CHILD = service("web-l2-1")


def child_of(parent: Json) -> Json:
    """Return the child that the simple hook wants for a Service."""
    name = parent["metadata"]["name"]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{name}-l2-1",
            "namespace": parent["metadata"]["namespace"],
            "labels": {
                "service.kubernetes.io/service-proxy-name": "l2lb.io",
                UID_LABEL: parent["metadata"].get("uid", name),
            },
            "annotations": {"l2lb.io/address": ADDRESS, "l2lb.io/service": name},
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "l2lb.io/child",
            "allocateLoadBalancerNodePorts": False,
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        },
    }


def balancer_sync(
    annotations: dict[str, str] | None = None,
    without: Iterable[str] = (),
    spec: dict[str, Any] | None = None,
) -> Hook:
    """Return a hook that wants a child for each Service, with that and without the other."""

    def sync(request: Json) -> Reply:
        services = request["related"]["Service.v1"].values()
        children = [child_of(found) for found in services]
        for child in children:
            child["metadata"]["annotations"] |= annotations or {}
            child["spec"] |= copy.deepcopy(spec or {})
            for key in without:
                del child["metadata"]["annotations"][key]
        return Reply(
            {
                "children": children,
                "status": {
                    "nodeCount": len(request["related"]["Node.v1"]),
                    "services": {"total": len(children), "pending": 0},
                },
            }
        )

    return sync


def balancer_customize(request: Json) -> Reply:
    """Ask for the balancer's Services in all namespaces, and its nodes."""
    name = request["parent"]["metadata"]["name"]
    selector = request["parent"]["spec"]["nodeSelector"]
    return Reply(
        {
            "relatedResources": [
                {
                    "apiVersion": "v1",
                    "resource": "services",
                    "labelSelector": {"matchLabels": {LABEL: name}},
                },
                {
                    "apiVersion": "v1",
                    "resource": "nodes",
                    "labelSelector": {"matchLabels": selector},
                },
            ]
        }
    )


def service_customize(request: Json) -> Reply:
    """Ask for the Service's children."""
    metadata = request["parent"]["metadata"]
    return Reply(
        {
            "relatedResources": [
                {
                    "apiVersion": "v1",
                    "resource": "services",
                    "namespace": metadata["namespace"],
                    "labelSelector": {"matchLabels": {UID_LABEL: metadata["uid"]}},
                }
            ]
        }
    )


def service_sync(request: Json) -> Reply:
    """Mirror the annotation, and show the children's addresses."""
    name = request["object"]["metadata"]["annotations"][LABEL]
    children = request["related"]["Service.v1"].values()
    addresses = [
        found["metadata"]["annotations"]["l2lb.io/address"]
        for found in children
        if "l2lb.io/address" in found["metadata"]["annotations"]
    ]
    ingress = [{"ip": address, "ipMode": "VIP"} for address in addresses]
    status = {"loadBalancer": {"ingress": ingress} if ingress else {}}
    return Reply({"labels": {LABEL: name}, "status": status})


def cleanup_sync(_: Json) -> Reply:
    """Take away what service_sync gave."""
    return Reply({"labels": {LABEL: None}, "status": {"loadBalancer": {}}})


def first(replies: list[Reply], then: Hook) -> Hook:
    """Return a hook that gives these replies, one a call, and then does as another."""
    waiting = iter(replies)

    def hook(request: Json) -> Reply:
        return next(waiting, None) or then(request)

    return hook


def simple_hooks(stage: "Stage") -> None:
    """Put the simple hooks in place."""
    stage.hooks.update(
        {
            "balancer/sync": balancer_sync(),
            "balancer/customize": balancer_customize,
            "service/sync": service_sync,
            "service/customize": service_customize,
            "service-cleanup/sync": cleanup_sync,
        }
    )


async def set_up(stage: "Stage") -> None:
    """Have a node, a balancer, and a Service with its child; none of it is in the trace."""
    simple_hooks(stage)
    await stage.create(node("n1"))
    await stage.create(balancer())
    await stage.create(service())
    await stage.settled("set up")
    stage.steps.clear()
