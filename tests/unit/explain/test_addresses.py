# SPDX-License-Identifier: MIT
import dataclasses
import datetime as dt
import math
from typing import Any

import pytest

from app.explain import model, reading, view
from contract.names import EXCLUDE_LABEL, AnnouncedReason
from tests.unit.explain import scenes


def seen(
    child: scenes.Json, nodes: list[scenes.Json] | None = None, **objects: Any
) -> model.AddressView:
    """Return what is seen of the only address of a cluster."""
    found = view.view(
        reading.Objects(
            balancers=objects.pop("balancers", [scenes.balancer()]),
            services=[
                scenes.service(listed=["192.0.2.10"], verdict=scenes.ASSIGNED),
                child,
            ],
            nodes=nodes if nodes is not None else scenes.nodes(),
            **objects,
        )
    )
    assert found.problems == ()
    (only,) = found.services[0].addresses
    return only


def test_an_address_on_its_preferred_node_is_announced():
    one = seen(scenes.child_of(by="n1"))
    assert one.state is model.AddressState.ANNOUNCED
    assert (one.desired, one.holder, one.interface, one.mac) == ("n1", "n1", "eth1", scenes.MAC)
    assert one.since == scenes.SINCE
    assert one.nodes == ("n1", "n2", "n3")


@pytest.mark.parametrize(
    ("preferred", "why"),
    [
        (scenes.node("n1", ready="False"), "not Ready"),
        (scenes.node("n1", ready="Unknown"), "kubelet has stopped reporting"),
        (scenes.node("n1", cordoned=True), "kubectl uncordon n1"),
        (scenes.node("n1", labels={EXCLUDE_LABEL: ""}), EXCLUDE_LABEL),
        (scenes.node("n1"), "well for 30s"),
    ],
)
def test_a_stand_in_holds_for_what_is_against_the_preferred_node(preferred, why):
    one = seen(scenes.child_of(by="n2"), [preferred, *scenes.nodes()[1:]])
    assert one.state is model.AddressState.MOVED
    assert why in one.why


def test_a_balancer_that_ignores_the_exclude_label_does_not_blame_it():
    excluded = scenes.node("n1", labels={EXCLUDE_LABEL: ""})
    one = seen(
        scenes.child_of(by="n2"),
        [excluded, *scenes.nodes()[1:]],
        balancers=[scenes.balancer(ignoreExcludeLabel=True)],
    )
    assert EXCLUDE_LABEL not in one.why


def test_an_address_that_never_goes_back_says_so():
    assert "failbackDelay is never" in seen(scenes.child_of(by="n2", failback_delay_s=math.inf)).why


def test_with_policy_local_a_missing_endpoint_is_the_first_guess():
    assert "no serving endpoint" in seen(scenes.child_of(by="n2", health_check_port=31000)).why


def test_a_holder_that_the_list_does_not_name_holds_until_the_hand_over():
    one = seen(scenes.child_of(by="n3", listed=("n1", "n2")))
    assert one.state is model.AddressState.MOVED
    assert "until n1 takes over" in one.why


@pytest.mark.parametrize("others", [[], [scenes.node("n1", ready="Unknown")]])
def test_an_announcement_by_a_dead_node_is_stale(others):
    one = seen(scenes.child_of(by="n1"), [*others, *scenes.nodes()[1:]])
    assert one.state is model.AddressState.STALE
    assert not one.state.announced
    assert "the speaker on n2" in one.why


def test_an_address_used_by_a_stranger_names_its_mac_and_the_remedy():
    said = AnnouncedReason.ADDRESS_IN_USE, "192.0.2.10 is answered by 52:54:00:99:99:99"
    one = seen(scenes.child_of(said=said))
    assert one.state is model.AddressState.IN_USE
    assert one.holder is None
    assert "52:54:00:99:99:99" in one.why
    assert "find the host" in one.why


def test_a_conflict_is_announced_and_broken():
    said = AnnouncedReason.ADDRESS_CONFLICT, f"n1 eth1 {scenes.MAC}; 52:54:00:99:99:99 claims it"
    one = seen(scenes.child_of(said=said))
    assert one.state is model.AddressState.CONFLICT
    assert one.state.announced
    assert one.state.level is model.Level.BROKEN
    assert (one.holder, one.interface, one.mac) == ("n1", "eth1", scenes.MAC)


@pytest.mark.parametrize(
    "reason", [reason for reason in AnnouncedReason if not reason.announced], ids=str
)
def test_every_refusal_of_a_speaker_is_passed_on_in_its_words(reason):
    one = seen(scenes.child_of(said=(reason, "192.0.2.10 is refused by n1")))
    assert one.state in {model.AddressState.SILENT, model.AddressState.IN_USE}
    assert one.why.startswith("192.0.2.10 is refused by n1")
    assert one.reason == reason


def test_an_address_of_which_nobody_has_spoken_names_a_node_to_ask():
    one = seen(scenes.child_of(by=None), [scenes.node("n1", ready="Unknown"), scenes.node("n2")])
    assert one.state is model.AddressState.UNREPORTED
    assert "speaker on n2" in one.why


def test_an_address_none_of_whose_nodes_is_up_says_so():
    one = seen(scenes.child_of(by=None, listed=("gone",)))
    assert "none of its nodes (gone) is up" in one.why


def test_an_address_with_an_empty_list_says_that_the_balancer_has_no_node():
    assert "names no node" in seen(scenes.child_of(by=None, listed=())).why


def test_an_address_of_a_missing_service_is_being_released():
    later = dt.datetime(2026, 2, 1, 12, 0, 5, tzinfo=dt.UTC)
    one = seen(scenes.child_of(release_after=later))
    assert one.state is model.AddressState.RELEASING
    assert "12:00:05" in one.why


def test_a_move_tells_since_when_its_target_holds():
    moment = dt.datetime(2026, 2, 1, 11, 0, tzinfo=dt.UTC)
    events = [
        scenes.moved("192.0.2.10", "n1", "n2", moment),
        scenes.moved("192.0.2.10", "n3", "n1", moment - dt.timedelta(minutes=5)),
        scenes.moved("192.0.2.11", "n1", "n2", moment + dt.timedelta(minutes=5)),
    ]
    assert seen(scenes.child_of(by="n2"), events=events).since == moment


def test_a_preferred_node_that_died_is_said_to_be_unheard():
    events = [scenes.moved("192.0.2.10", "n1", "n2", scenes.SINCE)]
    assert (
        "n1, which is preferred, was not heard" in seen(scenes.child_of(by="n2"), events=events).why
    )


def test_a_move_to_another_node_says_nothing_of_the_holder():
    moment = dt.datetime(2026, 2, 1, 11, 0, tzinfo=dt.UTC)
    events = [scenes.moved("192.0.2.10", "n1", "n2", moment)]
    assert seen(scenes.child_of(by="n1"), events=events).since == scenes.SINCE


def test_every_state_has_a_level():
    assert {state.level for state in model.AddressState} == set(model.Level)
    assert all(isinstance(state.level, model.Level) for state in model.ServiceState)
    assert all(isinstance(state.level, model.Level) for state in model.BalancerState)


def test_views_can_not_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen(scenes.child_of()).why = "other"  # type: ignore[misc]
