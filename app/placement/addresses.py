# SPDX-License-Identifier: MIT
"""Which Service has which addresses.

What exists is kept first, for all Services; what those that are not served still show is nobody
else's yet; then what a Service's status already lists is taken back; then requests are met, or the
place of one that cannot be met is left empty; then the lowest free addresses are given out.
Each step goes through the Services in creation order, so that a later one never takes what an
earlier one could keep.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from app.placement import model, sharing
from contract.pool import VERSIONS, Address


@dataclass(slots=True)
class Seat:
    """One address of a Service; `held` is the existing child whose name and nodes it goes on with.

    `held.address` differs from `address` where the child has to change it.
    """

    address: Address
    held: model.Held | None = None
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Allocation:
    """The seats of each Service in the order of the Services given, and what is out of bounds."""

    seats: tuple[tuple[Seat, ...], ...]
    shortfalls: tuple[tuple[model.Shortfall, ...], ...]
    quarantined: tuple[Address, ...]
    totals: tuple[model.Total, model.Total]


def allocate(balancer: model.Balancer, wishes: Sequence[model.Wish]) -> Allocation:
    """Return the addresses of each of `wishes`, which are in creation order.

    Once applied, the same is answered again, save that an address which is quarantined now goes
    next time to a Service that requests it by name.
    """
    book = _Book(balancer)
    book.shun(wishes)
    services = [_Service(wish) for wish in wishes]
    _keep(book, services)
    for leaving in balancer.leaving:
        for address in leaving.adopted:
            if address in book.pool:
                book.claim(address, leaving)
    for service in services:
        service.settle_counts(book, len(balancer.nodes))
    if balancer.nodes:
        _adopt(book, services)
        _meet_requests(book, services)
        _fill(book, services)
    for service in services:
        service.number()
        if not balancer.nodes:
            service.shortfalls = [model.NoNodes()]
    return Allocation(
        tuple(tuple(sorted(service.all_seats(), key=_ordinal)) for service in services),
        tuple(tuple(service.shortfalls) for service in services),
        tuple(sorted(book.quarantined, key=_order)),
        (book.total(4), book.total(6)),
    )


class _Book:
    """Who claims which address of the pool, and the lowest that nobody does."""

    def __init__(self, balancer: model.Balancer) -> None:
        self.pool = balancer.pool
        self.quarantined = set(balancer.quarantined)
        self._claims: dict[Address, list[model.Wish]] = {}
        self._ascending = {version: balancer.pool.addresses(version) for version in VERSIONS}
        self._passed = dict.fromkeys(VERSIONS, -1)
        self._returned: dict[int, list[int]] = {version: [] for version in VERSIONS}
        self._by_value: dict[tuple[int, int], Address] = {}
        self._shared: dict[tuple[str, str, int], sharing.Shared] = {}

    def shun(self, wishes: Iterable[model.Wish]) -> None:
        """Quarantine what children lost to strangers: a status read too early does not tell yet."""
        lost = {held.lost_to_stranger for wish in wishes for held in wish.held}
        for address in sorted((one for one in lost if one is not None), key=_order):
            if address in self.pool and len(self.quarantined) < model.MAX_QUARANTINED:
                self.quarantined.add(address)

    def blocker(self, address: Address, wish: model.Wish) -> model.Wish | None:
        """Return the first claimant with whom `wish` cannot share the address."""
        for other in self._claims.get(address, ()):
            if (
                other is wish
                or wish.sharing_key is None
                or (wish.namespace, wish.sharing_key) != (other.namespace, other.sharing_key)
                or not wish.ports.isdisjoint(other.ports)
            ):
                return other
        return None

    def adoptable(self, address: Address, wish: model.Wish) -> bool:
        """Whether a Service may have back what its status lists."""
        return (
            address in self.pool
            and address not in self.quarantined
            and self.blocker(address, wish) is None
        )

    def claim(self, address: Address, wish: model.Wish) -> None:
        self._claims.setdefault(address, []).append(wish)
        if wish.sharing_key is not None:
            key = wish.namespace, wish.sharing_key, address.version
            self._shared.setdefault(key, sharing.Shared()).claim(address, wish.ports)

    def release(self, address: Address, wish: model.Wish) -> None:
        claimants = self._claims[address]
        claimants.remove(wish)
        if wish.sharing_key is not None:
            key = wish.namespace, wish.sharing_key, address.version
            self._shared[key].release(address, wish.ports)
        if not claimants:
            del self._claims[address]
            if int(address) <= self._passed[address.version]:
                self._by_value[address.version, int(address)] = address
                heapq.heappush(self._returned[address.version], int(address))

    def take_free(self, version: int, wish: model.Wish) -> Address | None:
        """Claim an address that may be shared, or the lowest free one of a family."""
        address = self._shareable(version, wish) or self._lowest(version)
        if address is not None:
            self.claim(address, wish)
        return address

    def total(self, version: int) -> model.Total:
        size = self.pool.size(version)
        used = sum(address.version == version for address in self._claims)
        shunned = sum(
            address.version == version and address in self.pool and address not in self._claims
            for address in self.quarantined
        )
        return model.Total(size, used, size - used - shunned)

    def _shareable(self, version: int, wish: model.Wish) -> Address | None:
        if wish.sharing_key is None:
            return None
        shared = self._shared.get((wish.namespace, wish.sharing_key, version))
        for address in shared.roomy(wish.ports) if shared is not None else ():
            if address not in self.quarantined and self.blocker(address, wish) is None:
                return address
        return None

    def _lowest(self, version: int) -> Address | None:
        returned = self._returned[version]
        while returned:
            address = self._by_value.pop((version, heapq.heappop(returned)), None)
            if address is not None and self._is_free(address):
                return address
        for address in self._ascending[version]:
            self._passed[version] = int(address)
            if self._is_free(address):
                return address
        return None

    def _is_free(self, address: Address) -> bool:
        return address not in self._claims and address not in self.quarantined


@dataclass(slots=True)
class _Service:
    """A Service while its addresses are being settled; families are worked on apart."""

    wish: model.Wish
    seats: dict[int, list[Seat]] = field(default_factory=lambda: {v: [] for v in VERSIONS})
    vacant: dict[int, list[model.Held]] = field(
        default_factory=lambda: {v: [] for v in VERSIONS},
    )
    wanted: dict[int, int] = field(default_factory=lambda: dict.fromkeys(VERSIONS, 0))
    refused: dict[int, int] = field(default_factory=lambda: dict.fromkeys(VERSIONS, 0))
    shortfalls: list[model.Shortfall] = field(default_factory=list)

    def all_seats(self) -> Iterator[Seat]:
        for version in VERSIONS:
            yield from self.seats[version]

    def missing(self, version: int) -> int:
        return self.wanted[version] - len(self.seats[version])

    def fillable(self, version: int) -> int:
        """Return how many seats any address may take: a refused request is not met by another."""
        return self.missing(version) - self.refused[version]

    def settle_counts(self, book: _Book, members: int) -> None:
        """Fix how many addresses are wanted; give up the last of those that are too many."""
        for version in VERSIONS:
            seats = self.seats[version]
            count = self.wish.count(version)
            if isinstance(count, model.Auto):
                requested = {a for a in self.wish.requested if a.version == version}
                count = max(members, len(seats), len(requested), self._had(book, version))
            self.wanted[version] = count or 0
            self.vacant[version].sort(key=_held_ordinal)
            if not seats:
                continue
            seats.sort(key=_seat_ordinal)
            if self.wish.requested:
                rank = {address: rank for rank, address in enumerate(self.wish.requested)}
                seats.sort(key=lambda seat: rank.get(seat.address, len(rank)))
            for seat in seats[self.wanted[version] :]:
                book.release(seat.address, self.wish)
            del seats[self.wanted[version] :]

    def _had(self, book: _Book, version: int) -> int:
        """Return how many of a family the Service had by our own record and has or can have."""
        if not self.wish.recorded:
            return 0
        has = {seat.address for seat in self.seats[version]}
        return sum(
            address.version == version and (address in has or book.adoptable(address, self.wish))
            for address in self.wish.adopted
        )

    def seat(self, address: Address) -> None:
        """Give an address that is claimed already to a child that lost its own, or to a new one."""
        vacant = self.vacant[address.version]
        self.seats[address.version].append(Seat(address, vacant.pop(0) if vacant else None))

    def evict(self, book: _Book, version: int, *, but: Sequence[Address]) -> Address:
        """Give up the last address that is not among `but`; its child goes on with another."""
        seats = self.seats[version]
        for index in range(len(seats) - 1, -1, -1):
            if seats[index].address not in but:
                seat = seats.pop(index)
                book.release(seat.address, self.wish)
                if seat.held is not None:
                    self.vacant[version].insert(0, seat.held)
                return seat.address
        raise AssertionError(f"{self.wish.key} has no seat but those it requests")

    def number(self) -> None:
        """Give new children the lowest ordinals that no child keeps.

        A child's family cannot be changed in place, so a child of the other family that is about
        to be deleted still holds its ordinal.
        """
        kept = [seat.held for seat in self.all_seats() if seat.held is not None]
        used = {held.ordinal for held in kept}
        ordinals = {
            version: used | {h.ordinal for h in self.wish.held if h.address.version != version}
            for version in VERSIONS
        }
        lowest = dict.fromkeys(VERSIONS, 1)
        for seat in self.all_seats():
            if seat.held is not None:
                seat.ordinal = seat.held.ordinal
                continue
            version = seat.address.version
            while lowest[version] in ordinals[version]:
                lowest[version] += 1
            seat.ordinal = lowest[version]
            for taken in ordinals.values():
                taken.add(seat.ordinal)


def _keep(book: _Book, services: Sequence[_Service]) -> None:
    """Let every child keep its address while it is in the pool.

    Where two that share one can not any more, it is that of the one whose Service is as it was;
    of two such the older's.
    """
    children = [
        (_has_changed(service.wish, held), held.created, order, held.ordinal, held)
        for order, service in enumerate(services)
        for held in service.wish.held
    ]
    children.sort(key=lambda child: child[:4])
    for _, _, order, _, held in children:
        service = services[order]
        address = held.address
        if address in book.pool and book.blocker(address, service.wish) is None:
            book.claim(address, service.wish)
            service.seats[address.version].append(Seat(address, held))
        else:
            service.vacant[address.version].append(held)


def _has_changed(wish: model.Wish, held: model.Held) -> bool:
    """Whether a Service shares otherwise than when its child was made, or not at all any more."""
    if held.sharing_key is None:
        return False
    return (held.sharing_key, held.ports) != (wish.sharing_key, wish.ports)


def _adopt(book: _Book, services: Iterable[_Service]) -> None:
    """Take back what a Service's status lists: children were lost, or it came from elsewhere."""
    for service in services:
        for address in service.wish.adopted:
            if service.missing(address.version) > 0 and book.adoptable(address, service.wish):
                book.claim(address, service.wish)
                service.seat(address)


