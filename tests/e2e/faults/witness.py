# SPDX-License-Identifier: MIT
"""Asks by ARP and NDP who has some addresses, again and again, and tells who answered each time.

``python -I tests/e2e/faults/witness.py [--every 0.02] ADDRESS ...`` runs in the network namespace
of the client, behind the client's port, with a MAC of its own: the client's kernel learns nothing
from the answers. The sender's address of each question is its number, which an answer repeats, so
that two answers to one question are told from the answers to two, however busy the machine is.

A line ``{"now": {ADDRESS: [MAC, ...]}, "beats_ms": INTERVAL}`` goes out ten times a second: who
answered lately, and the longest interval that a speaker's heartbeat named lately. When
standard input ends the last line is ``{"seen": {ADDRESS: [[FIRST, LAST, COUNT, [MAC, ...]]]}}``:
the runs of questions, in order, that the same MACs answered, with the times in seconds since the
epoch at which the first and the last of a run were asked.
"""

import argparse
import errno
import ipaddress
import itertools
import json
import select
import socket
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field

INTERFACE = "eth0"
MAC = bytes.fromhex("025254770063")
EVERY_S = 0.02
TELL_EVERY_S = 0.1
LATELY_S = 0.3
SETTLED_S = 1.0  # the last questions may lack their answers: they are left out
NUMBERS = 1 << 16

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
HEARTBEAT = bytes.fromhex("88b5") + b"L2LB"
BEATS_LATELY_S = 1.0  # the longest interval
ARP_REQUEST, ARP_REPLY = bytes.fromhex("08060001080006040001"), b"\x00\x02"
SENDERS_V4 = int(ipaddress.IPv4Address("198.18.0.0"))  # RFC 2544: nobody's
SENDERS_V6 = int(ipaddress.IPv6Address("fd77::198:18:0:0"))  # on link, so that it is answered
ICMPV6, SOLICITATION, ADVERTISEMENT = 58, 135, 136
SOURCE_LINK_ADDRESS, TARGET_LINK_ADDRESS = b"\x01\x01", b"\x02\x01"
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC = 263, 1, 1

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Beats = dict[bytes, tuple[float, int]]  # MAC -> when it last beat, and the interval that it named


@dataclass(slots=True)
class Record:
    """All questions for one address, by number, and who answered each."""

    asked: list[float] = field(default_factory=list)
    answers: list[set[str]] = field(default_factory=list)
    lately: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=1000))

    def runs(self, until: float) -> list[tuple[float, float, int, list[str]]]:
        """Return the runs of questions that the same MACs answered."""
        settled = [
            (at, who) for at, who in zip(self.asked, self.answers, strict=True) if at < until
        ]
        found = []
        for who, group in itertools.groupby(settled, key=lambda pair: pair[1]):
            times = [at for at, _ in group]
            found.append((times[0], times[-1], len(times), sorted(who)))
        return found


def question(address: Address, number: int) -> bytes:
    """Return the frame that asks for an address as the sender of this number."""
    if isinstance(address, ipaddress.IPv4Address):
        sender = struct.pack("!I", SENDERS_V4 + number)
        return b"\xff" * 6 + MAC + ARP_REQUEST + MAC + sender + bytes(6) + address.packed
    source = (SENDERS_V6 + number).to_bytes(16, "big")
    group = bytes.fromhex("ff0200000000000000000001ff") + address.packed[13:]
    message = bytes([SOLICITATION, 0, 0, 0]) + bytes(4) + address.packed + SOURCE_LINK_ADDRESS + MAC
    summed = source + group + struct.pack("!II", len(message), ICMPV6) + message
    checksum = sum(struct.unpack(f"!{len(summed) // 2}H", summed))
    while checksum >> 16:
        checksum = (checksum & 0xFFFF) + (checksum >> 16)
    message = message[:2] + struct.pack("!H", ~checksum & 0xFFFF) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), ICMPV6, 255) + source + group
    return b"\x33\x33" + group[12:] + MAC + struct.pack("!H", ETH_P_IPV6) + header + message


