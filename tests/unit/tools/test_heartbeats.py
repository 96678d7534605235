# SPDX-License-Identifier: MIT
"""What the reader of captures says of frames that our code encoded."""

import hashlib
import ipaddress
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from scapy.layers.l2 import Dot1Q, Ether
from scapy.utils import wrpcap

from speaker.protocol import claimset, const, frame
from tools import heartbeats

SECRET = b"sixteen bytes or more\n"
KEY = hashlib.blake2s(SECRET.strip()).digest()
ONE, TWO = b"11111111", b"22222222"
HELD = ipaddress.ip_address("192.0.2.10")
SIX = ipaddress.ip_address("2001:db8::10")


def payload(node: str, *fields: bytes, key: bytes = KEY, **header: Any) -> bytes:
    codec = frame.Codec("l2lb", [key], const.VERSIONS)
    values: dict[str, Any] = {
        "epoch": ONE,
        "sequence": 7,
        "flags": frame.Flag.FIT,
        "rank": 0,
        "claim_number": 3,
        **header,
    }
    identity = frame.identity(node, bytes(6), const.VERSIONS, codec.key_ids)
    return codec.encode(
        version=1,
        signer=codec.key_ids[0],
        interval_s=0.05,
        well_for_s=60.0,
        fields=b"".join(fields) + identity,
        **values,
    )


def captured(at: float, content: bytes, vlan: int | None = None) -> Any:
    ethernet = Ether(dst=const.GROUP_MAC.hex(":"), src="02:00:00:00:00:01", type=const.ETHERTYPE)
    if vlan is not None:
        ethernet.type = 0x8100
        ethernet /= Dot1Q(vlan=vlan, type=const.ETHERTYPE)
    made = Ether(bytes(ethernet) + content)
    made.time = at
    return made


def lines(*frames: Any, keys: tuple[bytes, ...] = ()) -> list[str]:
    reader = heartbeats.Reader({heartbeats.key_id(key): key for key in keys})
    return list(reader.read(iter(frames)))


def test_a_beat_names_its_sender_and_whom_it_hears_once_they_have_spoken():
    heard = frame.field(frame.Tlv.HEARD, frame.pack_heard([(TWO, 41)]))

    told = lines(
        captured(1.0, payload("n1", heard)),
        captured(1.02, payload("n2", epoch=TWO, sequence=42)),
        captured(1.05, payload("n1", heard, sequence=8)),
    )

    assert told == [
        f"1.000000 +0ms n1 #7 fit well hears {TWO.hex()}#41",
        "1.020000 +0ms n2 #42 fit well",
        "1.050000 +50ms n1 #8 fit well hears n2#41",
    ]


def test_claims_asks_and_last_words_are_told():
    claims = {
        HELD.packed: claimset.Claim(0, 1, 0, held=True, declined=False),
        SIX.packed: claimset.Claim(0, 1, claimset.UNLISTED, held=False, declined=True),
    }
    (value,) = claimset.pack(claims, const.CLAIM_PART_BYTES)

    told = lines(
        captured(0.0, payload("n1", frame.field(frame.Tlv.CLAIMS, value), rank=4)),
        captured(0.0, payload("n2", frame.field(frame.Tlv.ASKED, ONE), epoch=TWO)),
        captured(0.0, payload("n3", frame.field(frame.Tlv.WANTED, TWO), epoch=b"3" * 8, flags=2)),
    )

    assert [text.removeprefix("0.000000 +0ms ") for text in told] == [
        "n1 #7 fit draining claims 192.0.2.10[0 held],2001:db8::10[255 declined] (set 3)",
        "n2 #7 fit well asks n1",
        "n3 #7 leaving well wants the claims of n2",
    ]


def test_a_signature_is_judged_by_the_keys_given():
    right = payload("n1")
    forged = right[:-1] + bytes([right[-1] ^ 1])
    other = payload("n1", key=bytes(32))

    told = lines(*(captured(0.0, content) for content in (right, forged, other)), keys=(KEY,))

    assert [text.partition("well")[2] for text in told] == [
        "",
        " FORGED",
        f" UNKNOWN KEY {frame.key_id(bytes(32)).hex()}",
    ]


def test_a_tag_of_a_vlan_before_it_and_padding_behind_it_change_nothing():
    content = payload("n1")

    plain, tagged = lines(
        captured(0.0, content), captured(0.0, content + bytes(20), vlan=12), keys=(KEY,)
    )

    assert plain == tagged == "0.000000 +0ms n1 #7 fit well"


def test_other_frames_are_passed_over():
    assert not lines(Ether(type=0x0800) / b"something else")


def run(*words: str, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "tools.heartbeats", *words]
    return subprocess.run(argv, input=content, capture_output=True, check=False, timeout=60)


def test_a_capture_is_read_from_a_file_and_from_tcpdump(tmp_path: pathlib.Path) -> None:
    capture, key = tmp_path / "beats.pcap", tmp_path / "key"
    wrpcap(str(capture), [captured(1.5, payload("n1"))])
    key.write_bytes(SECRET)

    from_file = run(str(capture), "--key", str(key))
    from_pipe = run("-", content=capture.read_bytes())

    assert from_file.stdout == from_pipe.stdout == b"1.500000 +0ms n1 #7 fit well\n"


@pytest.mark.parametrize("content", [b"", b"no capture"])
def test_what_is_no_capture_is_named(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "beats.pcap"
    path.write_bytes(content)

    answer = run(str(path))

    assert answer.returncode == 1
    assert answer.stderr.decode().startswith(f"{path}: ")
    assert b"Traceback" not in answer.stderr
