# SPDX-License-Identifier: MIT
import errno
import io
import ipaddress
import os
import socket

import pytest
from scapy.layers import inet6, l2

from speaker.protocol import const
from tests.e2e.faults import wire, witness
from tests.simulator import world

V4, V6 = ipaddress.IPv4Address("10.77.0.130"), ipaddress.IPv6Address("fd77::1001")
HOLDER = "52:54:00:77:00:0b"
OURS = witness.MAC.hex(":")


def test_an_arp_question_carries_its_number_and_so_does_its_answer() -> None:
    asked = l2.Ether(witness.question(V4, 700))
    assert (asked.dst, asked[l2.ARP].op, asked[l2.ARP].pdst) == ("ff:ff:ff:ff:ff:ff", 1, str(V4))
    reply = l2.Ether(src=HOLDER, dst=asked.src) / l2.ARP(
        op=2, hwsrc=HOLDER, psrc=str(V4), hwdst=asked[l2.ARP].hwsrc, pdst=asked[l2.ARP].psrc
    )
    assert witness.answer(bytes(reply)) == (V4, 700, HOLDER)


def test_a_solicitation_is_what_scapy_would_send_and_its_answer_carries_the_number() -> None:
    asked = l2.Ether(witness.question(V6, 65535))
    again = l2.Ether(bytes(asked))
    del again[inet6.ICMPv6ND_NS].cksum
    assert bytes(again) == bytes(asked)
    assert asked.dst == "33:33:ff:00:10:01"
    assert asked[inet6.IPv6].dst == "ff02::1:ff00:1001"
    reply = (
        l2.Ether(src=HOLDER, dst=OURS)
        / inet6.IPv6(src=str(V6), dst=asked[inet6.IPv6].src)
        / inet6.ICMPv6ND_NA(tgt=str(V6))
        / inet6.ICMPv6NDOptDstLLAddr(lladdr=HOLDER)
    )
    assert witness.answer(bytes(reply)) == (V6, 65535, HOLDER)


def test_what_is_for_others_or_no_answer_is_not_taken_for_one() -> None:
    question = witness.question(V4, 1)
    assert witness.answer(question) is None
    other = l2.Ether(src=HOLDER, dst=HOLDER) / l2.ARP(op=2, psrc=str(V4), pdst="198.18.0.1")
    assert witness.answer(bytes(other)) is None
    real = l2.Ether(src=HOLDER, dst=OURS) / l2.ARP(op=2, psrc=str(V4), pdst="10.77.0.100")
    assert witness.answer(bytes(real)) is None


def test_a_heartbeat_tells_its_interval_and_no_other_frame_does() -> None:
    speaker = world.World("ab")
    speaker.start([world.listed(1, *"ab")])
    speaker.run(1.0)
    header = bytes(12) + const.ETHERTYPE.to_bytes(2)
    assert witness.interval_ms(header + speaker.recorded[-1]) == 1000 * const.INTERVAL_S
    assert witness.interval_ms(witness.question(V4, 1)) is None
    assert witness.interval_ms(header + bytes(60)) is None


def test_before_a_fault_a_speaker_that_beats_rarely_is_waited_for() -> None:
    seen = wire.Wire(0.1)
    lines = io.StringIO('{"now": {}, "beats_ms": 200}\n')
    seen.read(lines)
    with pytest.raises(TimeoutError, match=r"beat each 0\.2 s"):
        seen.until_usual(within_s=0.0)
    seen.read(io.StringIO('{"now": {}, "beats_ms": 50}\n'))
    seen.until_usual(within_s=0.0)


class Wire(socket.socket):
    """A socket whose sends meet these errors, one after the other; 0 is none."""

    def __init__(self, *refusals: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._refusals = iter(refusals)

    def send(self, frame: bytes, flags: int = 0, /) -> int:  # type: ignore[override]
        if number := next(self._refusals):
            raise OSError(number, os.strerror(number))
        return len(frame)


def test_a_question_that_finds_the_queue_full_is_not_asked_and_another_error_is_raised() -> None:
    record = witness.Record()
    with Wire(0, errno.ENOBUFS, 0, errno.ENETDOWN) as wire:
        for _ in range(3):
            witness.ask(wire, V4, record)
        assert (len(record.asked), record.answers) == (2, [set(), set()])
        with pytest.raises(OSError, match="down"):
            witness.ask(wire, V4, record)
        assert len(record.asked) == 2


def test_questions_that_the_same_macs_answered_make_a_run() -> None:
    record = witness.Record(
        asked=[1.0, 1.1, 1.2, 1.3, 1.4, 9.0],
        answers=[{"a"}, {"a"}, set(), {"a", "b"}, {"b"}, set()],
    )
    assert record.runs(until=8.0) == [
        (1.0, 1.1, 2, ["a"]),
        (1.2, 1.2, 1, []),
        (1.3, 1.3, 1, ["a", "b"]),
        (1.4, 1.4, 1, ["b"]),
    ]


def test_silence_is_the_longest_in_a_row_and_two_answers_are_all_that_there_were() -> None:
    runs = (
        wire.Run(0.0, 1.0, 11, frozenset({"a"})),
        wire.Run(1.1, 1.3, 3, frozenset()),
        wire.Run(1.4, 1.5, 2, frozenset({"a", "b"})),
        wire.Run(1.6, 1.7, 2, frozenset({"b", "c"})),
        wire.Run(1.8, 1.8, 1, frozenset({"b"})),
        wire.Run(1.9, 1.9, 1, frozenset()),
        wire.Run(2.0, 2.0, 1, frozenset({"b"})),
        wire.Run(2.1, 2.1, 1, frozenset({"a", "b"})),
        wire.Run(2.2, 2.2, 1, frozenset({"b"})),
    )
    seen = wire.Seen(runs, every_s=0.1)
    assert seen.silent_s == 0.3
    assert seen.doubled_s == 0.5
    assert [set(macs) for macs in seen.holders()] == [{"a"}, {"b"}]
    assert seen.macs == {"a", "b", "c"}


def test_who_answered_in_a_time_is_whoever_had_a_run_that_reaches_into_it():
    runs = tuple(
        wire.Run(first, last, 2, frozenset(macs))
        for first, last, macs in ((1.0, 2.0, {"a"}), (2.1, 3.0, {"b"}), (3.1, 4.0, {"c", "d"}))
    )
    seen = wire.Seen(runs, every_s=0.1)
    assert seen.between(2.05, 2.9) == {"b"}
    assert seen.between(1.5, 2.5) == {"a", "b"}
    assert seen.between(3.5, 9.0) == {"c", "d"}
    assert seen.between(5.0, 9.0) == frozenset()
