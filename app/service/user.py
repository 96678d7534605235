# SPDX-License-Identifier: MIT
"""The user's Service, read once into a value that both sides decide from."""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from app import annotations, errors
from app.models import kubernetes
from app.service import record
from contract import child, names, pool

_VERSIONS: Final = {"IPv4": pool.IPV4, "IPv6": pool.IPV6}
REQUIRE_DUAL_STACK: Final = "RequireDualStack"
PREFER_DUAL_STACK: Final = "PreferDualStack"
_DIGEST: Final = "digest-"  # begins each sharing key that is not as the user wrote it
_DIGEST_BYTES: Final = 16  # so many that nobody writes two Services with the same one


@dataclasses.dataclass(frozen=True, slots=True)
class UserService:
    """A Service that carries our annotation or our label.

    `balancer` is the name as written, None without the annotation. `ask` is None where the
    annotations mean nothing; `invalid` then says what is wrong and what would be right. `created`
    is in seconds since the epoch. `listed` are the addresses in status.loadBalancer.ingress, and
    `strange` is what else stands there, such as a host name.
    `versions` are the wanted IP versions, the primary one first. Services of a namespace with the
    same `sharing_key` may share: it is the user's own, save that policy Local has its say.
    """

    namespace: str
    name: str
    uid: str
    created: float
    balancer: str | None
    ask: annotations.Ask | None
    invalid: str
    load_balancer: bool
    class_name: str | None
    versions: tuple[int, ...]
    family_policy: str
    ports: tuple[child.Port, ...]
    health_check_port: int | None
    sharing_key: str | None
    listed: tuple[pool.Address, ...]
    strange: tuple[str, ...]
    recorded: tuple[pool.Address, ...]
    terminating: bool

    @property
    def sockets(self) -> frozenset[tuple[str, int]]:
        """Protocol and number of each port."""
        return frozenset((port.protocol, port.port) for port in self.ports)

    @property
    def ours(self) -> bool:
        """Whether type and class leave the Service to us."""
        return self.load_balancer and self.class_name in {None, "", names.SERVICE_CLASS}

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def read(
    manifest: kubernetes.Service | kubernetes.ServiceWithHistory,
    keys: annotations.Keys,
) -> UserService:
    """Read a Service.

    Raises ObjectError when something is missing that every Service of an API server has. Bad
    annotations are no error here: they are the user's to correct, see `invalid`.
    """
    metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
    status: Mapping[str, Any] = manifest.get("status") or {}
    namespace, name, uid = identity(metadata)
    notes: Mapping[str, str] = metadata.get("annotations") or {}
    balancer = annotations.balancer_of(notes, keys)
    versions = _versions(spec)
    shown, strange = _ingress(status)
    ask, invalid = None, ""
    if balancer is not None:
        try:
            ask = annotations.ask(notes, keys)
            _check_families(ask, versions, notes, keys)
            _check_sharing(ask, spec, notes, keys)
        except annotations.AnnotationError as error:
            ask, invalid = None, str(error)
    return UserService(
        namespace=namespace,
        name=name,
        uid=uid,
        created=timestamp(metadata),
        balancer=balancer,
        ask=ask,
        invalid=invalid,
        load_balancer=spec.get("type") == "LoadBalancer",
        class_name=spec.get("loadBalancerClass"),
        versions=versions,
        family_policy=spec.get("ipFamilyPolicy", "SingleStack"),
        ports=_ports(spec),
        health_check_port=_health_check_port(spec),
        sharing_key=_sharing_key(ask.sharing_key, spec) if ask is not None else None,
        listed=shown,
        strange=strange,
        recorded=record.addresses(status.get("conditions") or ()),
        terminating=bool(metadata.get("deletionTimestamp")),
    )


