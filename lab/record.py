# SPDX-License-Identifier: MIT
"""Record what Metacontroller asks the hooks, as the bodies of `examples/hooks/`.

`python -m lab run -- python -m lab.record [DIRECTORY]` puts itself between Metacontroller and the
webhook, applies `examples/`, and writes for each hook the last request that it had something to
say to. `make examples` runs it with whatever METACONTROLLER names.
"""

import argparse
import base64
import http.client
import http.server
import json
import ssl
import sys
import threading
import urllib.parse
from pathlib import Path
from typing import Any, Final

from contract import names
from lab import inside, machines, release

EXAMPLES: Final = Path(__file__).parents[1] / "examples"
HERE: Final = machines.ADDRESSES[0].ip
PORT: Final = 18081
LABEL: Final = "node-role/frontend="
NODES: Final = ("node-1", "node-2", "node-3", "node-4")
HOOKS: Final = (
    "/hooks/balancer/customize",
    "/hooks/balancer/sync",
    "/hooks/service/customize",
    "/hooks/service/sync",
    "/hooks/service-cleanup/sync",
)
# What is big, differs from run to run and is not read by any hook.
LEFT_OUT: Final = ("images", "managedFields", "nodeInfo", "volumesInUse")


class Recorder(http.server.ThreadingHTTPServer):
    """Passes each request on to the webhook and keeps the last body for each path.

    A body that is answered with `{}`, nothing to do, is kept only in want of another.
    """

    daemon_threads = True

    def __init__(self, webhook: str, authority: str) -> None:
        super().__init__((str(HERE), PORT), _Handler)
        self.webhook = webhook
        self.tls = ssl.create_default_context(cadata=authority)
        # It is asked at its Pod's address, which its certificate does not name.
        self.tls.check_hostname = False
        self.bodies: dict[str, dict[str, Any]] = {}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        upstream = http.client.HTTPSConnection(
            self.server.webhook, release.WEBHOOK_PORT, timeout=10, context=self.server.tls
        )
        upstream.request("POST", self.path, body, {"Content-Type": "application/json"})
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if content != b"{}" or self.path not in self.server.bodies:
            self.server.bodies[self.path] = json.loads(body)
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    """Record one body a hook; 0 when every hook was asked."""
    parser = argparse.ArgumentParser(prog="python -m lab.record", description=__doc__)
    parser.add_argument("directory", type=Path, nargs="?", default=EXAMPLES / "hooks")
    directory: Path = parser.parse_args().directory
    lab = inside.Lab()
    secret = lab.get("secret", "l2lb-webhook-tls", "-n", release.NAMESPACE)
    authority = base64.b64decode(secret["data"]["ca.crt"]).decode()
    [webhook, *_] = lab.items("pods", "-n", release.NAMESPACE, "-l", release.WEBHOOKS)
    with Recorder(webhook["status"]["podIP"], authority) as recorder:
        threading.Thread(target=recorder.serve_forever, daemon=True).start()
        _listen_in(lab, f"http://{HERE}:{PORT}")
        _play(lab, recorder)
        recorder.shutdown()
    directory.mkdir(parents=True, exist_ok=True)
    for path in HOOKS:
        file = directory / f"{path.removeprefix('/hooks/').replace('/', '-')}.json"
        scratch = file.with_suffix(".new")
        scratch.write_text(json.dumps(_shortened(recorder.bodies[path]), indent=2) + "\n")
        scratch.replace(file)
        print(f"{file}: as asked by {lab.metacontroller}")
    return 0


def _listen_in(lab: inside.Lab, url: str) -> None:
    """Point the three controllers at the recorder."""
    for kind in ("compositecontrollers", "decoratorcontrollers"):
        for controller in lab.items(kind):
            for hook in controller["spec"]["hooks"].values():
                path = urllib.parse.urlsplit(hook["webhook"]["url"]).path
                hook["webhook"] = {**hook["webhook"], "url": url + path, "caBundle": None}
            lab.run(None, "kubectl", "replace", "-f", "-", standard_input=json.dumps(controller))


def _play(lab: inside.Lab, recorder: Recorder) -> None:
    lab.kubectl("label", "node", *NODES, LABEL)
    for example in ("backend", "balancer", "web", "everywhere"):
        lab.kubectl("apply", "-f", str(EXAMPLES / f"{example}.yaml"))
    for service in ("web", "everywhere"):
        inside.until(
            lambda service=service: lab.get("service", service, "-n", "shop")["status"][  # type: ignore[misc] # mypy cannot infer a lambda with a default
                "loadBalancer"
            ].get("ingress"),
            f"{service} has its addresses",
        )
    inside.until(
        lambda: _statuses(recorder.bodies.get("/hooks/balancer/sync", {})),
        "the balancer's sync saw every child announced",
    )
    # Its request is kept from before the cleanup: the one that clears label and status.
    kept = dict(recorder.bodies)
    lab.kubectl("-n", "shop", "annotate", "service", "web", f"{names.SERVICE_BALANCER}-")
    inside.until(
        lambda: HOOKS[-1] in recorder.bodies, "the cleanup was asked about the annotation's end"
    )
    recorder.bodies.update(kept)


def _statuses(request: dict[str, Any]) -> bool:
    children = request.get("children", {}).get("Service.v1", {}).values()
    return bool(children) and all(child["status"].get("conditions") for child in children)


def _shortened(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _shortened(v) for k, v in value.items() if k not in LEFT_OUT}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
