# SPDX-License-Identifier: MIT
"""What speakers count of the balancers' pools, which one alert is about."""

import ipaddress

from contract import child, pool
from speaker import knowledge, metrics, status
from speaker.cluster import view


def known(*children: view.KnownChild, entries: tuple[str, ...]) -> knowledge.Knowledge:
    made = knowledge.Knowledge("n1")
    made.balancers.by_name["front"] = view.Balancer(
        "front", entries, pool.Pool.parse(entries), ignores_exclude_label=False
    )
    made.children.by_key.update({each.key: each for each in children})
    return made


def a_child(service: str, address: str) -> view.KnownChild:
    made = child.Child(
        "shop",
        f"{service}-l2-1",
        service,
        "u",
        "front",
        ipaddress.ip_address(address),
        ("n1",),
        1,
        (),
        1,
    )
    return view.KnownChild(made, 0, "1", {}, None)


def test_an_address_that_services_share_is_one_address_of_the_pool() -> None:
    counted = metrics.Metrics()
    shared = known(
        a_child("web", "192.0.2.1"), a_child("dns", "192.0.2.1"), entries=("192.0.2.0/30",)
    )

    status._count_pools(counted, shared)

    assert list(counted.pool.lines()) == [
        'l2lb_speaker_pool_addresses{balancer="front",family="ipv4"} 4'
    ]
    assert list(counted.assigned.lines()) == [
        'l2lb_speaker_assigned_addresses{balancer="front",family="ipv4"} 1'
    ]


def test_a_balancer_that_is_gone_is_counted_no_longer() -> None:
    counted = metrics.Metrics()
    status._count_pools(counted, known(entries=("192.0.2.0/30", "2001:db8::/64")))

    status._count_pools(counted, knowledge.Knowledge("n1"))

    assert not list(counted.pool.lines())
    assert not list(counted.assigned.lines())
