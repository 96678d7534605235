# SPDX-License-Identifier: MIT
"""What one unit of work costs here: the constants of the model in `bench/scaling.py`.

All are processor time of one core, measured without a lab: the webhook as a process with real
HTTP, the speaker's code by calling it.
"""

import dataclasses
import datetime as dt
import json
import statistics
import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench import hooks, protocol, requests
from bench.common import machine
from contract import announcement, child, names
from speaker import knowledge
from speaker.cluster import watch

Json = dict[str, Any]
Plane = tuple[float, float, float]  # what is fixed, what a child adds, what a node adds

SYNC_SIZES: Final = ((50, 10), (50, 200), (600, 10))  # Services of 3 addresses, and nodes
SYNC_CHECK: Final = (300, 100)  # not fitted to
SYNC_CALLS: Final = 5
ADDRESSES: Final = 3
LOOKS: Final = 20
PEERS: Final = (5, 50)
VIRTUAL_S: Final = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of one core, and bytes.

    `beat_received_s` and `beat_sent_s` are the protocol core's alone; sockets, the event loop and
    what else a speaker does at rest come to it.
    """

    beat_received_s: float
    beat_sent_s: float
    child_event_s: float  # a speaker takes in one changed child
    refresh_child_s: float  # and looks through all of them, for each child
    child_kept_b: float  # memory of one child in a speaker
    child_b: float  # one child as JSON, as the API server sends it
    sync_s: float  # the webhook's, of an empty balancer
    sync_child_s: float  # for each child more
    sync_node_s: float  # for each node more
    request_b: float  # likewise, of what Metacontroller sends
    request_child_b: float
    request_node_b: float
    sync_checked_s: float  # the webhook's, measured at SYNC_CHECK


def measure() -> Costs:
    """Measure everything, which takes about a minute."""
    received, sent = _beats()
    (sync, checked_s), request, manifests = _syncs()
    announced = [_announced(manifest) for manifest in manifests]
    event, refresh, kept = _speaker(announced)
    return Costs(
        beat_received_s=received,
        beat_sent_s=sent,
        child_event_s=event,
        refresh_child_s=refresh,
        child_kept_b=kept,
        child_b=statistics.fmean(len(_line(one, 0)) for one in announced),
        sync_s=sync[0],
        sync_child_s=sync[1],
        sync_node_s=sync[2],
        request_b=request[0],
        request_child_b=request[1],
        request_node_b=request[2],
        sync_checked_s=checked_s,
    )


def _beats() -> tuple[float, float]:
    """Return what a frame received costs in the larger group, and a beat sent."""
    rows = [protocol.measure(size, 100, VIRTUAL_S) for size in PEERS]
    received: float = rows[-1]["received_mean_us"] / 1e6
    sent: float = statistics.fmean(row["tick_us"] for row in rows) / 1e6
    return received, sent


def _syncs() -> tuple[tuple[Plane, float], Plane, list[Json]]:
    """Return processor time of a sync at rest with a check, its size, and its children."""
    times, sizes = [], []
    manifests: list[Json] = []
    with hooks.webhook() as (client, pid):

        def answer(body: bytes) -> Json:
            response = client.post("/hooks/balancer/sync", content=body)
            response.raise_for_status()
            document: Json = response.json()
            return document

        for services, nodes in (*SYNC_SIZES, SYNC_CHECK):
            _, at_rest = hooks.bodies(services, nodes, answer)
            answer(at_rest)
            before = machine.cpu_s(_family(pid))
            for _ in range(SYNC_CALLS):
                answer(at_rest)
            times.append((machine.cpu_s(_family(pid)) - before) / SYNC_CALLS)
            sizes.append(float(len(at_rest)))
            listed: dict[str, Json] = json.loads(at_rest)["children"][requests.SERVICES]
            manifests = list(listed.values())
    return (_plane(times), times[-1]), _plane(sizes), manifests


def _family(process: int) -> list[int]:
    """Return a process and all that it started."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    return [process, *(found for child in listed.split() for found in _family(int(child)))]


def _plane(values: list[float]) -> Plane:
    """Return what is fixed, and what a child and a node add, from the three sizes."""
    (services, nodes), (_, more_nodes), (more_services, _) = SYNC_SIZES
    a_node = (values[1] - values[0]) / (more_nodes - nodes)
    a_child = (values[2] - values[0]) / ((more_services - services) * ADDRESSES)
    return values[0] - a_node * nodes - a_child * services * ADDRESSES, a_child, a_node


def _announced(manifest: Json) -> Json:
    """Return a child with the status that a speaker writes."""
    address = child.decode(manifest).address
    said = announcement.Announcement.by(
        address, node="node-001", interface="eth0", mac="52:54:00:77:00:0b"
    )
    status = announcement.encode_status(
        said, previous={}, now=dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    )
    return manifest | {"status": status}


def _speaker(manifests: Sequence[Json]) -> tuple[float, float, float]:
    """Return what a changed child costs a speaker, what a child costs each look, and its memory."""
    known = knowledge.Knowledge("node-001")
    pool = requests.balancer(addressPool=["10.0.0.0/16"])
    known.balancers.apply(watch.Snapshot({("", "front"): pool}))
    snapshot = watch.Snapshot({watch.key_of(one): one for one in manifests})
    tracemalloc.start()
    known.children.apply(snapshot)
    known.lists()
    kept = tracemalloc.get_traced_memory()[0] / len(manifests)
    tracemalloc.stop()
    lines = [_line(one, number) for number, one in enumerate(manifests)]
    began = time.process_time()
    for line in lines:
        manifest = json.loads(line)
        known.children.apply(watch.Changed(watch.key_of(manifest), manifest))
    event_s = (time.process_time() - began) / len(lines)
    began = time.process_time()
    for number in range(LOOKS):
        # Something has changed each time, as each time that a speaker looks.
        manifest = json.loads(lines[number])
        manifest["metadata"]["annotations"][names.CHILD_LIST_VERSION] = str(number + 100)
        manifest["metadata"]["resourceVersion"] = f"look-{number}"
        known.children.apply(watch.Changed(watch.key_of(manifest), manifest))
        known.lists()
        known.complaints()
    refresh_s = (time.process_time() - began) / LOOKS / len(manifests)
    return event_s, refresh_s, kept


def _line(manifest: Json, number: int) -> str:
    """Return a child as a watch has it, changed once."""
    metadata = manifest["metadata"] | {"resourceVersion": f"event-{number}"}
    return json.dumps(manifest | {"metadata": metadata}, separators=(",", ":"))
