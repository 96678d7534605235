# SPDX-License-Identifier: MIT
"""What the protocol core is told and what it answers: the seam between it and the shell.

Times are seconds on CLOCK_MONOTONIC, Ethernet addresses six bytes, interfaces kernel names.
"""

from __future__ import annotations

import dataclasses
import enum
import ipaddress
import math
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class Rank(enum.IntEnum):
    """How fit a node is to hold an address; lower is better and goes before the list's order."""

    WELL = 0
    CORDONED = 1
    PROXY_FAILING = 2
    NOT_READY = 3
    DRAINING = 4


class TakeCause(enum.StrEnum):
    """Why this node takes an address."""

    VACANT = "vacant"  # nobody held it as far as this speaker has heard
    HOLDER_DIED = "holder-died"
    HOLDER_LEFT = "holder-left"  # it released the address or said that it is leaving
    FAILBACK = "failback"  # this node is preferred and has been well for long enough
    HANDOVER = "handover"  # the holder ranks lower than this node, or is not listed any more


class ReleaseCause(enum.StrEnum):
    """Why this node stops answering for an address."""

    CLAIMED = "claimed"  # another speaker's claim goes before ours: `to` names its node
    NOT_TAKEN_OVER = "not-taken-over"  # unlisted, declined or vetoed, and nobody took it in time
    DELETED = "deleted"
    LINK_DOWN = "link-down"  # the interface is gone, has no carrier, or may not announce it now
    STALLED = "stalled"
    LEAVING = "leaving"


