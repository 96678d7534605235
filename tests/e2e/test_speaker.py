# SPDX-License-Identifier: MIT
"""What a speaker does when its node, its neighbours or the API server are not well."""

import json
import sys
from collections.abc import Iterator

import pytest

from contract import announcement, names
from lab import inside
from tests.e2e import front as balanced
from tests.e2e import people

# Asks three times over by frames with VLAN 5, with VLAN 0, which is priority alone (IEEE 802.1Q),
# and with none at last; prints for whom of them answers came.
TAGGED = """
import socket, sys
ETH_P_ARP, target = 0x0806, socket.inet_aton(sys.argv[1])
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
wire.bind(("eth0", ETH_P_ARP))
wire.settimeout(5)
mac = wire.getsockname()[4]
head = bytes.fromhex("08060001080006040001") + mac + bytes([10, 77, 0])
askers = {"VLAN 5": ("81000005", 97), "VLAN 0": ("8100e000", 98), "none": ("", 99)}
answered = set()
for _ in range(3):
    for tag, last in askers.values():
        question = head + bytes([last]) + bytes(6) + target
        wire.send(b"\\xff" * 6 + mac + bytes.fromhex(tag) + question)
    while True:
        frame = wire.recv(64)
        if frame[20:22] == b"\\x00\\x02" and frame[28:32] == target:
            answered.add(frame[41])
            if frame[41] == 99:
                break
print(*sorted(name for name, (_, last) in askers.items() if last in answered), sep=", ")
"""


@pytest.fixture
def front(whole: inside.Lab, namespace: str) -> Iterator[balanced.Front]:
    made = balanced.Front(whole, namespace)
    made.install()
    yield made
    made.remove()


def test_a_speaker_that_stood_still_answers_nothing_from_the_past(front: balanced.Front) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    stale = front.mac_of(node)
    front.lab.change("process", "pause", f"speaker-{node}")
    taker = front.until_on(address, *balanced.others(node))
    front.claimants(address, 1.0)  # questions that wait in the queue of the one that stands still
    front.lab.change("process", "continue", f"speaker-{node}")
    # Shorter than the fail-back delay: until then the address stays where it went.
    assert front.claimants(address, 1.0) == {front.mac_of(taker)}
    front.until_on(address, node)
    assert front.claimants(address, 0.5) == {stale}


def test_a_cordoned_node_gives_its_addresses_away_without_a_failed_connection(
    front: balanced.Front,
) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    front.outside.until_served(f"{front.namespace}/web", [address])
    with front.outside.watch([address]) as results:
        front.lab.kubectl("cordon", node)
        front.until_on(address, *balanced.others(node))
        front.lab.kubectl("uncordon", node)
        front.until_on(address, *front.preferred(address))
    assert results[0]["failures"] == []


def test_a_node_whose_network_is_unavailable_gives_its_addresses_away(
    front: balanced.Front,
) -> None:
    def say(status: str) -> None:
        condition = {"type": "NetworkUnavailable", "status": status, "reason": "Test"}
        patch = json.dumps({"status": {"conditions": [condition]}})
        front.lab.kubectl("patch", "node", node, "--subresource=status", "-p", patch)

    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    say("True")
    front.until_on(address, *balanced.others(node))
    say("False")
    front.until_on(address, node)


def test_a_node_whose_service_proxy_is_dead_gives_its_addresses_away(front: balanced.Front) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    inside.until(lambda: front.status_of(node)["proxyWell"], "the proxy is known to be well")
    front.lab.change("process", "kill", f"kube-proxy-{node}")
    front.until_on(address, *balanced.others(node))
    front.lab.change("process", "start", f"kube-proxy-{node}")
    front.until_on(address, node)


def test_with_policy_local_only_a_node_with_an_endpoint_announces(front: balanced.Front) -> None:
    front.serve(2, externalTrafficPolicy="Local")
    inside.until(
        lambda: (
            len(front.said()) == 2
            and all(front.outside.machine_of(address) == "node-3" for address in front.said())
        ),
        "node-3, where the Pod is, answers for both addresses",
    )
    for address in front.said():
        assert front.outside.ask(address) == "node-3/echo"


def test_with_policy_local_an_address_follows_an_endpoint_that_goes_away_and_comes_back(
    front: balanced.Front,
) -> None:
    pods = {"node-1": "echo-1", "node-2": "echo-2", "node-3": "echo"}
    for node in ("node-1", "node-2"):
        front.run_echo(pods[node], node)
    front.serve(1, externalTrafficPolicy="Local")
    front.holders(1)
    ((address, (preferred,)),) = ((one, front.preferred(one)) for one in front.addresses)
    front.until_on(address, preferred)
    front.lab.kubectl("-n", front.namespace, "delete", "pod", pods[preferred], "--now")
    front.until_on(address, *balanced.others(preferred))
    front.run_echo(pods[preferred], preferred)
    front.until_on(address, preferred)
    assert front.outside.ask(address) == f"{preferred}/{pods[preferred]}"


