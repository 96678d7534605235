# SPDX-License-Identifier: MIT
"""What a lab's nodes have in place of container images: programs of this checkout."""

import compileall
import os
import sys
from pathlib import Path
from typing import Final

import yaml

from lab import agent, sandbox

CHART: Final = sandbox.CHECKOUT / "chart"
LATER: Final = ("next", "after-next")  # tags of what stands for later releases, see lab/later

METACONTROLLER: Final = "metacontroller"  # as lab/metacontroller/install.yaml names it
# With the defaults of 5 and 10, a child Service would take seconds to appear.
METACONTROLLER_FLAGS: Final = (
    "-client-go-qps=150",
    "-client-go-burst=300",
    "-discovery-interval=5s",
)

_LATER: Final = Path(__file__).resolve().parent / "later"
# What the Dockerfile's targets run, and as whom.
_OURS: Final = {"webhook": ("app", 65532), "speaker": ("speaker", 0)}


def all_of_them(metacontroller: str | None) -> dict[str, agent.Image]:
    """Return each image by its reference; ``metacontroller`` is the real one's binary, if any."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    found = {
        f"l2-load-balancer/{name}:{tag}": _python(module, user=user, release=tag)
        for name, (module, user) in _OURS.items()
        for tag in (version, *LATER)
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


def compile_ahead() -> None:
    """Compile our programs once; containers, which cannot keep what they compile, start sooner."""
    for folder in ("app", "contract", "lab", "speaker"):
        compileall.compile_dir(sandbox.CHECKOUT / folder, quiet=2)


def _python(module: str, *, user: int, release: str = "") -> agent.Image:
    programs = Path(sys.prefix) / "bin"
    folders = (sandbox.CHECKOUT, Path(sys.prefix), Path(sys.base_prefix))
    later = [_LATER] if release in LATER else []
    return agent.Image(
        argv=("python", "-m", module),
        environment={
            "PATH": os.pathsep.join([str(programs), "/usr/bin", "/bin"]),
            "PYTHONPATH": os.pathsep.join(map(str, [*later, sandbox.CHECKOUT])),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/",
            "LAB_RELEASE": release,
        },
        # A virtual environment may be a link, and lead to where a container has folders of its own.
        paths=tuple({str(path): None for one in folders for path in (one, one.resolve())}),
        user=user,
    )
