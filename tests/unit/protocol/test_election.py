# SPDX-License-Identifier: MIT
from __future__ import annotations

import dataclasses
import math

from speaker.protocol import events, frame
from speaker.protocol.events import Rank, ReleaseCause, TakeCause
from tests.simulator import invariants
from tests.simulator.world import KEY, World, address, listed

X = address(1)


def steady(*children: events.Listed, names: str = "abc", seconds: float = 5.0) -> World:
    world = World(names)
    world.start(children)
    world.run(seconds)
    return world


def fitness(world: World, name: str, rank: Rank, *, vetoed: bool = False) -> None:
    world.nodes[name].tell(events.FitnessChanged(rank, vetoed=vetoed, why=""))


def claims(payload: bytes) -> bool:
    return frame.Codec("cluster", (KEY,), (1, 1)).decode(payload).tail.claims is not None


def moves(world: World) -> list[tuple[str, str]]:
    return [
        (name, type(action).__name__)
        for _, name, action in world.log
        if isinstance(action, events.Take | events.Release)
    ]


def test_the_first_in_the_list_holds_an_address_within_a_third_of_a_second_of_a_cold_start():
    world = World("abc")
    world.start([listed(1, "b", "a", "c")])
    world.run(0.33)
    assert world.holders(X) == ["b"]


def test_nothing_is_taken_before_a_whole_dead_interval_of_listening():
    world = World("abc")
    world.start([listed(1, *"abc")])
    world.run(0.249)
    assert not world.holders(X)


def test_each_address_is_held_by_its_own_preferred_node_and_by_nobody_else():
    world = steady(listed(1, *"abc"), listed(2, *"bca"), listed(3, *"cab"))
    assert [world.holders(address(n)) for n in (1, 2, 3)] == [["a"], ["b"], ["c"]]
    assert len(moves(world)) == 3


def test_after_a_power_cut_the_first_node_up_does_not_take_what_others_are_listed_earlier_for():
    world = World("ab")
    for node in world.nodes.values():
        node.children = (listed(1, "a", "b"), listed(2, "b", "a"))
    world.nodes["b"].start()
    world.run(2.0)
    world.nodes["a"].start()
    world.run(1.0)
    assert world.holders(X) == ["a"]
    assert moves(world) == [("b", "Take"), ("a", "Take")]


def test_an_unheard_node_that_is_listed_earlier_is_waited_for_three_seconds_and_then_probed():
    world = World("abc")
    for name in "bc":
        world.nodes[name].children = (listed(1, *"abc"),)
        world.nodes[name].start()
    world.run(2.99)
    assert not world.holders(X)
    world.run(0.3)
    assert world.holders(X) == ["b"]
    assert world.actions["Probe"] == 1


def test_the_first_stand_in_takes_over_within_the_dead_interval_when_the_cable_is_cut():
    world = steady(listed(1, *"abc"))
    world.unplug("a")
    world.run(0.251)
    assert world.nodes["b"].held.keys() == {X}
    assert not world.nodes["c"].held
    taken = world.log[-1][2]
    assert isinstance(taken, events.Take)
    assert (taken.cause, taken.previous) == (TakeCause.HOLDER_DIED, "a")


def test_a_returned_node_takes_its_address_back_once_it_has_been_well_for_the_delay():
    world = steady(listed(1, *"abc", failback_delay_s=10.0))
    world.nodes["a"].kill()
    world.run(1.0)
    world.nodes["a"].start()
    world.run(9.9)
    assert world.holders(X) == ["b"]
    world.run(0.2)
    assert world.holders(X) == ["a"]
    assert world.log[-1][2] == events.Release(X, "eth0", ReleaseCause.CLAIMED, "a")


def test_a_delay_of_never_leaves_the_address_where_it_is():
    world = steady(listed(1, *"abc", failback_delay_s=math.inf))
    world.nodes["a"].kill()
    world.run(1.0)
    world.nodes["a"].start()
    world.run(3600.0 / 60)
    assert world.holders(X) == ["b"]


