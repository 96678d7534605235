# SPDX-License-Identifier: MIT
"""The page updates itself; the browser's clock is a fake one, so that no test waits for it."""

import pytest
from playwright.sync_api import expect

from tests.unit.page import cluster

EVERY_MS = 5000


@pytest.fixture
def opened(look, clock):
    """A page whose time stands still but for `tick`."""

    class Opened:
        def __init__(self, path=""):
            self.page = look()
            self.page.clock.install()
            self.page.goto(self.page.url + path)
            self.status = self.page.get_by_role("status")

        def row(self, address):
            return self.page.locator("table.grid tr", has_text=address)

        def tick(self):
            """Let the next update come, and wait until it is there."""
            clock.move(30)
            with self.page.expect_response(self.page.url):
                self.page.clock.run_for(EVERY_MS)

    return Opened


def test_what_is_new_appears(opened, api):
    shown = opened()
    row = shown.row("10.77.0.205")
    expect(row).to_contain_text("announced")
    cluster.held_by(api.service("everywhere-l2-3"), None)
    shown.tick()

    expect(row).to_contain_text("no speaker has spoken of it yet")
    expect(shown.page).to_have_title("1 Service in trouble · l2-load-balancer")


def test_focus_selection_and_scroll_position_stay(opened, api):
    shown = opened()
    shown.page.set_viewport_size({"width": 800, "height": 300})
    link = shown.row("10.77.0.206").get_by_role("link")
    link.focus()
    shown.page.evaluate("window.marked = document.activeElement; scrollTo(0, 200)")
    before = shown.page.evaluate("scrollY")
    assert before > 0
    api.lists[cluster.SERVICES].remove(api.service("everywhere-l2-1"))
    cluster.held_by(api.service("everywhere-l2-4"), "node-4")
    shown.tick()

    expect(shown.row("10.77.0.203")).to_have_count(0)
    assert shown.page.evaluate("document.activeElement === window.marked && marked.isConnected")
    expect(link).to_be_focused()
    assert shown.page.evaluate("scrollY") == pytest.approx(before, abs=60)


def test_a_row_that_comes_in_between_moves_no_other(opened, api):
    missing = api.service("everywhere-l2-2")
    api.lists[cluster.SERVICES].remove(missing)
    shown = opened()
    shown.row("10.77.0.205").get_by_role("link").focus()
    api.lists[cluster.SERVICES].append(missing)
    shown.tick()

    expect(shown.row("10.77.0.204")).to_have_count(1)
    expect(shown.row("10.77.0.205").get_by_role("link")).to_be_focused()
    addresses = shown.page.locator("table.grid tbody th").all_inner_texts()
    assert addresses == ["10.77.0.203", "10.77.0.204", "10.77.0.205", "10.77.0.206"]


def test_what_somebody_types_stays(opened):
    shown = opened("services")
    box = shown.page.get_by_label("Namespace or name contains")
    box.fill("half a na")
    shown.tick()

    expect(box).to_have_value("half a na")


def test_a_screen_reader_hears_a_change_and_no_more(opened, api):
    shown = opened()
    shown.tick()
    expect(shown.status).to_have_text("")
    cluster.held_by(api.service("everywhere-l2-3"), None)
    shown.tick()

    expect(shown.status).to_contain_text("1 balancer, 1 Service: 1")


def test_updates_can_be_paused_and_go_on(opened, api):
    shown = opened()
    asked = []
    shown.page.on("request", lambda request: asked.append(request.url))
    shown.page.get_by_role("button", name="Pause").click()
    cluster.held_by(api.service("everywhere-l2-3"), None)
    shown.page.clock.run_for(10 * EVERY_MS)
    assert shown.page.url not in asked
    with shown.page.expect_response(shown.page.url):
        shown.page.get_by_role("button", name="Go on").click()
    expect(shown.page.get_by_role("button", name="Pause")).to_be_visible()


def test_a_webhook_that_is_gone_is_said_on_the_page_and_aloud(opened, served):
    shown = opened()
    shown.page.route("**/*", lambda route: route.abort())
    shown.page.clock.run_for(EVERY_MS)

    expect(shown.page.get_by_text("No answer: the page is not up to date.").first).to_be_visible()
    expect(shown.status).to_contain_text("No answer")
    expect(shown.row("10.77.0.203")).to_be_visible()


def test_an_api_server_that_is_gone_is_shown_by_the_next_update_and_goes_again(opened, api):
    shown = opened()
    api.down = True
    shown.tick()
    expect(shown.page.locator("#stale")).to_contain_text("What you see is of 30 s ago")
    api.down = False
    shown.tick()

    expect(shown.page.locator("#stale")).to_have_count(0)
