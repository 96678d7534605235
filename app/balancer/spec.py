# SPDX-License-Identifier: MIT
"""The L2LoadBalancer, read once into a value."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final

from app import errors
from app.models import kubernetes
from app.placement import model
from app.service import user
from contract import child, durations, names, pool

_DEFAULT_FAILBACK_DELAY: Final = durations.format_duration(child.DEFAULT_FAILBACK_DELAY_S)


@dataclasses.dataclass(frozen=True, slots=True)
class Balancer:
    """What an administrator wants, and what the balancer's status remembers.

    `addresses` is None where the entries mean nothing; `pool_error` then says what is wrong.
    `created` is in seconds since the epoch. `namespaces`
    is None where all are allowed. `quarantined` holds while the spec stays as it is. At the
    last sync there were `node_count` member nodes, 0 where the status does not tell; `known` are
    the nodes that it names, with the addresses that each was to prefer.
    """

    name: str
    uid: str
    created: float
    generation: int
    addresses: pool.Pool | None
    pool_error: str
    node_selector: Mapping[str, str]
    ip_count: int | model.Auto
    interfaces: tuple[str, ...]
    namespaces: frozenset[str] | None
    ignore_exclude_label: bool
    failback_delay_s: float
    quarantined: frozenset[pool.Address]
    node_count: int
    known: Mapping[str, int]
    conditions: tuple[Mapping[str, Any], ...]

    @property
    def age_order(self) -> tuple[float, str, str]:
        """Older first: what decides between balancers that want the same address."""
        return self.created, self.name, self.uid


def read(manifest: kubernetes.Balancer) -> Balancer:
    """Read an L2LoadBalancer. Raises ObjectError for what the CRD's schema never lets in."""
    metadata, spec = manifest.get("metadata") or {}, manifest.get("spec") or {}
    status = manifest.get("status") or {}
    for field in ("name", "uid"):
        if not metadata.get(field):
            raise errors.ObjectError(f"metadata.{field} is missing: every object has one")
    for needed in ("addressPool", "nodeSelector"):
        if not spec.get(needed):
            raise errors.ObjectError(f"spec.{needed} is missing or empty: the schema requires it")
    generation = metadata.get("generation", 1)
    try:
        addresses, pool_error = _pool(spec), ""
    except pool.PoolError as error:
        addresses, pool_error = None, str(error)
    return Balancer(
        name=metadata["name"],
        uid=metadata["uid"],
        created=user.timestamp(metadata),
        generation=generation,
        addresses=addresses,
        pool_error=pool_error,
        node_selector=spec["nodeSelector"],
        ip_count=_ip_count(spec.get("ipCount", names.AUTO)),
        interfaces=tuple(spec.get("interfaces") or ()),
        namespaces=frozenset(spec["namespaces"] or ()) if spec.get("namespaces") else None,
        ignore_exclude_label=spec.get("ignoreExcludeLabel", False),
        failback_delay_s=_failback_delay_s(spec),
        quarantined=(
            _addresses(status.get("quarantined") or ())
            if status.get("observedGeneration") == generation
            else frozenset()
        ),
        node_count=status.get("nodeCount", 0),
        known={
            one["name"]: one.get("preferred", 0)
            for one in status.get("nodes") or ()
            if "name" in one
        },
        conditions=tuple(status.get("conditions") or ()),
    )


def _pool(spec: kubernetes.BalancerSpec) -> pool.Pool:
    return pool.Pool.parse(spec["addressPool"], avoid_buggy=spec.get("avoidBuggyIPs", False))


def _ip_count(value: int | str) -> int | model.Auto:
    if value == names.AUTO:
        return model.AUTO
    if isinstance(value, int) and 1 <= value <= names.MAX_IP_COUNT:
        return value
    raise errors.ObjectError(
        f"spec.ipCount is {value!r}: want a number from 1 to {names.MAX_IP_COUNT}, or auto"
    )


def _failback_delay_s(spec: kubernetes.BalancerSpec) -> float:
    try:
        return durations.parse_duration(spec.get("failbackDelay", _DEFAULT_FAILBACK_DELAY))
    except ValueError as error:
        raise errors.ObjectError(f"spec.failbackDelay: {error}") from None


def _addresses(texts: Iterable[str]) -> frozenset[pool.Address]:
    addresses = set()
    for text in texts:
        try:
            addresses.add(pool.parse_address(text))
        except ValueError:
            continue  # the status is ours; what else stands there counts for nothing
    return frozenset(addresses)
