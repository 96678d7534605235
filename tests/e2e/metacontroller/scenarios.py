# SPDX-License-Identifier: MIT
"""What is played: each scenario makes Metacontroller do one thing that our hooks rely on."""

from collections.abc import Awaitable, Callable

from tests.e2e.metacontroller import play
from tests.e2e.metacontroller.play import FRONT, LABEL, WEB, WEB_CHILD
from tests.e2e.metacontroller.recorder import Reply
from tests.e2e.metacontroller.stage import Stage

Scenario = Callable[[Stage], Awaitable[None]]

SCENARIOS: dict[str, Scenario] = {}


def scenario(played: Scenario) -> Scenario:
    """Register a scenario under its own name."""
    SCENARIOS[played.__name__] = played
    return played


@scenario
async def a_service_gets_its_child_and_its_status(stage: Stage) -> None:
    play.simple_hooks(stage)
    await stage.create(play.node("n1"))
    await stage.create(play.balancer())
    await stage.settled("a node and a balancer were created")
    await stage.create(play.service())
    await stage.settled("a Service with the annotation was created")


@scenario
async def a_deleted_child_is_created_again(stage: Stage) -> None:
    await play.set_up(stage)
    await stage.delete(WEB_CHILD)
    await stage.settled("the child was deleted by somebody")


@scenario
async def a_child_is_updated_in_place_and_keeps_what_others_wrote(stage: Stage) -> None:
    await play.set_up(stage)
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.10", "ipMode": "Proxy"}]}}
    await stage.patch(WEB_CHILD, {"status": status}, "status")
    await stage.patch(WEB_CHILD, {"metadata": {"labels": {"team": "blue"}}})
    await stage.settled("a speaker wrote the child's status and somebody a label")
    stage.hooks["balancer/sync"] = play.balancer_sync(
        annotations={"l2lb.io/nodes": "n1,n2"}, without=("l2lb.io/address",)
    )
    await stage.patch(FRONT, {"spec": {"ipCount": 2}})
    await stage.settled("the hook wants one annotation more and one less")


@scenario
async def a_child_that_the_hook_leaves_out_is_deleted(stage: Stage) -> None:
    await play.set_up(stage)
    stage.hooks["balancer/sync"] = lambda _: Reply({"children": []})
    await stage.patch(FRONT, {"spec": {"ipCount": 2}})
    await stage.settled("the hook left the child out")


@scenario
async def a_name_that_is_taken_is_passed_over_in_silence(stage: Stage) -> None:
    play.simple_hooks(stage)
    await stage.create(play.service(name="web-l2-1", annotations={}))
    await stage.create(play.balancer())
    await stage.create(play.service())
    await stage.settled("somebody has a Service of the child's name")


@scenario
async def a_failing_hook_is_asked_again_with_back_off(stage: Stage) -> None:
    play.simple_hooks(stage)
    wanted = stage.hooks["balancer/sync"]
    stage.hooks["balancer/sync"] = play.first(
        [Reply(b"out of order", status=500)] * 3 + [Reply({}, status=503)], then=wanted
    )
    await stage.create(play.balancer())
    await stage.until(lambda: stage.calls("balancer/sync") == 5)
    await stage.settled("the hook failed four times")


@scenario
async def status_201_is_a_failure_too(stage: Stage) -> None:
    play.simple_hooks(stage)
    wanted = stage.hooks["balancer/sync"]
    stage.hooks["balancer/sync"] = play.first([Reply({"children": []}, status=201)], then=wanted)
    await stage.create(play.balancer())
    await stage.until(lambda: stage.calls("balancer/sync") == 2)
    await stage.settled("the hook answered 201, and 200 when asked again")


@scenario
async def too_many_requests_waits_as_long_as_it_says(stage: Stage) -> None:
    play.simple_hooks(stage)
    wanted = stage.hooks["balancer/sync"]
    busy = Reply({}, status=429, headers={"Retry-After": "2"})
    stage.hooks["balancer/sync"] = play.first([busy], then=wanted)
    await stage.create(play.balancer())
    await stage.settled("the hook answered 429")
    await stage.until(lambda: stage.calls("balancer/sync") == 1)
    await stage.settled("2 seconds have passed")


@scenario
async def an_unknown_field_fails_the_whole_answer(stage: Stage) -> None:
    play.simple_hooks(stage)
    wanted = stage.hooks["balancer/sync"]
    stage.hooks["balancer/sync"] = play.first(
        [
            Reply({"children": [play.child_of(play.service())], "childs": []}),
            Reply(b'{"status": {}, "status": {}}'),
            Reply({"children": {}}),
            Reply(b"{"),
        ],
        then=wanted,
    )
    await stage.create(play.balancer())
    await stage.until(lambda: stage.calls("balancer/sync") == 5)
    await stage.settled("the hook gave four answers that cannot be decoded")


@scenario
async def a_related_object_that_changes_wakes_the_parent(stage: Stage) -> None:
    await play.set_up(stage)
    await stage.patch(play.node("n1"), {"metadata": {"labels": {"zone": "a"}}})
    await stage.settled("a label of a related node changed")
    await stage.patch(play.node("n1"), {"metadata": {"labels": {"role": None}}})
    await stage.settled("the node lost the label that made it related")
    await stage.patch(play.node("n1"), {"metadata": {"labels": {"zone": "b"}}})
    await stage.settled("the unrelated node changed")
    await stage.create(play.node("n2"))
    await stage.settled("a related node appeared")
    await stage.delete(play.node("n2"))
    await stage.settled("and was deleted")


