# SPDX-License-Identifier: MIT
"""How the design grows: a model of heartbeats, syncs and writes, and where each comes to its end.

`python -m bench scaling` measures the constants (`bench/common/costs.py`, some minutes), prints
the tables and writes docs/scaling.md. With `--idle FILE...`, results of `python -m bench idle` in
labs of several sizes, the model's share of a core is fitted to the first two and checked against
the others.
"""

import argparse
import dataclasses
import itertools
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Self

from app import settings
from bench.common import costs, machine, report
from contract import names
from speaker.cluster import reports
from speaker.protocol import const

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "scaling.md"
NODES: Final = (10, 100, 1_000)
SERVICES: Final = 10_000
ADDRESSES: Final = 3
BALANCERS: Final = (1, 10, 100)
NAME_BYTES: Final = 12  # of a node, as in 'worker-00123'
ETHERNET_BYTES: Final = 14
WIRE_BYTES: Final = 24  # preamble, check sequence and gap, which count on a link
HEADER_BYTES: Final = 52
TAG_BYTES: Final = 16
FIELD_BYTES: Final = 3  # type and length
HEARD_BYTES: Final = 12  # a peer in HEARD
MAC_BYTES: Final = 6
KEY_ID_BYTES: Final = 4
ANNOUNCE_RATE: Final = 200.0  # a second, and so many at once: the speaker's defaults
ANNOUNCE_BURST: Final = 50
LIMIT: Final = const.PEERS_MAX + 1
MANY_SPEAKERS: Final = 50


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """The speakers of one segment that hear each other; at most LIMIT of them."""

    speakers: int
    keys: int = 1

    @property
    def interval_s(self) -> float:
        """Time between two beats of a speaker."""
        steps = math.ceil((self.speakers - 1) * const.INTERVAL_PER_PEER_S / const.INTERVAL_S - 1e-9)
        return min(max(1, steps) * const.INTERVAL_S, const.INTERVAL_MAX_S)

    @property
    def frame_b(self) -> int:
        """A beat from the destination's MAC to the end of the tag."""
        fields = (
            HEARD_BYTES * (self.speakers - 1),
            NAME_BYTES,
            2,
            MAC_BYTES,
            KEY_ID_BYTES * self.keys,
        )
        return ETHERNET_BYTES + HEADER_BYTES + sum(FIELD_BYTES + f for f in fields) + TAG_BYTES

    @property
    def received_per_s(self) -> float:
        """Frames that each speaker receives."""
        return (self.speakers - 1) / self.interval_s

    @property
    def port_bit_s(self) -> float:
        """What each port of the switch carries to a node, with all that Ethernet adds."""
        return self.received_per_s * (self.frame_b + WIRE_BYTES) * 8

    @property
    def dead_after_s(self) -> float:
        """How long a node is silent before its stand-ins act."""
        return const.DEAD_AFTER_INTERVALS * self.interval_s

    def share(self, cost: costs.Costs) -> float:
        """Return the share of a core that the protocol's core uses on each node."""
        return self.received_per_s * cost.beat_received_s + cost.beat_sent_s / self.interval_s


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes that announce, in segments of equal size, and Services of as many addresses each."""

    nodes: int
    services: int
    balancers: int

    @property
    def segments(self) -> int:
        """How many segments the nodes need at least."""
        return math.ceil(self.nodes / LIMIT)

    @property
    def group(self) -> Group:
        """The largest group."""
        return Group(math.ceil(self.nodes / self.segments))

    @property
    def children(self) -> int:
        """Child Services in all."""
        return self.services * ADDRESSES

    def sync_s(self, cost: costs.Costs) -> float:
        """Return the webhook's processor time for one sync of one balancer."""
        children, nodes = self.children / self.balancers, self._nodes_of_one
        return cost.sync_s + cost.sync_child_s * children + cost.sync_node_s * nodes

    def request_b(self, cost: costs.Costs) -> float:
        """Return what Metacontroller encodes and sends for it."""
        children, nodes = self.children / self.balancers, self._nodes_of_one
        return cost.request_b + cost.request_child_b * children + cost.request_node_b * nodes

    def most_services(self, cost: costs.Costs) -> int:
        """Return how many Services one balancer has whose sync the webhook still accepts."""
        nodes = cost.request_b + cost.request_node_b * self._nodes_of_one
        return int((settings.MAX_BODY_BYTES - nodes) / (cost.request_child_b * ADDRESSES))

    def is_accepted(self, cost: costs.Costs) -> bool:
        """Whether the webhook takes requests of this size."""
        return self.request_b(cost) <= settings.MAX_BODY_BYTES

    @property
    def held(self) -> float:
        """Addresses that each node holds."""
        return self.children / self.nodes

    @property
    def listing(self) -> float:
        """Children whose list names one node: so many are rewritten when it leaves for good."""
        nodes = min(names.MAX_LISTED_NODES, self._nodes_of_one)
        return min(self.children, self.children * nodes / self.nodes)

    @property
    def told_within_s(self) -> float:
        """How long the statuses take to be right after a node failed, from its death on."""
        return reports.SETTLED_AFTER_S + reports.JITTER_S + self._taken / reports.RATE

    @property
    def announced_within_s(self) -> float:
        """How long the announcements of a failed node's addresses take, from taking over on."""
        return max(0.0, self._taken - ANNOUNCE_BURST) / ANNOUNCE_RATE

    def failure_syncs(self, cost: costs.Costs) -> float:
        """Return how many syncs the writes after a node's failure ask for, at most.

        Each write asks for a sync of its balancer. Metacontroller works on a balancer once at a
        time and merges what is asked meanwhile.
        """
        affected = min(self.balancers, self.held)
        lasting = self.told_within_s - reports.SETTLED_AFTER_S
        return min(self.held, affected * (1 + lasting / max(self.sync_s(cost), 1e-3)))

    def fan_out_b(self, cost: costs.Costs) -> float:
        """Return what the API server sends to all speakers for one node's failure."""
        return self.held * self.nodes * cost.child_b

    def speaker_memory_b(self, cost: costs.Costs) -> float:
        """Return what the children take in each speaker."""
        return self.children * cost.child_kept_b

    def look_s(self, cost: costs.Costs) -> float:
        """Return what a change costs a speaker that looks through all children."""
        return self.children * cost.refresh_child_s

    @property
    def _taken(self) -> float:
        """Addresses that each stand-in of a failed node takes, evenly spread."""
        return self.held / max(1, min(names.MAX_LISTED_NODES, self.group.speakers) - 1)

    @property
    def _nodes_of_one(self) -> float:
        """Nodes of one balancer: those of its segment, or its part of them if balancers abound."""
        return min(self.nodes, max(self.nodes / self.balancers, self.group.speakers))