def test_only_the_preferred_node_takes_from_a_live_holder():
    world = steady(listed(1, *"abc", failback_delay_s=1.0))
    world.nodes["a"].kill()
    world.nodes["b"].kill()
    world.run(1.5)
    assert world.holders(X) == ["c"]
    world.nodes["b"].start()
    world.run(10.0)
    assert world.holders(X) == ["c"]


def test_a_leaving_holder_stops_only_when_another_answers():
    world = steady(listed(1, *"abc"))
    monitor = invariants.Monitor(world, invariants.Bounds(0.01, no_holder_s=0.0))
    world.nodes["a"].leave()
    world.run(0.01)
    monitor.check()
    assert world.nodes["a"].left
    assert world.holders(X) == ["b"]


def test_a_rolling_restart_of_all_speakers_never_leaves_an_address_unanswered():
    world = steady(*(listed(n + 1, *"abc"[n:], *"abc"[:n], failback_delay_s=1.0) for n in range(3)))
    monitor = invariants.Monitor(world, invariants.Bounds(0.05, no_holder_s=0.0))
    for node in world.nodes.values():
        node.leave()
        world.run(1.0)
        node.start()
        world.run(5.0)
    monitor.check()
    assert [world.holders(address(n)) for n in (1, 2, 3)] == [["a"], ["b"], ["c"]]


def test_the_last_speaker_leaves_at_once_because_nobody_could_take_over():
    world = steady(listed(1, "a"), names="a")
    world.nodes["a"].leave()
    assert world.nodes["a"].left
    assert not world.holders(X)


def test_a_leaving_holder_that_nobody_relieves_stays_for_ten_seconds():
    world = steady(listed(1, *"ab"), names="ab")
    world.nodes["a"].set_children([listed(1, *"ab", version=2)])  # not seen by b yet
    world.nodes["a"].leave()
    world.run(9.9)
    assert world.holders(X) == ["a"]
    world.run(0.2)
    assert world.nodes["a"].left
    assert world.holders(X) == ["b"]


def test_an_address_moves_to_a_better_ranked_node_at_once_and_back_after_the_delay():
    world = steady(listed(1, *"abc", failback_delay_s=5.0))
    monitor = invariants.Monitor(world, invariants.Bounds(0.01, no_holder_s=0.0))
    fitness(world, "a", Rank.CORDONED)
    world.run(0.01)
    assert world.holders(X) == ["b"]
    fitness(world, "a", Rank.WELL)
    world.run(4.9)
    assert world.holders(X) == ["b"]
    world.run(0.2)
    assert world.holders(X) == ["a"]
    monitor.check()


def test_nothing_moves_when_every_node_is_equally_unfit():
    world = steady(listed(1, *"abc"), listed(2, *"bca"))
    for name in "cba":
        fitness(world, name, Rank.NOT_READY)
        world.run(1.0)
    assert [len(world.holders(address(n))) for n in (1, 2)] == [1, 1]
    before = moves(world)
    world.run(20.0)
    assert moves(world) == before


def test_a_vetoed_holder_gives_its_address_up_to_a_claim():
    world = steady(listed(1, *"abc"))
    monitor = invariants.Monitor(world, invariants.Bounds(0.01, no_holder_s=0.0))
    fitness(world, "a", Rank.WELL, vetoed=True)
    world.run(0.01)
    monitor.check()
    assert world.holders(X) == ["b"]


def test_a_holder_without_local_endpoints_gives_up_and_who_declines_does_not_take():
    world = steady(listed(1, *"abc"))
    for name in "ab":
        world.nodes[name].set_children([listed(1, *"abc", declined=True)])
    world.run(0.01)
    assert world.holders(X) == ["c"]


