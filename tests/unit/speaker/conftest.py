# SPDX-License-Identifier: MIT
"""Tests marked `namespace` run in a network namespace of their own, without root.

Each runs in a forked child, because a process that enters a namespace can not come back.
"""

import asyncio
import ctypes
import inspect
import os
import pathlib
import traceback
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.unit.speaker import lan

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
REFUSED = 77
WITHIN_S = 30


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "namespace: runs in a network namespace of its own")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if pyfuncitem.get_closest_marker("namespace") is None:
        return None
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receiving)
        os._exit(run_apart(pyfuncitem, sending))
    os.close(sending)
    with os.fdopen(receiving, encoding="utf-8", errors="replace") as said:
        report = said.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == REFUSED:
        pytest.skip(f"no user namespaces here ({report}): allow them, or run as root")
    if status:
        pytest.fail(report or f"the test's process ended with {status}", pytrace=False)
    return True


def run_apart(pyfuncitem: pytest.Function, report: int) -> int:
    """Run the test in this process, which is a child, and report to a pipe; return its status."""
    try:
        try:
            enter_namespaces()
        except OSError as error:
            os.write(report, str(error).encode())
            return REFUSED
        names = pyfuncitem._fixtureinfo.argnames
        made = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
        if inspect.iscoroutine(made):
            asyncio.run(bounded(made))
    except BaseException:  # noqa: BLE001 - the parent raises it
        os.write(report, traceback.format_exc().encode())
        return 1
    return 0


async def bounded(test: Coroutine[Any, Any, None]) -> None:
    """Run a test, but not for ever, and close what it left open."""
    with lan.closing:
        async with asyncio.timeout(WITHIN_S):
            await test


def enter_namespaces() -> None:
    """Become root of a user namespace with an empty network namespace."""
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    myself = pathlib.Path("/proc/self")
    (myself / "setgroups").write_text("deny", encoding="ascii")
    (myself / "uid_map").write_text(f"0 {user} 1", encoding="ascii")
    (myself / "gid_map").write_text(f"0 {group} 1", encoding="ascii")
