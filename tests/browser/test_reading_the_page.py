# SPDX-License-Identifier: MIT
import re

from playwright.sync_api import expect

from tests.unit.page import cluster


def test_without_scripts_the_page_is_whole(look):
    page = look(java_script_enabled=False)

    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.get_by_role("table", name="Addresses of front by node")).to_be_visible()
    expect(page.get_by_text("Reload the page to see what is new.")).to_be_visible()
    page.get_by_role("link", name="shop/everywhere").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Service shop/everywhere")
    page.get_by_role("link", name="front").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Balancer front")
    page.get_by_role("link", name="Services", exact=True).click()
    page.get_by_label("Namespace or name contains").fill("no such")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("None is like that.")).to_be_visible()


def test_a_row_reads_as_a_sentence_would(look, api):
    cluster.held_by(api.service("everywhere-l2-1"), "node-4")
    row = look().locator("table.grid tr", has_text="10.77.0.203")

    expect(row.get_by_role("rowheader")).to_have_text("10.77.0.203")
    cells = [text.strip() for text in row.get_by_role("cell").all_inner_texts()]
    assert cells[:5] == [
        "shop/everywhere",
        "stand-in 2",
        "stand-in 3",
        "should hold it",
        "stands in",
    ]
    assert "moved" in cells[5]


def test_behind_a_proxy_with_a_prefix_all_links_stay_behind_it(look, served):
    """As kubectl proxy and the API server's own proxy have one."""
    page = look("proxy/")

    for name in ("front", "shop/everywhere", "Services", "Overview"):
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(page).to_have_url(re.compile(re.escape(f"{served.url}proxy/")))
        expect(page.locator(".skip")).to_have_css("position", "absolute")


def test_what_hostile_users_write_runs_nowhere(look, api):
    words = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    for condition in api.lists[cluster.BALANCERS][0]["status"]["conditions"]:
        condition["message"] = words
    page = look("balancers/front")

    expect(page.get_by_role("cell", name=words).first).to_be_visible()
    assert page.locator("main img, main script").count() == 0
    assert page.title() != "run"


def test_even_a_script_that_slipped_in_would_not_run(browser, served):
    """The policy forbids it, should a template ever forget to escape."""
    context = browser.new_context()
    page = context.new_page()
    blocked = []
    page.on("console", lambda said: blocked.append(said.text))
    page.goto(served.url)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "document.title = 'run'";
          document.body.append(script);
          const image = document.createElement("div");
          image.innerHTML = "<img src=x onerror=\\"document.title = 'run'\\">";
          document.body.append(image);
          return new Promise((done) => image.firstChild.addEventListener("error", done));
        }"""
    )

    assert page.title() != "run"
    assert any("Content Security Policy" in text for text in blocked)
    context.close()
