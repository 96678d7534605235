# SPDX-License-Identifier: MIT
import dataclasses
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from app.explain import nodes
from cli import forecast
from contract import child
from speaker.protocol import events
from tests.simulator import world as worlds

NAMES = "abcd"
SETTLED_S = 20.0  # longer than giving up takes, and than the delay below
DELAYS_S = st.sampled_from([2.0, math.inf])
LISTS = st.lists(
    st.tuples(st.permutations(NAMES), st.integers(1, 4), DELAYS_S).map(
        lambda drawn: (tuple(drawn[0][: drawn[1]]), drawn[2])
    ),
    min_size=1,
    max_size=4,
)


def one(number: int, listed: tuple[str, ...], delay_s: float = 2.0) -> child.Child:
    return child.Child(
        namespace="shop",
        name=f"web-l2-{number}",
        service="web",
        service_uid="uid",
        balancer="front",
        address=worlds.address(number),
        nodes=listed,
        list_version=1,
        ports=(),
        planned=1,
        failback_delay_s=delay_s,
    )


def scene(*children: child.Child, **more) -> forecast.Scene:
    held = dict.fromkeys(((each.namespace, each.name) for each in children), None)
    ranks = dict.fromkeys(NAMES, events.Rank.WELL)
    return forecast.Scene(
        **{"children": children, "holders": held, "ranks": ranks, "serving": {}, **more}
    )


@given(
    LISTS,
    st.sets(st.sampled_from(NAMES), max_size=3),
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(list(events.Rank)[:4])),
    st.dictionaries(st.sampled_from(NAMES), st.sets(st.integers(1, 4))),
)
@settings(max_examples=25)
def test_speakers_in_virtual_time_settle_where_the_forecast_says(lists, dead, ranks, declined):
    children = [one(number, *given) for number, given in enumerate(lists, 1)]
    listed = [
        worlds.listed(number, *each.nodes, failback_delay_s=each.failback_delay_s)
        for number, each in enumerate(children, 1)
    ]
    world = worlds.World(NAMES)
    world.start(listed)
    world.run(SETTLED_S)
    before = {
        (each.namespace, each.name): next(iter(world.holders(each.address)), None)
        for each in children
    }
    assert before == forecast.settle(scene(*children))
    for name in dead:
        world.nodes[name].kill()
    for name in ranks.keys() - dead:
        world.nodes[name].tell(events.FitnessChanged(ranks[name], vetoed=False, why=""))
    for name in declined.keys() - dead:
        world.nodes[name].set_children(
            dataclasses.replace(each, declined=number in declined[name])
            for number, each in enumerate(listed, 1)
        )
    world.run(SETTLED_S)
    local = [dataclasses.replace(each, health_check_port=31000) for each in children]
    for number, each in enumerate(local, 1):
        now = scene(
            each,
            holders=before,
            ranks={n: ranks.get(n, events.Rank.WELL) for n in NAMES if n not in dead},
            serving={
                ("shop", "web"): frozenset(n for n in NAMES if number not in declined.get(n, ()))
            },
        )
        expected = forecast.settle(now)["shop", each.name]
        assert world.holders(each.address) == ([] if expected is None else [expected])


def test_an_excluded_node_holds_only_for_balancers_that_ignore_the_label():
    listed = one(1, ("a", "b"))
    assert forecast.settle(scene(listed, excluded=frozenset("a"))) == {("shop", "web-l2-1"): "b"}
    heedless = scene(listed, excluded=frozenset("a"), heedless=frozenset(["front"]))
    assert forecast.settle(heedless) == {("shop", "web-l2-1"): "a"}


def test_a_shared_address_is_one_load():
    shared = [one(1, ("a",)), dataclasses.replace(one(1, ("a",)), name="api-l2-1")]
    assert forecast.loads(shared, forecast.settle(scene(*shared)), "ab") == {"a": 1, "b": 0}


def test_ranks_follow_the_node_objects():
    known = [
        nodes.Node("well", {}, ready=True),
        nodes.Node("nobody-knows", {}),
        nodes.Node("cordoned", {}, ready=True, cordoned=True),
        nodes.Node("sick", {}, ready=False, cordoned=True),
        nodes.Node("cut-off", {}, ready=True, network_unavailable=True),
        nodes.Node("silent", {}, unknown=True),
        nodes.Node("leaving", {}, ready=True, terminating=True),
    ]
    assert forecast.ranks(known) == {
        "well": events.Rank.WELL,
        "nobody-knows": events.Rank.WELL,
        "cordoned": events.Rank.CORDONED,
        "sick": events.Rank.NOT_READY,
        "cut-off": events.Rank.NOT_READY,
    }
