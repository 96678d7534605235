# SPDX-License-Identifier: MIT
"""Speakers' drivers and a client on one Ethernet segment, with real sockets."""

import asyncio
import dataclasses
import ipaddress
import math
import os
import time
from errno import ENFILE, ENOBUFS
from typing import Any

import pytest

from speaker import driver
from speaker.protocol import const, events
from speaker.protocol.frame import Drop
from speaker.wire import packet, probes, reasons, segment
from tests.unit.speaker import lan

pytestmark = pytest.mark.namespace


def rested(opened: segment.Segment, client: lan.Client) -> float:
    """Let the announcements of a take be over; return a time when their tokens are back."""
    now = time.monotonic() + 10.0
    opened.work(now, math.inf)
    while client.arp.next(64) is not None:
        pass
    return now


async def test_the_preferred_node_answers_and_the_stand_in_takes_over_when_it_leaves() -> None:
    links = await lan.plug("a0", "b0", lan.CLIENT)
    client = lan.Client(links)
    first, second = lan.Speaker("a"), lan.Speaker("b")
    for speaker, name in ((first, "a0"), (second, "b0")):
        children = [lan.listed(address, name, "a", "b") for address in (lan.HELD, lan.SIX)]
        speaker.use(links, name, *children)
    await lan.until(lambda: first.held == {lan.HELD, lan.SIX} and first.peers and second.peers)
    for address in (lan.HELD, lan.SIX):
        assert await client.answered(address) == lan.mac_of(links, "a0")
    first.driver.tell(events.Leave())
    await lan.until(lambda: events.Left() in first.told.actions)
    assert second.held == {lan.HELD, lan.SIX}
    assert not first.held
    for address in (lan.HELD, lan.SIX):
        assert await client.answered(address) == lan.mac_of(links, "b0")


async def test_a_stranger_with_the_address_is_found_before_it_is_used() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    lan.ip("addr", "add", f"{lan.HELD}/24", "dev", lan.CLIENT)
    speaker = lan.Speaker("a", probes.SHORT)
    speaker.use(links, "a0", lan.listed(lan.HELD, "a0", "a", announced=False))
    await lan.until(lambda: any(isinstance(a, events.InUse) for a in speaker.told.actions))
    stranger = next(a for a in speaker.told.actions if isinstance(a, events.InUse))
    assert stranger.address == lan.HELD
    assert stranger.answered_by.hex(":") == lan.mac_of(links, lan.CLIENT)
    assert not speaker.held


async def test_a_later_claim_by_a_stranger_is_reported_and_the_address_kept() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    client = lan.Client(links)
    speaker = await lan.holder(links)
    client.ask(lan.HELD, psrc=str(lan.HELD))
    await lan.until(lambda: speaker.told.conflicts)
    interface, address, mac = speaker.told.conflicts[0]
    assert (interface, address, mac.hex(":")) == ("a0", lan.HELD, client.mac)
    assert speaker.held == {lan.HELD}


async def test_after_standing_still_nothing_is_answered_from_the_past() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    client = lan.Client(links)
    speaker = await lan.holder(links)
    client.ask(lan.HELD, times=20)
    lan.stand_still(speaker)  # with questions in its queue
    await lan.until(lambda: speaker.told.stalls)
    protocol = speaker.driver.segments["a0"].channels["arp"]
    assert protocol.answered == 0
    releases = [a for a in speaker.told.actions if isinstance(a, events.Release)]
    assert [a.cause for a in releases] == [events.ReleaseCause.STALLED]
    await lan.until(lambda: speaker.held)
    assert await client.answered(lan.HELD) == lan.mac_of(links, "a0")


async def test_a_process_that_stands_still_amid_a_batch_answers_no_more_of_it() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    client = lan.Client(links)
    speaker = await lan.holder(links)
    protocol = speaker.driver.segments["a0"].channels["arp"]
    answer, asked = protocol.responder.answer, 0

    def stand_still(frame: bytes) -> bytes | reasons.Ignored:
        nonlocal asked
        asked += 1
        if asked == 5:
            lan.stand_still(speaker)
        return answer(frame)

    protocol.responder.answer = stand_still  # type: ignore[method-assign]
    while asked < 5:  # anew if this busy machine stood still before
        await lan.until(lambda: speaker.held)
        speaker.told.stalls.clear()
        asked = protocol.answered = 0
        client.ask(lan.HELD, times=60)
        await lan.until(lambda: speaker.told.stalls)
    assert protocol.answered == 4


