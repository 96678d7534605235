# SPDX-License-Identifier: MIT
import dataclasses
import datetime as dt
import ipaddress
import itertools
from typing import Any

import pytest

from contract import announcement, child, names
from speaker import knowledge
from speaker.cluster import api, lists, view, watch
from speaker.links import table
from speaker.protocol import claimset, const, events

ETH0 = table.Link(2, "eth0", b"\x02\0\0\0\0\1", ethernet=True, carrier=True)
ETH1 = table.Link(3, "eth1", b"\x02\0\0\0\0\2", ethernet=True, carrier=True)
LINKS = table.Table(
    links={2: ETH0, 3: ETH1},
    subnets={2: frozenset({ipaddress.ip_network("192.0.2.0/24")})},
    default_links={4: (3,)},
)


def a_child(name: str = "web-l2-1", **fields: Any) -> child.Child:
    defaults: dict[str, Any] = {
        "namespace": "shop",
        "name": name,
        "service": "web",
        "service_uid": "u-1",
        "balancer": "front",
        "address": ipaddress.ip_address("192.0.2.10"),
        "nodes": ("n1", "n2"),
        "list_version": 3,
        "ports": (child.Port(80),),
        "planned": 1,
    }
    return child.Child(**(defaults | fields))


versions = itertools.count(1)


def manifest(
    of: child.Child, created: str = "2026-01-01T00:00:00Z", status: dict[str, Any] | None = None
) -> api.Manifest:
    encoded = child.encode(of)
    version = str(next(versions))
    encoded["metadata"] |= {"creationTimestamp": created, "resourceVersion": version}
    return {**encoded, "status": status or {}}


def balancer(name: str = "front", **spec: Any) -> api.Manifest:
    return {"metadata": {"name": name}, "spec": {"addressPool": ["192.0.2.0/28"], **spec}}


def snapshot(*manifests: api.Manifest) -> watch.Snapshot:
    return watch.Snapshot({watch.key_of(each): each for each in manifests})


def changed(each: api.Manifest) -> watch.Changed:
    return watch.Changed(watch.key_of(each), each)


def announced_by(node: str, of: child.Child) -> dict[str, Any]:
    said = announcement.Announcement.by(of.address, node=node, interface="eth0", mac="02:00")
    return announcement.encode_status(said, previous={}, now=dt.datetime.now(dt.UTC))


def lists_of(children: view.Children, declined: frozenset[watch.Key] = frozenset()) -> lists.Lists:
    return lists.Lister("n1").lists(children.by_key.values(), links=LINKS, declined=declined)


def test_a_snapshot_deletes_what_it_does_not_name() -> None:
    children = view.Children()
    assert children.apply(snapshot(manifest(a_child("a")), manifest(a_child("b"))))
    assert children.apply(snapshot(manifest(a_child("b"))))
    assert list(children.by_key) == [("shop", "b")]


def test_an_empty_first_list_is_news_and_an_equal_one_is_not() -> None:
    children = view.Children()
    assert children.apply(snapshot())
    assert children.complete
    assert not children.apply(snapshot())


def test_statuses_that_others_write_are_no_news_but_the_first_is() -> None:
    children = view.Children()
    children.apply(snapshot(manifest(a_child())))
    first = manifest(a_child(), status=announced_by("n1", a_child()))
    assert children.apply(changed(first))  # the address is known to be ours from now on
    assert not children.apply(changed(manifest(a_child(), status=announced_by("n2", a_child()))))
    known = children.by_key["shop", "web-l2-1"]
    assert known.announced is not None
    assert known.announced.node == "n2"


def test_what_nobody_announces_any_more_was_announced_and_needs_no_probe() -> None:
    children = view.Children()
    given_up = announcement.Announcement(
        a_child().address, names.AnnouncedReason.NO_CANDIDATE, "n1 gave it up"
    )
    status = announcement.encode_status(
        given_up, previous=announced_by("n1", a_child()), now=dt.datetime.now(dt.UTC)
    )
    children.apply(snapshot(manifest(a_child(), status=status)))
    (entry,) = lists_of(children).listed
    assert entry.announced
    moved = a_child(address=ipaddress.ip_address("192.0.2.11"))
    assert children.apply(changed(manifest(moved, status=status)))
    (entry,) = lists_of(children).listed
    assert not entry.announced


def test_a_child_that_can_not_be_read_stands_in_no_others_way() -> None:
    children = view.Children()
    broken = manifest(a_child("broken"))
    broken["metadata"]["annotations"][names.CHILD_ADDRESS] = "mars"
    children.apply(snapshot(broken, manifest(a_child("whole"))))
    assert list(children.by_key) == [("shop", "whole")]
    assert "mars" in children.complaints["shop", "broken"]
    children.apply(changed(manifest(a_child("broken"))))
    assert children.complaints == {}


