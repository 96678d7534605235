# SPDX-License-Identifier: MIT
import secrets
import socket

import pytest

from bench import timeline
from bench.common import lanes, recorder
from speaker.protocol import claimset, frame

ADDRESS = "10.77.0.128"
PACKED = socket.inet_aton(ADDRESS)
EPOCH = bytes(range(8))


def beat(at, node, *, asked=(), held=None):
    return recorder.Seen(
        at, f"port-{node}", "beat", epoch=f"epoch-{node}", node=node, asked=list(asked), held=held
    )


def arp(at, node):
    return recorder.Seen(at, f"port-{node}", "arp", operation=1, sender=ADDRESS, target=ADDRESS)


def syn(at, connection):
    return recorder.Seen(at, "port-client", "syn", target=ADDRESS, connection=connection)


def answered(at, node, connection):
    return recorder.Seen(at, f"port-{node}", "answered", sender=ADDRESS, connection=connection)


RECORDED = timeline.Recording(
    ADDRESS,
    "node-1",
    "client",
    [
        beat(-70, "node-1"),
        syn(-40, 1),
        answered(-39, "node-1", 1),
        beat(-20, "node-1"),
        beat(-10, "node-2"),
        syn(5, 2),
        beat(81, "node-2", asked=["epoch-node-1"]),
        beat(85, "node-3", asked=["epoch-node-1"]),
        beat(121, "node-2", asked=["epoch-node-1"]),
        beat(230, "node-2", held=[ADDRESS]),
        arp(231, "node-2"),
        arp(231.1, "node-2"),
        syn(240, 3),
        answered(241, "node-2", 3),
        arp(331, "node-2"),
        syn(1005, 2),
        answered(1006, "node-2", 2),
    ],
)


def test_a_heartbeat_is_read_as_speakers_write_it():
    key = secrets.token_bytes(32)
    codec = frame.Codec("group", [key], (1, 1))
    claim = claimset.Claim(created=1, list_version=1, position=0, held=True, declined=False)
    (claims,) = claimset.pack({PACKED: claim}, 1000)
    payload = codec.encode(
        version=1,
        signer=codec.key_ids[0],
        epoch=EPOCH,
        sequence=1,
        flags=1,
        interval_s=0.05,
        rank=0,
        claim_number=1,
        well_for_s=1.0,
        fields=frame.field(frame.Tlv.ASKED, EPOCH)
        + frame.field(frame.Tlv.CLAIMS, claims)
        + frame.identity("node-1", bytes(6), (1, 1), codec.key_ids),
    )

    seen = recorder.heartbeat(1.0, "port-node-1", payload)

    assert seen is not None
    assert (seen.epoch, seen.node) == (EPOCH.hex(), "node-1")
    assert (seen.asked, seen.held) == ([EPOCH.hex()], [ADDRESS])


def test_the_first_that_asks_is_followed_and_a_pair_of_announcements_is_one():
    assert [(round(at), who) for at, who, _ in RECORDED.rows()] == [
        (-20, "node-1"),
        (0, ""),
        (5, "client"),
        (81, "node-2"),
        (121, "node-2"),
        (230, "node-2"),
        (231, "node-2"),
        (241, "node-2"),
        (331, "node-2"),
    ]


def test_a_connection_that_had_to_be_repeated_got_no_answer():
    assert RECORDED.unanswered() == [5]
    assert RECORDED.answered() == [-40, 240]


def test_what_the_cut_port_sends_is_left_out_and_time_is_counted_from_the_cut():
    frames = [beat(9.98, "node-1"), beat(10.03, "node-1"), beat(10.05, "node-2")]

    told = [(round(one.at), one.node) for one in timeline.since(frames, 10.0, "port-node-1")]

    assert told == [(-20, "node-1"), (50, "node-2")]


def test_the_page_gets_the_recording_and_keeps_its_words():
    text = f"before\n{timeline.BEGIN}of yesterday\n{timeline.END}after\n"

    made = timeline.page(text, RECORDED, "Told.")

    assert made.startswith("before\n")
    assert made.endswith("after\n")
    assert "of yesterday" not in made
    assert "| +230 | node-2 | claims 10.77.0.128" in made
    assert timeline.page(made, RECORDED, "Told.") == made


def test_the_page_in_the_docs_has_a_recording():
    text = timeline.PAGE.read_text()

    assert "| +0 |  | **the cable of" in text
    assert timeline.PICTURE.is_file()


def test_the_picture_has_a_lane_for_each_node_and_only_what_lies_within():
    picture = RECORDED.picture(-150, 500)

    assert "node-1: heartbeats" in picture
    assert picture.count("<svg") == 1
    assert "M" in lanes.svg([lanes.Lane("a", "#000", [1.0])], first=0, last=10, mark="x")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", []),
        (recorder.CLAIM_HEAD.pack(2, 0, 0, 1) + PACKED, [ADDRESS]),
        (recorder.CLAIM_HEAD.pack(4, 0, 0, 1) + PACKED, []),
        (recorder.CLAIM_HEAD.pack(3, 0, 0, 1) + bytes(16), []),
    ],
)
def test_claims_are_read(data, found):
    assert list(recorder.held(data)) == found


def test_an_arp_announcement_is_read():
    payload = bytes.fromhex("0001080006040001") + bytes(6) + PACKED + bytes(6) + PACKED

    seen = recorder.arp(1.0, "port-node-1", payload)

    assert (seen.operation, seen.sender, seen.target) == (1, ADDRESS, ADDRESS)


@pytest.mark.parametrize(
    ("flags", "kind"), [(0x02, "syn"), (0x12, "answered"), (0x10, None), (0x11, None)]
)
def test_only_the_first_two_packets_of_a_connection_are_noted(flags, kind):
    head = bytes([0x45]) + bytes(8) + bytes([recorder.TCP]) + bytes(2) + PACKED + PACKED
    tcp = (5000).to_bytes(2) + (80).to_bytes(2) + bytes(9) + bytes([flags]) + bytes(6)

    seen = recorder.handshake(1.0, "port-client", head + tcp)

    assert (seen.kind if seen else None) == kind


def test_what_is_no_heartbeat_of_ours_is_left_out():
    assert recorder.heartbeat(1.0, "port-node-1", b"nothing of ours") is None
