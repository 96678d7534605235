# SPDX-License-Identifier: MIT
"""The heartbeat as scapy layers: written from docs/protocol.md, sharing nothing with the codec."""

from __future__ import annotations

import hashlib
from typing import Any

from scapy.fields import (
    ByteEnumField,
    ByteField,
    ConditionalField,
    FieldListField,
    FlagsField,
    IntField,
    IP6Field,
    IPField,
    LongField,
    MACField,
    PacketListField,
    ShortField,
    StrFixedLenField,
    StrLenField,
)
from scapy.packet import Packet

KINDS = {
    1: "HEARD",
    2: "NODE",
    3: "VERSIONS",
    4: "MAC",
    5: "KEYS",
    6: "GREETED",
    7: "ASKED",
    8: "WANTED",
    9: "CLAIMS",
}


class Leaf(Packet):  # type: ignore[misc]  # scapy is not typed
    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        return b"", s


class Echo(Leaf):
    name = "an epoch heard with the low bits of its sequence"
    fields_desc = (StrFixedLenField("epoch", b"", 8), IntField("sequence", 0))


class Claim(Leaf):
    name = "a claim"
    fields_desc = (
        FlagsField("bits", 0, 8, ["v6", "held", "declined"]),
        ByteField("position", 0),
        IntField("created", 0),
        IntField("list_version", 0),
        ConditionalField(IPField("v4", "0.0.0.0"), lambda p: not p.bits.v6),
        ConditionalField(IP6Field("v6", "::"), lambda p: bool(p.bits.v6)),
    )


def _of(*kinds: int) -> Any:
    return lambda field: field.kind in kinds


def _length(packet: Any) -> int:
    return int(packet.length)


class Field(Leaf):
    name = "a field"
    fields_desc = (
        ByteEnumField("kind", 0, KINDS),
        ShortField("length", None),
        ConditionalField(PacketListField("echoes", [], Echo, length_from=_length), _of(1, 6)),
        ConditionalField(StrLenField("node", b"", length_from=_length), _of(2)),
        ConditionalField(ByteField("low", 1), _of(3)),
        ConditionalField(ByteField("high", 1), _of(3)),
        ConditionalField(MACField("mac", "00:00:00:00:00:00"), _of(4)),
        ConditionalField(
            FieldListField("keys", [], StrFixedLenField("", b"", 4), length_from=_length), _of(5)
        ),
        ConditionalField(
            FieldListField("epochs", [], StrFixedLenField("", b"", 8), length_from=_length),
            _of(7, 8),
        ),
        ConditionalField(ByteField("part", 0), _of(9)),
        ConditionalField(ByteField("parts", 1), _of(9)),
        ConditionalField(
            PacketListField("claims", [], Claim, length_from=lambda p: p.length - 2), _of(9)
        ),
        ConditionalField(
            StrLenField("value", b"", length_from=_length), lambda p: p.kind not in KINDS
        ),
    )

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        if self.length is None:
            pkt = pkt[:1] + (len(pkt) - 3).to_bytes(2) + pkt[3:]
        return pkt + pay


class Heartbeat(Packet):  # type: ignore[misc]  # scapy is not typed
    name = "l2lb heartbeat"
    fields_desc = (
        StrFixedLenField("magic", b"L2LB", 4),
        ByteField("version", 1),
        FlagsField("flags", 0, 8, ["fit", "leaving"]),
        ShortField("length", None),
        StrFixedLenField("key_id", b"", 4),
        StrFixedLenField("group", b"", 8),
        StrFixedLenField("epoch", b"", 8),
        LongField("sequence", 0),
        ShortField("interval_ms", 50),
        ByteField("rank", 0),
        ByteField("reserved", 0),
        IntField("claim_number", 0),
        LongField("well_for_ms", 0),
        PacketListField("tlvs", [], Field, length_from=lambda p: p.length - 52 - 16),
        StrFixedLenField("tag", b"", 16),
    )


def fields(heartbeat: Heartbeat) -> dict[str, Field]:
    return {KINDS.get(each.kind, str(each.kind)): each for each in heartbeat.tlvs}


def sign(heartbeat: Heartbeat, key: bytes, group: str) -> bytes:
    """The frame's bytes with length, key id, group and tag filled in."""
    heartbeat.key_id = hashlib.blake2s(key, digest_size=4, person=b"l2lb-key").digest()
    heartbeat.group = hashlib.blake2s(group.encode(), digest_size=8, person=b"l2lb-grp").digest()
    heartbeat.length = 52 + sum(len(bytes(each)) for each in heartbeat.tlvs) + 16
    signed = bytes(heartbeat)[:-16]
    return signed + hashlib.blake2s(signed, key=key, digest_size=16).digest()
