# SPDX-License-Identifier: MIT
"""The files of the page that never change while it runs."""

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
_TYPES: Final = {
    "icon.svg": "image/svg+xml",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Asset:
    """A file, and its media type."""

    content: bytes
    media_type: str


ASSETS: Final[Mapping[str, Asset]] = {
    name: Asset((FOLDER / "static" / name).read_bytes(), media_type)
    for name, media_type in _TYPES.items()
}
# In each asset's URL, so that a browser may keep them for long.
VERSION: Final = hashlib.blake2b(
    b"".join(asset.content for asset in ASSETS.values()), digest_size=6
).hexdigest()