@pytest.fixture
def ipvs_node(front: balanced.Front) -> Iterator[str]:
    """A node beside the holder, with all addresses on an interface as kube-proxy's IPVS mode."""
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    other, _ = balanced.others(node)
    front.lab.run(other, "ip", "link", "add", "kube-ipvs0", "type", "bridge")
    front.lab.run(other, "ip", "address", "add", f"{address}/32", "dev", "kube-ipvs0")
    yield other
    front.lab.run(other, "ip", "link", "delete", "kube-ipvs0")
    front.lab.run(other, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0")


def test_a_kernel_that_answers_for_every_address_is_complained_of(
    front: balanced.Front, ipvs_node: str
) -> None:
    def complained(node: str) -> bool:
        complaints: list[str] = front.status_of(node)["complaints"]
        return any("set ipvs.strictARP to true" in complaint for complaint in complaints)

    ((address, node),) = front.holders(1).items()
    assert front.claimants(address, 1.0) == {front.mac_of(node), front.mac_of(ipvs_node)}
    assert complained(ipvs_node)
    assert not complained(node)
    front.lab.run(ipvs_node, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
    assert front.claimants(address, 1.0) == {front.mac_of(node)}
    assert not complained(ipvs_node)


def test_what_is_asked_in_another_vlan_is_not_answered(front: balanced.Front) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    answered = front.lab.run("client", sys.executable, "-I", "-c", TAGGED, address)
    assert answered.strip() == "VLAN 0, none"


def test_a_stranger_that_has_the_address_keeps_it_and_is_named(front: balanced.Front) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.lab.change("machine", "add", "intruder")
    front.lab.run("intruder", "ip", "addr", "add", f"{address}/24", "dev", "eth0")
    people.speak(front.lab, "intruder", address)

    def conflict() -> announcement.Announcement | None:
        said = front.said()[address]
        return said if said and said.reason is names.AnnouncedReason.ADDRESS_CONFLICT else None

    said = inside.until(conflict, "the conflict is in the child's status")
    assert said is not None
    assert said.node == node
    assert front.mac_of("intruder") in said.message
    front.lab.run("intruder", "ip", "addr", "del", f"{address}/24", "dev", "eth0")
    front.until_on(address, node)

    free = "10.77.0.249"
    front.lab.run("intruder", "ip", "addr", "add", f"{free}/24", "dev", "eth0")
    front.lab.kubectl(
        "-n", front.namespace, "annotate", "service", "web", f"{names.SERVICE_ADDRESSES}={free}"
    )
    macs = front.claimants(free, 3.0)
    assert macs == {front.mac_of("intruder")}
    front.lab.run("intruder", "ip", "addr", "del", f"{free}/24", "dev", "eth0")


def until_cached(front: balanced.Front, node: str, address: str) -> None:
    """Wait until the speaker of a node could start, and know of the address, with no API server."""
    folder = f"/run/lab/nodes/{node}"
    inside.until(
        lambda: front.lab.run(node, "grep", "-rlF", "--include=speaker.json", address, folder),
        f"{address} is in the cache",
    )


def test_without_api_server_addresses_fail_over_and_a_restarted_speaker_goes_on(
    front: balanced.Front,
) -> None:
    front.serve(1)
    ((address, node),) = front.holders(1).items()
    front.until_on(address, node)
    until_cached(front, node, address)
    nodes = front.lab.nodes()
    assert node in nodes
    with people.without_api_server(front.lab):
        front.lab.change("process", "kill", f"speaker-{node}")
        front.claimants(address, 1.0)
        (taken_by,) = front.claimants(address, 1.0)
        assert taken_by in {front.mac_of(other) for other in balanced.others(node)}
        front.lab.change("process", "start", f"speaker-{node}")
        inside.until(
            lambda: front.claimants(address, 0.5) == {front.mac_of(node)},
            f"{address} is back on {node}, whose speaker started from its cache",
        )
    inside.until(lambda: front.holders(1) == {address: node}, "the status is right again")


def test_without_api_server_a_speaker_hands_over_and_on_its_return_nothing_moves(
    front: balanced.Front,
) -> None:
    front.serve(2)
    address, node = min(front.holders(2).items())
    front.outside.until_served(f"{front.namespace}/web", front.addresses)
    until_cached(front, node, address)
    with people.without_api_server(front.lab):
        with front.outside.watch(front.addresses) as results:
            front.lab.change("process", "stop", f"speaker-{node}")
            (taker,) = front.claimants(address, 1.0)
            assert taker in {front.mac_of(other) for other in balanced.others(node)}
            front.lab.change("process", "start", f"speaker-{node}")
            inside.until(
                lambda: front.claimants(address, 0.5) == {front.mac_of(node)},
                f"{address} is back on {node}",
            )
        assert [result["failures"] for result in results] == [[], []]
        held = {each: front.claimants(each, 0.5) for each in front.addresses}
    assert {each: front.claimants(each, 2.0) for each in front.addresses} == held
