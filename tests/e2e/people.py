# SPDX-License-Identifier: MIT
"""What a user and an administrator do with kubectl, and what they then see."""

import contextlib
import dataclasses
import itertools
import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contract import announcement, child, names
from lab import inside

Json = dict[str, Any]

# Each balancer of a test gets addresses that no other one has had: what is left of an earlier
# test, until the garbage collector comes, cannot be in its way.
_BLOCKS = itertools.count(1)

_SPEAKS = """
import socket, sys
with socket.socket(type=socket.SOCK_DGRAM) as speaks:
    speaks.bind((sys.argv[1], 0))
    speaks.sendto(b"here", ("10.77.0.100", 9))
"""


def speak(lab: inside.Lab, machine: str, address: str) -> None:
    """Have a machine use an address of its own, as whoever has one does at some time.

    Linux says nothing when an address is added to it; it does when it asks for somebody.
    """
    lab.run(machine, sys.executable, "-I", "-c", _SPEAKS, address)


@dataclasses.dataclass(frozen=True)
class Block:
    """Addresses of no subnet of the lab, so no speaker finds an interface to announce them on."""

    number: int = dataclasses.field(default_factory=lambda: next(_BLOCKS))

    def v4(self, last: int) -> str:
        return f"10.99.{self.number}.{last}"

    def v6(self, last: int) -> str:
        return f"fd99:{self.number:x}::{last:x}"

    def pool(self, first: int, last: int) -> list[str]:
        return [f"{end(first)}-{end(last)}" for end in (self.v4, self.v6)]


class Balancer:
    """An L2LoadBalancer, as its administrator changes and reads it."""

    def __init__(
        self,
        lab: inside.Lab,
        pool: Sequence[str],
        *,
        name: str = "",
        selector: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> None:
        self.lab = lab
        self.name = name or f"front-{uuid.uuid4().hex[:6]}"
        self.spec: Json = {
            "addressPool": list(pool),
            "nodeSelector": dict(selector or {"kubernetes.io/os": "linux"}),
            "failbackDelay": "2s",
            **spec,
        }
        self.create()

    def create(self) -> None:
        self.lab.apply(
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "metadata": {"name": self.name},
                "spec": self.spec,
            }
        )

    def change(self, **spec: Any) -> None:
        """Replace fields of the spec; None removes one."""
        self.spec.update(spec)
        patch = json.dumps({"spec": spec})
        self.lab.kubectl("patch", names.PLURAL, self.name, "--type=merge", "-p", patch)

    def delete(self) -> None:
        self.lab.kubectl("delete", names.PLURAL, self.name, "--ignore-not-found")

    def status(self) -> Json:
        found: Json = self.lab.get(names.PLURAL, self.name).get("status", {})
        return found

    def condition(self, kind: str, reason: str) -> str:
        """Wait until a condition has a reason; return its message."""

        def found() -> str:
            conditions = self.status().get("conditions", [])
            return next(
                (c["message"] for c in conditions if (c["type"], c["reason"]) == (kind, reason)), ""
            )

        return inside.until(found, f"balancer {self.name} has {kind} with reason {reason}")


