# SPDX-License-Identifier: MIT
import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from lab.agent import container, probes, process, spec, status
from tests.unit.lab.agent import fakes

HTTP = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 1}
TCP = {"tcpSocket": {"port": 80}, "periodSeconds": 1}


class Runtime:
    def __init__(self) -> None:
        self.started: list[fakes.Process] = []
        self.probe = fakes.Prober()
        self.refusals: list[container.CannotStartError] = []
        self.deaf = False

    async def launch(self, _: spec.Container) -> process.Process:
        if self.refusals:
            raise self.refusals.pop(0)
        self.started.append(fakes.Process(deaf=self.deaf))
        return cast("process.Process", self.started[-1])

    def prober(self, _: spec.Container, __: process.Process) -> probes.Prober:
        return cast("probes.Prober", self.probe)


class Bench:
    """One container, kept by a keeper, with everything around it in the test's hands."""

    def __init__(self, restart_policy: str = "Always", **fields: Any) -> None:
        self.pod = spec.parse(
            fakes.pod(
                containers=[{"name": "main", "image": "i", **fields}],
                restartPolicy=restart_policy,
                terminationGracePeriodSeconds=20,
            )
        )
        self.clock = fakes.Clock()
        self.runtime = Runtime()
        self.stop = container.Stop()
        self.states: list[status.Container] = []
        self.reports: list[str] = []
        self.keeper = container.Keeper(
            self.pod.containers[0],
            self.pod,
            runtime=self.runtime,
            clock=self.clock,
            stop=self.stop,
            state=status.Container(),
            on_change=self.states.append,
            report=lambda reason, _: self.reports.append(reason),
            once=False,
        )
        self.task: asyncio.Task[bool] | None = None

    @property
    def process(self) -> fakes.Process:
        return self.runtime.started[-1]

    def state(self) -> status.Container:
        return self.states[-1]

    def last(self) -> status.Terminated:
        last = self.states[-1].last
        assert last is not None
        return last


def play(story: Callable[[Bench], Awaitable[None]], **fields: Any) -> None:
    async def run() -> None:
        bench = Bench(**fields)
        bench.task = asyncio.create_task(bench.keeper.run())
        await fakes.settle()
        try:
            await story(bench)
            if bench.task.done():
                bench.task.result()
        finally:
            bench.task.cancel()
            await asyncio.wait([bench.task])

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_container_without_probes_is_ready_as_soon_as_it_runs() -> None:
    async def story(bench: Bench) -> None:
        assert bench.state().state == status.Running(fakes.START)
        assert bench.state().ready
        assert bench.state().started

    play(story)


def test_an_ended_container_starts_again_at_once_and_then_ever_later_up_to_five_minutes() -> None:
    async def story(bench: Bench) -> None:
        pauses = []
        for _ in range(8):
            before = bench.clock.elapsed
            count = len(bench.runtime.started)
            bench.process.end(1)
            await fakes.settle()
            while len(bench.runtime.started) == count:
                waiting = bench.state().state
                assert isinstance(waiting, status.Waiting)
                assert waiting.reason == "CrashLoopBackOff"
                await bench.clock.advance(1)
            pauses.append(bench.clock.elapsed - before)
        assert pauses == [0, 10, 20, 40, 80, 160, 300, 300]
        assert bench.state().restarts == 8
        assert bench.last().code == 1

    play(story)


def test_a_container_that_ran_long_is_forgiven_its_earlier_ends() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(2):
            bench.process.end(1)
            await bench.clock.advance(10)
        await bench.clock.advance(container.WELL_AFTER_S + 1)
        count = len(bench.runtime.started)
        bench.process.end(1)
        await fakes.settle()
        assert len(bench.runtime.started) == count + 1

    play(story)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_container_that_somebody_stopped_is_started_again_only_when_they_say(
    number: signal.Signals,
) -> None:
    async def story(bench: Bench) -> None:
        await bench.keeper.hold(number)
        assert bench.process.signals == [number.name.removeprefix("SIG")]
        await bench.clock.advance(1000)
        ended = bench.state().state
        assert isinstance(ended, status.Terminated)
        assert ended.code == 128 + number
        assert len(bench.runtime.started) == 1
        assert bench.keeper.held
        bench.keeper.release()
        await fakes.settle()
        assert len(bench.runtime.started) == 2
        assert isinstance(bench.state().state, status.Running)

    play(story)


def test_one_that_does_not_listen_to_somebody_is_killed_after_their_patience() -> None:
    async def story(bench: Bench) -> None:
        bench.process.deaf = True
        holding = asyncio.create_task(bench.keeper.hold(signal.SIGTERM, within_s=15))
        await bench.clock.advance(14)
        assert bench.process.running
        await bench.clock.advance(1)
        await holding
        assert bench.process.signals == ["TERM", "KILL"]

    play(story)


def test_a_pod_that_is_deleted_does_not_wait_for_whoever_stopped_its_program() -> None:
    async def story(bench: Bench) -> None:
        await bench.keeper.hold(signal.SIGKILL)
        bench.stop.request(20)
        await fakes.settle()
        assert bench.task is not None
        assert bench.task.done()

    play(story)


