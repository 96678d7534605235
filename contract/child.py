# SPDX-License-Identifier: MIT
"""The child Service: one address of one user's Service, and the nodes that may announce it.

The webhook encodes, the speakers decode. Both roll at the same time in an upgrade, so additions
are ignored by older readers, and a changed meaning ships first as readable, one release later
as written; `CONTRACT_VERSION` rises then.
"""

import dataclasses
import datetime as dt
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from contract import durations, errors, names, pool

DEFAULT_FAILBACK_DELAY_S: Final = 30.0
_MAX_NAME: Final = 63  # RFC 1035 label, as Kubernetes wants of a Service's name
_MAX_PORT: Final = 65535
_MAX_PORTS: Final = 16  # of a child; a Service may have thousands, and every speaker reads it
_SOCKET: Final = re.compile(r"(TCP|UDP|SCTP)/([1-9][0-9]{0,4})")
MAX_LIST_VERSION: Final = 2**32 - 1  # docs/protocol.md: a claim has four bytes for it
MAX_PLANNED: Final = 10_000  # siblings: two families over 5,000 nodes, the most that a cluster has
_MAX_NUMBER: Final = 10**18 - 1  # fits 64 bits; Python itself refuses to read thousands of digits


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Port:
    """A port of the user's Service, there to be read: nothing serves a child's ports."""

    port: int
    protocol: str = "TCP"
    name: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Sharing:
    """The key under which the address may be shared, and the Service's ports of it.

    `ports` are protocol, in capitals, and number. Of a Service that is missing this is all that
    tells what its address has room for.
    """

    key: str
    ports: frozenset[tuple[str, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class Child:
    """What a child Service says.

    `nodes` is ordered: the preferred node, then the stand-ins. `planned` is how many siblings
    there will be. `failback_delay_s` is infinite for `never`. `interfaces` are shell patterns;
    none means that the speaker chooses. `release_after` is set while the Service is missing and
    its address is about to be given up.
    """

    namespace: str
    name: str
    service: str
    service_uid: str
    balancer: str
    address: pool.Address
    nodes: tuple[str, ...]
    list_version: int
    ports: tuple[Port, ...]
    planned: int
    health_check_port: int | None = None
    sharing: Sharing | None = None
    interfaces: tuple[str, ...] = ()
    failback_delay_s: float = DEFAULT_FAILBACK_DELAY_S
    release_after: dt.datetime | None = None


def child_name(service: str, ordinal: int) -> str:
    """Return `<service>-l2-<ordinal>`, shortened with a hash of the Service's name when over 63."""
    suffix = f"-l2-{ordinal}"
    if len(service) + len(suffix) <= _MAX_NAME:
        return service + suffix
    digest = hashlib.blake2b(service.encode(), digest_size=4).hexdigest()
    return f"{service[: _MAX_NAME - len(suffix) - len(digest) - 1]}-{digest}{suffix}"


def shown_ports(ports: Iterable[Port]) -> tuple[Port, ...]:
    """Return the ports of a Service that a child shows: the first, one entry a number.

    Metacontroller's apply would merge TCP and UDP on one number.
    """
    first: dict[int, Port] = {}
    for port in ports:
        if len(first) == _MAX_PORTS:
            break
        first.setdefault(port.port, port)
    return tuple(first.values())


def encode(child: Child) -> dict[str, Any]:
    """Return the manifest."""
    annotations = {
        names.CHILD_ADDRESS: str(child.address),
        names.CHILD_CONTRACT: str(names.CONTRACT_VERSION),
        names.CHILD_FAILBACK_DELAY: durations.format_duration(child.failback_delay_s),
        names.CHILD_LIST_VERSION: str(child.list_version),
        names.CHILD_NODES: ",".join(child.nodes),
        names.CHILD_PLANNED: str(child.planned),
        names.CHILD_SERVICE: child.service,
    }
    if child.health_check_port is not None:
        annotations[names.CHILD_HEALTH_CHECK_PORT] = str(child.health_check_port)
    if child.sharing is not None:
        annotations[names.CHILD_SHARING_KEY] = child.sharing.key
        annotations[names.CHILD_SHARING_PORTS] = ",".join(
            f"{protocol}/{number}" for protocol, number in sorted(child.sharing.ports)
        )
    if child.interfaces:
        annotations[names.CHILD_INTERFACES] = ",".join(child.interfaces)
    if child.release_after is not None:
        annotations[names.CHILD_RELEASE_AFTER] = child.release_after.isoformat()
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "annotations": annotations,
            "labels": {
                names.CHILD_BALANCER: child.balancer,
                names.CHILD_SERVICE_UID: child.service_uid,
                names.PROXY_NAME_LABEL: names.PROXY_NAME,
            },
            "name": child.name,
            "namespace": child.namespace,
        },
        "spec": {
            "allocateLoadBalancerNodePorts": False,
            "externalTrafficPolicy": "Cluster",
            "ipFamilies": [f"IPv{child.address.version}"],
            "ipFamilyPolicy": "SingleStack",
            "loadBalancerClass": names.CHILD_CLASS,
            "ports": [_encode_port(port) for port in child.ports],
            "type": "LoadBalancer",
        },
    }


