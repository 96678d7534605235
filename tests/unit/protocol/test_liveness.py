# SPDX-License-Identifier: MIT
from __future__ import annotations

import dataclasses
import itertools

import pytest

from speaker.protocol import const, events, frame, liveness
from tests.simulator import invariants
from tests.simulator.world import EPOCH_S, Network, World, address, listed

X = address(1)


def group(names: str, seconds: float = 5.0, network: Network | None = None) -> World:
    world = World(names, network=network)
    world.start([listed(1, *names)])
    world.run(seconds)
    return world


def alive(world: World, name: str) -> set[str]:
    core = world.nodes[name].core
    assert core is not None
    return {peer.node for peer in core.view(world.now).peers if peer.alive}


def test_five_speakers_that_lose_a_twentieth_of_all_frames_declare_nobody_dead():
    world = group("abcde", 180.0, Network(loss=0.05))
    assert not world.deaths


def test_two_speakers_without_witnesses_that_lose_a_twentieth_declare_nobody_dead():
    world = group("ab", 600.0, Network(loss=0.05))
    assert not world.deaths


def test_five_speakers_that_lose_a_fifth_of_all_frames_declare_nobody_dead_thanks_to_witnesses():
    world = group("abcde", 120.0, Network(loss=0.2))
    assert not world.deaths


def test_a_silent_peer_is_asked_three_times_and_dead_after_250_ms():
    world = group("ab")
    before = world.actions["SendHeartbeat"]
    began = world.now
    world.nodes["a"].kill()
    world.run(0.3)
    assert [name for _, name, _ in world.deaths] == ["b"]
    assert world.deaths[0][0] - began == pytest.approx(0.225, abs=0.026)
    beats = 0.3 / const.INTERVAL_S
    assert world.actions["SendHeartbeat"] - before >= beats + const.ASKS


def test_nobody_dies_by_a_tick_that_did_not_find_the_sockets_empty():
    world = group("ab")
    node = world.nodes["b"]
    world.nodes["a"].kill()
    assert node.core is not None
    for later in range(1, 40):
        actions = node.core.handle(events.Tick(read_at=None), world.now + later / 20)
        assert all(isinstance(action, events.SendHeartbeat) for action in actions)
    actions = [
        action
        for later in range(const.ASKS + 1)
        for action in node.core.handle(events.Tick(), world.now + 2.0 + later / 20)
    ]
    assert any(isinstance(action, events.PeerChanged) for action in actions)


def test_nobody_dies_by_a_tick_that_has_not_read_what_had_come_by_then():
    world = group("ab")
    node = world.nodes["b"]
    read_at = world.now
    world.nodes["a"].kill()
    assert node.core is not None
    for later in range(1, 40):
        tick = events.Tick(read_at=read_at)
        actions = node.core.handle(tick, world.now + later / 20)
        assert all(isinstance(action, events.SendHeartbeat) for action in actions)


def test_an_interface_that_takes_no_heartbeats_costs_the_node_nothing_on_the_other_one():
    world = World("abc", more={"eth1": Network()})
    world.start([listed(1, *"abc", failback_delay_s=1.0, interfaces=("eth0", "eth1"))])
    world.run(5.0)
    world.nodes["a"].set_refusing("eth1", refuses=True)
    world.run(0.3)
    undisturbed = invariants.Monitor(world, invariants.Bounds(no_holder_s=0.0))
    world.run(10.0)
    undisturbed.check()
    assert world.holders(X) == ["a"]
    assert world.holders(X, "eth1") == ["b"]
    world.nodes["a"].set_refusing("eth1", refuses=False)
    world.run(5.0)
    assert world.holders(X, "eth1") == ["a"]


