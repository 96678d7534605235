# SPDX-License-Identifier: MIT
"""What can go wrong between the programs and the API server, and between Metacontroller and hooks.

The faults strike what comes from the nodes by the switch. The control plane's own programs and the
tests' kubectl, beside the API server, are spared.
"""

import contextlib
import itertools
import json
import threading
from collections.abc import Iterator

from lab import inside
from tests.e2e.faults import delay, refusal

API_PORT = 6443
TABLE = "upstream"
# Every controller that asks our hooks, and where each of its hooks' URLs stands.
CONTROLLERS = ("compositecontrollers", "decoratorcontrollers")


class Upstream:
    """The way to the API server, and to the hooks."""

    def __init__(self, lab: inside.Lab) -> None:
        self._lab = lab
        self._numbers = itertools.count(1)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Take the API server away."""
        self._lab.change("apiserver", "stop")
        try:
            yield
        finally:
            self._lab.change("apiserver", "start")

    @contextlib.contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Let every request of a program on a node take so much longer."""
        with (
            delay.running(seconds, API_PORT) as port,
            self._rule("type nat hook prerouting priority dstnat", f"redirect to :{port}"),
        ):
            self.reset()
            yield

    @contextlib.contextmanager
    def cut_every(self, seconds: float) -> Iterator[None]:
        """Reset every connection from a node to the API server again and again."""
        enough = threading.Event()

        def cut() -> None:
            while not enough.wait(seconds):
                self.reset()

        cutting = threading.Thread(target=cut, daemon=True)
        cutting.start()
        try:
            yield
        finally:
            enough.set()
            cutting.join()

    def reset(self, for_s: float = 0.15) -> None:
        """Answer whatever comes from a node to the API server with a TCP reset, for an instant."""
        with self._rule("type filter hook input priority filter", "reject with tcp reset"):
            threading.Event().wait(for_s)

    @contextlib.contextmanager
    def hooks_answer(self, status: int) -> Iterator[None]:
        """Let somebody else answer all hooks with a status."""
        with refusal.running(status) as url, contextlib.ExitStack() as changed:
            for kind in CONTROLLERS:
                for found in self._lab.items(kind):
                    changed.enter_context(self._at(url, kind, found))
            yield

    @contextlib.contextmanager
    def _at(self, url: str, kind: str, found: inside.Json) -> Iterator[None]:
        name, hooks = found["metadata"]["name"], found["spec"]["hooks"]
        elsewhere = json.loads(json.dumps(hooks))
        for hook in elsewhere.values():
            hook["webhook"] = {**hook["webhook"], "url": url}
        self._set(kind, name, elsewhere)
        try:
            yield
        finally:
            self._set(kind, name, hooks)

    def _set(self, kind: str, name: str, hooks: inside.Json) -> None:
        patch = json.dumps({"spec": {"hooks": hooks}})
        self._lab.kubectl("patch", kind, name, "--type=merge", "-p", patch)

    @contextlib.contextmanager
    def _rule(self, hook: str, verdict: str) -> Iterator[None]:
        """Have a rule for what comes from a node to the API server."""
        table = f"inet {TABLE}-{next(self._numbers)}"
        script = (
            f"add table {table}\n"
            f"add chain {table} in {{ {hook}; }}\n"
            f"add rule {table} in iifname switch tcp dport {API_PORT} {verdict}\n"
        )
        try:
            self._lab.run(None, "nft", "-f", "-", standard_input=script)
            yield
        finally:
            self._lab.run(None, "nft", "delete", "table", *table.split())
