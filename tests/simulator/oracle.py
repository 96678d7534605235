# SPDX-License-Identifier: MIT
"""The heartbeat written a second time, as `tools/heartbeats.py` has it, and signed."""

from __future__ import annotations

import hashlib

from tools import heartbeats
from tools.heartbeats import Claim, Echo, Field, Heartbeat, fields

__all__ = ["Claim", "Echo", "Field", "Heartbeat", "fields", "sign"]


def sign(heartbeat: Heartbeat, key: bytes, group: str) -> bytes:
    """The frame's bytes with length, key id, group and tag filled in."""
    heartbeat.key_id = heartbeats.key_id(key)
    heartbeat.group = hashlib.blake2s(group.encode(), digest_size=8, person=b"l2lb-grp").digest()
    behind = sum(len(bytes(each)) for each in heartbeat.tlvs)
    heartbeat.length = heartbeats.HEADER_BYTES + behind + heartbeats.TAG_BYTES
    signed = bytes(heartbeat)[: -heartbeats.TAG_BYTES]
    return signed + heartbeats.tag(signed, key)
