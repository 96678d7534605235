# SPDX-License-Identifier: MIT
"""One protocol on one interface: its socket, its answers, and what was not answered and why."""

import errno
import functools
import time
from collections.abc import Callable
from typing import Final, Protocol

from speaker.wire import bpf, packet, reasons

_FEWEST: Final = 64  # instructions: a filter that compares no address has fewer

booted_s: Final[Callable[[], float]] = functools.partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""Seconds since the boot, those in which the machine slept among them."""


class Responder(Protocol):
    """What ARP and NDP have in common; addresses are packed. Implemented in `arp` and `ndp`."""

    @property
    def receive_length(self) -> int:
        """How many bytes of a frame the answer depends on, at most."""

    def hold(self, address: bytes) -> None:
        """Answer for the address from now on."""

    def drop(self, address: bytes) -> None:
        """Answer for it no longer."""

    def watch(self, address: bytes) -> None:
        """Report whoever claims the address, which is being probed."""

    def unwatch(self, address: bytes) -> None:
        """Stop reporting."""

    def program(self, limit: int) -> bpf.Program:
        """Return the kernel filter for what is held and probed.

        It has at most `limit` instructions, or as few as there can be.
        """

    def announcements(self, address: bytes) -> tuple[bytes, ...]:
        """Return the frames that announce the address unasked, the preferred one first."""

    def probe(self, address: bytes) -> bytes:
        """Return the frame that asks whether anybody has the address."""

    def answer(self, frame: bytes) -> bytes | reasons.Ignored:
        """Return the answer to a frame, or why there is none."""


class Channel:
    """A packet socket and the responder behind it.

    `unsettled` is set by whoever changes what the responder holds or watches; `settle` then puts
    the filter into the kernel, before the next frame is read.
    """

    def __init__(self, interface: str, protocol: int, responder: Responder) -> None:
        self.responder = responder
        self._limit = bpf.MAX_INSTRUCTIONS
        self.socket = packet.PacketSocket(interface, protocol, bpf.DROP_ALL)
        self.ignored = dict.fromkeys(reasons.Ignored, 0)
        self.answered = 0
        self.unsettled = False

    def settle(self) -> None:
        """Make the kernel's filter that of the addresses held and probed.

        While one is replaced both count against `net.core.optmem_max`, which was 20 KiB before
        Linux 6.8. What does not fit is made coarser, now and later: more frames come through.
        """
        if not self.unsettled:
            return
        program = self.responder.program(self._limit)
        while True:
            try:
                self.socket.attach(program)
            except OSError as error:
                if error.errno != errno.ENOMEM or len(program) <= _FEWEST:
                    raise
                self._limit = len(program) // 2
                program = self.responder.program(self._limit)
            else:
                break
        self.unsettled = False

    def answer(self, limit: int, until: float) -> bool:
        """Answer up to `limit` frames; True when more may be waiting.

        Whoever stood still may be dead to others by `until`, in seconds since the boot, and answers
        nothing from then on.
        """
        sock, length, answer = self.socket, self.responder.receive_length, self.responder.answer
        for _ in range(limit):
            frame = sock.next(length)
            if frame is None:
                return False
            reply = answer(frame)
            if isinstance(reply, reasons.Ignored):
                self.ignored[reply] += 1
            elif booted_s() > until:
                self.ignored[reasons.Ignored.STALE] += 1
                return True
            elif sock.send(reply):
                self.answered += 1
        return True

    def discard(self) -> None:
        """Throw away the frames that wait."""
        while self.socket.next(1) is not None:
            self.ignored[reasons.Ignored.STALE] += 1
