# SPDX-License-Identifier: MIT
"""The cluster as this speaker knows it: children, balancers' pools and its own Node. Pure.

What cannot be read is left out with a complaint and never stands in another object's way.
"""

import contextlib
import dataclasses
import datetime as dt
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

from contract import announcement, child, errors, names, pool
from speaker.cluster import api, watch

CHILDREN: Final = api.Resource(
    "child Services",
    "/api/v1/services",
    {"labelSelector": f"{names.PROXY_NAME_LABEL}={names.PROXY_NAME}"},
)
_ADDRESSES: Final = 10_000  # whose being allowed is remembered
_MAX_CREATED: Final = 2**32 - 1  # docs/protocol.md: a claim has four bytes for it, enough to 2106

Told = tuple[child.Child, int, bool]
"""A child, when it was created, and whether its address was ever announced."""

BALANCERS: Final = api.Resource(
    "L2LoadBalancers", f"/apis/{names.GROUP}/{names.VERSION}/{names.PLURAL}"
)


def own_node(name: str) -> api.Resource:
    """Return the resource that is only the node of this name."""
    return api.Resource("own Node", "/api/v1/nodes", {"fieldSelector": f"metadata.name={name}"})


@dataclasses.dataclass(frozen=True, slots=True)
class KnownChild:
    """A child Service and what the election needs beside; `created` in whole seconds since 1970."""

    child: child.Child
    created: int
    version: str
    status: Mapping[str, Any]
    announced: announcement.Announcement | None

    @property
    def key(self) -> watch.Key:
        """Its namespace and name."""
        return self.child.namespace, self.child.name

    @property
    def ever_announced(self) -> bool:
        """Whether the status says that one of us announces the address, or once did."""
        return announcement.ever_announced(self.status, address=self.child.address)

    @property
    def told(self) -> Told:
        """What the election is told of; the rest of a status is not."""
        return self.child, self.created, self.ever_announced


@dataclasses.dataclass(frozen=True, slots=True)
class Balancer:
    """What matters here of an L2LoadBalancer."""

    name: str
    entries: tuple[str, ...]
    pool: pool.Pool
    ignores_exclude_label: bool


@dataclasses.dataclass(frozen=True, slots=True)
class OwnNode:
    """What the cluster says of this node; `ready` is None while it does not know.

    `address` is its first InternalIP, at which a service proxy answers that binds node addresses.
    """

    ready: bool | None
    network_unavailable: bool
    cordoned: bool
    excluded: bool
    address: pool.Address | None = None


class Children:
    """All child Services by key."""

    def __init__(self) -> None:
        self.complete = False
        self.by_key: dict[watch.Key, KnownChild] = {}
        self.complaints: dict[watch.Key, str] = {}

    def apply(self, event: watch.Event) -> bool:
        """Take an event in; True when it changes what the election is told, or a complaint."""
        if isinstance(event, watch.Snapshot):
            before = {key: known.told for key, known in self.by_key.items()}
            complained = dict(self.complaints)
            was_complete, self.complete = self.complete, True
            for key in self.by_key.keys() - event.objects.keys():
                del self.by_key[key]
            self.complaints.clear()
            for key, manifest in event.objects.items():
                self._read(key, manifest)
            now = {key: known.told for key, known in self.by_key.items()}
            return (True, complained, before) != (was_complete, self.complaints, now)
        before_it = self._of(event.key)
        if isinstance(event, watch.Deleted):
            self.complaints.pop(event.key, None)
            self.by_key.pop(event.key, None)
        else:
            self._read(event.key, event.manifest)
        return self._of(event.key) != before_it

    def _of(self, key: watch.Key) -> tuple[Told | None, str | None]:
        known = self.by_key.get(key)
        return None if known is None else known.told, self.complaints.get(key)

    def _read(self, key: watch.Key, manifest: api.Manifest) -> None:
        old = self.by_key.get(key)
        if old is not None and old.version == manifest["metadata"].get("resourceVersion"):
            return  # listed anew, and still the same
        try:
            known = read_child(manifest)
        except errors.ContractError as error:
            self.by_key.pop(key, None)
            self.complaints[key] = str(error)
        else:
            self.by_key[key] = known
            self.complaints.pop(key, None)


