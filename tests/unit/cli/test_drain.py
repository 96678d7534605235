# SPDX-License-Identifier: MIT
import pytest

from cli import cluster
from cli.commands import drain
from contract.names import EXCLUDE_LABEL
from tests.unit.explain import scenes

PATH = f"{cluster.NODES}/n1"


@pytest.fixture
def node(server) -> scenes.Json:
    """Node n1, which announces nothing any more."""
    server.lists[cluster.SERVICES][1] = scenes.child_of(by="n2")
    manifest: scenes.Json = server.lists[cluster.NODES][0]
    server.objects[PATH] = manifest
    return manifest


def test_a_drained_node_is_cordoned_and_marked(run, server, node):
    ran = run("drain n1")
    assert ran.code == 0
    assert server.patched == [
        (
            PATH,
            {"spec": {"unschedulable": True}, "metadata": {"annotations": {drain.MARK: "cordon"}}},
        )
    ]
    assert "n1 announces nothing" in ran.out


def test_a_node_can_be_drained_by_the_label(run, server, node):
    assert run("drain n1 --by label").code == 0
    ((_, change),) = server.patched
    assert change == {
        "metadata": {"annotations": {drain.MARK: "label"}, "labels": {EXCLUDE_LABEL: ""}}
    }


def test_a_node_that_somebody_else_cordoned_is_not_marked(run, server, node):
    node["spec"]["unschedulable"] = True
    assert run("drain n1").code == 0
    assert server.patched == []


def test_addresses_that_stay_are_named(run, server, node, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    moments = iter(range(1000))
    monkeypatch.setattr("time.monotonic", lambda: next(moments))
    server.lists[cluster.SERVICES][1] = scenes.child_of(by="n1", listed=("n1",))
    ran = run("drain n1 --timeout 3")
    assert ran.code == 1
    assert "after 3 s n1 still announces 192.0.2.10" in ran.out
    assert "kubectl l2lb wire 192.0.2.10" in ran.out


def test_waiting_ends_with_the_last_address():
    looks = iter([["a", "b"], ["a", "b"], ["a"], []])
    told: list[list[str]] = []
    slept: list[float] = []
    left = drain.wait(
        lambda: next(looks),
        timeout_s=60,
        clock=lambda: float(len(slept)),
        sleep=slept.append,
        told=lambda addresses: told.append(list(addresses)),
    )
    assert left == []
    assert told == [["a", "b"], ["a"], []]
    assert slept == [drain.POLL_S] * 3


@pytest.mark.parametrize(
    ("mark", "change"),
    [
        ("cordon", {"spec": {"unschedulable": None}}),
        ("label", {}),
        ("cordon,label", {"spec": {"unschedulable": None}}),
    ],
)
def test_undo_takes_back_what_was_done_and_no_more(run, server, node, mark, change):
    node["metadata"]["annotations"] = {drain.MARK: mark}
    assert run("drain --undo n1").code == 0
    ((_, sent),) = server.patched
    labels = {"labels": {EXCLUDE_LABEL: None}} if "label" in mark else {}
    assert sent == change | {"metadata": {"annotations": {drain.MARK: None}, **labels}}


def test_undo_leaves_what_others_did(run, server, node):
    node["spec"]["unschedulable"] = True
    ran = run("drain --undo n1")
    assert ran.code == 0
    assert server.patched == []
    assert "not drained by this program" in ran.out


def test_a_node_that_is_not_there_ends_with_3(run):
    assert run("drain n9").code == 3


def test_programs_get_what_is_left(run, node):
    assert run("drain n1 -o json").json == {"node": "n1", "left": []}
