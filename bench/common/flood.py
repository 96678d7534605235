# SPDX-License-Identifier: MIT
"""Sends ARP requests at a rate, or one after another with the time that each answer took.

``python -I bench/common/flood.py ADDRESS [--to MAC] [--rate R] [--seconds S]`` sends R requests a
second (0: as fast as it can) and prints how many were sent and answered; ``--latency N`` sends N,
each after the answer to the one before, and prints the sorted times in seconds. It runs in a
machine's network namespace and imports nothing beyond the standard library.

Answers are not read but counted by the kernel as frames received by the interface: reading them
would take the core that the answering program needs. Requests leave in batches by sendmmsg(2).
"""

import argparse
import ctypes
import json
import os
import socket
import time
from pathlib import Path

INTERFACE = "eth0"
ETH_P_ARP = 0x0806
REQUEST_HEAD = bytes.fromhex("08060001080006040001")
REPLY = b"\x00\x02"
BATCH = 32
SETTLE_S = 0.2  # for the answers that are still under way
LOST_AFTER_S = 1.0


class IoVec(ctypes.Structure):
    """struct iovec, readv(2)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class MMsgHdr(ctypes.Structure):
    """struct mmsghdr, sendmmsg(2), with its struct msghdr inlined."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.POINTER(IoVec)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint),
    )


def frame(address: str, to: str, wire: socket.socket) -> bytes:
    """Return a request for the address; the sender is this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unconnected:
        unconnected.connect(("10.77.0.1", 9))
        own = socket.inet_aton(unconnected.getsockname()[0])
    mac: bytes = wire.getsockname()[4]
    destination = bytes.fromhex(to.replace(":", ""))
    return destination + mac + REQUEST_HEAD + mac + own + bytes(6) + socket.inet_aton(address)


def received() -> int:
    """Return how many frames the interface has received."""
    return int(Path(f"/sys/class/net/{INTERFACE}/statistics/rx_packets").read_text())


def flood(request: bytes, wire: socket.socket, rate: float, seconds: float) -> dict[str, float]:
    """Send for so long; a rate of 0 is as fast as possible."""
    libc = ctypes.CDLL(None, use_errno=True)
    content = ctypes.create_string_buffer(request, len(request))
    vector = IoVec(ctypes.cast(content, ctypes.c_void_p), len(request))
    batch = BATCH if rate == 0 or rate >= BATCH * 1000 else max(1, int(rate // 1000))
    messages = (MMsgHdr * batch)()
    for message in messages:
        message.vectors, message.vector_count = ctypes.pointer(vector), 1
    before = received()
    started = time.monotonic()
    sent = 0
    while (passed := time.monotonic() - started) < seconds:
        if rate and sent > passed * rate:
            time.sleep((sent - passed * rate) / rate)
            continue
        done = libc.sendmmsg(wire.fileno(), messages, batch, 0)
        if done < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        sent += done
    took = time.monotonic() - started
    answered_within = received() - before
    time.sleep(SETTLE_S)
    return {
        "sent": sent,
        "seconds": took,
        "answered_within": answered_within,
        "answered": received() - before,
    }


def latency(request: bytes, wire: socket.socket, target: bytes, count: int) -> list[float]:
    """Return the sorted times from a request to its answer."""
    wire.settimeout(LOST_AFTER_S)
    wire.bind((INTERFACE, ETH_P_ARP))
    times = []
    for _ in range(count):
        started = time.perf_counter()
        wire.send(request)
        while True:
            answer = wire.recv(64)
            if answer[20:22] == REPLY and answer[28:32] == target:
                break
        times.append(time.perf_counter() - started)
    return sorted(times)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("address", metavar="ADDRESS")
    parser.add_argument("--to", default="ff:ff:ff:ff:ff:ff", metavar="MAC")
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--latency", type=int, default=0, metavar="N")
    arguments = parser.parse_args()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sending:
        sending.bind((INTERFACE, 0))
        question = frame(arguments.address, arguments.to, sending)
        if arguments.latency:
            answers = latency(
                question, sending, socket.inet_aton(arguments.address), arguments.latency
            )
            print(json.dumps(answers))
        else:
            print(json.dumps(flood(question, sending, arguments.rate, arguments.seconds)))