@pytest.mark.parametrize("created", ["1969-12-31T23:59:59Z", "2106-02-07T06:28:16Z", "soon"])
def test_a_child_of_a_time_that_no_claim_can_state_is_left_out(created: str) -> None:
    children = view.Children()
    children.apply(snapshot(manifest(a_child("odd"), created), manifest(a_child("whole"))))
    assert list(children.by_key) == [("shop", "whole")]
    assert created in children.complaints["shop", "odd"]


def test_a_claim_can_state_whatever_is_read_of_a_child() -> None:
    one = view.read_child(
        manifest(a_child(list_version=child.MAX_LIST_VERSION), "2106-02-07T06:28:15Z")
    )
    claim = claimset.Claim(
        one.created, one.child.list_version, claimset.UNLISTED, held=True, declined=True
    )
    (part,) = claimset.pack({one.child.address.packed: claim}, const.CLAIM_PART_BYTES)
    assert claimset.parse(part).claims == {one.child.address.packed: claim}


def test_a_complaint_comes_and_goes_as_a_change() -> None:
    children = view.Children()
    children.apply(snapshot())
    broken = manifest(a_child("broken"))
    broken["metadata"]["annotations"][names.CHILD_ADDRESS] = "mars"
    assert children.apply(changed(broken))
    assert not children.apply(changed(broken))
    assert children.apply(watch.Deleted(("shop", "broken")))
    assert children.complaints == {}
    assert children.apply(snapshot(broken))
    assert not children.apply(snapshot(broken))
    assert children.apply(snapshot())


def test_a_child_that_becomes_unreadable_is_announced_no_longer() -> None:
    children = view.Children()
    children.apply(snapshot(manifest(a_child())))
    broken = manifest(a_child())
    broken["metadata"]["annotations"][names.CHILD_NODES] = "n1,n1"
    assert children.apply(changed(broken))
    assert not children.by_key


@pytest.mark.parametrize("created", [None, "yesterday", 5])
def test_a_child_without_a_creation_time_is_complained_of(created: Any) -> None:
    bad = manifest(a_child())
    bad["metadata"]["creationTimestamp"] = created
    children = view.Children()
    children.apply(snapshot(bad))
    assert "creationTimestamp" in children.complaints["shop", "web-l2-1"]


def test_no_address_is_allowed_before_a_balancer_is_known_or_outside_every_pool() -> None:
    balancers = view.Balancers()
    inside, outside = a_child(), a_child(address=ipaddress.ip_address("192.0.2.99"))
    assert not balancers.allow(inside)
    balancers.apply(snapshot(balancer()))
    assert balancers.allow(inside)
    assert not balancers.allow(outside)
    balancers.apply(watch.Deleted(("", "front")))
    assert not balancers.allow(inside)


def test_a_pool_that_was_valid_keeps_its_addresses_while_it_is_broken() -> None:
    balancers = view.Balancers()
    balancers.apply(snapshot(balancer()))
    broken = balancer(addressPool=["192.0.2.300"])
    for event in (changed(broken), snapshot(broken)):  # and when all is listed anew
        balancers.apply(event)
        assert balancers.allow(a_child())
        assert "192.0.2.300" in balancers.complaints["front"]
    assert balancers.apply(snapshot())
    assert not balancers.allow(a_child())
    assert not balancers.complaints


def test_what_a_deleted_balancer_leaves_behind_has_no_voice_where_another_has_its_addresses() -> (
    None
):
    known = knowledge.Knowledge("n1")
    known.links = LINKS
    old = a_child("old", balancer="gone", nodes=("n1", "n2"))
    new = a_child("new", nodes=("n2", "n1"))
    known.children.apply(snapshot(manifest(old), manifest(new, created="2026-01-02T00:00:00Z")))
    known.balancers.apply(snapshot(balancer("gone"), balancer("front")))
    assert [listed.nodes for listed in known.lists().listed] == [old.nodes]
    known.balancers.apply(watch.Deleted(("", "gone")))
    assert [listed.nodes for listed in known.lists().listed] == [new.nodes]
    (complaint,) = known.complaints()
    assert "shop/old" in complaint
    assert complaint.endswith("there is no L2LoadBalancer gone")


def test_an_address_stays_while_a_pool_is_split_or_its_balancer_cannot_be_read() -> None:
    balancers = view.Balancers()
    balancers.apply(snapshot(balancer(addressPool=["192.0.2.64/28"]), balancer("other")))
    assert balancers.allow(a_child())
    balancers.apply(snapshot(balancer(addressPool=5), balancer("other")))
    assert balancers.allow(a_child())


def test_a_balancer_that_never_could_be_read_comes_and_goes_as_a_change() -> None:
    balancers = view.Balancers()
    balancers.apply(snapshot(balancer("other")))
    assert not balancers.allow(a_child())
    assert balancers.apply(changed(balancer(addressPool=5)))
    assert balancers.allow(a_child())
    assert balancers.apply(watch.Deleted(("", "front")))
    assert not balancers.allow(a_child())


