# SPDX-License-Identifier: MIT
"""Heartbeats taken apart: scapy layers written from docs/protocol.md, and a reader of captures.

`python -m tools.heartbeats capture.pcap` prints a line a frame; `-` reads what `tcpdump -w -`
writes. With `--key FILE` it also says whether the signature is right. In scapy, importing this
module is enough for `sniff` and `rdpcap` to show heartbeats. Nothing is shared with the codec.
"""

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from scapy.error import Scapy_Exception
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
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, bind_layers
from scapy.utils import PcapReader

ETHERTYPE: Final = 0x88B5
HEADER_BYTES: Final = 52
TAG_BYTES: Final = 16
RANKS: Final = {0: "well", 1: "cordoned", 2: "proxy-failing", 3: "node-not-ready", 4: "draining"}
KINDS: Final = {
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
    """A part with nothing behind it but the next one."""

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """Leave what follows to the list that this part is in."""
        return b"", s


class Echo(Leaf):
    """A sender and the last sequence heard of it."""

    name = "an epoch heard with the low bits of its sequence"
    fields_desc = (StrFixedLenField("epoch", b"", 8), IntField("sequence", 0))


class Claim(Leaf):
    """What the sender says of one address."""

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
    """A type, a length and a value."""

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
        ConditionalField(ShortField("part", 0), _of(9)),
        ConditionalField(ShortField("parts", 1), _of(9)),
        ConditionalField(
            PacketListField("claims", [], Claim, length_from=lambda p: p.length - 4), _of(9)
        ),
        ConditionalField(
            StrLenField("value", b"", length_from=_length), lambda p: p.kind not in KINDS
        ),
    )

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Fill the length in."""
        if self.length is None:
            pkt = pkt[:1] + (len(pkt) - 3).to_bytes(2) + pkt[3:]
        return pkt + pay


class Heartbeat(Packet):  # type: ignore[misc]  # scapy is not typed
    """A whole frame behind its Ethernet header."""

    name = "l2lb heartbeat"
    fields_desc = (
        StrFixedLenField("magic", b"L2LB", 4),
        ByteField("version", 1),
        FlagsField("flags", 0, 8, ["fit", "leaving", "proxy"]),
        ShortField("length", None),
        StrFixedLenField("key_id", b"", 4),
        StrFixedLenField("group", b"", 8),
        StrFixedLenField("epoch", b"", 8),
        LongField("sequence", 0),
        ShortField("interval_ms", 50),
        ByteEnumField("rank", 0, RANKS),
        ByteField("reserved", 0),
        IntField("claim_number", 0),
        LongField("well_for_ms", 0),
        PacketListField(
            "tlvs", [], Field, length_from=lambda p: p.length - HEADER_BYTES - TAG_BYTES
        ),
        StrFixedLenField("tag", b"", TAG_BYTES),
    )

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """Take what Ethernet adds to short frames for what it is."""
        return b"", s

    def mysummary(self) -> str:
        """Say who speaks and what."""
        return line(self, {})


bind_layers(Ether, Heartbeat, type=ETHERTYPE)
bind_layers(Dot1Q, Heartbeat, type=ETHERTYPE)


def fields(heartbeat: Heartbeat) -> dict[str, Field]:
    """Return the fields behind the header by their names; unknown ones by their numbers."""
    return {KINDS.get(each.kind, str(each.kind)): each for each in heartbeat.tlvs}


def key_id(key: bytes) -> bytes:
    """Return what names a key in frames."""
    return hashlib.blake2s(key, digest_size=4, person=b"l2lb-key").digest()


def tag(signed: bytes, key: bytes) -> bytes:
    """Return the signature of a frame's bytes from the magic to the last field."""
    return hashlib.blake2s(signed, key=key, digest_size=TAG_BYTES).digest()


def line(heartbeat: Heartbeat, names: Mapping[bytes, str]) -> str:
    """Say in one line who speaks and what; `names` are the nodes behind epochs."""
    found = fields(heartbeat)
    node = found["NODE"].node.decode(errors="replace") if "NODE" in found else "?"
    words = [f"{node} #{heartbeat.sequence}", str(heartbeat.flags) or "not-fit"]
    words.append(RANKS.get(heartbeat.rank, RANKS[4]))

    def named(epoch: bytes) -> str:
        return names.get(epoch, epoch.hex())

    for kind, word in {"HEARD": "hears", "GREETED": "greets"}.items():
        if kind in found:
            said = ",".join(f"{named(e.epoch)}#{e.sequence}" for e in found[kind].echoes)
            words.append(f"{word} {said or 'nobody'}")
    for kind, word in {"ASKED": "asks", "WANTED": "wants the claims of"}.items():
        if kind in found:
            words.append(f"{word} {','.join(named(epoch) for epoch in found[kind].epochs)}")
    if "CLAIMS" in found:
        said = ",".join(_claim(each) for each in found["CLAIMS"].claims)
        words.append(f"claims {said or 'nothing'} (set {heartbeat.claim_number})")
    return " ".join(words)


def _claim(claim: Claim) -> str:
    address = claim.v6 if claim.bits.v6 else claim.v4
    said = [word for word in ("held", "declined") if getattr(claim.bits, word)]
    return f"{address}[{claim.position}{''.join(f' {word}' for word in said)}]"


@dataclasses.dataclass(slots=True)
class Reader:
    """Turns captured frames into lines, and learns which node is behind an epoch."""

    keys: Mapping[bytes, bytes]  # by id
    names: dict[bytes, str] = dataclasses.field(default_factory=dict)
    last: dict[bytes, float] = dataclasses.field(default_factory=dict)

    def read(self, frames: Iterator[Packet]) -> Iterator[str]:
        """Yield a line for each heartbeat: time, since the sender's last, and what it says."""
        for frame in frames:
            if Heartbeat not in frame:
                continue
            heartbeat = frame[Heartbeat]
            at = float(frame.time)
            found = fields(heartbeat)
            if "NODE" in found:
                self.names[heartbeat.epoch] = found["NODE"].node.decode(errors="replace")
            since = at - self.last.get(heartbeat.epoch, at)
            self.last[heartbeat.epoch] = at
            said = f"{at:.6f} +{since * 1000:.0f}ms {line(heartbeat, self.names)}"
            yield f"{said} {self._signed(heartbeat)}".rstrip()

    def _signed(self, heartbeat: Heartbeat) -> str:
        if not self.keys:
            return ""
        key = self.keys.get(heartbeat.key_id)
        if key is None:
            return f"UNKNOWN KEY {heartbeat.key_id.hex()}"
        whole = heartbeat.original[: heartbeat.length]
        right = tag(whole[:-TAG_BYTES], key) == whole[-TAG_BYTES:]
        return "" if right else "FORGED"


def main() -> int:
    """Print the heartbeats of a capture."""
    parser = argparse.ArgumentParser(prog="python -m tools.heartbeats", description=__doc__)
    parser.add_argument("capture", help="a pcap or pcapng file, or - for standard input")
    parser.add_argument(
        "--key", type=Path, action="append", default=[], help="a file of the Secret"
    )
    options = parser.parse_args()
    # As the speaker does, so that a key may be any text.
    keys = [hashlib.blake2s(path.read_bytes().strip()).digest() for path in options.key]
    source = sys.stdin.buffer if options.capture == "-" else options.capture
    try:
        with PcapReader(source) as frames:
            for text in Reader({key_id(key): key for key in keys}).read(iter(frames)):
                print(text, flush=True)
    except (OSError, Scapy_Exception) as error:
        print(f"{options.capture}: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