def test_whoever_can_not_be_heard_takes_nothing_while_that_lasts():
    world = group("ab")
    world.nodes["a"].set_refusing("eth0", refuses=True)
    world.nodes["b"].kill()
    world.run(0.5)
    world.log.clear()
    world.run(20.0)
    world.nodes["a"].kill()
    world.nodes["a"].start()
    world.run(10.0)
    assert not any(isinstance(action, events.Take) for _, _, action in world.log)
    world.nodes["a"].set_refusing("eth0", refuses=False)
    world.run(5.0)
    assert world.holders(X) == ["a"]


@pytest.mark.parametrize("phase_s", [each / 200 for each in range(12)])
def test_a_node_that_wakes_mute_takes_nothing_until_the_kernel_takes_a_beat(phase_s: float) -> None:
    world = World("ab")
    world.start([listed(1, *"ab", failback_delay_s=0.0), listed(2, *"ba", failback_delay_s=0.0)])
    world.run(5.0 + phase_s)
    world.nodes["a"].pause()
    world.run(0.3)
    world.log.clear()
    world.nodes["a"].set_refusing("eth0", refuses=True)
    world.nodes["a"].resume()
    world.run(5.0)
    assert not [who for _, who, what in world.log if who == "a" and isinstance(what, events.Take)]
    world.nodes["a"].set_refusing("eth0", refuses=False)
    world.run(5.0)
    assert (world.holders(address(1)), world.holders(address(2))) == (["a"], ["b"])


def test_a_beat_that_was_sent_counts_though_a_frame_said_with_it_was_refused():
    world = group("ab")
    core = world.nodes["a"].core
    assert core is not None
    children = events.ChildrenChanged((listed(1, *"ab"), listed(2, *"ab")), complete=True)
    core.handle(children, world.now)
    said = core.handle(events.Tick(), core.next_deadline)  # and what is claimed since
    assert len(said) > 1
    assert all(isinstance(action, events.SendHeartbeat) for action in said)
    spoke_until = core.fence_at
    for _ in said[1:]:
        core.unsent("eth0")
    assert core.fence_at == spoke_until
    core.unsent("eth0")
    assert core.fence_at < spoke_until


def test_how_long_a_live_peer_was_silent_is_told_when_it_had_to_be_asked():
    world = group("ab")
    world.run(10.0)
    assert not world.silences
    world.nodes["a"].pause()
    world.run(0.2)
    world.nodes["a"].resume()
    world.run(1.0)
    (silence,) = [told for name, told in world.silences if name == "b"]
    assert silence.node == "a"
    assert 0.15 <= silence.silent_s <= 0.25


def test_a_peer_that_only_others_hear_lives_on_for_a_second():
    world = group("abc")
    world.cut(("a", "c"))
    world.run(0.9)
    assert alive(world, "c") == {"a", "b"}
    world.run(0.5)
    assert alive(world, "c") == {"b"}


def test_a_leaving_peer_is_dead_at_once_and_counts_as_no_failure():
    world = group("abc")
    world.nodes["a"].leave()
    world.run(0.01)
    assert alive(world, "b") == {"c"}
    assert not world.deaths


def test_a_process_stopped_for_five_seconds_holds_nothing_before_it_hears_or_answers_anything():
    world = group("abc")
    world.nodes["a"].pause()
    world.run(5.0)
    node = world.nodes["a"]
    assert world.holders(X) == ["b"]
    assert node.core is not None
    assert world.now > node.core.fence_at
    actions = node.core.handle(events.Stalled(), world.now)
    assert actions[0] == events.Release(X, "eth0", events.ReleaseCause.STALLED, None)
    world.run(1.0)


def test_a_stopped_process_that_continues_takes_nothing_from_the_one_that_relieved_it():
    world = group("abc")
    monitor = invariants.Monitor(world, invariants.Bounds(two_holders_s=0.01))
    world.nodes["a"].pause()
    world.run(5.0)
    unbroken = invariants.Monitor(world, invariants.Bounds(two_holders_s=0.01, no_holder_s=0.0))
    world.nodes["a"].resume()
    world.run(29.0)
    unbroken.check()
    monitor.check()
    assert world.holders(X) == ["b"]
    world.run(2.0)
    assert world.holders(X) == ["a"]


