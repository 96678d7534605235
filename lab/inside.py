# SPDX-License-Identifier: MIT
"""What a program within a lab does with it: the demo, the end-to-end tests, the benchmarks."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lab import control, errors, network

Json = dict[str, Any]
T = TypeVar("T")

COMMAND_WITHIN_S = 60.0
FETCH_WITHIN_S = 2.0
POLL_S = 0.05

FETCH = """
import sys, urllib.request
url, within_s = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(url, timeout=float(within_s)).read().decode())
"""


class CommandError(Exception):
    """A program in the lab ended with another status than 0; the message holds what it said."""


class Lab:
    """The lab that this process runs in.

    `started_by` is the command that starts another one like it. Raises LabError outside of a lab.
    All methods block.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        try:
            self.directory = Path(environment["LAB_DIR"])
            self.kubeconfig = Path(environment["KUBECONFIG"])
            self.metacontroller = environment["LAB_METACONTROLLER"]
            self.started_by = environment["LAB_STARTED_BY"]
        except KeyError as error:
            raise errors.LabError(
                f"this is not the inside of a lab, as {error} is not set: "
                "start it with 'python -m lab run --'"
            ) from None

    def run(
        self,
        machine: str | None,
        *argv: str,
        standard_input: str = "",
        within_s: float = COMMAND_WITHIN_S,
    ) -> str:
        """Run a program on a machine (None: beside the control plane); return what it prints.

        Raises :class:`CommandError` when it fails or takes longer than ``within_s``.
        """
        try:
            answer = subprocess.run(
                network.inside(machine, argv),
                input=standard_input,
                capture_output=True,
                text=True,
                check=False,
                timeout=within_s,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(f"{' '.join(argv)!r} took longer than {within_s} s") from None
        if answer.returncode:
            raise CommandError(
                f"{' '.join(argv)!r} ended with status {answer.returncode}: "
                f"{(answer.stderr or answer.stdout).strip()}"
            )
        return answer.stdout

    def fetch(self, machine: str | None, url: str, *, within_s: float = FETCH_WITHIN_S) -> str:
        """Get a URL from a machine; return the body.

        Raises :class:`CommandError` for any status but success, and for silence.
        """
        return self.run(machine, sys.executable, "-I", "-c", FETCH, url, str(within_s))

    def kubectl(self, *words: str, standard_input: str = "") -> str:
        """Run kubectl as the administrator; return what it prints."""
        return self.run(None, "kubectl", *words, standard_input=standard_input)

    def get(self, *words: str) -> Json:
        """Return an object, or a list of them, as ``kubectl get`` finds it."""
        found: Json = json.loads(self.kubectl("get", *words, "-o", "json"))
        return found

    def items(self, *words: str) -> list[Json]:
        """Return the objects of a list, as ``kubectl get`` finds it."""
        found: list[Json] = self.get(*words)["items"]
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects as ``kubectl apply`` does."""
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.kubectl("apply", "-f", "-", standard_input=json.dumps(listed))

    def change(self, *words: str) -> str:
        """Do to the lab what ``python -m lab WORDS`` does, such as ``node kill node-1``."""
        return control.ask(*words)

    def nodes(self) -> list[str]:
        """Return the names of all nodes that are registered."""
        return [node["metadata"]["name"] for node in self.items("nodes")]


def until(
    probe: Callable[[], T],
    what: str,
    *,
    within_s: float = 30.0,
    ignored: Sequence[type[Exception]] = (CommandError,),
) -> T:
    """Ask ``probe`` again and again until what it returns is true, and return that.

    ``what`` completes the sentence 'it was not seen that ...' of the
    TimeoutError that is raised after ``within_s``. Exceptions of the ``ignored``
    types count as not yet; the last one becomes the error's cause.
    """
    deadline = time.monotonic() + within_s
    while True:
        cause: Exception | None = None
        try:
            if answer := probe():
                return answer
        except tuple(ignored) as error:
            cause = error
        if time.monotonic() >= deadline:
            raise TimeoutError(f"within {within_s:g} s it was not seen that {what}") from cause
        time.sleep(POLL_S)
