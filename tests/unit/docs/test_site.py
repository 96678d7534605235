# SPDX-License-Identifier: MIT
import html.parser
import os
import subprocess
import sys

import pytest
import yaml

from docs import hook

NAV = "mkdocs.yml"


class Fetched(html.parser.HTMLParser):
    """Collects what a browser fetches by itself when it shows a page."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag == "link" and values.get("rel") in {"stylesheet", "preload", "preconnect", "icon"}:
            self.found.append(values["href"])
        if tag in {"script", "img", "iframe", "source", "object"}:
            self.found += [values[key] for key in ("src", "data") if key in values]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built so that each warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder]
    answer = subprocess.run(
        argv,
        cwd=hook.ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return folder


def test_it_fetches_nothing_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= 20
    for page in pages:
        reader = Fetched()
        reader.feed(page.read_text())
        foreign = [url for url in reader.found if url.startswith(("http:", "https:", "//"))]
        assert not foreign, f"{page.relative_to(site)} fetches {foreign}"


def test_every_page_can_be_found_from_the_navigation(site):
    start = (site / "index.html").read_text()
    for path in (hook.ROOT / hook.DOCS).rglob("*.md"):
        name = "index" if path.stem in hook.START else path.stem
        page = path.with_name(f"{name}.html")
        place = page.relative_to(hook.ROOT / hook.DOCS).as_posix()
        assert f'href="{place}"' in start, f"{place} is not in the navigation of {NAV}"


@pytest.mark.parametrize("text", ["[a](placement.md#try-it)", "![a](failover.svg)", "[a](#here)"])
def test_a_link_within_the_docs_stays(text):
    assert hook.relinked(text, "index.md") == text


@pytest.mark.parametrize(
    ("place", "text", "made"),
    [
        ("security.md", "[chart](../chart/README.md#values)", "[chart](chart.md#values)"),
        ("reference/a.md", "[chart](../../chart/README.md)", "[chart](../chart.md)"),
        ("chart.md", "[why](../docs/security.md)", "[why](security.md)"),
        ("ru/index.md", "[x](docs/ru/install.md)", "[x](install.md)"),
        ("ru/index.md", "![x](docs/failover.svg)", "![x](../failover.svg)"),
        ("contributing.md", "[x](docs/ru/install.md)", "[x](ru/install.md)"),
        ("ru/index.md", '<img src="docs/a.png">', '<img src="../a.png">'),
        ("ru/index.md", '<source srcset="docs/a.png">', '<source srcset="../a.png">'),
        ("page.md", '<img src="images/a.png">', '<img src="images/a.png">'),
        (
            "page.md",
            '<img src="https://example.com/a.png">',
            '<img src="https://example.com/a.png">',
        ),
    ],
)
def test_a_link_out_of_the_docs_leads_to_the_page_the_site_has(place, text, made):
    assert hook.relinked(text, place) == made


def test_a_link_to_a_file_that_is_no_page_is_plain_text():
    assert hook.relinked("see [the chart](../chart/values.yaml).", "index.md") == "see the chart."


def test_a_link_to_nothing_stays_for_mkdocs_to_complain_of():
    assert hook.relinked("[x](../chart/gone.yaml)", "index.md") == "[x](../chart/gone.yaml)"


def test_a_pattern_in_the_navigation_is_the_pages_that_match_it():
    assert hook._expanded(
        ["index.md", {"Ref": ["reference/c*.md"]}, "no*thing.md", {"X": ["n*x"]}]
    ) == [
        "index.md",
        {"Ref": ["reference/conditions.md", "reference/crd.md"]},
    ]


def test_every_page_from_outside_is_there():
    places = {origin for origin in hook.OUTSIDE if not (hook.ROOT / origin).is_file()}

    assert not places


def test_the_configuration_names_no_other_host():
    text = (hook.ROOT / NAV).read_text()

    assert "http" not in text
    assert yaml.compose(text)
