# SPDX-License-Identifier: MIT
"""Addresses that a stranger on the segment uses, as speakers report them."""

import copy

from bench import requests
from contract import announcement, child, names

CHILD = "shop/web-l2-1"


def report(world, said):
    """Write into the child's status what a speaker says of the address that it has now."""
    manifest = world.children[CHILD]
    manifest["status"] = announcement.encode_status(
        said(child.decode(manifest).address),
        previous=manifest.get("status") or {},
        now=world.clock.now,
    )


def announcing(address):
    return announcement.Announcement.by(
        address, node="n1", interface="eth0", mac="02:00:00:00:00:01"
    )


def given_up(address):
    return announcement.Announcement(address, names.AnnouncedReason.NO_CANDIDATE, "n1 gave it up")


def in_use(address):
    return announcement.Announcement.in_use(address, mac="52:54:00:00:00:01")


def served(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "1"}))
    world.settle()
    return world.addresses("shop/web")


def test_an_address_in_use_by_a_stranger_is_replaced_and_quarantined(world):
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "2"}))
    world.settle()
    bad = world.children[CHILD]["metadata"]["annotations"][names.CHILD_ADDRESS]
    report(world, in_use)
    world.settle()
    assert bad not in world.addresses("shop/web")
    assert len(world.addresses("shop/web")) == 2
    assert world.balancers["front"]["status"]["quarantined"] == [bad]
    assert [e.reason for e in world.hooks.events if bad in e.note and e.warning] == ["AddressInUse"]
    world.add(requests.service("api"))
    world.settle()
    assert bad not in world.addresses("shop/api")


def test_a_quarantine_ends_when_the_balancers_spec_changes(world):
    (bad,) = served(world)
    report(world, in_use)
    world.settle()
    report(world, announcing)
    world.respec(ipCount=1)
    world.settle()
    assert "quarantined" not in world.balancers["front"]["status"]
    world.add(requests.service("api"))
    world.settle()
    assert world.addresses("shop/api") == [bad]


def test_an_address_that_was_ever_announced_stays_whoever_uses_it(world):
    before = served(world)
    for said in (announcing, given_up, in_use):
        report(world, said)
        world.settle()
    assert world.addresses("shop/web") == before
    assert "quarantined" not in world.balancers["front"]["status"]


def test_the_address_that_takes_its_place_is_as_new_as_the_first(world):
    served(world)
    for _ in range(2):
        report(world, in_use)
        world.settle()
    assert len(world.balancers["front"]["status"]["quarantined"]) == 2
    report(world, announcing)
    last = world.addresses("shop/web")
    report(world, in_use)
    world.settle()
    assert world.addresses("shop/web") == last


def test_a_sync_that_reads_the_balancers_status_too_early_still_knows_the_quarantine(world):
    (bad,) = served(world)
    report(world, in_use)
    cached = copy.deepcopy(world.balancers["front"])
    world.sync_balancer("front")
    assert world.balancers["front"]["status"]["quarantined"] == [bad]
    world.balancers["front"] = cached
    world.add(requests.service("api", annotations={names.SERVICE_IP_COUNT: "1"}))
    world.settle()
    assert world.balancers["front"]["status"]["quarantined"] == [bad]
    assert bad not in world.addresses("shop/api")
