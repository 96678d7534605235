# SPDX-License-Identifier: MIT
"""What the agent reads of a Pod, parsed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Json = dict[str, Any]

DEFAULT_GRACE_S = 30
SYSTEM_CRITICAL_PRIORITY = 2_000_000_000  # what a kubelet's shutdown stops last


class UnsupportedError(ValueError):
    """A Pod asks for something that a lab does not do; the message names it."""


@dataclass(frozen=True, slots=True)
class Image:
    """What stands for a container image of ours.

    ``argv`` takes the place of the image's ENTRYPOINT and ``environment`` of its
    ENV, ``user`` of its USER. ``paths`` are directories that must be visible to
    the container though they lie where it has directories of its own (``/tmp``,
    ``/run``): the interpreter and the checkout, wherever they are.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    paths: tuple[str, ...] = ()
    user: int = 0


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a container says it listens on; an answer to probes that name it."""

    name: str
    number: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume's, or a part of it's, place in a container."""

    volume: str
    path: str
    sub_path: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Action:
    """What a probe or a hook does: one of exec, HTTP, TCP or sleep."""

    kind: Literal["exec", "httpGet", "tcpSocket", "sleep"]
    command: tuple[str, ...] = ()
    host: str = ""
    port: int = 0
    path: str = ""
    scheme: str = "http"
    headers: tuple[tuple[str, str], ...] = ()
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class Probe:
    """A probe with the API's defaults filled in; times in seconds."""

    action: Action
    initial_delay_s: int
    period_s: int
    timeout_s: int
    success_threshold: int
    failure_threshold: int
    grace_s: int | None


@dataclass(frozen=True, slots=True)
class Security:
    """The security context in force for a container: its own over the Pod's."""

    user: int | None
    non_root: bool
    read_only_root: bool
    drop: frozenset[str]
    add: frozenset[str]
    no_new_privileges: bool
    privileged: bool


