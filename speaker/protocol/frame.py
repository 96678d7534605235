# SPDX-License-Identifier: MIT
"""The heartbeat's bytes, as `docs/protocol.md` lays them out: encode, authenticate, decode.

Written by hand around `struct`, because a speaker in a large group decodes a thousand frames a
second: what does not change from beat to beat is parsed once and then found in a cache.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import hmac
import struct
from typing import TYPE_CHECKING

from speaker.protocol import claimset, const

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HEADER = struct.Struct("!4sBBH4s8s8sQHBBIQ")
_TLV = struct.Struct("!BH")
_HEARD = struct.Struct("!8sI")
_TAG_BYTES = 16
_KEY_ID_BYTES = 4
_MAC_BYTES = 6
_EPOCH_BYTES = 8
_CACHED_TAILS = 4 * const.PEERS_MAX
SEQUENCE_MASK = 0xFFFFFFFF


class Drop(enum.StrEnum):
    """Why a frame changed nothing; the core counts each."""

    MALFORMED = "malformed"
    VERSION = "version"
    FOREIGN_GROUP = "foreign-group"
    UNKNOWN_KEY = "unknown-key"
    FORGED = "forged"
    OWN = "own"
    REPLAYED = "replayed"
    UNPROVEN = "unproven"  # well signed, but does not echo what we sent lately: greeted, not heeded
    TOO_MANY_PEERS = "too-many-peers"
    NOT_OURS = "not-ours"  # an interface on which we announce nothing


class DropError(Exception):
    """A frame that must change nothing."""

    def __init__(self, reason: Drop) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Flag(enum.IntFlag):
    """What a speaker says about itself in the header."""

    FIT = 1  # it has a complete list and may take addresses
    LEAVING = 2  # its last words
    PROXY = 4  # its node's service proxy answers health checks, and is well


class Tlv(enum.IntEnum):
    """Types of the fields behind the header; a reader skips those it does not know."""

    HEARD = 1
    NODE = 2
    VERSIONS = 3
    MAC = 4
    KEYS = 5
    GREETED = 6
    ASKED = 7
    WANTED = 8
    CLAIMS = 9


_OCCASIONAL = frozenset({Tlv.HEARD, Tlv.GREETED, Tlv.ASKED, Tlv.WANTED, Tlv.CLAIMS})


@dataclasses.dataclass(frozen=True, slots=True)
class Tail:
    """The fields behind the list of peers heard; the first four are the same in every frame."""

    node: str
    versions: tuple[int, int]
    mac: bytes
    key_ids: tuple[bytes, ...]
    heard: bytes | None = None
    greeted: bytes = b""
    asked: bytes = b""
    wanted: bytes = b""
    claims: claimset.Part | None = None
    plain: bool = True  # nothing but the first four: a beat


@dataclasses.dataclass(slots=True)  # not frozen: construction is in the hot path
class Frame:
    """An authentic frame. `heard` are packed (epoch, sequence) pairs; None: nothing is said."""

    epoch: bytes
    sequence: int
    flags: int
    interval_s: float
    rank: int
    claim_number: int
    well_for_s: float
    heard: bytes | None
    tail: Tail


def key_id(key: bytes) -> bytes:
    """Name a key without telling it: four bytes of its BLAKE2s digest."""
    return hashlib.blake2s(key, digest_size=_KEY_ID_BYTES, person=b"l2lb-key").digest()


def group_id(group: str) -> bytes:
    """Shorten the cluster's id to eight bytes."""
    return hashlib.blake2s(group.encode(), digest_size=8, person=b"l2lb-grp").digest()


