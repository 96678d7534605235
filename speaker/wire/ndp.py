# SPDX-License-Identifier: MIT
"""NDP for the IPv6 addresses held on one interface: answers, announcements and probes.

scapy builds one frame of each kind an interface; what differs between addresses and askers is
pasted in by slices, and the checksum is completed from a sum kept with each address.
Sources: RFC 4861 §4.3, §4.4, §7; RFC 4862 §5.4 (duplicate address detection).
"""

import dataclasses
import ipaddress
import struct
from collections.abc import Callable
from typing import Final

from scapy.layers import inet6, l2

from speaker.wire import bpf, reasons

_SOLICITATION_LENGTH: Final = 78  # Ethernet 14, IPv6 40, ICMPv6 8, target 16
_ETH_IPV6: Final = b"\x86\xdd"
_VLAN_TYPES: Final = {b"\x81\x00", b"\x88\xa8"}
_ICMPV6: Final = 58
_HOP_LIMIT: Final = 255
_SOLICITATION: Final = 135
_ADVERTISEMENT: Final = 136
_SOURCE_MAC_OPTION: Final = 1
_TARGET_MAC_OPTION: Final = 2
_SOLICITED: Final = 0x40
_OVERRIDE: Final = 0x20
_UNSPECIFIED: Final = bytes(16)
_ALL_NODES: Final = ipaddress.IPv6Address("ff02::1").packed
_ALL_NODES_MAC: Final = bytes.fromhex("333300000001")
_SOLICITED_NODE_PREFIX: Final = ipaddress.IPv6Address("ff02::1:ff00:0").packed[:13]

Seen = Callable[[bytes, bytes], None]
"""Called with (packed address, MAC) for a frame in which another host claims the address."""


