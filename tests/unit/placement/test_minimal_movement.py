# SPDX-License-Identifier: MIT
"""Promise 4: an address moves only where an input forces it, for it cuts its connections."""

from hypothesis import given
from hypothesis import strategies as st

from app.placement import model
from tests.unit.placement import scenes


def moved(before: scenes.Lists, after: scenes.Lists, nodes) -> list[tuple[str, str]]:
    """Return from where and to where addresses went that one of `nodes` could have kept."""
    stayed = {
        address: scenes.holder([node for node in listed if node in nodes])
        for address, listed in before.items()
    }
    return [
        (stays, after[address][0])
        for address, stays in stayed.items()
        if stays is not None and address in after and after[address][0] != stays
    ]


@given(scene=scenes.aged(scenes.fresh()), count=st.integers(1, 9))
def test_an_added_service_moves_nobody(scene, count):
    added = scenes.wish("added", count, created=5000.0)
    after = scene.with_services([*scene.services, added]).settled()
    assert not moved(scene.lists, after.lists, scene.nodes)


@given(scene=scenes.aged(scenes.fresh()), data=st.data())
def test_a_deleted_service_moves_nobody(scene, data):
    kept = [one for one in scene.services if data.draw(st.booleans())]
    after = scene.with_services(kept).settled()
    assert not moved(scene.lists, after.lists, scene.nodes)


def is_roomy(scene: scenes.Scene) -> bool:
    """Whether no Service has more addresses than there are nodes."""
    return all(len(one.held) <= len(scene.nodes) for one in scene.services)


@given(scene=scenes.fresh().filter(is_roomy))
def test_a_join_moves_its_fair_share_to_the_new_node_and_nothing_else(scene):
    after = scene.with_nodes([*scene.nodes, "new"]).settled()
    moves = moved(scene.lists, after.lists, scene.nodes)
    assert {target for _, target in moves} <= {"new"}
    assert len(moves) == len(scene.lists) // len(after.nodes)


@given(scene=scenes.aged(scenes.fresh()), joined=st.integers(1, 3))
def test_a_join_moves_addresses_to_the_new_nodes_only(scene, joined):
    """Save one for which promises 1 and 2 weigh more: see test_contradictions."""
    new = [f"j{number}" for number in range(joined)]
    after = scene.with_nodes([*scene.nodes, *new]).settled()
    moves = moved(scene.lists, after.lists, scene.nodes)
    most = -(-len(scene.lists) // len(after.nodes))
    assert all(sum(target == node for _, target in moves) <= most for node in new)
    assert not is_roomy(scene) or {target for _, target in moves} <= set(new)


@given(counts=st.lists(st.just(model.AUTO), min_size=1, max_size=9), nodes=st.integers(1, 8))
def test_a_join_where_all_services_grow_moves_nothing(counts, nodes):
    scene = scenes.Scene(scenes.balancer(nodes).nodes, tuple(scenes.wishes(counts))).settled()
    after = scene.with_nodes([*scene.nodes, "new"]).settled()
    assert not moved(scene.lists, after.lists, scene.nodes)
    assert all(len(one.held) == nodes + 1 for one in after.services)
    assert after.loads["new"] == len(counts)


@given(scene=scenes.fresh(), data=st.data())
def test_a_removed_nodes_addresses_go_to_their_first_stand_ins(scene, data):
    if len(scene.nodes) < 2:
        return
    gone = data.draw(st.sampled_from(scene.nodes))
    survivors = [node for node in scene.nodes if node != gone]
    level = scenes.gap(scenes.loads(scene.lists, scene.nodes, [gone]).values()) <= 1
    after = scene.with_nodes(survivors).settled()
    moves = moved(scene.lists, after.lists, survivors)
    assert len(moves) <= (0 if level else len(scene.lists) // len(survivors))


def test_a_node_that_no_list_names_is_not_taken_for_one_that_joined():
    """With more than 16 members a list leaves some out; the balancer's status knows them."""
    nodes = [f"n{number:02}" for number in range(40)]
    scene = scenes.Scene(tuple(nodes), tuple(scenes.wishes([1] * 80))).settled()
    crowded = max(scene.loads, key=scene.loads.__getitem__)
    kept = [one for one in scene.services if one.held[0].nodes[0] == crowded]
    assert len(kept) == 2
    left = scene.with_services(kept)
    assert len({node for listed in left.lists.values() for node in listed}) < 40
    answer = left.answer(known=frozenset(nodes))
    assert scenes.lists(answer) == left.lists
