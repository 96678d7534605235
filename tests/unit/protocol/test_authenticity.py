# SPDX-License-Identifier: MIT
from __future__ import annotations

import random
from typing import TYPE_CHECKING

from speaker.protocol import events, frame
from tests.simulator.world import INTERFACE, KEY, Network, World, address, listed

if TYPE_CHECKING:
    from collections.abc import Callable

X = address(1)
FIXED = (0.0002, 0.0002)  # no chance in it: two runs can be compared
OTHER_KEY = bytes(reversed(KEY))


def eventful(inject: Callable[[World], None] | None = None) -> World:
    """A cluster in which a holder dies, returns, and another leaves."""
    world = World("abcd", network=Network(delay_s=FIXED))
    if inject is not None:
        world.at(world.now, lambda: inject(world))
    world.start([listed(n + 1, *"abcd"[n:], *"abcd"[:n], failback_delay_s=2.0) for n in range(4)])
    world.run(5.0)
    world.nodes["a"].kill()
    world.run(2.0)
    world.nodes["a"].start()
    world.run(5.0)
    world.nodes["b"].leave()
    world.run(3.0)
    return world


def moves(world: World) -> list[tuple[float, str, events.Take | events.Release]]:
    """What moved, address by address."""
    moved = [(t, n, a) for t, n, a in world.log if isinstance(a, events.Take | events.Release)]
    return sorted(moved, key=lambda each: each[2].address.packed)


def assert_undisturbed(attacked: World) -> None:
    """Each address moves as without the attack, and no move is a beat and a half later."""
    expected = moves(eventful())
    seen = moves(attacked)
    assert [each[1:] for each in seen] == [each[1:] for each in expected]
    for (when, *_), (then, *_) in zip(seen, expected, strict=True):
        assert abs(when - then) < 0.075


def test_replayed_frames_change_no_holder_whenever_and_to_whomever_they_are_replayed():
    chance = random.Random(7)

    def replay(world: World) -> None:
        recorded = list(world.recorded)
        for node in world.nodes.values():
            for payload in chance.sample(recorded, min(10, len(recorded))):
                node.receive(payload)
        world.at(world.now + 0.02, lambda: replay(world))

    attacked = eventful(replay)
    assert_undisturbed(attacked)
    core = attacked.nodes["c"].core
    assert core is not None
    assert core.counters[frame.Drop.REPLAYED] > 1000


def test_yesterdays_recording_does_not_raise_the_dead_nor_last_weeks_speakers():
    yesterday = World("abcd", seed=1, network=Network(delay_s=FIXED))
    yesterday.start([listed(1, *"dcba")])
    yesterday.run(10.0)
    recorded = list(yesterday.recorded)

    def replay(world: World) -> None:
        for node in world.nodes.values():
            for payload in recorded[:20]:
                node.receive(payload)
        recorded[:] = [*recorded[20:], *recorded[:20]]
        world.at(world.now + 0.05, lambda: replay(world))

    attacked = eventful(replay)
    assert_undisturbed(attacked)
    core = attacked.nodes["c"].core
    assert core is not None
    assert {peer.node for peer in core.view(attacked.now).peers if peer.alive} == {"a", "d"}


def test_forged_frames_change_nothing():
    forger = frame.Codec("cluster", [OTHER_KEY], (1, 1))
    identity = frame.identity("a", bytes(6), (1, 1), forger.key_ids)

    def forge(world: World) -> None:
        for node in world.nodes.values():
            for recorded in list(world.recorded)[-5:]:
                node.receive(recorded[:20] + bytes(8) + recorded[28:])
            node.receive(
                forger.encode(
                    version=1,
                    signer=forger.key_ids[0],
                    epoch=bytes(8),
                    sequence=1 << 40,
                    flags=1,
                    interval_s=0.05,
                    rank=0,
                    claim_number=1,
                    well_for_s=1e6,
                    fields=identity,
                )
            )
        world.at(world.now + 0.05, lambda: forge(world))

    attacked = eventful(forge)
    assert_undisturbed(attacked)
    core = attacked.nodes["c"].core
    assert core is not None
    assert core.counters[frame.Drop.FORGED] > 100
    assert core.counters[frame.Drop.UNKNOWN_KEY] > 100


