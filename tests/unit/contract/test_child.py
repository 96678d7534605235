# SPDX-License-Identifier: MIT
import datetime as dt
import ipaddress
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract import child, errors, names

node_names = st.from_regex(r"[a-z][a-z0-9-]{0,20}[a-z0-9]", fullmatch=True)
children = st.builds(
    child.Child,
    namespace=st.just("shop"),
    name=st.just("web-l2-1"),
    service=st.just("web"),
    service_uid=st.uuids().map(str),
    balancer=st.just("front"),
    address=st.ip_addresses(),
    nodes=st.lists(node_names, unique=True, max_size=16).map(tuple),
    list_version=st.integers(1, child.MAX_LIST_VERSION),
    ports=st.lists(
        st.builds(
            child.Port,
            port=st.integers(1, 65535),
            protocol=st.sampled_from(["TCP", "UDP", "SCTP"]),
            name=node_names,
        ),
        unique_by=lambda port: port.port,
        max_size=5,
    ).map(tuple),
    planned=st.integers(1, 64),
    health_check_port=st.none() | st.integers(1, 65535),
    sharing=st.none()
    | st.builds(
        child.Sharing,
        key=node_names,
        ports=st.frozensets(
            st.tuples(st.sampled_from(["TCP", "UDP", "SCTP"]), st.integers(1, 65535)), max_size=5
        ),
    ),
    interfaces=st.lists(st.sampled_from(["eth1", "bond*", "en?"]), unique=True).map(tuple),
    failback_delay_s=st.just(math.inf) | st.integers(0, 10**6).map(float),
    release_after=st.none()
    | st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001 - Hypothesis adds the zone
)


def manifest(**annotations: str | None) -> dict:
    one = child.encode(
        child.Child(
            namespace="shop",
            name="web-l2-1",
            service="web",
            service_uid="u-1",
            balancer="front",
            address=ipaddress.ip_address("192.0.2.10"),
            nodes=("n3", "n1"),
            list_version=4,
            ports=(child.Port(80),),
            planned=3,
        )
    )
    for key, value in annotations.items():
        name = f"{names.GROUP}/{key.replace('_', '-')}"
        if value is None:
            del one["metadata"]["annotations"][name]
        else:
            one["metadata"]["annotations"][name] = value
    return one


def test_an_address_with_a_zone_is_refused():
    with pytest.raises(errors.ContractError, match="without a zone"):
        child.decode(manifest(address="2001:db8::1%eth0"))


@given(children)
def test_what_the_webhook_encodes_the_speakers_decode(one):
    assert child.decode(child.encode(one)) == one


def test_a_reader_ignores_what_it_does_not_know():
    one = manifest(invented_later="x")
    one["spec"]["alsoNew"] = {}
    one["metadata"]["resourceVersion"] = "7"
    assert child.decode(one) == child.decode(manifest())


def test_a_child_shows_the_first_ports_one_entry_a_number():
    tcp, udp = child.Port(53, "TCP"), child.Port(53, "UDP")
    assert child.shown_ports([tcp, udp, child.Port(80)]) == (tcp, child.Port(80))
    assert child.shown_ports([udp, tcp]) == (udp,)
    many = [child.Port(number) for number in range(1, 3000)]
    assert child.shown_ports(many) == tuple(many[:16])


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"address": None}, "l2lb.io/address is None"),
        ({"address": "192.0.2.300"}, "want one IPv4 or IPv6 address"),
        ({"list_version": "-1"}, "want a whole number of 1 to 4294967295"),
        ({"list_version": "²"}, "want a whole number of 1 to 4294967295"),
        ({"list_version": "9" * 5000}, "want a whole number of 1 to 4294967295"),
        ({"list_version": "4294967296"}, "'4294967296': want a whole number of 1 to 4294967295"),
        ({"nodes": "n1,n1"}, "each once"),
        ({"nodes": ",".join(f"n{i}" for i in range(17))}, "at most 16 nodes"),
        ({"of": "10001"}, "want a whole number of 1 to 10000"),
        ({"of": "9" * 18}, "want a whole number of 1 to 10000"),
        ({"health_check_port": "65536"}, "want a whole number of 1 to 65535"),
        ({"sharing_key": ""}, "sharing-key is '': want a text"),
        ({"sharing_key": "k", "sharing_ports": "TCP/53,53"}, "want it like TCP/53,UDP/53"),
        ({"sharing_key": "k", "sharing_ports": "TCP/65536"}, "want it like TCP/53,UDP/53"),
        ({"failback_delay": "soon"}, "want it like 30s|write it like 30s"),
        ({"release_after": "2026-01-31T12:00:00"}, "want a time with its zone"),
        ({"contract": "2"}, "written in contract 2, this program reads up to 1: upgrade it"),
    ],
)
def test_a_broken_child_is_refused_by_name(annotations, said):
    with pytest.raises(errors.ContractError, match=said) as caught:
        child.decode(manifest(**annotations))
    assert "shop/web-l2-1" in str(caught.value)


@given(st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), st.integers(1, 99))
def test_a_childs_name_fits_a_label(service, ordinal):
    name = child.child_name(service, ordinal)
    assert len(name) <= 63
    assert name.endswith(f"-l2-{ordinal}")


def test_long_names_that_differ_at_the_end_stay_different():
    stem = "a" * 62
    assert child.child_name(stem + "b", 1) != child.child_name(stem + "c", 1)