@pytest.mark.parametrize(
    ("conditions", "ready"),
    [
        ([{"type": "Ready", "status": "True"}], True),
        ([{"type": "Ready", "status": "False"}], False),
        ([{"type": "Ready", "status": "Unknown"}], None),
        ([], None),
    ],
)
def test_an_unknown_readiness_is_no_information(
    conditions: list[dict[str, str]], *, ready: bool | None
) -> None:
    assert view.read_node({"status": {"conditions": conditions}}).ready is ready


def test_a_node_is_read_for_what_makes_it_unfit() -> None:
    node = view.read_node(
        {
            "metadata": {"labels": {names.EXCLUDE_LABEL: ""}},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "NetworkUnavailable", "status": "True"}],
                "addresses": [
                    {"type": "Hostname", "address": "n1"},
                    {"type": "InternalIP", "address": "192.0.2.1"},
                    {"type": "InternalIP", "address": "2001:db8::1"},
                ],
            },
        }
    )
    assert node.address == ipaddress.ip_address("192.0.2.1")
    assert (node.excluded, node.cordoned, node.network_unavailable) == (True, True, True)
    assert view.read_node({}) == view.OwnNode(None, False, False, False)


def test_an_address_is_announced_where_its_subnet_is() -> None:
    children = view.Children()
    children.apply(snapshot(manifest(a_child())))
    told = lists_of(children)
    assert [entry.interfaces for entry in told.listed] == [("eth0",)]
    assert told.interfaces == {"eth0"}
    assert told.addresses == {"eth0": {ipaddress.ip_address("192.0.2.10")}}


def test_children_of_other_nodes_are_told_but_need_no_interface() -> None:
    children = view.Children()
    children.apply(snapshot(manifest(a_child(nodes=("n7", "n8")))))
    told = lists_of(children)
    assert [entry.nodes for entry in told.listed] == [("n7", "n8")]
    assert told.interfaces == frozenset()


def test_an_address_without_an_interface_on_its_preferred_node_is_nowhere() -> None:
    children = view.Children()
    six = ipaddress.ip_address("2001:db8::1")
    children.apply(snapshot(manifest(a_child(address=six))))
    assert lists_of(children).nowhere == {six}
    children.apply(snapshot(manifest(a_child(address=six, nodes=("n2", "n1")))))
    assert lists_of(children).nowhere == frozenset()


def test_children_that_share_an_address_speak_with_the_voice_of_the_oldest() -> None:
    children = view.Children()
    old = manifest(a_child("old", nodes=("n2", "n1")), created="2025-01-01T00:00:00Z")
    young = manifest(a_child("young", nodes=("n1", "n2")))
    for order in ((old, young), (young, old)):
        children.apply(snapshot(*order))
        (entry,) = lists_of(children).listed
        assert entry.nodes == ("n2", "n1")
        assert not entry.declined
    (entry,) = lists_of(children, frozenset({("shop", "young")})).listed
    assert entry.declined


def test_entries_are_made_anew_only_where_something_has_changed() -> None:
    children = view.Children()
    other = a_child("other", address=ipaddress.ip_address("192.0.2.11"))
    children.apply(snapshot(manifest(a_child()), manifest(other)))
    lister = lists.Lister("n1")

    def entries(
        links: table.Table = LINKS, declined: frozenset[watch.Key] = frozenset()
    ) -> dict[str, events.Listed]:
        made = lister.lists(children.by_key.values(), links=links, declined=declined)
        return {str(entry.address): entry for entry in made.listed}

    before = entries()
    children.apply(changed(manifest(a_child(list_version=4))))
    after = entries()
    assert after["192.0.2.10"].list_version == 4
    assert after["192.0.2.11"] is before["192.0.2.11"]
    assert entries(declined=frozenset({("shop", "other")}))["192.0.2.11"].declined
    assert not entries()["192.0.2.11"].declined
    moved = dataclasses.replace(LINKS, subnets={3: frozenset(LINKS.subnets[2])})
    assert entries(moved)["192.0.2.11"].interfaces == ("eth1",)
    children.apply(watch.Deleted(("shop", "other")))
    assert list(entries(moved)) == ["192.0.2.10"]


def test_what_goes_through_the_cache_is_read_the_same() -> None:
    known = view.read_child(
        manifest(
            a_child(failback_delay_s=float("inf"), interfaces=("eth*",), health_check_port=31000),
            status=announced_by("n1", a_child()),
        )
    )
    assert view.read_child(view.child_manifest(known)) == known
    pool = view.read_balancer(balancer(ignoreExcludeLabel=True))
    assert view.read_balancer(view.balancer_manifest(pool)) == pool
    assert dataclasses.replace(known, status={}) != known
