# SPDX-License-Identifier: MIT
"""A balancer's life in fast motion: what each event moves, and how level it leaves the nodes.

A change of members or Services is answered by `place`, and the answer comes true at once. Nodes
that fail and return change no list: the speakers see to those.
"""

import dataclasses
import functools
import itertools
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.placement import loads, model, place
from contract.pool import IPV4, IPV6, Address, Pool

POOL: Final = Pool.parse(["10.0.0.0/8"])
EVENTS: Final = """\
join NODE...               nodes become members
leave NODE...              and are members no longer
add SERVICE COUNT          a Service with so many addresses of each family of the
                           pool, or auto: one a member
count SERVICE COUNT        another count for it
delete SERVICE             it is gone
fail NODE...               nodes are dead: stand-ins take over
return NODE...             and alive again
"""


class ScriptError(Exception):
    """An event that is not understood, or that cannot happen."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one event did.

    `gap` is between the most and the least loaded of the living members; `after_one` and
    `after_two` are the widest that any further failure, or any two, would leave. `taken_over`
    counts addresses whose holder left or failed, `moved` others that changed their holder, and
    `fewest` how many of those any placement as level would have had to move. `rewritten` counts
    changed lists.
    """

    event: str
    nodes: int
    addresses: int
    gap: int
    taken_over: int
    moved: int
    fewest: int
    rewritten: int
    after_one: int
    after_two: int


