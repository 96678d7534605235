# SPDX-License-Identifier: MIT
import asyncio
import ipaddress
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from lab import errors
from lab.agent import host, network, worker
from tests.unit.lab.agent import cluster, fakes

MANY_TURNS = 10_000

POD = "/api/v1/namespaces/shop/pods/web-1"


class Node:
    """What a Pod finds on its node, with nothing real in it."""

    def __init__(self, directory: Path) -> None:
        self.cluster = cluster.Cluster()
        self.clock = fakes.Clock()
        self.started: list[tuple[list[str], fakes.Process]] = []
        self.troubles: list[str] = []
        self.places: list[str] = []
        self.failures = 0
        self.host = cast(
            "host.Host",
            SimpleNamespace(
                name="n1",
                netns="n1",
                addresses=("10.77.0.11", "fd77::11"),
                api=self.cluster.client(),
                images={},
                pods=self,
                clock=self.clock,
                events=self,
                doorway=None,
                files=directory / "pods",
                machine=directory / "machine",
                spawn=self.spawn,
            ),
        )

    async def create(self) -> network.Place:
        if self.failures:
            self.failures -= 1
            raise errors.LabError("no room")
        self.places.append("n1-pod-2")
        return network.Place(2, "n1-pod-2", (ipaddress.ip_address("10.88.1.2"),))

    async def destroy(self, place: network.Place) -> None:
        self.places.remove(place.netns)

    def warn(self, _: object, reason: str, message: str) -> None:
        self.troubles.append(f"{reason}: {message}")

    def spawn(self, argv: list[str], *, pass_fds: tuple[int, ...], **_: object) -> fakes.Process:
        os.write(pass_fds[0], b"\n")
        self.started.append((argv, fakes.Process()))
        return self.started[-1][1]


class Bench(Node):
    def __init__(self, directory: Path, pod: dict[str, Any]) -> None:
        super().__init__(directory)
        self.pod = pod
        self.worker = worker.Worker(self.host, pod)
        self.task = asyncio.create_task(self.worker.run())

    def delete(self, grace_s: int = 30) -> None:
        metadata = {
            **self.pod["metadata"],
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": grace_s,
        }
        self.worker.update({**self.pod, "metadata": metadata})

    async def until(self, holds: Callable[[], object]) -> None:
        """Let the loop turn until something holds: pipes are real here."""
        for _ in range(MANY_TURNS):
            if holds():
                return
            await asyncio.sleep(0)
        raise AssertionError(f"it never came to hold: {self.cluster.written}, {self.troubles}")

    def last(self) -> dict[str, Any]:
        return self.cluster.statuses()[-1]

    def runs(self) -> bool:
        shown = self.last()["containerStatuses"] if self.cluster.statuses() else []
        return bool(shown) and all("running" in container["state"] for container in shown)


def play(
    directory: Path, story: Callable[[Bench], Awaitable[None]], pod: dict[str, Any] | None = None
) -> None:
    async def run() -> None:
        bench = Bench(directory, pod or fakes.pod())
        try:
            await story(bench)
            if bench.task.done():
                bench.task.result()
        finally:
            bench.task.cancel()
            await asyncio.wait([bench.task])
            await bench.host.api.aclose()

    asyncio.run(asyncio.wait_for(run(), 10))


def deletions(bench: Bench) -> list[dict[str, Any]]:
    return [
        body for method, path, body in bench.cluster.written if (method, path) == ("DELETE", POD)
    ]


