# SPDX-License-Identifier: MIT
"""What a real API server lets through and refuses, and what it says then."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab import inside

Spec = dict[str, Any]


def tried(lab: inside.Lab, spec: Spec, name: str = "tried") -> inside.Json:
    """Ask the API server what it would make of a balancer; a field that is None is left out."""
    whole = {
        "addressPool": ["192.0.2.10-192.0.2.50"],
        "nodeSelector": {"node-role/frontend": ""},
        **spec,
    }
    balancer = {
        "apiVersion": "l2lb.io/v1alpha1",
        "kind": "L2LoadBalancer",
        "metadata": {"name": name},
        "spec": {key: value for key, value in whole.items() if value is not None},
    }
    words = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    found: inside.Json = json.loads(lab.kubectl(*words, standard_input=json.dumps(balancer)))
    return found


def test_what_is_left_out_gets_its_default(lab: inside.Lab) -> None:
    spec = tried(lab, {})["spec"]
    assert spec == {
        "addressPool": ["192.0.2.10-192.0.2.50"],
        "nodeSelector": {"node-role/frontend": ""},
        "ipCount": "auto",
        "avoidBuggyIPs": False,
        "ignoreExcludeLabel": False,
        "failbackDelay": "30s",
    }


@pytest.mark.parametrize(
    "spec",
    [
        {"addressPool": ["192.0.2.10"]},
        {"addressPool": ["192.0.2.0/24", "2001:db8::/120"]},
        {"addressPool": ["192.0.2.9-192.0.2.10"]},
        {"addressPool": ["9.255.255.255-10.0.0.0"]},
        {"addressPool": ["192.0.2.10-192.0.2.10"]},
        {"addressPool": ["2001:db8::1-2001:db8::ff"]},
        {"addressPool": [f"10.0.0.{number}" for number in range(64)]},
        # CEL cannot order IPv6 addresses: the balancer's hook judges this one.
        {"addressPool": ["2001:db8::ff-2001:db8::1"]},
        {"nodeSelector": {"kubernetes.io/os": "linux", "Zone_a.1": "x-Y.1"}},
        {"nodeSelector": {f"key-{number}": "" for number in range(16)}},
        {"ipCount": "auto"},
        {"ipCount": 1},
        {"ipCount": 64},
        {"interfaces": ["eth1", "bond*", "en[ps]?"]},
        {"namespaces": ["shop", "web-2"]},
        {"failbackDelay": "never"},
        {"failbackDelay": "0s"},
        {"failbackDelay": "1.5h"},
        {"failbackDelay": "23h59m59s999ms"},
        {"failbackDelay": "24h"},
    ],
    ids=str,
)
def test_a_right_spec_is_let_through(lab: inside.Lab, spec: Spec) -> None:
    found = tried(lab, spec)["spec"]
    assert {key: found[key] for key in spec} == spec


NO_ENTRY = (
    "no address, CIDR or range: write it like 192.0.2.10, 192.0.2.0/28, "
    "192.0.2.10-192.0.2.50 or 2001:db8::/120"
)
NO_HOST = (
    "no node may announce loopback, link-local, multicast or reserved addresses: "
    "use those of the network that clients are on"
)
NO_LABEL = (
    'is no label: write [prefix/]name, with at most 63 letters, digits, "-", "_" and ".", '
    "such as node-role/frontend"
)
NO_COUNT = "ipCount is auto or a number from 1 to 64, without quotes"
NO_INTERFACE = "no interface: write one name or shell pattern an entry, such as eth1 or bond*"
NO_DELAY = "no delay: write never, or a time of at most 24h such as 30s, 5m or 1h30m"


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"addressPool": None}, "spec.addressPool: Required value"),
        ({"addressPool": []}, "list at least one, such as 192.0.2.10-192.0.2.50"),
        ({"addressPool": ["10.0.0.1"] * 65}, "must have at most 64 items"),
        ({"addressPool": ["1" * 90]}, "may not be more than 89 bytes"),
        ({"addressPool": ["front"]}, f'spec.addressPool[0]: Invalid value: "front": {NO_ENTRY}'),
        ({"addressPool": [""]}, NO_ENTRY),
        ({"addressPool": ["192.0.2.300"]}, NO_ENTRY),
        ({"addressPool": ["192.0.2.0/33"]}, NO_ENTRY),
        ({"addressPool": ["192.0.2.10-20"]}, NO_ENTRY),
        ({"addressPool": ["192.0.2.10-"]}, NO_ENTRY),
        ({"addressPool": ["192.0.2.1 - 192.0.2.9"]}, NO_ENTRY),
        ({"addressPool": ["192.0.2.1-192.0.2.2-192.0.2.3"]}, NO_ENTRY),
        ({"addressPool": ["fe80::1%eth0"]}, NO_ENTRY),
        ({"addressPool": ["::ffff:192.0.2.1"]}, NO_ENTRY),
        ({"addressPool": ["192.0.2.1", "front"]}, "spec.addressPool[1]"),
        (
            {"addressPool": ["192.0.2.1-2001:db8::1"]},
            "a range is of one family: make this two entries, one for IPv4 and one for IPv6",
        ),
        (
            {"addressPool": ["192.0.2.100-192.0.2.20"]},
            "a range begins with its lowest address: write 192.0.2.20-192.0.2.100",
        ),
        (
            {"addressPool": ["192.0.2.5/24"]},
            (
                "host bits are set: write the first address of the network before the slash, "
                "or 192.0.2.5 for one address"
            ),
        ),
        ({"addressPool": ["127.0.0.1"]}, NO_HOST),
        ({"addressPool": ["0.0.0.0/0"]}, NO_HOST),
        ({"addressPool": ["10.0.0.1-224.0.0.1"]}, NO_HOST),
        ({"addressPool": ["fe80::/64"]}, NO_HOST),
        ({"addressPool": ["ff02::1"]}, NO_HOST),
        ({"nodeSelector": None}, "spec.nodeSelector: Required value"),
        ({"nodeSelector": {}}, "name at least one label, such as node-role/frontend"),
        ({"nodeSelector": {f"k{number}": "" for number in range(17)}}, "at most 16 items"),
        ({"nodeSelector": {"a b": ""}}, f'"a b" {NO_LABEL}'),
        ({"nodeSelector": {"right": "", "Bad_/name": ""}}, f'"Bad_/name" {NO_LABEL}'),
        ({"nodeSelector": {"k" * 64: ""}}, NO_LABEL),
        ({"nodeSelector": {"zone": "a b"}}, 'spec.nodeSelector[zone]: Invalid value: "a b"'),
        ({"nodeSelector": {"zone": "-a"}}, "with a letter or digit at both ends"),
        ({"nodeSelector": {"zone": "a" * 64}}, "may not be more than 63 bytes"),
        ({"nodeSelector": {"zone": True}}, "must be of type string"),
        ({"ipCount": 0}, NO_COUNT),
        ({"ipCount": 65}, NO_COUNT),
        ({"ipCount": -1}, NO_COUNT),
        ({"ipCount": "3"}, NO_COUNT),
        ({"ipCount": "all"}, NO_COUNT),
        ({"ipCount": 1.5}, "must be of type integer,string"),
        ({"interfaces": []}, "leave interfaces out to let each node choose"),
        ({"interfaces": ["eth0,eth1"]}, NO_INTERFACE),
        ({"interfaces": ["eth0 eth1"]}, NO_INTERFACE),
        ({"interfaces": [""]}, NO_INTERFACE),
        ({"namespaces": []}, "leave namespaces out to allow all, or name one"),
        ({"namespaces": ["Shop"]}, "no name of a namespace"),
        ({"namespaces": ["a", "a"]}, "Duplicate value"),
        ({"failbackDelay": "30"}, NO_DELAY),
        ({"failbackDelay": "-5s"}, NO_DELAY),
        ({"failbackDelay": "1d"}, NO_DELAY),
        ({"failbackDelay": "24h1ms"}, NO_DELAY),
        ({"failbackDelay": "99999h99999h"}, NO_DELAY),
        ({"failbackDelay": ""}, NO_DELAY),
        ({"addresPool": ["192.0.2.10"]}, 'unknown field "spec.addresPool"'),
    ],
    ids=str,
)
def test_a_wrong_spec_is_refused_and_told_what_would_be_right(
    lab: inside.Lab, spec: Spec, complaint: str
) -> None:
    with pytest.raises(inside.CommandError) as refused:
        tried(lab, spec)
    assert complaint in str(refused.value)


def test_a_name_too_long_for_a_label_is_refused(lab: inside.Lab) -> None:
    assert tried(lab, {}, name="a" * 63)
    with pytest.raises(inside.CommandError, match="so it has at most 63 characters"):
        tried(lab, {}, name="a" * 64)


def test_the_table_of_balancers_has_a_column_for_what_matters(lab: inside.Lab) -> None:
    found = lab.get("customresourcedefinition", "l2loadbalancers.l2lb.io")
    (version,) = found["spec"]["versions"]
    names = [column["name"] for column in version["additionalPrinterColumns"]]
    assert " ".join(names) == "Pool Assigned Nodes Services Pending Ready Reason Age"


def test_every_field_explains_itself(lab: inside.Lab) -> None:
    explained = lab.kubectl("explain", "l2loadbalancers", "--recursive=false")
    assert "public addresses from a pool" in explained
    found = lab.get("customresourcedefinition", "l2loadbalancers.l2lb.io")
    (version,) = found["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]["properties"]
    assert not list(undescribed(schema["spec"], "spec"))
    assert not list(undescribed(schema["status"], "status"))


def undescribed(schema: inside.Json, path: str) -> Iterator[str]:
    """Yield the fields that have no description."""
    if "description" not in schema:
        yield path
    for name, inner in schema.get("properties", {}).items():
        yield from undescribed(inner, f"{path}.{name}")
    items = schema.get("items", {})
    for name, inner in items.get("properties", {}).items():
        yield from undescribed(inner, f"{path}[].{name}")
