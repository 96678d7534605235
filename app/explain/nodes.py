# SPDX-License-Identifier: MIT
"""A Node object, and what it says against holding addresses."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from contract import names


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """What matters of a Node. `ready` is None where the condition is Unknown or not there."""

    name: str
    labels: Mapping[str, str]
    ready: bool | None = None
    not_ready_because: str = ""
    unknown: bool = False
    network_unavailable: bool = False
    cordoned: bool = False
    terminating: bool = False

    @classmethod
    def read(cls, manifest: Mapping[str, Any]) -> Self:
        """Read a Node; raises KeyError, TypeError or AttributeError for what is none."""
        metadata = manifest["metadata"]
        conditions = {
            condition["type"]: condition
            for condition in (manifest.get("status") or {}).get("conditions") or ()
        }
        ready = conditions.get("Ready") or {}
        return cls(
            name=str(metadata["name"]),
            labels={str(k): str(v) for k, v in (metadata.get("labels") or {}).items()},
            ready={"True": True, "False": False}.get(str(ready.get("status"))),
            not_ready_because=str(ready.get("message") or ready.get("reason") or ""),
            unknown=ready.get("status") == "Unknown",
            network_unavailable=(conditions.get("NetworkUnavailable") or {}).get("status")
            == "True",
            cordoned=(manifest.get("spec") or {}).get("unschedulable") is True,
            terminating=bool(metadata.get("deletionTimestamp")),
        )

    @property
    def excluded(self) -> bool:
        """Whether it carries the label that keeps it out of external load balancers."""
        return names.EXCLUDE_LABEL in self.labels

    @property
    def trouble(self) -> str:
        """What ranks it behind others, as a predicate; empty when nothing does."""
        if self.network_unavailable:
            return "has the condition NetworkUnavailable"
        if self.ready is False:
            because = f" ({self.not_ready_because})" if self.not_ready_because else ""
            return f"is not Ready{because}"
        if self.unknown:
            return "is probably down, as its kubelet has stopped reporting"
        if self.cordoned:
            return f"is cordoned ('kubectl uncordon {self.name}' ends that)"
        return ""

    @property
    def down(self) -> bool:
        """Whether it is probably not there to announce anything."""
        return self.unknown or self.terminating

    def matches(self, selector: Mapping[str, str]) -> bool:
        """Whether a balancer's nodeSelector selects it."""
        return selector.items() <= self.labels.items()
