# SPDX-License-Identifier: MIT
"""Services, and children whose Service cannot be asked, as the wishes that placement answers."""

import dataclasses
from collections.abc import Iterable, Sequence

from app.balancer import memory, picture, spec
from app.placement import model
from app.service import user
from contract import pool

ServiceKey = tuple[str, str]  # namespace and UID


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """Children that stay as they are though their Service is not there, or cannot be judged.

    `missing` is whether the Service is not there.
    """

    namespace: str
    uid: str
    observed: tuple[memory.Observed, ...]
    missing: bool


def kept(seen: picture.Picture) -> tuple[Kept, ...]:
    """Return the children to keep as they are, by namespace and UID of their Service.

    A Service that is there and is not this balancer's any more keeps nothing, nor does one whose
    name another Service has by now; one that is not there may have lost its label for a moment.
    """
    asked = {(service.namespace, service.uid) for service in seen.services}
    found = []
    for (namespace, uid), observed in sorted(seen.children.by_service.items()):
        if (namespace, uid) in asked or namespace in seen.terminating_namespaces:
            continue
        name = namespace, observed[0].child.service
        if seen.present.get(name, uid) != uid:
            continue
        if name in seen.frozen:
            found.append(Kept(namespace, uid, observed, missing=False))
        elif name not in seen.present:
            staying = tuple(one for one in observed if not one.terminating)
            if staying:
                found.append(Kept(namespace, uid, staying, missing=True))
    return tuple(found)


def of_service(
    service: user.UserService,
    observed: Sequence[memory.Observed],
    balancer: spec.Balancer,
) -> model.Wish:
    """Return the wish of a Service that can be asked."""
    ask = service.ask
    assert ask is not None  # noqa: S101  # picture sorts the others out
    count = balancer.ip_count if ask.ip_count is None else ask.ip_count
    # Our record knows more than is listed, unless somebody else has written there.
    recorded = set(service.listed) <= set(service.recorded)
    return model.Wish(
        namespace=service.namespace,
        name=service.name,
        uid=service.uid,
        created=service.created,
        ipv4=_count(pool.IPV4, count, service, balancer),
        ipv6=_count(pool.IPV6, count, service, balancer),
        both_or_none=service.family_policy == user.REQUIRE_DUAL_STACK,
        requested=ask.addresses,
        sharing_key=service.sharing_key,
        ports=service.sockets,
        held=tuple([one.held for one in observed]),
        adopted=service.recorded if recorded else service.listed,
        recorded=recorded,
    )


def leaving(
    seen: picture.Picture, served: Iterable[user.UserService], keeping: Iterable[Kept]
) -> tuple[model.Wish, ...]:
    """Return wishes for nothing, of the Services that are not served and still show addresses."""
    asked = {(one.namespace, one.uid) for one in served}
    kept = {
        (children.namespace, children.uid): frozenset([o.child.address for o in children.observed])
        for children in keeping
    }
    refused = [one for one in seen.services if (one.namespace, one.uid) not in asked and one.listed]
    return tuple(
        [
            _of_leaving(one, but=kept.get((one.namespace, one.uid), frozenset()))
            for one in (*seen.leaving, *refused)
        ]
    )


def _of_leaving(service: user.UserService, *, but: frozenset[pool.Address]) -> model.Wish:
    return model.Wish(
        namespace=service.namespace,
        name=service.name,
        uid=service.uid,
        created=service.created,
        sharing_key=service.sharing_key,
        ports=service.sockets,
        adopted=tuple([address for address in service.listed if address not in but]),
    )


def of_kept(children: Kept) -> model.Wish:
    """Return a wish for exactly what these children have."""
    addresses = [one.child.address for one in children.observed]
    first = children.observed[0].child
    return model.Wish(
        namespace=children.namespace,
        name=first.service,
        uid=children.uid,
        created=min(one.created for one in children.observed),
        ipv4=sum(address.version == pool.IPV4 for address in addresses) or None,
        ipv6=sum(address.version == pool.IPV6 for address in addresses) or None,
        sharing_key=first.sharing.key if first.sharing is not None else None,
        ports=first.sharing.ports if first.sharing is not None else frozenset(),
        # A report of a conflict would take the address away.
        held=tuple(
            [dataclasses.replace(one.held, reported_in_use=False) for one in children.observed]
        ),
    )


def _count(
    version: int, count: int | model.Auto, service: user.UserService, balancer: spec.Balancer
) -> model.Count:
    if version not in service.versions:
        return None
    if (
        service.family_policy == user.PREFER_DUAL_STACK
        and version != service.versions[0]
        and balancer.addresses is not None
        and not balancer.addresses.size(version)
    ):
        return None  # preferred, and never to be had here
    if isinstance(count, int) and service.ask is not None:
        named = sum(address.version == version for address in service.ask.addresses)
        return max(count, named)
    return count
