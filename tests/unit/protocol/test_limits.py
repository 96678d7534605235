# SPDX-License-Identifier: MIT
"""How many peers one speaker takes, and that what it says of them fits into a frame."""

from __future__ import annotations

import pytest

from speaker.protocol import const, core, events, frame
from tests.simulator.world import INTERFACE, KEY, listed

MAC = bytes.fromhex("525400000001")


class Crowd:
    """One speaker, and as many peers as one likes that hear it."""

    def __init__(self, mtu: int = 1500, node: str = "a") -> None:
        self.now = 1000.0
        self.sent: list[frame.Frame] = []
        self.sizes: list[int] = []
        self._codec = frame.Codec("cluster", (KEY,), (1, 1))
        self.core = core.Core(events.Config("cluster", node, bytes(8), (KEY,)))
        self.tell(self.interfaces(mtu))
        self.tell(events.ChildrenChanged((listed(1, node, "b"),), complete=True))
        self.tell(events.Tick())

    def interfaces(self, mtu: int) -> events.InterfacesChanged:
        return events.InterfacesChanged((events.Interface(INTERFACE, MAC, carrier=True, mtu=mtu),))

    def listen(self) -> None:
        """Let it beat until it has listened for long enough to take what is its own."""
        for _ in range(8):
            self.now += const.INTERVAL_S
            self.tell(events.Tick())

    def said(self, first: int) -> set[bytes]:
        """Return which addresses the speaker has claimed, in its frames from this one on."""
        return {
            address
            for each in self.sent[first:]
            if each.tail.claims is not None
            for address in each.tail.claims.claims
        }

    def tell(self, event: events.Event) -> None:
        for action in self.core.handle(event, self.now):
            if isinstance(action, events.SendHeartbeat):
                self.sent.append(self._codec.decode(action.payload))
                self.sizes.append(len(action.payload))

    def hear(self, number: int, *, sequence: int = 1, flags: int = frame.Flag.FIT) -> None:
        """Let a peer beat that hears the speaker's last words."""
        last = self.sent[-1]
        heard = frame.pack_heard([(last.epoch, last.sequence)])
        beat = self._codec.encode(
            version=1,
            signer=self._codec.key_ids[0],
            epoch=self.epoch(number),
            sequence=sequence,
            flags=flags,
            interval_s=const.INTERVAL_S,
            rank=0,
            claim_number=0,
            well_for_s=1.0,
            fields=frame.field(frame.Tlv.HEARD, heard)
            + frame.identity(f"n{number}", MAC, (1, 1), self._codec.key_ids),
        )
        self.tell(events.HeartbeatReceived(INTERFACE, beat))

    def epoch(self, number: int) -> bytes:
        return number.to_bytes(8)

    def known(self, *, alive: bool) -> set[str]:
        return {peer.node for peer in self.core.peers(self.now) if peer.alive is alive}


def nodes(*numbers: int) -> set[str]:
    return {f"n{number}" for number in numbers}


def test_of_one_peer_more_than_there_may_be_nothing_is_believed():
    crowd = Crowd()
    for number in range(const.PEERS_MAX + 1):
        crowd.hear(number)
    assert crowd.known(alive=True) == nodes(*range(const.PEERS_MAX))
    assert crowd.core.counters[frame.Drop.TOO_MANY_PEERS] == 1


def test_for_a_new_peer_the_one_longest_dead_is_forgotten():
    crowd = Crowd()
    for number in range(const.PEERS_MAX):
        crowd.hear(number)
    for number in (7, 3):
        crowd.now += 0.01
        crowd.hear(number, sequence=2, flags=frame.Flag.LEAVING)
    crowd.hear(const.PEERS_MAX)
    assert crowd.known(alive=False) == nodes(3)
    assert crowd.known(alive=True) == nodes(*range(const.PEERS_MAX + 1)) - nodes(3, 7)
    assert crowd.core.counters[frame.Drop.TOO_MANY_PEERS] == 0


@pytest.mark.parametrize(
    ("mtu", "node", "least"),
    [(1500, "a" * 63, 100), (1500, "a" * 253, 80), (1280, "a" * 63, 80), (576, "a", 30)],
)
def test_a_beat_fits_into_a_frame_however_many_peers_there_are(mtu: int, node: str, least: int):
    crowd = Crowd(mtu, node)
    for number in range(const.PEERS_MAX):
        crowd.hear(number)
    crowd.tell(events.KeysChanged(tuple(bytes([each]) * 32 for each in range(const.KEYS_MAX - 1))))
    crowd.tell(events.KeysChanged((KEY, *(bytes([each]) * 32 for each in range(1, 8)))))
    for _ in range(10):
        crowd.now += const.INTERVAL_S
        crowd.tell(events.Tick(read_at=None))
    assert len(crowd.known(alive=True)) >= least
    assert max(crowd.sizes) <= min(mtu, const.FRAME_BYTES)


@pytest.mark.parametrize("length", range(1, 64))
def test_claims_fit_into_a_frame_whatever_the_nodes_name_and_however_many_keys(length: int):
    crowd = Crowd(1280, "a" * length)
    keys = (KEY, *(bytes([each]) * 32 for each in range(1, const.KEYS_MAX)))
    many = tuple(listed(number, "a" * length) for number in range(1, 201))
    crowd.tell(events.ChildrenChanged(many, complete=True))
    crowd.listen()
    assert len(crowd.said(1)) == 200
    crowd.tell(events.KeysChanged(keys))
    crowd.now += const.INTERVAL_S
    crowd.tell(events.Tick())
    assert max(crowd.sizes) <= 1280


def test_claims_are_packed_anew_for_a_smaller_mtu():
    crowd = Crowd(9000)
    many = tuple(listed(number, "a") for number in range(1, 201))
    crowd.tell(events.ChildrenChanged(many, complete=True))
    crowd.listen()
    crowd.sizes.clear()
    crowd.tell(crowd.interfaces(mtu=1000))
    before = len(crowd.sent)
    crowd.now += const.INTERVAL_S
    crowd.tell(events.Tick())
    assert len(crowd.said(before)) == 200
    assert max(crowd.sizes) <= 1000
