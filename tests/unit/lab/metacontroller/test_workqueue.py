# SPDX-License-Identifier: MIT
import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from lab.metacontroller import workqueue
from lab.metacontroller.workqueue import WorkQueue


@dataclass
class Timer:
    due: float
    callback: Callable[[], None]
    clock: "Clock"

    def cancel(self) -> None:
        self.clock.timers.remove(self)


@dataclass
class Clock:
    now: float = 0.0
    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self.now + delay, callback, self)
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in sorted(self.timers, key=lambda timer: timer.due):
            if timer.due <= self.now:
                self.timers.remove(timer)
                timer.callback()


Waiting = Callable[[], list[str]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock)


@pytest.fixture
def waiting(queue: WorkQueue) -> Iterator[Waiting]:
    """Takes all keys that can be taken, and gives them back as done."""

    async def take() -> list[str]:
        taken = []
        while True:
            try:
                async with asyncio.timeout(0):
                    taken.append(await queue.take())
            except TimeoutError:
                return taken

    def take_and_give_back() -> list[str]:
        taken = runner.run(take())
        for key in taken:
            queue.done(key)
        return taken

    with asyncio.Runner() as runner:
        yield take_and_give_back


def test_a_key_added_twice_is_there_once(queue: WorkQueue, waiting: Waiting) -> None:
    for key in ("a", "b", "a"):
        queue.add(key)
    assert waiting() == ["a", "b"]
    assert waiting() == []


def test_a_key_added_while_it_is_worked_on_comes_again_when_that_is_done(queue: WorkQueue) -> None:
    async def play() -> str:
        queue.add("a")
        key = await queue.take()
        queue.add("a")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await queue.take()
        queue.done(key)
        return await queue.take()

    assert asyncio.run(play()) == "a"


def test_of_two_delays_the_shorter_counts(queue: WorkQueue, clock: Clock, waiting: Waiting) -> None:
    queue.add_after("a", 10)
    queue.add_after("a", 2)
    queue.add_after("a", 5)
    clock.advance(1.9)
    assert waiting() == []
    clock.advance(0.1)
    assert waiting() == ["a"]
    clock.advance(100)
    assert waiting() == []


def test_no_delay_is_at_once(queue: WorkQueue, waiting: Waiting) -> None:
    queue.add_after("a", 0)
    assert waiting() == ["a"]


def test_failures_wait_twice_as_long_each_time_until_one_succeeds(
    queue: WorkQueue, clock: Clock, waiting: Waiting
) -> None:
    for expected in (0.005, 0.01, 0.02, 0.04):
        queue.add_after_failure("a")
        assert clock.timers[0].due - clock.now == pytest.approx(expected)
        clock.advance(expected)
        assert waiting() == ["a"]
    queue.succeeded("a")
    queue.add_after_failure("a")
    assert clock.timers[0].due - clock.now == pytest.approx(0.005)


def test_the_longest_wait_is_1000_seconds() -> None:
    assert workqueue.backoff_s(17) == pytest.approx(655.36)
    assert workqueue.backoff_s(18) == 1000.0
    assert workqueue.backoff_s(10_000) == 1000.0


def test_an_added_key_does_not_wait_for_its_back_off(
    queue: WorkQueue, clock: Clock, waiting: Waiting
) -> None:
    for _ in range(20):
        queue.add_after_failure("a")
        clock.advance(1000)
        waiting()
    queue.add_after_failure("a")
    queue.add("a")
    assert waiting() == ["a"]


def test_a_closed_queue_leaves_no_timer(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after("a", 1)
    queue.close()
    assert clock.timers == []
