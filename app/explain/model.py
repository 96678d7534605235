# SPDX-License-Identifier: MIT
"""The values that the command line and the page show. All are frozen; times are aware.

A `why` and each of the `sentences` are for the one who must act: what is wrong, with the value,
and what would be right.
"""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any

from contract.pool import Address


class Level(enum.IntEnum):
    """How much a state asks for somebody's attention; the greater, the more."""

    GOOD = 0
    NOTICE = 1  # it works, not as it was planned
    WAITING = 2  # it does not work yet and should soon
    BROKEN = 3


class AddressState(enum.StrEnum):
    """What is known of one address."""

    ANNOUNCED = "announced"  # by its preferred node
    MOVED = "moved"  # announced by a stand-in
    STALE = "stale"  # announced, as was last reported, by a node that is gone or not Ready
    CONFLICT = "conflict"  # announced, and claimed by a stranger as well
    IN_USE = "in-use"  # not announced, since a stranger answers for it
    SILENT = "silent"  # not announced, for the reason that a speaker gives
    UNREPORTED = "unreported"  # no speaker has spoken of it yet
    RELEASING = "releasing"  # about to be given up

    @property
    def level(self) -> Level:
        """How much it asks for attention."""
        return _ADDRESS_LEVELS[self]

    @property
    def announced(self) -> bool:
        """Whether somebody of ours answers for it, as far as is known."""
        return self in {self.ANNOUNCED, self.MOVED, self.CONFLICT}


_ADDRESS_LEVELS = {
    AddressState.ANNOUNCED: Level.GOOD,
    AddressState.MOVED: Level.NOTICE,
    AddressState.STALE: Level.WAITING,
    AddressState.CONFLICT: Level.BROKEN,
    AddressState.IN_USE: Level.BROKEN,
    AddressState.SILENT: Level.BROKEN,
    AddressState.UNREPORTED: Level.WAITING,
    AddressState.RELEASING: Level.NOTICE,
}


class ServiceState(enum.StrEnum):
    """What is known of one Service."""

    SERVED = "served"  # it has what it asks for, and all of it is announced
    TROUBLED = "troubled"  # it has what it asks for, and not all of it is announced
    PARTIAL = "partial"  # it has some of what it asks for
    PENDING = "pending"  # it has nothing
    NOT_OURS = "not-ours"  # its type or class leaves it to somebody else
    LEAVING = "leaving"  # it is being deleted

    @property
    def level(self) -> Level:
        """How much it asks for attention."""
        return _SERVICE_LEVELS[self]


_SERVICE_LEVELS = {
    ServiceState.SERVED: Level.GOOD,
    ServiceState.TROUBLED: Level.NOTICE,  # its addresses say how much
    ServiceState.PARTIAL: Level.WAITING,
    ServiceState.PENDING: Level.BROKEN,
    ServiceState.NOT_OURS: Level.NOTICE,
    ServiceState.LEAVING: Level.NOTICE,
}


class BalancerState(enum.StrEnum):
    """What is known of one balancer."""

    READY = "ready"
    NOT_READY = "not-ready"  # its condition Ready says why
    UNANSWERED = "unanswered"  # no hook has answered for this generation of it

    @property
    def level(self) -> Level:
        """How much it asks for attention."""
        return _BALANCER_LEVELS[self]


