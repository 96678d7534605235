# SPDX-License-Identifier: MIT
"""The addresses of one sharing key and family, and which of them may have room for more ports.

Each has a bit, and each port the bits of the addresses that use it, so that a thousand Services
with the same port do not look through each other's addresses one by one.
"""

from collections.abc import Iterable, Iterator

from app.placement import model
from contract.pool import Address


class Shared:
    """Addresses in the order in which they were claimed first."""

    def __init__(self) -> None:
        self._addresses: list[Address] = []
        self._bits: dict[Address, int] = {}
        self._claims: dict[Address, int] = {}
        self._using: dict[model.Port, int] = {}
        self._gone = 0  # bits of addresses that nobody has any more

    def claim(self, address: Address, ports: Iterable[model.Port]) -> None:
        """Note that a Service with these ports has the address."""
        if address not in self._bits:
            self._bits[address] = 1 << len(self._addresses)
            self._addresses.append(address)
            self._claims[address] = 0
        self._claims[address] += 1
        for port in ports:
            self._using[port] = self._using.get(port, 0) | self._bits[address]

    def release(self, address: Address, ports: Iterable[model.Port]) -> None:
        """Note that a Service with these ports has it no more."""
        for port in ports:
            self._using[port] &= ~self._bits[address]
        self._claims[address] -= 1
        if not self._claims[address]:
            self._gone |= self._bits.pop(address)
            del self._claims[address]

    def roomy(self, ports: Iterable[model.Port]) -> Iterator[Address]:
        """Yield the addresses none of whose Services has one of these ports, as far as is known.

        Of two with the same port, which only a Service that is leaving can bring about, the first
        that goes takes the bit along: ask each whether it really has room.
        """
        full = self._gone
        for port in ports:
            full |= self._using.get(port, 0)
        while True:
            lowest = ~full & (full + 1)
            number = lowest.bit_length() - 1
            if number >= len(self._addresses):
                return
            yield self._addresses[number]
            full |= lowest
