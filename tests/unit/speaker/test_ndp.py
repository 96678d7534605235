# SPDX-License-Identifier: MIT
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers import inet6, l2

from speaker.wire import ndp, reasons

OURS = "02:00:00:00:00:0a"
ASKER = "02:00:00:00:00:0b"
OTHER = "02:00:00:00:00:0c"
HELD = ipaddress.IPv6Address("2001:db8::a1b2:c3d4")
PROBED = ipaddress.IPv6Address("2001:db8::11")
GROUP = "ff02::1:ffb2:c3d4"
GROUP_MAC = "33:33:ff:b2:c3:d4"
Ignored = reasons.Ignored


class Segment:
    """A responder that holds one address and probes another, and what it was told."""

    def __init__(self) -> None:
        self.conflicts: list[tuple[bytes, bytes]] = []
        self.answers: list[tuple[bytes, bytes]] = []
        self.rivals: list[tuple[bytes, bytes]] = []
        self.responder = ndp.Responder(
            mac(OURS),
            conflict=lambda *claim: self.conflicts.append(claim),
            answered=lambda *claim: self.answers.append(claim),
            contested=lambda *claim: self.rivals.append(claim),
        )
        self.responder.hold(HELD.packed)
        self.responder.watch(PROBED.packed)


def mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def solicitation(
    *,
    target: ipaddress.IPv6Address = HELD,
    src: str = "fe80::b",
    dst: str = GROUP,
    option: str | None = ASKER,
    **fields: object,
) -> bytes:
    ip_fields = {key: fields.pop(key) for key in ("hlim",) if key in fields}
    message = inet6.ICMPv6ND_NS(tgt=str(target), **fields)
    if option is not None:
        message /= inet6.ICMPv6NDOptSrcLLAddr(lladdr=option)
    ip = inet6.IPv6(src=src, dst=dst, hlim=ip_fields.get("hlim", 255))
    return bytes(l2.Ether(src=ASKER, dst=GROUP_MAC) / ip / message)


def advertisement(target: ipaddress.IPv6Address, *, source_mac: str = ASKER) -> bytes:
    return bytes(
        l2.Ether(src=source_mac, dst="33:33:00:00:00:01")
        / inet6.IPv6(src="fe80::b", dst="ff02::1", hlim=255)
        / inet6.ICMPv6ND_NA(tgt=str(target), R=0, S=0, O=1)
        / inet6.ICMPv6NDOptDstLLAddr(lladdr=source_mac)
    )


def checked(raw: bytes) -> l2.Ether:
    """Return the frame as scapy reads it, having it compute the checksum anew."""
    packet = l2.Ether(raw)
    said = packet[inet6.IPv6].payload.cksum
    del packet[inet6.IPv6].payload.cksum
    again = l2.Ether(bytes(packet))
    assert again[inet6.IPv6].payload.cksum == said
    assert bytes(again) == raw
    return again


def answer(request: bytes) -> l2.Ether:
    reply = Segment().responder.answer(request)
    assert isinstance(reply, bytes)
    return checked(reply)


@pytest.mark.parametrize("dst", [GROUP, str(HELD)])
def test_a_solicitation_is_answered_to_the_asker(dst: str) -> None:
    reply = answer(solicitation(dst=dst))
    assert (reply.dst, reply.src) == (ASKER, OURS)
    ip = reply[inet6.IPv6]
    assert (ip.src, ip.dst, ip.hlim) == (str(HELD), "fe80::b", 255)
    message = reply[inet6.ICMPv6ND_NA]
    assert (message.R, message.S, message.O, message.tgt) == (0, 1, 1, str(HELD))
    assert reply[inet6.ICMPv6NDOptDstLLAddr].lladdr == OURS


def test_the_source_option_says_where_to_answer() -> None:
    assert answer(solicitation(option=OTHER)).dst == OTHER


def test_unicast_reachability_checks_carry_no_option_and_go_back_to_the_frames_source() -> None:
    assert answer(solicitation(dst=str(HELD), option=None)).dst == ASKER


def test_duplicate_address_detection_is_answered_to_all_nodes() -> None:
    reply = answer(solicitation(src="::", option=None))
    assert (reply.dst, reply[inet6.IPv6].dst) == ("33:33:00:00:00:01", "ff02::1")
    message = reply[inet6.ICMPv6ND_NA]
    assert (message.S, message.O, message.tgt) == (0, 1, str(HELD))


@given(asker=st.integers(1, 2**120 - 1))
def test_the_checksum_is_right_for_every_asker(asker: int) -> None:
    source = ipaddress.IPv6Address((0x20 << 120) | asker)
    answer(solicitation(src=str(source)))


