# SPDX-License-Identifier: MIT
"""A cluster as placement sees it, whose answers come true at once, and what is said of them."""

import collections
import dataclasses
import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from hypothesis import strategies as st

from app.placement import model, place
from contract.pool import Address, Pool

WIDE = Pool.parse(["10.0.0.0/16", "2001:db8::/112"])
Lists = Mapping[Address, tuple[str, ...]]


def balancer(nodes: int | Sequence[str] = 5, pool: Pool = WIDE, **more) -> model.Balancer:
    names = [f"n{number}" for number in range(nodes)] if isinstance(nodes, int) else nodes
    return model.Balancer("b", pool, tuple(names), **more)


def wish(name: str = "web", ipv4: model.Count = 1, **more) -> model.Wish:
    return model.Wish("shop", name, f"uid-{name}", more.pop("created", 0.0), ipv4=ipv4, **more)


def wishes(counts: Iterable[int]) -> list[model.Wish]:
    return [wish(f"s{n:03}", count, created=float(n)) for n, count in enumerate(counts)]


def settled(placement: model.Placement, asked: Iterable[model.Wish]) -> list[model.Wish]:
    """Return the wishes as they are once the answer is applied: children exist, nothing else."""
    assigned = {outcome.key: outcome.assigned for outcome in placement.outcomes}
    return [_with_children(one, assigned[one.key]) for one in asked]


def _with_children(one: model.Wish, assigned: Sequence[model.Assigned]) -> model.Wish:
    before = {child.ordinal: child for child in one.held}
    held = tuple(
        model.Held(
            child.ordinal,
            child.address,
            child.nodes,
            child.list_version,
            before[child.ordinal].created if child.ordinal in before else one.created,
            sharing_key=one.sharing_key,
            ports=one.ports if one.sharing_key is not None else frozenset(),
        )
        for child in assigned
    )
    return dataclasses.replace(one, held=held, adopted=())


def assigned(placement: model.Placement, name: str = "web") -> list[str]:
    """Return the addresses of a Service by ordinal, as text."""
    return [
        str(child.address)
        for outcome in placement.outcomes
        if outcome.name == name
        for child in outcome.assigned
    ]


def shortfalls(placement: model.Placement, name: str = "web") -> tuple[model.Shortfall, ...]:
    return next(outcome.shortfalls for outcome in placement.outcomes if outcome.name == name)


def lists(placement: model.Placement) -> dict[Address, tuple[str, ...]]:
    return {
        child.address: child.nodes for outcome in placement.outcomes for child in outcome.assigned
    }


def held_lists(asked: Iterable[model.Wish]) -> dict[Address, tuple[str, ...]]:
    return {child.address: child.nodes for one in asked for child in one.held}


def groups(placement: model.Placement) -> list[list[Address]]:
    """Return the addresses of each Service and family."""
    found: dict[tuple[str, str, int], list[Address]] = collections.defaultdict(list)
    for outcome in placement.outcomes:
        for child in outcome.assigned:
            found[*outcome.key, child.address.version].append(child.address)
    return list(found.values())


def holder(nodes: Sequence[str], failed: Iterable[str] = ()) -> str | None:
    """Return the first of the list that is alive."""
    return next((node for node in nodes if node not in failed), None)


def gap(counts: Iterable[int]) -> int:
    counts = list(counts)
    return max(counts) - min(counts) if counts else 0


def loads(held: Lists, nodes: Iterable[str], failed: Iterable[str] = ()) -> dict[str, int]:
    """Return how many addresses each survivor holds."""
    counts = {node: 0 for node in nodes if node not in failed}
    for listed in held.values():
        if (node := holder(listed, failed)) in counts:
            counts[node] += 1
    return counts


def group_gaps(
    placement: model.Placement, nodes: Sequence[str], failed: Iterable[str] = ()
) -> Iterator[int]:
    """Yield by how much the nodes differ in the addresses of each Service and family."""
    held = lists(placement)
    for group in groups(placement):
        yield gap(loads({a: held[a] for a in group}, nodes, failed).values())


