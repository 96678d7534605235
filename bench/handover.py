# SPDX-License-Identifier: MIT
"""Whether new connections fail when an address moves on purpose: 50 a second to each address.

SIGTERM of the speaker that the client uses; a cordon of its node; all speakers restarted one after
another; and the way back of an address to its preferred node after a failure. A failed connection
is a new one that was not served; `cut` ones were open when their address moved, and the service
proxy's connection tracking does not move along.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import Any, Final

from bench.common import report, scenario, world
from bench.rivals import contender, ours
from lab import inside

ADDRESSES: Final = 3
STEADY_S: Final = 1.3
AFTER_S: Final = 1.5
MOVES_WITHIN_S: Final = 15.0
STAYS_S: Final = 3.0  # nobody but us moves addresses off a cordoned node
NOTHING_LOST: Final = (report.Bar("worst", 0),)
KINDS: Final = ("SIGTERM", "cordon", "rolling restart", "fail-back")


class Moves:
    """The planned moves of one contender's addresses."""

    def __init__(
        self, place: world.World, one: contender.Contender, addresses: Sequence[str]
    ) -> None:
        self.place = place
        self.one = one
        self.addresses = addresses

    def sample(self, kind: str, victim: str) -> list[dict[str, Any]]:
        """Move the victim and make all as before; return what each address's client saw."""
        self.place.settle(self.addresses, self.one.preferred())
        self.place.refresh(self.addresses)
        if kind == "fail-back":
            return self._fail_back(victim)
        with self.place.client.watch(self.addresses) as results:
            time.sleep(STEADY_S)
            node = self.place.used_node(victim)
            mac = self.place.client.mac_of(victim)
            if kind == "SIGTERM":
                self.one.stop(node)
                self._until_moved(victim, mac, MOVES_WITHIN_S)
            elif kind == "cordon":
                self.place.lab.kubectl("cordon", node)
                mine = isinstance(self.one, ours.Ours)
                self._until_moved(victim, mac, MOVES_WITHIN_S if mine else STAYS_S)
            else:
                for restarted in self.one.nodes:
                    self.one.stop(restarted)
                    self.one.start(restarted)
                    self.one.wait_ready(restarted)
            time.sleep(AFTER_S)
        if kind == "SIGTERM":
            self.one.start(node)
        elif kind == "cordon":
            self.place.lab.kubectl("uncordon", node)
        return results

    def _fail_back(self, victim: str) -> list[dict[str, Any]]:
        """Kill it, wait until another serves, and watch only the way back."""
        node = self.place.used_node(victim)
        mac = self.place.client.mac_of(victim)
        self.place.lab.run(None, "ip", "link", "set", f"port-{node}", "nomaster")
        self.place.client.forget(victim)
        inside.until(
            lambda: self.place.client.ask(victim) and self.place.client.mac_of(victim) != mac,
            f"another node serves {victim}",
        )
        time.sleep(STEADY_S)
        with self.place.client.watch(self.addresses) as results:
            self.place.lab.run(None, "ip", "link", "set", f"port-{node}", "master", "switch")
            self.place.settle(self.addresses, self.one.preferred())
            time.sleep(AFTER_S)
        return results

    def _until_moved(self, victim: str, mac: str | None, within_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            inside.until(
                lambda: self.place.client.mac_of(victim) not in {mac, None},
                f"{victim} has moved",
                within_s=within_s,
            )


def run(place: world.World, options: scenario.Options) -> list[report.Row]:
    """Do all moves, the contenders taking turns."""
    rows: list[report.Row] = []
    with place.contenders() as everybody:
        present = [one for one in everybody if one.missing is None]
        moves = {one.name: Moves(place, one, one.serve(ADDRESSES)) for one in present}
        for kind in KINDS:
            failed: dict[str, list[float]] = {one.name: [] for one in present}
            cut: dict[str, list[float]] = {one.name: [] for one in present}
            mine, others = options.samples(6, 1), options.samples(2, 1)
            for number in range(mine):
                for one in present:
                    if not isinstance(one, ours.Ours) and number >= others:
                        continue
                    addresses = moves[one.name].addresses
                    seen = moves[one.name].sample(kind, addresses[number % len(addresses)])
                    failed[one.name].append(sum(result["failed"] for result in seen))
                    cut[one.name].append(sum(result["cut"] for result in seen))
                    scenario.say(
                        f"{kind} {number + 1}, {one.name}: {failed[one.name][-1]} failed, "
                        f"{cut[one.name][-1]} cut of {sum(result['served'] for result in seen)}"
                    )
            for one in everybody:
                if one.missing is not None:
                    rows.append(report.Row.missing(f"{kind}: failed", one.name, one.missing))
                    continue
                mine = isinstance(one, ours.Ours)
                rows += [
                    report.Row(
                        f"{kind}: failed",
                        one.name,
                        "",
                        tuple(failed[one.name]),
                        bars=NOTHING_LOST if mine else (),
                        note="" if mine or kind != "cordon" else "it does not move on a cordon",
                    ),
                    report.Row(f"{kind}: cut", one.name, "", tuple(cut[one.name])),
                ]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenario from the command line."""
    return scenario.main("handover", __doc__, run, arguments)
