# SPDX-License-Identifier: MIT
"""Following the node's interfaces: a netlink socket that keeps a `table.Table` up to date.

Links and addresses are followed message by message. Default routes are dumped anew whenever one
of them or a link changes, because the kernel drops routes of a link that goes down silently. Until
that is done those known before stand: where routes change all the time, hardly a dump is whole.
"""

import asyncio
import errno
import itertools
import socket
from collections.abc import Callable
from typing import Final

from contract import pool
from speaker.links import rtnetlink, table

_BATCH: Final = 4  # datagrams, of hundreds of routes each, before the event loop has its turn
_DATAGRAM_B: Final = 1 << 16
_RECEIVE_BUFFER_B: Final = 1 << 20
REPEAT_AFTER_S: Final = 1.0  # a dump that the kernel has refused or not finished
_WORTH_TELLING: Final = 3  # one that changed while it was told is nothing strange
_DUMPS: Final = (rtnetlink.RTM_GETLINK, rtnetlink.RTM_GETADDR, rtnetlink.RTM_GETROUTE)


class LinkWatch:
    """Calls `changed` with a new table at each change, first when all was dumped once.

    `failed` is told why no dump has been whole for some seconds.
    """

    def __init__(
        self, changed: Callable[[table.Table], None], failed: Callable[[str], None]
    ) -> None:
        self._changed = changed
        self._failed = failed
        self._incomplete = 0  # dumps in a row
        self._loop = asyncio.get_running_loop()
        self._sequences = itertools.count(1)
        self._links: dict[int, table.Link] = {}
        self._addresses: dict[int, set[rtnetlink.Address]] = {}
        self._routes: list[rtnetlink.DefaultRoute] = []  # of the dump under way
        self._known_routes: list[rtnetlink.DefaultRoute] | None = None
        self._dumps: list[int] = []  # still to ask for, one at a time
        self._dump: tuple[int, int] | None = None  # kind and sequence of the one under way
        self._interrupted = False  # some message of it said so
        self._routes_stale = False
        self._shown: table.Table | None = None
        self._repeat: asyncio.TimerHandle | None = None
        self._begin()

    def close(self) -> None:
        """Stop following."""
        if self._repeat is not None:
            self._repeat.cancel()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _begin(self) -> None:
        self._socket = _subscribed()
        self._port, _ = self._socket.getsockname()
        self._loop.add_reader(self._socket, self._read)
        self._dumps = list(_DUMPS)
        self._ask()

    def _begin_anew(self) -> None:
        """Dump all on a new socket: while one dump is under way, the kernel refuses another."""
        self.close()
        self._repeat = None
        self._begin()

    def _ask(self) -> None:
        """Show the table if links and addresses are known, and ask for the next dump."""
        if not self._dumps and self._routes_stale and self._repeat is None:
            self._dumps = [rtnetlink.RTM_GETROUTE]
        if self._dumps in ([], [rtnetlink.RTM_GETROUTE]):
            self._show()
        if not self._dumps:
            self._dump = None
            return
        kind = self._dumps.pop(0)
        self._dump = (kind, next(self._sequences))
        self._interrupted = False
        if kind == rtnetlink.RTM_GETLINK:
            self._links.clear()
        elif kind == rtnetlink.RTM_GETADDR:
            self._addresses.clear()
        else:
            self._routes = []
            self._routes_stale = False
        self._socket.send(rtnetlink.dump_request(*self._dump))

    def _read(self) -> None:
        for _ in range(_BATCH):
            try:
                datagram = self._socket.recv(_DATAGRAM_B)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self._begin_anew()  # messages were lost
                return
            for message in rtnetlink.messages(datagram):
                self._take(message)
        if self._dump is None:
            self._ask()

    def _take(self, message: rtnetlink.Message) -> None:
        asked = self._dump is not None and message.sequence == self._dump[1]
        dumped = asked and message.port == self._port
        self._interrupted |= dumped and message.interrupted
        match message.type:
            case rtnetlink.RTM_NEWLINK | rtnetlink.RTM_DELLINK:
                link = rtnetlink.parse_link(message.body)
                if link is None:
                    return
                before = self._links.get(link.index)
                self._routes_stale |= before != link
                if message.type == rtnetlink.RTM_NEWLINK:
                    self._links[link.index] = link
                    if before is not None and before.has_ipv6 and not link.has_ipv6:
                        self._show_passing()
                else:
                    self._links.pop(link.index, None)
                    self._addresses.pop(link.index, None)
            case rtnetlink.RTM_NEWADDR | rtnetlink.RTM_DELADDR:
                address = rtnetlink.parse_address(message.body)
                if address is None:
                    return
                known = self._addresses.setdefault(address.link, set())
                if message.type == rtnetlink.RTM_NEWADDR:
                    known.add(address)
                else:
                    known.discard(address)
            case rtnetlink.RTM_NEWROUTE | rtnetlink.RTM_DELROUTE:
                route = rtnetlink.parse_default_route(message.body)
                if route is not None and dumped and message.type == rtnetlink.RTM_NEWROUTE:
                    self._routes.append(route)
                elif route is not None:
                    self._routes_stale = True
            case rtnetlink.NLMSG_DONE | rtnetlink.NLMSG_ERROR if dumped:
                self._end_dump(rtnetlink.fault(message, interrupted=self._interrupted))

    def _end_dump(self, fault: str | None) -> None:
        of_routes = self._dump is not None and self._dump[0] == rtnetlink.RTM_GETROUTE
        if of_routes and (fault is None or self._known_routes is None):
            self._known_routes = self._routes  # at first some are better than none
        if fault is None:
            self._incomplete = 0 if of_routes else self._incomplete
            self._ask()
        elif self._repeat is None:
            again = self._ask_for_routes if of_routes else self._begin_anew
            self._repeat = self._loop.call_later(REPEAT_AFTER_S, again)
            self._incomplete += 1
            if self._incomplete == _WORTH_TELLING:
                self._failed(fault)
            if of_routes:
                self._ask()  # for nothing, but what is known is shown

    def _ask_for_routes(self) -> None:
        self._repeat = None
        self._routes_stale = True
        if self._dump is None:
            self._ask()

    def _show_passing(self) -> None:
        """Show a state that may be over by now, as what the kernel lost with it stays lost.

        Not while links or addresses are dumped: then not all of them are known.
        """
        if self._dump is None or self._dump[0] == rtnetlink.RTM_GETROUTE:
            self._show()

    def _show(self) -> None:
        if self._known_routes is None:
            return
        routes = self._known_routes
        best = {
            version: min((r for r in routes if r.version == version), default=None)
            for version in pool.VERSIONS
        }
        shown = table.Table(
            links=dict(self._links),
            subnets={
                index: frozenset(
                    subnet
                    for address in addresses
                    if (subnet := table.subnet_of(address.packed, address.prefix_length))
                )
                for index, addresses in self._addresses.items()
            },
            default_links={version: r.links for version, r in best.items() if r is not None},
        )
        if shown != self._shown:
            self._shown = shown
            self._changed(shown)


def _subscribed() -> socket.socket:
    """Return a socket that is told of every change from now on."""
    made = socket.socket(
        socket.AF_NETLINK,
        socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
        socket.NETLINK_ROUTE,
    )
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_B)
    made.bind((0, rtnetlink.GROUPS))
    return made