def test_a_stall_shorter_than_the_dead_interval_changes_nothing():
    world = group("abc")
    before = len(world.log)
    for _ in range(10):
        world.nodes["a"].pause()
        world.run(0.19)
        world.nodes["a"].resume()
        world.run(0.3)
    assert len(world.log) == before
    assert not world.deaths


def starve(world: World, name: str, *, times: int, for_s: float = 0.3) -> None:
    for _ in range(times):
        world.nodes[name].pause()
        world.run(for_s)
        world.nodes[name].resume()
        world.run(3.0)


@pytest.mark.parametrize(
    ("stalls", "calm_s", "dead_after_s"),
    [
        (0, 0.0, 0.25),
        (1, 0.0, 0.25),
        (2, 0.0, 0.5),
        (3, 0.0, 1.0),
        (9, 0.0, 1.0),
        (9, 30.0, 1.0),
        (9, 60.0, 0.5),
        (9, 120.0, 0.25),
    ],
)
def test_a_node_that_was_starved_lately_is_waited_for_longer(
    stalls: int, calm_s: float, dead_after_s: float
) -> None:
    world = group("abc")
    starve(world, "a", times=stalls)
    world.run(calm_s)
    world.deaths.clear()
    world.nodes["a"].kill()
    killed_at = world.now
    world.run(2.0)
    assert {node for _, _, node in world.deaths} == {"a"}
    for died_at, _, _ in world.deaths:
        # Its last beat was up to an interval before.
        assert 0.8 * dead_after_s <= died_at - killed_at <= dead_after_s + 0.01


@pytest.mark.parametrize("size", [2, 5])
@pytest.mark.parametrize(
    ("stall_s", "every_s"),
    [(0.26, 1.2), (0.3, 1.2), (0.3, 6.0), (0.3, 20.0), (0.3, 35.0), (0.7, 6.0)],
)
def test_stalls_that_go_on_move_nothing_any_more(size: int, stall_s: float, every_s: float) -> None:
    names = "abcde"[:size]
    world = World(names)
    world.start([listed(1, *names, failback_delay_s=1.0)])
    world.run(5.0)
    starve(world, "a", times=3, for_s=0.45)
    core = world.nodes["a"].core
    assert core is not None
    assert core.interval_s("eth0") == 4 * const.INTERVAL_S
    world.deaths.clear()
    world.log.clear()
    for _ in range(round(300.0 / every_s)):
        world.run(world.random.uniform(0.0, 2 * (every_s - stall_s)))
        world.nodes["a"].pause()
        world.run(stall_s)
        world.nodes["a"].resume()
    assert not world.deaths
    assert not world.log
    assert world.holders(X) == ["a"]


@pytest.mark.parametrize("seed", [1, 2])
def test_stalls_that_come_now_and_then_move_nothing_for_an_hour(seed: int) -> None:
    world = World("ab", seed)
    world.start([listed(1, *"ab")])
    world.run(5.0)
    starve(world, "a", times=3, for_s=0.45)
    world.deaths.clear()
    while world.now < 3600.0 + EPOCH_S:
        world.run(world.random.uniform(1.0, 59.0))
        world.nodes["a"].pause()
        world.run(0.3)
        world.nodes["a"].resume()
    assert not world.deaths


def test_a_longer_interval_is_used_once_the_kernel_has_taken_what_announces_it() -> None:
    world = group("ab")
    starve(world, "a", times=1)
    core = world.nodes["a"].core
    assert core is not None
    world.nodes["a"].pause()
    world.run(0.2)
    world.nodes["a"].set_refusing("eth0", refuses=True)  # from its second waking on
    world.run(0.1)
    world.nodes["a"].resume()
    for _ in range(100):
        world.run(0.01)
        assert core.interval_s("eth0") == const.INTERVAL_S
    world.nodes["a"].set_refusing("eth0", refuses=False)
    world.run(1.0)
    assert core.interval_s("eth0") == 2 * const.INTERVAL_S


