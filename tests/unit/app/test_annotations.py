# SPDX-License-Identifier: MIT
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import annotations, errors
from app.placement import model
from contract import names

KEYS = annotations.Keys()
NAME = {names.SERVICE_BALANCER: "front"}


def test_the_balancers_name_alone_is_enough():
    assert annotations.ask(NAME, KEYS) == annotations.Ask("front")


def test_all_annotations_are_read():
    asked = annotations.ask(
        NAME
        | {
            names.SERVICE_IP_COUNT: "auto",
            names.SERVICE_ADDRESSES: " 192.0.2.1 ,2001:db8::1",
            names.SERVICE_SHARING_KEY: "edge",
        },
        KEYS,
    )
    assert asked.ip_count is model.AUTO
    assert asked.addresses == (
        ipaddress.ip_address("192.0.2.1"),
        ipaddress.ip_address("2001:db8::1"),
    )
    assert asked.sharing_key == "edge"


@pytest.mark.parametrize("count", [1, 2, 64])
def test_a_count_is_a_number_up_to_64(count):
    assert annotations.ask(NAME | {names.SERVICE_IP_COUNT: str(count)}, KEYS).ip_count == count


@pytest.mark.parametrize("text", ["", "-1", "1.0", " 3", "Auto", "065x", "1e1", "²", "9" * 5000])
def test_anything_else_is_no_count(text):
    with pytest.raises(annotations.AnnotationError, match="from 1 to 64, or auto"):
        annotations.ask(NAME | {names.SERVICE_IP_COUNT: text}, KEYS)


def test_the_same_value_under_two_keys_is_one():
    keys = annotations.Keys.of(aliases={"old/name": "load-balancer"})
    assert annotations.ask(NAME | {"old/name": "front"}, keys).balancer == "front"


def test_a_prefix_moves_all_keys():
    keys = annotations.Keys.of(prefix="lb.example.com")
    assert keys.balancer == ("lb.example.com/load-balancer",)
    assert annotations.balancer_of(NAME, keys) is None


def test_an_alias_for_nothing_is_refused_by_name():
    with pytest.raises(errors.SettingsError, match="'balancer', which is no key of ours"):
        annotations.Keys.of(aliases={"old/name": "balancer"})


def test_too_many_addresses_of_a_family_are_refused():
    text = ",".join(f"192.0.2.{n}" for n in range(65))
    with pytest.raises(annotations.AnnotationError, match="more than 64 IPv4"):
        annotations.ask(NAME | {names.SERVICE_ADDRESSES: text}, KEYS)


def test_an_endless_list_is_refused_before_any_of_it_is_read():
    text = ",".join(["nonsense"] * 20_000)
    with pytest.raises(annotations.AnnotationError, match="more than 128 addresses"):
        annotations.ask(NAME | {names.SERVICE_ADDRESSES: text}, KEYS)


def test_an_address_with_a_zone_is_none():
    zoned = NAME | {names.SERVICE_ADDRESSES: "2001:db8::1%x"}
    with pytest.raises(annotations.AnnotationError, match="without zones"):
        annotations.ask(zoned, KEYS)


@pytest.mark.parametrize(
    "key", [KEYS.balancer[0], KEYS.ip_count[0], KEYS.addresses[0], KEYS.sharing_key[0]]
)
def test_a_value_of_any_length_is_refused_with_a_sentence_that_a_condition_takes(key):
    with pytest.raises(annotations.AnnotationError) as refused:
        annotations.ask(NAME | {key: "9" * 200_000}, KEYS)
    assert len(str(refused.value)) < 1000


@given(
    st.dictionaries(
        st.sampled_from(
            [KEYS.balancer[0], KEYS.ip_count[0], KEYS.addresses[0], KEYS.sharing_key[0]]
        ),
        st.text(),
    )
)
def test_any_text_is_read_or_refused_with_a_sentence_that_names_the_key(values):
    complaint = names.GROUP
    try:
        annotations.ask(values, KEYS)
    except annotations.AnnotationError as error:
        complaint = str(error)
    assert names.GROUP in complaint