async def test_whoever_has_much_to_take_goes_on_beating_meanwhile() -> None:
    links = await lan.plug("a0")
    speaker = lan.Speaker("a")
    take_note = speaker.told.acted

    def slowly(action: events.Action, now: float) -> None:
        take_note(action, now)
        time.sleep(0.01)  # as on a busy node

    speaker.told.acted = slowly  # type: ignore[method-assign]
    addresses = {lan.HELD + number for number in range(40)}  # take longer than the dead-interval
    speaker.use(links, "a0", *(lan.listed(address, "a0", "a") for address in addresses))
    await lan.until(lambda: speaker.held == addresses)
    speaker.driver.catch_up()
    assert not speaker.told.stalls
    assert speaker.held == addresses


async def test_whoever_stands_still_amid_a_batch_of_actions_does_not_beat_as_if_nothing_was() -> (
    None
):
    links = await lan.plug("a0")
    speaker = lan.Speaker("a")
    take_note = speaker.told.acted
    stood_still = False

    def stand_still(action: events.Action, now: float) -> None:
        nonlocal stood_still
        take_note(action, now)
        if isinstance(action, events.Take) and not stood_still:
            stood_still = True
            lan.stand_still(speaker)

    speaker.told.acted = stand_still  # type: ignore[method-assign]
    addresses = {lan.HELD + number for number in range(3)}
    speaker.use(links, "a0", *(lan.listed(address, "a0", "a") for address in addresses))
    await lan.until(lambda: stood_still)
    speaker.driver.catch_up()
    assert speaker.told.stalls


async def test_whoever_stands_still_amid_a_batch_of_heartbeats_holds_nothing_then() -> None:
    links = await lan.plug("a0", "b0")
    first, second = lan.Speaker("a"), lan.Speaker("b")
    for speaker, name in ((first, "a0"), (second, "b0")):
        speaker.use(links, name, lan.listed(lan.HELD, name, "a", "b"))
    await lan.until(lambda: first.held and first.peers and second.peers)
    opened = first.driver.segments["a0"]
    read, stood_still = opened.next_heartbeat, False

    def stand_still() -> bytes | None:
        nonlocal stood_still
        payload = read()
        if payload is not None and not stood_still:
            stood_still = True
            lan.stand_still(first)
        return payload

    opened.next_heartbeat = stand_still  # type: ignore[method-assign]
    await lan.until(lambda: stood_still)
    assert first.told.stalls
    releases = [a for a in first.told.actions if isinstance(a, events.Release)]
    assert [a.cause for a in releases] == [events.ReleaseCause.STALLED]


async def test_whoever_can_not_send_its_heartbeats_holds_nothing_any_more() -> None:
    links = await lan.plug("a0")
    speaker = await lan.holder(links)
    opened = speaker.driver.segments["a0"]
    opened.send_heartbeat = lambda _: False  # type: ignore[method-assign,assignment]
    await lan.until(lambda: speaker.told.stalls)
    assert not speaker.held
    assert set(speaker.told.refused) == speaker.told.fenced == {"a0"}


async def test_whoever_can_not_be_heard_takes_nothing_though_its_fence_comes_more_rarely() -> None:
    links = await lan.plug("a0")
    speaker = await lan.holder(links)
    opened = speaker.driver.segments["a0"]
    for _ in range(const.STALLS_COUNTED):
        lan.stand_still(speaker)
        await lan.until(lambda: speaker.told.stalls and speaker.held)
        speaker.told.stalls.clear()
    await lan.until(lambda: speaker.driver.core.interval_s("a0") == 4 * const.INTERVAL_S)
    sends, opened.send_heartbeat = opened.send_heartbeat, lambda _: False  # type: ignore[method-assign,assignment]
    await lan.until(lambda: speaker.told.stalls)
    speaker.told.actions.clear()
    await lan.until(lambda: len(speaker.told.stalls) == 3)
    assert not [told for told in speaker.told.actions if isinstance(told, events.Take)]
    opened.send_heartbeat = sends  # type: ignore[method-assign]
    await lan.until(lambda: speaker.held)


