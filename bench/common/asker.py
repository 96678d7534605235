# SPDX-License-Identifier: MIT
"""Asks by ARP who has some addresses, again and again, and notes who answers and when.

``python -I bench/common/asker.py [--every 0.01] ADDRESS ...`` runs in the network namespace of a
machine that opens no connection of its own, and imports nothing beyond the standard library. It
prints the line ``started``, goes on until its standard input ends, and prints one JSON document:
for each address the times (seconds since the epoch) of its first and last question and of its
first answer, the longest time without an answer, every change of the MAC that answers, and all
MACs. The answers to one question may come from several.
"""

import argparse
import json
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass, field

INTERFACE = "eth0"
ETH_P_ARP = 0x0806
REQUEST_HEAD = bytes.fromhex("08060001080006040001")
REPLY = b"\x00\x02"
MAX_CHANGES = 100_000


@dataclass(slots=True)
class Seen:
    """What was seen of one address."""

    address: str
    first_asked: float = 0.0
    last_asked: float = 0.0
    asked: int = 0
    answered: int = 0
    first_answer: float | None = None
    last_answer: float | None = None
    longest_silence_s: float = 0.0
    changes: list[tuple[float, str]] = field(default_factory=list)  # (when, MAC from then on)
    macs: dict[str, int] = field(default_factory=dict)  # MAC -> answers

    def note(self, mac: str, now: float) -> None:
        """Take an answer in."""
        since = self.first_asked if self.last_answer is None else self.last_answer
        self.longest_silence_s = max(self.longest_silence_s, now - since)
        if self.first_answer is None:
            self.first_answer = now
        self.last_answer = now
        self.answered += 1
        if (not self.changes or self.changes[-1][1] != mac) and len(self.changes) < MAX_CHANGES:
            self.changes.append((now, mac))
        self.macs[mac] = self.macs.get(mac, 0) + 1


def own_address() -> bytes:
    """Return the IPv4 address that this machine would send from."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unconnected:
        unconnected.connect(("10.77.0.1", 9))
        return socket.inet_aton(unconnected.getsockname()[0])


def ask(addresses: list[str], every_s: float) -> list[Seen]:
    """Ask until standard input ends."""
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
    wire.bind((INTERFACE, ETH_P_ARP))
    wire.setblocking(False)
    mac = wire.getsockname()[4]
    head = b"\xff" * 6 + mac + REQUEST_HEAD + mac + own_address() + bytes(6)
    seen = {socket.inet_aton(address): Seen(address) for address in addresses}
    print("started", flush=True)
    due = time.monotonic()
    while True:
        if time.monotonic() >= due:
            due = max(due + every_s, time.monotonic())
            now = time.time()
            for target, record in seen.items():
                wire.send(head + target)
                record.first_asked = record.first_asked or now
                record.last_asked = now
                record.asked += 1
        ready, _, _ = select.select([wire, sys.stdin], [], [], max(0, due - time.monotonic()))
        if sys.stdin in ready:
            break
        if wire in ready:
            frame = wire.recv(64)
            if frame[20:22] == REPLY and frame[28:32] in seen:
                seen[frame[28:32]].note(frame[22:28].hex(":"), time.time())
    ended = time.time()
    for record in seen.values():
        since = record.first_asked if record.last_answer is None else record.last_answer
        record.longest_silence_s = max(record.longest_silence_s, ended - since)
    return list(seen.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("addresses", nargs="+", metavar="ADDRESS")
    parser.add_argument("--every", type=float, default=0.01, metavar="SECONDS")
    arguments = parser.parse_args()
    print(json.dumps([asdict(record) for record in ask(arguments.addresses, arguments.every)]))
