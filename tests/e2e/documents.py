# SPDX-License-Identifier: MIT
"""The commands that a page of the documentation tells its readers to type, and what it shows.

A block is fenced as ``console``. Lines that begin with ``$`` are commands, with what continues
them; the lines behind are what the page shows, where ``...`` stands for anything, a line of
``...`` for any lines. What a lab cannot do is said in a comment above the block, which readers do
not see:

    <!-- test: skip, REASON -->
    <!-- test: instead COMMAND -->
    <!-- test: fails -->                    what the page shows is the complaint
    <!-- test: read THIS for THAT. -->      once, for the whole page
"""

import dataclasses
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

WITHIN_S = 40.0
POLL_S = 0.2
END = "the end of a command"
READS = ("kubectl get ", "kubectl -n shop get ", "ip netns exec client ")

_BLOCK = re.compile(
    r"(?:^<!-- test: (?P<note>[^\n]*) -->\n)?^(?P<indent> *)```console\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_READ = re.compile(r"<!-- test: read (?P<this>\S+) for (?P<that>\S+) -->")


@dataclasses.dataclass(frozen=True)
class Step:
    """A command and the lines that the page shows below it."""

    line: int
    command: str
    shown: tuple[str, ...]
    fails: bool = False

    @property
    def is_a_look(self) -> bool:
        """Whether it may be repeated until it shows what is to come."""
        return self.command.startswith(READS)


def steps(page: Path) -> Iterator[Step]:
    """Yield what a page's reader does, in order, as the lab can do it."""
    text = page.read_text()
    notes = _READ.search(text)
    for block in _BLOCK.finditer(text):
        line = text.count("\n", 0, block.start("text")) + 1
        note = block["note"] or ""
        if note.startswith("skip, "):
            continue
        if note.startswith("instead "):
            yield Step(line, note.removeprefix("instead "), ())
            continue
        for step in parsed(block["text"], line):
            read = step if notes is None else _reading(step, notes["that"], notes["this"])
            yield dataclasses.replace(read, fails=note == "fails")


def parsed(text: str, line: int) -> Iterator[Step]:
    """Yield the steps of a block that begins at a line of its page."""
    command: list[str] = []
    shown: list[str] = []
    begun = line
    for number, row in enumerate(text.splitlines(), start=line):
        if command and not shown and _is_unfinished("\n".join(command)):
            command.append(row)
        elif row.startswith("$ "):
            if command:
                yield Step(begun, "\n".join(command), tuple(shown))
            command, shown, begun = [row[2:]], [], number
        else:
            shown.append(row)
    if command:
        yield Step(begun, "\n".join(command), tuple(shown))


def _is_unfinished(command: str) -> bool:
    if "<<EOF" in command:
        return not command.endswith("\nEOF")
    return command.endswith("\\") or command.count("'") % 2 == 1


def _reading(step: Step, that: str, this: str) -> Step:
    shown = tuple(row.replace(that, this) for row in step.shown)
    return Step(step.line, step.command.replace(that, this), shown)


def matches(shown: tuple[str, ...], output: str) -> bool:
    """Return whether an output is what a page shows; space between words does not count."""
    if not shown:
        return True
    rows = [_pattern(row) for row in shown if row.strip()]
    pattern = "".join(r"(?:.*\n)*?" if row == "..." else row + r" *\n" for row in rows)
    text = "".join(f"{' '.join(row.split())}\n" for row in output.splitlines() if row.strip())
    return re.fullmatch(pattern, text) is not None


def _pattern(row: str) -> str:
    words = " ".join(row.split())
    return words if words == "..." else re.escape(words).replace(r"\.\.\.", ".*")


class Shell:
    """One shell for a whole page, so that a variable that is set stays set."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def close(self) -> None:
        self._process.communicate("exit\n", timeout=WITHIN_S)

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; return its status and what it printed."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(
            f"{{\n{command}\n}} </dev/null\nl2lb_status=$?; echo; echo '{END}' $l2lb_status\n"
        )
        self._process.stdin.flush()
        lines: list[str] = []
        for line in self._process.stdout:
            if line.startswith(END):
                return int(line.removeprefix(END)), "".join(lines)
            lines.append(line)
        raise AssertionError(f"the shell ended in {command!r}: {''.join(lines)}")

    def do(self, step: Step) -> None:
        """Do a step, and see what the page shows."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            status, output = self.run(step.command)
            if (status != 0) == step.fails and matches(step.shown, output):
                return
            if not step.is_a_look or time.monotonic() > deadline:
                break
            time.sleep(POLL_S)
        shown = "\n".join(step.shown)
        raise AssertionError(
            f"line {step.line}: {step.command!r} ended with {status} and printed\n{output}\n"
            f"while the page shows\n{shown}"
        )
