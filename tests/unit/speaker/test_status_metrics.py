# SPDX-License-Identifier: MIT
"""What /metrics says of what is counted and believed elsewhere."""

import collections
import dataclasses
import ipaddress
import time
import types
from typing import Any

import pytest

from contract import child, names
from speaker import http, knowledge, metrics, status
from speaker.cluster import watch
from speaker.protocol import events, frame
from speaker.wire import reasons

NODE, PEER, THIRD = "a", "b", "c"
HERE = ipaddress.ip_address("192.0.2.10")
THERE = ipaddress.ip_address("192.0.2.11")
SIX = ipaddress.ip_address("2001:db8::10")


def peer(interface: str, node: str, *, alive: bool = True, hears_us: bool = True) -> Any:
    return events.PeerView(
        interface=interface,
        node=node,
        mac=bytes(6),
        alive=alive,
        hears_us=hears_us,
        age_s=0.01,
        interval_s=0.05,
        well_for_s=9.0,
        rank=events.Rank.WELL,
        fit=True,
        claims=0,
    )


def believed(interface: str, address: events.Address, holder: str | None) -> events.AddressView:
    nodes = (NODE, PEER)
    return events.AddressView(interface, address, nodes, 1, nodes, holder, holder == NODE, "")


def segment(*held: events.Address) -> Any:
    """A segment that has sent, answered, ignored and lost something, each number another one."""

    def channel(first: int) -> Any:
        ignored = dict.fromkeys(reasons.Ignored, 0) | {reasons.Ignored.NOT_OURS: first + 1}
        socket = types.SimpleNamespace(unsent=first + 2, dropped=lambda: first + 3)
        return types.SimpleNamespace(answered=first, ignored=ignored, socket=socket)

    return types.SimpleNamespace(
        held=frozenset(held),
        heartbeats=types.SimpleNamespace(unsent=5, dropped=lambda: 6),
        channels={"arp": channel(10), "ndp": channel(20)},
    )


class Speaker:
    """The parts of a daemon that the page reads."""

    def __init__(self) -> None:
        self.view = events.View(peers=(), addresses=(), leaving=False, key_ids=(b"\x0a\x0b",))
        self.metrics = metrics.Metrics()
        self.known = knowledge.Knowledge(NODE)
        self.observed = types.SimpleNamespace(refused=[], nowhere=frozenset(), alone=set())
        self.heard_at: dict[str, float] = {}
        self.notices = types.SimpleNamespace(lost=0)
        core = types.SimpleNamespace(
            view=lambda _: self.view,
            counters=collections.Counter(),
            interval_s={"eth0": 0.05, "eth1": 0.2}.__getitem__,
        )
        self.driver = types.SimpleNamespace(core=core, segments={})

    def samples(self) -> dict[str, float]:
        page: http.Page = status.pages(self)["/metrics"]()  # type: ignore[arg-type] # a stand-in
        lines = [line for line in page.body.splitlines() if not line.startswith("#")]
        series = (line.rpartition(" ") for line in lines)
        return {
            name.removeprefix("l2lb_speaker_"): float(number)
            for name, _, number in series
            if number != "+Inf"
        }


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


def test_what_is_believed_is_counted_by_interface(speaker: Speaker) -> None:
    speaker.driver.segments = {"eth0": segment(HERE, SIX), "eth1": segment()}
    speaker.view = dataclasses.replace(
        speaker.view,
        peers=(
            peer("eth0", PEER),
            peer("eth0", THIRD, hears_us=False),
            peer("eth1", PEER, alive=False, hears_us=False),
        ),
        addresses=(
            believed("eth0", HERE, NODE),
            believed("eth0", THERE, None),
            believed("eth1", THERE, PEER),
        ),
    )
    speaker.observed.alone = {"eth1"}
    found = speaker.samples()
    for name, on_eth0, on_eth1 in (
        ("held_addresses", 2, 0),
        ("unannounced_addresses", 1, 0),
        ("heartbeat_interval_seconds", 0.05, 0.2),
        ("peers", 2, 0),
        ("deaf_peers", 1, 0),
        ("alone", 0, 1),
    ):
        assert found[f'{name}{{interface="eth0"}}'] == on_eth0, name
        assert found[f'{name}{{interface="eth1"}}'] == on_eth1, name
    assert found['keys{ids="0a0b"}'] == 1


def test_of_what_is_gone_no_series_is_left(speaker: Speaker) -> None:
    speaker.driver.segments = {"eth0": segment(HERE)}
    speaker.observed.refused = [names.AnnouncedReason.ADDRESS_CONFLICT]
    speaker.samples()
    speaker.driver.segments = {}
    speaker.observed.refused = []
    speaker.view = dataclasses.replace(speaker.view, key_ids=(b"\x0c",))
    gauges = ("held_", "unannounced_", "peers{", "deaf_", "alone", "blocked_", "keys")
    assert [name for name in speaker.samples() if name.startswith(gauges)] == ['keys{ids="0c"}']