class Codec:
    """Writes and reads frames of one group with the keys in force."""

    def __init__(self, group: str, keys: Sequence[bytes], versions: tuple[int, int]) -> None:
        self._group = group_id(group)
        self._versions = versions
        self._tails: dict[bytes, Tail] = {}
        self.key_ids: tuple[bytes, ...] = ()
        self._signers: dict[bytes, hashlib.blake2s] = {}
        self.set_keys(keys)

    def set_keys(self, keys: Sequence[bytes]) -> None:
        """Accept these keys from now on; 1 to 8 of 16 to 32 bytes each, else ValueError."""
        if not 1 <= len(keys) <= const.KEYS_MAX:
            raise ValueError(f"{len(keys)} heartbeat keys: give 1 to {const.KEYS_MAX}")
        for key in keys:
            if not const.KEY_BYTES_MIN <= len(key) <= hashlib.blake2s.MAX_KEY_SIZE:
                raise ValueError(f"a heartbeat key of {len(key)} bytes: give 16 to 32 random bytes")
        self.key_ids = tuple(key_id(key) for key in keys)
        # A keyed state is copied for each frame: the key's own block is hashed once.
        self._signers = {
            key_id(key): hashlib.blake2s(key=key, digest_size=_TAG_BYTES) for key in keys
        }

    def encode(
        self,
        *,
        version: int,
        signer: bytes,
        epoch: bytes,
        sequence: int,
        flags: int,
        interval_s: float,
        rank: int,
        claim_number: int,
        well_for_s: float,
        fields: bytes,
    ) -> bytes:
        """Build one frame; `fields` are TLVs in any order, HEARD first is the fastest to read."""
        length = _HEADER.size + len(fields) + _TAG_BYTES
        head = _HEADER.pack(
            const.MAGIC,
            version,
            flags,
            length,
            signer,
            self._group,
            epoch,
            sequence,
            round(interval_s * 1000),
            rank,
            0,
            claim_number,
            int(well_for_s * 1000),
        )
        state = self._signers[signer].copy()
        state.update(head)
        state.update(fields)
        return b"".join((head, fields, state.digest()))

    def decode(self, payload: bytes) -> Frame:
        """Read one frame, padding behind it ignored; raise DropError unless it is authentic."""
        try:
            (
                magic,
                version,
                flags,
                length,
                signer,
                group,
                epoch,
                sequence,
                interval_ms,
                rank,
                _,
                claim_number,
                well_for_ms,
            ) = _HEADER.unpack_from(payload)
        except struct.error:
            raise DropError(Drop.MALFORMED) from None
        end = length - _TAG_BYTES
        if magic != const.MAGIC or end < _HEADER.size or length > len(payload):
            raise DropError(Drop.MALFORMED)
        if not self._versions[0] <= version <= self._versions[1]:
            raise DropError(Drop.VERSION)
        if group != self._group:
            raise DropError(Drop.FOREIGN_GROUP)
        keyed = self._signers.get(signer)
        if keyed is None:
            raise DropError(Drop.UNKNOWN_KEY)
        state = keyed.copy()
        state.update(payload[:end])
        if not hmac.compare_digest(state.digest(), payload[end:length]):
            raise DropError(Drop.FORGED)
        if not interval_ms:
            raise DropError(Drop.MALFORMED)

        start = _HEADER.size
        heard: bytes | None = None
        if payload[start] == Tlv.HEARD and start + _TLV.size <= end:
            size = payload[start + 1] << 8 | payload[start + 2]
            start += _TLV.size
            heard = payload[start : start + size]
            start += size
        rest = payload[start:end]
        tail = self._tails.get(rest)
        if tail is None:
            tail = self._tail(rest)
        return Frame(
            epoch,
            sequence,
            flags,
            interval_ms / 1000,
            rank,
            claim_number,
            well_for_ms / 1000,
            tail.heard if heard is None else heard,
            tail,
        )

    def _tail(self, data: bytes) -> Tail:
        try:
            tail = _parse_tail(data)
        except (struct.error, KeyError, ValueError, IndexError):
            raise DropError(Drop.MALFORMED) from None
        if tail.plain:
            if len(self._tails) >= _CACHED_TAILS:
                self._tails.clear()
            self._tails[data] = tail
        return tail


