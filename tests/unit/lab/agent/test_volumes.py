# SPDX-License-Identifier: MIT
import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from lab.agent import container, fields, sources, spec, tokens, volumes
from tests.unit.lab.agent import cluster, fakes

SECRET = "/api/v1/namespaces/shop/secrets/key"
CONFIG = "/api/v1/namespaces/shop/configmaps/conf"
FACTS = fields.Facts("n1", ("10.77.0.11",), ("10.88.1.2",))


def encoded(**data: str) -> dict[str, str]:
    return {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}


class Bench:
    """The volumes of one Pod, in a cluster that the test changes."""

    def __init__(self, directory: Path, tasks: asyncio.TaskGroup, *given: dict[str, Any]) -> None:
        self.cluster = cluster.Cluster()
        self.clock = fakes.Clock()
        mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}"} for volume in given]
        containers = [{"name": "main", "image": "i", "volumeMounts": mounts}]
        self.pod = spec.parse(fakes.pod(volumes=given, containers=containers))
        self.directory = directory
        self.client = self.cluster.client()
        self.sources = sources.Sources(self.client, "shop", tasks)
        self.volumes = volumes.Volumes(
            lambda: self.pod,
            facts=FACTS,
            directory=directory / "volumes",
            machine=directory / "machine",
            read_from=self.sources,
            account=tokens.Tokens(self.client, self.pod, self.clock),
        )

    def read(self, path: str) -> str:
        return (self.directory / "volumes" / path).read_text()


def play(
    directory: Path, story: Callable[[Bench], Awaitable[None]], *given: dict[str, Any]
) -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            bench = Bench(directory, tasks, *given)
            try:
                await story(bench)
            finally:
                bench.sources.close()
        await bench.client.aclose()

    asyncio.run(asyncio.wait_for(run(), 10))


async def refusal(bench: Bench) -> str:
    try:
        await bench.volumes.prepare()
    except container.CannotStartError as error:
        return str(error)
    return ""