def _meet_requests(book: _Book, services: Iterable[_Service]) -> None:
    """Give requested addresses, in place of others where the count is full.

    An address given up for a requested one may be what others requested: they are asked again.
    """
    asking = [service for service in services if service.wish.requested]
    wanting: dict[Address, list[int]] = {}
    for order, service in enumerate(asking):
        for address in service.wish.requested:
            wanting.setdefault(address, []).append(order)
    queue = list(range(len(asking)))  # sorted, thus a heap
    queued = set(queue)
    while queue:
        order = heapq.heappop(queue)
        queued.remove(order)
        service = asking[order]
        service.shortfalls = []
        service.refused = dict.fromkeys(VERSIONS, 0)
        for version in VERSIONS:
            for freed in _meet_requests_of(book, service, version):
                for other in wanting.get(freed, ()):
                    if other not in queued:
                        queued.add(other)
                        heapq.heappush(queue, other)


def _meet_requests_of(book: _Book, service: _Service, version: int) -> list[Address]:
    """Give a Service what it requests of a family; return the addresses given up for it."""
    requested = [a for a in dict.fromkeys(service.wish.requested) if a.version == version]
    wanted = service.wanted[version]
    freed: list[Address] = []
    for address in requested[:wanted]:
        if any(seat.address == address for seat in service.seats[version]):
            continue
        if address not in book.pool:
            service.refused[version] += 1
            service.shortfalls.append(model.NotInPool(address))
        elif (blocker := book.blocker(address, service.wish)) is not None:
            service.refused[version] += 1
            service.shortfalls.append(model.Taken(address, blocker.key))
        else:
            if service.missing(version) <= 0:
                freed.append(service.evict(book, version, but=requested[:wanted]))
            book.claim(address, service.wish)
            service.seat(address)
    service.shortfalls += [
        model.BeyondCount(address, wanted) if address in book.pool else model.NotInPool(address)
        for address in requested[wanted:]
    ]
    return freed