def test_an_address_that_everybody_declines_is_given_up_after_ten_seconds():
    world = steady(listed(1, *"abc"))
    world.set_children([listed(1, *"abc", declined=True)])
    world.run(9.9)
    assert world.holders(X) == ["a"]
    world.run(0.2)
    assert not world.holders(X)
    last = world.log[-1][2]
    assert last == events.Release(X, "eth0", ReleaseCause.NOT_TAKEN_OVER, None)


def test_a_new_list_moves_the_address_to_its_new_preferred_node_without_a_gap():
    world = steady(listed(1, *"abc", failback_delay_s=1.0))
    monitor = invariants.Monitor(world, invariants.Bounds(0.01, no_holder_s=0.0))
    for name in "bca":
        world.nodes[name].set_children([listed(1, *"cb", version=2, failback_delay_s=1.0)])
        world.run(0.5)
    monitor.check()
    assert world.holders(X) == ["c"]


def test_a_speaker_with_a_stale_list_neither_takes_nor_keeps_what_a_newer_list_gives_to_others():
    world = steady(listed(1, *"abc", failback_delay_s=1.0))
    newer = [listed(1, *"bac", version=2, failback_delay_s=1.0)]
    for name in "bc":
        world.nodes[name].set_children(newer)
    world.run(30.0)
    assert world.holders(X) == ["b"]
    assert not world.nodes["a"].held


def test_a_child_made_anew_is_newer_than_the_one_before_whatever_its_version():
    world = steady(listed(1, *"abc", version=7, failback_delay_s=1.0))
    for name in "bc":
        world.nodes[name].set_children(
            [events.Listed(X, ("b", "a"), 1, 1_800_000_000, 1.0, ("eth0",), announced=True)]
        )
    world.run(5.0)
    assert world.holders(X) == ["b"]


def test_an_address_that_the_interface_serves_no_more_is_released_as_one_without_a_link():
    world = steady(listed(1, *"abc"), listed(2, *"abc"))
    world.set_children([listed(1, *"abc", interfaces=()), listed(2, *"abc")])
    (release,) = [action for _, _, action in world.log if isinstance(action, events.Release)]
    assert (release.address, release.cause) == (X, ReleaseCause.LINK_DOWN)


def test_nobody_waits_for_a_node_that_has_no_interface_for_an_address():
    one, other = listed(1, *"abc", failback_delay_s=1.0), listed(2, *"abc")
    world = steady(one, other)
    world.nodes["a"].set_children([dataclasses.replace(one, interfaces=()), other])
    world.run(0.01)
    assert world.holders(X) == ["b"]
    world.nodes["b"].kill()
    world.run(0.3)
    assert world.holders(X) == ["c"]
    world.nodes["a"].set_children([one, other])
    world.run(0.1)
    assert world.holders(X) == ["a"]  # which has long been well


def test_what_a_new_peer_holds_is_waited_for_though_an_earlier_node_was_never_heard():
    world = World("abc")
    for node in world.nodes.values():
        node.children = (listed(1, *"abc"),)
    for name in "bc":
        world.nodes[name].start()
    world.run(8.0)
    assert world.holders(X) == ["b"]
    monitor = invariants.Monitor(world, invariants.Bounds(two_holders_s=0.01))
    world.network.lost = lambda name, payload: name == "c" and claims(payload)
    world.nodes["b"].pause()
    world.run(2.0)
    assert world.holders(X) == ["c"]
    # It hears c beat, but not what c claims.
    world.nodes["b"].resume()
    world.run(0.8)
    assert world.holders(X) == ["c"]
    world.network.lost = None
    world.run(0.5)
    monitor.check()
    assert world.holders(X) == ["c"]


def test_a_deleted_child_is_released_at_once():
    world = steady(listed(1, *"abc"), listed(2, *"abc"))
    world.set_children([listed(2, *"abc")])
    assert not world.holders(X)
    assert world.holders(address(2)) == ["a"]


