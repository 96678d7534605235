# SPDX-License-Identifier: MIT
"""Records what crosses the switch: heartbeats, ARP, and new connections, each with its time.

``python -I bench/common/recorder.py`` runs where the switch is and imports nothing beyond the
standard library. It prints the line ``started``, goes on until its standard input ends, and prints
one JSON document: a list of `Seen`, in the order of time. Times are the kernel's, in seconds since
the epoch. A frame is noted once, at the port by which it enters the switch.
"""

import json
import select
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

PORTS = "port-"
ETH_P_ALL = 0x0003
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
ETH_P_HEARTBEAT = 0x88B5
SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it
BUFFER_BYTES = 4 << 20  # the kernel gives less where less is allowed
MAX_SEEN = 200_000
TIMESPEC = struct.Struct("qq")

# docs/protocol.md: the head of a heartbeat, then fields of type (1), length (2) and value.
HEAD_BYTES = 52
TAG_BYTES = 16
FIELD_BYTES = 3
EPOCH = slice(20, 28)
LENGTH = slice(6, 8)
NODE, ASKED, CLAIMS = 2, 7, 9
PART_HEAD = struct.Struct("!HH")  # the number of a part of a claim set, and of how many
CLAIM_HEAD = struct.Struct("!BBII")
IPV6, HELD = 1, 2

SYN, ACK = 0x02, 0x10
TCP = 6
TCP_FLAGS = 13


@dataclass(slots=True)
class Seen:
    """A frame: `kind` is beat, arp, syn or answered (SYN-ACK)."""

    at: float
    port: str
    kind: str
    epoch: str = ""
    node: str = ""
    asked: list[str] = field(default_factory=list)  # epochs that must send a beat at once
    held: list[str] | None = None  # addresses claimed; None: nothing is said about claims
    operation: int = 0
    sender: str = ""
    target: str = ""
    connection: int = 0  # the client's port


def heartbeat(at: float, port: str, payload: bytes) -> Seen | None:
    """Read a heartbeat without its key, which hides nothing; None when it is none of ours."""
    if payload[:4] != b"L2LB":
        return None
    seen = Seen(at, port, "beat", epoch=payload[EPOCH].hex())
    end = int.from_bytes(payload[LENGTH]) - TAG_BYTES
    for kind, value in fields(payload[HEAD_BYTES:end]):
        if kind == NODE:
            seen.node = value.decode()
        elif kind == ASKED:
            seen.asked = [value[start : start + 8].hex() for start in range(0, len(value), 8)]
        elif kind == CLAIMS:
            seen.held = list(held(value[PART_HEAD.size :]))
    return seen


def fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each field."""
    while len(data) >= FIELD_BYTES:
        size = int.from_bytes(data[1:3])
        yield data[0], data[3 : 3 + size]
        data = data[3 + size :]


def held(data: bytes) -> Iterator[str]:
    """Yield the IPv4 addresses that a part of a claim set says are held."""
    while data:
        bits = CLAIM_HEAD.unpack_from(data)[0]
        size = CLAIM_HEAD.size + (16 if bits & IPV6 else 4)
        if bits & HELD and not bits & IPV6:
            yield socket.inet_ntoa(data[CLAIM_HEAD.size : size])
        data = data[size:]


def arp(at: float, port: str, payload: bytes) -> Seen:
    """Read ARP for IPv4 over Ethernet."""
    return Seen(
        at,
        port,
        "arp",
        operation=int.from_bytes(payload[6:8]),
        sender=socket.inet_ntoa(payload[14:18]),
        target=socket.inet_ntoa(payload[24:28]),
    )


def handshake(at: float, port: str, payload: bytes) -> Seen | None:
    """Read the first or the second packet of a TCP connection; None for every other."""
    tcp = payload[(payload[0] & 0x0F) * 4 :]
    if payload[9] != TCP or len(tcp) <= TCP_FLAGS or not tcp[TCP_FLAGS] & SYN:
        return None
    source, destination = struct.unpack_from("!HH", tcp)
    sender, target = (socket.inet_ntoa(payload[start : start + 4]) for start in (12, 16))
    if tcp[TCP_FLAGS] & ACK:
        return Seen(at, port, "answered", sender=sender, target=target, connection=destination)
    return Seen(at, port, "syn", sender=sender, target=target, connection=source)


READERS = {ETH_P_HEARTBEAT: heartbeat, ETH_P_ARP: arp, ETH_P_IP: handshake}


def received(opened: socket.socket) -> Seen | None:
    """Take the next frame; None for one that says nothing here."""
    frame, ancillary, _, address = opened.recvmsg(2048, socket.CMSG_SPACE(TIMESPEC.size))
    port, protocol, direction = address[:3]
    reader = READERS.get(protocol)
    if direction == socket.PACKET_OUTGOING or not port.startswith(PORTS) or reader is None:
        return None
    seconds, nanoseconds = TIMESPEC.unpack(ancillary[0][2])
    return reader(seconds + nanoseconds / 1e9, port, frame[14:])


def main() -> int:
    """Record until standard input ends."""
    seen: list[Seen] = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        print("started", flush=True)
        while True:
            ready, _, _ = select.select([opened, sys.stdin], [], [])
            if opened in ready:
                found = received(opened)
                if found is not None and len(seen) < MAX_SEEN:
                    seen.append(found)
            elif sys.stdin in ready:
                break
    json.dump([asdict(one) for one in sorted(seen, key=lambda one: one.at)], sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