def _fill(book: _Book, services: Sequence[_Service]) -> None:
    """Replace addresses that strangers use, then give out free ones."""
    withheld: set[int] = set()
    for index, service in enumerate(services):
        _replace_in_use(book, service)
        _fill_service(book, service)
        if (empty := _empty_family(service)) is not None:
            withheld.add(index)
            _give_back(book, service)
            if not service.refused[empty]:
                service.shortfalls.append(model.OneFamilyOnly(empty))
    for index, service in enumerate(services):
        if index in withheld:
            continue
        if withheld:
            _fill_service(book, service)
        service.shortfalls += [
            model.PoolExhausted(version, service.fillable(version))
            for version in VERSIONS
            if service.fillable(version) > 0
        ]


def _fill_service(book: _Book, service: _Service) -> None:
    for version in VERSIONS:
        while service.fillable(version) > 0:
            address = book.take_free(version, service.wish)
            if address is None:
                break
            service.seat(address)


def _replace_in_use(book: _Book, service: _Service) -> None:
    """Give another address to a child that could never announce the one it was given.

    Without another to give, or room to remember the bad one, the child keeps it: the stranger
    may leave.
    """
    for seat in service.all_seats():
        held = seat.held
        if (
            held is None
            or not held.reported_in_use
            or held.ever_announced
            or held.address != seat.address
            or seat.address in service.wish.requested
            or len(book.quarantined) >= model.MAX_QUARANTINED
        ):
            continue
        another = book.take_free(seat.address.version, service.wish)
        if another is not None:
            book.release(seat.address, service.wish)
            book.quarantined.add(seat.address)
            seat.address = another


def _empty_family(service: _Service) -> int | None:
    """Return the family whose lack keeps a Service that requires both from getting either."""
    if not service.wish.both_or_none:
        return None
    for version in VERSIONS:
        if service.wanted[version] and not service.seats[version]:
            return version
    return None


def _give_back(book: _Book, service: _Service) -> None:
    for version in VERSIONS:
        for seat in [seat for seat in service.seats[version] if seat.held is None]:
            service.seats[version].remove(seat)
            book.release(seat.address, service.wish)


def _ordinal(seat: Seat) -> int:
    return seat.ordinal


def _seat_ordinal(seat: Seat) -> int:
    return _held_ordinal(seat.held)


def _held_ordinal(held: model.Held | None) -> int:
    return held.ordinal if held is not None else 0


def _order(address: Address) -> tuple[int, int]:
    return address.version, int(address)
