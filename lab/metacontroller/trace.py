# SPDX-License-Identifier: MIT
"""A record of every hook call, one JSON object a line."""

import json
from collections.abc import Mapping
from typing import Any, TextIO


class Trace:
    """Writes calls to a file, or nowhere."""

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file

    def call(self, hook: str, request: Mapping[str, Any], status: int, answer: bytes) -> None:
        """Record one call; a ``status`` of 0 means that there was no answer."""
        if self._file is None:
            return
        text = answer.decode(errors="replace")
        try:
            found = json.loads(text)
        except ValueError:
            found = text
        line = {"hook": hook, "request": request, "status": status, "answer": found}
        print(json.dumps(line), file=self._file, flush=True)