def test_sockets_tell_what_they_answered_ignored_and_lost(speaker: Speaker) -> None:
    speaker.driver.segments = {"eth0": segment()}
    found = speaker.samples()

    def of(name: str, protocol: str, more: str = "") -> float:
        return found[f'{name}{{interface="eth0",protocol="{protocol}"{more}}}']

    for protocol, first in (("arp", 10), ("ndp", 20)):
        assert of("answered_total", protocol) == first
        assert of("ignored_total", protocol, ',reason="not-ours"') == first + 1
        assert of("ignored_total", protocol, ',reason="stale"') == 0
        assert of("unsent_total", protocol) == first + 2
        assert of("queue_full_total", protocol) == first + 3
    assert (of("unsent_total", "heartbeat"), of("queue_full_total", "heartbeat")) == (5, 6)
    assert found['conflicts_total{interface="eth0"}'] == 0
    assert found['taken_total{interface="eth0",cause="holder-died"}'] == 0


def test_totals_that_are_counted_elsewhere_are_taken_over_and_not_added_up(
    speaker: Speaker,
) -> None:
    speaker.driver.segments = {"eth0": segment()}
    speaker.driver.core.counters[frame.Drop.FORGED] = 7
    speaker.notices.lost = 3
    speaker.samples()
    found = speaker.samples()
    assert found['heartbeats_dropped_total{reason="forged"}'] == 7
    assert found['heartbeats_dropped_total{reason="replayed"}'] == 0
    assert found["events_lost_total"] == 3
    assert found['answered_total{interface="eth0",protocol="arp"}'] == 10


def test_addresses_that_are_not_taken_are_counted_by_reason(speaker: Speaker) -> None:
    conflict, blocked = (
        names.AnnouncedReason.ADDRESS_CONFLICT,
        names.AnnouncedReason.HEARTBEATS_BLOCKED,
    )
    speaker.observed.refused = [conflict, blocked, conflict]
    speaker.observed.nowhere = frozenset({HERE, THERE, SIX})
    for _ in range(2):
        found = speaker.samples()
        assert found[f'blocked_addresses{{reason="{conflict}"}}'] == 2
        assert found[f'blocked_addresses{{reason="{blocked}"}}'] == 1
        assert found[f'blocked_addresses{{reason="{names.AnnouncedReason.NO_INTERFACE}"}}'] == 3


def test_how_long_ago_the_api_server_was_heard_is_told(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    speaker.heard_at = {"child Services": 987.5}
    assert speaker.samples()['watch_age_seconds{resource="child Services"}'] == 12.5


@pytest.mark.parametrize("rank", [events.Rank.WELL, events.Rank.CORDONED])
def test_the_fitness_is_a_number(speaker: Speaker, rank: events.Rank) -> None:
    spec = {"unschedulable": rank is events.Rank.CORDONED}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    node = {"metadata": {"name": NODE}, "spec": spec, "status": ready}
    speaker.known.take_node(watch.Snapshot({("", NODE): node}))
    assert speaker.samples()["fitness_rank"] == rank


def test_memory_is_told_in_bytes(speaker: Speaker) -> None:
    # A Python process has some megabytes; pages or kilobytes would be far fewer.
    assert 4e6 < speaker.samples()["resident_bytes"] < 1e11


def made(name: str, address: events.Address) -> dict[str, Any]:
    encoded = child.encode(
        child.Child(
            namespace="shop",
            name=name,
            service="web",
            service_uid="u",
            balancer="front",
            address=address,
            nodes=(NODE, PEER),
            list_version=1,
            ports=(child.Port(80),),
            planned=1,
            interfaces=("eth0",),
            failback_delay_s=0.0,
        )
    )
    created = {"resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    encoded["metadata"] |= created
    return {**encoded, "status": {}}


def test_a_pools_addresses_are_counted_once_each_and_by_family(speaker: Speaker) -> None:
    pool = {
        "metadata": {"name": "front"},
        "spec": {"addressPool": ["192.0.2.10-192.0.2.13", "2001:db8::10-2001:db8::11"]},
    }
    speaker.known.balancers.apply(watch.Snapshot({("", "front"): pool}))
    children = {
        ("shop", "web-1"): made("web-1", HERE),
        ("shop", "web-2"): made("web-2", THERE),
        ("shop", "mail-1"): made("mail-1", THERE),  # shares it
    }
    speaker.known.children.apply(watch.Snapshot(children))
    found = speaker.samples()
    assert found['pool_addresses{balancer="front",family="ipv4"}'] == 4
    assert found['pool_addresses{balancer="front",family="ipv6"}'] == 2
    assert found['assigned_addresses{balancer="front",family="ipv4"}'] == 2
    assert found['assigned_addresses{balancer="front",family="ipv6"}'] == 0

    speaker.known.children.apply(watch.Deleted(("shop", "web-1")))
    assert speaker.samples()['assigned_addresses{balancer="front",family="ipv4"}'] == 1
    speaker.known.balancers.apply(watch.Snapshot({}))
    speaker.known.children.apply(watch.Snapshot({}))
    left = [name for name in speaker.samples() if name.startswith(("pool_", "assigned_"))]
    assert left == []
