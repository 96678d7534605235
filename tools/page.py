# SPDX-License-Identifier: MIT
"""The page in a lab, and its pictures in docs/images/.

`python -m lab run --nodes 5 -- python -m tools.page` plays the examples, pulls a node's cable out
and takes pictures of what the page then shows.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from playwright import sync_api

from contract import announcement, child, names
from lab import errors, inside, release
from tools import browser

URL: Final = "http://127.0.0.1:8081/"  # within the webhook's Pod
EXAMPLES: Final = Path(__file__).resolve().parents[1] / "examples"
IMAGES: Final = EXAMPLES.parent / "docs" / "images"
NODES: Final = ("node-1", "node-2", "node-3", "node-4")
WIDTH: Final = 1200
HEIGHT: Final = 920
MARGIN: Final = 6
MAX_BYTES: Final = 200_000
SETTLED_S: Final = 60.0
_NETWORKS: Final = Path("/run/netns")

Json = dict[str, Any]


def network(lab: inside.Lab) -> str:
    """Return the network namespace of a webhook's Pod: where kubectl port-forward leads into."""
    [pod, *_] = lab.items(
        "pods",
        *("-n", release.NAMESPACE, "-l", release.WEBHOOKS),
        "--field-selector=status.phase=Running",
    )
    return network_of(lab, pod)


def network_of(lab: inside.Lab, pod: Json) -> str:
    """Return the network namespace of a Pod. Raises LabError when it has none of its own."""
    node, address = pod["spec"]["nodeName"], pod["status"]["podIP"]
    for place in sorted(_NETWORKS.glob(f"{node}-pod-*")):
        links = json.loads(lab.run(None, "ip", "-netns", place.name, "-json", "address", "show"))
        if any(one["local"] == address for link in links for one in link.get("addr_info", ())):
            return place.name
    raise errors.LabError(f"Pod {pod['metadata']['name']} has no network of its own")


def main() -> int:
    """Write the pictures; 2 without a browser or a lab."""
    executable = browser.program()
    if executable is None:
        print(browser.MISSING, file=sys.stderr)
        return 2
    try:
        lab = inside.Lab()
    except errors.LabError as error:
        print(error, file=sys.stderr)
        return 2
    _play(lab)
    IMAGES.mkdir(exist_ok=True)
    with browser.opened(executable, netns=network(lab)) as opened:
        for scheme in ("light", "dark"):
            page = opened.new_page(
                viewport={"width": WIDTH, "height": HEIGHT},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page.goto(URL)
            _write(IMAGES / f"page-overview-{scheme}.png", _picture(page))
    return 0


def _picture(page: sync_api.Page) -> bytes:
    """Return the page from its top to the end of its grid, as PNG."""
    box = page.locator("table.grid").first.bounding_box()
    height = HEIGHT if box is None else box["y"] + box["height"] + MARGIN
    return page.screenshot(full_page=True, clip={"x": 0, "y": 0, "width": WIDTH, "height": height})


def _write(file: Path, content: bytes) -> None:
    if len(content) > MAX_BYTES:
        raise SystemExit(f"{file} would have {len(content)} bytes, more than {MAX_BYTES}")
    scratch = file.with_suffix(".new")
    scratch.write_bytes(content)
    scratch.replace(file)
    print(f"{file}: {len(content)} bytes")


def _play(lab: inside.Lab) -> None:
    """Bring the examples up, and then a node down."""
    lab.kubectl("label", "--overwrite", "node", *NODES, "node-role/frontend=")
    for example in ("backend", "balancer", "web", "everywhere"):
        lab.kubectl("apply", "-f", str(EXAMPLES / f"{example}.yaml"))
    inside.until(lambda: _at_home(lab) == 7, "all seven addresses are where they should be")  # noqa: PLR2004  # three of web, four of everywhere
    lab.run(None, "ip", "link", "set", f"port-{NODES[1]}", "nomaster")
    inside.until(
        lambda: _holders(lab) and NODES[1] not in _holders(lab),
        f"the stand-ins of {NODES[1]} said that they announce",
        within_s=SETTLED_S,
    )


def _children(lab: inside.Lab) -> list[Json]:
    return lab.items("services", "-A", "-l", f"{names.PROXY_NAME_LABEL}={names.PROXY_NAME}")


def _holders(lab: inside.Lab) -> list[str | None]:
    """Return who announces each address, as its status says."""
    said = []
    for manifest in _children(lab):
        found = announcement.decode_status(manifest, address=child.decode(manifest).address)
        said.append(found.node if found is not None else None)
    return said


def _at_home(lab: inside.Lab) -> int:
    return sum(
        child.decode(manifest).nodes[0] == holder
        for manifest, holder in zip(_children(lab), _holders(lab), strict=False)
    )


if __name__ == "__main__":
    sys.exit(main())
