# SPDX-License-Identifier: MIT
"""How answers are shown: tables for people, JSON and YAML for programs.

Texts come from a cluster whose users name things, so nothing of them is taken for markup, and
nothing but what can be printed reaches the terminal.
"""

import datetime as dt
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, Any, Final

import rich.console
import rich.table
import rich.text

from app.explain import model

FORMS: Final = ("wide", "json", "yaml")
# What does not go to a terminal is not cut to the width of one: it is grepped.
_UNLIMITED: Final = 100_000
STYLES: Final = {
    model.Level.GOOD: "green",
    model.Level.NOTICE: "cyan",
    model.Level.WAITING: "yellow",
    model.Level.BROKEN: "bold red",
}
_STEPS_S: Final = ((86400, "d"), (3600, "h"), (60, "m"))
NOTHING: Final = "-"
Cell = str | rich.text.Text


class Output:
    """Where a command writes what it found, in the form that was asked for."""

    def __init__(self, form: str | None = None, stream: IO[str] | None = None) -> None:
        out = stream or sys.stdout
        terminal = out.isatty() and "TERM" in os.environ
        self.form = form
        self.console = rich.console.Console(
            file=out, width=None if terminal else _UNLIMITED, highlight=False, soft_wrap=False
        )

    @property
    def wide(self) -> bool:
        """Whether tables are to show all they have."""
        return self.form == "wide"

    def data(self, found: Any) -> bool:
        """Write a value if JSON or YAML was asked for; True when it was."""
        if self.form == "json":
            self.console.file.write(json.dumps(model.plain(found), indent=2) + "\n")
        elif self.form == "yaml":
            import yaml  # noqa: PLC0415 - half a table's start-up time

            self.console.file.write(
                yaml.safe_dump(model.plain(found), sort_keys=False, allow_unicode=True)
            )
        else:
            return False
        return True

    def line(self, text: str = "", style: str = "") -> None:
        """Write a line of text."""
        self.console.print(shown(text, style))

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
        """Write rows under headings, as kubectl does, and an empty line; nothing without rows."""
        made = table(headings, rows)
        if not made.row_count:
            return
        with self.console.capture() as captured:
            self.console.print(made)
        for line in captured.get().splitlines():
            self.console.file.write(f"{line.rstrip()}\n")
        self.line()


def table(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> rich.table.Table:
    """Return rows under headings."""
    made = rich.table.Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, heading in enumerate(headings):
        last = number == len(headings) - 1
        made.add_column(heading, no_wrap=not last, overflow="fold")
    for row in rows:
        made.add_row(*(shown(cell) if isinstance(cell, str) else cell for cell in row))
    return made


def shown(text: str, style: str = "") -> rich.text.Text:
    """Return a text that is printed as it is, without what a terminal would obey."""
    safe = "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
    return rich.text.Text(safe, style)


def state(
    value: model.AddressState | model.ServiceState | model.BalancerState,
    level: model.Level | None = None,
) -> rich.text.Text:
    """Return a state in the colour of how much it asks for attention."""
    return shown(value.value, STYLES[value.level if level is None else level])


def age(since: dt.datetime | None, now: dt.datetime) -> str:
    """Return how long ago something was, as kubectl writes it: 45s, 12m, 3h, 8d."""
    if since is None:
        return NOTHING
    seconds = max(0, int((now - since).total_seconds()))
    for step, unit in _STEPS_S:
        if seconds >= step:
            return f"{seconds // step}{unit}"
    return f"{seconds}s"


def listed(things: Iterable[object]) -> str:
    """Return things separated by commas, or a dash where there are none."""
    return ", ".join(map(str, things)) or NOTHING
