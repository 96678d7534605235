# SPDX-License-Identifier: MIT
"""ARP for the addresses held on one interface: answers, announcements and probes.

scapy builds one frame of each kind an interface; what differs between addresses and askers is
pasted in by slices. Sources: RFC 826, RFC 5227.
"""

import dataclasses
import ipaddress
from collections.abc import Callable
from typing import Final

from scapy.layers import l2

from speaker.wire import bpf, reasons

_FRAME_LENGTH: Final = 42  # Ethernet 14, ARP 28; padding to 60 is the driver's
_BROADCAST: Final = "ff:ff:ff:ff:ff:ff"
_HEADER: Final = bytes.fromhex("0806000108000604")
_REQUEST: Final = b"\x00\x01"
_REPLY: Final = b"\x00\x02"
_NOBODY: Final = str(ipaddress.IPv4Address(0))
_NO_MAC: Final = bytes(6)
_NO_ADDRESS: Final = bytes(4)

Seen = Callable[[bytes, bytes], None]
"""Called with (packed address, MAC) for a frame in which another host claims the address."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one interface, with 0.0.0.0 where the address goes."""

    reply: bytes
    announce_request: bytes
    announce_reply: bytes
    probe: bytes

    @classmethod
    def of(cls, mac: bytes) -> "Frames":
        """Build the frames of the interface with this MAC."""
        hw = mac.hex(":")

        def frame(op: int, hwdst: str) -> bytes:
            arp = l2.ARP(op=op, hwsrc=hw, psrc=_NOBODY, hwdst=hwdst, pdst=_NOBODY)
            return bytes(l2.Ether(src=hw, dst=_BROADCAST) / arp)

        nobody = _NO_MAC.hex(":")
        return cls(
            reply=frame(2, nobody),
            announce_request=frame(1, nobody),
            announce_reply=frame(2, _BROADCAST),
            probe=frame(1, nobody),
        )


class Responder:
    """Answers for the addresses held on one interface; all addresses are packed.

    `conflict` is called when another host claims a held address, `answered` when one claims an
    address that is being probed, `contested` when one probes for that address too.
    """

    receive_length: Final = 64

    def __init__(self, mac: bytes, *, conflict: Seen, answered: Seen, contested: Seen) -> None:
        self._mac = mac
        self._frames = Frames.of(mac)
        self._answers: dict[bytes, bytes] = {}  # address -> bytes 6 to 32 of the answer
        self._probed: set[bytes] = set()
        self._conflict = conflict
        self._answered = answered
        self._contested = contested

    def hold(self, address: bytes) -> None:
        """Answer for the address from now on."""
        self._answers[address] = self._frames.reply[6:28] + address

    def drop(self, address: bytes) -> None:
        """Answer for it no longer."""
        self._answers.pop(address, None)

    def watch(self, address: bytes) -> None:
        """Report whoever claims the address, which is being probed."""
        self._probed.add(address)

    def unwatch(self, address: bytes) -> None:
        """Stop reporting."""
        self._probed.discard(address)

    def program(self, limit: int) -> bpf.Program:
        """Return the kernel filter for what is held and probed."""
        wanted = self._answers.keys() | self._probed
        return bpf.arp_filter({int.from_bytes(address) for address in wanted}, limit)

    def announcements(self, address: bytes) -> tuple[bytes, ...]:
        """Return the gratuitous ARP request and reply (RFC 5227 §3 prefers the request)."""

        def claim(frame: bytes) -> bytes:
            return frame[:28] + address + frame[32:38] + address

        return claim(self._frames.announce_request), claim(self._frames.announce_reply)

    def probe(self, address: bytes) -> bytes:
        """Return the ARP probe (RFC 5227 §2.1.1): sender 0.0.0.0."""
        return self._frames.probe[:38] + address

    def answer(self, frame: bytes) -> bytes | reasons.Ignored:
        """Return the answer to a frame, or why there is none."""
        if len(frame) < _FRAME_LENGTH:
            return reasons.Ignored.TRUNCATED
        if frame[12:20] != _HEADER:
            return _why_not_arp(frame)
        sender_mac = frame[22:28]
        if sender_mac == self._mac:
            return reasons.Ignored.OWN
        if sender_mac[0] & 1 or sender_mac == _NO_MAC:
            return reasons.Ignored.MALFORMED
        operation = frame[20:22]
        sender, target = frame[28:32], frame[38:42]
        if sender in self._answers:
            self._conflict(sender, sender_mac)
        if sender in self._probed:
            self._answered(sender, sender_mac)
        elif sender == _NO_ADDRESS and target in self._probed:
            self._contested(target, sender_mac)
        if operation != _REQUEST:
            return reasons.Ignored.REPLY if operation == _REPLY else reasons.Ignored.MALFORMED
        if sender == target:
            return reasons.Ignored.ANNOUNCEMENT
        middle = self._answers.get(target)
        if middle is None:
            return reasons.Ignored.NOT_OURS
        return sender_mac + middle + frame[22:32]


def _why_not_arp(frame: bytes) -> reasons.Ignored:
    tagged = frame[12:14] in {b"\x81\x00", b"\x88\xa8"}
    return reasons.Ignored.VLAN if tagged else reasons.Ignored.MALFORMED