async def test_under_a_flood_on_one_interface_the_peers_on_another_are_heard() -> None:
    links = await lan.plug("a0", "a1", "b1")
    lan.ip("link", "set", "port-a0", "nomaster")
    first, second = lan.Speaker("a"), lan.Speaker("b")
    second.use(links, "b1", lan.listed(lan.HELD, "b1", "b", "a"))
    both = [link for link in links.links.values() if link.name in {"a0", "a1"}]
    first.driver.use_links(both, ["a0", "a1"])
    children = (lan.listed(lan.SIX, "a0", "a"), lan.listed(lan.HELD, "a1", "b", "a"))
    first.driver.tell(events.ChildrenChanged(children, complete=True))
    await lan.until(lambda: second.held and first.peers and second.peers and first.held)
    opened = first.driver.segments["a0"]
    opened.next_heartbeat = lambda: b"noise"  # type: ignore[method-assign]
    over = time.monotonic() + 4 * const.DEAD_AFTER_INTERVALS * const.INTERVAL_S
    await lan.until(lambda: time.monotonic() > over)
    silenced = events.PeerChanged("a1", "b", alive=False, cause=events.PeerCause.SILENT)
    assert silenced not in first.told.actions


async def test_under_a_flood_of_heartbeats_the_dead_are_buried_all_the_same() -> None:
    links = await lan.plug("a0", "b0")
    first, second = lan.Speaker("a"), lan.Speaker("b")
    for speaker, name in ((first, "a0"), (second, "b0")):
        speaker.use(links, name, lan.listed(lan.HELD, name, "b", "a"))
    await lan.until(lambda: second.held and first.peers and second.peers)
    second.driver.close()
    # The queue is never found empty: whatever is read, there is more.
    opened = first.driver.segments["a0"]
    opened.next_heartbeat = lambda: b"noise"  # type: ignore[method-assign]
    for _ in range(200):
        if first.held:
            break
        time.sleep(const.INTERVAL_S / 5)  # noqa: ASYNC251 - what is done, the timer does
        first.driver._on_timer()
    assert first.held


async def test_in_a_large_group_heartbeats_gather_before_they_wake_the_process_again() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    speaker = await lan.holder(links)
    others = packet.PacketSocket(lan.CLIENT, const.ETHERTYPE)
    lan.closing.callback(others.close)
    frame = const.GROUP_MAC + bytes.fromhex("020000000001") + const.ETHERTYPE.to_bytes(2) + b"noise"
    crowd = driver.GATHER_FROM_PEERS
    gathered_s = crowd * driver.GATHER_S_PER_PEER
    speaker.driver.core.count_peers = lambda _: crowd  # type: ignore[method-assign,assignment]
    woken, read = 0, speaker.driver._on_heartbeats

    def wake(opened: segment.Segment) -> None:
        nonlocal woken
        woken += 1
        read(opened)

    speaker.driver._on_heartbeats = wake  # type: ignore[method-assign]
    await lan.until(lambda: others.send(frame) and woken)
    before, began = woken, time.monotonic()
    seen = speaker.driver.core.counters[Drop.MALFORMED]
    for _ in range(500):
        others.send(frame)
        await asyncio.sleep(0)
    await lan.until(lambda: speaker.driver.core.counters[Drop.MALFORMED] >= seen + 500)
    assert woken - before <= 1 + (time.monotonic() - began) / gathered_s


async def test_defences_and_probes_share_the_tokens_of_announcements() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    client = lan.Client(links)
    speaker = await lan.holder(links, probes.SHORT)
    opened = speaker.driver.segments["a0"]
    now = rested(opened, client)
    for number in range(1, 101):
        opened.probe(lan.HELD + number, now)
    opened.defend(lan.HELD)
    opened.work(now, math.inf)
    sent = [frame for _ in range(200) if (frame := client.arp.next(64)) is not None]
    assert len(sent) <= lan.BURST
    defence = [frame for frame in sent if frame[28:32] == frame[38:42] == lan.HELD.packed]
    assert len(defence) == 1
    assert opened.next_at(now) == pytest.approx(now + 1 / lan.RATE)


