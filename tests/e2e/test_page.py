# SPDX-License-Identifier: MIT
"""The page with a real cluster's data, reached as through kubectl port-forward."""

import re
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from app.explain import reading, view
from contract import names
from lab import inside, release
from tests.e2e import people
from tools import browser as chromium
from tools import page as tools

POOL = "10.77.0.120-10.77.0.127"
SEEN_WITHIN_MS = 60_000


@pytest.fixture(scope="module")
def browser(lab: inside.Lab) -> Iterator[Browser]:
    program = chromium.program()
    if program is None:
        pytest.skip(chromium.MISSING)
    with chromium.opened(program, netns=tools.network(lab)) as opened:
        yield opened


@pytest.fixture
def user(whole: inside.Lab, namespace: str) -> Iterator[people.User]:
    """A user with a balancer on node-1 to node-4; the webhook is on node-5."""
    name = f"front-{uuid.uuid4().hex[:6]}"
    label = f"test/{name}"
    whole.kubectl("label", "node", "node-1", "node-2", "node-3", "node-4", f"{label}=")
    balancer = people.Balancer(whole, [POOL], name=name, selector={label: ""})
    yield people.User(whole, namespace, balancer.name)
    balancer.delete()
    whole.kubectl("label", "node", "--all", f"{label}-")


def cell(page: Page, address: str, node: str) -> str:
    """What the grid says of a node and an address."""
    heads = page.locator("table.grid thead th").all_inner_texts()
    column = next(at for at, text in enumerate(heads) if text.split("\n")[0].strip() == node)
    row = page.locator("table.grid tbody tr", has_text=address)
    return row.locator("th, td").nth(column).inner_text().strip()


def test_the_page_shows_who_holds_each_address_and_follows_when_a_node_is_cut(
    user: people.User, browser: Browser
) -> None:
    user.serve("web", count="3")
    user.addresses("web", 3)
    holders = user.holders("web", 3)
    page = browser.new_page()
    page.goto(f"{tools.URL}services/{user.namespace}/web")

    for address, node in holders.items():
        row = page.locator("table.grid tbody tr", has_text=address)
        expect(row).to_contain_text("announced", timeout=SEEN_WITHIN_MS)
        assert cell(page, address, node) == "holds it"
    address, cut = next(iter(holders.items()))
    user.lab.run(None, "ip", "link", "set", f"port-{cut}", "nomaster")
    row = page.locator("table.grid tbody tr", has_text=address)
    expect(row).to_contain_text(re.compile("stands in|moved"), timeout=SEEN_WITHIN_MS)
    assert cell(page, address, cut) != "holds it"
    moved = page.get_by_role("table", name=re.compile("^Moves of its addresses"))
    expect(moved.locator("tbody tr", has_text=address).first).to_contain_text(
        cut, timeout=SEEN_WITHIN_MS
    )
    page.close()


def test_a_services_page_says_what_explain_says(user: people.User) -> None:
    user.serve("pending", annotations={names.SERVICE_ADDRESSES: "192.0.2.1"})
    user.condition("pending", "AddressNotInPool")

    def told() -> bool:
        lists = {kind: user.lab.items(kind, "-A") for kind in ("services", "nodes", names.PLURAL)}
        found = view.explain_service(
            reading.Objects(lists[names.PLURAL], lists["services"], lists["nodes"]),
            user.namespace,
            "pending",
        )
        assert found is not None
        url = f"{tools.URL}services/{user.namespace}/pending"
        shown = re.sub(r"<[^>]*>", "", user.lab.fetch(tools.network(user.lab), url, within_s=30))
        return all(_escaped(sentence) in shown for sentence in found.sentences)

    inside.until(told, "the page says all the sentences of explain", within_s=60)


def _escaped(text: str) -> str:
    for character, entity in {"&": "&amp;", "'": "&#39;", '"': "&#34;", "<": "&lt;"}.items():
        text = text.replace(character, entity)
    return text.replace(">", "&gt;")


def test_no_other_pod_reaches_the_page(lab: inside.Lab) -> None:
    pods = lab.items("pods", "-n", release.NAMESPACE, "-l", release.WEBHOOKS)
    address = pods[0]["status"]["podIP"]
    [other, *_] = lab.items("pods", "-n", "metacontroller")
    place = tools.network_of(lab, other)
    hooks = f"http://{address}:{release.WEBHOOK_PORT}/"
    # What speaks HTTPS is there, and hangs up on HTTP.
    with pytest.raises(inside.CommandError, match=r"RemoteDisconnected|reset by peer|BadStatus"):
        lab.fetch(place, hooks)
    assert "l2-load-balancer" in lab.fetch(tools.network(lab), tools.URL, within_s=30)
    with pytest.raises(inside.CommandError, match="Connection refused"):
        lab.fetch(place, f"http://{address}:8081/")