def test_another_clusters_speakers_on_the_same_segment_are_not_heeded():
    world = World("ab")
    for node in world.nodes.values():
        node.children = (listed(1, *"ab"),)
    world.nodes["a"].start()
    world.nodes["b"].start(group="another")
    world.run(5.0)
    core = world.nodes["a"].core
    assert core is not None
    assert not core.view(world.now).peers
    assert core.counters[frame.Drop.FOREIGN_GROUP] > 50


def test_a_key_is_replaced_while_everything_runs_and_nobody_dies_or_moves():
    world = World("abc")
    world.start([listed(1, *"abc")])
    world.run(5.0)
    before = len(world.log)
    for keys in ((KEY, OTHER_KEY), (OTHER_KEY, KEY), (OTHER_KEY,)):
        for node in world.nodes.values():  # a Secret reaches one node after the other
            node.tell(events.KeysChanged(keys))
            world.run(1.0)
    world.run(1.0)
    assert not world.deaths
    assert len(world.log) == before
    assert world.recorded[-1][8:12] == frame.key_id(OTHER_KEY)


def test_a_key_is_used_only_when_every_peer_accepts_it():
    world = World("abc")
    world.start([listed(1, *"abc")])
    world.run(1.0)
    for name in "ab":
        world.nodes[name].tell(events.KeysChanged((OTHER_KEY, KEY)))
    world.run(1.0)
    assert {payload[8:12] for payload in list(world.recorded)[-20:]} == {frame.key_id(KEY)}
    world.nodes["c"].tell(events.KeysChanged((OTHER_KEY, KEY)))
    world.run(1.0)
    assert {payload[8:12] for payload in list(world.recorded)[-20:]} == {frame.key_id(OTHER_KEY)}


def test_the_highest_version_that_everybody_reads_is_spoken():
    world = World("abc")
    for name, versions in (("a", (1, 2)), ("b", (1, 2)), ("c", (1, 1))):
        world.nodes[name].children = (listed(1, *"abc"),)
        world.nodes[name].start(versions=versions)
    world.run(5.0)
    assert {payload[4] for payload in list(world.recorded)[-20:]} == {1}
    world.nodes["c"].leave()
    world.run(1.0)
    assert {payload[4] for payload in list(world.recorded)[-20:]} == {2}
    world.nodes["c"].start(versions=(1, 1))
    world.run(5.0)
    assert {payload[4] for payload in list(world.recorded)[-20:]} == {1}
    assert world.holders(X) == ["a"]
    assert not world.deaths


def test_last_words_are_in_the_key_and_the_version_that_the_peers_read():
    world = World("ab")
    for name, versions in (("a", (1, 2)), ("b", (1, 1))):
        world.nodes[name].children = (listed(1, *"ab"),)
        world.nodes[name].start(versions=versions)
    world.run(5.0)
    world.nodes["a"].tell(events.KeysChanged((OTHER_KEY, KEY)))  # the Secret is not at b yet
    world.run(1.0)
    core = world.nodes["b"].core
    assert core is not None
    unread = [core.counters[drop] for drop in (frame.Drop.UNKNOWN_KEY, frame.Drop.VERSION)]
    world.nodes["a"].leave()
    world.run(1.0)
    assert world.holders(X) == ["b"]
    assert not world.deaths
    assert unread == [core.counters[drop] for drop in (frame.Drop.UNKNOWN_KEY, frame.Drop.VERSION)]


def test_strangers_are_greeted_at_most_every_ten_milliseconds_and_never_pile_up():
    world = World("a")
    world.start([listed(1, "a", "b")])
    world.run(1.0)
    other = World(["b"], seed=3)
    recorded = []
    for _ in range(200):
        other.start([listed(1, "a", "b")])
        recorded.append(other.recorded[-1])
    before = world.actions["SendHeartbeat"]
    for payload in recorded:
        world.nodes["a"].receive(payload)
    assert world.actions["SendHeartbeat"] - before <= 1
    world.run(0.1)
    core = world.nodes["a"].core
    assert core is not None
    assert core.counters[frame.Drop.UNPROVEN] == 200
    assert not core.view(world.now).peers


def test_frames_on_an_interface_without_addresses_are_counted_and_dropped():
    world = World("a")
    world.start([listed(1, "b")])
    core = world.nodes["a"].core
    assert core is not None
    assert not core.handle(events.HeartbeatReceived(INTERFACE, b"L2LB"), world.now)
    assert core.counters[frame.Drop.NOT_OURS] == 1
