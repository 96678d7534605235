# SPDX-License-Identifier: MIT
"""Starts the webhook as its image does and asks it: `python ask.py BODY`.

BODY is what Metacontroller posts for a balancer that has Services.
"""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any


def fetch(url: str, body: bytes | None = None) -> Any:
    """Return the JSON that a URL answers. Raises OSError."""
    with urllib.request.urlopen(url, body, timeout=20) as answer:  # noqa: S310  # the one below
        return json.load(answer)


def started(webhook: subprocess.Popen[str]) -> str:
    """Return the URL of the hooks, once they are served; exits where they are not."""
    said = []
    for line in webhook.stderr or ():
        said.append(line)
        if line.startswith("{") and "url" in (entry := json.loads(line)):
            return str(entry["url"])
    sys.exit(f"ask.py: the webhook ended before it served: {''.join(said)}")


def main(body: bytes) -> None:
    """Ask for health and for children; exits with a sentence where an answer is another."""
    command = [sys.executable, "-m", "app", "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as webhook:  # noqa: S603  # ours
        try:
            url = started(webhook)
            health = fetch(f"{url}/healthz")
            answer = fetch(f"{url}/hooks/balancer/sync", body)
        finally:
            webhook.terminate()
    if health != {"status": "ok"} or not answer["children"]:
        sys.exit(f"ask.py: the webhook answered {health} and {answer}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_bytes())
