# SPDX-License-Identifier: MIT
"""The pages: /metrics, /healthz, /readyz, and /status, which says what is believed and why."""

import dataclasses
import enum
import http as http_codes
import json
import math
import pathlib
import resource
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from contract import names, pool
from speaker import http, knowledge, metrics
from speaker.protocol import frame

if TYPE_CHECKING:
    from speaker import daemon

_ITEMS_AT_ONCE: Final = 100  # of a list: a millisecond's work


def pages(speaker: "daemon.Daemon") -> Mapping[str, Callable[[], http.Page]]:
    """Return the pages by path."""
    return {
        "/healthz": lambda: http.Page("ok\n"),
        "/readyz": lambda: _ready(speaker),
        "/metrics": lambda: http.Page(_metrics(speaker), metrics.CONTENT_TYPE),
        "/status": lambda: http.Page("", "application/json", rest=_status(speaker)),
    }


def _ready(speaker: "daemon.Daemon") -> http.Page:
    if speaker.ready:
        return http.Page("ok\n")
    return http.Page(
        "waiting for the lists of children and balancers, or for an interface\n",
        status=http_codes.HTTPStatus.SERVICE_UNAVAILABLE,
    )


def _metrics(speaker: "daemon.Daemon") -> str:
    """Bring the numbers that are counted elsewhere up to date, and render all."""
    counted = speaker.metrics
    now = time.monotonic()
    believed = speaker.driver.core.view(now)
    for gauge in counted.believed:
        gauge.clear()
    for refusal in speaker.observed.refused:
        counted.blocked.add(refusal)
    if speaker.observed.nowhere:
        counted.blocked.set(names.AnnouncedReason.NO_INTERFACE, total=len(speaker.observed.nowhere))
    _count_pools(counted, speaker.known)
    counted.keys.set(",".join(key.hex() for key in believed.key_ids), total=1)
    for name, segment in speaker.driver.segments.items():
        counted.held.set(name, total=len(segment.held))
        counted.unannounced.set(name, total=0)
        counted.peers.set(name, total=0)
        counted.deaf.set(name, total=0)
        counted.alone.set(name, total=name in speaker.observed.alone)
        counted.interval.set(name, total=speaker.driver.core.interval_s(name))
        counted.start(name)
        counted.unsent.set(name, "heartbeat", total=segment.heartbeats.unsent)
        counted.queue_full.set(name, "heartbeat", total=segment.heartbeats.dropped())
        for protocol, channel in segment.channels.items():
            counted.answered.set(name, protocol, total=channel.answered)
            counted.unsent.set(name, protocol, total=channel.socket.unsent)
            counted.queue_full.set(name, protocol, total=channel.socket.dropped())
            for reason, number in channel.ignored.items():
                counted.ignored.set(name, protocol, reason.value, total=number)
    for peer in believed.peers:
        if peer.alive:
            counted.peers.add(peer.interface)
            counted.deaf.add(peer.interface, amount=not peer.hears_us)
    for address in believed.addresses:
        if address.holder is None:
            counted.unannounced.add(address.interface)
    for drop in frame.Drop:
        counted.heartbeats_dropped.set(drop.value, total=speaker.driver.core.counters[drop])
    for name, heard_at in speaker.heard_at.items():
        counted.watch_age.set(name, total=round(now - heard_at, 3))
    counted.fitness.set(total=speaker.known.fitness().rank)
    counted.events_lost.set(total=speaker.notices.lost)
    counted.resident.set(total=_resident_b())
    return counted.render()


def _count_pools(counted: metrics.Metrics, known: knowledge.Knowledge) -> None:
    """Count what is in the balancers' pools, and what of it Services have."""
    counted.pool.clear()
    counted.assigned.clear()
    for balancer in known.balancers.by_name.values():
        for version in pool.VERSIONS:
            if size := balancer.pool.size(version):
                counted.pool.set(balancer.name, f"ipv{version}", total=size)
                counted.assigned.set(balancer.name, f"ipv{version}", total=0)
    shared_once = {
        (each.child.balancer, each.child.address) for each in known.children.by_key.values()
    }
    for name, address in shared_once:
        counted.assigned.add(name, f"ipv{address.version}")


def _status(speaker: "daemon.Daemon") -> Iterator[str]:
    """Return the pieces of a JSON object, of what is believed as of now."""
    believed = speaker.driver.core.view(time.monotonic())
    node = speaker.known.node
    fit = speaker.known.fitness()
    links = speaker.known.links
    return _object(
        {
            "node": speaker.known.name,
            "fitness": {"rank": fit.rank, "why": fit.why},
            "ownNode": None if node is None else _fields(node),
            "proxyWell": speaker.known.proxy.well,
            "listsComplete": speaker.known.complete,
            "leaving": believed.leaving,
            "keyIds": [key.hex() for key in believed.key_ids],
            "links": [
                {**_fields(link), "subnets": sorted(map(str, links.subnets.get(index, ())))}
                for index, link in links.links.items()
            ],
            "peers": believed.peers,
            "addresses": believed.addresses,
            "complaints": speaker.known.complaints(),
        }
    )


def _object(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yield a JSON object with a line for each field and for each item of a list in it.

    A speaker may know thousands of addresses, and its heartbeats wait while a piece is made.
    """
    opening = "{\n"
    for name, value in fields.items():
        yield f"{opening}{json.dumps(name)}: "
        if isinstance(value, list | tuple):
            yield from _list(value)
        else:
            yield json.dumps(_plain(value), allow_nan=False)
        opening = ",\n"
    yield "\n}\n"


def _list(items: Sequence[Any]) -> Iterator[str]:
    opening = "["
    for begin in range(0, len(items), _ITEMS_AT_ONCE):
        encoded = [
            json.dumps(_plain(item), allow_nan=False)
            for item in items[begin : begin + _ITEMS_AT_ONCE]
        ]
        yield f"{opening}\n" + ",\n".join(encoded)
        opening = ","
    yield "[]" if opening == "[" else "\n]"


def _plain(value: Any) -> Any:
    """Return the value as JSON can show it; what is infinite or unknown is null."""
    # The most frequent first, and an enumeration's number before plain ones.
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, enum.Enum):
        return value.name.lower()
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.hex(":")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(_fields(value))
    return str(value)


def _fields(value: Any) -> dict[str, Any]:
    """Return the fields as they are; `dataclasses.asdict` copies all within, and takes long."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _resident_b() -> int:
    pages_held = int(pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages_held * resource.getpagesize()