@scenario
async def an_annotation_that_goes_calls_only_the_cleanup(stage: Stage) -> None:
    await play.set_up(stage)
    await stage.patch(WEB, {"metadata": {"annotations": {LABEL: None}}})
    await stage.settled("the annotation was removed")


@scenario
async def a_mirror_label_that_goes_comes_back(stage: Stage) -> None:
    await play.set_up(stage)
    await stage.patch(WEB, {"metadata": {"labels": {LABEL: None}}})
    await stage.settled("the mirror label was removed")


@scenario
async def a_decorators_status_is_left_alone_or_replaced_whole(stage: Stage) -> None:
    await play.set_up(stage)
    stage.hooks["service/sync"] = lambda _: Reply({"labels": {"seen": "1"}, "status": None})
    await stage.patch(WEB, {"metadata": {"labels": {"touched": "1"}}})
    await stage.settled("the hook wants a label and status null")
    stage.hooks["service/sync"] = lambda _: Reply({"labels": {"seen": None, "touched": None}})
    await stage.patch(WEB, {"metadata": {"labels": {"again": "1"}}})
    await stage.settled("the hook wants two labels gone and names no status")
    stage.hooks["service/sync"] = lambda _: Reply({"status": {"conditions": []}})
    await stage.patch(WEB, {"metadata": {"labels": {"again": "2"}}})
    await stage.settled("the hook wants a status without loadBalancer")


@scenario
async def a_parents_status_is_replaced_whole(stage: Stage) -> None:
    await play.set_up(stage)
    await stage.patch(FRONT, {"status": {"quarantined": ["192.0.2.17"]}}, "status")
    await stage.settled("somebody wrote into the balancer's status, which is ignored")
    await stage.patch(FRONT, {"metadata": {"labels": {"touched": "1"}}})
    await stage.settled("a label of the balancer changed")


@scenario
async def a_parent_without_finalizer_is_deleted_without_a_call(stage: Stage) -> None:
    await play.set_up(stage)
    await stage.delete(FRONT)
    await stage.settled("the balancer was deleted")


@scenario
async def a_parent_held_by_a_finalizer_is_asked_about_and_left_alone(stage: Stage) -> None:
    await play.set_up(stage)
    await stage.patch(FRONT, {"metadata": {"finalizers": ["example.com/held"]}})
    await stage.settled("somebody put a finalizer on the balancer")
    stage.hooks["balancer/sync"] = lambda _: Reply({"status": {"services": {"total": 7}}})
    await stage.delete(FRONT)
    await stage.settled("the balancer was deleted, and the hook wants no child any more")
    await stage.delete(WEB_CHILD)
    await stage.settled("the child was deleted by somebody")


@scenario
async def a_tenants_orphan_with_the_parents_uid_is_adopted(stage: Stage) -> None:
    await play.set_up(stage)
    uid = (await stage.get(FRONT))["metadata"]["uid"]
    await stage.create(play.service(name="mine", annotations={}, labels={"controller-uid": uid}))
    await stage.settled("a tenant made a Service with the label of the balancer's children")


@scenario
async def a_child_that_loses_its_label_is_let_go(stage: Stage) -> None:
    await play.set_up(stage)
    await stage.patch(WEB_CHILD, {"metadata": {"labels": {"controller-uid": None}}})
    await stage.settled("somebody took the label off the child")


@scenario
async def a_resync_asked_for_comes_once(stage: Stage) -> None:
    play.simple_hooks(stage)
    wanted = stage.hooks["balancer/sync"]
    stage.hooks["balancer/sync"] = play.first([Reply({"resyncAfterSeconds": 1.5})], then=wanted)
    await stage.create(play.balancer())
    await stage.settled("the hook asked for a resync after 1.5 seconds")
    await stage.until(lambda: stage.calls("balancer/sync") == 1)
    await stage.settled("they have passed")


@scenario
async def two_ports_of_one_number_become_the_same_port(stage: Stage) -> None:
    await play.set_up(stage)
    both = [
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        {"name": "dns-udp", "port": 53, "protocol": "UDP"},
    ]
    stage.hooks["balancer/sync"] = play.balancer_sync(spec={"ports": both})
    await stage.delete(WEB_CHILD)
    await stage.settled("the child was made anew with two ports of one number")
    stage.hooks["balancer/sync"] = play.balancer_sync(
        spec={"ports": [{**port, "targetPort": 5353} for port in both]}
    )
    await stage.patch(FRONT, {"metadata": {"labels": {"touched": "1"}}})
    await stage.until(lambda: stage.calls("balancer/sync") >= 2)
    await stage.settled("the hook wants another targetPort for both")


@scenario
async def a_child_in_a_missing_namespace_fails_the_sync_but_not_the_status(stage: Stage) -> None:
    play.simple_hooks(stage)
    lost = play.child_of(play.service())
    lost["metadata"]["namespace"] = "gone"
    kept = play.child_of(play.service(name="kept"))
    both = {"children": [lost, kept], "status": {"services": {"total": 2, "pending": 1}}}
    one = {"children": [kept], "status": {"services": {"total": 1, "pending": 0}}}
    stage.hooks["balancer/sync"] = play.first([Reply(both)] * 2, then=lambda _: Reply(one))
    await stage.create(play.balancer())
    await stage.until(lambda: stage.calls("balancer/sync") >= 3)
    await stage.settled("the hook twice wanted a child where there is no namespace")
