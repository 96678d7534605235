# SPDX-License-Identifier: MIT
"""Who would hold what: the speakers' own election over the lists, for nodes as they might be.

Lists, ranks and liveness go in; what comes out is where the speakers settle once every fail-back
delay has passed. What only a speaker knows (interfaces, carriers, its proxy's health) is taken for
good.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping

from app.explain import nodes
from contract import child, pool
from speaker.protocol import election, events

Key = tuple[str, str]  # namespace and name of a child
ServiceKey = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """Children, and the nodes whose speakers live, with their ranks.

    `holders` say who holds an address now, by child. `serving` are the nodes with an endpoint, for
    Services with policy Local. `excluded` are the nodes that carry the exclude label, and
    `heedless` the balancers that ignore it.
    """

    children: tuple[child.Child, ...]
    holders: Mapping[Key, str | None]
    ranks: Mapping[str, events.Rank]
    serving: Mapping[ServiceKey, frozenset[str]]
    excluded: frozenset[str] = frozenset()
    heedless: frozenset[str] = frozenset()


def ranks(known: Iterable[nodes.Node]) -> dict[str, events.Rank]:
    """Return the rank that each node's speaker would give itself; those that are down are not in.

    As speaker.fitness judges by the same Node object.
    """
    found = {}
    for node in known:
        if node.down:
            continue
        if node.network_unavailable or node.ready is False:
            found[node.name] = events.Rank.NOT_READY
        elif node.cordoned:
            found[node.name] = events.Rank.CORDONED
        else:
            found[node.name] = events.Rank.WELL
    return found


def settle(scene: Scene) -> dict[Key, str | None]:
    """Return who holds each child's address in the end; None: nobody."""
    return {(one.namespace, one.name): _holder(one, scene) for one in scene.children}


def loads(
    children: Iterable[child.Child], holders: Mapping[Key, str | None], names: Iterable[str]
) -> dict[str, int]:
    """Return how many addresses each of the nodes holds; a shared one counts once."""
    held: dict[pool.Address, str | None] = {
        one.address: holders.get((one.namespace, one.name)) for one in children
    }
    counts = dict.fromkeys(names, 0)
    for node in held.values():
        if node is not None:
            counts[node] = counts.get(node, 0) + 1
    return counts


def _holder(one: child.Child, scene: Scene) -> str | None:
    """Return whom the speakers settle on for an address.

    The first candidate takes it from nobody, or from a holder that ranks lower; from one of its
    own rank only as the preferred node, once the fail-back delay has passed.
    """
    listed = events.Listed(
        address=one.address,
        nodes=one.nodes,
        list_version=one.list_version,
        created=0,
        failback_delay_s=one.failback_delay_s,
        interfaces=(),
    )
    standings = {node: _standing(node, one, scene) for node in scene.ranks}
    order = election.candidates(listed, one.address.packed, standings)
    if not order:
        return None
    first = order[0]
    holder = scene.holders.get((one.namespace, one.name))
    incumbent = next((each for each in order if each.node == holder), None)
    if incumbent is None or incumbent.rank > first.rank:
        return first.node
    takes_back = election.position(listed, first.node) == 0 and math.isfinite(one.failback_delay_s)
    return first.node if takes_back else incumbent.node


def _standing(node: str, one: child.Child, scene: Scene) -> election.Standing:
    """Return a speaker that claims nothing; one that would decline the address is not fit."""
    serves = one.health_check_port is None or node in scene.serving.get(
        (one.namespace, one.service), ()
    )
    barred = node in scene.excluded and one.balancer not in scene.heedless
    return election.Standing(
        node=node,
        epoch=b"",
        rank=scene.ranks[node],
        fit=serves and not barred,
        well_since=-math.inf,
        hears_us=True,
        deaf_since=math.inf,
        claims={},
    )