@pytest.mark.parametrize("by", ["timer", "event"])
async def test_an_answer_to_a_probe_that_lies_unread_is_read_before_silence_counts(by: str) -> None:
    links = await lan.plug("a0", lan.CLIENT)
    client = lan.Client(links)
    speaker = lan.Speaker("a", probes.SHORT)
    speaker.use(links, "a0", lan.listed(lan.HELD, "a0", "a", announced=False))
    opened = speaker.driver.segments["a0"]
    await lan.until(lambda: opened.probing)
    # All that is left is done without the event loop, as by one that is far behind.
    client.ask(lan.HELD, op=2, psrc=str(lan.HELD))
    ends_at = time.monotonic() + probes.SHORT.patience_s
    while opened.probing and time.monotonic() < ends_at + 1.0:
        if by == "timer":
            speaker.driver._on_timer()
        else:
            speaker.driver.tell(events.Tick())
    assert not speaker.held
    assert any(isinstance(action, events.InUse) for action in speaker.told.actions)


async def test_a_heartbeat_that_is_due_does_not_wait_for_its_turn_in_a_busy_loop() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    speaker = await lan.holder(links)
    others = packet.PacketSocket(lan.CLIENT, const.ETHERTYPE)
    lan.closing.callback(others.close)
    # The process is busy with something else, longer than the interval and less than the fence.
    time.sleep(2 * const.INTERVAL_S)  # noqa: ASYNC251 - the loop must not turn
    assert others.next(1514) is None
    speaker.driver.catch_up()
    assert others.next(1514) is not None
    assert not speaker.told.stalls
    assert max(speaker.told.late) >= const.INTERVAL_S


async def test_what_a_node_that_may_be_deaf_holds_is_announced_once_it_receives_something() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    client = lan.Client(links)
    speaker = await lan.holder(links)
    opened = speaker.driver.segments["a0"]
    now = rested(opened, client)
    opened.isolate(alone=True, abruptly=True)
    opened.reassert(lan.HELD, now)
    opened.work(now, math.inf)
    assert client.arp.next(64) is None
    client.ask(lan.HELD)
    opened.work(now, math.inf)
    assert client.arp.next(64) is not None


async def test_whoever_stood_still_sends_neither_announcements_nor_probes() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    client = lan.Client(links)
    speaker = await lan.holder(links, probes.SHORT)
    opened = speaker.driver.segments["a0"]
    now = rested(opened, client)
    for until, said in ((-math.inf, False), (math.inf, True)):
        opened.reassert(lan.HELD, now)
        opened.work(now, until)
        assert (client.arp.next(64) is not None) is said
        while client.arp.next(64) is not None:
            pass
        opened.probe(lan.HELD + (2 if said else 1), now)
        opened.work(now, until)
        assert (client.arp.next(64) is not None) is said
        while client.arp.next(64) is not None:
            pass


async def test_an_interface_that_vanishes_takes_its_addresses_along_and_brings_them_back() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    speaker = await lan.holder(links)
    lan.ip("link", "del", "a0")
    speaker.driver.use_links([], ["a0"])
    assert not speaker.held
    assert not speaker.driver.segments
    lan.ip("link", "add", "name", "a0", "type", "veth", "peer", "name", "port-a0")
    lan.ip("link", "set", "port-a0", "master", "switch", "up")
    lan.ip("link", "set", "a0", "up")
    again = await lan.links()
    speaker.follow(again, "a0")
    await lan.until(lambda: speaker.held == {lan.HELD})
    assert await lan.Client(again).answered(lan.HELD) == lan.mac_of(again, "a0")


async def test_a_changed_mac_is_announced_anew() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    speaker = await lan.holder(links)
    lan.ip("link", "set", "a0", "address", "02:00:00:00:00:77")
    again = await lan.links()
    speaker.follow(again, "a0")
    await lan.until(lambda: speaker.held)
    assert await lan.Client(again).answered(lan.HELD) == "02:00:00:00:00:77"


