# SPDX-License-Identifier: MIT
import copy
import ipaddress
from collections.abc import Iterable
from typing import Any

import pytest

from app import annotations
from app.explain import reading
from cli import cluster, speakers
from cli.checks import daemons, finding, metacontroller, pools, release
from cli.checks.finding import Verdict
from tests.unit.cli.test_wire import believes, pod
from tests.unit.explain import scenes


def one(found: Iterable[finding.Finding], verdict: Verdict) -> finding.Finding:
    """Return the only finding with this verdict."""
    (only,) = [each for each in found if each.verdict is verdict]
    return only


def workload(*args: str, image: str = "ghcr.io/metacontroller/metacontroller:v4.17.2") -> Any:
    return {
        "kind": "Deployment",
        "metadata": {"namespace": "metacontroller", "name": "metacontroller"},
        "spec": {"template": {"spec": {"containers": [{"image": image, "args": list(args)}]}}},
        "status": {"readyReplicas": 1},
    }


FAST = ("--client-go-qps=150", "--client-go-burst=300")
COMPOSITES = [{"metadata": {"name": "l2lb-balancer"}}]
DECORATORS = [{"metadata": {"name": name}} for name in metacontroller.DECORATORS]


def test_a_metacontroller_with_the_right_arguments_passes():
    found = list(metacontroller.check([workload(*FAST)], COMPOSITES, DECORATORS))
    assert {each.verdict for each in found} == {Verdict.PASSED}


@pytest.mark.parametrize("image", ["metacontroller", "a:5000/b/metacontroller@sha256:00"])
def test_metacontroller_is_known_by_its_image(image):
    found = metacontroller.check([workload(*FAST, image=image)], COMPOSITES, DECORATORS)
    assert {each.verdict for each in found} == {Verdict.PASSED}


@pytest.mark.parametrize("args", [("-v=1",), ("--client-go-qps=5", "--client-go-burst=10")])
def test_a_slow_metacontroller_is_warned_of(args):
    found = one(metacontroller.check([workload(*args)], COMPOSITES, DECORATORS), Verdict.WARNING)
    assert "--client-go-qps=150 --client-go-burst=300" in found.sentence


def test_a_metacontroller_whose_arguments_are_not_seen_is_no_failure():
    found = one(metacontroller.check([workload()], COMPOSITES, DECORATORS), Verdict.UNKNOWN)
    assert "shows no arguments" in found.sentence


def test_two_metacontrollers_are_warned_of():
    found = metacontroller.check([workload(*FAST)] * 2, COMPOSITES, DECORATORS)
    assert "more than once" in one(found, Verdict.WARNING).sentence


def test_no_metacontroller_is_a_failure():
    other = workload(image="nginx")
    assert (
        "install Metacontroller"
        in one(metacontroller.check([other], COMPOSITES, DECORATORS), Verdict.FAILED).sentence
    )


def test_a_metacontroller_without_a_ready_pod_is_a_failure():
    down = {**workload(*FAST), "status": {}}
    found = metacontroller.check([down], COMPOSITES, DECORATORS)
    assert "no ready Pod" in one(found, Verdict.FAILED).sentence


def test_a_controller_that_is_missing_is_named():
    found = metacontroller.check([workload(*FAST)], COMPOSITES, DECORATORS[:1])
    assert "l2lb-service-cleanup" in one(found, Verdict.FAILED).sentence


def test_what_may_not_be_seen_of_metacontroller_is_unknown():
    found = metacontroller.check(None, None, None)
    assert {each.verdict for each in found} == {Verdict.UNKNOWN}


def pool_findings(*, spec: Any = None, others: Any = (), **more: Any) -> list[finding.Finding]:
    manifests = [scenes.balancer(**(spec or {})), *others]
    read = reading.read(reading.Objects(balancers=manifests), annotations.Keys())
    given = {
        "nodes": [],
        "services": [],
        "ranges": [],
        "subnets": [ipaddress.ip_network("192.0.2.0/24")],
        **more,
    }
    return list(pools.check(read.balancers, **given))


def test_a_pool_of_its_own_addresses_passes():
    (found,) = pool_findings()
    assert found.verdict is Verdict.PASSED