class Simulation:
    """A balancer, its members and its Services."""

    def __init__(self, pool: Pool = POOL, *, pairs: bool = True) -> None:
        """`pairs` false spares the widest gap after two failures, which takes longest to find."""
        self._pool = pool
        self._pairs = pairs
        self._wishes: dict[str, model.Wish] = {}
        self._created = itertools.count(1)
        self._nodes: list[str] = []
        self._failed: set[str] = set()
        self._lists: dict[Address, tuple[str, ...]] = {}

    @property
    def held(self) -> dict[str, int]:
        """How many addresses each living member holds."""
        return loads.loads(self._lists, self._nodes, self._failed)

    def step(self, event: str) -> Row:
        """Let one event happen. Raises ScriptError."""
        name, *arguments = _words(event)
        before, members, dead = self._lists, list(self._nodes), set(self._failed)
        act, expected = self._act(name)
        if len(arguments) != (expected or max(1, len(arguments))):
            raise ScriptError(f"{event!r}: write it like one of these:\n{EVENTS}")
        try:
            act(*arguments)
        except ValueError as error:
            raise ScriptError(f"{event!r} cannot happen: {error}") from None
        self._settle(known=members)
        gone = dead | self._failed | {node for node in members if node not in self._nodes}
        return self._row(event, before, dead, gone)

    def _act(self, name: str) -> tuple[Callable[..., None], int | None]:
        """Return what an event does, and with how many arguments; None: one or more."""
        acts: dict[str, tuple[Callable[..., None], int | None]] = {
            "join": (self._join, None),
            "leave": (self._leave, None),
            "fail": (self._fail, None),
            "return": (self._return, None),
            "add": (self._add, 2),
            "count": (self._count, 2),
            "delete": (self._delete, 1),
        }
        if name not in acts:
            raise ScriptError(f"there is no event {name!r}; the events are\n{EVENTS}")
        return acts[name]

    def _join(self, *nodes: str) -> None:
        for node in nodes:
            if node in self._nodes:
                raise ValueError(f"{node} is a member already")
            self._nodes.append(node)

    def _leave(self, *nodes: str) -> None:
        for node in nodes:
            self._expect_member(node)
            self._nodes.remove(node)
            self._failed.discard(node)

    def _fail(self, *nodes: str) -> None:
        for node in nodes:
            self._expect_member(node)
        self._failed.update(nodes)

    def _return(self, *nodes: str) -> None:
        for node in nodes:
            if node not in self._failed:
                raise ValueError(f"{node} has not failed")
        self._failed.difference_update(nodes)

    def _add(self, service: str, count: str) -> None:
        if service in self._wishes:
            raise ValueError(f"there is a Service {service} already")
        wish = model.Wish("simulated", service, service, float(next(self._created)))
        self._wishes[service] = self._wanting(wish, count)

    def _count(self, service: str, count: str) -> None:
        self._wishes[service] = self._wanting(self._service(service), count)

    def _delete(self, service: str) -> None:
        self._service(service)
        del self._wishes[service]

    def _wanting(self, wish: model.Wish, text: str) -> model.Wish:
        """Return a wish for so many addresses of each family that the pool has."""
        count = _count(text)
        return dataclasses.replace(
            wish,
            ipv4=count if self._pool.size(IPV4) else None,
            ipv6=count if self._pool.size(IPV6) else None,
        )

    def _expect_member(self, node: str) -> None:
        if node not in self._nodes:
            raise ValueError(f"{node} is not a member")

    def _service(self, name: str) -> model.Wish:
        if name not in self._wishes:
            raise ValueError(f"there is no Service {name}")
        return self._wishes[name]

    def _settle(self, known: Iterable[str]) -> None:
        balancer = model.Balancer(
            "simulated", self._pool, tuple(self._nodes), known=frozenset(known)
        )
        placement = place.place(balancer, self._wishes.values())
        for outcome in placement.outcomes:
            wish = self._wishes[outcome.name]
            held = tuple(
                model.Held(a.ordinal, a.address, a.nodes, a.list_version, wish.created)
                for a in outcome.assigned
            )
            self._wishes[outcome.name] = dataclasses.replace(wish, held=held)
        self._lists = loads.lists(placement)

    def _row(self, event: str, before: loads.Lists, dead: set[str], gone: set[str]) -> Row:
        kept = {address: listed for address, listed in before.items() if address in self._lists}
        stays = {address: loads.holder(listed, gone) for address, listed in kept.items()}
        now = self.held
        found = functools.partial(self._widest, list(now))
        return Row(
            event=event,
            nodes=len(now),
            addresses=len(self._lists),
            gap=loads.gap(now),
            taken_over=sum(
                stays[address] != loads.holder(listed, dead) for address, listed in kept.items()
            ),
            moved=sum(
                stay != loads.holder(self._lists[address], self._failed)
                for address, stay in stays.items()
            ),
            fewest=self._fewest(stays.values(), now),
            rewritten=sum(self._lists[address] != listed for address, listed in kept.items()),
            after_one=found(1),
            after_two=found(2) if self._pairs else 0,
        )

    def _fewest(self, stays: Iterable[str | None], now: dict[str, int]) -> int:
        """Return how many addresses have to move from where they stay for the gap there is."""
        counts = dict.fromkeys(now, 0)
        new = len(self._lists)
        for node in stays:
            new -= 1
            if node in counts:
                counts[node] += 1
        if not counts:
            return 0
        gap = max(1, loads.gap(now))
        return max(0, loads.window(list(counts.values()), gap)[1] - new)

    def _widest(self, nodes: Sequence[str], failures: int) -> int:
        return max(
            (
                loads.gap(loads.loads(self._lists, self._nodes, self._failed.union(more)))
                for more in itertools.combinations(nodes, failures)
            ),
            default=0,
        )


def run(script: Iterable[str], simulation: Simulation) -> list[Row]:
    """Return a row for each event; empty lines and comments after # are skipped.

    Raises ScriptError.
    """
    return [simulation.step(line.strip()) for line in script if _words(line)]


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text with a heading."""
    names = [field.name for field in dataclasses.fields(Row)]
    lines = [[name.replace("_", " ") for name in names]]
    lines += [[str(getattr(row, name)) for name in names] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join(
        "  ".join(
            [line[0].ljust(widths[0])]
            + [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        )
        for line in lines
    )


def _words(event: str) -> list[str]:
    try:
        return shlex.split(event, comments=True)
    except ValueError:
        raise ScriptError(
            f"{event.strip()!r} opens a quote and does not close it, or ends in a backslash: close "
            "the quote, or leave it out"
        ) from None


def _count(text: str) -> model.Count:
    if text == "auto":
        return model.AUTO
    if not text.isdecimal():
        raise ValueError(f"a count is a number or auto, not {text}")
    return int(text)
