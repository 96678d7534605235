# SPDX-License-Identifier: MIT
"""Why a frame was not answered: one name each, and each is counted."""

import enum


class Ignored(enum.StrEnum):
    """The reason why a received ARP or NDP frame was not answered."""

    TRUNCATED = "truncated"  # shorter than its protocol's header
    MALFORMED = "malformed"  # a field that no correct sender sets
    BAD_CHECKSUM = "bad-checksum"  # RFC 4861 §7.1 wants a valid ICMPv6 checksum
    VLAN = "vlan"  # tagged: belongs to another interface
    NOT_OURS = "not-ours"  # about an address this node does not hold
    OWN = "own"  # sent by this interface
    REPLY = "reply"  # an ARP reply or a neighbour advertisement
    ANNOUNCEMENT = "announcement"  # an ARP request whose sender is its target
    STALE = "stale"  # queued while this process stood still