def node_of(**more: Any) -> Any:
    return {"metadata": {"name": "n1"}, **more}


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (
            {
                "nodes": [
                    node_of(status={"addresses": [{"type": "InternalIP", "address": "192.0.2.20"}]})
                ]
            },
            "192.0.2.20 is an address of node n1",
        ),
        (
            {"nodes": [node_of(spec={"podCIDRs": ["192.0.2.48/28"]})]},
            "192.0.2.48-192.0.2.50 lies in the Pod range 192.0.2.48/28 of node n1",
        ),
        (
            {"ranges": [{"spec": {"cidrs": ["192.0.0.0/16", "fd00::/108"]}}]},
            "192.0.2.10-192.0.2.50 lies in the Service range 192.0.0.0/16",
        ),
        (
            {
                "services": [
                    {
                        "metadata": {"namespace": "old", "name": "ingress"},
                        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.11"}]}},
                    }
                ]
            },
            "192.0.2.11 belongs to Service old/ingress",
        ),
        (
            {
                "services": [
                    {
                        "metadata": {"namespace": "old", "name": "ingress"},
                        "status": {
                            "loadBalancer": {"ingress": [{"ip": "192.0.2.11"}]},
                            "conditions": [{"type": "l2lb.io/Assigned", "status": "True"}],
                        },
                    }
                ]
            },
            "192.0.2.11 is still shown by Service old/ingress, whose annotation and label went",
        ),
        (
            {
                "services": [
                    {
                        "metadata": {"namespace": "old", "name": "ingress"},
                        "spec": {"externalIPs": ["192.0.2.12"]},
                    }
                ]
            },
            "192.0.2.12 belongs to Service old/ingress",
        ),
    ],
)
def test_a_pool_that_overlaps_with_others_fails(more, word):
    assert word in one(pool_findings(**more), Verdict.FAILED).sentence


def test_our_own_services_are_no_strangers():
    (found,) = pool_findings(services=scenes.served().services)
    assert found.verdict is Verdict.PASSED


def test_a_pool_outside_of_all_subnets_is_warned_of():
    found = pool_findings(subnets=[ipaddress.ip_network("192.0.2.0/27")])
    assert "192.0.2.32-192.0.2.50 is in no subnet" in one(found, Verdict.WARNING).sentence


def test_subnets_that_nobody_tells_of_are_unknown():
    assert "cannot be seen" in one(pool_findings(subnets=None), Verdict.UNKNOWN).sentence


def test_a_pool_that_means_nothing_fails_with_its_own_sentence():
    found = pool_findings(spec={"addressPool": ["192.0.2.50-192.0.2.10"]})
    assert "runs backwards" in one(found, Verdict.FAILED).sentence


def test_the_younger_of_two_balancers_fails():
    younger = scenes.balancer("back", addressPool=["192.0.2.50-192.0.2.60"])
    younger["metadata"]["creationTimestamp"] = "2026-02-01T12:00:00Z"
    found = one(pool_findings(others=[younger]), Verdict.FAILED)
    assert found.subject == "pool of back"
    assert "192.0.2.50 belongs to the older balancer front" in found.sentence


def belief(node: str, **more: Any) -> speakers.Belief:
    return speakers.Belief(speakers.Speaker(node, "l2lb", f"pod-{node}", ready=True), more)


READ = reading.read(
    reading.Objects(balancers=[scenes.balancer()], nodes=scenes.nodes(2)), annotations.Keys()
)


def judged(*beliefs: speakers.Belief) -> list[finding.Finding]:
    return list(daemons.check(READ, [each.speaker for each in beliefs], beliefs))


def test_speakers_with_the_same_keys_pass():
    found = judged(belief("n1", keyIds=["aa"]), belief("n2", keyIds=["aa"]))
    assert {each.verdict for each in found} == {Verdict.PASSED}


@pytest.mark.parametrize(
    ("keys", "verdict"), [(["bb"], Verdict.FAILED), (["bb", "aa"], Verdict.WARNING)]
)
def test_speakers_with_other_keys_are_named(keys, verdict):
    found = one(judged(belief("n1", keyIds=["aa"]), belief("n2", keyIds=keys)), verdict)
    assert "n1: aa" in found.sentence
    assert f"n2: {', '.join(keys)}" in found.sentence


def test_a_node_without_a_speaker_fails():
    assert "runs on n2" in one(judged(belief("n1", keyIds=["aa"])), Verdict.FAILED).sentence


def test_a_complaint_fails_once_with_all_its_nodes():
    both = [belief(name, keyIds=["aa"], complaints=["oh"]) for name in ("n1", "n2")]
    assert one(judged(*both), Verdict.FAILED).sentence == "n1, n2: oh"


def test_speakers_that_cannot_be_asked_leave_it_unknown():
    silent = speakers.Belief(speakers.Speaker("n1", "l2lb", "pod", ready=True), {}, "no way")
    found = daemons.check(READ, [], [silent])
    assert any(each.verdict is Verdict.UNKNOWN and "no way" in each.sentence for each in found)


@pytest.mark.parametrize(
    ("proxy", "complaints", "verdict"),
    [
        ({"mode": "ipvs", "ipvs": {"strictARP": True}}, [], Verdict.PASSED),
        ({"mode": "ipvs"}, [], Verdict.FAILED),
        ({"mode": ""}, [], Verdict.PASSED),
        (None, [], Verdict.PASSED),
        (None, ["set ipvs.strictARP to true"], Verdict.FAILED),
    ],
)
def test_strict_arp_is_judged_by_whoever_tells(proxy, complaints, verdict):
    found = daemons.strict_arp(proxy, [belief("n1", complaints=complaints)])
    assert found.verdict is verdict


