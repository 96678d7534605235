# SPDX-License-Identifier: MIT
"""Hook requests as Metacontroller sends them, at any size, with all that Kubernetes adds.

Used by the benchmark of the hooks and by their tests: an answer can be fed back as the children
of the next request (`observe`), which is how 'at rest nothing changes' is checked.
"""

import copy
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from contract import names

Json = dict[str, Any]

CREATED: Final = "2026-01-31T12:00:00Z"
BALANCER_UID: Final = "b0000000-0000-4000-8000-000000000001"
SERVICES: Final = "Service.v1"
NODES: Final = "Node.v1"
NAMESPACES: Final = "Namespace.v1"
BALANCERS: Final = f"{names.KIND}.{names.API_VERSION}"
LAST_APPLIED: Final = "metacontroller.k8s.io/last-applied-configuration"


def uid(*parts: object) -> str:
    """Return a UID that is the same for the same parts."""
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest))


def managed(manager: str, fields: Mapping[str, Any], when: str = CREATED) -> Json:
    """Return one entry of metadata.managedFields."""
    return {
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": dict(fields),
        "manager": manager,
        "operation": "Update",
        "time": when,
    }


def balancer(name: str = "front", *, generation: int = 1, **spec: Any) -> Json:
    """Return an L2LoadBalancer; `spec` overrides fields by their name in the CRD."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "creationTimestamp": CREATED,
            "generation": generation,
            "managedFields": [managed("kubectl", {"f:spec": {"f:addressPool": {}}})],
            "name": name,
            "resourceVersion": "100",
            "uid": BALANCER_UID if name == "front" else uid("balancer", name),
        },
        "spec": {
            "addressPool": ["192.0.2.10-192.0.2.50"],
            "avoidBuggyIPs": False,
            "failbackDelay": "30s",
            "ignoreExcludeLabel": False,
            "ipCount": "auto",
            "nodeSelector": {"node-role/frontend": ""},
        }
        | spec,
    }


def node(name: str, *, labels: Mapping[str, str] | None = None, images: int = 50) -> Json:
    """Return a Node as a kubelet reports it, with `images` container images."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            "creationTimestamp": CREATED,
            "labels": {
                "beta.kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node-role/frontend": "",
            }
            | dict(labels or {}),
            "managedFields": [
                managed("kubelet", {"f:status": {f"f:field-{i}": {} for i in range(20)}})
            ],
            "name": name,
            "resourceVersion": "200",
            "uid": uid("node", name),
        },
        "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]},
        "status": {
            "addresses": [
                {"address": "10.77.0.11", "type": "InternalIP"},
                {"address": name, "type": "Hostname"},
            ],
            "capacity": {"cpu": "16", "memory": "65536000Ki", "pods": "110"},
            "conditions": [
                {
                    "lastHeartbeatTime": CREATED,
                    "lastTransitionTime": CREATED,
                    "message": "kubelet is posting ready status",
                    "reason": "KubeletReady",
                    "status": "True",
                    "type": "Ready",
                }
            ],
            "images": [
                {
                    "names": [
                        f"registry.example/team/image-{i}@sha256:{uid(name, i)}{uid(i, name)}",
                        f"registry.example/team/image-{i}:v1.{i}.0",
                    ],
                    "sizeBytes": 10_000_000 + i,
                }
                for i in range(images)
            ],
        },
    }


def service(
    name: str,
    *,
    namespace: str = "shop",
    annotations: Mapping[str, str] | None = None,
    created: str = CREATED,
    ports: Sequence[Json] | None = None,
    **spec: Any,
) -> Json:
    """Return a user's Service of type LoadBalancer that asks the balancer `front`."""
    annotations = {names.SERVICE_BALANCER: "front"} | dict(annotations or {})
    manifest: Json = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "annotations": annotations
            | {"kubectl.kubernetes.io/last-applied-configuration": "{" + " " * 600 + "}"},
            "creationTimestamp": created,
            "labels": {"app": name, names.SERVICE_BALANCER: annotations[names.SERVICE_BALANCER]},
            "managedFields": [
                managed(
                    "kubectl-client-side-apply", {"f:spec": {f"f:field-{i}": {} for i in range(15)}}
                ),
                managed("metacontroller", {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}),
            ],
            "name": name,
            "namespace": namespace,
            "resourceVersion": "300",
            "uid": uid("service", namespace, name),
        },
        "spec": {
            "allocateLoadBalancerNodePorts": True,
            "clusterIP": "10.96.1.2",
            "clusterIPs": ["10.96.1.2"],
            "externalTrafficPolicy": "Cluster",
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "loadBalancerClass": names.SERVICE_CLASS,
            "ports": list(
                ports
                or [
                    {
                        "name": "http",
                        "nodePort": 30080,
                        "port": 80,
                        "protocol": "TCP",
                        "targetPort": 8080,
                    },
                    {
                        "name": "https",
                        "nodePort": 30443,
                        "port": 443,
                        "protocol": "TCP",
                        "targetPort": 8443,
                    },
                ]
            ),
            "selector": {"app": name},
            "sessionAffinity": "None",
            "type": "LoadBalancer",
        }
        | spec,
        "status": {"loadBalancer": {}},
    }
    return {key: value for key, value in manifest.items() if value is not None}