class User:
    """One namespace's user: makes Services and looks at what becomes of them."""

    def __init__(self, lab: inside.Lab, namespace: str, balancer: str) -> None:
        self.lab = lab
        self.namespace = namespace
        self.balancer = balancer

    def manifest(
        self,
        name: str,
        *,
        count: str | None = None,
        annotations: Mapping[str, str | None] | None = None,
        **spec: Any,
    ) -> Json:
        """Return a Service of the balancer; what is None is left out."""
        asked = {
            names.SERVICE_BALANCER: self.balancer,
            names.SERVICE_IP_COUNT: count,
            **(annotations or {}),
        }
        whole = {
            "type": "LoadBalancer",
            "loadBalancerClass": names.SERVICE_CLASS,
            "selector": {"app": "echo"},
            "ports": [{"port": 80, "targetPort": 8080}],
            **spec,
        }
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "annotations": {key: value for key, value in asked.items() if value is not None},
            },
            "spec": {key: value for key, value in whole.items() if value is not None},
        }

    def serve(
        self,
        name: str,
        *,
        count: str | None = None,
        annotations: Mapping[str, str | None] | None = None,
        **spec: Any,
    ) -> None:
        self.lab.apply(self.manifest(name, count=count, annotations=annotations, **spec))

    def annotate(self, name: str, key: str, value: str | None) -> None:
        """Set an annotation of a Service; None removes it."""
        word = f"{key}-" if value is None else f"{key}={value}"
        self.lab.kubectl("-n", self.namespace, "annotate", "--overwrite", "service", name, word)

    def delete(self, name: str) -> None:
        self.lab.kubectl("-n", self.namespace, "delete", "service", name)

    def service(self, name: str) -> Json:
        return self.lab.get("service", name, "-n", self.namespace)

    def status(self, name: str) -> Json:
        status: Json = self.service(name)["status"]
        return status

    def ingress(self, name: str) -> list[str]:
        return [e["ip"] for e in self.status(name)["loadBalancer"].get("ingress", [])]

    def addresses(self, name: str, count: int) -> list[str]:
        return inside.until(
            lambda: found if len(found := self.ingress(name)) == count else [],
            f"Service {name} has {count} addresses",
        )

    def gets(self, name: str, *addresses: str) -> None:
        """Wait until a Service shows exactly these addresses, and its children carry them."""
        inside.until(
            lambda: (
                sorted(self.ingress(name)) == sorted(addresses)
                and sorted(self.assigned(name)) == sorted(addresses)
            ),
            f"Service {name} has exactly {', '.join(addresses) or 'no address'}",
        )

    def loses_all(self, name: str) -> None:
        """Wait until a Service has no child, whether or not it is still there itself."""
        inside.until(lambda: not self.children(name), f"no child of {name} is left")

    def condition(self, name: str, reason: str) -> Json:
        def found() -> Json:
            conditions = self.status(name).get("conditions", [])
            ours = [c for c in conditions if c["type"] == names.ASSIGNED_CONDITION]
            return ours[0] if ours and ours[0]["reason"] == reason else {}

        return inside.until(found, f"Service {name} has the condition's reason {reason}")

    def complaint(self, name: str, reason: str, *said: str) -> None:
        """Wait until a Service's condition has a reason; it is False and its message says so."""
        condition = self.condition(name, reason)
        assert condition["status"] == "False"
        for part in said:
            assert part in condition["message"]

    def children(self, name: str) -> list[Json]:
        listed = self.lab.items("services", "-n", self.namespace)
        ours = [
            item
            for item in listed
            if item["metadata"].get("labels", {}).get(names.PROXY_NAME_LABEL) == names.PROXY_NAME
        ]
        return [item for item in ours if child.decode(item).service == name]

    def assigned(self, name: str) -> list[str]:
        """Return the addresses of a Service's children."""
        return [str(child.decode(item).address) for item in self.children(name)]

    def holders(self, name: str, count: int) -> dict[str, str]:
        """Wait until all addresses are announced; return address -> node as the status says."""

        def announced() -> dict[str, str]:
            found = {}
            for item in self.children(name):
                address = child.decode(item).address
                said = announcement.decode_status(item, address=address)
                if said and said.node:
                    found[str(address)] = said.node
            return found if len(found) == count else {}

        return inside.until(announced, f"all {count} addresses of {name} are announced")


@contextlib.contextmanager
def namespace(lab: inside.Lab, name: str) -> Iterator[None]:
    """Have a namespace in which Pods can be created at once.

    Its Services go first: one that lasts as long as the namespace still shows its addresses to
    every kube-proxy, while another balancer's Service has them already.
    """
    lab.kubectl("create", "namespace", name)
    inside.until(
        lambda: lab.get("serviceaccount", "default", "-n", name),
        f"namespace {name} got its default ServiceAccount",
    )
    yield
    users = f"{names.PROXY_NAME_LABEL}!={names.PROXY_NAME}"
    lab.kubectl("delete", "services", "-n", name, "-l", users, "--wait=false")
    lab.kubectl("delete", "namespace", name, "--wait=false")


@contextlib.contextmanager
def without_api_server(lab: inside.Lab) -> Iterator[None]:
    """Stop the API server; in the end wait until controllers, which back off, work for it again."""
    lab.change("apiserver", "stop")
    try:
        yield
    finally:
        lab.change("apiserver", "start")
    name = f"after-outage-{uuid.uuid4().hex[:6]}"
    inside.until(lambda: lab.kubectl("create", "namespace", name), "the API server answers again")
    inside.until(
        lambda: lab.get("serviceaccount", "default", "-n", name),
        "the controllers work again",
        within_s=90.0,
    )
    lab.kubectl("delete", "namespace", name, "--wait=false")
