# SPDX-License-Identifier: MIT
import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from app.upkeep import certificates
from lab import api

Answer = httpx.Response | Exception


class Server:
    """Answers each request with the next of the scripted answers, and remembers it."""

    def __init__(self, *answers: Answer) -> None:
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self._answers: Iterator[Answer] = iter(answers)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = next(self._answers, None)
        if answer is None:
            await asyncio.Event().wait()
            raise AssertionError
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    def client(self, token: str | Callable[[], str] | None = None) -> api.Api:
        return api.Api(
            "http://api.test",
            token=token,
            user_agent="tests",
            transport=httpx.MockTransport(self.handle),
            sleep=self.sleep,
        )


def pod(name: str, version: int, uid: str | None = None) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": uid or f"uid-{name}",
            "resourceVersion": str(version),
        }
    }


def listed(version: int, *items: dict[str, Any]) -> httpx.Response:
    body = {
        "apiVersion": "v1",
        "kind": "PodList",
        "metadata": {"resourceVersion": str(version)},
        "items": list(items),
    }
    return httpx.Response(200, json=body)


def watched(*lines: tuple[str, dict[str, Any]]) -> httpx.Response:
    text = "".join(json.dumps({"type": kind, "object": body}) + "\n" for kind, body in lines)
    return httpx.Response(200, text=text)


async def _collect(server: Server, count: int, **selectors: str) -> list[str]:
    seen: list[str] = []
    async with server.client() as client:
        watch = client.watch("/api/v1/pods", **selectors)
        async with contextlib.aclosing(watch):
            async for item in watch:
                match item:
                    case api.Listed(version):
                        seen.append(f"listed {version}")
                    case api.Event(kind, body):
                        metadata = body["metadata"]
                        seen.append(f"{kind} {metadata['name']} {metadata['resourceVersion']}")
                if len(seen) == count:
                    break
    return seen


def collect(server: Server, count: int, **selectors: str) -> list[str]:
    return asyncio.run(asyncio.wait_for(_collect(server, count, **selectors), 10))


def test_a_watch_yields_what_exists_then_the_marker_then_changes() -> None:
    server = Server(listed(5, pod("a", 3)), watched(("ADDED", pod("b", 6))))
    assert collect(server, 3) == ["ADDED a 3", "listed 5", "ADDED b 6"]


def test_items_of_a_list_carry_the_kind_that_a_watch_would_give_them() -> None:
    async def first() -> api.Listed | api.Event:
        server = Server(listed(5, pod("a", 3)))
        async with server.client() as client:
            watch = client.watch("/api/v1/pods")
            async with contextlib.aclosing(watch):
                return await anext(watch)

    event = asyncio.run(first())
    assert isinstance(event, api.Event)
    assert (event.object["apiVersion"], event.object["kind"]) == ("v1", "Pod")


def test_an_ended_watch_resumes_at_the_last_version_seen_bookmarks_included() -> None:
    server = Server(
        listed(5),
        watched(("ADDED", pod("a", 6)), ("BOOKMARK", {"metadata": {"resourceVersion": "9"}})),
        watched(("ADDED", pod("b", 10))),
    )
    assert collect(server, 3) == ["listed 5", "ADDED a 6", "ADDED b 10"]
    versions = [request.url.params.get("resourceVersion") for request in server.requests]
    assert versions == [None, "5", "9"]
    assert server.pauses == [api.BACKOFF_S[0]]


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadError("connection reset"),
        httpx.Response(410, json={"kind": "Status", "code": 410, "reason": "Expired"}),
        watched(("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})),
        httpx.Response(200, text='{"type": "ADDED", "obj'),
    ],
    ids=["reset", "answered 410", "410 within the stream", "cut line"],
)
def test_after_a_failure_the_new_list_comes_as_changes_with_missed_deletions(
    failure: Answer,
) -> None:
    server = Server(
        listed(5, pod("gone", 1), pod("changed", 2), pod("same", 3), pod("replaced", 4)),
        failure,
        listed(
            9, pod("changed", 7), pod("same", 3), pod("new", 8), pod("replaced", 9, uid="other")
        ),
    )
    assert collect(server, 11)[5:] == [
        "DELETED gone 1",
        "DELETED replaced 4",
        "ADDED new 8",
        "ADDED replaced 9",
        "MODIFIED changed 7",
        "listed 9",
    ]


def test_an_object_deleted_in_the_watch_is_not_deleted_again_by_the_next_list() -> None:
    server = Server(
        listed(5, pod("a", 1)),
        watched(("DELETED", pod("a", 6))),
        httpx.ConnectError("refused"),
        listed(9),
    )
    assert collect(server, 4) == ["ADDED a 1", "listed 5", "DELETED a 6", "listed 9"]


def test_repeated_failures_back_off_up_to_a_bound_and_a_success_resets_it() -> None:
    refused = [httpx.ConnectError("refused")] * 8
    server = Server(*refused, listed(5), httpx.ReadError("reset"), listed(6))
    assert collect(server, 2) == ["listed 5", "listed 6"]
    longest = api.BACKOFF_S[-1]
    assert server.pauses == [*api.BACKOFF_S, longest, longest, api.BACKOFF_S[0]]