@dataclasses.dataclass(frozen=True, slots=True)
class Rest:
    """A speaker's share of a core at rest as the lab has it: `fixed`, and a frame's whole cost."""

    fixed: float
    frame_s: float

    @classmethod
    def fitted(cls, small: "Idle", large: "Idle") -> Self:
        """Draw the line through two measurements."""
        frames = [Group(idle.speakers).received_per_s for idle in (small, large)]
        frame_s = (large.share - small.share) / (frames[1] - frames[0])
        return cls(small.share - frames[0] * frame_s, frame_s)

    def share(self, group: Group) -> float:
        """Return the share of a core for a group."""
        return self.fixed + self.frame_s * group.received_per_s


@dataclasses.dataclass(frozen=True, slots=True)
class Idle:
    """What `bench idle` measured in one lab: the median share of a core."""

    speakers: int
    share: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read its JSON; raises SystemExit when our share of a core is not in it."""
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            what: str = row["what"]
            if what.endswith("CPU of a core") and row["who"] == "l2-load-balancer" and row["count"]:
                return cls(int(what.partition(" ")[0]), row["median"] / 100)
        raise SystemExit(f"{path} has no row of our share of a core: make it with 'bench idle'")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables and write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m bench scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--costs", type=Path, help="constants measured before; else they are")
    parser.add_argument("--json", type=Path, help="write the constants to this file")
    parser.add_argument("--idle", type=Path, nargs="*", default=[], metavar="FILE")
    parser.add_argument("--page", type=Path, default=PAGE, help="default: docs/scaling.md")
    chosen = parser.parse_args(arguments)
    cost = costs.measure() if chosen.costs is None else _read(chosen.costs)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(dataclasses.asdict(cost), indent=1), encoding="utf-8")
    idle = sorted((Idle.read(path) for path in chosen.idle), key=lambda one: one.speakers)
    text = page(cost, idle)
    scratch = chosen.page.with_suffix(".new")
    scratch.write_text(text, encoding="utf-8")
    scratch.replace(chosen.page)
    print(text)
    return 0


def page(cost: costs.Costs, idle: Sequence[Idle]) -> str:
    """Return the page."""
    return TEXT.format(
        constants=_constants(cost),
        heartbeats=_heartbeats(cost, idle),
        check=_check(idle),
        syncs=_syncs(cost),
        failures=_failures(cost),
        speakers=_speakers(cost),
        limit=LIMIT,
        body_mib=settings.MAX_BODY_BYTES >> 20,
        most=f"{Cluster(NODES[0], SERVICES, 1).most_services(cost):,}",
        listed=names.MAX_LISTED_NODES,
        rate=f"{reports.RATE:g}",
        burst=ANNOUNCE_BURST,
        announced=f"{ANNOUNCE_RATE:g}",
        machine=_machine(),
    )


def _read(path: Path) -> costs.Costs:
    return costs.Costs(**json.loads(path.read_text(encoding="utf-8")))


def _machine() -> str:
    about = machine.describe()
    return f"{about['cores']} cores of {about['processor']}, Python {about['python']}"


def _constants(cost: costs.Costs) -> str:
    def us(seconds: float) -> str:
        return f"{report.number(seconds * 1e6)} us"

    rows = (
        ("a beat received, in the protocol's core", us(cost.beat_received_s)),
        ("a beat sent, likewise", us(cost.beat_sent_s)),
        ("a changed child, taken in by a speaker", us(cost.child_event_s)),
        ("a speaker's look at its lists after a change, a child", us(cost.refresh_child_s)),
        ("a child in a speaker's memory", f"{report.number(cost.child_kept_b)} B"),
        ("a child as the API server sends it", f"{report.number(cost.child_b)} B"),
        ("a sync in the webhook, a child", us(cost.sync_child_s)),
        ("a sync in the webhook, a node", us(cost.sync_node_s)),
        ("a sync's request, a child", f"{report.number(cost.request_child_b)} B"),
        ("a sync's request, a node", f"{report.number(cost.request_node_b)} B"),
    )
    return _markdown(("what", "measured"), rows)


def _heartbeats(cost: costs.Costs, idle: Sequence[Idle]) -> str:
    rest = Rest.fitted(*idle[:2]) if len(idle) > 1 else None
    rows = []
    for speakers in (2, 5, 10, 25, 50, 100, LIMIT):
        group = Group(speakers)
        share = rest.share(group) if rest else group.share(cost)
        rows.append(
            (
                f"{speakers}",
                f"{group.interval_s * 1000:.0f} ms",
                f"{group.frame_b} B",
                report.number(group.received_per_s),
                f"{group.port_bit_s / 1e6:.2f} Mbit/s",
                f"{share * 100:.1f} %",
                f"{group.dead_after_s * 1000:.0f} ms",
            )
        )
    whole = "CPU a node" if rest else "CPU a node, core of the protocol alone"
    head = ("speakers", "interval", "frame", "frames/s", "a port", whole, "dead after")
    return _markdown(head, rows)


def _check(idle: Sequence[Idle]) -> str:
    if len(idle) < 2:  # noqa: PLR2004  # a line has two points
        return "Not checked in this run: `--idle` was not given.\n"
    rest = Rest.fitted(*idle[:2])
    rows = []
    for number, one in enumerate(idle):
        group = Group(one.speakers)
        rows.append(
            (
                f"{one.speakers}",
                f"{one.share * 100:.2f} %",
                f"{rest.share(group) * 100:.2f} %",
                "fitted to it" if number < 2 else f"{rest.share(group) / one.share - 1:+.0%}",  # noqa: PLR2004  # likewise
            )
        )
    cores = rest.share(Group(MANY_SPEAKERS)) * MANY_SPEAKERS
    told = (
        f"So a speaker uses {rest.fixed * 100:.2f} % of a core whatever the group, and "
        f"{rest.frame_s * 1e6:.0f} us a frame with kernel, socket and event loop. "
        f"{MANY_SPEAKERS} of them on one machine would use {cores:.1f} of its cores, to which "
        "their nodes' service proxies, agents and the control plane come: a lab on two cores can "
        "not hold them.\n"
    )
    return _markdown(("speakers in the lab", "measured", "model", "off by"), rows) + "\n" + told


def _clusters() -> Iterable[Cluster]:
    for nodes, balancers in itertools.product(NODES, BALANCERS):
        yield Cluster(nodes, SERVICES, balancers)


def _syncs(cost: costs.Costs) -> str:
    rows = [
        (
            f"{each.nodes:,}",
            f"{each.balancers}",
            f"{each.services // each.balancers:,}",
            f"{each.sync_s(cost):.2f} s" if each.is_accepted(cost) else "refused",
            f"{each.request_b(cost) / 1e6:.1f} MB",
        )
        for each in _clusters()
    ]
    head = ("nodes", "balancers", "Services of one", "webhook's CPU a sync", "request")
    services, nodes = costs.SYNC_CHECK
    checked = Cluster(nodes, services, 1).sync_s(cost)
    told = (
        f"A sync of {services} Services and {nodes} nodes, to which nothing was fitted, takes "
        f"{cost.sync_checked_s * 1000:.0f} ms; the model says {checked * 1000:.0f} ms.\n"
    )
    return f"{_markdown(head, rows)}\n{told}"


def _failures(cost: costs.Costs) -> str:
    rows = []
    for each in _clusters():
        syncs = each.failure_syncs(cost)
        accepted = each.is_accepted(cost)
        rows.append(
            (
                f"{each.nodes:,}",
                f"{each.balancers}",
                report.number(each.held),
                f"{each.announced_within_s:.2f} s",
                f"{each.told_within_s:.0f} s",
                report.number(math.ceil(syncs)) if accepted else "refused",
                f"{syncs * each.sync_s(cost):.1f} s" if accepted else "",
                f"{each.fan_out_b(cost) / 1e6:,.0f} MB",
                report.number(each.listing),
            )
        )
    head = (
        "nodes",
        "balancers",
        "addresses, and status writes",
        "announced within",
        "statuses done after",
        "syncs, at most",
        "their CPU",
        "sent to speakers",
        "children rewritten if it is removed",
    )
    return _markdown(head, rows)


def _speakers(cost: costs.Costs) -> str:
    rows = []
    for services in (100, 1_000, SERVICES):
        each = Cluster(100, services, 10)
        rows.append(
            (
                f"{services:,}",
                f"{each.children:,}",
                f"{each.speaker_memory_b(cost) / 1e6:.1f} MB",
                f"{each.look_s(cost) * 1000:.0f} ms",
            )
        )
    return _markdown(("Services", "children", "their memory", "a look after a change"), rows)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


TEXT: Final = """\
<!-- Generated by `python -m bench scaling`; change bench/scaling.py, not this page. -->
# Scaling

