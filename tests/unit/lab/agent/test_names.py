# SPDX-License-Identifier: MIT
import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab import api
from lab.agent import files, names
from tests.unit.lab.agent import fakes


def service(namespace: str, name: str, *addresses: str, uid: str = "") -> dict[str, Any]:
    spec = {"clusterIPs": [*addresses], "clusterIP": addresses[0], "ports": [{"port": 443}]}
    metadata = {"namespace": namespace, "name": name, "uid": uid or f"{namespace}/{name}"}
    return {"metadata": {**metadata, "resourceVersion": "1"}, "spec": spec}


def test_a_service_has_three_names_at_each_of_its_addresses() -> None:
    text = names.lines(service("shop", "web", "10.96.0.9", "fd96::9"))
    name = "web.shop web.shop.svc web.shop.svc.cluster.local"
    assert text == f"10.96.0.9 {name}\nfd96::9 {name}\n"


def test_a_headless_service_and_one_without_address_have_no_names() -> None:
    nameless = {"metadata": {"namespace": "a", "name": "b"}, "spec": {"type": "ExternalName"}}
    assert names.lines(service("shop", "db", "None")) == ""
    assert names.lines(nameless) == ""


def test_the_file_follows_the_services_and_the_api_server_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubernetes = service("default", "kubernetes", "10.96.0.1")
    gone = service("shop", "web", "10.96.0.9")

    seen = asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        if "watch" not in request.url.params:
            metadata = {"resourceVersion": "1"}
            items = [kubernetes, gone]
            body = {"apiVersion": "v1", "kind": "ServiceList", "metadata": metadata}
            return httpx.Response(200, json={**body, "items": items})
        if request.url.params["resourceVersion"] == "1":
            await seen.wait()
            told = []
            for version, kind, which in (("2", "MODIFIED", gone), ("3", "DELETED", gone)):
                which["metadata"]["resourceVersion"] = version
                told.append(json.dumps({"type": kind, "object": which}))
            return httpx.Response(200, text="\n".join(told))
        await asyncio.Event().wait()
        raise AssertionError

    written: list[bytes] = []

    def write(path: Path, content: bytes) -> None:
        if path.name == names.HOSTS:
            written.append(content)
        path.write_bytes(content)

    monkeypatch.setattr(files, "replace", write)

    async def run() -> tuple[str, str]:
        transport = httpx.MockTransport(handle)
        client = api.Api("http://api", user_agent="t", transport=transport, sleep=sleep)
        known = names.Names(client, tmp_path / "names", {"registry.test": "10.77.0.1"})
        following = asyncio.create_task(known.run())
        await known.ready.wait()
        first = (tmp_path / "names" / names.HOSTS).read_text()
        seen.set()
        await fakes.settle()
        second = (tmp_path / "names" / names.HOSTS).read_text()
        assert known.environment()["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
        following.cancel()
        await asyncio.wait([following])
        await client.aclose()
        return first, second

    async def sleep(_: float) -> None:
        pass

    first, second = asyncio.run(asyncio.wait_for(run(), 10))
    assert "web.shop" in first
    assert "10.77.0.1 registry.test\n" in first
    assert "web.shop" not in second
    assert len(written) == 2  # a change that is not of a name writes nothing
    assert "10.96.0.1 kubernetes.default " in second