def identity(metadata: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return namespace, name and UID. Raises ObjectError when one is missing."""
    for field in ("namespace", "name", "uid"):
        if not metadata.get(field):
            raise errors.ObjectError(f"metadata.{field} is missing: every Service has one")
    return metadata["namespace"], metadata["name"], metadata["uid"]


def timestamp(metadata: Mapping[str, Any]) -> float:
    """Return creationTimestamp in seconds since the epoch. Raises ObjectError."""
    value = metadata.get("creationTimestamp")
    try:
        return moment(value)
    except (TypeError, ValueError):
        raise errors.ObjectError(
            f"metadata.creationTimestamp of {metadata.get('name')} is {errors.shown(value)}: "
            "want a time like 2026-01-31T12:00:00Z"
        ) from None


def moment(text: Any) -> float:
    """Return an RFC 3339 time in seconds since the epoch. Raises ValueError or TypeError."""
    parsed = dt.datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        raise ValueError("a time without its zone")
    return parsed.timestamp()


def _ingress(status: Mapping[str, Any]) -> tuple[tuple[pool.Address, ...], tuple[str, ...]]:
    """Return the addresses that status.loadBalancer.ingress lists, in its order, and the rest."""
    load_balancer = status.get("loadBalancer")
    ingress = load_balancer.get("ingress") if isinstance(load_balancer, Mapping) else None
    addresses: list[pool.Address] = []
    strange: list[str] = []
    for entry in ingress if isinstance(ingress, list) else ():
        try:
            addresses.append(pool.parse_address(entry["ip"]))
        except (KeyError, TypeError, ValueError):
            name = entry.get("hostname") if isinstance(entry, Mapping) else None
            strange.append(errors.shown(name or entry))
    return tuple(addresses), tuple(strange)


def _versions(spec: Mapping[str, Any]) -> tuple[int, ...]:
    families = spec.get("ipFamilies") or ["IPv4"]
    try:
        return tuple(dict.fromkeys(_VERSIONS[family] for family in families))
    except (KeyError, TypeError):
        raise errors.ObjectError(
            f"spec.ipFamilies is {errors.shown(families)}: want a list of IPv4 and IPv6"
        ) from None


def _ports(spec: Mapping[str, Any]) -> tuple[child.Port, ...]:
    try:
        return tuple(
            child.Port(
                port=entry["port"],
                protocol=entry.get("protocol", "TCP"),
                name=entry.get("name", ""),
            )
            for entry in spec.get("ports") or ()
        )
    except (AttributeError, KeyError, TypeError):
        raise errors.ObjectError(
            f"spec.ports is {errors.shown(spec.get('ports'))}: want a list of ports"
        ) from None


def _health_check_port(spec: Mapping[str, Any]) -> int | None:
    if spec.get("externalTrafficPolicy") != "Local":
        return None
    return spec.get("healthCheckNodePort") or None


def _sharing_key(asked: str | None, spec: Mapping[str, Any]) -> str | None:
    """Return the key under which an address may really be shared, None for not at all.

    One node forwards for all that share. With policy Local it does so only where it has Pods, so
    these have to be the same for all; whose Pods no selector names, nobody knows.
    """
    if asked is None:
        return None
    if spec.get("externalTrafficPolicy") == "Local":
        selector = spec.get("selector")
        return _digest(asked, selector) if selector else None
    return _digest(asked) if asked.startswith(_DIGEST) else asked


def _digest(*parts: Any) -> str:
    """Return a key that no user's own is, in the letters and length that policies take for one."""
    text = json.dumps(parts, sort_keys=True).encode()
    return _DIGEST + hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()


def _check_sharing(
    ask: annotations.Ask,
    spec: Mapping[str, Any],
    notes: Mapping[str, str],
    keys: annotations.Keys,
) -> None:
    count = len(spec.get("ports") or ())
    if ask.sharing_key is not None and count > names.MAX_SHARING_PORTS:
        raise annotations.AnnotationError(
            f"annotation {annotations.written(notes, keys.sharing_key)} is set, but the Service "
            f"has {count} ports: one that shares may have {names.MAX_SHARING_PORTS}; remove the "
            "annotation, or make two of it"
        )


def _check_families(
    ask: annotations.Ask,
    versions: tuple[int, ...],
    notes: Mapping[str, str],
    keys: annotations.Keys,
) -> None:
    key = annotations.written(notes, keys.addresses)
    for address in ask.addresses:
        if address.version not in versions:
            wanted = " and ".join(f"IPv{version}" for version in versions)
            raise annotations.AnnotationError(
                f"annotation {key} names {address}, but the Service's ipFamilies are "
                f"{wanted}: name addresses of these, or add the family to the Service"
            )
    for version in versions:
        named = sum(address.version == version for address in ask.addresses)
        if isinstance(ask.ip_count, int) and named > ask.ip_count:
            raise annotations.AnnotationError(
                f"annotation {key} names {named} IPv{version} addresses, but "
                f"{annotations.written(notes, keys.ip_count)} asks for {ask.ip_count}: raise the "
                "count or name fewer"
            )
