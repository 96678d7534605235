# SPDX-License-Identifier: MIT
"""The values that placement reads and the values it answers with.

All are frozen and compare by value. Times are seconds since the epoch, nodes are Node names, a
version is 4 or 6. Nothing here knows a Kubernetes object: the hooks translate.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from contract import names
from contract.pool import IPV4, Address, Pool

MAX_LISTED: Final = names.MAX_LISTED_NODES
MAX_QUARANTINED: Final = 64  # of the balancer's status, where they are kept

Port = tuple[str, int]  # protocol in capitals, and number
ServiceKey = tuple[str, str]  # namespace and name


class Auto(enum.Enum):
    """The count that follows the number of member nodes, and never shrinks by itself."""

    AUTO = "auto"


AUTO: Final = Auto.AUTO
Count = int | Auto | None  # addresses of one family; None: the Service does not want the family


@dataclass(frozen=True, slots=True)
class Held:
    """An existing child of a Service: what the balancer remembers.

    `reported_in_use` is true only for a report about the address that the child has now, and
    `ever_announced` only if that was. `lost_to_stranger` is the address it had before, if a speaker
    reported that a stranger uses it and nothing has been reported of the child since.
    `sharing_key` and `ports` are those that it was made for, given where the address may be shared.
    """

    ordinal: int
    address: Address
    nodes: tuple[str, ...]
    list_version: int
    created: float
    reported_in_use: bool = False
    ever_announced: bool = False
    lost_to_stranger: Address | None = None
    sharing_key: str | None = None
    ports: frozenset[Port] = frozenset()


@dataclass(frozen=True, slots=True)
class Wish:
    """A Service of the balancer: what it wants, and what it has.

    `both_or_none` is RequireDualStack: it gets nothing new while a family it wants would stay
    empty. `adopted` is what its own status already lists, in that order; `recorded` is whether we
    wrote that, so that `auto` is no fewer. `requested` are the addresses that the user named, most
    wanted first.
    """

    namespace: str
    name: str
    uid: str
    created: float
    ipv4: Count = None
    ipv6: Count = None
    both_or_none: bool = False
    requested: tuple[Address, ...] = ()
    sharing_key: str | None = None
    ports: frozenset[Port] = frozenset()
    held: tuple[Held, ...] = ()
    adopted: tuple[Address, ...] = ()
    recorded: bool = False

    @property
    def key(self) -> ServiceKey:
        """Return namespace and name."""
        return self.namespace, self.name

    def count(self, version: int) -> Count:
        """Return how many addresses of a family are wanted."""
        return self.ipv4 if version == IPV4 else self.ipv6


@dataclass(frozen=True, slots=True)
class Balancer:
    """A balancer: its addresses, its member nodes, and the addresses it must leave alone.

    `pool` no longer holds what an older balancer owns. `known` are the nodes that were members
    when an answer was last seen to be what exists: until it is, the lists do not tell who joined
    or left. It is empty when that is not known; then whom no list names has joined. `planned` is
    how many addresses each of them was to prefer by the last answer, or empty.
    `leaving` are Services that are not served, being deleted or no longer allowed: they get
    nothing more, but while they show `adopted` addresses every service proxy sends them what comes
    for these.
    """

    uid: str
    pool: Pool
    nodes: tuple[str, ...]
    quarantined: frozenset[Address] = frozenset()
    known: frozenset[str] = frozenset()
    planned: Mapping[str, int] = field(default_factory=dict)
    leaving: tuple[Wish, ...] = ()


@dataclass(frozen=True, slots=True)
class Assigned:
    """A child as it should be: `ordinal` names it and stays, `nodes[0]` is the preferred holder.

    `nodes` is empty only for an existing child that never had a list and while the balancer has
    no member; a list that existed is then kept as it was.
    """

    ordinal: int
    address: Address
    nodes: tuple[str, ...]
    list_version: int


@dataclass(frozen=True, slots=True)
class PoolExhausted:
    """`missing` addresses of a family are not to be had at present."""

    version: int
    missing: int


@dataclass(frozen=True, slots=True)
class NotInPool:
    """A requested address that the balancer does not own."""

    address: Address


@dataclass(frozen=True, slots=True)
class Taken:
    """A requested address that another Service has and does not, or cannot, share."""

    address: Address
    by: ServiceKey


@dataclass(frozen=True, slots=True)
class BeyondCount:
    """A requested address left out because more are requested than the Service's count.

    `count` is that of the address's family; 0: the Service does not want the family at all.
    """

    address: Address
    count: int


@dataclass(frozen=True, slots=True)
class OneFamilyOnly:
    """The Service requires both families and `version` has no address for it: it gets none."""

    version: int


@dataclass(frozen=True, slots=True)
class NoNodes:
    """The balancer has no member node: nothing new is given out, and lists stay as they are."""


Shortfall = PoolExhausted | NotInPool | Taken | BeyondCount | OneFamilyOnly | NoNodes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one Service gets, by ordinal, and in typed reasons why that is less than it wants."""

    namespace: str
    name: str
    uid: str
    assigned: tuple[Assigned, ...]
    shortfalls: tuple[Shortfall, ...] = ()

    @property
    def key(self) -> ServiceKey:
        """Return namespace and name."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Total:
    """The addresses of one family: in the pool, given out (shared ones once), and still free."""

    total: int
    assigned: int
    free: int


@dataclass(frozen=True, slots=True)
class Placement:
    """The whole answer: the outcomes in the Services' creation order (then namespace, name)."""

    outcomes: tuple[Outcome, ...]
    quarantined: tuple[Address, ...]
    ipv4: Total
    ipv6: Total