def test_lists_that_are_not_complete_take_nothing_and_lose_nothing():
    world = steady(listed(1, *"abc"), listed(2, *"abc"))
    world.nodes["b"].kill()
    world.nodes["a"].kill()
    world.nodes["c"].kill()
    b = world.nodes["b"]
    b.start()
    b.tell(events.ChildrenChanged((listed(1, *"bca"),), complete=False))
    world.run(10.0)
    assert not b.held
    b.set_children([listed(1, *"bca"), listed(2, *"bca")])
    world.run(0.3)
    assert b.held.keys() == {X, address(2)}


def test_a_candidate_that_does_not_claim_is_passed_over_after_a_second():
    world = World("abc")
    world.start([listed(1, *"abc", announced=False)])
    world.nodes["a"].answers[X] = b"\2strange"[:6]  # only its own probe is answered
    world.run(2.0)
    assert world.holders(X) == ["b"]


def test_a_fresh_address_is_probed_first_and_not_taken_while_a_stranger_answers():
    world = World("ab")
    stranger = bytes.fromhex("0a0000000001")
    for node in world.nodes.values():
        node.answers[X] = stranger
    world.start([listed(1, *"ab", announced=False)])
    world.run(5.0)
    assert not world.holders(X)
    assert (events.InUse(X, "eth0", stranger)) in [action for _, _, action in world.log]
    for node in world.nodes.values():
        node.answers.clear()
    world.run(11.0)
    assert len(world.holders(X)) == 1
    assert events.Cleared(X, "eth0") in [action for _, _, action in world.log]


def test_whoever_takes_no_part_any_more_is_not_alone_for_ever():
    world = World("ab")
    world.nodes["a"].children = (listed(1, *"ab"),)
    world.nodes["a"].start()
    world.run(1.0)
    world.nodes["a"].set_children(())
    alone = [what.alone for _, _, what in world.log if isinstance(what, events.Alone)]
    assert alone == [True, False]


def test_candidates_that_probe_at_the_same_time_do_not_keep_one_another_from_it():
    # RFC 5227's own pace takes five times as long as a candidate is waited for.
    world = World("abc")
    world.probe_s = 5.0
    world.start([listed(1, *"abc", announced=False)])
    world.run(20.0)
    assert world.holders(X) == ["a"]


def test_a_stranger_that_probes_at_the_same_time_is_as_good_as_an_answer():
    for strangers in ([], [b"\2strange"[:6]]):
        world = World("ab")
        world.probe_s = 1000.0  # the probe does not end by itself
        world.start([listed(1, *"ab", announced=False)])
        world.run(0.9)
        rivals = {X: [world.nodes["b"].mac, *strangers]}
        world.nodes["a"].tell(events.Probed("eth0", {X: None}, rivals))
        found = [what.answered_by for _, _, what in world.log if isinstance(what, events.InUse)]
        assert found == strangers
        assert world.holders(X) == ([] if strangers else ["a"])


def test_an_address_that_one_of_us_announced_before_is_not_probed_in_a_fail_over():
    world = steady(listed(1, *"abc", announced=False))
    assert world.actions["Probe"] == 1
    world.unplug("a")
    world.run(0.251)
    assert world.nodes["b"].held
    assert world.actions["Probe"] == 1


def test_blocked_heartbeats_do_not_make_two_holders():
    world = World("ab")
    world.cut(("a", "b"), ("b", "a"))
    world.start([listed(1, *"ab")])
    for name, other in ("ab", "ba"):  # ARP passes where heartbeats do not
        world.nodes[name].answered_by_holder_on = world.nodes[other]
    world.run(6.0)
    assert [n for n in world.nodes if world.nodes[n].held] == ["a"]
    blocked = events.Blocked(X, "eth0", "a", world.nodes["a"].mac)
    assert blocked in [action for _, name, action in world.log if name == "b"]
    world.nodes["a"].kill()
    world.run(11.0)
    assert world.holders(X) == ["b"]


