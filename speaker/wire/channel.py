# SPDX-License-Identifier: MIT
"""One protocol on one interface: its socket, its answers, and what was not answered and why."""

from typing import Protocol

from speaker.wire import bpf, packet, reasons


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

    def program(self) -> bpf.Program:
        """Return the kernel filter for what is held and probed."""

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
        self.socket = packet.PacketSocket(interface, protocol, bpf.DROP_ALL)
        self.ignored = dict.fromkeys(reasons.Ignored, 0)
        self.answered = 0
        self.unsettled = False

    def settle(self) -> None:
        """Make the kernel's filter that of the addresses held and probed."""
        if self.unsettled:
            self.socket.attach(self.responder.program())
            self.unsettled = False

    def answer(self, limit: int) -> bool:
        """Answer up to `limit` frames; True when more may be waiting."""
        sock, length, answer = self.socket, self.responder.receive_length, self.responder.answer
        for _ in range(limit):
            frame = sock.next(length)
            if frame is None:
                return False
            reply = answer(frame)
            if isinstance(reply, reasons.Ignored):
                self.ignored[reply] += 1
            elif sock.send(reply):
                self.answered += 1
        return True

    def discard(self) -> None:
        """Throw away the frames that wait."""
        while self.socket.next(1) is not None:
            self.ignored[reasons.Ignored.STALE] += 1
