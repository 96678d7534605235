# SPDX-License-Identifier: MIT
"""Classic BPF programs that let through the ARP and NDP frames about a set of addresses.

Pure: a program is a tuple of instructions, assembled from integers. The kernel runs it for each
frame before the process is woken, so other hosts' ARP noise costs no wake-up. A program may let
through more than asked for (never less): user space checks each address exactly.
Source: Linux Documentation/networking/filter.rst, include/uapi/linux/filter.h.
"""

import itertools
import struct
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, NamedTuple

MAX_INSTRUCTIONS: Final = 4096  # BPF_MAXINSNS

# Opcodes: class | size or operation | mode or source.
LD_W_ABS: Final = 0x20
LD_H_ABS: Final = 0x28
LD_B_ABS: Final = 0x30
AND_K: Final = 0x54
JA: Final = 0x05
JEQ_K: Final = 0x15
JGT_K: Final = 0x25
JGE_K: Final = 0x35
RET_K: Final = 0x06

# Ancillary data of the frame, read as if at these offsets: SKF_AD_OFF + SKF_AD_*.
PKTTYPE: Final = 0xFFFFF000 + 4
VLAN_TAG_PRESENT: Final = 0xFFFFF000 + 48

_PACKET_MULTICAST: Final = 2  # PACKET_HOST 0, PACKET_BROADCAST 1; above are other hosts' and ours
_ALL: Final = 0xFFFF_FFFF  # bytes of the frame to pass on
_LEAF: Final = 8  # addresses compared one after another at the end of a binary search

_ETH_P_ARP: Final = 0x0806
_ETH_P_IPV6: Final = 0x86DD
_ARP_ETHERNET: Final = 1
_ARP_LENGTHS: Final = 0x0604  # hardware address 6 bytes, protocol address 4 bytes
_ETH_P_IP: Final = 0x0800
_ICMPV6: Final = 58
_HOP_LIMIT: Final = 255  # RFC 4861 §7.1: nothing that crossed a router
_NEIGHBOUR_SOLICITATION: Final = 135
_NEIGHBOUR_ADVERTISEMENT: Final = 136

_V6_PREFIX_WORDS: Final = 3  # the target's words before the last, on which the search runs
_V6_TARGET: Final = 62  # offset in the frame: Ethernet 14, IPv6 40, ICMPv6 8


class Instruction(NamedTuple):
    """One `struct sock_filter`; jump offsets count from the following instruction."""

    code: int
    jt: int
    jf: int
    k: int


Program = tuple[Instruction, ...]

_ACCEPT: Final = Instruction(RET_K, 0, 0, _ALL)
_DROP: Final = Instruction(RET_K, 0, 0, 0)
DROP_ALL: Final[Program] = (_DROP,)


def encode(program: Program) -> bytes:
    """Return the instructions as the kernel reads them, 8 bytes each, in the host's order."""
    return struct.pack("=" + "HBBI" * len(program), *itertools.chain.from_iterable(program))


def arp_filter(addresses: Collection[int], limit: int = MAX_INSTRUCTIONS) -> Program:
    """Pass IPv4-over-Ethernet ARP whose sender or target is one of the addresses.

    The program has at most `limit` instructions, or as few as there can be.
    """
    if not addresses:
        return DROP_ALL
    head = _all_of(
        (LD_H_ABS, 12, JEQ_K, _ETH_P_ARP),
        (LD_H_ABS, 14, JEQ_K, _ARP_ETHERNET),
        (LD_H_ABS, 16, JEQ_K, _ETH_P_IP),
        (LD_H_ABS, 18, JEQ_K, _ARP_LENGTHS),
    )

    def body(mask: int) -> list[Instruction]:
        search = _search(_masked(addresses, mask))
        target, sender = _load_masked(38, mask), _load_masked(28, mask)
        return [*head, *target, *search, *sender, *search, _DROP]

    return _fitting(body, limit)


