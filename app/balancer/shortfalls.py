# SPDX-License-Identifier: MIT
"""Why a Service has fewer addresses than it asks for, as a word and a sentence."""

import functools
from collections.abc import Mapping

from app import conditions
from app.balancer import picture, spec
from app.conditions import Verdict
from app.placement import model
from app.service import user
from contract import names, pool
from contract.names import AssignedReason


def not_allowed(namespace: str, balancer: spec.Balancer) -> Verdict:
    """Say that the balancer is not for this namespace."""
    allowed = conditions.some(sorted(balancer.namespaces or ()))
    return Verdict(
        holds=False,
        reason=AssignedReason.NAMESPACE_NOT_ALLOWED,
        message=(
            f"balancer {balancer.name} serves the namespaces {allowed} only: ask its administrator "
            f"to add {namespace} to spec.namespaces, or use another balancer"
        ),
    )


def invalid(service: user.UserService) -> Verdict:
    """Say that a Service's annotations mean nothing."""
    return _no(AssignedReason.INVALID_ANNOTATION, service.invalid)


def verdict(
    outcome: model.Outcome, seen: picture.Picture, *, absent: Verdict | None = None
) -> Verdict | None:
    """Say why an outcome falls short, or does not come true (`absent`); None when all is well.

    The first shortfall gives the reason; the message names the first few, and what is absent.
    """
    spoken = [_spoken(shortfall, seen) for shortfall in outcome.shortfalls]
    if not spoken:
        return absent
    message = conditions.told(list(dict.fromkeys(one.message for one in spoken)))
    if absent is not None:
        message = f"{message}; {absent.message}"
    return Verdict(holds=False, reason=spoken[0].reason, message=message)


def no_nodes(excluded: Mapping[str, picture.Exclusion], balancer: spec.Balancer) -> str:
    """Say why a balancer has no member node, and what would give it one."""
    labels = " ".join(f"{key}={value}" for key, value in sorted(balancer.node_selector.items()))
    label_one = f"'kubectl label node NAME {labels}'"
    if not excluded:
        return (
            f"no node matches the nodeSelector of balancer {balancer.name}: label one with "
            f"{label_one}"
        )
    why = "; ".join(
        f"{len(nodes)} {exclusion}: {conditions.some(nodes)}"
        for exclusion in picture.Exclusion
        if (nodes := sorted(name for name, kind in excluded.items() if kind is exclusion))
    )
    remedy = (
        f"remove the label {names.EXCLUDE_LABEL} or set spec.ignoreExcludeLabel"
        if picture.Exclusion.LABELLED in excluded.values()
        else f"label another with {label_one}"
    )
    return (
        f"each of the {len(excluded)} nodes that match the nodeSelector of balancer "
        f"{balancer.name} is excluded ({why}): {remedy}"
    )


@functools.singledispatch
def _spoken(shortfall: model.Shortfall, seen: picture.Picture) -> Verdict:
    raise TypeError(f"{shortfall!r}, for {seen.balancer.name}, is no shortfall known here")


def _no(reason: AssignedReason, message: str) -> Verdict:
    return Verdict(holds=False, reason=reason, message=message)


def _unreadable(seen: picture.Picture) -> str:
    """Say why nothing new is given while a pool cannot be read; empty when all can."""
    balancer = seen.balancer
    if balancer.addresses is None:
        return (
            f"the pool of balancer {balancer.name} is not valid until it is mended "
            f"({balancer.pool_error})"
        )
    if seen.unknown:
        older = min(seen.unknown)
        return f"what the older balancer {older} owns is not known until its pool is mended"
    return ""


@_spoken.register
def _(shortfall: model.PoolExhausted, seen: picture.Picture) -> Verdict:
    balancer = seen.balancer
    addresses = "address" if shortfall.missing == 1 else "addresses"
    missing = f"{shortfall.missing} IPv{shortfall.version} {addresses} missing, since "
    if unreadable := _unreadable(seen):
        return _no(AssignedReason.POOL_EXHAUSTED, missing + unreadable)
    if balancer.addresses is not None and balancer.addresses.size(shortfall.version):
        why = f"no IPv{shortfall.version} address of balancer {balancer.name} is free"
    else:
        why = f"the pool of balancer {balancer.name} has no IPv{shortfall.version} addresses"
    return _no(
        AssignedReason.POOL_EXHAUSTED,
        f"{missing}{why}: extend spec.addressPool or lower the count; an address that comes free "
        "is given at once",
    )


@_spoken.register
def _(shortfall: model.NotInPool, seen: picture.Picture) -> Verdict:
    if unreadable := _unreadable(seen):
        return _no(
            AssignedReason.ADDRESS_NOT_IN_POOL,
            f"address {shortfall.address} is not given, since {unreadable}",
        )
    return _no(AssignedReason.ADDRESS_NOT_IN_POOL, _not_in_pool(shortfall.address, seen))


def _not_in_pool(address: pool.Address, seen: picture.Picture) -> str:
    """Say why a balancer does not give an address, and what would make it do so."""
    balancer = seen.balancer
    if balancer.addresses is not None and address in balancer.addresses:
        for older, owned in seen.older.items():
            if address in owned:
                return (
                    f"address {address} belongs to the older balancer {older}: name another, use "
                    f"that balancer, or take the address out of its spec.addressPool"
                )
    if balancer.addresses is not None and balancer.addresses.leaves_out(address):
        return (
            f"address {address} ends in .0 or .255, which spec.avoidBuggyIPs of balancer "
            f"{balancer.name} leaves out: name another, or set that to false"
        )
    return (
        f"address {address} is not one of balancer {balancer.name}: name another, or add it to "
        "spec.addressPool"
    )


@_spoken.register
def _(shortfall: model.Taken, seen: picture.Picture) -> Verdict:
    del seen
    return _no(
        AssignedReason.ADDRESS_TAKEN,
        f"address {shortfall.address} belongs to Service {'/'.join(shortfall.by)}: name another, "
        "or share it by one sharing key in one namespace, with ports that differ and "
        "externalTrafficPolicy Cluster, or Local and one selector",
    )


@_spoken.register
def _(shortfall: model.BeyondCount, seen: picture.Picture) -> Verdict:
    del seen
    return _no(
        AssignedReason.INVALID_ANNOTATION,
        f"address {shortfall.address} is one more than the {shortfall.count} that the Service gets "
        "of its family: raise the count or name fewer",
    )


@_spoken.register
def _(shortfall: model.OneFamilyOnly, seen: picture.Picture) -> Verdict:
    if unreadable := _unreadable(seen):
        return _no(
            AssignedReason.POOL_EXHAUSTED,
            f"no IPv{shortfall.version} address is given, and RequireDualStack takes both families "
            f"or none, since {unreadable}",
        )
    return _no(
        AssignedReason.POOL_EXHAUSTED,
        f"balancer {seen.balancer.name} has no free IPv{shortfall.version} address and "
        "RequireDualStack takes both families or none: extend spec.addressPool, or set "
        "ipFamilyPolicy to PreferDualStack",
    )


@_spoken.register
def _(shortfall: model.NoNodes, seen: picture.Picture) -> Verdict:
    del shortfall
    return _no(AssignedReason.NO_NODES, no_nodes(seen.excluded, seen.balancer))
