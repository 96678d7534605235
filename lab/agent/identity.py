# SPDX-License-Identifier: MIT
"""A Node as the API shows it: the object, its status and its Lease."""

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lab.agent import spec

Json = dict[str, Any]

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
IMAGES = 50  # a kubelet's nodeStatusMaxImages; the largest part of a real Node
IMAGE_BYTES = 50_000_000
MAX_PODS = 110  # the kubelet's default
VERSION = "v1.37.2"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}

_GOOD = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "there is memory left"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "there is disk space left"),
    ("PIDPressure", "KubeletHasSufficientPID", "there are process ids left"),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a node says of itself; ``boot`` differs after each start."""

    name: str
    addresses: tuple[str, ...]
    pod_subnets: tuple[str, ...]
    labels: Mapping[str, str]
    boot: str
    lease_duration_s: int

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/api/v1/nodes/{self.name}"

    def node(self) -> Json:
        """Return the object to register."""
        architecture = ARCHITECTURES.get(platform.machine(), platform.machine())
        facts = {"arch": architecture, "os": "linux"}
        labels = {f"beta.kubernetes.io/{key}": value for key, value in facts.items()}
        labels |= {f"kubernetes.io/{key}": value for key, value in facts.items()}
        labels |= {"kubernetes.io/hostname": self.name}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {**labels, **self.labels},
                "annotations": {
                    "volumes.kubernetes.io/controller-managed-attach-detach": "true",
                },
            },
            "spec": {"podCIDR": self.pod_subnets[0], "podCIDRs": list(self.pod_subnets)},
        }

    def status(self, previous: Json, now: datetime, *, shutting_down: bool, first: bool) -> Json:
        """Return the status to patch in, strategically; ``previous`` is the last one.

        ``first`` adds the condition NetworkUnavailable, which belongs to the
        network plug-in of a real cluster: written once, so that a test may
        change it.
        """
        wanted = [(kind, "False", reason, message) for kind, reason, message in _GOOD]
        if shutting_down:
            wanted.append(("Ready", "False", "KubeletNotReady", "the node shuts down"))
        else:
            wanted.append(("Ready", "True", "KubeletReady", "the agent serves the node"))
        if first:
            wanted.append(
                ("NetworkUnavailable", "False", "NetworkIsUp", "the lab built the network")
            )
        held = {
            (condition["type"], condition["status"]): condition.get("lastTransitionTime")
            for condition in previous.get("conditions") or ()
        }
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": spec.timestamp(now),
                "lastTransitionTime": held.get((kind, status)) or spec.timestamp(now),
            }
            for kind, status, reason, message in wanted
        ]
        capacity = {
            "cpu": str(os.cpu_count() or 1),
            "ephemeral-storage": "50Gi",
            "memory": "8Gi",
            "pods": str(MAX_PODS),
        }
        return {
            "addresses": [
                # The lists merge by type, of which the two InternalIPs have the same.
                {"$patch": "replace"},
                *({"type": "InternalIP", "address": address} for address in self.addresses),
                {"type": "Hostname", "address": self.name},
            ],
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": conditions,
            "images": [_image(number) for number in range(IMAGES)],
            "nodeInfo": {
                "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
                "bootID": self.boot,
                "containerRuntimeVersion": "lab://1",
                "kernelVersion": platform.release(),
                "kubeProxyVersion": VERSION,
                "kubeletVersion": VERSION,
                "machineID": self.name,
                "operatingSystem": "linux",
                "osImage": "a network namespace of the lab",
                "systemUUID": self.name,
            },
        }

    def lease(self, node_uid: str, now: datetime, current: Json | None) -> Json:
        """Return the Lease to create, or to replace ``current`` by."""
        owner = {"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": node_uid}
        metadata: Json = {"name": self.name, "ownerReferences": [owner]}
        if current is not None:
            metadata["resourceVersion"] = current["metadata"]["resourceVersion"]
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self.name,
                "leaseDurationSeconds": self.lease_duration_s,
                "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }


def says(node: Json, status: Json) -> bool:
    """Return whether a Node has all the conditions of a status, apart from times."""
    held = {
        condition["type"]: (condition["status"], condition.get("reason"))
        for condition in (node.get("status") or {}).get("conditions") or ()
    }
    return all(
        held.get(condition["type"]) == (condition["status"], condition["reason"])
        for condition in status["conditions"]
    )


def _image(number: int) -> Json:
    digest = f"{number:064x}"
    name = f"registry.example/lab/image-{number}"
    return {"names": [f"{name}@sha256:{digest}", f"{name}:1"], "sizeBytes": IMAGE_BYTES + number}
