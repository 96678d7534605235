# SPDX-License-Identifier: MIT
"""What tests of the chart share: rendering it, and acting as somebody with a real token."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from lab import api, inside

T = TypeVar("T")

CHART = Path(__file__).resolve().parents[2] / "chart"
RELEASE = "l2lb"
NAMESPACE = "l2lb-system"
CONTROLLER_CRDS = CHART.parent / "lab" / "metacontroller" / "crds"


def template(lab: inside.Lab, *options: str, namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    """Return the objects that the chart renders to."""
    text = lab.run(None, "helm", "template", RELEASE, str(CHART), "-n", namespace, *options)
    return [found for found in yaml.safe_load_all(text) if found]


def present(lab: inside.Lab, kind: str, name: str, namespace: str = "") -> bool:
    where = ("-n", namespace) if namespace else ()
    return bool(lab.kubectl("get", kind, name, *where, "--ignore-not-found", "-o", "name"))


@dataclass(frozen=True)
class Identity:
    """Somebody, by the kubeconfig with which they act."""

    name: str
    kubeconfig: Path

    def call(self, request: Callable[[api.Api], Awaitable[T]]) -> T:
        """Make a request of the API server as this somebody. Raises ApiError."""

        async def connected() -> T:
            async with api.Api.from_kubeconfig(self.kubeconfig, user_agent="tests") as client:
                return await request(client)

        return asyncio.run(connected())


def identity(
    lab: inside.Lab, namespace: str, account: str, *, pod: str = "", name: str = ""
) -> Identity:
    """Return who a ServiceAccount is, with a token bound to a Pod where one is named."""
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}") if pod else ()
    token = lab.kubectl("create", "token", account, "-n", namespace, *bound).strip()
    config = json.loads(lab.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    name = name or account
    path = lab.kubeconfig.with_name(f"{name.replace(' ', '-')}.kubeconfig")
    path.write_text(json.dumps(config))
    return Identity(name, path)
