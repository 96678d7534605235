# SPDX-License-Identifier: MIT
from __future__ import annotations

import contextlib

import hypothesis
import pytest
from hypothesis import strategies as st

from speaker.protocol import claimset, const, frame
from tests.simulator import oracle

KEY = bytes(range(32))
GROUP = "cluster"
MAC = bytes.fromhex("525400123456")

epochs = st.binary(min_size=8, max_size=8)
sequences = st.integers(0, 2**64 - 1)
echoes = st.lists(st.tuples(epochs, sequences), max_size=20)
names = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,62}", fullmatch=True)
addresses = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
claims = st.dictionaries(
    addresses,
    st.builds(
        claimset.Claim,
        created=st.integers(0, 2**32 - 1),
        list_version=st.integers(0, 2**32 - 1),
        position=st.integers(0, 255),
        held=st.booleans(),
        declined=st.booleans(),
    ),
    max_size=200,
)


def codec(*keys: bytes, group: str = GROUP, versions: tuple[int, int] = (1, 1)) -> frame.Codec:
    return frame.Codec(group, keys or (KEY,), versions)


def encode(fields: bytes = b"", node: str = "n1", **more: object) -> bytes:
    writer = codec()
    values: dict[str, object] = {
        "version": 1,
        "signer": frame.key_id(KEY),
        "epoch": bytes(8),
        "sequence": 7,
        "flags": 1,
        "interval_s": 0.05,
        "rank": 0,
        "claim_number": 0,
        "well_for_s": 1.5,
    }
    identity = frame.identity(node, MAC, (1, 1), writer.key_ids)
    return writer.encode(**{**values, **more}, fields=fields + identity)  # type: ignore[arg-type]


def drop_reason(payload: bytes, reader: frame.Codec | None = None) -> frame.Drop:
    with pytest.raises(frame.DropError) as caught:
        (reader or codec()).decode(payload)
    return caught.value.reason


@hypothesis.given(epochs, sequences, st.integers(1, 65535), names, echoes)
def test_scapy_reads_a_beat_as_it_was_written(epoch, sequence, interval_ms, node, heard):
    rank = sequence % 5
    payload = encode(
        frame.field(frame.Tlv.HEARD, frame.pack_heard(heard)),
        node,
        epoch=epoch,
        sequence=sequence,
        interval_s=interval_ms / 1000,
        rank=rank,
    )
    seen = oracle.Heartbeat(payload)
    tlvs = oracle.fields(seen)
    assert (seen.magic, seen.version, seen.length) == (b"L2LB", 1, len(payload))
    assert (seen.epoch, seen.sequence, seen.rank) == (epoch, sequence, rank)
    assert (seen.interval_ms, seen.well_for_ms, seen.flags.fit) == (interval_ms, 1500, True)
    assert [(e.epoch, e.sequence) for e in tlvs["HEARD"].echoes] == [
        (each, number % 2**32) for each, number in heard
    ]
    assert tlvs["NODE"].node.decode() == node
    assert tlvs["MAC"].mac == "52:54:00:12:34:56"
    assert oracle.sign(seen, KEY, GROUP) == payload


@hypothesis.given(epochs, sequences, st.integers(1, 65535), names, echoes)
def test_a_frame_that_scapy_wrote_is_read_with_unknown_fields_skipped_and_padding_ignored(
    epoch, sequence, interval_ms, node, heard
):
    padding = bytes(sequence % 60)
    written = oracle.Heartbeat(
        epoch=epoch,
        sequence=sequence,
        interval_ms=interval_ms,
        flags="leaving",
        claim_number=9,
        well_for_ms=61_000,
        tlvs=[
            oracle.Field(kind=200, value=b"of the next release"),
            oracle.Field(kind=2, node=node),
            oracle.Field(
                kind=1, echoes=[oracle.Echo(epoch=e, sequence=s % 2**32) for e, s in heard]
            ),
            oracle.Field(kind=5, keys=[b"abcd", b"efgh"]),
            oracle.Field(kind=4, mac="52:54:00:12:34:56"),
            oracle.Field(kind=7, epochs=[epoch]),
            oracle.Field(kind=3, low=1, high=2),
        ],
    )
    read = codec().decode(oracle.sign(written, KEY, GROUP) + padding)
    assert (read.epoch, read.sequence, read.interval_s) == (epoch, sequence, interval_ms / 1000)
    assert (read.flags, read.claim_number, read.well_for_s) == (frame.Flag.LEAVING, 9, 61.0)
    assert read.heard == frame.pack_heard(heard)
    tail = read.tail
    assert (tail.node, tail.mac, tail.versions) == (node, MAC, (1, 2))
    assert tail.key_ids == (b"abcd", b"efgh")
    assert frame.names_epoch(tail.asked, epoch)


