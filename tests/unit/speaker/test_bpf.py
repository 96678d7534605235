# SPDX-License-Identifier: MIT
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speaker.wire import bpf, packet
from tests.unit.speaker import bpf_interpreter

V4 = st.integers(1, 2**32 - 1)
V6 = st.integers(1, 2**128 - 1)
NEIGHBOURS = st.builds(
    lambda base, steps: {base + step for step in steps}, V4, st.sets(st.integers(0, 300))
)
MAC = b"\x02\x00\x00\x00\x00\x01"


def arp(sender: int, target: int) -> bytes:
    header = b"\xff" * 6 + MAC + bytes.fromhex("0806 0001 0800 06 04 0001")
    return header + MAC + sender.to_bytes(4) + bytes(6) + target.to_bytes(4)


def ndp(target: int, *, kind: int = 135, hop_limit: int = 255, next_header: int = 58) -> bytes:
    ethernet = b"\x33\x33\x00\x00\x00\x01" + MAC + b"\x86\xdd"
    ip = bytes.fromhex("60000000 0018") + bytes([next_header, hop_limit]) + bytes(32)
    return ethernet + ip + bytes([kind]) + bytes(7) + target.to_bytes(16)


@pytest.fixture(scope="module")
def kernel() -> Iterator["Kernel"]:
    kernel = Kernel()
    yield kernel
    kernel.close()


class Kernel:
    """The kernel's own opinion, by a filtered datagram socket: needs no privilege."""

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._far.setblocking(False)

    def close(self) -> None:
        self._near.close()
        self._far.close()

    def load(self, program: bpf.Program) -> None:
        packet.attach_filter(self._far, program)

    def accepts(self, frame: bytes) -> bool:
        self._near.send(frame)
        try:
            return self._far.recv(2048) == frame
        except BlockingIOError:
            return False


@given(addresses=st.sets(V4, min_size=1, max_size=60), other=V4, data=st.data())
def test_arp_about_an_address_passes_and_other_arp_does_not(
    addresses: set[int], other: int, data: st.DataObject
) -> None:
    program = bpf.arp_filter(addresses)
    ours = data.draw(st.sampled_from(sorted(addresses)))
    assert bpf_interpreter.run(program, arp(other, ours))
    assert bpf_interpreter.run(program, arp(ours, other))
    assert bpf_interpreter.run(program, arp(other, other)) == (other in addresses)


@given(addresses=NEIGHBOURS.filter(bool), data=st.data())
def test_neighbouring_addresses_are_told_apart(addresses: set[int], data: st.DataObject) -> None:
    addresses = {address & 0xFFFF_FFFF for address in addresses}
    program = bpf.arp_filter(addresses)
    probe = (data.draw(st.sampled_from(sorted(addresses))) + data.draw(st.integers(-2, 2))) % 2**32
    assert bpf_interpreter.run(program, arp(0, probe)) == (probe in addresses or 0 in addresses)


@given(addresses=st.sets(V6, min_size=1, max_size=40), other=V6, data=st.data())
def test_ndp_about_an_address_passes_and_other_ndp_does_not(
    addresses: set[int], other: int, data: st.DataObject
) -> None:
    program = bpf.ndp_filter(addresses)
    ours = data.draw(st.sampled_from(sorted(addresses)))
    assert bpf_interpreter.run(program, ndp(ours))
    assert bpf_interpreter.run(program, ndp(ours, kind=136))
    assert bpf_interpreter.run(program, ndp(other)) == (other in addresses)
    swapped = ours ^ (1 << data.draw(st.integers(0, 127)))
    assert bpf_interpreter.run(program, ndp(swapped)) == (swapped in addresses)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 100, 1000])
