# SPDX-License-Identifier: MIT
"""The balancers' pools, against what else has addresses: nodes, Pods, Services, and each other."""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from app import conditions
from app.explain import reading
from cli.checks import finding
from contract import names, pool

SUBJECT: Final = "pool of {}"

Json = Mapping[str, Any]


def check(
    balancers: Mapping[str, reading.Balancer],
    *,
    nodes: Sequence[Json] | None,
    services: Sequence[Json],
    ranges: Sequence[Json] | None,
    subnets: Iterable[pool.Network] | None,
) -> Iterable[finding.Finding]:
    """Judge each balancer's pool.

    `ranges` are the ServiceCIDRs; `subnets` those of the nodes' interfaces, as speakers see them.
    None: they could not be seen.
    """
    if not balancers:
        yield finding.warning("pools", f"there is no {names.KIND}: create one")
    for name, balancer in balancers.items():
        subject = SUBJECT.format(name)
        if balancer.spec.addresses is None:
            yield finding.failed(subject, balancer.spec.pool_error)
            continue
        found = [
            *_nodes(subject, balancer.spec.addresses, nodes),
            *_pods(subject, balancer.spec.addresses, nodes),
            *_service_ranges(subject, balancer.spec.addresses, ranges),
            *_services(subject, balancer.spec.addresses, services),
            *_subnets(subject, balancer, subnets),
            *_balancers(subject, name, balancers),
        ]
        yield from found or [
            finding.passed(
                subject, "no node, Pod range, Service range or other Service has its addresses"
            )
        ]


def _nodes(
    subject: str, addresses: pool.Pool, nodes: Sequence[Json] | None
) -> Iterable[finding.Finding]:
    if nodes is None:
        yield finding.unknown(subject, "nodes may not be seen by this user")
        return
    for node in nodes:
        for entry in (node.get("status") or {}).get("addresses") or ():
            address = _address(entry.get("address"))
            if address is not None and address in addresses:
                yield finding.failed(
                    subject,
                    f"{address} is an address of node {_name(node)}: take it out of "
                    "spec.addressPool",
                )


def _pods(
    subject: str, addresses: pool.Pool, nodes: Sequence[Json] | None
) -> Iterable[finding.Finding]:
    for node in nodes or ():
        spec = node.get("spec") or {}
        for text in spec.get("podCIDRs") or [spec.get("podCIDR")]:
            overlap = _overlap(addresses, text)
            if overlap:
                yield finding.failed(
                    subject,
                    f"{overlap} lies in the Pod range {text} of node {_name(node)}: choose "
                    "addresses of the nodes' own network",
                )


def _service_ranges(
    subject: str, addresses: pool.Pool, ranges: Sequence[Json] | None
) -> Iterable[finding.Finding]:
    if ranges is None:
        yield finding.unknown(subject, "the cluster's Service ranges (ServiceCIDR) cannot be seen")
        return
    for one in ranges:
        for text in (one.get("spec") or {}).get("cidrs") or ():
            overlap = _overlap(addresses, text)
            if overlap:
                yield finding.failed(
                    subject,
                    f"{overlap} lies in the Service range {text}: kube-proxy would take it for a "
                    "cluster IP; choose addresses of the nodes' own network",
                )


def _services(
    subject: str, addresses: pool.Pool, services: Sequence[Json]
) -> Iterable[finding.Finding]:
    for service in services:
        spec, metadata = service.get("spec") or {}, service.get("metadata") or {}
        labels = metadata.get("labels") or {}
        if names.SERVICE_BALANCER in labels or names.PROXY_NAME_LABEL in labels:
            continue
        status = service.get("status") or {}
        ingress = (status.get("loadBalancer") or {}).get("ingress") or ()
        name = f"Service {metadata.get('namespace')}/{metadata.get('name')}"
        texts = [*(spec.get("externalIPs") or ()), *(entry.get("ip") for entry in ingress)]
        for text in texts:
            address = _address(text)
            if address is not None and address in addresses:
                yield finding.failed(
                    subject,
                    f"{address} is still shown by {name}, whose annotation and label went in one "
                    f"write, so that no hook saw it go: set {names.SERVICE_BALANCER} once more, "
                    "and remove the annotation alone if it shall have none"
                    if conditions.find(status.get("conditions") or (), names.ASSIGNED_CONDITION)
                    else f"{address} belongs to {name}, which is none of ours: take it out of "
                    "spec.addressPool, or give that Service to the balancer",
                )


def _subnets(
    subject: str, balancer: reading.Balancer, subnets: Iterable[pool.Network] | None
) -> Iterable[finding.Finding]:
    if subnets is None:
        yield finding.unknown(
            subject,
            "whether its addresses are in the nodes' subnets cannot be seen: no speaker tells of "
            "subnets",
        )
        return
    known = pool.Pool.parse(sorted({str(subnet) for subnet in subnets if _is_usable(subnet)}))
    outside = balancer.spec.addresses - known if balancer.spec.addresses is not None else None
    if not outside:
        return
    if balancer.spec.interfaces:
        yield finding.passed(
            subject, f"{outside} is in no node's subnet, and its interfaces are named: routed"
        )
        return
    yield finding.warning(
        subject,
        f"{outside} is in no subnet of the nodes, so it is announced where the default route "
        "leads: name the right interface in spec.interfaces, or choose addresses of the subnet",
    )


def _balancers(
    subject: str, name: str, balancers: Mapping[str, reading.Balancer]
) -> Iterable[finding.Finding]:
    mine = balancers[name].spec
    for other in balancers.values():
        if other.spec.age_order >= mine.age_order or other.spec.addresses is None:
            continue
        overlap = mine.addresses & other.spec.addresses if mine.addresses is not None else None
        if overlap:
            yield finding.failed(
                subject,
                f"{overlap} belongs to the older balancer {other.spec.name}: take it out of "
                "spec.addressPool here or there",
            )


def _overlap(addresses: pool.Pool, text: Any) -> pool.Pool | None:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None
    span = int(network[0]), int(network[-1])
    return addresses & pool.Pool({network.version: [span]})


def _is_usable(network: pool.Network) -> bool:
    """Whether a pool could hold the network at all."""
    try:
        pool.Pool.parse([str(network)])
    except pool.PoolError:
        return False
    return True


def _address(text: Any) -> pool.Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _name(manifest: Json) -> str:
    return str((manifest.get("metadata") or {}).get("name"))
