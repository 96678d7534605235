# SPDX-License-Identifier: MIT
import asyncio
import datetime as dt
import json
import os
import signal

import pytest

from app import errors, worker
from app.hooks import balancer_sync, call
from app.models import examples, hooks

CONTEXT = call.Call(now=dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC))
BODY = json.dumps(examples.BALANCER_SYNC).encode()


@pytest.fixture(scope="module")
def running():
    process = worker.Worker()
    yield process
    process.close()


def test_the_worker_answers_what_the_hook_answers(running):
    content, answer = asyncio.run(running.respond("balancer_sync", BODY, CONTEXT))
    assert content == hooks.encode(balancer_sync.respond(BODY, CONTEXT).body)
    assert answer.left_alone == {}


def test_a_refusal_comes_back_as_itself(running):
    with pytest.raises(errors.NotJsonError, match="no JSON"):
        asyncio.run(running.respond("balancer_sync", b"{", CONTEXT))


def test_a_worker_that_dies_fails_its_call_and_is_started_anew(running):
    async def answer_until_it_dies():
        pid = await asyncio.wrap_future(running._running().submit(os.getpid))
        os.kill(pid, signal.SIGKILL)
        while True:
            await running.respond("balancer_sync", BODY, CONTEXT)

    with pytest.raises(worker.WorkerDiedError, match="memory"):
        asyncio.run(answer_until_it_dies())
    content, _ = asyncio.run(running.respond("balancer_sync", BODY, CONTEXT))
    assert b"children" in content
