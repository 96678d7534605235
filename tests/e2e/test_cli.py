# SPDX-License-Identifier: MIT
"""`kubectl l2lb` against the real API server, speakers and webhook."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract import names
from lab import client, inside
from tests.e2e import people

ROOT = Path(__file__).resolve().parents[2]
POOL = ["10.77.0.150-10.77.0.170", "fd77::150-fd77::170"]
MEMBERS = ("node-1", "node-2", "node-3", "node-4")
WITHIN_S = 90.0

# The lab's nodes let nobody execute a program in a container; this does what they would.
KUBECTL = """\
#!{python}
import os, sys
sys.path.insert(0, {root!r})
os.environ["PATH"] = os.environ["PATH"].partition(os.pathsep)[2]
from lab import inside
lab = inside.Lab()
words, program = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
assert words[0] == "exec", words
pod = lab.get("pod", words[words.index("-n") + 2], "-n", words[words.index("-n") + 1])
sys.stdout.write(lab.run(pod["spec"]["nodeName"], sys.executable, *program[1:]))
"""


class Cli:
    """The program as it is typed. `code` is the last exit code."""

    def __init__(self, folder: Path) -> None:
        shim = folder / "kubectl"
        shim.write_text(KUBECTL.format(python=sys.executable, root=str(ROOT)))
        shim.chmod(0o755)
        self._environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
        self.code = 0

    def __call__(self, *words: str) -> str:
        """Run it; return all that it says."""
        ran = subprocess.run(
            [sys.executable, "-m", "cli", *words],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=WITHIN_S,
        )
        self.code = ran.returncode
        return ran.stdout

    def json(self, *words: str) -> Any:
        text = self(*words, "-o", "json")
        try:
            return json.loads(text)
        except ValueError:
            raise AssertionError(f"exit code {self.code}: {text}") from None

    def holders(self, balancer: str) -> dict[str, str]:
        """Return the observed holders by address, as `status` shows them."""
        (found,) = self.json("status", balancer)["balancers"]
        return {one["address"]: one["holder"] for one in found["addresses"]}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def user(whole: inside.Lab, namespace: str) -> Iterator[people.User]:
    """A user whose balancer has four nodes, and a Pod on the fifth."""
    name = f"front-{uuid.uuid4().hex[:6]}"
    label = f"test/{name}"
    for node in MEMBERS:
        whole.kubectl("label", "--overwrite", "node", node, f"{label}=")
    balancer = people.Balancer(whole, POOL, name=name, selector={label: ""})
    whole.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "echo", "namespace": namespace, "labels": {"app": "echo"}},
            "spec": {
                "nodeName": "node-5",
                "containers": [client.ECHO],
            },
        }
    )
    yield people.User(whole, namespace, balancer.name)
    balancer.delete()
    whole.kubectl("label", "node", "--all", f"{label}-")


@pytest.fixture
def outside(lab: inside.Lab) -> client.Client:
    return client.Client(lab)


def settled(cli: Cli, balancer: str, count: int) -> dict[str, str]:
    """Wait until every address is announced; return the holders by address."""

    def announced() -> dict[str, str]:
        holders = cli.holders(balancer)
        return holders if len(holders) == count and all(holders.values()) else {}

    return inside.until(announced, f"all {count} addresses of {balancer} are announced")


def test_status_and_explain_show_what_the_cluster_has(cli: Cli, user: people.User) -> None:
    user.serve("web", count="3")
    user.addresses("web", 3)
    settled(cli, user.balancer, 3)
    (service,) = cli.json("status", "-n", user.namespace)["services"]
    assert service["state"] == "served"
    assert [one["address"] for one in service["addresses"]] == user.ingress("web")
    assert user.namespace in cli("status", "-o", "wide")
    told = cli("explain", "service", f"{user.namespace}/web")
    assert cli.code == 0
    assert "has 3 of 3" in told


def test_explain_says_what_a_pending_service_waits_for(cli: Cli, user: people.User) -> None:
    user.serve("web", count="1", annotations={names.SERVICE_ADDRESSES: "192.0.2.1"})
    user.condition("web", "AddressNotInPool")
    told = cli("explain", "service", "web", "-n", user.namespace)
    assert cli.code == 1
    assert "AddressNotInPool" in told
    assert "192.0.2.1 is not one of balancer" in told


def test_wire_shows_that_all_speakers_believe_the_same(cli: Cli, user: people.User) -> None:
    user.serve("web", count="1")
    ((address, holder),) = settled_holders(cli, user)
    until_nothing_is_left(cli, holder)
    status = cli.json("wire", holder)
    assert cli.code == 0
    assert address in [one["address"] for one in status["addresses"] if one["held_here"]]
    told = cli("wire", address)
    assert cli.code == 0, told
    assert f"{holder} holds {address}, and nobody contradicts." in told


def until_nothing_is_left(cli: Cli, node: str) -> None:
    """Wait until a speaker complains no more of children whose balancer a test took away."""

    def quiet() -> bool:
        cli("wire", node)
        return cli.code == 0

    inside.until(quiet, f"the speaker of {node} complains of nothing")


def settled_holders(cli: Cli, user: people.User) -> list[tuple[str, str]]:
    user.addresses("web", 1)
    return list(settled(cli, user.balancer, 1).items())


def test_check_finds_nothing_wrong_with_the_lab(cli: Cli, user: people.User) -> None:
    until_nothing_is_left(cli, "node-1")
    found = cli.json("check")["findings"]
    mine = [one for one in found if not one["subject"].startswith("pool of")]
    mine += [one for one in found if one["subject"] == f"pool of {user.balancer}"]
    assert [one for one in mine if one["verdict"] == "failed"] == []
    passed = [one["subject"] for one in mine if one["verdict"] == "passed"]
    assert {"release", "Metacontroller", "speakers", "heartbeat keys", "strictARP"} <= set(passed)


def test_check_finds_a_pool_that_holds_a_nodes_address(cli: Cli, user: people.User) -> None:
    node = user.lab.get("node", "node-1")
    address = node["status"]["addresses"][0]["address"]
    wrong = people.Balancer(user.lab, [address])
    try:
        found = cli.json("check")["findings"]
    finally:
        wrong.delete()
    assert cli.code == 1
    assert any(
        one["subject"] == f"pool of {wrong.name}"
        and f"{address} is an address of node node-1" in one["sentence"]
        for one in found
    )


def test_simulated_failures_equal_what_a_cut_then_does(
    cli: Cli, user: people.User, outside: client.Client
) -> None:
    user.serve("everywhere", count="auto")
    user.serve("three", count="3")
    user.serve("two", count="2")
    before = settled(cli, user.balancer, 9)
    forecast = cli.json("simulate", "--fail", "node-2", "--balancer", user.balancer)
    assert {one["address"]: one["before"] for one in forecast["outcomes"]} == before
    after = {one["address"]: one["after"] for one in forecast["outcomes"]}
    assert "node-2" in before.values()
    assert "node-2" not in after.values()
    user.lab.run(None, "ip", "link", "set", "port-node-2", "nomaster")
    for address, node in after.items():
        inside.until(answered_by(outside, address, node), f"{address} is answered by {node}")
    inside.until(
        lambda: cli.holders(user.balancer) == after,
        "status tells of the same holders",
        within_s=WITHIN_S,
    )


def answered_by(outside: client.Client, address: str, node: str) -> Callable[[], bool]:
    return lambda: outside.machine_of(address) == node


def test_drain_takes_all_addresses_off_a_node_without_a_failed_connection(
    cli: Cli, user: people.User, outside: client.Client
) -> None:
    user.serve("web", count="4")
    settled(cli, user.balancer, 4)

    def on_the_wire() -> dict[str, str]:
        # A node that was just cut off hears late of new addresses: others have them until then.
        holders = cli.holders(user.balancer)
        return holders if all(outside.machine_of(a) == n for a, n in holders.items()) else {}

    holders = inside.until(
        on_the_wire, "each address is answered by the node that is said to", within_s=WITHIN_S
    )
    outside.until_served(f"{user.namespace}/web", holders)
    with outside.watch(list(holders)) as results:
        told = cli("drain", "node-3")
    assert cli.code == 0, told
    assert "node-3 announces nothing" in told
    assert [one["failures"] for one in results] == [[]] * 4
    assert "node-3" not in cli.holders(user.balancer).values()
    told = cli("drain", "--undo", "node-3")
    assert "no longer drained" in told
    inside.until(
        lambda: cli.holders(user.balancer) == holders,
        "node-3 has its addresses again",
        within_s=WITHIN_S,
    )


def test_top_shows_one_look(cli: Cli, user: people.User) -> None:
    user.serve("web", count="1")
    settled(cli, user.balancer, 1)
    assert "addresses announced" in cli("top", "--looks", "1")
    assert cli.code == 0


def test_kubectl_completes_with_the_names_of_the_cluster(cli: Cli, user: people.User) -> None:
    argv = [sys.executable, "-m", "cli.completion", "drain", "node-"]
    told = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == [*user.lab.nodes(), ":4"]
