# SPDX-License-Identifier: MIT
import asyncio
import re

import httpx
import pytest

from app.page import assets, site

PATHS = ["/", "/services", "/balancers/front", "/services/shop/everywhere"]


@pytest.fixture
def get(made):
    """Asks the page over HTTP, as somebody behind kubectl port-forward."""

    async def ask(wanted):
        return made.answer(wanted)

    def got(path, *, method="GET", host="localhost:8081", local_only=True):
        async def fetched():
            transport = httpx.ASGITransport(site.create(ask, local_only=local_only))
            async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
                return await client.request(method, path)

        return asyncio.run(fetched())

    return got


@pytest.mark.parametrize("path", PATHS)
def test_every_page_answers_with_html_that_nobody_keeps(get, path):
    answer = get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", [*PATHS, "/static/page.css", "/none", "/services/a/none"])
def test_every_answer_forbids_foreign_scripts_frames_and_readers(get, path):
    headers = get(path).headers

    policy = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", PATHS)
def test_no_page_holds_a_script_or_a_style_of_its_own(get, path):
    body = get(path).text

    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", body)
    assert all(tag.endswith("></script>") for tag in re.findall(r"<script.*?</script>", body))


@pytest.mark.parametrize(
    "path",
    [*PATHS, "/none", "/services/shop/none", "/balancers/none", "/a/b/c", "/services/a%2Fb/c"],
)
def test_every_url_is_relative_and_leads_somewhere(get, path):
    urls = re.findall(r'(?:href|src|action)="([^"]*)"', get(path).text)

    assert urls
    for url in urls:
        assert not url.startswith(("/", "http:", "https:"))
        if not url.startswith("#"):
            joined = httpx.URL(f"http://localhost{path}").join(url)
            assert get(joined.raw_path.decode()).status_code == 200, url


@pytest.mark.parametrize("path", PATHS)
def test_a_head_request_is_answered(get, path):
    assert get(path, method="HEAD").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(get, method):
    answer = get("/", method=method)

    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8081", "127.0.0.1:8081", "[::1]:8081", "10.244.1.5", "0.0.0.0:1"],
)
def test_it_answers_to_localhost_and_to_addresses(get, host):
    assert get("/", host=host).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8081", "127.0.0.1.evil.example"]
)
def test_a_name_that_somebody_pointed_here_gets_nothing(get, host):
    """DNS rebinding: to a browser, such a site would be of one origin with the page."""
    answer = get("/", host=host)

    assert answer.status_code == 421
    assert "everywhere" not in answer.text


def test_on_the_pods_address_it_answers_to_whatever_name_a_proxy_passes_on(get):
    assert get("/", host="kubernetes.example", local_only=False).status_code == 200


def test_assets_are_kept_for_long_and_their_urls_change_with_them(get):
    answer = get(f"/static/page.js?v={assets.VERSION}")

    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert f'page.js?v={assets.VERSION}"' in get("/").text


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pages.py",
        "/static/..%2fpages.py",
        "/static/base.html",
        "/templates/base.html",
        "/services/",
        "/docs",
        "/openapi.json",
        "/hooks/service/sync",
    ],
)
def test_there_is_nothing_else(get, path):
    assert get(path).status_code == 404


@pytest.mark.parametrize(
    "query", ["page=-1", "page=x", "page=99999999999999999999", "page=٣", "show=%00", "name=%F0%28"]
)
def test_a_query_that_makes_no_sense_counts_as_none(get, query):
    assert get(f"/services?{query}").status_code == 200


@pytest.mark.parametrize(
    "name", ["%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%00", "a" * 10_000, "%FF"]
)
def test_a_path_that_nobody_has_is_named_without_harm(get, name):
    for path in (f"/services/shop/{name}", f"/balancers/{name}", f"/{name}"):
        answer = get(path)
        assert answer.status_code == 404
        assert "<script>" not in answer.text
        assert len(answer.text) < 30_000
