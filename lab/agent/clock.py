# SPDX-License-Identifier: MIT
"""The agent's sense of time, as an argument."""

import asyncio
import time
from datetime import UTC, datetime


class Clock:
    """The real one; tests put another in its place."""

    def now(self) -> datetime:
        """Return the time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Let so much time pass."""
        await asyncio.sleep(seconds)
