# SPDX-License-Identifier: MIT
"""Starts what an image runs and asks it: `python ask.py webhook BODY` or `python ask.py speaker`.

BODY is what Metacontroller posts for a balancer that has Services. The speaker needs NET_RAW, and
finds no API server.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SPEAKER = "http://127.0.0.1:7472"
# Of an API server that is not there.
KUBECONFIG = {
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "users": [{"name": "none", "user": {}}],
    "current-context": "none",
}


def fetch(url: str, body: bytes | None = None) -> str:
    """Return what a URL answers. Raises OSError."""
    with urllib.request.urlopen(url, body, timeout=20) as answer:  # noqa: S310  # one of ours
        text: str = answer.read().decode()
        return text


@contextlib.contextmanager
def started(arguments: Sequence[str], event: str, **variables: str) -> Iterator[dict[str, Any]]:
    """Start a program; give the entry of its log that says that it serves. Exits without one."""
    environment = {**os.environ, **variables}
    with subprocess.Popen(  # noqa: S603  # ours
        [sys.executable, "-m", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as program:
        said = []
        try:
            for line in program.stdout or ():
                said.append(line)
                if line.startswith("{") and (entry := json.loads(line))["event"] == event:
                    yield entry
                    return
        finally:
            program.terminate()
    sys.exit(f"ask.py: {arguments[0]} ended before it served: {''.join(said)}")


def ask_webhook(body: bytes) -> None:
    """Ask for health and for children; exits with a sentence where an answer is another."""
    arguments = ("app", "--host", "127.0.0.1", "--port", "0")
    with started(arguments, "the hooks are served") as entry:
        health = json.loads(fetch(f"{entry['url']}/healthz"))
        answer = json.loads(fetch(f"{entry['url']}/hooks/balancer/sync", body))
    if health != {"status": "ok"} or not answer["children"]:
        sys.exit(f"ask.py: the webhook answered {health} and {answer}")


def ask_speaker() -> None:
    """Ask for health and for what it believes; exits with a sentence where an answer is another."""
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "1").write_text("0" * 64)
        config = Path(directory) / "kubeconfig"
        config.write_text(json.dumps(KUBECONFIG))
        arguments = ("speaker", "--node-name", "none", "--keys-dir", directory, "--cache-file", "")
        with started(arguments, "started", KUBECONFIG=str(config)):
            health = fetch(f"{SPEAKER}/healthz")
            status = json.loads(fetch(f"{SPEAKER}/status"))
    if health != "ok\n" or status["node"] != "none":
        sys.exit(f"ask.py: the speaker answered {health} and {status}")


if __name__ == "__main__":
    if sys.argv[1] == "webhook":
        ask_webhook(Path(sys.argv[2]).read_bytes())
    else:
        ask_speaker()