def test_selectors_go_with_the_list_and_with_the_watch() -> None:
    server = Server(listed(5), watched(("ADDED", pod("a", 6))))
    collect(server, 2, label_selector="app=web", field_selector="spec.nodeName=n1")
    for request in server.requests:
        assert request.url.params["labelSelector"] == "app=web"
        assert request.url.params["fieldSelector"] == "spec.nodeName=n1"


def test_an_error_answer_becomes_the_status_the_server_sent() -> None:
    status = {"code": 409, "reason": "Conflict", "message": "the object has been modified"}

    async def update() -> None:
        async with Server(httpx.Response(409, json=status)).client() as client:
            await client.update("/api/v1/nodes/n1", {})

    with pytest.raises(api.ApiError, match="409 Conflict: the object has been modified") as caught:
        asyncio.run(update())
    assert (caught.value.status, caught.value.reason) == (409, "Conflict")


def test_an_error_that_is_no_status_keeps_its_text() -> None:
    async def get() -> None:
        async with Server(httpx.Response(502, text="upstream is away")).client() as client:
            await client.get("/healthz")

    with pytest.raises(api.ApiError, match="502 Bad Gateway: upstream is away"):
        asyncio.run(get())


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("merge", "application/merge-patch+json"),
        ("json", "application/json-patch+json"),
        ("strategic", "application/strategic-merge-patch+json"),
        ("apply", "application/apply-patch+yaml"),
    ],
)
def test_a_patch_names_its_kind(kind: api.PatchKind, content_type: str) -> None:
    server = Server(httpx.Response(200, json={}))

    async def patch() -> None:
        async with server.client() as client:
            await client.patch("/api/v1/nodes/n1", {}, kind=kind, force=True)

    asyncio.run(patch())
    (request,) = server.requests
    assert request.headers["Content-Type"] == content_type
    assert request.url.params["force"] == "true"
    assert request.url.params.get("fieldManager") == ("tests" if kind == "apply" else None)


def test_a_token_function_is_asked_at_each_request() -> None:
    tokens = iter(["first", "second"])
    server = Server(httpx.Response(200, json={}), httpx.Response(200, json={}))

    async def twice() -> None:
        async with server.client(token=lambda: next(tokens)) as client:
            await client.get("/version")
            await client.delete("/api/v1/nodes/n1", options={"gracePeriodSeconds": 0})

    asyncio.run(twice())
    assert [request.headers["Authorization"] for request in server.requests] == [
        "Bearer first",
        "Bearer second",
    ]
    assert json.loads(server.requests[1].content) == {"gracePeriodSeconds": 0}


def kubeconfig(
    directory: Path, *, user: dict[str, Any], cluster: dict[str, Any] | None = None
) -> Path:
    path = directory / "config"
    content = {
        "current-context": "lab",
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "admin"}}],
        "clusters": [
            {
                "name": "lab",
                "cluster": cluster or {"server": "https://x", "insecure-skip-tls-verify": True},
            }
        ],
        "users": [{"name": "admin", "user": user}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_kubeconfig_without_token_is_refused_with_what_it_has(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user={"client-certificate": "c.pem"})
    with pytest.raises(ValueError, match=r"client-certificate.*give it a token"):
        api.Api.from_kubeconfig(path, user_agent="tests")


def test_a_kubeconfig_that_verifies_nothing_by_omission_is_refused(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, user={"token": "t"}, cluster={"server": "https://x"})
    with pytest.raises(ValueError, match="names no certificate authority for https://x"):
        api.Api.from_kubeconfig(path, user_agent="tests")


def test_a_kubeconfig_with_an_unusable_authority_fails_at_once(tmp_path: Path) -> None:
    data = base64.b64encode(b"no certificate").decode()
    cluster = {"server": "https://x", "certificate-authority-data": data}
    path = kubeconfig(tmp_path, user={"token": "t"}, cluster=cluster)
    with pytest.raises(OSError, match="certificate"):
        api.Api.from_kubeconfig(path, user_agent="tests")


def test_a_kubeconfig_whose_context_is_unknown_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("current-context: nowhere\n")
    with pytest.raises(ValueError, match="'nowhere', which is not among its contexts"):
        api.Api.from_kubeconfig(path, user_agent="tests")


def test_a_token_file_is_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from file\n")
    path = kubeconfig(tmp_path, user={"tokenFile": "token"})
    client = api.Api.from_kubeconfig(path, user_agent="tests")
    assert client._headers()["Authorization"] == "Bearer from file"
    asyncio.run(client.aclose())


def test_a_pod_acts_as_its_service_account_with_the_token_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "ACCOUNT", tmp_path)
    (tmp_path / "ca.crt").write_bytes(certificates.make_authority().certificate)
    environment = {"KUBERNETES_SERVICE_HOST": "fd96::1", "KUBERNETES_SERVICE_PORT": "443"}

    async def run() -> list[str]:
        client = api.Api.in_cluster(user_agent="tests", environment=environment)
        sent = []
        async with client:
            for token in ("old", "new"):
                (tmp_path / "token").write_text(f"{token}\n")
                sent.append(client._headers()["Authorization"])
        return sent

    assert asyncio.run(run()) == ["Bearer old", "Bearer new"]


def test_outside_of_a_pod_there_is_no_service_account() -> None:
    with pytest.raises(ValueError, match="no Pod, as 'KUBERNETES_SERVICE_HOST' is not set"):
        api.Api.in_cluster(user_agent="tests", environment={})
