# SPDX-License-Identifier: MIT
import io
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from cli import __main__ as program
from cli import cluster
from tests.unit.cli import fake
from tests.unit.explain import scenes


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def server() -> fake.Server:
    """A cluster in which all is well."""
    whole = scenes.served()
    return fake.Server(
        balancers=list(whole.balancers),
        services=list(whole.services),
        nodes=scenes.nodes(),
        events=[],
        namespaces=[{"metadata": {"name": "shop", "uid": "uid-shop"}}],
        deployments=[],
        daemon_sets=[],
        pods=[],
    )


@pytest.fixture
def run(
    server: fake.Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Run the program against the cluster as one types it."""
    monkeypatch.setattr(cluster, "connect", lambda *_, **__: server.connection())

    def typed(line: str) -> Ran:
        code = program.main(line.split())
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return typed


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()
