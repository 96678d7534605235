# SPDX-License-Identifier: MIT
"""What a speaker says of addresses, and its bytes: the value of the field CLAIMS."""

from __future__ import annotations

import dataclasses
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEAD = struct.Struct("!HH")  # the part's number, and how many there are
_CLAIM = struct.Struct("!BBII")
_ADDRESS_BYTES = (4, 16)

UNLISTED = 255  # the position of a node that the list does not name


@dataclasses.dataclass(frozen=True, slots=True)
class Claim:
    """What a speaker says of one address; position in the list, `UNLISTED` if it is not in it."""

    created: int
    list_version: int
    position: int
    held: bool
    declined: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One part of a claim set, by packed address; parts are counted from 0."""

    part: int
    parts: int
    claims: Mapping[bytes, Claim]


def parse(data: bytes) -> Part:
    """Read one part; raises ValueError or struct.error when it is malformed."""
    part, parts = _HEAD.unpack_from(data)
    if part >= parts:
        raise ValueError(f"part {part} of {parts}")
    claims: dict[bytes, Claim] = {}
    at = _HEAD.size
    while at < len(data):
        bits, position, created, version = _CLAIM.unpack_from(data, at)
        at += _CLAIM.size
        size = _ADDRESS_BYTES[bits & 1]
        address = data[at : at + size]
        if len(address) != size:
            raise ValueError("a claim that ends within its address")
        claims[address] = Claim(created, version, position, bool(bits & 2), bool(bits & 4))
        at += size
    return Part(part, parts, claims)


def pack(claims: Mapping[bytes, Claim], room: int) -> list[bytes]:
    """Pack a claim set into values of CLAIMS of at most `room` bytes; an empty set is one value."""
    parts: list[list[bytes]] = [[]]
    size = 0
    for address, claim in claims.items():
        bits = (len(address) == _ADDRESS_BYTES[1]) | claim.held << 1 | claim.declined << 2
        packed = _CLAIM.pack(bits, claim.position, claim.created, claim.list_version) + address
        if _HEAD.size + size + len(packed) > room:
            parts.append([])
            size = 0
        parts[-1].append(packed)
        size += len(packed)
    return [_HEAD.pack(number, len(parts)) + b"".join(part) for number, part in enumerate(parts)]