def least_gap_after(
    failed: str, held: Lists, members: Sequence[Sequence[Address]], nodes: Sequence[str]
) -> tuple[int, int]:
    """Search all first stand-ins of a node's addresses: (least gap, fewest changes to reach it).

    Only those are looked at after which no survivor has two more of a group than another.
    """
    survivors = [node for node in nodes if node != failed]
    orphans = [address for address, listed in held.items() if listed[0] == failed]
    group_of = {address: number for number, group in enumerate(members) for address in group}
    base = collections.Counter(listed[0] for listed in held.values() if listed[0] != failed)
    spread: dict[int, collections.Counter[str]] = {
        number: collections.Counter(held[a][0] for a in group if held[a][0] != failed)
        for number, group in enumerate(members)
    }
    best = (len(held) + 1, 0)
    for firsts in itertools.product(survivors, repeat=len(orphans)):
        load = base + collections.Counter(firsts)
        width = gap(load[node] for node in survivors)
        changes = sum(
            holder(held[a][1:], [failed]) != first for a, first in zip(orphans, firsts, strict=True)
        )
        if (width, changes) >= best:
            continue
        after = {number: collections.Counter(counts) for number, counts in spread.items()}
        for address, first in zip(orphans, firsts, strict=True):
            after[group_of[address]][first] += 1
        if all(
            gap(after[group_of[address]][node] for node in survivors) <= 1 for address in orphans
        ):
            best = (width, changes)
    return best


@functools.cache
def even_spreads(count: int, nodes: int) -> tuple[tuple[int, ...], ...]:
    """Return every way to put `count` addresses on nodes so that none has two more."""
    return tuple(
        counts
        for counts in itertools.product(range(count + 1), repeat=nodes)
        if sum(counts) == count and gap(counts) <= 1
    )


def decide(
    nodes: int | Sequence[str] | model.Balancer, asked: Iterable[model.Wish]
) -> model.Placement:
    return place.place(nodes if isinstance(nodes, model.Balancer) else balancer(nodes), asked)


@dataclasses.dataclass(frozen=True)
class Scene:
    """A cluster in which every answer so far has come true."""

    nodes: tuple[str, ...]
    services: tuple[model.Wish, ...] = ()

    def answer(self, known: frozenset[str] = frozenset()) -> model.Placement:
        return decide(balancer(self.nodes, known=known), self.services)

    def settled(self) -> "Scene":
        return Scene(self.nodes, tuple(settled(self.answer(), self.services)))

    def with_nodes(self, nodes: Iterable[str]) -> "Scene":
        return Scene(tuple(nodes), self.services)

    def with_services(self, services: Iterable[model.Wish]) -> "Scene":
        return Scene(self.nodes, tuple(services))

    @property
    def lists(self) -> dict[Address, tuple[str, ...]]:
        return held_lists(self.services)

    @property
    def loads(self) -> dict[str, int]:
        return loads(self.lists, self.nodes)

    @property
    def gap(self) -> int:
        return gap(self.loads.values())


@st.composite
def fresh(draw, max_nodes: int = 9, max_services: int = 8, max_count: int = 12) -> Scene:
    """Draw a cluster whose Services were all placed at once."""
    nodes = [f"n{number}" for number in range(draw(st.integers(1, max_nodes)))]
    counts = draw(st.lists(st.integers(1, max_count), min_size=1, max_size=max_services))
    return Scene(tuple(nodes), tuple(wishes(counts))).settled()


@st.composite
def small(draw, max_nodes: int = 5, max_addresses: int = 6) -> Scene:
    """Draw a cluster that is small enough to look at every other way to place its addresses."""
    nodes = [f"n{number}" for number in range(draw(st.integers(2, max_nodes)))]
    cuts = draw(st.lists(st.booleans(), min_size=max_addresses - 1, max_size=max_addresses - 1))
    counts = [1]
    for cut in cuts[: draw(st.integers(0, max_addresses - 1))]:
        if cut:
            counts.append(1)
        else:
            counts[-1] += 1
    return Scene(tuple(nodes), tuple(wishes(counts))).settled()


@st.composite
def aged(draw, start: st.SearchStrategy[Scene]) -> Scene:
    """Draw a cluster from which Services were deleted, and to which others were added since."""
    scene: Scene = draw(start)
    kept = [one for one in scene.services if draw(st.booleans())]
    scene = scene.with_services(kept).settled()
    for number in range(draw(st.integers(0, 2))):
        count = draw(st.integers(1, 3))
        added = wish(f"late{number}", count, created=1000.0 + number)
        scene = scene.with_services([*scene.services, added]).settled()
    return scene
