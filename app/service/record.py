# SPDX-License-Identifier: MIT
"""What we wrote into a Service's status, as its Assigned condition records it.

Other controllers write the same field, and a Service's status outlives its children. So the
message of the condition begins with the addresses that we put there: only these are ever taken
away, and a balancer that is created anew gives them back.
"""

import re
from collections.abc import Sequence
from typing import Final

from app import conditions
from contract import child, names, pool

_ADDRESSES: Final = re.compile(
    r"ha[sd] (?:[0-9a-f:., -]+ of )?(?P<addresses>[0-9a-f:., -]+) from (?P<balancer>[^\s;]+)"
)
_FEW: Final = 2  # in a row are named
_WITHOUT: Final = re.compile(r"(?:^|; )since (?P<moment>\S+) some of these are without a child$")
_UNANSWERED: Final = re.compile(
    r"(?:^|; )since (?P<moment>\S+) (?P<balancer>\S+) has not answered$"
)


def sentence(
    addresses: Sequence[pool.Address],
    balancer: str,
    rest: str = "",
    *,
    verb: str = "has",
    of: Sequence[pool.Address] = (),
) -> str:
    """Return a condition's message that records the addresses, or those `of` which these are."""
    if not addresses:
        return rest
    listed = _listed(addresses)
    if of and set(of) != set(addresses):
        listed = f"{listed} of {_listed(of)}"
    record = f"{verb} {listed} from {balancer}"
    return f"{record}; {rest}" if rest else record


def addresses(standing: Sequence[conditions.Condition]) -> tuple[pool.Address, ...]:
    """Return the addresses that our condition among these records; none without it."""
    match = _ADDRESSES.match(_message(standing))
    return _parsed(match["addresses"]) if match is not None else ()


def balancer(standing: Sequence[conditions.Condition]) -> str | None:
    """Return the balancer from which the recorded addresses are; None where none are recorded."""
    match = _ADDRESSES.match(_message(standing))
    return match["balancer"] if match is not None else None


def without_child(moment: str) -> str:
    """Return what is said of addresses that are shown still though children of theirs are gone."""
    return f"since {moment} some of these are without a child"


def without_child_since(standing: Sequence[conditions.Condition]) -> str | None:
    """Return the moment that our condition among these says; None where it says nothing of it."""
    match = _WITHOUT.search(_message(standing))
    return match["moment"] if match is not None else None


def unanswered(balancer: str, moment: str) -> str:
    """Return what is said of a Service whose balancer may have missed it so far."""
    return f"since {moment} {balancer} has not answered"


def unanswered_since(standing: Sequence[conditions.Condition], balancer: str) -> str | None:
    """Return the moment that our condition among these says of the balancer; None without it."""
    match = _UNANSWERED.search(_message(standing))
    return match["moment"] if match is not None and match["balancer"] == balancer else None


def remembered(
    before: Sequence[pool.Address], now: Sequence[pool.Address], missing: int
) -> list[pool.Address]:
    """Return what to record while children are missing: what they had before stays in its place."""
    gone = [address for address in before if address not in now][: max(0, missing)]
    kept = [address for address in before if address in now or address in gone]
    return [*kept, *(address for address in now if address not in before)]


def _message(standing: Sequence[conditions.Condition]) -> str:
    condition = conditions.find(standing, names.ASSIGNED_CONDITION)
    message = condition.get("message") if condition is not None else None
    return message if isinstance(message, str) else ""


def _listed(addresses: Sequence[pool.Address]) -> str:
    """Name all; of more than a user may ask for, as `auto` gives, those in a row as first-last."""
    if len(addresses) <= len(pool.VERSIONS) * names.MAX_IP_COUNT:
        return ", ".join(map(str, addresses))
    rows: list[list[pool.Address]] = []
    for address in addresses:
        if rows and address == _after(rows[-1][-1]):
            rows[-1].append(address)
        else:
            rows.append([address])
    return ", ".join(
        f"{row[0]}-{row[-1]}" if len(row) > _FEW else ", ".join(map(str, row)) for row in rows
    )


def _after(address: pool.Address) -> pool.Address | None:
    return address + 1 if int(address) < 2**address.max_prefixlen - 1 else None


def _parsed(text: str) -> tuple[pool.Address, ...]:
    found: list[pool.Address] = []
    for part in text.split(", "):
        first, _, last = part.partition("-")
        try:
            one = pool.parse_address(first)
            more = int(pool.parse_address(last)) - int(one) if last else 0
        except ValueError:
            return ()  # somebody else's words
        if not 0 <= more < child.MAX_PLANNED:
            return ()
        found += [one + number for number in range(more + 1)]
    return tuple(found)
