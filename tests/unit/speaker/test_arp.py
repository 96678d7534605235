# SPDX-License-Identifier: MIT
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import l2

from speaker.wire import arp, reasons

OURS = "02:00:00:00:00:0a"
ASKER = "02:00:00:00:00:0b"
HELD = ipaddress.IPv4Address("192.0.2.10")
PROBED = ipaddress.IPv4Address("192.0.2.11")
Ignored = reasons.Ignored


class Segment:
    """A responder that holds one address and probes another, and what it was told."""

    def __init__(self) -> None:
        self.conflicts: list[tuple[bytes, bytes]] = []
        self.answers: list[tuple[bytes, bytes]] = []
        self.rivals: list[tuple[bytes, bytes]] = []
        self.responder = arp.Responder(
            mac(OURS),
            conflict=lambda *claim: self.conflicts.append(claim),
            answered=lambda *claim: self.answers.append(claim),
            contested=lambda *claim: self.rivals.append(claim),
        )
        self.responder.hold(HELD.packed)
        self.responder.watch(PROBED.packed)


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def frame(**fields: object) -> bytes:
    fields = {"op": 1, "hwsrc": ASKER, "psrc": "192.0.2.99", "pdst": str(HELD)} | fields
    ethernet = l2.Ether(src=ASKER, dst=fields.pop("to", "ff:ff:ff:ff:ff:ff"))
    return bytes(ethernet / l2.ARP(**fields))


def reply_to(request: bytes) -> l2.Ether:
    reply = Segment().responder.answer(request)
    assert isinstance(reply, bytes)
    return l2.Ether(reply)


@pytest.mark.parametrize("to", ["ff:ff:ff:ff:ff:ff", OURS])
def test_a_request_is_answered_to_the_asker(to: str) -> None:
    reply = reply_to(frame(to=to))
    assert (reply.dst, reply.src) == (ASKER, OURS)
    answer = reply[l2.ARP]
    assert (answer.op, answer.hwsrc, answer.psrc) == (2, OURS, str(HELD))
    assert (answer.hwdst, answer.pdst) == (ASKER, "192.0.2.99")
    assert (answer.hwtype, answer.ptype, answer.hwlen, answer.plen) == (1, 0x0800, 6, 4)


def test_a_probe_is_answered_so_that_the_prober_stays_away() -> None:
    answer = reply_to(frame(psrc="0.0.0.0"))[l2.ARP]
    assert (answer.psrc, answer.pdst, answer.hwdst) == (str(HELD), "0.0.0.0", ASKER)


def test_padding_does_not_matter() -> None:
    assert reply_to(frame() + bytes(18))[l2.ARP].psrc == str(HELD)


@pytest.mark.parametrize(
    ("request_frame", "why"),
    [
        (frame(pdst="192.0.2.77"), Ignored.NOT_OURS),
        (frame(op=2), Ignored.REPLY),
        (frame(op=9), Ignored.MALFORMED),
        (frame(psrc=str(HELD)), Ignored.ANNOUNCEMENT),
        (frame(hwsrc=OURS), Ignored.OWN),
        (frame(hwsrc="ff:ff:ff:ff:ff:ff"), Ignored.MALFORMED),
        (frame(hwsrc="00:00:00:00:00:00"), Ignored.MALFORMED),
        (frame(hwtype=6), Ignored.MALFORMED),
        (frame()[:41], Ignored.TRUNCATED),
        (b"", Ignored.TRUNCATED),
        (frame()[:12] + b"\x81\x00\x00\x05" + frame()[12:], Ignored.VLAN),
    ],
)
def test_what_is_not_answered_has_a_reason(request_frame: bytes, why: reasons.Ignored) -> None:
    assert Segment().responder.answer(request_frame) is why


def test_an_address_given_up_is_not_answered() -> None:
    segment = Segment()
    segment.responder.drop(HELD.packed)
    assert segment.responder.answer(frame()) is Ignored.NOT_OURS


@pytest.mark.parametrize(
    "claim", [{"op": 1, "pdst": str(HELD)}, {"op": 2, "pdst": "192.0.2.1"}, {"pdst": "192.0.2.5"}]
)
def test_another_hosts_claim_to_a_held_address_is_a_conflict(claim: dict[str, object]) -> None:
    segment = Segment()
    segment.responder.answer(frame(psrc=str(HELD), **claim))
    assert segment.conflicts == [(HELD.packed, mac(ASKER))]


def test_our_own_announcement_come_back_is_no_conflict() -> None:
    segment = Segment()
    for announcement in segment.responder.announcements(HELD.packed):
        assert segment.responder.answer(announcement) is Ignored.OWN
    assert segment.conflicts == []


@pytest.mark.parametrize(
    "claim",
    [
        {"op": 2, "psrc": str(PROBED), "pdst": "0.0.0.0"},
        {"op": 1, "psrc": str(PROBED), "pdst": "192.0.2.1"},
    ],
)
def test_whoever_has_a_probed_address_is_reported(claim: dict[str, object]) -> None:
    segment = Segment()
    segment.responder.answer(frame(**claim))
    assert segment.answers == [(PROBED.packed, mac(ASKER))]
    segment.responder.unwatch(PROBED.packed)
    segment.responder.answer(frame(**claim))
    assert len(segment.answers) == 1


def test_whoever_probes_for_a_probed_address_too_is_told_apart() -> None:  # RFC 5227 2.1.1
    segment = Segment()
    segment.responder.answer(frame(op=1, psrc="0.0.0.0", pdst=str(PROBED)))
    assert segment.answers == []
    assert segment.rivals == [(PROBED.packed, mac(ASKER))]


def test_a_request_for_a_probed_address_is_no_claim() -> None:
    segment = Segment()
    assert segment.responder.answer(frame(pdst=str(PROBED))) is Ignored.NOT_OURS
    assert segment.answers == segment.rivals == []


def test_announcements_are_a_gratuitous_request_and_reply() -> None:
    request, reply = (l2.Ether(raw) for raw in Segment().responder.announcements(HELD.packed))
    for announcement, op in ((request, 1), (reply, 2)):
        assert (announcement.dst, announcement.src) == ("ff:ff:ff:ff:ff:ff", OURS)
        claim = announcement[l2.ARP]
        assert (claim.op, claim.hwsrc) == (op, OURS)
        assert claim.psrc == claim.pdst == str(HELD)


def test_a_probe_claims_nothing() -> None:
    probe = l2.Ether(Segment().responder.probe(PROBED.packed))
    assert (probe.dst, probe[l2.ARP].op) == ("ff:ff:ff:ff:ff:ff", 1)
    assert (probe[l2.ARP].psrc, probe[l2.ARP].pdst) == ("0.0.0.0", str(PROBED))
    assert probe[l2.ARP].hwsrc == OURS


@given(raw=st.binary(max_size=64))
def test_noise_is_neither_answered_nor_a_claim(raw: bytes) -> None:
    segment = Segment()
    assert isinstance(segment.responder.answer(raw), Ignored)
    assert segment.conflicts == segment.answers == []


@given(data=st.data())
def test_a_damaged_request_never_raises_and_never_answers_for_another_address(
    data: st.DataObject,
) -> None:
    raw = bytearray(frame())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    reply = Segment().responder.answer(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    if isinstance(reply, bytes):
        assert l2.Ether(reply)[l2.ARP].psrc == str(HELD)
        assert l2.Ether(reply).src == OURS