def decode(manifest: Mapping[str, Any]) -> Child:
    """Read a child Service; what it does not know it ignores.

    Raises ContractError naming the object, the key and the value.
    """
    fields = _Fields(manifest)
    contract = fields.integer(names.CHILD_CONTRACT)
    if contract > names.CONTRACT_VERSION:
        raise errors.ContractError(
            f"{fields.where} is written in contract {contract}, this program reads up to "
            f"{names.CONTRACT_VERSION}: upgrade it"
        )
    nodes = fields.listed(names.CHILD_NODES)
    if len(set(nodes)) != len(nodes) or len(nodes) > names.MAX_LISTED_NODES:
        raise fields.error(
            names.CHILD_NODES, f"want at most {names.MAX_LISTED_NODES} nodes, each once"
        )
    return Child(
        namespace=fields.namespace,
        name=fields.name,
        service=fields.text(names.CHILD_SERVICE),
        service_uid=fields.label(names.CHILD_SERVICE_UID),
        balancer=fields.label(names.CHILD_BALANCER),
        address=fields.address(names.CHILD_ADDRESS),
        nodes=nodes,
        list_version=fields.integer(names.CHILD_LIST_VERSION, most=MAX_LIST_VERSION),
        ports=fields.ports(),
        planned=fields.integer(names.CHILD_PLANNED, most=MAX_PLANNED),
        health_check_port=fields.health_check_port(),
        sharing=fields.sharing(),
        interfaces=fields.listed(names.CHILD_INTERFACES),
        failback_delay_s=fields.failback_delay_s(),
        release_after=fields.release_after(),
    )


def _encode_port(port: Port) -> dict[str, Any]:
    entry: dict[str, Any] = {"port": port.port, "protocol": port.protocol}
    if port.name:
        entry["name"] = port.name
    return entry


class _Fields:
    """One manifest's metadata, read with errors that say where."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        metadata = manifest.get("metadata") or {}
        self.namespace = str(metadata.get("namespace", ""))
        self.name = str(metadata.get("name", ""))
        self.where = f"child Service {self.namespace}/{self.name}"
        self._annotations: Mapping[str, Any] = metadata.get("annotations") or {}
        self._labels: Mapping[str, Any] = metadata.get("labels") or {}
        self._ports = (manifest.get("spec") or {}).get("ports") or []

    def error(self, key: str, want: str) -> errors.ContractError:
        value = self._annotations.get(key)
        return errors.ContractError(f"{self.where}: annotation {key} is {value!r}: {want}")

    def text(self, key: str) -> str:
        value = self._annotations.get(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, "want a text that is not empty")
        return value

    def label(self, key: str) -> str:
        value = self._labels.get(key)
        if not isinstance(value, str) or not value:
            raise errors.ContractError(f"{self.where}: label {key} is {value!r}: want a name")
        return value

    def listed(self, key: str) -> tuple[str, ...]:
        value = self._annotations.get(key, "")
        if not isinstance(value, str):
            raise self.error(key, "want a list separated by commas")
        return tuple(part for part in value.split(",") if part)

    def integer(self, key: str, *, most: int = _MAX_NUMBER) -> int:
        value = self.text(key)
        is_number = value.isascii() and value.isdigit() and len(value) <= len(str(_MAX_NUMBER))
        if not is_number or not 1 <= int(value) <= most:
            raise self.error(key, f"want a whole number of 1 to {most}")
        return int(value)

    def address(self, key: str) -> pool.Address:
        try:
            return pool.parse_address(self.text(key))
        except ValueError:
            raise self.error(key, "want one IPv4 or IPv6 address, without a zone") from None

    def health_check_port(self) -> int | None:
        key = names.CHILD_HEALTH_CHECK_PORT
        if key not in self._annotations:
            return None
        return self.integer(key, most=_MAX_PORT)

    def sharing(self) -> Sharing | None:
        if names.CHILD_SHARING_KEY not in self._annotations:
            return None
        sockets = set()
        for text in self.listed(names.CHILD_SHARING_PORTS):
            match = _SOCKET.fullmatch(text)
            if match is None or int(match[2]) > _MAX_PORT:
                raise self.error(names.CHILD_SHARING_PORTS, "want it like TCP/53,UDP/53")
            sockets.add((match[1], int(match[2])))
        return Sharing(self.text(names.CHILD_SHARING_KEY), frozenset(sockets))

    def failback_delay_s(self) -> float:
        key = names.CHILD_FAILBACK_DELAY
        if key not in self._annotations:
            return DEFAULT_FAILBACK_DELAY_S
        try:
            return durations.parse_duration(self.text(key))
        except errors.ContractError as error:
            raise self.error(key, str(error)) from None

    def release_after(self) -> dt.datetime | None:
        key = names.CHILD_RELEASE_AFTER
        if key not in self._annotations:
            return None
        try:
            moment = dt.datetime.fromisoformat(self.text(key))
        except ValueError:
            raise self.error(key, "want a time like 2026-01-31T12:00:00+00:00") from None
        if moment.tzinfo is None:
            raise self.error(key, "want a time with its zone, like 2026-01-31T12:00:00+00:00")
        return moment

    def ports(self) -> tuple[Port, ...]:
        try:
            return tuple(
                Port(
                    port=int(entry["port"]),
                    protocol=str(entry.get("protocol", "TCP")),
                    name=str(entry.get("name", "")),
                )
                for entry in self._ports
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            raise errors.ContractError(
                f"{self.where}: spec.ports is {self._ports!r}: want a list of ports"
            ) from None