def held_by_a_starved_one(names: str) -> World:
    """The world after a, which is preferred, has died; c holds its address and was starved."""
    world = World(names)
    world.start([listed(1, *"ac"), *(listed(2, name) for name in names if name == "b")])
    world.run(5.0)
    starve(world, "c", times=3, for_s=0.4)
    world.nodes["a"].kill()
    world.run(3.0)
    assert world.holders(X) == ["c"]
    world.log.clear()
    return world


def assert_nothing_moves_when_it_wakes(world: World) -> None:
    world.nodes["c"].resume()
    world.run(3.0)
    assert [action for _, _, action in world.log if not isinstance(action, events.Alone)] == []
    assert world.holders(X) == ["c"]


@pytest.mark.parametrize("names", ["ac", "abc"])  # with one that says whom it hears, and without
def test_who_starts_waits_for_a_holder_that_may_be_silent_for_longer(names: str) -> None:
    world = held_by_a_starved_one(names)
    world.nodes["c"].pause()
    world.run(0.1)
    world.nodes["a"].start()
    world.run(0.6)
    assert_nothing_moves_when_it_wakes(world)


def test_who_wakes_waits_for_a_holder_that_stands_still_for_longer() -> None:
    world = held_by_a_starved_one("abc")
    world.nodes["a"].start()
    world.run(5.0)
    assert world.holders(X) == ["c"]
    world.log.clear()
    world.nodes["a"].pause()
    world.nodes["c"].pause()
    world.run(0.3)
    world.nodes["a"].resume()
    world.run(0.5)
    assert_nothing_moves_when_it_wakes(world)


@pytest.mark.parametrize("ago_s", [0.0, 0.02, 0.1])
def test_who_starts_waits_for_nobody_whom_the_others_have_found_dead(ago_s: float) -> None:
    world = World("abc")
    world.start([listed(1, *"ab"), listed(2, "c")])
    world.run(5.0)
    world.nodes["a"].kill()
    world.run(5.0)
    assert world.holders(X) == ["b"]
    world.nodes["b"].kill()
    world.run(ago_s)
    world.nodes["a"].start()
    world.run(0.3 + world.probe_s + 2 * const.INTERVAL_S)
    assert world.holders(X) == ["a"]


@pytest.mark.parametrize(("names", "stalls"), [("a", 0), ("a", 3), ("ab", 3)])
def test_a_carrier_that_was_lost_for_an_instant_moves_nothing(names: str, stalls: int) -> None:
    world = World("abc")
    world.start([listed(1, *names, failback_delay_s=1.0), listed(2, *"cb")])
    world.run(5.0)
    starve(world, "a", times=stalls, for_s=0.45)
    world.log.clear()
    world.nodes["a"].set_carrier("eth0", up=False)
    world.run(0.01)
    world.nodes["a"].set_carrier("eth0", up=True)
    world.run(0.3)  # it does not wait for itself, whom the others may list still
    assert world.holders(X) == ["a"]
    world.run(5.0)
    assert {who for _, who, action in world.log if isinstance(action, events.Take)} == {"a"}


def test_who_has_long_been_alone_waits_for_nobody_after_a_stall() -> None:
    world = group("ab")
    world.nodes["b"].kill()
    world.run(300.0)
    world.nodes["a"].pause()
    world.run(0.3)
    world.nodes["a"].resume()
    assert world.holders(X) == []
    world.run(5 * const.INTERVAL_S + 0.01)
    assert world.holders(X) == ["a"]


