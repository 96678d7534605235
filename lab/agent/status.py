# SPDX-License-Identifier: MIT
"""A Pod's status, as a kubelet would write it, from what its containers do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lab.agent import spec

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running, and why."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """Running since."""

    since: datetime


@dataclass(frozen=True, slots=True)
class Terminated:
    """Ended; ``code`` is the exit status, 128 + n for signal n."""

    code: int
    since: datetime | None
    at: datetime
    message: str = ""

    @property
    def reason(self) -> str:
        """The word that kubectl shows."""
        return "Completed" if self.code == 0 else "Error"


State = Waiting | Running | Terminated


@dataclass(frozen=True, slots=True)
class Container:
    """What is known of one container; ``started`` by the meaning of startup probes."""

    state: State = Waiting("ContainerCreating")
    last: Terminated | None = None
    restarts: int = 0
    ready: bool = False
    started: bool = False
    process: str = ""

    def now(self, state: State) -> "Container":
        """Return it in another state; an end is remembered as the last one."""
        last = self.state if isinstance(self.state, Terminated) else self.last
        return replace(self, state=state, last=last, ready=False, started=False)


@dataclass(frozen=True, slots=True)
class Whole:
    """A Pod at one moment; ``reason`` and ``message`` explain an end that was imposed on it."""

    started: datetime
    host_addresses: Sequence[str]
    addresses: Sequence[str] = ()
    initialized: bool = False
    init_containers: Mapping[str, Container] | None = None
    containers: Mapping[str, Container] | None = None
    reason: str = ""
    message: str = ""
    stopped: bool = False


def phase(pod: spec.Pod, whole: Whole) -> str:
    """Return the Pod's phase, by the rules of ``getPhase`` in Kubernetes."""
    if whole.reason:
        return "Failed"
    inits = list((whole.init_containers or {}).values())
    if any(_ended_for_good(pod, container, failed=True) for container in inits):
        return "Failed"
    containers = list((whole.containers or {}).values())
    if not whole.initialized or not containers:
        return "Pending"
    ends = [c.state for c in containers if isinstance(c.state, Terminated)]
    if len(ends) == len(containers):
        if whole.stopped or pod.restart_policy == "Never":
            return "Failed" if any(end.code for end in ends) else "Succeeded"
        if pod.restart_policy == "OnFailure" and not any(end.code for end in ends):
            return "Succeeded"
    if all(isinstance(c.state, Waiting) and c.last is None for c in containers):
        return "Pending"
    return "Running"


def _ended_for_good(pod: spec.Pod, container: Container, *, failed: bool) -> bool:
    return (
        pod.restart_policy == "Never"
        and isinstance(container.state, Terminated)
        and bool(container.state.code) is failed
    )


def build(pod: spec.Pod, whole: Whole, previous: Json, now: datetime) -> Json:
    """Return the status to write; ``previous`` is the last one, for transition times.

    Conditions of other writers are not in it: it is a strategic merge patch.
    """
    is_phase = phase(pod, whole)
    containers = whole.containers or {}
    unready = [name for name, container in containers.items() if not container.ready]
    finished = is_phase in ("Succeeded", "Failed")
    held = {c["type"]: c for c in previous.get("conditions") or ()}
    gated = [gate for gate in pod.readiness_gates if held.get(gate, {}).get("status") != "True"]
    done = "PodCompleted" if is_phase == "Succeeded" else "PodFailed"

    def condition(kind: str, *, true: bool, reason: str = "", message: str = "") -> Json:
        status = "True" if true else "False"
        before = held.get(kind, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        return {
            "type": kind,
            "status": status,
            "lastTransitionTime": since or spec.timestamp(now),
            "reason": reason or None,
            "message": message or None,
        }

    initialized = condition(
        "Initialized",
        true=whole.initialized,
        reason=done if is_phase == "Succeeded" else ("" if whole.initialized else _UNINITIALIZED),
        message="" if whole.initialized else _incomplete(whole.init_containers or {}),
    )
    containers_ready = condition(
        "ContainersReady",
        true=not unready and not finished,
        reason=done if finished else ("ContainersNotReady" if unready else ""),
        message="" if finished or not unready else f"not ready: {unready}",
    )
    ready = condition(
        "Ready",
        true=not unready and not finished and not gated,
        reason=containers_ready.get("reason") or ("ReadinessGatesNotReady" if gated else ""),
        message=containers_ready.get("message")
        or (f"the readiness gates {gated} are not true" if gated else ""),
    )
    host = [{"ip": address} for address in whole.host_addresses]
    addresses = [{"ip": address} for address in whole.addresses]
    return {
        "phase": is_phase,
        "reason": whole.reason or None,
        "message": whole.message or None,
        "startTime": spec.timestamp(whole.started),
        "hostIP": whole.host_addresses[0],
        # An address of an earlier life must go, though the lists merge by it.
        "hostIPs": [{"$patch": "replace"}, *host],
        "podIP": whole.addresses[0] if whole.addresses else None,
        "podIPs": [{"$patch": "replace"}, *addresses],
        "conditions": [
            condition("PodReadyToStartContainers", true=bool(whole.addresses) and not finished),
            initialized,
            ready,
            containers_ready,
        ],
        "initContainerStatuses": _statuses(pod.init_containers, whole.init_containers or {}),
        "containerStatuses": _statuses(pod.containers, containers),
    }


_UNINITIALIZED = "ContainersNotInitialized"


def _incomplete(inits: Mapping[str, Container]) -> str:
    names = [
        name
        for name, container in inits.items()
        if not (isinstance(container.state, Terminated) and container.state.code == 0)
    ]
    return f"not completed: {names}" if names else ""


def _statuses(containers: Sequence[spec.Container], states: Mapping[str, Container]) -> list[Json]:
    return [
        {
            "name": container.name,
            "image": container.image,
            "imageID": container.image,
            "containerID": f"lab://{state.process}" if state.process else "",
            "restartCount": state.restarts,
            "ready": state.ready or _succeeded(state),
            "started": state.started,
            "state": _state(state.state),
            "lastState": _state(state.last) if state.last else {},
        }
        for container in containers
        if (state := states.get(container.name)) is not None
    ]


def _succeeded(container: Container) -> bool:
    return isinstance(container.state, Terminated) and container.state.code == 0


def _state(state: State) -> Json:
    match state:
        case Waiting(reason, message):
            return {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        case Running(since):
            return {"running": {"startedAt": spec.timestamp(since)}}
        case Terminated(code, since, at, message):
            ended: Json = {
                "exitCode": code,
                "reason": state.reason,
                "finishedAt": spec.timestamp(at),
            }
            if since is not None:
                ended["startedAt"] = spec.timestamp(since)
            if message:
                ended["message"] = message
            return {"terminated": ended}
