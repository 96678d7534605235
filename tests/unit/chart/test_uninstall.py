# SPDX-License-Identifier: MIT
import itertools
from typing import Any

import httpx
import pytest

from app import conditions, pending
from app.upkeep import __main__ as command
from app.upkeep import cluster as clusters
from app.upkeep import uninstall
from contract import names
from tests.unit.chart import cluster

OURS = {"type": names.ASSIGNED_CONDITION, "status": "True", "message": "has 192.0.2.10 from front"}
THEIRS = {"type": "example.org/Other", "status": "True"}
SECRET = "/api/v1/namespaces/l2lb-system/secrets/l2lb-heartbeat-keys"
CONTROLLER = f"{uninstall.CONTROLLERS}/compositecontrollers/l2lb-balancer"


def path(name: str) -> str:
    return f"/api/v1/namespaces/shop/services/{name}"


def service(*, addresses: tuple[str, ...] = (), conditions: tuple[Any, ...] = ()) -> dict[str, Any]:
    ingress = [{"ip": address, "ipMode": "VIP"} for address in addresses]
    return {
        "metadata": {"labels": {names.SERVICE_BALANCER: "front", "app": "web"}},
        "status": {"loadBalancer": {"ingress": ingress}, "conditions": list(conditions)},
    }


@pytest.fixture
def memory() -> cluster.Memory:
    made = cluster.Memory()
    made.put(CONTROLLER, {})
    made.put(path("web"), service(addresses=("192.0.2.10",), conditions=(THEIRS, OURS)))
    made.put(path("web-l2-1"), {"metadata": {"labels": {names.PROXY_NAME_LABEL: names.PROXY_NAME}}})
    made.put(path("stranger"), {"metadata": {"labels": {"app": "other"}}, "status": {}})
    made.put(f"{uninstall.BALANCERS}/front", {})
    made.put(SECRET, {})
    return made


class Clock:
    """Time that passes only by waiting; `waited` is called each time."""

    def __init__(self, waited=lambda: None) -> None:
        self.time = 0.0
        self._waited = waited

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self._waited()


def clean_up(memory: cluster.Memory, clock: Clock | None = None) -> uninstall.Done:
    clock = clock or Clock()
    return uninstall.clean_up(
        memory.client,
        controllers="app.kubernetes.io/instance=l2lb",
        secrets=[SECRET],
        within_s=60,
        clock=uninstall.Clock(clock.now, clock.sleep),
    )


def test_children_go_and_users_services_are_cleaned(memory):
    done = clean_up(memory)

    assert path("web-l2-1") not in memory.objects
    web = memory.objects[path("web")]
    assert web["metadata"]["labels"] == {"app": "web"}
    assert web["status"] == {"loadBalancer": {}, "conditions": [THEIRS]}
    assert (done.children, done.services, done.remaining) == (1, 1, [])


def note(owner: str) -> dict[str, Any]:
    """A note that a Service lacks an address, owned by an object of some kind."""
    verdict = conditions.Verdict(
        holds=False, reason=names.AssignedReason.POOL_EXHAUSTED, message="no address is free"
    )
    manifest = pending.encode(verdict, namespace="shop", service="web", service_uid="u1")
    reference = {"apiVersion": names.API_VERSION, "kind": owner, "name": "front", "uid": "u2"}
    manifest["metadata"]["ownerReferences"] = [reference]
    return manifest


def test_the_note_that_an_address_is_missing_goes_too(memory):
    memory.put(path("web-l2-0"), note(names.KIND))

    done = clean_up(memory)

    assert path("web-l2-0") not in memory.objects
    assert (done.children, done.remaining) == (2, [])


def test_a_users_service_that_looks_like_a_note_stays(memory):
    memory.put(path("web-l2-0"), note("Deployment"))

    clean_up(memory)

    assert path("web-l2-0") in memory.objects


def test_the_controllers_go_before_anything_else(memory):
    clean_up(memory)

    assert memory.writes[0] == f"DELETE {CONTROLLER}"


def test_what_is_not_ours_is_not_written(memory):
    clean_up(memory)

    assert not any("stranger" in write for write in memory.writes)


def test_an_address_that_somebody_else_put_there_stays(memory):
    both = service(addresses=("192.0.2.10", "203.0.113.9"), conditions=(OURS,))
    memory.put(path("web"), both)

    clean_up(memory)

    [kept] = memory.objects[path("web")]["status"]["loadBalancer"]["ingress"]
    assert kept["ip"] == "203.0.113.9"


def test_a_child_of_a_sync_that_was_under_way_goes_too(memory):
    child = {"metadata": {"labels": {names.PROXY_NAME_LABEL: names.PROXY_NAME}}}
    rounds = itertools.count()

    def late() -> None:
        if next(rounds) == 1:
            memory.put(path("web-l2-2"), child)

    done = clean_up(memory, Clock(late))

    assert path("web-l2-2") not in memory.objects
    assert done.children == 2


def test_secrets_go_and_balancers_are_named(memory):
    done = clean_up(memory)

    assert SECRET not in memory.objects
    assert f"{uninstall.BALANCERS}/front" in memory.objects
    assert any("stay as long as their CRD does: front" in said for said in done.sentences())


def test_it_ends_in_time_and_says_what_remains(memory):
    memory.refuse = lambda method, at: (
        cluster.error(403, "not you") if (method, at) == ("DELETE", path("web-l2-1")) else None
    )
    clock = Clock()

    done = clean_up(memory, clock)

    assert clock.time <= 60 + uninstall.ROUND_S
    [sentence] = done.remaining[-1:]
    assert "shop/web-l2-1 is left as it was" in sentence
    assert "not you" in sentence


def test_without_the_right_to_delete_controllers_nothing_is_cleaned(memory):
    memory.refuse = lambda method, at: (
        cluster.error(403) if (method, at) == ("DELETE", CONTROLLER) else None
    )

    with pytest.raises(clusters.ClusterError, match="403"):
        clean_up(memory)

    assert not memory.writes


@pytest.mark.parametrize(
    "answer", [httpx.Response(404, text="404 page not found\n"), cluster.error(404)]
)
@pytest.mark.parametrize("crds", [uninstall.CONTROLLERS, uninstall.BALANCERS])
def test_crds_that_are_gone_already_keep_nothing_from_being_cleaned(memory, crds, answer):
    memory.refuse = lambda _method, at: answer if at.startswith(crds) else None

    done = clean_up(memory)

    assert path("web-l2-1") not in memory.objects
    assert SECRET not in memory.objects
    assert (done.children, done.services, done.remaining) == (1, 1, [])


def test_a_release_that_is_cleaned_up_twice_is_clean(memory):
    clean_up(memory)
    memory.writes.clear()

    done = clean_up(memory)

    assert (done.children, done.services, done.remaining) == (0, 0, [])


def test_outside_of_a_pod_the_command_says_so(monkeypatch, capsys):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    status = command.main(["uninstall", "--namespace=x", "--controllers=a=b"])

    assert status == 1
    assert "let the chart's Job run it" in capsys.readouterr().err