def solicited_node(address: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    """Return the multicast group at which solicitations for the address arrive (RFC 4291 §2.7)."""
    return ipaddress.IPv6Address(_SOLICITED_NODE_PREFIX + address.packed[13:])


def multicast_mac(group: ipaddress.IPv6Address) -> bytes:
    """Return the Ethernet address of an IPv6 group (RFC 2464 §7)."""
    return b"\x33\x33" + group.packed[12:]


@dataclasses.dataclass(frozen=True, slots=True)
class Frames:
    """The frames of one interface, with `::` where the address goes and a checksum of 0."""

    advertisement: bytes
    probe: bytes

    @classmethod
    def of(cls, mac: bytes) -> "Frames":
        """Build the frames of the interface with this MAC."""
        hw = mac.hex(":")
        to_all = l2.Ether(src=hw, dst=_ALL_NODES_MAC.hex(":")) / inet6.IPv6(
            src="::", dst="ff02::1", hlim=_HOP_LIMIT
        )
        advertisement = inet6.ICMPv6ND_NA(R=0, S=0, O=1, tgt="::", cksum=0)
        target_mac = inet6.ICMPv6NDOptDstLLAddr(lladdr=hw)
        solicitation = inet6.ICMPv6ND_NS(tgt="::", cksum=0)
        return cls(
            advertisement=bytes(to_all / advertisement / target_mac),
            probe=bytes(to_all / solicitation),
        )


class Responder:
    """Answers for the IPv6 addresses held on one interface; all addresses are packed.

    `conflict` is called when another host claims a held address, `answered` when one claims an
    address that is being probed, `contested` when one probes for that address too.
    """

    receive_length: Final = 256  # a solicitation with a nonce and both address options is 94

    def __init__(self, mac: bytes, *, conflict: Seen, answered: Seen, contested: Seen) -> None:
        self._mac = mac
        self._frames = Frames.of(mac)
        self._answers: dict[bytes, _Answer] = {}
        self._probed: set[bytes] = set()
        self._conflict = conflict
        self._answered = answered
        self._contested = contested

    def hold(self, address: bytes) -> None:
        """Answer for the address from now on."""
        (to_all,) = self.announcements(address)
        self._answers[address] = _Answer.of(to_all)

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
        return bpf.ndp_filter({int.from_bytes(address) for address in wanted}, limit)

    def announcements(self, address: bytes) -> tuple[bytes, ...]:
        """Return the unsolicited advertisement to all nodes (RFC 4861 §7.2.6).

        Its source is the address itself, so the interface needs no other.
        """
        frame = self._frames.advertisement
        return (_with_checksum(frame[:22] + address + frame[38:62] + address + frame[78:]),)

    def probe(self, address: bytes) -> bytes:
        """Return the solicitation of duplicate address detection: source `::`, no option."""
        group = solicited_node(ipaddress.IPv6Address(address))
        frame = self._frames.probe
        return _with_checksum(
            multicast_mac(group) + frame[6:38] + group.packed + frame[54:62] + address
        )

    def answer(self, frame: bytes) -> bytes | reasons.Ignored:
        """Return the answer to a frame, or why there is none."""
        if len(frame) < _SOLICITATION_LENGTH:
            return reasons.Ignored.TRUNCATED
        if frame[12:14] != _ETH_IPV6:
            tagged = frame[12:14] in _VLAN_TYPES
            return reasons.Ignored.VLAN if tagged else reasons.Ignored.MALFORMED
        if frame[6:12] == self._mac:
            return reasons.Ignored.OWN
        target = frame[62:78]
        answer = self._answers.get(target)
        probed = target in self._probed
        if answer is None and not probed:
            return reasons.Ignored.NOT_OURS
        message = _Message.parse(frame)
        if isinstance(message, reasons.Ignored):
            return message
        source = frame[22:38]
        advertises = message.type == _ADVERTISEMENT
        if probed and advertises:
            self._answered(target, message.mac)
        elif probed and source == _UNSPECIFIED:  # somebody's own duplicate address detection
            self._contested(target, message.mac)
        if answer is not None and advertises:
            self._conflict(target, message.mac)
        if advertises:
            return reasons.Ignored.REPLY
        if answer is None:
            return reasons.Ignored.NOT_OURS
        if source == _UNSPECIFIED:
            return answer.to_all
        return answer.to(message.mac, source)


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    """The advertisement of one address, cut where the asker's fields go."""

    to_all: bytes
    head: bytes  # Ethernet source to IPv6 source
    tail: bytes  # target and its option
    partial_sum: int  # of everything the checksum covers except the destination

    @classmethod
    def of(cls, to_all: bytes) -> "_Answer":
        blank = to_all[:38] + _UNSPECIFIED + to_all[54:56] + b"\0\0" + to_all[58:]
        return cls(
            to_all=to_all,
            head=to_all[6:38],
            tail=to_all[62:],
            partial_sum=_sum(blank) + (_SOLICITED << 8),
        )

    def to(self, mac: bytes, destination: bytes) -> bytes:
        """Return the solicited advertisement for one asker."""
        total = self.partial_sum + sum(struct.unpack("!8H", destination))
        return b"".join(
            (
                mac,
                self.head,
                destination,
                struct.pack("!BBHBxxx", _ADVERTISEMENT, 0, _folded(total), _SOLICITED | _OVERRIDE),
                self.tail,
            )
        )


@dataclasses.dataclass(frozen=True, slots=True)
class _Message:
    """A valid solicitation or advertisement; `mac` is where its sender says it is."""

    type: int
    mac: bytes

    @classmethod
    def parse(cls, frame: bytes) -> "_Message | reasons.Ignored":
        """Check what RFC 4861 §7.1.1 and §7.1.2 ask for."""
        length = int.from_bytes(frame[18:20])
        end = 54 + length
        if end > len(frame):
            return reasons.Ignored.TRUNCATED
        kind, code = frame[54], frame[55]
        if frame[20] != _ICMPV6 or frame[21] != _HOP_LIMIT or code != 0:
            return reasons.Ignored.MALFORMED
        if kind not in (_SOLICITATION, _ADVERTISEMENT) or end < _SOLICITATION_LENGTH:
            return reasons.Ignored.MALFORMED
        frame = frame[:end]
        if _folded(_sum(frame)) != 0:
            return reasons.Ignored.BAD_CHECKSUM
        options = _options(frame[_SOLICITATION_LENGTH:])
        if options is None:
            return reasons.Ignored.MALFORMED
        source = frame[22:38]
        wanted = _SOURCE_MAC_OPTION if kind == _SOLICITATION else _TARGET_MAC_OPTION
        if kind == _SOLICITATION and source == _UNSPECIFIED:
            to_group = frame[38:51] == _SOLICITED_NODE_PREFIX
            if not to_group or _SOURCE_MAC_OPTION in options:
                return reasons.Ignored.MALFORMED
        if source[0] == 0xFF:  # noqa: PLR2004 - RFC 4291 §2.7: a group is never a source
            return reasons.Ignored.MALFORMED
        mac = options.get(wanted, frame[6:12])
        if mac[0] & 1 or len(mac) != 6:  # noqa: PLR2004 - an Ethernet address of one host
            return reasons.Ignored.MALFORMED
        return cls(type=kind, mac=mac)


def _options(data: bytes) -> dict[int, bytes] | None:
    """Return each option's content by type (RFC 4861 §4.6); None when one is malformed."""
    options: dict[int, bytes] = {}
    while data:
        size = 8 * data[1] if len(data) > 1 else 0
        if size == 0 or size > len(data):
            return None
        options.setdefault(data[0], data[2:size])
        data = data[size:]
    return options


def _sum(frame: bytes) -> int:
    """Return the unfolded sum over pseudo-header and ICMPv6 message (RFC 4443 §2.3)."""
    length = len(frame) - 54
    words = frame[22:] if length % 2 == 0 else frame[22:] + b"\0"
    total: int = sum(struct.unpack(f"!{len(words) // 2}H", words))
    return total + _ICMPV6 + length


def _folded(total: int) -> int:
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _with_checksum(frame: bytes) -> bytes:
    return frame[:56] + struct.pack("!H", _folded(_sum(frame))) + frame[58:]
