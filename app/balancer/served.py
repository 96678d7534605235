# SPDX-License-Identifier: MIT
"""The Services that a balancer serves: what each has, and what it gets."""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator

from app import events
from app.balancer import memory, picture
from app.placement import model
from app.service import user
from contract import child
from contract.names import AnnouncedReason


@dataclasses.dataclass(frozen=True, slots=True)
class Served:
    """A Service of the balancer, the children it has, and those it is to have."""

    service: user.UserService
    observed: tuple[memory.Observed, ...]
    outcome: model.Outcome
    children: tuple[child.Child, ...]

    def telling_how_many(self) -> "Served":
        """Return it with children that each say how many there are to be."""
        told = [dataclasses.replace(c, planned=len(self.children)) for c in self.children]
        return dataclasses.replace(self, children=tuple(told))


def of(service: user.UserService, outcome: model.Outcome, seen: picture.Picture) -> Served:
    """Return a Service with the children that its outcome asks for."""
    observed = seen.children.of_service(service.namespace, service.uid)
    before = {one.ordinal: one.child for one in observed}
    balancer = seen.balancer
    ports = child.shown_ports(service.ports)
    sharing = None
    if service.sharing_key is not None:
        sharing = child.Sharing(service.sharing_key, service.sockets)
    children = tuple(
        child.Child(
            namespace=service.namespace,
            name=child.child_name(service.name, assigned.ordinal),
            service=service.name,
            service_uid=service.uid,
            balancer=balancer.name,
            address=assigned.address,
            nodes=assigned.nodes,
            list_version=assigned.list_version,
            ports=ports,
            planned=_planned(before.get(assigned.ordinal), len(outcome.assigned)),
            health_check_port=service.health_check_port,
            sharing=sharing,
            interfaces=balancer.interfaces,
            failback_delay_s=balancer.failback_delay_s,
        )
        for assigned in outcome.assigned
    )
    return Served(service, observed, outcome, children)


def _planned(before: child.Child | None, planned: int) -> int:
    """Return the number of siblings that a child is to name.

    The highest among the siblings counts, so that one more address rewrites no older child.
    """
    return before.planned if before is not None and before.planned < planned else planned


def replaced(served: Iterable[Served], *, now: dt.datetime) -> Iterator[events.Event]:
    """Yield what is to be told of addresses that a stranger uses."""
    for one in served:
        before = {observed.ordinal: observed for observed in one.observed}
        for assigned in one.outcome.assigned:
            old = before.get(assigned.ordinal)
            if old is None or old.announcement is None or old.child.address == assigned.address:
                continue
            if old.announcement.reason is AnnouncedReason.ADDRESS_IN_USE:
                yield events.Event(
                    api_version="v1",
                    kind="Service",
                    namespace=one.service.namespace,
                    name=one.service.name,
                    uid=one.service.uid,
                    warning=True,
                    reason=AnnouncedReason.ADDRESS_IN_USE,
                    note=(
                        f"{old.announcement.message}, a stranger; the Service gets "
                        f"{assigned.address} instead: find that machine, or take the address out "
                        "of spec.addressPool"
                    ),
                    action="ReplaceAddress",
                    moment=now,
                )