def with_byte(raw: bytes, offset: int, value: int) -> bytes:
    return raw[:offset] + bytes([value]) + raw[offset + 1 :]


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (solicitation(target=ipaddress.IPv6Address("2001:db8::77")), Ignored.NOT_OURS),
        (solicitation(hlim=64), Ignored.MALFORMED),
        (solicitation(code=1), Ignored.MALFORMED),
        (solicitation(cksum=0x1234), Ignored.BAD_CHECKSUM),
        (solicitation(src="::", option=ASKER), Ignored.MALFORMED),
        (solicitation(src="::", dst=str(HELD), option=None), Ignored.MALFORMED),
        (solicitation(src="ff02::1"), Ignored.MALFORMED),
        (solicitation(option="33:33:00:00:00:01"), Ignored.MALFORMED),
        (solicitation()[:77], Ignored.TRUNCATED),
        (solicitation()[:-1], Ignored.TRUNCATED),
        (b"", Ignored.TRUNCATED),
        (with_byte(solicitation(), 12, 0x81)[:13] + b"\x00" + solicitation()[14:], Ignored.VLAN),
        (advertisement(HELD), Ignored.REPLY),
        (advertisement(HELD, source_mac=OURS), Ignored.OWN),
    ],
)
def test_what_is_not_answered_has_a_reason(frame: bytes, why: reasons.Ignored) -> None:
    assert Segment().responder.answer(frame) is why


def test_an_option_of_no_length_is_malformed() -> None:
    raw = bytearray(solicitation())
    raw[79] = 0
    raw[56:58] = b"\0\0"
    fixed = l2.Ether(bytes(raw))
    del fixed[inet6.ICMPv6ND_NS].cksum
    assert Segment().responder.answer(bytes(fixed)) in {Ignored.MALFORMED, Ignored.BAD_CHECKSUM}


def test_an_address_given_up_is_not_answered() -> None:
    segment = Segment()
    segment.responder.drop(HELD.packed)
    assert segment.responder.answer(solicitation()) is Ignored.NOT_OURS


def test_an_advertisement_of_a_held_address_is_a_conflict() -> None:
    segment = Segment()
    segment.responder.answer(advertisement(HELD))
    assert segment.conflicts == [(HELD.packed, mac(ASKER))]


def test_whoever_has_a_probed_address_is_reported() -> None:
    segment = Segment()
    segment.responder.answer(advertisement(PROBED))
    assert segment.answers == [(PROBED.packed, mac(ASKER))]


def test_whoever_probes_for_a_probed_address_too_is_told_apart() -> None:
    segment = Segment()
    probe = solicitation(target=PROBED, src="::", dst="ff02::1:ff00:11", option=None)
    segment.responder.answer(probe)
    assert segment.answers == []
    assert segment.rivals == [(PROBED.packed, mac(ASKER))]


def test_a_solicitation_for_a_probed_address_is_no_claim() -> None:
    segment = Segment()
    frame = solicitation(target=PROBED, dst="ff02::1:ff00:11")
    assert segment.responder.answer(frame) is Ignored.NOT_OURS
    assert segment.answers == []


def test_an_announcement_overrides_what_neighbours_remember() -> None:
    (raw,) = Segment().responder.announcements(HELD.packed)
    announcement = checked(raw)
    assert (announcement.dst, announcement.src) == ("33:33:00:00:00:01", OURS)
    assert announcement[inet6.IPv6].src == str(HELD)
    message = announcement[inet6.ICMPv6ND_NA]
    assert (message.R, message.S, message.O, message.tgt) == (0, 0, 1, str(HELD))


def test_a_probe_is_duplicate_address_detection() -> None:
    probe = checked(Segment().responder.probe(PROBED.packed))
    ip = probe[inet6.IPv6]
    assert (ip.src, ip.dst, ip.hlim) == ("::", "ff02::1:ff00:11", 255)
    assert probe.dst == "33:33:ff:00:00:11"
    assert probe[inet6.ICMPv6ND_NS].tgt == str(PROBED)
    assert not probe.haslayer(inet6.ICMPv6NDOptSrcLLAddr)


@given(raw=st.binary(max_size=256))
def test_noise_is_not_answered(raw: bytes) -> None:
    assert isinstance(Segment().responder.answer(raw), Ignored)


@given(data=st.data())
def test_a_damaged_solicitation_never_raises_and_never_answers_for_another_address(
    data: st.DataObject,
) -> None:
    raw = bytearray(solicitation())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    reply = Segment().responder.answer(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    if isinstance(reply, bytes):
        assert checked(reply)[inet6.ICMPv6ND_NA].tgt == str(HELD)