@hypothesis.given(claims)
def test_a_claim_set_of_any_size_arrives_whole_in_parts_that_fit_a_frame(stated):
    received: dict[bytes, claimset.Claim] = {}
    values = claimset.pack(stated, const.CLAIM_PART_BYTES)
    for number, value in enumerate(values):
        payload = encode(frame.field(frame.Tlv.CLAIMS, value))
        assert len(payload) <= const.FRAME_BYTES
        part = codec().decode(payload).tail.claims
        assert part is not None
        assert (part.part, part.parts) == (number, len(values))
        seen = oracle.fields(oracle.Heartbeat(payload))["CLAIMS"].claims
        assert [c.list_version for c in seen] == [c.list_version for c in part.claims.values()]
        assert [bool(c.bits.held) for c in seen] == [c.held for c in part.claims.values()]
        received |= part.claims
    assert received == stated


def test_a_node_alone_after_a_power_cut_can_claim_the_addresses_of_all():
    claim = claimset.Claim(0, 1, 0, held=True, declined=False)
    stated = {number.to_bytes(4): claim for number in range(50_000)}
    parts = [claimset.parse(value) for value in claimset.pack(stated, const.CLAIM_PART_BYTES)]
    assert [part.part for part in parts] == list(range(len(parts)))
    assert {part.parts for part in parts} == {len(parts)}
    assert sum(len(part.claims) for part in parts) == len(stated)


@hypothesis.given(st.data())
def test_a_frame_with_any_bit_changed_is_dropped(data):
    payload = bytearray(encode())
    bit = data.draw(st.integers(0, len(payload) * 8 - 1))
    payload[bit // 8] ^= 1 << bit % 8
    drop_reason(bytes(payload))


@hypothesis.given(st.data())
def test_a_frame_cut_short_anywhere_is_malformed(data):
    payload = encode()
    cut = data.draw(st.integers(0, len(payload) - 1))
    assert drop_reason(payload[:cut]) is frame.Drop.MALFORMED


@hypothesis.given(st.binary(max_size=300))
def test_random_bytes_are_dropped(noise):
    drop_reason(noise)
    drop_reason(const.MAGIC + noise)


@hypothesis.given(st.binary(max_size=200))
def test_random_fields_under_a_right_key_never_raise_anything_but_a_drop(noise):
    for kind in frame.Tlv:
        with contextlib.suppress(frame.DropError):
            codec().decode(encode(frame.field(kind, noise) + noise))


def test_each_reason_to_drop_is_told_apart():
    payload = encode()
    assert drop_reason(payload, codec(group="another")) is frame.Drop.FOREIGN_GROUP
    assert drop_reason(payload, codec(bytes(32))) is frame.Drop.UNKNOWN_KEY
    assert drop_reason(payload, codec(versions=(2, 3))) is frame.Drop.VERSION
    assert drop_reason(payload[:-1] + b"\0") is frame.Drop.FORGED
    assert drop_reason(encode(interval_s=0)) is frame.Drop.MALFORMED


def test_any_of_the_accepted_keys_may_have_signed():
    old, new = KEY, bytes(32)
    assert codec(new, old).decode(encode()).sequence == 7


@pytest.mark.parametrize("keys", [(), (b"short",), (bytes(33),), (KEY,) * 9])
def test_unusable_keys_are_refused_with_a_sentence(keys):
    with pytest.raises(ValueError, match="heartbeat key"):
        frame.Codec(GROUP, keys, (1, 1))


@hypothesis.given(echoes, epochs, sequences)
def test_an_epoch_is_found_only_where_an_entry_begins(heard, epoch, sequence):
    hypothesis.assume(all(epoch != each for each, _ in heard))
    packed = frame.pack_heard(heard)
    assert frame.heard_sequence(packed, epoch) is None
    shifted = b"shif" + epoch
    assert frame.heard_sequence(shifted, epoch) is None or shifted.startswith(epoch)
    found = frame.heard_sequence(packed + frame.pack_heard([(epoch, sequence)]), epoch)
    assert found == sequence % 2**32


@hypothesis.given(sequences, st.integers(1, 2**31 - 1))
def test_sequences_compare_across_the_wrap_of_their_low_bits(sequence, ahead):
    assert frame.is_newer((sequence + ahead) % 2**32, sequence)
    assert not frame.is_newer(sequence % 2**32, sequence)
    assert not frame.is_newer((sequence - ahead) % 2**32, sequence)


def test_the_cache_of_identities_is_bounded():
    reader = codec()
    for number in range(10_000):
        reader.decode(encode(node=f"n{number}"))
    assert len(reader._tails) <= 4 * const.PEERS_MAX
