# SPDX-License-Identifier: MIT
"""Who answers ARP for an address, as a machine sees it that takes no part in anything."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from bench.common import asker, flood
from lab import errors, inside, network

MACHINE: Final = "watcher"
EVERY_S: Final = 0.01
PATIENT_S: Final = 0.02  # between two questions when only the answer matters
LONG_S: Final = 600.0


class Wire:
    """The machine `watcher`, which is added to the lab."""

    def __init__(self, lab: inside.Lab) -> None:
        self._lab = lab
        lab.change("machine", "add", MACHINE)

    @contextlib.contextmanager
    def ask(
        self, addresses: Sequence[str], *, every_s: float = EVERY_S
    ) -> Iterator[list[asker.Seen]]:
        """Ask for the addresses while the context is open.

        The list is filled when it closes, one entry an address, in order.
        """
        argv = [sys.executable, "-I", _path(asker), "--every", str(every_s), *addresses]
        results: list[asker.Seen] = []
        with subprocess.Popen(
            network.inside(MACHINE, argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                if not (process.stdout and process.stdout.readline() == "started\n"):
                    raise errors.LabError("the watcher did not start: its message stands above")
                yield results
                output, _ = process.communicate("")
            finally:
                process.kill()
        results += [asker.Seen(**record) for record in json.loads(output)]

    def macs(self, addresses: Sequence[str], *, seconds: float = 0.3) -> dict[str, set[str]]:
        """Return the MACs that answer for each address within this time."""
        with self.ask(addresses, every_s=max(PATIENT_S, seconds / 5)) as seen:
            time.sleep(seconds)
        return {record.address: set(record.macs) for record in seen}

    def flood(self, address: str, *, to: str, rate: float, seconds: float) -> dict[str, float]:
        """Send requests for an address at a rate, 0 for as fast as possible; see `flood.flood`."""
        answer: dict[str, float] = self._flood(
            address, "--to", to, "--rate", str(rate), "--seconds", str(seconds)
        )
        return answer

    def latency(self, address: str, *, to: str, count: int) -> list[float]:
        """Return the sorted times in seconds that so many answers took, one after another."""
        answer: list[float] = self._flood(address, "--to", to, "--latency", str(count))
        return answer

    def _flood(self, *words: str) -> Any:
        argv = [sys.executable, "-I", _path(flood), *words]
        return json.loads(self._lab.run(MACHINE, *argv, within_s=LONG_S))


def _path(module: Any) -> str:
    return str(Path(module.__file__).resolve())
