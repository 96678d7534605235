# SPDX-License-Identifier: MIT
"""Makes a program of the checkout one of a later release.

Python imports it by its name before the program itself, where the image's environment leads here.
As the contract wants it, a changed meaning is first read and one release later written: the
release ``next`` reads the contract after the present one and says one thing more in each child,
``after-next`` writes that contract.
"""

import os
from typing import Any

import contract.child
from contract import names
from contract.child import Child

ADDITION = f"{names.GROUP}/of-a-later-release"
PRESENT = names.CONTRACT_VERSION
WRITTEN = {"next": PRESENT, "after-next": PRESENT + 1}[os.environ["LAB_RELEASE"]]

_encode = contract.child.encode


def _encode_later(child: Child) -> dict[str, Any]:
    """Encode as the later release does."""
    manifest = _encode(child)
    manifest["metadata"]["annotations"] |= {
        ADDITION: "anything",
        names.CHILD_CONTRACT: str(WRITTEN),
    }
    return manifest


contract.child.encode = _encode_later
names.CONTRACT_VERSION = PRESENT + 1  # type: ignore[misc] # a later release has another constant