def test_a_stranger_at_an_address_that_was_announced_is_never_said_to_have_it_in_use():
    world = World("ab")
    stranger = bytes.fromhex("0a0000000001")
    a, b = world.nodes["a"], world.nodes["b"]
    b.answers[X] = stranger
    for node in (a, b):
        node.children = (listed(1, *"ab"),)
    b.start()
    world.run(3.1)
    assert world.actions["Probe"] == 1  # on its way, since heartbeats may be blocked
    a.start()
    world.run(1.0)
    assert events.InUse(X, "eth0", stranger) not in [action for _, _, action in world.log]
    assert len(world.holders(X)) == 1


def test_a_stranger_at_an_address_that_was_announced_may_be_a_node_that_is_not_heard():
    world = World("ab")
    stranger = bytes.fromhex("0a0000000001")
    b = world.nodes["b"]
    b.answers[X] = stranger
    b.children = (listed(1, *"ab"),)
    b.start()
    world.run(6.0)
    assert not b.held
    assert events.Blocked(X, "eth0", "a", stranger) in [action for _, _, action in world.log]


def test_a_preferred_node_that_comes_back_with_a_wrong_key_leaves_its_address_to_the_stand_in():
    world = steady(listed(1, *"ab"), names="ab")
    world.nodes["a"].kill()
    world.run(5.0)
    assert world.holders(X) == ["b"]
    world.cut(("a", "b"), ("b", "a"))  # neither believes the other any more, and ARP still passes
    world.nodes["a"].answered_by_holder_on = world.nodes["b"]
    world.nodes["a"].start()
    world.run(30.0)
    assert not world.nodes["a"].held
    assert world.nodes["b"].held
    world.nodes["b"].kill()
    world.run(11.0)
    assert world.holders(X) == ["a"]


def test_two_sides_of_a_split_each_hold_the_address_and_the_preferred_one_wins_when_it_heals():
    world = steady(listed(1, *"abcd", failback_delay_s=1.0), names="abcd")
    world.partition("ab", "cd")
    world.run(3.0)
    assert world.holders(X) == ["a", "c"]
    world.heal()
    world.run(0.3)
    assert world.holders(X) == ["a"]


def test_a_holder_that_was_alone_yields_to_one_that_has_long_been_well():
    world = steady(listed(1, *"abc"), seconds=60.0)
    world.unplug("a")
    world.run(60.0)
    assert world.holders(X) == ["a", "b"]
    assert events.Alone("eth0", alone=True) in [what for _, who, what in world.log if who == "a"]
    world.heal()
    world.run(0.3)
    assert world.holders(X) == ["b"]
    world.run(30.1)
    assert world.holders(X) == ["a"]


def test_an_address_is_elected_on_each_interface_for_itself():
    world = World("a")
    node = world.nodes["a"]
    child = events.Listed(X, ("a",), 1, 1, 30.0, ("eth0", "eth1"), announced=True)
    core_actions: list[events.Action] = []
    node.start()
    assert node.core is not None
    for event in (
        events.InterfacesChanged(
            (
                events.Interface("eth0", node.mac, carrier=True),
                events.Interface("eth1", node.mac, carrier=True),
            )
        ),
        events.ChildrenChanged((child,), complete=True),
    ):
        core_actions += node.core.handle(event, 1000.0)
    for moment in (1000.0, 1000.1, 1000.25):
        core_actions += node.core.handle(events.Tick(), moment)
    taken = {a.interface for a in core_actions if isinstance(a, events.Take)}
    assert taken == {"eth0", "eth1"}
    down = events.InterfacesChanged((events.Interface("eth1", node.mac, carrier=False),))
    released = node.core.handle(down, 1000.26)
    assert {(a.interface, a.cause) for a in released if isinstance(a, events.Release)} == {
        ("eth0", ReleaseCause.LINK_DOWN),
        ("eth1", ReleaseCause.LINK_DOWN),
    }