class PeerCause(enum.StrEnum):
    """Why a peer came or went."""

    HEARD = "heard"
    SILENT = "silent"
    LEAVING = "leaving"
    FORGOTTEN = "forgotten"  # this speaker's interface went away, or it stalled and starts anew


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A child Service as far as the election cares; all children, also those of other nodes.

    `interfaces` are the names on which this node may announce the address. `created` is the
    child's creation time in whole seconds since 1970. `declined`: policy Local and no serving
    endpoint on this node. `announced`: the child's status says that one of us announces it, or
    once did. `failback_delay_s` may be infinite.
    """

    address: Address
    nodes: tuple[str, ...]
    list_version: int
    created: int
    failback_delay_s: float
    interfaces: tuple[str, ...]
    declined: bool = False
    announced: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Interface:
    """A network interface that exists; `carrier` as rtnetlink reports it (up and running).

    `mtu` is in bytes.
    """

    name: str
    mac: bytes
    carrier: bool
    mtu: int = 1500


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """What a core is told once, at its start.

    `group` is the cluster's id: frames of another group are dropped. `epoch` are eight random
    bytes, new at each start. `keys` as in `KeysChanged`. `versions` are the lowest and highest
    format versions this speaker reads; only a test gives others than the default.

    The core: `Core(config)`, `handle(event, now) -> Sequence[Action]`, the properties
    `next_deadline` (send `Tick` then at the latest), `fence_at` (before each batch of work: once
    the clock has passed it, send `Stalled` first) and `counters` (dropped frames by reason), and
    `view(now) -> View`.
    """

    group: str
    node: str
    epoch: bytes
    keys: tuple[bytes, ...]
    interval_s: float = 0.05
    versions: tuple[int, int] = (1, 1)


@dataclasses.dataclass(frozen=True, slots=True)
class HeartbeatReceived:
    """A frame of our EtherType: `payload` is what follows the Ethernet header, padding included."""

    interface: str
    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """Sent at `Core.next_deadline` at the latest.

    `read_at`: what had come to any heartbeat socket by then has been received; a time after the
    tick itself means the tick's. With None only what is due is sent: nobody is asked, declared
    dead or succeeded, because its heartbeat may lie in a queue.
    """

    read_at: float | None = math.inf


@dataclasses.dataclass(frozen=True, slots=True)
class ChildrenChanged:
    """All children as they are now; `complete` once the first list (live or cached) is whole."""

    children: tuple[Listed, ...]
    complete: bool


@dataclasses.dataclass(frozen=True, slots=True)
class InterfacesChanged:
    """All interfaces as they are now."""

    interfaces: tuple[Interface, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class FitnessChanged:
    """This node's fitness; `vetoed`: it is no candidate for anything (the exclude label).

    A vetoed node gives its addresses up as an unlisted one does: to a claim, at most 10 s later.
    `proxy_well`: its service proxy is known to be well, which the peers are told.
    """

    rank: Rank
    vetoed: bool
    why: str
    proxy_well: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class KeysChanged:
    """The Secret's keys in order of preference; at least one, 16 to 32 bytes each."""

    keys: tuple[bytes, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Probed:
    """The outcomes of `Probe`s: for each address the MAC that answered for it, or None.

    `rivals` are the MACs that probed for an address at the same time; a peer's says nothing, and a
    stranger's is as good as an answer (RFC 5227 §2.1.1). Probes that ended together are told
    together, as each change of what is held is told to all.
    """

    interface: str
    answers: Mapping[Address, bytes | None]
    rivals: Mapping[Address, Collection[bytes]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Stalled:
    """Time has passed `Core.fence_at`: this process did not run, or a kernel took no heartbeats.

    Fenced are the interfaces whose own time is over; all, if the machine `slept`, as it does
    without CLOCK_MONOTONIC's knowledge.
    """

    slept: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Leave:
    """Hand everything over, then answer with `Left`."""


Event: TypeAlias = (
    HeartbeatReceived
    | Tick
    | ChildrenChanged
    | InterfacesChanged
    | FitnessChanged
    | KeysChanged
    | Probed
    | Stalled
    | Leave
)


@dataclasses.dataclass(frozen=True, slots=True)
class SendHeartbeat:
    """Send `payload` to the heartbeat group on this interface now; a claim precedes its `Take`."""

    interface: str
    payload: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Take:
    """Answer for the address from now on and announce it at once; `previous` held it, if anyone."""

    address: Address
    interface: str
    cause: TakeCause
    previous: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """Stop answering before anything else is read; `to` is the node that claims it, if any."""

    address: Address
    interface: str
    cause: ReleaseCause
    to: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """Ask the segment whether anybody answers for the address; the answer comes as `Probed`."""

    address: Address
    interface: str


@dataclasses.dataclass(frozen=True, slots=True)
class Blocked:
    """Not taken: somebody answers for it while `by_node`, listed too, was never heard."""

    address: Address
    interface: str
    by_node: str
    answered_by: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class InUse:
    """Not taken: a stranger answers for an address that none of us ever held."""

    address: Address
    interface: str
    answered_by: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Cleared:
    """An earlier `Blocked` or `InUse` does not hold any more."""

    address: Address
    interface: str


@dataclasses.dataclass(frozen=True, slots=True)
class PeerChanged:
    """A peer came to life or died on this interface."""

    interface: str
    node: str
    alive: bool
    cause: PeerCause


@dataclasses.dataclass(frozen=True, slots=True)
class Silence:
    """A live peer was heard again that had been asked for a sign of life, after so long.

    Of one that beats more rarely than usual it is as much less as it may be silent for longer.
    """

    interface: str
    node: str
    silent_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Alone:
    """While `alone`, nobody is heard though the lists name others: no periodic announcements.

    `abruptly`: several fell silent at once, so rather this node is deaf than they are dead: nothing
    is announced until something was received.
    """

    interface: str
    alone: bool
    abruptly: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Left:
    """Everything is handed over or the bound has passed: the process may exit."""


Action: TypeAlias = (
    SendHeartbeat
    | Take
    | Release
    | Probe
    | Blocked
    | InUse
    | Cleared
    | PeerChanged
    | Silence
    | Alone
    | Left
)


@dataclasses.dataclass(frozen=True, slots=True)
class PeerView:
    """A peer as believed on one interface; times in seconds."""

    interface: str
    node: str
    mac: bytes
    alive: bool
    hears_us: bool
    age_s: float
    interval_s: float
    well_for_s: float
    rank: Rank
    fit: bool
    claims: int


@dataclasses.dataclass(frozen=True, slots=True)
class AddressView:
    """An address on one interface; `holder` is the node believed to hold it, with the reason."""

    interface: str
    address: Address
    nodes: tuple[str, ...]
    list_version: int
    candidates: tuple[str, ...]
    holder: str | None
    held_here: bool
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What the core believes now; `key_ids` name the keys it accepts, best first."""

    peers: tuple[PeerView, ...]
    addresses: tuple[AddressView, ...]
    leaving: bool
    key_ids: tuple[bytes, ...]
