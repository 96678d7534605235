# SPDX-License-Identifier: MIT
"""What can go wrong between the programs and the API server, and between Metacontroller and hooks.

The faults strike what comes from the nodes by the switch. The control plane's own programs and the
tests' kubectl, beside the API server, are spared.
"""

import contextlib
import json
import threading
from collections.abc import Iterator

from lab import inside
from tests.e2e.faults import delay, refusal

API_PORT = 6443
TABLE = "faults-upstream"
# Every controller that asks our hooks, and where each of its hooks' URLs stands.
CONTROLLERS = ("compositecontrollers", "decoratorcontrollers")


class Upstream:
    """The way to the API server, and to the hooks."""

    def __init__(self, lab: inside.Lab) -> None:
        self._lab = lab

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
        with delay.running(seconds, API_PORT) as port:
            redirect = f"iifname switch tcp dport {API_PORT} redirect to :{port}"
            with self._rules(
                f"chain in {{ type nat hook prerouting priority dstnat; {redirect}; }}"
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
        refuse = f"iifname switch tcp dport {API_PORT} reject with tcp reset"
        chain = f"chain in {{ type filter hook input priority filter; {refuse}; }}"
        with self._rules(chain, table=f"{TABLE}-reset"):
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
    def _rules(self, chain: str, *, table: str = TABLE) -> Iterator[None]:
        self._lab.run(None, "nft", "-f", "-", standard_input=f"table inet {table} {{ {chain} }}\n")
        try:
            yield
        finally:
            self._lab.run(None, "nft", "delete", "table", "inet", table)