class Balancers:
    """All L2LoadBalancers by name."""

    def __init__(self) -> None:
        self.complete = False
        self.by_name: dict[str, Balancer] = {}
        self.complaints: dict[str, str] = {}
        self._allowed: dict[pool.Address, bool] = {}

    def apply(self, event: watch.Event) -> bool:
        """Take an event in; True when something changed."""
        before = (self.complete, dict(self.by_name), dict(self.complaints))
        self._allowed.clear()
        if isinstance(event, watch.Snapshot):
            self.complete = True
            for name in self.by_name.keys() - {name for _, name in event.objects}:
                del self.by_name[name]
            self.complaints.clear()
            for (_, name), manifest in event.objects.items():
                self._read(name, manifest)
        elif isinstance(event, watch.Deleted):
            self.by_name.pop(event.key[1], None)
            self.complaints.pop(event.key[1], None)
        else:
            self._read(event.key[1], event.manifest)
        return before != (self.complete, self.by_name, self.complaints)

    def allow(self, one: child.Child) -> bool:
        """Whether the child's balancer exists, and some balancer's pool holds its address.

        It need not be the same one's: an address whose pool is split moves with its child.
        """
        return self.has(one.balancer) and self._in_a_pool(one.address)

    def has(self, name: str) -> bool:
        """Whether there is a balancer of this name, be it one that cannot be read."""
        return name in self.by_name or name in self.complaints

    def _in_a_pool(self, address: pool.Address) -> bool:
        allowed = self._allowed.get(address)
        if allowed is None:
            if len(self._allowed) >= _ADDRESSES:
                self._allowed.clear()
            allowed = any(address in balancer.pool for balancer in self.by_name.values())
            self._allowed[address] = allowed
        return allowed

    def _read(self, name: str, manifest: api.Manifest) -> None:
        try:
            self.by_name[name] = read_balancer(manifest)
            self.complaints.pop(name, None)
        except errors.ContractError as error:
            # The pool that was valid before keeps its addresses up while it is being repaired.
            self.complaints[name] = f"L2LoadBalancer {name}: {error}"


def read_child(manifest: api.Manifest) -> KnownChild:
    """Read a child; raises ContractError."""
    decoded = child.decode(manifest)
    metadata = manifest["metadata"]
    try:
        created = int(dt.datetime.fromisoformat(metadata["creationTimestamp"]).timestamp())
    except (KeyError, TypeError, ValueError):
        raise errors.ContractError(
            f"child Service {decoded.namespace}/{decoded.name}: metadata.creationTimestamp is "
            f"{metadata.get('creationTimestamp')!r}: want a time"
        ) from None
    if not 0 <= created <= _MAX_CREATED:
        raise errors.ContractError(
            f"child Service {decoded.namespace}/{decoded.name}: metadata.creationTimestamp is "
            f"{metadata['creationTimestamp']!r}: want a time from 1970 to 2106"
        )
    return KnownChild(
        child=decoded,
        created=created,
        version=str(metadata.get("resourceVersion", "")),
        status=manifest.get("status") or {},
        announced=announcement.decode_status(manifest, address=decoded.address),
    )


def read_balancer(manifest: api.Manifest) -> Balancer:
    """Read a balancer; raises ContractError."""
    spec = manifest.get("spec") or {}
    entries = spec.get("addressPool")
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise errors.ContractError(f"spec.addressPool is {entries!r}: want a list of texts")
    return Balancer(
        name=manifest["metadata"]["name"],
        entries=tuple(entries),
        pool=pool.Pool.parse(entries),
        ignores_exclude_label=spec.get("ignoreExcludeLabel") is True,
    )


def read_node(manifest: api.Manifest) -> OwnNode:
    """Read a Node; a condition that is Unknown is no information."""
    metadata = manifest.get("metadata") or {}
    said = manifest.get("status") or {}
    status = {
        condition.get("type"): condition.get("status") for condition in said.get("conditions") or []
    }
    return OwnNode(
        ready={"True": True, "False": False}.get(status.get("Ready", "")),
        network_unavailable=status.get("NetworkUnavailable") == "True",
        cordoned=(manifest.get("spec") or {}).get("unschedulable") is True,
        excluded=names.EXCLUDE_LABEL in (metadata.get("labels") or {}),
        address=_internal_ip(said.get("addresses") or []),
    )


def child_manifest(known: KnownChild) -> api.Manifest:
    """Return a manifest from which `read_child` reads the same, for the cache."""
    manifest = child.encode(known.child)
    created = dt.datetime.fromtimestamp(known.created, dt.UTC).isoformat()
    manifest["metadata"] |= {"creationTimestamp": created, "resourceVersion": known.version}
    return {**manifest, "status": known.status}


def balancer_manifest(balancer: Balancer) -> api.Manifest:
    """Return a manifest from which `read_balancer` reads the same, for the cache."""
    return {
        "metadata": {"name": balancer.name},
        "spec": {
            "addressPool": list(balancer.entries),
            "ignoreExcludeLabel": balancer.ignores_exclude_label,
        },
    }


def node_manifest(node: OwnNode) -> api.Manifest:
    """Return a manifest from which `read_node` reads the same, for the cache."""
    ready = {True: "True", False: "False", None: "Unknown"}[node.ready]
    address = [] if node.address is None else [{"type": "InternalIP", "address": str(node.address)}]
    return {
        "metadata": {"name": "", "labels": {names.EXCLUDE_LABEL: ""} if node.excluded else {}},
        "spec": {"unschedulable": node.cordoned},
        "status": {
            "conditions": [
                {"type": "Ready", "status": ready},
                {"type": "NetworkUnavailable", "status": str(node.network_unavailable)},
            ],
            "addresses": address,
        },
    }


def _internal_ip(addresses: Iterable[Mapping[str, Any]]) -> pool.Address | None:
    for entry in addresses:
        if entry.get("type") == "InternalIP":
            with contextlib.suppress(ValueError):
                return ipaddress.ip_address(entry.get("address", ""))
    return None
