# SPDX-License-Identifier: MIT
import re
from http import HTTPStatus

import pytest

from app.page import pages, reading
from contract import names
from tests.unit.page import cluster

OVERVIEW = pages.Wanted("overview")
SERVICE = pages.Wanted("service", namespace="shop", name="everywhere")
EVERY = [
    OVERVIEW,
    pages.Wanted("services"),
    pages.Wanted("balancer", name="front"),
    SERVICE,
]
HOSTILE = "\"'><img src=x onerror=alert(1)></textarea></title><script>alert(1)</script>{{7*7}}"


def text(answer):
    """What a reader sees, without the markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.body)).strip()


def test_the_overview_shows_each_balancer_with_its_addresses_nodes_and_services(made):
    shown = text(made.answer(OVERVIEW))

    assert "1 balancer, 1 Service: 1 fine." in shown
    assert "ready every Service has what it asks for." in shown
    assert "IPv4: 4 of 21 assigned, 17 free" in shown
    for address in ("10.77.0.203", "10.77.0.204", "10.77.0.205", "10.77.0.206"):
        assert address in shown
    assert shown.count("holds it") == 4


def test_what_is_not_as_planned_is_said_in_words(made, api):
    cluster.held_by(api.service("everywhere-l2-1"), "node-4")
    cluster.held_by(api.service("everywhere-l2-2"), None)
    shown = text(made.answer(OVERVIEW))

    assert "2 of 4 addresses not as planned" in shown
    assert shown.count("stands in") == 1
    assert shown.count("should hold it") == 2
    assert "no speaker has spoken of it yet" in shown
    assert "1 Service in trouble" in shown


def test_a_services_page_says_all_that_is_known_of_why(made):
    shown = text(made.answer(SERVICE))

    assert "It asks for one IPv4 address for each of the 4 nodes of balancer front" in shown
    assert "10.77.0.203: node-3, which is preferred, announces it." in shown
    assert "auto, by annotation l2lb.io/ip-count" in shown
    assert "Its status lists 10.77.0.203, 10.77.0.204, 10.77.0.205, 10.77.0.206" in shown
    assert "l2lb.io/Assigned True Assigned" in shown


def test_moves_are_told_the_newest_first(made, api):
    minute_ago = cluster.NOW.replace(minute=24)
    hour_ago = cluster.NOW.replace(hour=12)
    api.lists[reading.EVENTS] = [
        cluster.moved("10.77.0.204", "node-1", "node-2", at=hour_ago, service="everywhere"),
        cluster.moved("10.77.0.203", "node-3", "node-4", at=minute_ago, service="everywhere"),
    ]
    told = "1 min ago 10.77.0.203 shop/everywhere node-3 node-4"

    assert told in text(made.answer(OVERVIEW))
    assert (
        "1 h ago 10.77.0.204 shop/everywhere node-1 node-2"
        in text(made.answer(OVERVIEW)).partition(told)[2]
    )
    assert "1 min ago 10.77.0.203 node-3 node-4" in text(made.answer(SERVICE))


def test_however_many_moves_there_were_a_page_tells_some(made, api):
    api.lists[reading.EVENTS] = [
        cluster.moved(f"10.77.0.{n}", "n1", "n2", at=cluster.NOW, service="everywhere")
        for n in range(250)
    ]

    assert made.answer(OVERVIEW).body.count("n1</td>") == pages.MAX_MOVES


@pytest.mark.parametrize("wanted", EVERY, ids=lambda wanted: wanted.page)
def test_an_api_server_that_is_gone_is_said_with_the_age_of_what_is_shown(made, api, clock, wanted):
    made.answer(wanted)
    api.down = True
    clock.move(185)
    answer = made.answer(wanted)

    assert answer.status == HTTPStatus.OK
    assert (
        "What you see is of 3 min ago , 2026-11-23 13:25:00 UTC, and may be wrong by now. GET "
        f"{cluster.BALANCERS}: the API server cannot be reached: connection refused"
    ) in text(answer)
    assert "everywhere" in answer.body or "front" in answer.body


@pytest.mark.parametrize("wanted", EVERY, ids=lambda wanted: wanted.page)
def test_before_the_first_reading_there_is_a_sentence_and_no_empty_cluster(made, api, wanted):
    api.refused[cluster.SERVICES] = 403
    answer = made.answer(wanted)

    assert answer.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert f"GET {cluster.SERVICES}: 403: no such right." in text(answer)


def test_an_empty_cluster_says_what_comes_first(made, api):
    api.lists.clear()

    assert "There is no L2LoadBalancer yet." in text(made.answer(OVERVIEW))
    assert "No Service names a balancer yet." in text(made.answer(pages.Wanted("services")))


def test_a_service_without_its_balancer_is_shown_on_the_overview(made, api):
    api.service("everywhere")["metadata"]["annotations"][names.SERVICE_BALANCER] = "gone"
    shown = text(made.answer(OVERVIEW))

    assert "Services that name a balancer which does not exist" in shown


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (pages.Wanted("service", namespace="shop", name="none"), "No Service shop/none"),
        (pages.Wanted("balancer", name="none"), "There is no L2LoadBalancer 'none'"),
    ],
)
def test_what_does_not_exist_is_named(made, wanted, words):
    answer = made.answer(wanted)

    assert answer.status == HTTPStatus.NOT_FOUND
    assert words in text(answer).replace("&#39;", "'")


def spoilt(api, words):
    """Put the words wherever somebody could have a say."""
    [balancer] = api.lists[cluster.BALANCERS]
    balancer["metadata"]["name"] = words
    balancer["spec"] |= {
        "addressPool": [words],
        "nodeSelector": {words: words},
        "namespaces": [words],
        "interfaces": [words],
        "failbackDelay": words,
    }
    for condition in balancer["status"]["conditions"]:
        condition |= {"message": words, "reason": words, "status": "False"}
    for node in api.lists[cluster.NODES]:
        node["metadata"]["name"] += words
    for service in api.lists[cluster.SERVICES]:
        notes = service["metadata"]["annotations"]
        if names.CHILD_ADDRESS in notes:
            notes[names.CHILD_NODES] = words
            notes[names.CHILD_SERVICE] = words
        else:
            for key in (
                names.SERVICE_BALANCER,
                names.SERVICE_IP_COUNT,
                names.SERVICE_ADDRESSES,
                names.SERVICE_SHARING_KEY,
            ):
                notes[key] = words
            service["metadata"] |= {"name": words, "namespace": words}
        for condition in service.get("status", {}).get("conditions", ()):
            condition |= {"message": words, "reason": words}
    plain = words.replace(" ", "/")
    api.lists[reading.EVENTS] = [
        cluster.moved("10.77.0.203", plain, plain, at=cluster.NOW, service=words)
    ]


@pytest.mark.parametrize("page", ["overview", "services", "balancer", "service"])
def test_whatever_users_write_is_shown_and_never_markup(made, api, page):
    spoilt(api, HOSTILE)
    answer = made.answer(pages.Wanted(page, namespace=HOSTILE, name=HOSTILE, text=HOSTILE))

    assert "alert(1)" in answer.body
    assert "<img" not in answer.body
    assert "<script>" not in answer.body
    assert "49" not in re.sub(r"\d+:\d+:\d+", "", text(answer))


def test_of_a_large_balancer_the_overview_shows_only_what_is_not_fine(api, made):
    api.lists = cluster.many(200)
    cluster.held_by(api.service("web-0007-l2-2"), None)
    shown = text(made.answer(OVERVIEW))

    assert "Addresses of front that are not fine, by node" in shown
    assert shown.count("10.0.0.") == 1 + shown.count("10.0.0.23:")
    assert "All 600 addresses of front" in shown


def test_a_large_balancer_in_which_all_is_fine_says_so_in_a_sentence(api, made):
    api.lists = cluster.many(200)

    assert "All 600 addresses are announced by the nodes that should hold them." in text(
        made.answer(OVERVIEW)
    )


def test_a_large_balancers_own_page_has_pages(api, made):
    api.lists = cluster.many(200)
    first = made.answer(pages.Wanted("balancer", name="front"))
    last = made.answer(pages.Wanted("balancer", name="front", number=6))

    assert "1 to 100 of 600" in text(first)
    assert 'href="../balancers/front?page=2"' in first.body
    assert 'rel="prev"' not in first.body
    assert "501 to 600 of 600" in text(last)
    assert 'rel="next"' not in last.body


def test_a_page_does_not_grow_with_the_cluster(api, made):
    api.lists = cluster.many(300, nodes=60)

    for wanted in EVERY[:3]:
        assert len(made.answer(wanted).body) < 400_000


def test_services_are_found_by_a_part_of_their_name_and_the_pager_keeps_it(api, made):
    api.lists = cluster.many(200)

    assert "1 Service of 200" in text(made.answer(pages.Wanted("services", text="WEB-0042")))
    found = made.answer(pages.Wanted("services", text="web-0", troubled=False))
    assert 'href="./services?page=2&amp;name=web-0"' in found.body
    assert "None is like that." in text(made.answer(pages.Wanted("services", text="&")))


def test_services_in_trouble_can_be_shown_alone(api, made):
    api.lists = cluster.many(200)
    cluster.held_by(api.service("web-0007-l2-2"), None)

    assert "1 Service of 200" in text(made.answer(pages.Wanted("services", troubled=True)))
