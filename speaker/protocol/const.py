# SPDX-License-Identifier: MIT
"""The protocol's numbers. Multiples are of the sender's announced heartbeat interval."""

from __future__ import annotations

from typing import Final

ETHERTYPE: Final = 0x88B5  # IEEE 802 local experimental EtherType 1, IEEE 802-2014 §9.2.4
GROUP_MAC: Final = bytes.fromhex("036c326c6200")  # group and locally administered bits: not routed
MAGIC: Final = b"L2LB"
VERSIONS: Final = (1, 1)  # lowest and highest format version this release reads and writes

INTERVAL_S: Final = 0.05
INTERVAL_MAX_S: Final = 1.0
# At most 3 % of a core to receive all peers' beats, at 30 us each with socket and event loop.
INTERVAL_PER_PEER_S: Final = 0.001
# Who hears a beat so shortly before its own is due sends it now. Soon all beat together, so that
# each is woken once or twice an interval and not once a peer: most of what an idle speaker costs.
TOGETHER_INTERVALS: Final = 0.5
# How much earlier the next one is due then. More, and a busy group drives itself: each beat that is
# read late has others beat early, which is read late (30 speakers beat every 35 ms).
EARLIER_INTERVALS: Final = 0.05
LENGTHEN_AFTER_BEATS: Final = 3  # a longer interval is announced that often before it is used
# Who beat so late that it was dead at the usual interval, twice and not this time apart, doubles
# its own, and the third time doubles it again: 1 s until it is dead. Each such time without it
# takes one of them back. Where a processor is fought over a stall moves addresses, each move is
# work for every speaker, and work makes stalls: at the usual interval that does not end.
STARVED_FOR_S: Final = 60.0
STALLS_COUNTED: Final = 3
STARVED_TIMES: Final = 2 ** (STALLS_COUNTED - 1)

ASK_AFTER_INTERVALS: Final = 2.0  # 100 ms: two beats may be late or lost before anybody asks
ASK_SPACING_INTERVALS: Final = 0.8  # 40 ms: three asks and a round trip fit into the dead-interval
ASK_TOGETHER_INTERVALS: Final = 0.4  # 20 ms: whoever would be asked so soon is asked along
ASKS: Final = 3
LAST_ASK_INTERVALS: Final = 1.0  # time that the last ask has to be answered
DEAD_AFTER_INTERVALS: Final = 5.0  # 250 ms
# A peer that only others hear is alive to us for so long; then we must not wait for what we can
# not hear. At 20 % loss 20 beats and 60 asks in a row are not lost by chance.
WITNESSED_FOR_INTERVALS: Final = 20.0
FRESH_INTERVALS: Final = 20.0  # an echo of our sequence that is older proves nothing
# Answers to asks, and greetings, at most so often; in a large group twice as often as beats. All
# hear each, and after an outage of the segment everybody asks and greets everybody: without a bound
# that grows with the group, the answers alone would keep a node too busy to hear them in time.
ANSWER_SPACING_S: Final = 0.01
ANSWER_SPACING_PER_PEER_S: Final = INTERVAL_PER_PEER_S / 2

FRAME_BYTES: Final = 1_400  # fits a VXLAN inside 1,500 bytes, with an IPv6 underlay and a tag
CLAIM_PART_BYTES: Final = 1_200
CLAIM_SENDINGS: Final = 3  # a changed set: at once, then with the next beats
CLAIMS_AWAITED_S: Final = 1.0  # how long a new peer's unknown claims hold our own takes back
FAREWELLS: Final = 3
COLD_START_S: Final = 3.0  # so long an unheard node that is listed earlier is waited for
PASSED_OVER_AFTER_S: Final = 1.0  # a candidate that does not claim what is due to it
GIVEN_UP_AFTER_S: Final = 10.0  # by a holder that is no candidate any more, when nobody claims
LEAVE_WITHIN_S: Final = 10.0  # below Kubernetes' default grace period of 30 s
PROBE_AGAIN_S: Final = 10.0  # an address that somebody else answered for
REMEMBERED_S: Final = 600.0  # a dead peer's MAC and last sequence

PEERS_MAX: Final = 100  # one interface: the list of peers heard must fit into one frame
KEYS_MAX: Final = 8
KEY_BYTES_MIN: Final = 16
OWN_EPOCHS_KEPT: Final = 16  # peers may list a former one until it is dead to them
STRANGERS_MAX: Final = 32  # epochs greeted at a time that have not proved to be of today
