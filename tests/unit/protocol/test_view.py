# SPDX-License-Identifier: MIT
from __future__ import annotations

from speaker.protocol import events
from tests.simulator.world import World, address, listed


def test_the_view_says_who_holds_what_and_why():
    world = World("abc")
    world.start([listed(1, *"abc"), listed(2, *"bca"), listed(3, *"cb")])
    world.run(5.0)
    world.nodes["b"].kill()
    world.run(1.0)
    world.nodes["b"].start()
    world.run(5.0)
    core = world.nodes["b"].core
    assert core is not None
    view = core.view(world.now)
    assert {peer.node: (peer.alive, peer.hears_us) for peer in view.peers} == {
        "a": (True, True),
        "c": (True, True),
    }
    assert {peer.mac for peer in view.peers} == {world.nodes[name].mac for name in "ac"}
    assert all(peer.age_s < 0.06 for peer in view.peers)
    shown = {each.address: each for each in view.addresses}
    assert shown[address(1)].why == "a holds it"
    assert shown[address(2)].holder == "c"
    assert shown[address(2)].candidates == ("b", "c", "a")
    assert shown[address(2)].why == (
        "c holds it; this node is preferred and waits for the fail-back delay"
    )
    assert not any(each.held_here for each in view.addresses)
    world.run(30.0)
    held = [each for each in core.view(world.now).addresses if each.held_here]
    assert [(each.address, each.holder, each.why) for each in held] == [
        (address(2), "b", "held here")
    ]


def test_after_a_stall_the_view_soon_says_who_has_taken_over():
    world = World("ab")
    world.start([listed(1, *"ab")])
    world.run(40.0)
    assert world.holders(address(1)) == ["a"]
    world.nodes["a"].pause()
    world.run(1.0)
    world.nodes["a"].resume()
    world.run(1.0)
    core = world.nodes["a"].core
    assert core is not None
    (shown,) = core.view(world.now).addresses
    assert (shown.holder, shown.held_here) == ("b", False)


def test_the_view_shows_a_speaker_that_is_leaving_and_nothing_of_one_that_has_left():
    world = World("ab")
    world.start([listed(1, *"ab")])
    world.run(5.0)
    core = world.nodes["a"].core
    assert core is not None
    world.nodes["a"].set_children([listed(1, *"ab", version=2)])
    core.handle(events.Leave(), world.now)
    assert core.view(world.now).leaving
    core.handle(events.Tick(), world.now + 11.0)
    assert core.view(world.now).addresses == ()
    assert core.handle(events.Tick(), world.now + 12.0) == ()
