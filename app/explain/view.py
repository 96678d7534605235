# SPDX-License-Identifier: MIT
"""The whole cluster in one view: balancers, their nodes, Services and addresses."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

from app import annotations, conditions
from app.explain import addresses, model, nodes, reading, services
from app.service import user
from contract import names, pool

_DEFAULT_KEYS = annotations.Keys()


def view(objects: reading.Objects, *, keys: annotations.Keys = _DEFAULT_KEYS) -> model.ClusterView:
    """Return all there is to see. Objects that cannot be read are among its problems."""
    return _Cluster(reading.read(objects, keys), keys).view()


def explain_service(
    objects: reading.Objects, namespace: str, name: str, *, keys: annotations.Keys = _DEFAULT_KEYS
) -> model.ServiceView | None:
    """Return one Service with its explanation; None when it names no balancer or is not there."""
    return view(objects, keys=keys).service(namespace, name)


class _Cluster:
    """What was read, and the views that are made of it."""

    def __init__(self, read: reading.Reading, keys: annotations.Keys) -> None:
        self._read = read
        self._keys = keys
        self._sharers: dict[pool.Address, list[str]] = {}
        for siblings in read.children.values():
            for one in siblings:
                sharer = f"{one.child.namespace}/{one.child.service}"
                self._sharers.setdefault(one.child.address, []).append(sharer)
        self._namesakes: dict[tuple[str, str | None, str], list[user.UserService]] = {}
        for service in read.services:
            if named := _sharing_name(service.user):
                self._namesakes.setdefault(named, []).append(service.user)
        self._nodes_seen = read.nodes or {}
        self._members = {
            name: tuple(
                node.name for node in self._nodes_seen.values() if _is_member(node, balancer)
            )
            for name, balancer in read.balancers.items()
        }
        self._moves: dict[reading.Key, list[model.Move]] = {}
        for move in read.moves:
            self._moves.setdefault((move.namespace, move.service), []).append(move)

    def view(self) -> model.ClusterView:
        found = tuple(self._service(service) for service in self._read.services)
        kept = self._ownerless(found)
        all_addresses = [*(one for service in found for one in service.addresses), *kept]
        return model.ClusterView(
            balancers=tuple(
                self._balancer(name, found, kept) for name in sorted(self._read.balancers)
            ),
            services=found,
            nodes=self._nodes(all_addresses, None),
            moves=self._read.moves,
            problems=self._read.problems,
        )

    def _service(self, service: reading.Service) -> model.ServiceView:
        here = service.user
        name = here.balancer or ""
        balancer = self._read.balancers.get(name)
        children = self._read.children.get((here.namespace, here.uid), ())
        return services.view(
            service,
            services.Surroundings(
                balancer=balancer,
                members=self._members.get(name, ()) if self._read.nodes is not None else None,
                nodes=self._read.nodes,
                children=children,
                note=self._read.notes.get((here.namespace, here.uid)),
                moves=tuple(self._moves.get((here.namespace, here.name), ())),
                sharers={
                    one.child.address: tuple(
                        other for other in self._sharers[one.child.address] if other != str(here)
                    )
                    for one in children
                },
                apart=self._apart(here),
                keys=self._keys,
            ),
        )

    def _apart(self, here: user.UserService) -> tuple[str, ...]:
        """Return the Services that name the sharing key of this one and may not share with it."""
        named = _sharing_name(here)
        return tuple(
            str(other)
            for other in (self._namesakes[named] if named else ())
            if other is not here
            and (other.sharing_key is None or other.sharing_key != here.sharing_key)
        )

    def _ownerless(self, found: Iterable[model.ServiceView]) -> list[model.AddressView]:
        """Return the addresses whose Service is not there, or cannot be read."""
        shown = {(one.namespace, one.child) for service in found for one in service.addresses}
        return [
            addresses.view(one, known=self._read.nodes, moves=self._read.moves)
            for siblings in self._read.children.values()
            for one in siblings
            if (one.child.namespace, one.child.name) not in shown
        ]

    def _balancer(
        self, name: str, found: Sequence[model.ServiceView], kept: Sequence[model.AddressView]
    ) -> model.BalancerView:
        read = self._read.balancers[name]
        its_services = tuple(service for service in found if service.balancer == name)
        shown = tuple(
            one
            for one in (*(one for service in found for one in service.addresses), *kept)
            if one.balancer == name
        )
        state, summary = _state(read)
        return model.BalancerView(
            name=name,
            state=state,
            summary=summary,
            pool=read.entries,
            ip_count=services.count_text(read.spec.ip_count),
            failback_delay=read.failback_delay,
            node_selector=read.spec.node_selector,
            namespaces=(
                tuple(sorted(read.spec.namespaces)) if read.spec.namespaces is not None else None
            ),
            interfaces=read.spec.interfaces,
            families=read.families,
            quarantined=tuple(sorted(read.spec.quarantined, key=lambda a: (a.version, int(a)))),
            nodes=self._nodes(shown, read),
            services=its_services,
            addresses=shown,
            conditions=tuple(map(services.condition, read.spec.conditions)),
        )

    def _nodes(
        self, shown: Iterable[model.AddressView], balancer: reading.Balancer | None
    ) -> tuple[model.NodeView, ...]:
        """Return the nodes that concern a balancer (None: any), with their counts."""
        # A shared address is announced once, by whatever number of Services it is shared.
        desired = Counter(node for node, _ in {(one.desired, one.address) for one in shown})
        held = Counter(node for node, _ in {(one.holder, one.address) for one in shown})
        concerned = {str(name) for name in (*desired, *held) if name is not None}
        balancers = [balancer] if balancer is not None else list(self._read.balancers.values())
        for name, node in self._nodes_seen.items():
            if any(node.matches(one.spec.node_selector) for one in balancers):
                concerned.add(name)
        found = []
        for name in sorted(concerned):
            if self._read.nodes is None:
                shown_node = _unseen(name)
            else:
                shown_node = _node(name, self._read.nodes.get(name), balancers)
            counted = dataclasses.replace(shown_node, desired=desired[name], held=held[name])
            found.append(counted)
        return tuple(found)


def _sharing_name(service: user.UserService) -> tuple[str, str | None, str] | None:
    """Return what a Service and those it would share with have in common; None if it would not."""
    if service.ask is None or service.ask.sharing_key is None:
        return None
    return service.namespace, service.balancer, service.ask.sharing_key


def _is_member(node: nodes.Node, balancer: reading.Balancer) -> bool:
    excluded = node.excluded and not balancer.spec.ignore_exclude_label
    return node.matches(balancer.spec.node_selector) and not node.terminating and not excluded


def _unseen(name: str) -> model.NodeView:
    """Return a node of a cluster whose nodes may not be seen."""
    return model.NodeView(name, why="may not be seen by this user")


def _node(
    name: str, node: nodes.Node | None, balancers: Sequence[reading.Balancer]
) -> model.NodeView:
    if node is None:
        return model.NodeView(
            name,
            exists=False,
            member=False,
            fit=False,
            why="is no node of this cluster: its addresses go to others at the next sync",
        )
    member = any(_is_member(node, balancer) for balancer in balancers)
    return model.NodeView(
        name,
        member=member,
        fit=member and not node.trouble,
        why=node.trouble if member else _no_member(node, balancers),
        ready=node.ready,
        cordoned=node.cordoned,
        excluded=node.excluded,
    )


def _no_member(node: nodes.Node, balancers: Sequence[reading.Balancer]) -> str:
    if node.terminating:
        return "is being deleted"
    if any(node.matches(balancer.spec.node_selector) for balancer in balancers):
        return f"carries the label {names.EXCLUDE_LABEL}"
    return "is selected by no balancer's nodeSelector any more"


def _state(balancer: reading.Balancer) -> tuple[model.BalancerState, str]:
    ready = conditions.find(balancer.spec.conditions, "Ready")
    if ready is None or balancer.answered < balancer.spec.generation:
        return model.BalancerState.UNANSWERED, (
            f"no hook has answered for generation {balancer.spec.generation} of it yet: see "
            "whether Metacontroller runs, whether its log tells of errors, and whether the "
            "webhook's Pods are ready"
        )
    message = str(ready.get("message", ""))
    if ready.get("status") == "True":
        return model.BalancerState.READY, message
    return model.BalancerState.NOT_READY, message
