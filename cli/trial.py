# SPDX-License-Identifier: MIT
"""A change tried out on a cluster that stays as it is.

The lists come from the webhook's own answer, the holders from the speakers' own election.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from app import annotations
from app import errors as app_errors
from app.explain import desired, reading
from app.placement import loads
from cli import errors, forecast
from contract import child, pool
from speaker.protocol import events

_NEW: Final = "new-{}"


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """What is to be tried out; the nodes of `fail` and `drain` are there."""

    fail: frozenset[str] = frozenset()
    drain: frozenset[str] = frozenset()
    add: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """An address with its holder before and after; None: nobody, or not given out yet."""

    address: pool.Address
    balancer: str
    namespace: str
    service: str
    before: str | None
    after: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """How many addresses a node holds before and after; None: it is not there, or dead."""

    node: str
    before: int | None
    after: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What the change does. `moved` counts addresses that another node holds afterwards.

    `gap_before` and `gap_after` are between the most and the least loaded of the nodes in service.
    `lacking` are sentences of the webhook on Services that would not get all they ask for.
    """

    outcomes: tuple[Outcome, ...]
    loads: tuple[Load, ...]
    moved: int
    added: int
    unheld: int
    gap_before: int
    gap_after: int
    lacking: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """The cluster that a change is tried out on; `balancers` are those to look at."""

    objects: reading.Objects
    namespaces: Sequence[Any]
    read: reading.Reading
    keys: annotations.Keys
    balancers: tuple[str, ...]
    serving: Mapping[forecast.ServiceKey, frozenset[str]]


def run(world: World, change: Change, *, now: dt.datetime) -> Report:
    """Return what a change would do. Raises NotFoundError for a node that is not there."""
    known = world.read.nodes or {}
    for name in sorted(change.fail | change.drain):
        if name not in known:
            raise errors.NotFoundError(
                f"there is no node {name}; there are: {', '.join(sorted(known))}"
            )
    observed = {
        (one.child.namespace, one.child.name): one
        for siblings in world.read.children.values()
        for one in siblings
        if one.child.balancer in world.balancers and not one.terminating
    }
    before_ranks = forecast.ranks(known.values())
    scene = forecast.Scene(
        children=tuple(one.child for one in observed.values()),
        holders={
            key: one.announcement.node if one.announcement is not None else None
            for key, one in observed.items()
        },
        ranks=before_ranks,
        serving=world.serving,
        excluded=frozenset(name for name, node in known.items() if node.excluded),
        heedless=frozenset(
            name for name, one in world.read.balancers.items() if one.spec.ignore_exclude_label
        ),
    )
    before = forecast.settle(scene)
    children, lacking, new = _grown(world, change, scene.children, now)
    after_ranks = {
        name: max(rank, events.Rank.CORDONED) if name in change.drain else rank
        for name, rank in before_ranks.items()
        if name not in change.fail
    } | dict.fromkeys(new, events.Rank.WELL)
    changed = dataclasses.replace(scene, children=children, holders=before, ranks=after_ranks)
    after = forecast.settle(changed)
    return _report(
        scene,
        changed,
        before=before,
        after=after,
        lacking=lacking,
        members=_in_service(world, new),
    )


def _grown(
    world: World, change: Change, children: tuple[child.Child, ...], now: dt.datetime
) -> tuple[tuple[child.Child, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the children once nodes have joined, who then lacks addresses, and the new nodes.

    Without new nodes no list changes: a failure rewrites none, and neither does a cordon.
    """
    if not change.add:
        return children, (), ()
    known = world.read.nodes or {}
    fresh = (name for number in range(1, 10**6) if (name := _NEW.format(number)) not in known)
    new = tuple(next(fresh) for _ in range(change.add))
    grown: list[child.Child] = []
    lacking: list[str] = []
    for balancer in world.balancers:
        selector = dict(world.read.balancers[balancer].spec.node_selector)
        joined = [
            {"metadata": {"name": name, "labels": selector, "uid": f"simulated-{name}"}}
            for name in new
        ]
        objects = dataclasses.replace(world.objects, nodes=[*(world.objects.nodes or ()), *joined])
        try:
            answer = desired.answer(objects, world.namespaces, balancer, now=now, keys=world.keys)
        except app_errors.HookError as error:
            raise errors.CliError(f"the webhook would not answer for {balancer}: {error}") from None
        grown.extend(answer.children)
        lacking.extend(
            f"{service}: {verdict.message}" for service, verdict in sorted(answer.lacking.items())
        )
    return tuple(grown), tuple(lacking), new


def _in_service(world: World, new: Iterable[str]) -> frozenset[str]:
    """Return the nodes that the balancers' selectors select, and the new ones."""
    specs = [world.read.balancers[name].spec for name in world.balancers]
    return frozenset(
        node.name
        for node in (world.read.nodes or {}).values()
        if any(
            node.matches(spec.node_selector) and (spec.ignore_exclude_label or not node.excluded)
            for spec in specs
        )
    ).union(new)


def _report(
    scene: forecast.Scene,
    changed: forecast.Scene,
    *,
    before: Mapping[forecast.Key, str | None],
    after: Mapping[forecast.Key, str | None],
    lacking: tuple[str, ...],
    members: frozenset[str],
) -> Report:
    outcomes = tuple(
        Outcome(
            address=one.address,
            balancer=one.balancer,
            namespace=one.namespace,
            service=one.service,
            before=before.get((one.namespace, one.name)),
            after=after.get((one.namespace, one.name)),
        )
        for one in sorted(changed.children, key=_order)
    )
    counts_before = _loads(scene, before, members)
    counts_after = _loads(changed, after, members)
    names = sorted({*counts_before, *counts_after})
    shared_once = {one.address: one for one in outcomes}.values()
    return Report(
        outcomes=outcomes,
        loads=tuple(Load(name, counts_before.get(name), counts_after.get(name)) for name in names),
        moved=sum(one.before not in {None, one.after} for one in shared_once),
        added=len({one.address for one in changed.children} - {o.address for o in scene.children}),
        unheld=sum(one.after is None for one in shared_once),
        gap_before=loads.gap(counts_before),
        gap_after=loads.gap(counts_after),
        lacking=lacking,
    )


def _loads(
    scene: forecast.Scene, holders: Mapping[forecast.Key, str | None], members: frozenset[str]
) -> dict[str, int]:
    """Return the loads of the nodes that live and are fit to hold something, and of all holders."""
    fit = sorted(
        name for name in members & scene.ranks.keys() if scene.ranks[name] is events.Rank.WELL
    )
    return forecast.loads(scene.children, holders, fit)


def _order(one: child.Child) -> tuple[str, str, int, int]:
    return one.namespace, one.service, one.address.version, int(one.address)
