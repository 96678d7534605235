# SPDX-License-Identifier: MIT
"""What tests of the chart share: rendering it, and acting as somebody with a real token."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
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


@contextlib.contextmanager
def applied(lab: inside.Lab, objects: Iterable[dict[str, Any]]) -> Iterator[None]:
    """See that objects are there, and take away in the end those that were not."""
    missing = [found for found in objects if not _present(lab, found)]
    if missing:
        lab.apply(*missing)
    try:
        yield
    finally:
        for found in reversed(missing):
            lab.kubectl("delete", *_named(found), "--ignore-not-found")


def _present(lab: inside.Lab, found: dict[str, Any]) -> bool:
    return bool(lab.kubectl("get", *_named(found), "--ignore-not-found", "-o", "name"))


def _named(found: dict[str, Any]) -> tuple[str, ...]:
    metadata = found["metadata"]
    where = ("-n", metadata["namespace"]) if "namespace" in metadata else ()
    return (found["kind"], metadata["name"], *where)


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


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