def test_strict_arp_is_unknown_where_nobody_tells():
    assert daemons.strict_arp(None, []).verdict is Verdict.UNKNOWN


def test_subnets_come_from_the_speakers_links():
    told = belief("n1", links=[{"subnets": ["192.0.2.0/24", "new words"]}])
    assert daemons.subnets([told]) == [ipaddress.ip_network("192.0.2.0/24")]
    assert daemons.subnets([belief("n1", links=[{"name": "eth1"}])]) is None


CRD = {
    "metadata": {"labels": {"app.kubernetes.io/version": "0.1.0"}},
    "spec": {"versions": [{"name": "v1alpha1", "served": True}]},
}


def part(version: str = "0.1.0", **status: int) -> Any:
    return {
        "metadata": {
            "namespace": "l2lb",
            "name": "part",
            "labels": {"app.kubernetes.io/version": version},
        },
        "status": status,
    }


WEBHOOK = part(replicas=2, readyReplicas=2)
SPEAKER = part(desiredNumberScheduled=3, numberReady=3)


def released(**changed: Any) -> list[finding.Finding]:
    given = {"crd": CRD, "webhooks": [WEBHOOK], "daemons": [SPEAKER], "ours": "0.1.0"}
    return list(release.check(**(given | changed)))


def test_a_release_of_one_version_passes():
    assert {each.verdict for each in released()} == {Verdict.PASSED}
    assert {each.verdict for each in released(ours=None)} == {Verdict.PASSED}


def test_another_version_of_this_program_is_warned_of():
    assert "this program is 0.2.0" in one(released(ours="0.2.0"), Verdict.WARNING).sentence


def test_parts_of_different_versions_fail():
    mixed = part("0.2.0", desiredNumberScheduled=3, numberReady=3)
    found = one(released(daemons=[mixed]), Verdict.FAILED)
    assert "speaker 0.2.0, webhook 0.1.0" in found.sentence


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"crd": None}, "there is no CRD l2loadbalancers.l2lb.io"),
        ({"crd": {"spec": {"versions": [{"name": "v2", "served": True}]}}}, "does not serve"),
        ({"webhooks": []}, "there is no Deployment of the webhook"),
        ({"daemons": [part(desiredNumberScheduled=3, numberReady=2)]}, "2 of 3 Pods are ready"),
    ],
)
def test_what_is_missing_of_a_release_fails(changed, word):
    assert word in one(released(**changed), Verdict.FAILED).sentence


def test_workloads_that_may_not_be_seen_are_unknown():
    found = released(webhooks=None, daemons=None)
    assert [each.verdict for each in found].count(Verdict.UNKNOWN) == 2


def test_the_command_looks_at_all_of_it(run, server):
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    server.objects[f"{crds}/l2loadbalancers.l2lb.io"] = CRD
    ours = {"app.kubernetes.io/name": "l2-load-balancer"}
    webhook, speaker = copy.deepcopy(WEBHOOK), copy.deepcopy(SPEAKER)
    webhook["metadata"]["labels"] |= ours | {"app.kubernetes.io/component": "webhook"}
    speaker["metadata"]["labels"] |= ours | {"app.kubernetes.io/component": "speaker"}
    server.lists |= {
        cluster.DEPLOYMENTS: [webhook, workload(*FAST)],
        cluster.DAEMON_SETS: [speaker],
        "/apis/apps/v1/statefulsets": [],
        "/apis/metacontroller.k8s.io/v1alpha1/compositecontrollers": COMPOSITES,
        "/apis/metacontroller.k8s.io/v1alpha1/decoratorcontrollers": DECORATORS,
        "/apis/networking.k8s.io/v1/servicecidrs": [{"spec": {"cidrs": ["10.96.0.0/12"]}}],
        cluster.PODS: [pod(name) for name in ("n1", "n2", "n3")],
    }
    server.objects["/api/v1/namespaces/kube-system/configmaps/kube-proxy"] = {
        "data": {"config.conf": "mode: nftables\n"}
    }
    for name in ("n1", "n2", "n3"):
        link = {"name": "eth1", "subnets": ["192.0.2.0/24"]}
        path = f"/api/v1/namespaces/l2lb/pods/speaker-{name}:7472/proxy/status"
        server.objects[path] = believes(name, "n1", links=[link])
    ran = run("check -o json")
    wrong = [each for each in ran.json["findings"] if each["verdict"] != "passed"]
    assert wrong == []
    assert ran.code == 0
    assert "passed" in run("check").out
    server.lists[cluster.DAEMON_SETS] = []
    assert run("check").code == 1


def test_an_empty_cluster_is_told_what_to_install(run, server):
    del server.lists[cluster.BALANCERS]
    ran = run("check")
    assert ran.code == 1
    assert "there is no CRD" in ran.out