def test_a_pod_runs_in_a_network_of_its_own_and_its_status_says_so(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.until(bench.runs)
        assert bench.places == ["n1-pod-2"]
        assert bench.last()["podIP"] == "10.88.1.2"
        ((argv, _),) = bench.started
        assert "--net=/run/netns/n1-pod-2" in argv
        assert argv[-4:] == ["shop", "web-1", "n1", "80/TCP"]

    play(tmp_path, story)


def test_an_echo_server_has_the_ports_of_its_container_and_the_next_has_none(
    tmp_path: Path,
) -> None:
    ports = [{"containerPort": 8080}, {"containerPort": 53, "protocol": "UDP"}]
    containers = [{"name": "a", "image": "i", "ports": ports}, {"name": "b", "image": "i"}]

    async def story(bench: Bench) -> None:
        await bench.until(lambda: len(bench.started) == 2)
        assert [argv[-2:] for argv, _ in bench.started] == [["8080/TCP", "53/UDP"], ["web-1", "n1"]]

    play(tmp_path, story, fakes.pod(containers=containers))


def test_a_pod_on_the_hosts_network_has_the_nodes_addresses(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.until(bench.runs)
        assert bench.last()["podIPs"][1:] == [{"ip": "10.77.0.11"}, {"ip": "fd77::11"}]
        assert bench.places == []

    play(tmp_path, story, fakes.pod(hostNetwork=True))


def test_a_deleted_pod_is_stopped_reported_and_removed_in_this_order(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.until(bench.runs)
        bench.delete()
        await bench.task
        assert bench.started[0][1].signals == ["TERM"]
        assert bench.places == []
        assert bench.last()["phase"] == "Succeeded"
        assert bench.cluster.written[-1] == (
            "DELETE",
            POD,
            {"gracePeriodSeconds": 0, "preconditions": {"uid": "u-1"}},
        )

    play(tmp_path, story)


def test_a_pod_that_vanished_is_killed_and_nothing_more_is_written_about_it(
    tmp_path: Path,
) -> None:
    async def story(bench: Bench) -> None:
        await bench.until(bench.runs)
        before = len(bench.cluster.written)
        bench.started[0][1].deaf = True
        bench.worker.vanished()
        await bench.task
        assert bench.started[0][1].signals[-1] == "KILL"
        assert len(bench.cluster.written) == before
        assert bench.places == []

    play(tmp_path, story)


def test_a_pod_whose_node_shuts_down_fails_and_stays(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        await bench.until(bench.runs)
        bench.worker.shut_down("Terminated", "the node stops")
        await bench.task
        assert bench.worker.ended.is_set()
        status = bench.last()
        assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
        assert deletions(bench) == []

    play(tmp_path, story)


def test_a_finished_pod_is_left_alone_until_it_is_deleted(tmp_path: Path) -> None:
    pod = fakes.pod()
    pod["status"]["phase"] = "Failed"

    async def story(bench: Bench) -> None:
        await fakes.settle()
        assert bench.cluster.written == []
        bench.delete()
        await bench.task
        assert len(bench.cluster.written) == len(deletions(bench)) == 1
        assert bench.started == []

    play(tmp_path, story, pod)


def test_a_pod_that_a_lab_can_not_run_says_why_and_can_be_deleted(tmp_path: Path) -> None:
    containers = [{"name": "main", "image": "i", "livenessProbe": {"grpc": {"port": 1}}}]

    async def story(bench: Bench) -> None:
        await bench.until(lambda: bench.troubles)
        assert bench.troubles[0].startswith("Unsupported: the livenessProbe of 'main'")
        bench.delete()
        await bench.task
        assert len(deletions(bench)) == 1

    play(tmp_path, story, fakes.pod(containers=containers))


def test_a_pod_of_an_earlier_life_of_the_node_counts_on(tmp_path: Path) -> None:
    pod = fakes.pod()
    before = {"name": "main", "restartCount": 3, "containerID": "lab://1", "state": {"running": {}}}
    pod["status"] = {"phase": "Running", "containerStatuses": [before]}

    async def story(bench: Bench) -> None:
        await bench.until(bench.runs)
        (shown,) = bench.last()["containerStatuses"]
        assert shown["restartCount"] == 4
        assert shown["lastState"]["terminated"]["exitCode"] == worker.LOST

    play(tmp_path, story, pod)


def test_a_failed_network_is_told_and_a_stop_ends_the_wait(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.failures = 1000
        await bench.until(lambda: bench.troubles)
        assert bench.troubles[0] == "FailedCreatePodSandBox: no room"
        bench.delete()
        await bench.task
        assert bench.started == []
        assert len(deletions(bench)) == 1

    play(tmp_path, story)


def test_what_could_not_be_reported_in_an_outage_is_reported_after_it(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        bench.cluster.outage = True
        await bench.until(lambda: bench.started)
        await fakes.settle()
        assert bench.cluster.written == []
        bench.cluster.outage = False
        await bench.clock.advance(worker.RETRY_S)
        await bench.until(bench.runs)

    play(tmp_path, story)
