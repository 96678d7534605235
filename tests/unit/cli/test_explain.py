# SPDX-License-Identifier: MIT
from cli import cluster
from tests.unit.explain import scenes


def test_a_service_that_is_well_is_explained_with_0(run):
    ran = run("explain service shop/web")
    assert ran.code == 0
    assert ran.out.startswith("shop/web: served\n")
    assert "has 3 of 3" in ran.out


def test_the_context_gives_the_namespace(run):
    assert run("explain svc web").out.startswith("shop/web: served")


def test_a_service_in_trouble_ends_with_1(run, server):
    server.lists[cluster.SERVICES] = [scenes.service("new", count="many")]
    ran = run("explain service new")
    assert ran.code == 1
    assert "What is missing (InvalidAnnotation): annotation l2lb.io/ip-count" in ran.out


def test_moves_are_told(run, server):
    server.lists[cluster.EVENTS] = [scenes.moved("192.0.2.10", "n2", "n1", scenes.SINCE)]
    assert "holder-died" in run("explain service web").out


def test_two_namespaces_contradict_each_other(run):
    ran = run("explain service shop/web -n other")
    assert ran.code == 2
    assert "keep one" in ran.err


def test_a_service_that_is_not_there_ends_with_3(run):
    assert run("explain service nope").code == 3


def test_a_service_without_the_annotation_is_told_to_have_one(run, server):
    plain = scenes.service("plain")
    plain["metadata"] |= {"annotations": {}, "labels": {}}
    server.lists[cluster.SERVICES].append(plain)
    server.objects["/api/v1/namespaces/shop/services/plain"] = plain
    ran = run("explain service plain")
    assert ran.code == 3
    assert "carries no annotation l2lb.io/load-balancer" in ran.err


def test_the_annotations_are_read_as_the_webhook_is_set_to(run, server):
    server.lists[cluster.DEPLOYMENTS] = [
        {
            "metadata": {
                "labels": {
                    "app.kubernetes.io/name": "l2-load-balancer",
                    "app.kubernetes.io/component": "webhook",
                }
            },
            "spec": {
                "template": {
                    "spec": {
                        "containers": [
                            {"env": [{"name": "L2LB_ANNOTATION_PREFIX", "value": "corp.example"}]}
                        ]
                    }
                }
            },
        }
    ]
    moved = scenes.service("new")
    moved["metadata"] |= {"annotations": {"corp.example/load-balancer": "gone"}}
    server.lists[cluster.SERVICES] = [moved]
    assert "there is no L2LoadBalancer gone" in run("explain service new").out
