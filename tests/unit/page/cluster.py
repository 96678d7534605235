# SPDX-License-Identifier: MIT
"""An API server in memory that lists, with what the lab's API server said recorded in examples/."""

import copy
import dataclasses
import datetime as dt
import ipaddress
import json
from pathlib import Path
from typing import Any

import httpx

from app import annotations, events
from app.page import pages, process, reading
from app.service import record
from bench import requests
from contract import announcement, child, names

Json = dict[str, Any]

RECORDED = Path(__file__).resolve().parents[3] / "examples" / "hooks" / "balancer-sync.json"
# A minute after the recording.
NOW = dt.datetime(2026, 11, 23, 13, 25, tzinfo=dt.UTC)
BALANCERS = reading.LISTS["balancers"]
NODES = reading.LISTS["nodes"]
SERVICES = reading.LISTS["services"]


@dataclasses.dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: dt.datetime = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


class Api:
    """Lists by their paths, in pages as large as asked for.

    `down` makes it unreachable; `refused` answers a path with a status.
    """

    def __init__(self, lists: dict[str, list[Json]] | None = None) -> None:
        self.lists: dict[str, list[Json]] = lists or recorded()
        self.asked: list[httpx.URL] = []
        self.down = False
        self.refused: dict[str, int] = {}

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url="https://cluster", transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        path = request.url.path
        if self.down:
            raise httpx.ConnectError("connection refused", request=request)
        if path in self.refused:
            return httpx.Response(self.refused[path], json={"message": "no such right"})
        items = self.lists.get(path, [])
        first = int(request.url.params.get("continue", 0))
        last = first + int(request.url.params["limit"])
        more = {"continue": str(last)} if last < len(items) else {}
        return httpx.Response(200, json={"metadata": more, "items": items[first:last]})

    def service(self, name: str) -> Json:
        """A Service, to be read and changed."""
        [found] = [
            one
            for one in self.lists[SERVICES]
            if name
            in {
                one["metadata"]["name"],
                f"{one['metadata']['namespace']}/{one['metadata']['name']}",
            }
        ]
        return found

    def asked_for(self, path: str) -> int:
        return sum(url.path == path for url in self.asked)


def recorded() -> dict[str, list[Json]]:
    """What the lab had: a balancer on four nodes, a Service on all of them, and its children."""
    request = json.loads(RECORDED.read_text())
    return {
        BALANCERS: [request["parent"]],
        NODES: list(request["related"]["Node.v1"].values()),
        SERVICES: [
            *request["related"]["Service.v1"].values(),
            *request["children"]["Service.v1"].values(),
        ],
        reading.EVENTS: [],
    }


def reader(api: Api, clock: Clock, tmp_path: Path) -> reading.Reader:
    token = tmp_path / "token"
    token.write_text("secret\n")
    return reading.Reader(
        events.Cluster("https://cluster", token, None), clock=clock, client=api.client
    )


def made(api: Api, clock: Clock, tmp_path: Path) -> pages.Pages:
    return process.made_from(reader(api, clock, tmp_path), annotations.Keys(), clock)


def moved(address: str, came_from: str, went_to: str, *, at: dt.datetime, service: str) -> Json:
    """The Event of a speaker about a move after its node died."""
    moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{service}-{address}", "namespace": "shop"},
        "involvedObject": {"kind": "Service", "name": service, "namespace": "shop"},
        "reason": "AddressMoved",
        "message": f"{address} moved from {came_from} to {went_to}: holder-died",
        "type": "Warning",
        "reportingComponent": "l2lb-speaker",
        "lastTimestamp": moment,
    }


def held_by(manifest: Json, node: str | None, *, now: dt.datetime = NOW) -> None:
    """Let a child's status say who announces it; None: that nobody has spoken yet."""
    if node is None:
        manifest["status"] = {}
        return
    address = ipaddress.ip_address(manifest["metadata"]["annotations"][names.CHILD_ADDRESS])
    said = announcement.Announcement.by(
        address, node=node, interface="eth0", mac="52:54:00:77:00:99"
    )
    manifest["status"] = announcement.encode_status(said, previous={}, now=now)


def many(services: int, nodes: int = 5, each: int = 3) -> dict[str, list[Json]]:
    """A cluster of so many Services, all announced as wanted, in one balancer."""
    listed = [requests.node(f"n{n}", images=5) for n in range(nodes)]
    users, children = [], []
    for number in range(services):
        user = requests.service(f"web-{number:04}")
        addresses = [ipaddress.ip_address("10.0.0.1") + number * each + k for k in range(each)]
        user["status"] = {
            "conditions": [
                {
                    "lastTransitionTime": requests.CREATED,
                    "message": record.sentence(addresses, "front"),
                    "reason": "Assigned",
                    "status": "True",
                    "type": names.ASSIGNED_CONDITION,
                }
            ],
            "loadBalancer": {"ingress": [{"ip": str(one), "ipMode": "VIP"} for one in addresses]},
        }
        users.append(user)
        for ordinal, address in enumerate(addresses):
            order = [f"n{(number + ordinal + k) % nodes}" for k in range(nodes)]
            manifest = child.encode(
                child.Child(
                    namespace=user["metadata"]["namespace"],
                    name=child.child_name(user["metadata"]["name"], ordinal + 1),
                    service=user["metadata"]["name"],
                    service_uid=user["metadata"]["uid"],
                    balancer="front",
                    address=address,
                    nodes=tuple(order),
                    list_version=1,
                    ports=(child.Port(80),),
                    planned=each,
                )
            )
            manifest["metadata"]["uid"] = requests.uid("child", number, ordinal)
            held_by(manifest, order[0])
            children.append(manifest)
    balancer = requests.balancer(addressPool=["10.0.0.0/16"], ipCount=each)
    return {
        BALANCERS: [copy.deepcopy(balancer)],
        NODES: listed,
        SERVICES: [*users, *children],
        reading.EVENTS: [],
    }
