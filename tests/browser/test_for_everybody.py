# SPDX-License-Identifier: MIT
"""That the page can be used without a mouse, without good eyes, in the dark and on a small screen.

After WCAG 2.2, level AA, as far as a program can judge it; each test names its criterion.
"""

import itertools
from pathlib import Path

import pytest

from app.page import reading
from tests.unit.page import cluster

PATHS = ["", "services", "balancers/front", "services/shop/everywhere", "services/shop/none"]
ENOUGH = 4.5  # contrast of text
ENOUGH_FOR_SHAPES = 3.0
AUDIT = (Path(__file__).parent / "audit.js").read_text()


def audit(page, question):
    return page.evaluate(f"() => {{ {AUDIT}\n return {question}; }}")


def channel(value):
    value /= 255
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def luminance(colour):
    red, green, blue = (float(part) for part in colour.split("(")[1].rstrip(")").split(",")[:3])
    return 0.2126 * channel(red) + 0.7152 * channel(green) + 0.0722 * channel(blue)


def contrast(one, other):
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


@pytest.fixture(autouse=True)
def trouble(api):
    """A cluster in which there is something of every colour."""
    cluster.held_by(api.service("everywhere-l2-1"), "node-4")
    cluster.held_by(api.service("everywhere-l2-2"), None)
    [broken] = api.service("everywhere-l2-3")["status"]["conditions"]
    broken |= {"status": "False", "reason": "NoCandidate", "message": "nobody is fit"}
    api.lists[cluster.NODES][1]["metadata"]["labels"] = {}
    api.lists[reading.EVENTS] = [
        cluster.moved("10.77.0.203", "node-3", "node-4", at=cluster.NOW, service="everywhere")
    ]


@pytest.fixture
def every(look, served):
    """Yields each page in turn, in one window."""

    def pages(**options):
        page = look(**options)
        for path in PATHS:
            page.goto(served.url + path)
            yield path, page

    return pages


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_and_shape_stands_out_from_what_is_behind_it(every, scheme):
    """1.4.3 Contrast, 1.4.11 Non-text Contrast."""
    seen = set()
    for path, page in every(color_scheme=scheme):
        for text, colour, behind in audit(page, "texts()"):
            seen.add((colour, behind))
            assert contrast(colour, behind) >= ENOUGH, (path, text, colour, behind)
        for colour, behind in audit(page, "dots()"):
            assert contrast(colour, behind) >= ENOUGH_FOR_SHAPES, (path, colour, behind)
    assert len(seen) > 8


def test_dark_mode_is_dark_and_light_mode_is_light(look):
    body = "getComputedStyle(document.body).backgroundColor"

    assert luminance(look(color_scheme="light").evaluate(body)) > 0.9
    assert luminance(look(color_scheme="dark").evaluate(body)) < 0.05


def test_the_structure_can_be_heard(every):
    """1.3.1 Info and Relationships, 2.4.2 Page Titled, 2.4.6 Headings and Labels, 4.1.2 Name."""
    for path, page in every():
        found = audit(page, "structure()")
        headings = found["headings"]
        assert found["language"] == "en", path
        assert found["title"].endswith("· l2-load-balancer"), path
        assert headings[0] == 1, path
        assert headings.count(1) == 1, path
        assert all(after <= before + 1 for before, after in itertools.pairwise(headings)), path
        assert found["landmarks"] == [1, 1, 1, 1], path
        for table in found["tables"]:
            assert all(table.values()), (path, table)
        assert not any(found["faults"].values()), (path, found["faults"])


def test_colour_is_never_alone(every):
    """1.4.1 Use of Color: what has a colour of its own has words too."""
    for path, page in every():
        coloured = page.locator(".badge, .holds, .stands-in, .should-hold, .last-seen, .unfit")
        for text in coloured.all_inner_texts():
            assert any(letter.isalpha() for letter in text), path


def test_on_a_small_screen_only_tables_scroll_sideways(every):
    """1.4.10 Reflow: at 320 CSS pixels."""
    for path, page in every(viewport={"width": 320, "height": 600}):
        assert page.evaluate("document.scrollingElement.scrollWidth") <= 320, path


def test_the_whole_page_can_be_walked_with_the_keyboard(look):
    """2.1.1 Keyboard, 2.4.3 Focus Order, 2.4.7 Focus Visible."""
    page = look()
    stops = audit(page, "all('a, button, input, [tabindex=\"0\"]').length")
    tops = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        style, width, top = audit(page, "focused()")
        assert style == "solid"
        assert width >= 2
        tops.append(top)

    last = "document.activeElement === all('a, button, [tabindex=\"0\"]').at(-1)"
    assert audit(page, last)
    assert tops[-1] == max(tops)


def test_the_first_key_leads_past_what_every_page_has(look):
    """2.4.1 Bypass Blocks."""
    page = look()
    page.keyboard.press("Tab")
    assert page.get_by_role("link", name="Skip to the content").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"


def test_the_button_that_pauses_works_from_the_keyboard(look):
    """2.2.2 Pause, Stop, Hide."""
    page = look()
    page.get_by_role("button", name="Pause").focus()
    page.keyboard.press("Enter")

    assert page.get_by_role("button", name="Go on").is_visible()