def ndp_filter(addresses: Collection[int], limit: int = MAX_INSTRUCTIONS) -> Program:
    """Pass neighbour solicitations and advertisements whose target is one of the addresses.

    The program has at most `limit` instructions, or as few as there can be. Frames with extension
    headers are dropped (RFC 6980 forbids fragments, nobody sends others).
    """
    if not addresses:
        return DROP_ALL
    head = _all_of(
        (LD_H_ABS, 12, JEQ_K, _ETH_P_IPV6),
        (LD_B_ABS, 20, JEQ_K, _ICMPV6),
        (LD_B_ABS, 21, JEQ_K, _HOP_LIMIT),
    )
    head += [
        Instruction(LD_B_ABS, 0, 0, 54),
        Instruction(JEQ_K, 2, 0, _NEIGHBOUR_SOLICITATION),
        Instruction(JEQ_K, 1, 0, _NEIGHBOUR_ADVERTISEMENT),
        _DROP,
    ]
    exact = head + _by_prefix(addresses)
    if len(exact) <= limit:
        return tuple(exact)

    def body(mask: int) -> list[Instruction]:
        lows = [address & _ALL for address in addresses]
        return [*head, *_load_masked(74, mask), *_search(_masked(lows, mask)), _DROP]

    return _fitting(body, limit)


def _by_prefix(addresses: Iterable[int]) -> list[Instruction]:
    """Compare the target's first 96 bits with each prefix in use, then search the last 32."""
    lows_of: dict[int, list[int]] = {}
    for address in sorted(addresses):
        lows_of.setdefault(address >> 32, []).append(address & _ALL)
    program: list[Instruction] = []
    for prefix, lows in lows_of.items():
        search = [Instruction(LD_W_ABS, 0, 0, 74), *_search(lows)]
        for word in range(_V6_PREFIX_WORDS):
            value = prefix >> 32 * (_V6_PREFIX_WORDS - 1 - word) & _ALL
            behind = 3 * (_V6_PREFIX_WORDS - 1 - word) + len(search)
            program += [
                Instruction(LD_W_ABS, 0, 0, _V6_TARGET + 4 * word),
                Instruction(JEQ_K, 1, 0, value),
                Instruction(JA, 0, 0, behind),
            ]
        program += search
    program.append(_DROP)
    return program


def _all_of(*checks: tuple[int, int, int, int]) -> list[Instruction]:
    """Drop a frame that is another host's, carries a VLAN tag, or fails one of the checks.

    A check is a load, its offset, a jump and the value for which it goes on.
    """
    program = [
        Instruction(LD_B_ABS, 0, 0, PKTTYPE),
        Instruction(JGT_K, 0, 1, _PACKET_MULTICAST),
        _DROP,
        Instruction(LD_B_ABS, 0, 0, VLAN_TAG_PRESENT),
        Instruction(JEQ_K, 1, 0, 0),
        _DROP,
    ]
    for load, offset, jump, value in checks:
        program += [
            Instruction(load, 0, 0, offset),
            Instruction(jump, 1, 0, value),
            _DROP,
        ]
    return program


def _load_masked(offset: int, mask: int) -> list[Instruction]:
    load = [Instruction(LD_W_ABS, 0, 0, offset)]
    return load if mask == _ALL else [*load, Instruction(AND_K, 0, 0, mask)]


def _masked(values: Collection[int], mask: int) -> list[int]:
    return sorted({value & mask for value in values})


def _search(values: Sequence[int], miss: int = 0) -> list[Instruction]:
    """Accept when the loaded word is one of the ascending values.

    Otherwise jump `miss` instructions past the end of the search.
    """
    if len(values) <= _LEAF:
        leaf = [
            Instruction(JEQ_K, len(values) - index, 0, value) for index, value in enumerate(values)
        ]
        return [*leaf, Instruction(JA, 0, 0, miss + 1), _ACCEPT]
    middle = len(values) // 2
    upper = _search(values[middle:], miss)
    lower = _search(values[:middle], miss + len(upper))
    # The lower half may be longer than a short jump reaches.
    fork = [Instruction(JGE_K, 0, 1, values[middle]), Instruction(JA, 0, 0, len(lower))]
    return fork + lower + upper


def _fitting(body: Callable[[int], list[Instruction]], limit: int) -> Program:
    """Return the body, coarsened bit by bit until it is short enough or compares nothing."""
    for bits in range(33):
        program = body(_ALL << bits & _ALL)
        if len(program) <= limit:
            break
    return tuple(program)
