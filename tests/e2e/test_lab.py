# SPDX-License-Identifier: MIT
import json
from collections.abc import Callable

import pytest

from lab import inside

PROXY_HEALTH = "http://{}:10256/healthz"  # kube-proxy's, which every node has


@pytest.fixture
def web(lab: inside.Lab, namespace: str) -> str:
    """A dual-stack Service ``web`` with a Pod on each of several nodes; the namespace."""
    name = {"name": "web", "namespace": namespace}
    selector = {"app": "web"}
    lab.apply(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": name,
            "spec": {
                "replicas": 3,
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {"labels": selector},
                    "spec": {
                        "containers": [
                            {
                                "name": "web",
                                "image": "example.test/web:1",
                                "ports": [{"containerPort": 80}],
                            }
                        ]
                    },
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": name,
            "spec": {
                "selector": selector,
                "ports": [{"port": 80}],
                "ipFamilyPolicy": "RequireDualStack",
            },
        },
    )
    lab.kubectl("wait", "-n", namespace, "--for=condition=Available", "deployment/web")
    return namespace


def asks(lab: inside.Lab, machine: str, address: str) -> Callable[[], str]:
    """How a machine gets an answer of a Pod from an address: the Pod's node."""
    host = f"[{address}]" if ":" in address else address

    def ask() -> str:
        return str(json.loads(lab.fetch(machine, f"http://{host}/"))["node"])

    return ask


def test_every_node_is_ready_and_has_its_two_addresses(lab: inside.Lab) -> None:
    for node in lab.items("nodes"):
        number = 10 + int(node["metadata"]["name"].removeprefix("node-"))
        ready = {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"]
        internal = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
        assert ready == "True"
        assert internal == [f"10.77.0.{number}", f"fd77::{number}"]


def test_pods_answer_from_every_node_through_their_cluster_ips(lab: inside.Lab, web: str) -> None:
    service = lab.get("service", "web", "-n", web)
    addresses = service["spec"]["clusterIPs"]
    assert len(addresses) == 2
    for node in lab.nodes():
        for address in addresses:
            inside.until(asks(lab, node, address), f"{address} answers {node}")


def test_the_client_reaches_every_node_and_no_pod(lab: inside.Lab, web: str) -> None:
    for node in lab.items("nodes"):
        for address in node["status"]["addresses"]:
            if address["type"] == "InternalIP":
                host = address["address"]
                lab.fetch("client", PROXY_HEALTH.format(f"[{host}]" if ":" in host else host))
    pods = lab.items("pods", "-n", web)
    with pytest.raises(inside.CommandError):
        lab.fetch("client", f"http://{pods[0]['status']['podIP']}/", within_s=1)


def test_a_pulled_cable_cuts_a_node_off_until_it_is_put_back(whole: inside.Lab) -> None:
    health = ("client", PROXY_HEALTH.format("10.77.0.12"))
    whole.fetch(*health)
    whole.run(None, "ip", "link", "set", "port-node-2", "nomaster")
    with pytest.raises(inside.CommandError):
        whole.fetch(*health, within_s=1)
    whole.run(None, "ip", "link", "set", "port-node-2", "master", "switch")
    inside.until(lambda: whole.fetch(*health), "node-2 answers again")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_node_that_went_away_is_not_ready_and_comes_back(
    whole: inside.Lab, web: str, end: str
) -> None:
    def ready() -> str:
        conditions = whole.get("node", "node-2")["status"]["conditions"]
        return str({c["type"]: c["status"] for c in conditions}["Ready"])

    whole.change("node", end, "node-2")
    with pytest.raises(inside.CommandError):
        whole.run("node-2", "true")
    inside.until(lambda: ready() != "True", "node-2 is not Ready any more")
    whole.change("node", "start", "node-2")
    inside.until(lambda: ready() == "True", "node-2 is Ready again")
    address = whole.get("service", "web", "-n", web)["spec"]["clusterIP"]
    inside.until(asks(whole, "node-2", address), "the proxy of node-2 works again")


def test_services_work_on_while_the_api_server_is_away(whole: inside.Lab, web: str) -> None:
    ask = asks(whole, "node-1", whole.get("service", "web", "-n", web)["spec"]["clusterIP"])
    inside.until(ask, "the Service answers")
    whole.change("apiserver", "stop")
    with pytest.raises(inside.CommandError):
        whole.kubectl("get", "nodes")
    assert ask()
    whole.change("apiserver", "start")
    assert whole.nodes()
