# SPDX-License-Identifier: MIT
"""One small request a hook, for the API documentation and to try with curl."""

from typing import Any, Final

from app.models import hooks
from contract import names

Json = dict[str, Any]

_CREATED: Final = "2026-01-31T12:00:00Z"
_SERVICE_UID: Final = "6f1d3a52-0d3b-4f7a-9f57-0c2c5ac0a111"
_BALANCER_UID: Final = "2b8a4f1e-6f0c-4d8e-a5a0-1f8f3f2f0b22"

BALANCER: Final[Json] = {
    "apiVersion": names.API_VERSION,
    "kind": names.KIND,
    "metadata": {
        "creationTimestamp": _CREATED,
        "generation": 1,
        "name": "front",
        "uid": _BALANCER_UID,
    },
    "spec": {
        "addressPool": ["192.0.2.10-192.0.2.50"],
        "failbackDelay": "30s",
        "ipCount": "auto",
        "nodeSelector": {"node-role/frontend": ""},
    },
}

SERVICE: Final[Json] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {
        "annotations": {names.SERVICE_BALANCER: "front", names.SERVICE_IP_COUNT: "3"},
        "creationTimestamp": _CREATED,
        "labels": {names.SERVICE_BALANCER: "front"},
        "name": "web",
        "namespace": "shop",
        "uid": _SERVICE_UID,
    },
    "spec": {
        "externalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
        "loadBalancerClass": names.SERVICE_CLASS,
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        "selector": {"app": "web"},
        "type": "LoadBalancer",
    },
    "status": {"loadBalancer": {}},
}


def _node(name: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "creationTimestamp": _CREATED,
            "labels": {"kubernetes.io/hostname": name, "node-role/frontend": ""},
            "name": name,
        },
    }


_NAMESPACE: Final[Json] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"creationTimestamp": _CREATED, "name": "shop"},
}

BALANCER_SYNC: Final[Json] = {
    "children": {hooks.SERVICES: {}},
    "controller": {"metadata": {"name": "l2lb-balancer"}},
    "finalizing": False,
    "parent": BALANCER,
    "related": {
        hooks.BALANCERS: {"front": BALANCER},
        hooks.NAMESPACES: {"shop": _NAMESPACE},
        hooks.NODES: {name: _node(name) for name in ("n1", "n2", "n3")},
        hooks.SERVICES: {"shop/web": SERVICE},
    },
}
BALANCER_CUSTOMIZE: Final[Json] = {
    "controller": {"metadata": {"name": "l2lb-balancer"}},
    "parent": BALANCER,
}
SERVICE_SYNC: Final[Json] = {
    "attachments": {},
    "controller": {"metadata": {"name": "l2lb-service"}},
    "finalizing": False,
    "object": SERVICE,
    "related": {hooks.SERVICES: {}},
}
SERVICE_CUSTOMIZE: Final[Json] = {
    "controller": {"metadata": {"name": "l2lb-service"}},
    "parent": SERVICE,
}
SERVICE_CLEANUP_SYNC: Final[Json] = {
    "attachments": {},
    "controller": {"metadata": {"name": "l2lb-service-cleanup"}},
    "finalizing": False,
    "object": SERVICE
    | {"metadata": {k: v for k, v in SERVICE["metadata"].items() if k != "annotations"}},
    "related": {},
}
