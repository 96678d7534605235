# SPDX-License-Identifier: MIT
import pytest

from bench import requests
from contract import names


def test_while_an_older_pool_cannot_be_read_nothing_of_it_is_given_again(world):
    world.respec(addressPool=["192.0.2.10-192.0.2.12"])
    world.add(requests.service("web", annotations={names.SERVICE_IP_COUNT: "2"}))
    younger = requests.balancer("young", addressPool=["192.0.2.10-192.0.2.30"], ipCount=1)
    younger["metadata"]["creationTimestamp"] = "2026-01-31T12:30:00Z"
    world.add(younger)
    of_young = {names.SERVICE_BALANCER: "young"}
    world.add(requests.service("api", annotations=of_young))
    world.settle()
    web, api = world.addresses("shop/web"), world.addresses("shop/api")
    world.respec(addressPool=["192.0.2.10-192.0.2.12", "2001:db8::9-2001:db8::1"])
    world.add(
        requests.service("new", annotations=of_young),
        requests.service("named", annotations=of_young | {names.SERVICE_ADDRESSES: "192.0.2.12"}),
    )
    world.settle()
    assert world.addresses("shop/new") == world.addresses("shop/named") == []
    assert (world.addresses("shop/web"), world.addresses("shop/api")) == (web, api)
    valid = world.balancer_condition("PoolValid", "young")
    assert (valid["status"], valid["reason"]) == ("False", "OlderPoolUnknown")
    assert "mend front" in valid["message"]
    for service in ("new", "named"):
        assert "until its pool is mended" in world.condition(f"shop/{service}")["message"]
    world.respec(addressPool=["192.0.2.10-192.0.2.12"])
    world.settle()
    assert world.addresses("shop/new") == ["192.0.2.14"]
    assert world.balancer_condition("PoolValid", "young")["reason"] == "OverlappingPool"


@pytest.mark.parametrize(
    ("metadata", "free"),
    [
        ({"creationTimestamp": "2026-01-31T12:30:00Z"}, False),
        ({"creationTimestamp": "2026-01-31T13:30:00Z"}, True),
        ({"creationTimestamp": "now"}, False),
    ],
)
def test_a_balancer_that_cannot_be_read_at_all_may_own_what_younger_ones_have(
    world, metadata, free
):
    world.balancers["front"]["metadata"]["creationTimestamp"] = "2026-01-31T13:00:00Z"
    world.add(requests.service("web"))
    request = world.request("front")
    odd = requests.balancer("odd", ipCount="many")
    odd["metadata"] |= metadata
    request["related"]["L2LoadBalancer.l2lb.io/v1alpha1"]["odd"] = odd
    answer = world.hooks.answer("balancer/sync", request)
    children = [c for c in answer["children"] if c["spec"]["type"] == "LoadBalancer"]
    assert len(children) == (3 if free else 0)
