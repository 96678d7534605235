# SPDX-License-Identifier: MIT
import pytest

from cli import cluster
from tests.unit.explain import scenes


def after(ran) -> dict[str, str | None]:
    return {one["address"]: one["after"] for one in ran.json["outcomes"]}


def test_a_failed_node_gives_its_addresses_to_their_first_stand_ins(run):
    ran = run("simulate --fail n1 -o json")
    assert after(ran) == {"192.0.2.10": "n2", "192.0.2.11": "n2", "192.0.2.12": "n3"}
    assert (ran.json["moved"], ran.json["unheld"]) == (1, 0)
    assert {load["node"]: (load["before"], load["after"]) for load in ran.json["loads"]} == {
        "n1": (1, None),
        "n2": (1, 2),
        "n3": (1, 1),
    }


def test_a_cordoned_node_holds_what_nobody_else_can(run, server):
    server.lists[cluster.SERVICES] = [
        scenes.service(verdict=scenes.ASSIGNED),
        scenes.child_of(listed=("n1",)),
    ]
    assert after(run("simulate --drain n1 -o json")) == {"192.0.2.10": "n1"}
    assert run("simulate --fail n1 -o json").json["unheld"] == 1


def test_the_table_shows_what_moves_and_wide_shows_all(run):
    ran = run("simulate --fail n1")
    assert ran.code == 0
    assert "192.0.2.10" in ran.out
    assert "192.0.2.11" not in ran.out
    assert "Addresses: 1 moved, 0 added" in ran.out
    assert "192.0.2.11" in run("simulate --fail n1 -o wide").out


def test_new_nodes_take_their_share_by_the_webhooks_own_answer(run, server):
    server.lists[cluster.SERVICES][0] = scenes.service(
        count="auto", listed=["192.0.2.10", "192.0.2.11", "192.0.2.12"], verdict=scenes.ASSIGNED
    )
    ran = run("simulate --add 2 -o json")
    assert ran.json["added"] == 2
    holders = set(after(ran).values())
    assert holders == {"n1", "n2", "n3", "new-1", "new-2"}
    assert ran.json["gapAfter"] == 0


def test_what_would_be_lacking_is_told(run, server):
    server.lists[cluster.BALANCERS] = [scenes.balancer(addressPool=["192.0.2.10-192.0.2.12"])]
    server.lists[cluster.SERVICES][0] = scenes.service(
        count="auto", listed=["192.0.2.10", "192.0.2.11", "192.0.2.12"], verdict=scenes.ASSIGNED
    )
    assert "shop/web: 1 IPv4 address missing" in run("simulate --add 1").out


def test_with_policy_local_only_nodes_with_an_endpoint_hold(run, server):
    server.lists[cluster.SERVICES] = [
        scenes.service(verdict=scenes.ASSIGNED),
        scenes.child_of(health_check_port=31000),
    ]
    server.lists["/apis/discovery.k8s.io/v1/endpointslices"] = [
        {
            "metadata": {
                "namespace": "shop",
                "name": "web-1",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "endpoints": [
                {"nodeName": "n3"},
                {"nodeName": "n1", "conditions": {"ready": True}},
                {"nodeName": "n2", "conditions": {"ready": False}},
            ],
        }
    ]
    assert after(run("simulate --fail n1 -o json")) == {"192.0.2.10": "n3"}


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        ("simulate", 2, "--fail, --drain or --add"),
        ("simulate --fail n9", 3, "there is no node n9; there are: n1, n2, n3"),
        ("simulate --fail n1 --balancer frnot", 3, "there is no balancer frnot"),
    ],
)
def test_what_cannot_be_tried_out_is_told(run, line, code, word):
    ran = run(line)
    assert ran.code == code
    assert word in ran.err


def test_the_cluster_stays_as_it_is(run, server):
    run("simulate --fail n1 --drain n2 --add 2")
    assert server.patched == []


def test_simulating_needs_to_see_nodes(run, server):
    server.refused[cluster.NODES] = 403
    assert run("simulate --add 1").code == 4