def test_a_secret_becomes_files_with_its_mode(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.cluster.put(SECRET, data=encoded(a="1", b="2"))
        await bench.volumes.prepare()
        assert bench.read("key/a") == "1"
        mode = (tmp_path / "volumes" / "key" / "b").stat().st_mode
        assert mode & 0o777 == 0o400
        (mount,) = bench.volumes.mounts(bench.pod.containers[0])
        assert mount["path"] == "/key"
        assert mount["read_only"]

    play(tmp_path, story, {"name": "key", "secret": {"secretName": "key", "defaultMode": 0o400}})


def test_only_the_items_that_are_asked_for_are_there_and_under_their_path(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.cluster.put(CONFIG, data={"a": "1", "b": "2"})
        await bench.volumes.prepare()
        assert bench.read("conf/deep/a") == "1"
        assert not (tmp_path / "volumes" / "conf" / "b").exists()

    item = {"key": "a", "path": "deep/a"}
    play(tmp_path, story, {"name": "conf", "configMap": {"name": "conf", "items": [item]}})


def test_a_changed_secret_reaches_the_files(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.cluster.put(SECRET, data=encoded(a="old", b="gone"))
        await bench.volumes.prepare()
        keeping = asyncio.create_task(bench.volumes.keep())
        await fakes.settle()
        bench.cluster.put(SECRET, data=encoded(a="new"))
        await fakes.settle()
        assert bench.read("key/a") == "new"
        assert not (tmp_path / "volumes" / "key" / "b").exists()
        keeping.cancel()

    play(tmp_path, story, {"name": "key", "secret": {"secretName": "key"}})


def test_a_secret_deleted_while_it_is_mounted_leaves_the_files_as_they_are(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.cluster.put(SECRET, data=encoded(a="kept"))
        await bench.volumes.prepare()
        keeping = asyncio.create_task(bench.volumes.keep())
        await fakes.settle()
        bench.cluster.remove(SECRET)
        await fakes.settle()
        assert bench.read("key/a") == "kept"
        keeping.cancel()

    play(tmp_path, story, {"name": "key", "secret": {"secretName": "key"}})


def test_what_does_not_exist_is_named_and_appears_later(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        assert await refusal(bench) == "the secret 'key' does not exist"
        await fakes.settle()
        bench.cluster.put(SECRET, data=encoded(a="1"))
        await fakes.settle()
        assert await refusal(bench) == ""
        assert bench.read("key/a") == "1"

    play(tmp_path, story, {"name": "key", "secret": {"secretName": "key"}})


def test_an_optional_secret_may_be_absent(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.volumes.prepare()
        assert not [p for p in (tmp_path / "volumes/key").iterdir() if p.name[0] != "."]

    play(tmp_path, story, {"name": "key", "secret": {"secretName": "key", "optional": True}})


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.cluster.put(CONFIG, data={})
        assert await refusal(bench) == "the configmap 'conf' has no keys ['a']"

    item = {"key": "a", "path": "a"}
    play(tmp_path, story, {"name": "conf", "configMap": {"name": "conf", "items": [item]}})


def projected(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"name": "all", "projected": {"sources": list(parts)}}


def test_a_projected_volume_joins_its_sources(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.cluster.put(CONFIG, data={"a": "1"})
        await bench.volumes.prepare()
        assert bench.read("all/a") == "1"
        assert bench.read("all/namespace") == "shop"
        assert bench.read("all/token") == "token-1"

    name = {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}
    play(
        tmp_path,
        story,
        projected(
            {"configMap": {"name": "conf"}},
            {"downwardAPI": {"items": [name]}},
            {"serviceAccountToken": {"path": "token"}},
        ),
    )


def test_a_token_is_asked_for_again_when_four_fifths_of_its_life_are_over(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.volumes.prepare()
        await bench.clock.advance(0.8 * 3600 - 1)
        await bench.volumes.prepare()
        assert bench.read("all/token") == "token-1"
        await bench.clock.advance(1)
        await bench.volumes.prepare()
        assert bench.read("all/token") == "token-2"

    play(tmp_path, story, projected({"serviceAccountToken": {"path": "token"}}))


def test_a_changed_label_reaches_the_files(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.volumes.prepare()
        assert bench.read("all/labels") == 'app="web"'
        bench.pod = spec.parse({**fakes.pod(volumes=[volume]), "metadata": relabelled})
        await bench.volumes.prepare()
        assert bench.read("all/labels") == 'app="web"\ntier="1"'

    relabelled = {**fakes.pod()["metadata"], "labels": {"app": "web", "tier": "1"}}
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    volume = projected({"downwardAPI": {"items": [labels]}})
    play(tmp_path, story, volume)


def test_a_folder_of_the_node_is_below_the_nodes_directory_and_can_be_written(
    tmp_path: Path,
) -> None:
    async def story(bench: Bench) -> None:
        await bench.volumes.prepare()
        (mount,) = bench.volumes.mounts(bench.pod.containers[0])
        assert mount["source"] == str(tmp_path / "machine/run/l2lb")
        assert not mount["read_only"]
        assert (tmp_path / "machine/run/l2lb").is_dir()

    play(tmp_path, story, {"name": "cache", "hostPath": {"path": "/run/l2lb"}})


@pytest.mark.parametrize(
    ("volume", "complaint"),
    [
        ({"name": "v", "nfs": {}}, "the volume 'v' is a nfs, which a lab does not have"),
        (projected({"clusterTrustBundle": {}}), "has a clusterTrustBundle, which a lab does not"),
        (
            {"name": "v", "hostPath": {"path": "/run/x", "type": "Directory"}},
            "hostPath /run/x of type Directory does not exist",
        ),
    ],
)
def test_what_a_lab_does_not_have_is_named(
    tmp_path: Path, volume: dict[str, Any], complaint: str
) -> None:
    async def story(bench: Bench) -> None:
        assert complaint in await refusal(bench)

    play(tmp_path, story, volume)