def namespace(name: str, *, terminating: bool = False) -> Json:
    """Return a Namespace."""
    manifest: Json = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "creationTimestamp": CREATED,
            "labels": {"kubernetes.io/metadata.name": name},
            "name": name,
            "uid": uid("namespace", name),
        },
        "status": {"phase": "Active"},
    }
    if terminating:
        manifest["metadata"]["deletionTimestamp"] = CREATED
        manifest["status"]["phase"] = "Terminating"
    return manifest


def keyed(objects: Iterable[Json]) -> dict[str, Json]:
    """Key objects as Metacontroller does: namespace/name, or name without a namespace."""
    keys = {}
    for manifest in objects:
        metadata = manifest["metadata"]
        prefix = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
        keys[prefix + metadata["name"]] = manifest
    return keys


def observe(
    desired: Json, *, parent: Json, created: str = CREATED, status: Json | None = None
) -> Json:
    """Return a desired child as the API server shows it once Metacontroller has created it."""
    child = copy.deepcopy(desired)
    metadata = child["metadata"]
    metadata["labels"] = {"controller-uid": parent["metadata"]["uid"]} | metadata.get("labels", {})
    metadata.setdefault("annotations", {})[LAST_APPLIED] = json.dumps(
        desired, separators=(",", ":"), sort_keys=True
    )
    metadata |= {
        "creationTimestamp": created,
        "managedFields": [
            managed("metacontroller", {"f:metadata": {f"f:field-{i}": {} for i in range(12)}})
        ],
        "ownerReferences": [
            {
                "apiVersion": parent["apiVersion"],
                "blockOwnerDeletion": True,
                "controller": True,
                "kind": parent["kind"],
                "name": parent["metadata"]["name"],
                "uid": parent["metadata"]["uid"],
            }
        ],
        "resourceVersion": "400",
        "uid": uid("child", metadata["namespace"], metadata["name"], created),
    }
    child["spec"] |= {"internalTrafficPolicy": "Cluster", "sessionAffinity": "None"}
    child["spec"].setdefault("clusterIP", "10.96.7.7")
    for port in child["spec"].get("ports", ()):
        port["targetPort"] = port["port"]
    child["status"] = status or {"loadBalancer": {}}
    return child


def composite(
    parent: Json,
    *,
    services: Iterable[Json] = (),
    nodes: Iterable[Json] = (),
    namespaces: Iterable[Json] | None = None,
    balancers: Iterable[Json] = (),
    children: Iterable[Json] = (),
) -> Json:
    """Return a balancer's sync request; namespaces default to those of the Services."""
    services, children = list(services), list(children)
    if namespaces is None:
        used = {o["metadata"]["namespace"] for o in (*services, *children)}
        namespaces = [namespace(name) for name in sorted(used)]
    return {
        "children": {SERVICES: keyed(children)},
        "controller": {"kind": "CompositeController", "metadata": {"name": "l2lb-balancer"}},
        "finalizing": False,
        "parent": parent,
        "related": {
            BALANCERS: keyed([parent, *balancers]),
            NAMESPACES: keyed(namespaces),
            NODES: keyed(nodes),
            SERVICES: keyed(services),
        },
    }


def decorator(target: Json, *, children: Iterable[Json] = ()) -> Json:
    """Return a Service's sync request with its children."""
    return {
        "attachments": {},
        "controller": {"kind": "DecoratorController", "metadata": {"name": "l2lb-service"}},
        "finalizing": False,
        "object": target,
        "related": {SERVICES: keyed(children)},
    }


def customize(parent: Json) -> Json:
    """Return a customize request."""
    return {"controller": {"metadata": {"name": "any"}}, "parent": parent}
