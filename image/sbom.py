# SPDX-License-Identifier: MIT
"""Writes what is installed beside this Python as CycloneDX JSON: `python sbom.py`.

Without a time and a serial number, so that the same packages make the same text.
"""

import importlib.metadata
import json
import re
import sys
from typing import Any


def component(found: importlib.metadata.Distribution) -> dict[str, Any]:
    """Return a distribution as a component: https://cyclonedx.org/docs/1.6/json/#components."""
    name = re.sub(r"[-_.]+", "-", found.metadata["Name"]).lower()  # as PyPI normalizes names
    purl = f"pkg:pypi/{name}@{found.version}"
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": found.version,
        "purl": purl,
    }
    if "License-Expression" in found.metadata:
        made["licenses"] = [{"expression": found.metadata["License-Expression"]}]
    return made


def document() -> dict[str, Any]:
    """Return the whole document."""
    components = map(component, importlib.metadata.distributions())
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": sorted(components, key=lambda one: str(one["purl"])),
    }


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=2)
    sys.stdout.write("\n")