@dataclass(frozen=True, slots=True)
class Container:
    """A container; ``env`` and ``env_from`` stay as the API has them."""

    name: str
    image: str
    command: tuple[str, ...]
    args: tuple[str, ...]
    env: tuple[Json, ...]
    env_from: tuple[Json, ...]
    ports: tuple[Port, ...]
    mounts: tuple[Mount, ...]
    working_dir: str
    liveness: Probe | None
    readiness: Probe | None
    startup: Probe | None
    pre_stop: Action | None
    security: Security


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod bound to a node; ``volumes`` stay as the API has them."""

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    created: str
    service_account: str
    host_network: bool
    restart_policy: str
    grace_s: int
    priority: int
    readiness_gates: tuple[str, ...]
    init_containers: tuple[Container, ...]
    containers: tuple[Container, ...]
    volumes: tuple[Json, ...]
    phase: str
    deleted: bool
    deletion_grace_s: int

    @property
    def path(self) -> str:
        """Its path in the API."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    @property
    def critical(self) -> bool:
        """Whether a node that shuts down stops it last."""
        return self.priority >= SYSTEM_CRITICAL_PRIORITY

    @property
    def finished(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in ("Succeeded", "Failed")


def parse(pod: Json) -> Pod:
    """Read a Pod as the API has it; raise :class:`UnsupportedError` for what a lab can not do."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    context = spec.get("securityContext") or {}
    return Pod(
        uid=metadata["uid"],
        namespace=metadata["namespace"],
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        created=metadata["creationTimestamp"],
        service_account=spec.get("serviceAccountName") or "default",
        host_network=bool(spec.get("hostNetwork")),
        restart_policy=spec.get("restartPolicy") or "Always",
        grace_s=_or(spec.get("terminationGracePeriodSeconds"), DEFAULT_GRACE_S),
        priority=spec.get("priority") or 0,
        readiness_gates=tuple(gate["conditionType"] for gate in spec.get("readinessGates") or ()),
        init_containers=tuple(
            _container(container, context) for container in spec.get("initContainers") or ()
        ),
        containers=tuple(_container(container, context) for container in spec["containers"]),
        volumes=tuple(spec.get("volumes") or ()),
        phase=status.get("phase") or "Pending",
        deleted="deletionTimestamp" in metadata,
        deletion_grace_s=metadata.get("deletionGracePeriodSeconds") or 0,
    )


def _container(container: Json, pod_context: Json) -> Container:
    name = container["name"]
    if container.get("restartPolicy"):
        raise UnsupportedError(
            f"the init container {name!r} has a restartPolicy: a lab runs no sidecar containers"
        )
    lifecycle = container.get("lifecycle") or {}
    if "postStart" in lifecycle:
        raise UnsupportedError(f"the container {name!r} has a postStart hook: a lab runs none")
    ports = tuple(
        Port(port.get("name") or "", port["containerPort"], port.get("protocol") or "TCP")
        for port in container.get("ports") or ()
    )
    named = {port.name: port.number for port in ports}
    probes = {
        kind: _probe(name, kind, container.get(kind), named)
        for kind in ("livenessProbe", "readinessProbe", "startupProbe")
    }
    return Container(
        name=name,
        image=container["image"],
        command=tuple(container.get("command") or ()),
        args=tuple(container.get("args") or ()),
        env=tuple(container.get("env") or ()),
        env_from=tuple(container.get("envFrom") or ()),
        ports=ports,
        mounts=tuple(
            Mount(
                mount["name"],
                mount["mountPath"],
                mount.get("subPath") or "",
                bool(mount.get("readOnly")),
            )
            for mount in container.get("volumeMounts") or ()
        ),
        working_dir=container.get("workingDir") or "",
        liveness=probes["livenessProbe"],
        readiness=probes["readinessProbe"],
        startup=probes["startupProbe"],
        pre_stop=_action(f"the preStop hook of {name!r}", lifecycle.get("preStop"), named),
        security=_security(container.get("securityContext") or {}, pod_context),
    )


def _probe(container: str, kind: str, probe: Json | None, named: Mapping[str, int]) -> Probe | None:
    action = _action(f"the {kind} of {container!r}", probe, named)
    if probe is None or action is None:
        return None
    return Probe(
        action=action,
        initial_delay_s=probe.get("initialDelaySeconds") or 0,
        period_s=probe.get("periodSeconds") or 10,
        timeout_s=probe.get("timeoutSeconds") or 1,
        success_threshold=probe.get("successThreshold") or 1,
        failure_threshold=probe.get("failureThreshold") or 3,
        grace_s=probe.get("terminationGracePeriodSeconds"),
    )


def _action(whose: str, handler: Json | None, named: Mapping[str, int]) -> Action | None:
    if handler is None:
        return None
    if "exec" in handler:
        return Action("exec", command=tuple(handler["exec"]["command"]))
    if "sleep" in handler:
        return Action("sleep", seconds=handler["sleep"]["seconds"])
    if "tcpSocket" in handler:
        tcp = handler["tcpSocket"]
        return Action(
            "tcpSocket", host=tcp.get("host") or "", port=_port(whose, tcp["port"], named)
        )
    if "httpGet" in handler:
        http = handler["httpGet"]
        return Action(
            "httpGet",
            host=http.get("host") or "",
            port=_port(whose, http["port"], named),
            path=http.get("path") or "/",
            scheme=(http.get("scheme") or "HTTP").lower(),
            headers=tuple((h["name"], h["value"]) for h in http.get("httpHeaders") or ()),
        )
    raise UnsupportedError(f"{whose} is none of exec, httpGet, tcpSocket and sleep")


def _port(whose: str, port: int | str, named: Mapping[str, int]) -> int:
    if isinstance(port, int):
        return port
    if port in named:
        return named[port]
    raise UnsupportedError(f"{whose} asks the port {port!r}, which the container does not name")


def _security(own: Json, pods: Json) -> Security:
    capabilities = own.get("capabilities") or {}
    return Security(
        user=_or(own.get("runAsUser"), pods.get("runAsUser")),
        non_root=bool(_or(own.get("runAsNonRoot"), pods.get("runAsNonRoot"))),
        read_only_root=bool(own.get("readOnlyRootFilesystem")),
        drop=frozenset(capabilities.get("drop") or ()),
        add=frozenset(capabilities.get("add") or ()),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        privileged=bool(own.get("privileged")),
    )


def _or(value: Any, default: Any) -> Any:
    """Return the value, 0 and False included, or the default for one that is not there."""
    return default if value is None else value


def timestamp(moment: datetime) -> str:
    """Write a time as the API does, in UTC and whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
