# SPDX-License-Identifier: MIT
"""What a row of the matrix states, and which rows there are."""

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

F = TypeVar("F", bound=Callable[..., None])

RESULTS = Path(__file__).resolve().parents[3] / "dist" / "faults"
SOAK = RESULTS.with_name("faults-soak.json")
DOUBLED_S = 0.5  # two may answer for so long in a row of the matrix, all in all
FAIL_OVER_S = 1.0  # nobody may answer for so long at an address that may be lost: 0.25 s, and room
ANEW_S = 5.0  # likewise from a speaker's start on: 3 s of care for what others have, and room
LAPSE_S = 0.5  # likewise at any other address, which nobody has a cause to leave: room alone
GROUPS = ("speaker", "node", "network", "control_plane", "users")  # test_<group>.py, in order


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One fault. `may` completes 'may be lost:', `never` 'must not be lost, or happen:'.

    `doubled_s` bounds how long two nodes answer for an address, all in all, and `two` says why it
    may be longer than usual. `silent_s` bounds how long nobody answers for an address that may be
    lost, `silent_elsewhere_s` for any other one: connections do not tell, as a client that knows
    the holder's MAC asks nobody. In a row with `starts` nobody is left who could take over: both
    count from when the first speaker that stays up has started, which is the machine's time and
    not ours. In a `calm` row no address changes its holder. A `long` row runs
    only where the environment has `FAULTS=all`.
    """

    fault: str
    may: str
    never: str
    doubled_s: float = DOUBLED_S
    two: str = ""
    calm: bool = False
    silent_s: float = FAIL_OVER_S
    silent_elsewhere_s: float = LAPSE_S
    starts: bool = False
    long: bool = False
    group: str = ""

    @property
    def slug(self) -> str:
        """The name of its result's file."""
        words = "".join(c if c.isalnum() else " " for c in f"{self.group} {self.fault}".lower())
        return "-".join(words.split())

    @property
    def path(self) -> Path:
        """Where its result is."""
        return RESULTS / f"{self.slug}.json"


def row(fault: str, *, may: str, never: str, **more: float | str | bool) -> Callable[[F], F]:
    """Make a test a row of the matrix; its module names the group."""

    def mark(test: F) -> F:
        group = test.__module__.rpartition(".")[2].removeprefix("test_")
        stated = Row(fault, may, never, group=group, **more)  # type: ignore[arg-type] # the caller's names
        test.row = stated  # type: ignore[attr-defined] # read by `rows` and by the fixture
        return test

    return mark


def rows() -> Iterator[Row]:
    """Return all rows, in the order in which they stand in the files."""
    for group in GROUPS:
        module = importlib.import_module(f"{__package__ or 'tests.e2e.faults'}.test_{group}")
        for found in vars(module).values():
            if isinstance(stated := getattr(found, "row", None), Row):
                yield stated