def test_a_thousand_addresses_fit_exactly(count: int) -> None:
    addresses = {0xC0000200 + 7 * index for index in range(count)}
    program = bpf.arp_filter(addresses)
    assert len(program) <= bpf.MAX_INSTRUCTIONS
    assert all(bpf_interpreter.run(program, arp(1, address)) for address in addresses)
    assert not any(bpf_interpreter.run(program, arp(1, address + 1)) for address in addresses)
    prefix = 0x20010DB8 << 96
    sixes = {prefix + address for address in addresses}
    program = bpf.ndp_filter(sixes)
    assert len(program) <= bpf.MAX_INSTRUCTIONS
    assert all(bpf_interpreter.run(program, ndp(address)) for address in sixes)
    assert not any(bpf_interpreter.run(program, ndp(address + 1)) for address in sixes)


def test_more_addresses_than_fit_pass_all_the_same() -> None:
    addresses = {index * 2_654_435_761 % 2**32 for index in range(5000)}
    program = bpf.arp_filter(addresses)
    assert len(program) <= bpf.MAX_INSTRUCTIONS
    assert all(bpf_interpreter.run(program, arp(1, address)) for address in addresses)
    spread = {(index * 2_654_435_761 % 2**32) << 96 | index for index in range(1000)}
    program = bpf.ndp_filter(spread)
    assert len(program) <= bpf.MAX_INSTRUCTIONS
    assert all(bpf_interpreter.run(program, ndp(address)) for address in spread)


@pytest.mark.parametrize(
    ("build", "frame"), [(bpf.arp_filter, arp(1, 7)), (bpf.ndp_filter, ndp(7))]
)
def test_frames_of_other_hosts_and_other_vlans_are_dropped(build, frame: bytes) -> None:
    program = build({7})
    assert bpf_interpreter.run(program, frame)
    for others in (3, 4):  # PACKET_OTHERHOST, PACKET_OUTGOING
        assert not bpf_interpreter.run(program, frame, pkttype=others)
    assert not bpf_interpreter.run(program, frame, vlan=True)


def test_ndp_that_crossed_a_router_or_is_something_else_is_dropped() -> None:
    program = bpf.ndp_filter({7})
    assert not bpf_interpreter.run(program, ndp(7, hop_limit=64))
    assert not bpf_interpreter.run(program, ndp(7, next_header=17))
    assert not bpf_interpreter.run(program, ndp(7, kind=137))


def test_without_addresses_everything_is_dropped() -> None:
    for program in (bpf.arp_filter(()), bpf.ndp_filter(())):
        assert not bpf_interpreter.run(program, arp(1, 7))


@given(
    addresses=st.sets(V4, min_size=1, max_size=30),
    frames=st.lists(
        st.one_of(
            st.builds(arp, V4, V4),
            st.builds(ndp, V6),
            st.binary(min_size=1, max_size=100),
            st.builds(
                lambda cut, frame: frame[: cut + 1], st.integers(0, 60), st.builds(arp, V4, V4)
            ),
        ),
        max_size=10,
    ),
)
def test_the_kernel_agrees_with_the_interpreter(
    kernel: Kernel, addresses: set[int], frames: list[bytes]
) -> None:
    sixes = {address << 64 | 1 for address in addresses}
    some = min(addresses)
    frames = [*frames, arp(some, 1), arp(1, some), ndp(min(sixes))]
    for program in (bpf.arp_filter(addresses), bpf.ndp_filter(sixes)):
        kernel.load(program)
        for frame in frames:
            assert kernel.accepts(frame) == bpf_interpreter.run(program, frame)


def test_the_kernel_takes_the_longest_programs(kernel: Kernel) -> None:
    addresses = {index * 2_654_435_761 % 2**32 for index in range(1200)}
    kernel.load(bpf.arp_filter(addresses))
    assert all(kernel.accepts(arp(1, address)) for address in addresses)
    kernel.load(bpf.DROP_ALL)
    assert not kernel.accepts(arp(1, min(addresses)))


def test_instructions_are_encoded_as_the_kernel_reads_them() -> None:
    program = (bpf.Instruction(bpf.JEQ_K, 1, 2, 0xC0000201),)
    assert bpf.encode(program) == struct.pack("=HBBI", 0x15, 1, 2, 0xC0000201)