@pytest.mark.parametrize("refused_s", [0.7, 1.4, 2.5, 3.5])
@pytest.mark.parametrize("stalls", [0, 2, 3])
def test_a_mute_node_takes_nothing_and_soon_all_when_it_is_heard(
    stalls: int, refused_s: float
) -> None:
    world = World("a")
    world.start([listed(1, "a")])
    world.run(5.013)
    starve(world, "a", times=stalls, for_s=0.45)
    world.log.clear()
    world.nodes["a"].set_refusing("eth0", refuses=True)
    world.run(refused_s)
    assert not [action for _, _, action in world.log if isinstance(action, events.Take)]
    world.nodes["a"].set_refusing("eth0", refuses=False)
    world.run(0.5)
    assert world.holders(X) == ["a"]


def test_who_is_alone_takes_what_nobody_can_hold_any_more() -> None:
    world = World("a")
    world.start([listed(1, *"ab")])
    # It listens, and asks whether somebody holds it who is not heard.
    starved_s = const.DEAD_AFTER_INTERVALS * const.INTERVAL_S * const.STARVED_TIMES
    world.run(starved_s + world.probe_s - 0.01)
    assert world.holders(X) == []
    world.run(0.02)
    assert world.holders(X) == ["a"]


def test_silence_of_who_beats_more_rarely_counts_in_proportion() -> None:
    world = group("abc")
    starve(world, "a", times=3)
    world.silences.clear()
    starve(world, "a", times=5, for_s=0.5)
    told = [silence.silent_s for _, silence in world.silences if silence.node == "a"]
    assert told
    assert 0.1 <= min(told) <= max(told) <= 0.175


def test_timers_that_fire_a_tenth_of_a_second_late_kill_nobody():
    world = group("abcde")
    for node in world.nodes.values():
        node.lateness_s = 0.1
    world.run(60.0)
    assert not world.deaths
    assert world.holders(X) == ["a"]


def test_a_speaker_that_hears_nobody_is_not_heeded_by_those_who_hear_others():
    world = group("abcd")
    world.cut(*((other, "a") for other in "bcd"))  # a speaks and hears nothing
    world.run(2.0)
    assert "b" in world.holders(X)
    assert alive(world, "a") == set()
    world.heal()
    world.run(0.5)
    assert len(world.holders(X)) == 1


@pytest.mark.parametrize("stalls", [0, 2, 3])
def test_a_node_that_goes_deaf_keeps_nothing_whoever_beats_more_rarely(stalls: int) -> None:
    world = World("abc")
    lists = (listed(1, *"ba"), listed(2, *"ab"), listed(3, "c"))
    world.start([dataclasses.replace(each, failback_delay_s=1.0) for each in lists])
    world.run(5.0)
    starve(world, "c", times=stalls)
    monitor = invariants.Monitor(world)
    world.log.clear()
    world.cut(("b", "a"), ("c", "a"))  # a hears nobody, clients neither
    before = world.now
    world.run({0: 0.4, 2: 0.6, 3: 1.1}[stalls])  # once it has found the slowest of them dead
    assert "b" in world.holders(address(2))
    while world.now < before + 10.0:
        world.run(0.1)
        monitor.check()
        assert {"b"} <= set(world.holders(X)) & set(world.holders(address(2)))
    # It lost them all at once: it is deaf, and announces nothing.
    told = [action for _, who, action in world.log if isinstance(action, events.Alone)]
    assert told == [events.Alone("eth0", alone=True, abruptly=True)]


@pytest.mark.parametrize("stalls", [0, 2, 3])
def test_nothing_is_given_to_a_deaf_node_before_it_has_found_the_slowest_dead(stalls: int) -> None:
    names = "abcde"
    world = World(names)
    world.start([listed(n, *names[n:], *names[:n], failback_delay_s=1.0) for n in range(1, 5)])
    world.run(5.0)
    starve(world, "e", times=stalls)
    world.run(3.0)
    world.cut(*((other, "a") for other in "bcde"))
    for _ in range(200):
        world.run(0.01)
        assert all(set(world.holders(address(number))) - {"a"} for number in range(1, 5))


