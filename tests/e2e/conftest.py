# SPDX-License-Identifier: MIT
import contextlib
import json
import os
import uuid
from collections.abc import Iterator

import pytest

from contract import names
from lab import errors, inside
from tests.e2e import people

ADVICE = (
    "the end-to-end tests run inside a lab: use 'make e2e', "
    "or 'python -m lab run -- python -m pytest tests/e2e/...' for some of them"
)


def pytest_configure(config: pytest.Config) -> None:
    # Also with --collect-only: a run that can only fail must not look like one that has no tests.
    if "LAB_DIR" not in os.environ:
        pytest.exit(ADVICE, returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_report_header(config: pytest.Config) -> str:
    return f"Metacontroller: {os.environ['LAB_METACONTROLLER']}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"Metacontroller: {os.environ['LAB_METACONTROLLER']}")


@pytest.fixture(scope="session")
def lab() -> inside.Lab:
    return inside.Lab()


@pytest.fixture
def namespace(lab: inside.Lab) -> Iterator[str]:
    """A namespace of the test's own, in which Pods can be created at once."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    with people.namespace(lab, name):
        yield name


@pytest.fixture
def block() -> people.Block:
    """Addresses that no other test has."""
    return people.Block()


@pytest.fixture
def balancer(lab: inside.Lab, block: people.Block) -> Iterator[people.Balancer]:
    """A balancer of ten addresses a family on all nodes; nobody announces them."""
    made = people.Balancer(lab, block.pool(1, 10))
    yield made
    made.delete()


@pytest.fixture
def user(lab: inside.Lab, request: pytest.FixtureRequest, balancer: people.Balancer) -> people.User:
    """A user of that balancer, with a namespace of their own."""
    # After the balancer, so that it is taken away first: nobody keeps a balancer busy that goes.
    return people.User(lab, request.getfixturevalue("namespace"), balancer.name)


@pytest.fixture
def unguarded(lab: inside.Lab) -> Iterator[None]:
    """The time before the chart's admission policies: what they refuse may have been there."""
    # The one that is asked about goes last and comes last.
    with _unbound(lab, "validatingadmissionpolicybindings", last="l2lb-annotations"):
        inside.until(lambda: _may_write_nonsense(lab), "a wrong annotation is not refused any more")
        yield
    inside.until(lambda: not _may_write_nonsense(lab), "a wrong annotation is refused again")


@pytest.fixture
def unmirrored(lab: inside.Lab) -> Iterator[None]:
    """A Kubernetes before 1.36: no policy writes the label that mirrors the annotation."""
    if not _is_mirrored(lab):
        yield
        return
    with _unbound(lab, "mutatingadmissionpolicybindings"):
        inside.until(lambda: not _is_mirrored(lab), "the label is not written any more")
        yield
    inside.until(lambda: _is_mirrored(lab), "the label is written again")


@contextlib.contextmanager
def _unbound(lab: inside.Lab, kind: str, last: str = "") -> Iterator[None]:
    """Have our policies of a kind in force for nobody."""
    bindings = [item for item in lab.items(kind) if item["metadata"]["name"].startswith("l2lb-")]
    bindings.sort(key=lambda item: item["metadata"]["name"] == last)
    for binding in bindings:
        for field in ("creationTimestamp", "generation", "resourceVersion", "uid"):
            binding["metadata"].pop(field, None)
        lab.kubectl("delete", kind, binding["metadata"]["name"])
    yield
    for binding in bindings:
        lab.kubectl("create", "-f", "-", standard_input=json.dumps(binding))


def _is_mirrored(lab: inside.Lab) -> bool:
    service = people.User(lab, "default", "nobody").manifest("mirrored")
    words = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    made = json.loads(lab.kubectl(*words, standard_input=json.dumps(service)))
    return names.SERVICE_BALANCER in made["metadata"].get("labels", {})


def _may_write_nonsense(lab: inside.Lab) -> bool:
    service = people.User(lab, "default", "nobody").manifest("nonsense", count="many")
    try:
        lab.kubectl("create", "--dry-run=server", "-f", "-", standard_input=json.dumps(service))
    except inside.CommandError as error:
        if names.SERVICE_IP_COUNT not in str(error):
            raise
        return False
    return True


@pytest.fixture
def whole(lab: inside.Lab) -> Iterator[inside.Lab]:
    """The lab, for a test that breaks a part of it: afterwards every node is on and Ready."""
    before = lab.nodes()
    yield lab
    with contextlib.suppress(errors.LabError):
        lab.change("apiserver", "start")
    for node in before:
        with contextlib.suppress(errors.LabError):
            lab.change("node", "start", node)
        lab.run(None, "ip", "link", "set", f"port-{node}", "master", "switch")
    lab.kubectl("wait", "--for=condition=Ready", "--timeout=30s", *(f"node/{n}" for n in before))