_BALANCER_LEVELS = {
    BalancerState.READY: Level.GOOD,
    BalancerState.NOT_READY: Level.BROKEN,
    BalancerState.UNANSWERED: Level.WAITING,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Condition:
    """A condition of an object, as it stands there."""

    kind: str
    status: str
    reason: str
    message: str
    since: dt.datetime | None


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """An address went from one node to another, as an Event told; `warns` after a death."""

    moment: dt.datetime
    namespace: str
    service: str
    address: Address
    came_from: str
    went_to: str
    why: str
    warns: bool


@dataclasses.dataclass(frozen=True, slots=True)
class AddressView:
    """One address, which is one child Service.

    `nodes` is the list in order: `desired`, the preferred node, then the stand-ins. `holder` is
    the node that announces it as was last reported, on `interface` with `mac`; None: nobody.
    `since` is when that began, as far as is known.
    """

    address: Address
    balancer: str
    namespace: str
    service: str
    child: str
    nodes: tuple[str, ...]
    desired: str | None
    holder: str | None
    interface: str | None
    mac: str | None
    since: dt.datetime | None
    state: AddressState
    reason: str
    why: str


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceView:
    """One Service of a user.

    `asked` is the count as written, a number or `auto`, and `asked_by` who wrote it. `wanted` is
    how many addresses that makes over all its `families`, None where it cannot be told. `listed`
    is what its own status shows. `summary` is one sentence, `sentences` are the whole explanation.
    """

    namespace: str
    name: str
    balancer: str
    state: ServiceState
    asked: str
    asked_by: str
    wanted: int | None
    families: tuple[int, ...]
    requested: tuple[Address, ...]
    sharing_key: str | None
    local: bool
    addresses: tuple[AddressView, ...]
    listed: tuple[Address, ...]
    reason: str
    summary: str
    sentences: tuple[str, ...]
    conditions: tuple[Condition, ...]
    moves: tuple[Move, ...]

    @property
    def level(self) -> Level:
        """How much it asks for attention: of the Service, or of the worst of its addresses."""
        return max(
            [self.state.level, *(one.state.level for one in self.addresses)],
        )


@dataclasses.dataclass(frozen=True, slots=True)
class NodeView:
    """A node as the API server knows it; its speaker may know better.

    `member` is whether lists may name it, `fit` whether it is expected to hold what it is listed
    for; `why` says what is against either. `ready` is None where nobody tells. `desired` counts
    the addresses that prefer it and `held` those that it announces: of one balancer within a
    `BalancerView`, of all within a `ClusterView`.
    """

    name: str
    exists: bool = True
    member: bool = True
    fit: bool = True
    why: str = ""
    ready: bool | None = None
    cordoned: bool = False
    excluded: bool = False
    desired: int = 0
    held: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    """The addresses of one IP version in a balancer's pool, as its status counts them."""

    version: int
    total: int
    assigned: int
    free: int


@dataclasses.dataclass(frozen=True, slots=True)
class BalancerView:
    """One balancer. `pool` is as written; `families` is empty until a hook has answered.

    `namespaces` is None where every namespace may use it.
    """

    name: str
    state: BalancerState
    summary: str
    pool: tuple[str, ...]
    ip_count: str
    failback_delay: str
    node_selector: Mapping[str, str]
    namespaces: tuple[str, ...] | None
    interfaces: tuple[str, ...]
    families: tuple[Family, ...]
    quarantined: tuple[Address, ...]
    nodes: tuple[NodeView, ...]
    services: tuple[ServiceView, ...]
    addresses: tuple[AddressView, ...]
    conditions: tuple[Condition, ...]

    @property
    def level(self) -> Level:
        """How much it asks for attention: of the balancer, or of the worst of its Services."""
        services = (one.level for one in self.services if one.state is not ServiceState.NOT_OURS)
        addresses = (one.state.level for one in self.addresses)
        return max([self.state.level, *services, *addresses])


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterView:
    """All there is to see. `services` also holds those whose balancer does not exist.

    `moves` are the newest first. `problems` are sentences about objects that cannot be read.
    """

    balancers: tuple[BalancerView, ...]
    services: tuple[ServiceView, ...]
    nodes: tuple[NodeView, ...]
    moves: tuple[Move, ...]
    problems: tuple[str, ...]

    @property
    def level(self) -> Level:
        """How much the whole asks for attention."""
        balancers = (one.level for one in self.balancers)
        services = (one.level for one in self.services)
        problems = Level.BROKEN if self.problems else Level.GOOD
        return max([problems, *balancers, *services])

    def service(self, namespace: str, name: str) -> ServiceView | None:
        """Return a Service of it, None when there is none of that name that concerns us."""
        return next(
            (one for one in self.services if (one.namespace, one.name) == (namespace, name)), None
        )


def plain(value: Any) -> Any:
    """Return a view as JSON can show it, with names in camelCase as Kubernetes writes them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {
            camel(field.name): plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
        level = getattr(value, "level", None)
        return found if level is None else {**found, "level": plain(level)}
    if isinstance(value, Level):
        return value.name.lower()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def camel(name: str) -> str:
    """Return a field's name as JSON has it."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