def test_a_node_of_two_that_hears_nobody_takes_nothing_away_from_the_other():
    world = World("ab")
    world.start([listed(1, *"ab"), listed(2, *"ba")])
    world.run(5.0)
    assert (world.holders(address(1)), world.holders(address(2))) == (["a"], ["b"])
    world.cut(("a", "b"))  # b hears nothing, perhaps no question either, and declares a dead
    world.run(2.0)
    assert (world.holders(address(1)), world.holders(address(2))) == (["a", "b"], ["a", "b"])
    world.heal()
    world.run(0.5)
    assert all(len(world.holders(address(number))) == 1 for number in (1, 2))


def test_some_lost_beats_between_two_nodes_move_nothing_of_the_one_that_is_heard():
    world = World("ab")
    world.start([listed(1, *"ab"), listed(2, *"ba")])
    world.run(5.0)
    world.log.clear()
    world.cut(("a", "b"))
    world.run(0.3)  # b has just declared a dead; that b hears nobody may still pass
    world.heal()
    world.run(5.0)
    taken = [who for _, who, action in world.log if isinstance(action, events.Take)]
    assert "a" not in taken[:1]
    assert all(len(world.holders(address(number))) == 1 for number in (1, 2))


def test_with_one_link_deaf_in_one_direction_there_is_one_holder():
    for deaf in ("ab", "ba", "ac", "ca", "bc", "cb"):
        world = World("abc")
        world.start([listed(1, *"abc", failback_delay_s=1.0)])
        world.run(5.0)
        world.log.clear()
        world.cut((deaf[0], deaf[1]))
        world.run(20.0)
        assert len(world.holders(X)) == 1, deaf
        taken = [action for _, _, action in world.log if isinstance(action, events.Take)]
        assert len(taken) <= 1, deaf


def test_a_newcomer_that_one_peer_cannot_reach_is_believed_by_it_on_the_word_of_another():
    world = World("abc")
    for node in world.nodes.values():
        node.children = (listed(1, *"abc", failback_delay_s=5.0),)
    world.nodes["b"].start()
    world.nodes["c"].start()
    world.run(5.0)
    world.cut(("b", "a"))  # a does not hear b, so it never echoes what b says
    world.nodes["a"].start()
    world.run(1.0)
    assert alive(world, "b") == {"a", "c"}
    world.run(10.0)
    assert len(world.holders(X)) == 1


def test_a_large_group_that_falls_silent_asks_few_questions_and_gives_few_answers():
    names = [f"n{number:02}" for number in range(30)]
    world = World(names)
    world.start([listed(1, *names[:16])])
    world.run(5.0)
    before = world.actions["SendHeartbeat"]
    world.network.loss = 1.0
    world.run(0.2)  # each has 29 to ask, who fell silent one after another
    beats, asks = 0.2 / const.INTERVAL_S + 1, const.ASKS
    assert world.actions["SendHeartbeat"] - before <= len(names) * (beats + asks)
    before = world.actions["SendHeartbeat"]
    world.network.loss = 0.0
    world.run(1.0)  # and all are asked, or greeted anew
    beats, answers = 1.0 / const.INTERVAL_S + 1, 1.0 / (29 * const.ANSWER_SPACING_PER_PEER_S)
    assert world.actions["SendHeartbeat"] - before <= len(names) * (beats + answers)
    assert len(world.holders(X)) == 1


def test_a_busy_group_beats_no_faster_than_its_interval():
    names = [f"n{number:02}" for number in range(20)]
    world = World(names, network=Network(delay_s=(0.0, 0.02)))  # until it is read, on busy nodes
    for node in world.nodes.values():
        node.lateness_s = 0.01
    world.start([listed(1, *names[:16])])
    world.run(5.0)
    before = world.actions["SendHeartbeat"]
    world.run(5.0)
    beats = (world.actions["SendHeartbeat"] - before) / len(names) / 5.0
    assert beats <= 1 / const.INTERVAL_S / (1 - const.EARLIER_INTERVALS)