@pytest.mark.parametrize(
    ("policy", "code", "starts"),
    [
        ("Always", 0, 2),
        ("Always", 1, 2),
        ("OnFailure", 0, 1),
        ("OnFailure", 1, 2),
        ("Never", 0, 1),
        ("Never", 1, 1),
    ],
)
def test_the_restart_policy_decides_whether_it_starts_again(
    policy: str, code: int, starts: int
) -> None:
    async def story(bench: Bench) -> None:
        bench.process.end(code)
        await fakes.settle()
        assert len(bench.runtime.started) == starts
        assert bench.task is not None
        assert bench.task.done() is (starts == 1)
        if bench.task.done():
            assert bench.task.result() is (code == 0)

    play(story, restart_policy=policy)


def test_what_can_not_be_started_says_why_and_is_tried_again() -> None:
    async def story(bench: Bench) -> None:
        bench.runtime.refusals.append(
            container.CannotStartError(
                "CreateContainerConfigError", "the secret 'key' does not exist"
            )
        )
        bench.process.end(1)
        await fakes.settle()
        assert bench.reports == ["CreateContainerConfigError"]
        await bench.clock.advance(container.RETRY_START_S)
        assert len(bench.runtime.started) == 2

    play(story)


def test_a_readiness_probe_makes_ready_and_unready_by_its_thresholds() -> None:
    async def story(bench: Bench) -> None:
        assert not bench.state().ready
        await bench.clock.advance(1)
        assert bench.state().ready
        bench.runtime.probe.answers["httpGet"] = lambda: "status 503"
        await bench.clock.advance(2)
        assert bench.state().ready
        await bench.clock.advance(1)
        assert not bench.state().ready
        assert len(bench.runtime.started) == 1

    play(story, readinessProbe={**HTTP, "successThreshold": 2, "failureThreshold": 3})


def test_a_failing_liveness_probe_restarts_the_container_with_its_own_grace() -> None:
    async def story(bench: Bench) -> None:
        bench.runtime.probe.answers["tcpSocket"] = lambda: "refused"
        bench.process.deaf = True
        await bench.clock.advance(2)
        assert bench.process.signals == ["TERM"]
        await bench.clock.advance(3)
        assert bench.runtime.started[0].signals == ["TERM", "KILL"]
        assert len(bench.runtime.started) == 2
        assert "liveness probe failed" in bench.last().message

    play(story, livenessProbe={**TCP, "failureThreshold": 2, "terminationGracePeriodSeconds": 3})


def test_no_other_probe_is_asked_until_the_startup_probe_has_succeeded() -> None:
    async def story(bench: Bench) -> None:
        bench.runtime.probe.answers["tcpSocket"] = lambda: "refused"
        await bench.clock.advance(5)
        assert set(bench.runtime.probe.asked) == {"tcpSocket"}
        assert not bench.state().started
        bench.runtime.probe.answers.clear()
        await bench.clock.advance(1)
        assert bench.state().started
        assert bench.state().ready
        assert bench.runtime.probe.asked[-1] == "httpGet"

    play(story, startupProbe={**TCP, "failureThreshold": 30}, readinessProbe=HTTP)


def test_a_startup_probe_that_never_succeeds_restarts_the_container() -> None:
    async def story(bench: Bench) -> None:
        bench.runtime.probe.answers["tcpSocket"] = lambda: "refused"
        await bench.clock.advance(1)
        assert len(bench.runtime.started) == 2

    play(story, startupProbe={**TCP, "failureThreshold": 2})


def test_a_stopped_container_gets_sigterm_and_its_end_is_awaited() -> None:
    async def story(bench: Bench) -> None:
        bench.stop.request(20)
        await fakes.settle()
        assert bench.process.signals == ["TERM"]
        assert bench.task is not None
        assert bench.task.done()
        assert isinstance(bench.state().state, status.Terminated)
        assert len(bench.runtime.started) == 1

    play(story)


def test_a_container_deaf_to_sigterm_is_killed_when_its_grace_is_over() -> None:
    async def story(bench: Bench) -> None:
        bench.process.deaf = True
        bench.stop.request(20)
        await bench.clock.advance(19)
        assert bench.process.signals == ["TERM"]
        assert not bench.state().ready
        await bench.clock.advance(1)
        assert bench.process.signals == ["TERM", "KILL"]

    play(story)


def test_the_pre_stop_hook_comes_before_sigterm_and_uses_up_the_grace() -> None:
    async def story(bench: Bench) -> None:
        bench.process.deaf = True
        released = asyncio.Event()
        bench.runtime.probe.wait_for = released
        bench.stop.request(20)
        await bench.clock.advance(15)
        assert bench.runtime.probe.asked == ["exec"]
        assert bench.process.signals == []
        released.set()
        await bench.clock.advance(4.9)
        assert bench.process.signals == ["TERM"]
        await bench.clock.advance(0.1)
        assert bench.process.signals == ["TERM", "KILL"]

    play(story, lifecycle={"preStop": {"exec": {"command": ["drain"]}}})


def test_an_order_to_end_at_once_cuts_the_grace_short() -> None:
    async def story(bench: Bench) -> None:
        bench.process.deaf = True
        bench.stop.request(20)
        await fakes.settle()
        bench.stop.force()
        await fakes.settle()
        assert bench.process.signals == ["TERM", "KILL"]

    play(story)


def test_a_stop_during_the_back_off_starts_nothing_any_more() -> None:
    async def story(bench: Bench) -> None:
        for _ in range(2):
            bench.process.end(1)
            await fakes.settle()
        bench.stop.request(20)
        await bench.clock.advance(60)
        assert bench.task is not None
        assert bench.task.done()
        assert len(bench.runtime.started) == 2

    play(story)