A model, its constants measured, and what it says of clusters that no lab holds: 10, 100 and 1,000
nodes that announce, 10,000 Services of three addresses, one balancer or many.

## Where it ends, and what to do then

| limit | why | what an administrator does |
| --- | --- | --- |
| {limit} nodes that announce on one segment | the list of peers heard must fit into one frame | \
choose fewer nodes by `nodeSelector` (traffic, not availability, asks for more than a few dozen), \
or use several segments: a balancer, its pool and its nodes on each |
| {most} Services of three addresses a balancer | a sync is one request, and the webhook refuses \
one over {body_mib} MiB (`--max-body-bytes`) before it could harm; what exists is announced on | \
more balancers, long before: they share nodes and segments, each has its own pool, and their syncs \
run side by side |
| some ten thousand children a cluster | every speaker watches all of them, and looks through them \
after a change | fewer addresses a Service (`ip-count`), fewer nodes that run speakers |

Nothing of this is in the way of a fail-over: it needs no API server, no sync and no write. Who \
asks gets an answer at once; who does not ask is told by announcements, {burst} at once and \
{announced} a second on each node (`announceRate`).

## Constants

{constants}
Processor time of one core ({machine}), measured by `bench/common/costs.py`. Syncs are at rest, \
Services of three addresses, Nodes with 50 images.

