# SPDX-License-Identifier: MIT
"""Times as the API server writes them."""

import datetime as dt
from typing import Any


def read(text: Any) -> dt.datetime | None:
    """Return an RFC 3339 time; None for anything else, a time without its zone included."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None
