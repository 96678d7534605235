# SPDX-License-Identifier: MIT
"""The steps of the demo. Each claim is checked on the cluster and on the wire before it is told."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contract import announcement, child, names
from lab import client, errors, inside

EXAMPLES = Path(__file__).parents[2] / "examples"
BALANCER_NODES = ("node-1", "node-2", "node-3", "node-4")
LABEL = "node-role/frontend="
NAMESPACE = "shop"
WEB_COUNT = 3  # as examples/web.yaml asks
HEAD = ("ADDRESS", "SHOULD BE ON", "IS ANNOUNCED BY", "MAC THE CLIENT SEES", "WHICH IS")

GAP_AT_MOST_S = 0.5
UNDISTURBED_S = 0.2  # a busy machine delays a connection by so much; a cut costs more
STEADY_S = 1.0  # connections run this long before and after a cut


class Story:
    """Tells the steps and remembers which claims were true."""

    def __init__(self, lab: inside.Lab) -> None:
        self._lab = lab
        self._client = client.Client(lab)
        self._steps: list[dict[str, Any]] = []
        self._began = time.monotonic()

    @property
    def is_true(self) -> bool:
        """Whether every claim was seen to be true."""
        return all(claim["true"] for step in self._steps for claim in step["claims"])

    def document(self) -> dict[str, Any]:
        """Return all that was told, as data."""
        return {
            "metacontroller": self._lab.metacontroller,
            "true": self.is_true,
            "seconds": round(time.monotonic() - self._began, 1),
            "steps": self._steps,
        }

    def tell(self) -> None:
        """Tell everything, from an empty cluster to an empty cluster."""
        _say(f"Metacontroller: {self._lab.metacontroller}", indent="")
        try:
            self._three_addresses()
            self._through_each()
            address, node = self._cut_a_cable()
            self._cable_back(address, node)
            self._a_node_more()
            self._everything_gone()
        except (errors.LabError, inside.CommandError, TimeoutError) as error:
            self._claim(f"the story could not go on: {error}", is_true=False)
        verdict = "Every step was seen to be true" if self.is_true else "NOT every step was true"
        _say(f"\n{verdict}. Metacontroller: {self._lab.metacontroller}", indent="")

    def _three_addresses(self) -> None:
        self._step("A Service asks for three addresses and gets them on three nodes")
        self._kubectl("label", "node", *BALANCER_NODES, LABEL)
        for example in ("backend", "balancer", "web"):
            self._kubectl("apply", "-f", f"{EXAMPLES}/{example}.yaml")
        self._lab.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/web")
        rows = [self._row(address, "web") for address in self._addresses("web", WEB_COUNT)]
        self._table(rows)
        macs = {row[3] for row in rows}
        self._claim(
            "the Service has three addresses, each answered by another MAC",
            is_true=len(macs) == len(rows) == WEB_COUNT,
        )
        self._claim(
            "each is answered by the node that should hold it, and that says so",
            is_true=all(row[1] == row[2] == row[4] for row in rows),
        )

    def _through_each(self) -> None:
        self._step("A client on another machine reaches the Pods through each address")
        for address in self._addresses("web", WEB_COUNT):
            server = self._client.ask(address)
            self._claim(f"http://{address}/ is answered by Pod {server}", is_true=bool(server))

    def _cut_a_cable(self) -> tuple[str, str]:
        self._step("A node's cable is cut while new connections to all three start every 20 ms")
        addresses = self._addresses("web", WEB_COUNT)
        victim = addresses[0]
        self._client.until_served(f"{NAMESPACE}/web", addresses)
        with self._client.watch(addresses) as results:
            time.sleep(STEADY_S)
            # The node that the client uses at this moment, whatever the cluster thinks.
            mac = self._client.mac_of(victim)
            node = client.machine_of_mac(self._lab, mac)
            if node is None:
                raise errors.LabError(f"{victim} is answered by {mac}, which is no node's MAC")
            self._run("ip", "link", "set", f"port-{node}", "nomaster")
            inside.until(
                lambda: self._client.mac_of(victim) not in {mac, None},
                f"another node answers for {victim}",
            )
            time.sleep(STEADY_S)
        for result in results:
            gap_s = result["longest_gap_s"]
            lost = result["failed"] + result["cut"]
            fared = (
                f"{result['address']}: {result['served']} connections served, "
                f"{lost} lost, the longest gap {gap_s * 1000:.0f} ms"
            )
            if result["address"] == victim:
                self._claim(
                    f"{fared}; it was on the cut {node}, at most {GAP_AT_MOST_S * 1000:.0f} "
                    "ms are allowed",
                    is_true=gap_s <= GAP_AT_MOST_S,
                )
            else:
                self._claim(fared, is_true=not lost and gap_s <= UNDISTURBED_S)
        self._fact(cut=node, gaps_s={r["address"]: r["longest_gap_s"] for r in results})
        return victim, node

    def _cable_back(self, address: str, node: str) -> None:
        self._step("The cable is plugged in again and the node takes its address back")
        self._run("ip", "link", "set", f"port-{node}", "master", "switch")
        inside.until(
            lambda: self._client.machine_of(address) == node, f"{node} answers for {address} again"
        )
        self._claim(f"{address} is answered by {node} again", is_true=True)

    def _a_node_more(self) -> None:
        self._step("A node is added: a Service with ip-count auto gains an address by itself")
        self._kubectl("apply", "-f", f"{EXAMPLES}/everywhere.yaml")
        before = self._addresses("everywhere", len(BALANCER_NODES))
        self._claim(f"one address a balancer node: {', '.join(before)}", is_true=True)
        known = set(self._lab.nodes())
        _say("$ python -m lab node add")
        self._lab.change("node", "add")
        (added,) = set(self._lab.nodes()) - known
        self._kubectl("label", "node", added, LABEL)
        after = self._addresses("everywhere", len(BALANCER_NODES) + 1)
        gained = sorted(set(after) - set(before))
        self._claim(
            f"it gained {', '.join(gained)} and kept the others",
            is_true=set(before) < set(after),
        )
        inside.until(
            lambda: self._announced_by(gained[0], "everywhere") == added,
            f"{added} announces {gained[0]}",
        )
        row = self._row(gained[0], "everywhere")
        self._table([row])
        self._claim(
            f"{row[0]} is answered by the new node", is_true=row[1] == row[2] == row[4] == added
        )

    def _everything_gone(self) -> None:
        self._step("The annotation is removed: the addresses are given up")
        addresses = self._addresses("web", WEB_COUNT)
        self._kubectl("-n", NAMESPACE, "annotate", "service", "web", f"{names.SERVICE_BALANCER}-")
        inside.until(
            lambda: not self._children("web") and not self._status("web"),
            "the children and the status of web are gone",
        )
        self._claim("its child Services and its status are gone", is_true=True)
        for address in addresses:
            self._claim(
                f"nobody answers for {address} any more",
                is_true=self._client.machine_of(address) is None,
            )
        self._kubectl("delete", "-f", f"{EXAMPLES}/everywhere.yaml")
        self._kubectl("delete", "-f", f"{EXAMPLES}/balancer.yaml")
        inside.until(lambda: not self._children(None), "no child Service is left")
        self._claim("no child Service is left in the cluster", is_true=True)

    def _row(self, address: str, service: str) -> tuple[str, ...]:
        """Return the address, the node it should be on, the one that says so, the MAC, its node."""
        holder = inside.until(
            lambda: self._announced_by(address, service), f"{address} is announced"
        )
        seen = self._client.machine_of(address)
        mac = self._client.mac_of(address)
        desired = self._child(address, service)[0].nodes[0]
        return address, desired, str(holder), str(mac), str(seen)

    def _addresses(self, service: str, count: int) -> list[str]:
        """Wait until the Service has that many addresses and return them."""

        def addresses() -> list[str]:
            ingress = self._status(service)
            return [entry["ip"] for entry in ingress] if len(ingress) == count else []

        return inside.until(addresses, f"Service {service} has {count} addresses")

    def _status(self, service: str) -> list[dict[str, Any]]:
        status = self._lab.get("service", service, "-n", NAMESPACE).get("status", {})
        ingress: list[dict[str, Any]] = status.get("loadBalancer", {}).get("ingress", [])
        return ingress

    def _children(self, service: str | None) -> list[tuple[child.Child, dict[str, Any]]]:
        selector = f"{names.PROXY_NAME_LABEL}={names.PROXY_NAME}"
        manifests = self._lab.items("services", "--all-namespaces", "-l", selector)
        decoded = [(child.decode(manifest), manifest) for manifest in manifests]
        return [(one, manifest) for one, manifest in decoded if service in {None, one.service}]

    def _child(self, address: str, service: str) -> tuple[child.Child, dict[str, Any]]:
        return next(pair for pair in self._children(service) if str(pair[0].address) == address)

    def _announced_by(self, address: str, service: str) -> str | None:
        one, manifest = self._child(address, service)
        said = announcement.decode_status(manifest, address=one.address)
        return said.node if said else None

    def _step(self, title: str) -> None:
        self._steps.append({"title": title, "claims": []})
        _say(f"\n{len(self._steps)}. {title}", indent="")

    def _claim(self, sentence: str, *, is_true: bool) -> None:
        if not self._steps:
            self._step("The lab")
        self._steps[-1]["claims"].append({"claim": sentence, "true": is_true})
        _say(f"{'true:' if is_true else 'NOT TRUE:'} {sentence}")

    def _fact(self, **facts: Any) -> None:
        self._steps[-1].update(facts)

    def _kubectl(self, *words: str) -> None:
        _say(f"$ kubectl {' '.join(words).replace(str(EXAMPLES), 'examples')}")
        self._lab.kubectl(*words)

    def _run(self, *argv: str) -> None:
        _say(f"$ {' '.join(argv)}")
        self._lab.run(None, *argv)

    def _table(self, rows: Sequence[tuple[str, ...]]) -> None:
        keys = ("address", "desired", "observed", "mac", "machine")
        self._fact(addresses=[dict(zip(keys, row, strict=True)) for row in rows])
        widths = [max(len(row[column]) for row in (HEAD, *rows)) for column in range(len(HEAD))]
        for row in (HEAD, *rows):
            cells = zip(row, widths, strict=True)
            _say("  ".join(cell.ljust(width) for cell, width in cells).rstrip())


def _say(line: str, *, indent: str = "   ") -> None:
    print(f"{indent}{line}", flush=True)