def test_a_thousand_addresses_move_at_once_when_their_holder_dies():
    children = [listed(n, *"abc") for n in range(1, 1001)]
    world = steady(*children)
    assert len(world.nodes["a"].held) == 1000
    world.unplug("a")
    world.run(0.26)
    assert len(world.nodes["b"].held) == 1000
    assert not world.nodes["c"].held


def test_a_fail_back_has_two_holders_for_no_longer_than_a_frame_takes():
    world = steady(listed(1, *"abc", failback_delay_s=2.0))
    monitor = invariants.Monitor(world, invariants.Bounds(0.001, no_holder_s=0.3))
    for _ in range(10):
        world.nodes["a"].kill()
        world.run(1.0)
        world.nodes["a"].start()
        world.run(3.0)
        monitor.check()
        assert world.holders(X) == ["a"]


def test_a_newcomer_among_speakers_that_have_long_been_well_does_not_wait_as_after_a_power_cut():
    world = World("abc")
    for node in world.nodes.values():
        node.children = (listed(1, "missing", *"bc"), listed(2, "a"))
    world.nodes["a"].start()
    world.nodes["c"].start()
    world.run(6.0)
    assert world.holders(X) == ["c"]
    world.nodes["b"].start()
    world.run(1.0)
    world.unplug("c")
    world.run(0.26)
    assert "b" in world.holders(X)


def test_two_interfaces_of_a_node_on_one_segment_do_not_take_an_address_from_each_other():
    world = World(["eth0-of-a", "eth1-of-a", "b"])
    for name, node in world.nodes.items():
        node.children = (listed(1, "a", "b", failback_delay_s=1.0),)
        node.start(node=name[-1])
    world.run(10.0)
    assert len(moves(world)) == 3  # both take, one yields
    assert len(world.holders(X)) == 1


def test_a_newcomer_takes_nothing_while_it_does_not_know_yet_what_a_peer_claims():
    world = World("ab")
    for node in world.nodes.values():
        node.children = (listed(1, *"ab"),)
    world.nodes["b"].start()
    world.run(5.0)
    claims = 52  # the first field's type
    world.network.lost = lambda _, payload: payload[claims] == frame.Tlv.CLAIMS
    world.nodes["a"].start()
    world.run(0.9)
    assert world.holders(X) == ["b"]
    world.network.lost = None
    world.run(5.0)
    assert world.holders(X) == ["b"]


def test_nobody_yields_to_what_a_peer_claimed_before_it_fell_silent():
    world = steady(listed(1, *"ab"), names="ab")
    world.partition("a", "b")
    world.run(1.0)
    world.nodes["a"].set_children([listed(1, *"ab", declined=True)])
    world.run(11.0)
    assert world.holders(X) == ["b"]
    monitor = invariants.Monitor(world, invariants.Bounds(no_holder_s=0.0))
    world.heal()
    world.run(5.0)
    monitor.check()
    assert world.holders(X) == ["b"]


def test_who_loses_several_peers_at_once_may_be_deaf():
    for names in ("ab", "abc"):
        world = steady(listed(1, *names), names=names)
        world.log.clear()
        world.cut(*((other, "a") for other in names[1:]))
        world.run(1.0)
        alone = [what for _, who, what in world.log if isinstance(what, events.Alone)]
        assert alone == [events.Alone("eth0", alone=True, abruptly=len(names) > 2)]


def test_a_holder_that_is_no_worse_than_who_looks_keeps_what_the_best_candidate_passes_by():
    world = World("abc")
    world.start([listed(1, *"abc"), listed(2, "a")])
    a = world.nodes["a"]  # is well and has no interface for X, as in another subnet
    a.children = (listed(2, "a"),)
    a.tell(events.ChildrenChanged(a.children, complete=True))
    world.run(10.0)
    for name in "bc":
        fitness(world, name, Rank.CORDONED)
    world.run(5.0)
    (holder,) = world.holders(X)
    world.log.clear()
    world.run(20.0)
    assert world.holders(X) == [holder]
    assert not moves(world)