async def test_frames_about_other_addresses_do_not_wake_the_process() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    client = lan.Client(links)
    speaker = await lan.holder(links)
    for last in range(100, 200):
        client.ask(ipaddress.IPv4Address(f"192.0.2.{last}"))
    await client.answered(lan.HELD)
    protocol = speaker.driver.segments["a0"].channels["arp"]
    assert protocol.answered >= 1
    assert protocol.ignored[reasons.Ignored.NOT_OURS] == 0


async def test_an_ipv6_address_is_asked_for_where_mld_snooping_switches_deliver() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    speaker = lan.Speaker("a")
    speaker.use(links, "a0", lan.listed(lan.SIX, "a0", "a"))
    opened = speaker.driver.segments["a0"]
    many = [ipaddress.IPv6Address(f"2001:db8::{index:x}") for index in range(1, 201)]
    opened.listen_for([*many, lan.SIX])
    assert lan.groups("a0") >= {f"ff02::1:ff00:{index:x}" for index in range(1, 201)}
    opened.listen_for([lan.SIX])
    assert "ff02::1:ff00:10" in lan.groups("a0")
    assert "ff02::1:ff00:11" not in lan.groups("a0")


async def test_a_macvlan_without_an_address_announces() -> None:
    await lan.plug("a0", lan.CLIENT)
    lan.ip("link", "add", "link", "a0", "name", "m0", "type", "macvlan", "mode", "bridge")
    lan.ip("link", "set", "m0", "up")
    links = await lan.links()
    speaker = lan.Speaker("a")
    speaker.use(links, "m0", lan.listed(lan.HELD, "m0", "a"), lan.listed(lan.SIX, "m0", "a"))
    speaker.driver.segments["m0"].listen_for([lan.SIX])  # a macvlan lets only its groups through
    await lan.until(lambda: speaker.held == {lan.HELD, lan.SIX})
    client = lan.Client(links)
    for address in (lan.HELD, lan.SIX):
        assert await client.answered(address) == lan.mac_of(links, "m0")


async def test_an_interface_that_can_not_be_opened_is_reported_and_the_others_serve() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    speaker = lan.Speaker("a")
    real = links.named("a0")
    assert real is not None
    gone = dataclasses.replace(real, index=99, name="b0")
    speaker.driver.use_links([real, gone], ["a0", "b0"])
    speaker.driver.tell(events.ChildrenChanged((lan.listed(lan.HELD, "a0", "a"),), complete=True))
    await lan.until(lambda: speaker.held == {lan.HELD})
    assert speaker.told.unopened == ["b0"]


async def test_an_interface_that_can_not_be_opened_for_a_moment_is_opened_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "OPEN_AGAIN_S", 0.01)
    opens = segment.Segment
    refusals = [OSError(number, os.strerror(number)) for number in (ENOBUFS, ENOBUFS, ENFILE)]

    def refused(*arguments: Any, **named: Any) -> segment.Segment:
        if refusals:
            raise refusals.pop(0)
        return opens(*arguments, **named)

    monkeypatch.setattr(segment, "Segment", refused)
    links = await lan.plug("a0")
    speaker = lan.Speaker("a")
    speaker.use(links, "a0", lan.listed(lan.HELD, "a0", "a"))
    await lan.until(lambda: speaker.held == {lan.HELD})
    assert speaker.told.unopened == ["a0", "a0"]  # once a reason


async def test_a_claim_set_fits_into_the_frames_of_a_small_mtu() -> None:
    links = await lan.plug("a0", lan.CLIENT)
    lan.ip("link", "set", "a0", "mtu", "1280")
    speaker = lan.Speaker("a")
    addresses = [lan.HELD + number for number in range(200)]
    children = [lan.listed(address, "a0", "a") for address in addresses]
    speaker.use(await lan.links(), "a0", *children)
    await lan.until(lambda: speaker.held == set(addresses))
    assert speaker.driver.segments["a0"].heartbeats.unsent == 0
    # What fits no more is lost, as any frame may be.
    lan.ip("link", "set", "a0", "mtu", "600")
    speaker.use(links, "a0", *children[1:])
    await lan.until(lambda: speaker.held == set(addresses[1:]))
    assert speaker.driver.segments["a0"].heartbeats.unsent > 0
