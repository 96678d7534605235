# SPDX-License-Identifier: MIT
"""What a lab's nodes have in place of container images: programs of this checkout."""

import os
import sys
from pathlib import Path
from typing import Final

import yaml

from lab import agent, sandbox

CHART: Final = sandbox.CHECKOUT / "chart"
NEXT: Final = "next"  # a tag of the same programs, for upgrades to another image

METACONTROLLER: Final = "metacontroller"  # as lab/metacontroller/install.yaml names it
# With the defaults of 5 and 10, a child Service would take seconds to appear.
METACONTROLLER_FLAGS: Final = (
    "-client-go-qps=150",
    "-client-go-burst=300",
    "-discovery-interval=5s",
)

# What the Dockerfile's targets run, and as whom.
_OURS: Final = {"webhook": ("app", 65532), "speaker": ("speaker", 0)}


def all_of_them(metacontroller: str | None) -> dict[str, agent.Image]:
    """Return each image by its reference; ``metacontroller`` is the real one's binary, if any."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    found = {
        f"l2-load-balancer/{name}:{tag}": _python(module, user=user)
        for name, (module, user) in _OURS.items()
        for tag in (version, NEXT)
    }
    if metacontroller is None:
        found[METACONTROLLER] = _python("lab.metacontroller", user=0)
    else:
        found[METACONTROLLER] = agent.Image(
            argv=(metacontroller, *METACONTROLLER_FLAGS),
            environment={"PATH": os.defpath},
            paths=(metacontroller,),
        )
    return found


def _python(module: str, *, user: int) -> agent.Image:
    programs = Path(sys.prefix) / "bin"
    folders = (sandbox.CHECKOUT, Path(sys.prefix), Path(sys.base_prefix))
    return agent.Image(
        argv=("python", "-m", module),
        environment={
            "PATH": os.pathsep.join([str(programs), "/usr/bin", "/bin"]),
            "PYTHONPATH": str(sandbox.CHECKOUT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/",
        },
        # A virtual environment may be a link, and lead to where a container has folders of its own.
        paths=tuple({str(path): None for one in folders for path in (one, one.resolve())}),
        user=user,
    )