def test_a_large_group_lengthens_its_interval_and_stays_alive():
    names = [f"n{number:02}" for number in range(14)]
    world = World(names)
    world.start([listed(1, *names)], interval_s=0.005)
    world.run(4.0)
    core = world.nodes["n00"].core
    assert core is not None
    # 13 peers at a millisecond each, in steps of the base interval.
    assert {peer.interval_s for peer in core.view(world.now).peers} == {0.015}
    assert not world.deaths
    before = world.actions["SendHeartbeat"]
    world.run(1.5)
    assert (world.actions["SendHeartbeat"] - before) / len(names) == pytest.approx(100, abs=3)


def test_a_restarted_speaker_is_a_new_peer_and_its_old_self_falls_silent():
    world = group("abc")
    world.nodes["b"].kill()
    world.nodes["b"].start()
    world.run(1.0)
    core = world.nodes["a"].core
    assert core is not None
    states = [peer.alive for peer in core.view(world.now).peers if peer.node == "b"]
    assert sorted(states) == [False, True]


def test_dead_peers_are_forgotten_after_ten_minutes():
    world = group("ab")
    world.nodes["b"].kill()
    world.run(const.REMEMBERED_S - 1)
    core = world.nodes["a"].core
    assert core is not None
    assert [peer.node for peer in core.view(world.now).peers] == ["b"]
    world.run(2.0)
    assert not core.view(world.now).peers


def beats_of_a_second(world: World) -> list[tuple[float, str]]:
    seen: list[tuple[float, str]] = []

    def overhear(sender: str, payload: bytes) -> bool:
        seen.append((world.now, sender))
        return False

    world.network.lost = overhear
    world.run(1.0)
    return seen


def test_a_group_soon_beats_together_and_no_more_often():
    seen = beats_of_a_second(group("abcde", 10.0))
    assert len(seen) == pytest.approx(5 / const.INTERVAL_S, abs=5)
    (pause,) = {
        round((later - earlier) / const.INTERVAL_S)
        for (earlier, _), (later, _) in itertools.pairwise(seen)
        if later - earlier > const.INTERVAL_S / 10
    }
    assert pause == 1


def hears_proxy(world: World, name: str) -> bool:
    core = world.nodes[name].core
    assert core is not None
    return core.hears_proxy


def test_that_a_proxy_answers_is_heard_while_its_node_lives():
    world = group("ab")
    a = world.nodes["a"]
    happened = len(world.log)
    assert not hears_proxy(world, "b")
    a.tell(events.FitnessChanged(a.rank, vetoed=False, why="", proxy_well=True))
    world.run(0.2)
    assert hears_proxy(world, "b")
    assert not hears_proxy(world, "a")
    assert len(world.log) == happened
    a.kill()
    world.run(0.5)
    assert not hears_proxy(world, "b")


def test_a_flag_about_the_proxy_alone_makes_nobody_look_at_all_addresses():
    codec = frame.Codec("cluster", (bytes(16),), (1, 1))
    peers = liveness.Peers([b"ourselve"])
    peers.sent(1, const.INTERVAL_S, 0.0)

    def hears(flags: int, sequence: int) -> bool:
        payload = codec.encode(
            version=1,
            signer=codec.key_ids[0],
            epoch=b"anothers",
            sequence=sequence,
            flags=flags,
            interval_s=const.INTERVAL_S,
            rank=0,
            claim_number=0,
            well_for_s=1.0,
            fields=frame.field(frame.Tlv.HEARD, frame.pack_heard([(b"ourselve", 1)]))
            + frame.identity("b", bytes(6), (1, 1), codec.key_ids),
        )
        return peers.receive(codec.decode(payload), 0.1)[1]

    fit, proxy = frame.Flag.FIT, frame.Flag.PROXY
    assert hears(fit, 1)
    assert not hears(fit | proxy, 2)
    assert peers.any_reports_proxy()
    assert hears(proxy, 3)