## Heartbeats

A group is all speakers of one segment. Each hears all others; beyond 51 the interval grows, so \
that receiving stays bounded, and so does the time until a node is taken for dead.

{heartbeats}
{check}
Nodes in several segments are several groups that know nothing of each other: 1,000 nodes in ten \
segments cost each node what 100 in one do.

## Syncs

{syncs}
A balancer is synced when one of its Services, children or nodes changes. `python -m bench scale` \
measures what Metacontroller itself adds, through a real API server. A sync whose request is over \
{body_mib} MiB is refused.

## What a node that fails costs the API

The taking over itself writes nothing. {rate} statuses a second and speaker follow after 10 s, and \
none for a node that is back by then; the same again when it is back later. Each write asks for a \
sync of its balancer, which Metacontroller merges while one runs, and goes to every speaker's \
watch. If the node is removed from the cluster, the children that list it (each lists at \
most {listed}) get new lists.

{failures}
The writes depend on the addresses of the node that failed and on nothing else; more balancers \
make each of their syncs smaller.

## Speakers

{speakers}
A speaker spends at most a twentieth of its time on looking, so changes are taken in later. But \
one look is one turn of its loop: it holds a beat up for as long, and 250 ms would be a stall. \
That is why ten thousand children are the limit, and not thirty.
"""


if __name__ == "__main__":
    sys.exit(main())
