# SPDX-License-Identifier: MIT
import json
import subprocess

import pytest

from cli import cluster
from tests.unit.explain import scenes

SPEAKER = {
    "app.kubernetes.io/name": "l2-load-balancer",
    "app.kubernetes.io/component": "speaker",
}


def pod(node: str, listen: str = "10.0.0.1:7472") -> scenes.Json:
    return {
        "metadata": {"name": f"speaker-{node}", "namespace": "l2lb", "labels": SPEAKER},
        "spec": {
            "nodeName": node,
            "containers": [{"env": [{"name": "L2LB_LISTEN", "value": listen}]}],
        },
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


def believes(node: str, holder: str | None, **more) -> scenes.Json:
    address = {
        "interface": "eth1",
        "address": "192.0.2.10",
        "nodes": ["n1", "n2"],
        "list_version": 1,
        "candidates": ["n1", "n2"],
        "holder": holder,
        "held_here": holder == node,
        "why": f"{holder} holds it",
    }
    return {
        "node": node,
        "fitness": {"rank": "well", "why": "well"},
        "listsComplete": True,
        "keyIds": ["aa"],
        "links": [{"name": "eth1", "mac": scenes.MAC, "carrier": True, "ethernet": True}],
        "peers": [{"interface": "eth1", "node": "n2", "alive": True, "age_s": 0.03}],
        "addresses": [address],
        "complaints": [],
        **more,
    }


def say(server, node: str, status: scenes.Json) -> None:
    path = f"/api/v1/namespaces/l2lb/pods/speaker-{node}:7472/proxy/status"
    server.texts[path] = json.dumps(status)


@pytest.fixture(autouse=True)
def two(server):
    server.lists[cluster.PODS] = [pod("n1"), pod("n2")]
    say(server, "n1", believes("n1", "n1"))
    say(server, "n2", believes("n2", "n1"))


def test_a_nodes_speaker_tells_its_peers_and_addresses(run):
    ran = run("wire n1")
    assert ran.code == 0
    assert ran.out.startswith("n1: well (well); keys aa\n")
    assert ["n2", "eth1", "yes"] in [line.split()[:3] for line in ran.out.splitlines()]
    assert "0.03 s ago" in ran.out
    assert "192.0.2.10" in ran.out


def test_programs_get_the_page_as_it_is(run):
    assert run("wire n1 -o json").json == believes("n1", "n1")


def test_a_complaint_ends_with_1(run, server):
    say(server, "n1", believes("n1", "n1", complaints=["the sky falls"]))
    ran = run("wire n1")
    assert ran.code == 1
    assert "the sky falls" in ran.out


def test_speakers_that_agree_on_an_address_end_with_0(run):
    ran = run("wire 192.0.2.10")
    assert ran.code == 0
    assert "n1 holds 192.0.2.10, and nobody contradicts." in ran.out


@pytest.mark.parametrize(
    ("first", "second", "word"),
    [
        ("n1", "n2", "n1 and n2 hold 192.0.2.10 at once"),
        ("n1", "n3", "believe different holders of 192.0.2.10: n1, n3"),
        (None, None, "Nobody who could be asked holds 192.0.2.10"),
    ],
)
def test_speakers_that_contradict_each_other_end_with_1(run, server, first, second, word):
    say(server, "n1", believes("n1", first))
    say(server, "n2", believes("n2", second))
    ran = run("wire 192.0.2.10")
    assert ran.code == 1
    assert word in ran.out


def test_one_that_cannot_be_asked_is_told_beside_the_others(run, server):
    server.texts.clear()
    say(server, "n1", believes("n1", "n1"))
    ran = run("wire 192.0.2.10")
    assert ran.code == 1
    assert "n2: /api/v1/namespaces/l2lb/pods/speaker-n2:7472/proxy/status not found" in ran.out


@pytest.mark.parametrize(
    ("target", "word"),
    [("n9", "they run on: n1, n2"), ("192.0.2.99", "no speaker knows 192.0.2.99")],
)
def test_what_nobody_knows_ends_with_3(run, target, word):
    ran = run(f"wire {target}")
    assert ran.code == 3
    assert word in ran.err


def test_without_speakers_the_remedy_is_the_chart(run, server):
    server.lists[cluster.PODS] = []
    assert "install the chart" in run("wire n1").err


def test_a_page_on_localhost_is_fetched_from_within_the_pod(run, server, monkeypatch):
    server.lists[cluster.PODS] = [pod("n1", listen="127.0.0.1:7480")]
    asked: list[list[str]] = []

    def execute(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(argv)
        return subprocess.CompletedProcess(argv, 0, json.dumps(believes("n1", "n1")), "")

    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/kubectl")
    monkeypatch.setattr("subprocess.run", execute)
    assert run("wire n1 --context lab").code == 0
    ((*begin, url),) = asked
    assert begin[:7] == ["/usr/bin/kubectl", "--context", "lab", "exec", "-n", "l2lb", "speaker-n1"]
    assert url == "http://127.0.0.1:7480/status"


@pytest.mark.parametrize("kubectl", [None, "/usr/bin/kubectl"])
def test_where_that_fails_the_remedy_is_the_charts_setting(run, server, monkeypatch, kubectl):
    server.lists[cluster.PODS] = [pod("n1", listen="127.0.0.1:7472")]
    failed = subprocess.CompletedProcess([], 1, "", "error: forbidden")
    monkeypatch.setattr("shutil.which", lambda _: kubectl)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: failed)
    ran = run("wire n1")
    assert ran.code == 4
    assert "speaker.listen=node" in ran.err


def test_a_page_that_is_no_json_is_an_error(run, server):
    server.texts["/api/v1/namespaces/l2lb/pods/speaker-n1:7472/proxy/status"] = "<html>"
    assert run("wire n1").code == 4