def answer(frame: bytes) -> tuple[Address, int, str] | None:
    """Return address, number of the question and MAC of an answer to one of our questions."""
    kind = int.from_bytes(frame[12:14], "big")
    if frame[:6] != MAC:
        return None
    if kind == ETH_P_ARP and frame[20:22] == ARP_REPLY:
        number = int.from_bytes(frame[38:42], "big") - SENDERS_V4
        if 0 <= number < NUMBERS:
            return ipaddress.IPv4Address(frame[28:32]), number, frame[22:28].hex(":")
    if kind == ETH_P_IPV6 and frame[20] == ICMPV6 and frame[54] == ADVERTISEMENT:
        number = int.from_bytes(frame[38:54], "big") - SENDERS_V6
        mac = frame[80:86] if frame[78:80] == TARGET_LINK_ADDRESS else frame[6:12]
        if 0 <= number < NUMBERS:
            return ipaddress.IPv6Address(frame[62:78]), number, mac.hex(":")
    return None


def interval_ms(frame: bytes) -> int | None:
    """Return the interval that a heartbeat names; None for any other frame."""
    return int.from_bytes(frame[50:52], "big") if frame[12:18] == HEARTBEAT else None


def open_wire() -> socket.socket:
    """Return a socket that gets every frame of the port, whoever it is for."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
    wire.bind((INTERFACE, 0x0003))
    index = socket.if_nametoindex(INTERFACE)
    promiscuous = struct.pack("IHH8s", index, PACKET_MR_PROMISC, 0, b"")
    wire.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous)
    wire.setblocking(False)
    return wire


def drain(wire: socket.socket, records: dict[Address, Record], beats: Beats) -> None:
    """Take in all answers and heartbeats that have come."""
    while True:
        try:
            frame = wire.recv(128)
        except BlockingIOError:
            return
        if (beat := interval_ms(frame)) is not None:
            beats[frame[6:12]] = (time.time(), beat)
            continue
        if (found := answer(frame)) is None or found[0] not in records:
            continue
        address, number, mac = found
        record = records[address]
        # The newest question of this number: numbers come again after twenty minutes.
        index = number + (len(record.asked) - 1 - number) // NUMBERS * NUMBERS
        if 0 <= index < len(record.answers):
            record.answers[index].add(mac)
            record.lately.append((time.time(), mac))


def say(document: dict[str, object]) -> None:
    """Write a line for whoever started this."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def tell(records: dict[Address, Record], beats: Beats) -> None:
    """Print who answered lately, and how rarely a speaker beats."""
    now_s = time.time()
    since = now_s - LATELY_S
    now = {
        str(address): sorted({mac for at, mac in record.lately if at >= since})
        for address, record in records.items()
    }
    lately = (ms for at, ms in beats.values() if at >= now_s - BEATS_LATELY_S)
    say({"now": now, "beats_ms": max(lately, default=0)})


def ask(wire: socket.socket, address: Address, record: Record) -> None:
    """Send the next question for an address; where the machine's queue is full it is not asked."""
    try:
        wire.send(question(address, len(record.asked) % NUMBERS))
    except OSError as error:
        if error.errno != errno.ENOBUFS:
            raise
        return
    record.asked.append(time.time())
    record.answers.append(set())


def main(addresses: list[str], every_s: float) -> None:
    """Ask until standard input ends.

    One address after the other, evenly over the time: a hundred questions at once, each of which
    the switch floods, would fill the queue that all machines of the lab receive by.
    """
    wire = open_wire()
    records = {ipaddress.ip_address(address): Record() for address in addresses}
    beats: Beats = {}
    turns = itertools.cycle(records.items())
    each_s = every_s / len(records)
    due = tell_due = time.monotonic()
    while True:
        now = time.monotonic()
        due = max(due, now - every_s)
        while due <= now:
            ask(wire, *next(turns))
            due += each_s
        if now >= tell_due:
            tell_due = now + TELL_EVERY_S
            tell(records, beats)
        ready, _, _ = select.select([wire, sys.stdin], [], [], max(0, due - time.monotonic()))
        if wire in ready:
            drain(wire, records, beats)
        if sys.stdin in ready:
            break
    until = time.time() - SETTLED_S
    seen = {str(address): record.runs(until) for address, record in records.items()}
    say({"seen": seen})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS")
    parser.add_argument("--every", type=float, default=EVERY_S, metavar="SECONDS")
    arguments = parser.parse_args()
    main(arguments.addresses, arguments.every)
