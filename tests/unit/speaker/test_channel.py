# SPDX-License-Identifier: MIT
"""A filter that the kernel has no room for is made coarser, and stays so."""

import errno
import ipaddress

import pytest

from speaker.wire import arp, bpf, channel, packet
from tests.unit.speaker import bpf_interpreter

MAC = bytes.fromhex("020000000001")
FIRST = int(ipaddress.ip_address("192.0.2.0"))
STEP = 7  # no two of them are neighbours


class Cramped:
    """A packet socket of a kernel with little room: net.core.optmem_max."""

    room = 1000  # instructions of the filter that stands and of the one that replaces it

    def __init__(self, interface: str, protocol: int, program: bpf.Program) -> None:
        self.program = program
        self.refused = 0

    def attach(self, program: bpf.Program) -> None:
        if len(self.program) + len(program) > self.room:
            self.refused += 1
            raise OSError(errno.ENOMEM, "no room")
        self.program = program


@pytest.fixture
def cramped(monkeypatch: pytest.MonkeyPatch) -> channel.Channel:
    monkeypatch.setattr(packet, "PacketSocket", Cramped)
    responder = arp.Responder(
        MAC, conflict=lambda *_: None, answered=lambda *_: None, contested=lambda *_: None
    )
    return channel.Channel("eth0", packet.ETH_P_ARP, responder)


def hold(crowded: channel.Channel, count: int) -> None:
    for number in range(count):
        crowded.responder.hold((FIRST + number * STEP).to_bytes(4))
        crowded.unsettled = True
        crowded.settle()


def asking(target: int) -> bytes:
    head = bytes.fromhex("ffffffffffff02000000000208060001080006040001")
    return head + bytes(10) + bytes(6) + target.to_bytes(4)


def test_every_address_gets_through_whatever_room_there_is(cramped: channel.Channel) -> None:
    hold(cramped, 600)
    sock = cramped.socket
    assert isinstance(sock, Cramped)
    assert sock.refused > 0
    assert not cramped.unsettled
    for number in range(600):
        frame = asking(FIRST + number * STEP)
        assert bpf_interpreter.run(sock.program, frame)
    assert not bpf_interpreter.run(sock.program, asking(int(ipaddress.ip_address("10.0.0.1"))))


def test_what_was_refused_once_is_not_tried_at_each_change(cramped: channel.Channel) -> None:
    hold(cramped, 300)
    assert isinstance(cramped.socket, Cramped)
    refused = cramped.socket.refused
    hold(cramped, 300)
    assert cramped.socket.refused == refused


def test_without_any_room_the_error_is_not_hidden(
    cramped: channel.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cramped, "room", 10)
    with pytest.raises(OSError, match="no room"):
        hold(cramped, 1)