def _parse_tail(data: bytes) -> Tail:
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        kind, size = _TLV.unpack_from(data, at)
        at += _TLV.size
        if at + size > len(data):
            raise ValueError(f"field {kind} of {size} bytes runs over the end")
        fields[kind] = data[at : at + size]
        at += size
    node = fields[Tlv.NODE].decode()
    low, high = fields[Tlv.VERSIONS]
    mac = fields[Tlv.MAC]
    keys = fields[Tlv.KEYS]
    if not node or len(mac) != _MAC_BYTES or low > high or len(keys) % _KEY_ID_BYTES:
        raise ValueError("a field with a size that its type does not have")
    stated = fields.get(Tlv.CLAIMS)
    return Tail(
        node=node,
        versions=(low, high),
        mac=mac,
        key_ids=tuple(keys[i : i + _KEY_ID_BYTES] for i in range(0, len(keys), _KEY_ID_BYTES)),
        heard=fields.get(Tlv.HEARD),
        greeted=fields.get(Tlv.GREETED, b""),
        asked=fields.get(Tlv.ASKED, b""),
        wanted=fields.get(Tlv.WANTED, b""),
        claims=None if stated is None else claimset.parse(stated),
        plain=fields.keys().isdisjoint(_OCCASIONAL),
    )


def field(kind: Tlv, value: bytes) -> bytes:
    """One TLV."""
    return _TLV.pack(kind, len(value)) + value


def identity(node: str, mac: bytes, versions: tuple[int, int], key_ids: Iterable[bytes]) -> bytes:
    """Pack the TLVs that are the same in every beat of a speaker."""
    return b"".join(
        (
            field(Tlv.NODE, node.encode()),
            field(Tlv.VERSIONS, bytes(versions)),
            field(Tlv.MAC, mac),
            field(Tlv.KEYS, b"".join(key_ids)),
        )
    )


def room(node: str, frame_bytes: int) -> int:
    """Bytes that a frame has for its one varying value, whatever keys its sender will accept."""
    longest = identity(
        node, bytes(_MAC_BYTES), const.VERSIONS, [bytes(_KEY_ID_BYTES)] * const.KEYS_MAX
    )
    return frame_bytes - _HEADER.size - _TLV.size - len(longest) - _TAG_BYTES


def peers_that_fit(node: str, frame_bytes: int) -> int:
    """How many peers a beat can list; `PEERS_MAX` at most."""
    return min(const.PEERS_MAX, room(node, frame_bytes) // _HEARD.size)


def pack_heard(heard: Iterable[tuple[bytes, int]]) -> bytes:
    """Pack (epoch, sequence) pairs; of the sequence the low 32 bits."""
    pack = _HEARD.pack
    return b"".join([pack(epoch, sequence & SEQUENCE_MASK) for epoch, sequence in heard])


def heard_sequence(heard: bytes, epoch: bytes) -> int | None:
    """Look an epoch up in packed pairs: the low 32 bits of the sequence, or None."""
    at = heard.find(epoch)
    while at % _HEARD.size and at >= 0:
        at = heard.find(epoch, at + 1)
    if at < 0 or at + _HEARD.size > len(heard):
        return None
    return int.from_bytes(heard[at + _EPOCH_BYTES : at + _HEARD.size])


def heard_epochs(heard: bytes) -> list[bytes]:
    """List the epochs of packed pairs."""
    whole = len(heard) - len(heard) % _HEARD.size
    return [epoch for epoch, _ in _HEARD.iter_unpack(heard[:whole])]


def is_newer(low_bits: int, sequence: int) -> bool:
    """Compare the low 32 bits of a sequence to a whole one, in serial arithmetic (RFC 1982)."""
    return 0 < (low_bits - sequence) & SEQUENCE_MASK < 1 << 31


def names_epoch(epochs: bytes, epoch: bytes) -> bool:
    """Whether packed epochs hold this one."""
    at = epochs.find(epoch)
    while at % _EPOCH_BYTES and at >= 0:
        at = epochs.find(epoch, at + 1)
    return at >= 0
