# SPDX-License-Identifier: MIT
import pytest

from lab import errors, inside, release

READYZ = f"{release.SPEAKER_PAGES}readyz"


def test_a_speaker_runs_on_every_node_and_the_webhook_twice(lab: inside.Lab) -> None:
    [speakers] = lab.items("daemonsets", "-n", release.NAMESPACE)
    [webhook] = lab.items("deployments", "-n", release.NAMESPACE)
    assert speakers["status"]["numberReady"] == len(lab.nodes())
    assert webhook["status"]["readyReplicas"] == 2
    assert len(release.webhook_pages(lab, "readyz")) == 2


def test_metacontroller_calls_the_hooks_over_tls(lab: inside.Lab) -> None:
    controllers = lab.items("compositecontrollers,decoratorcontrollers")
    assert {controller["metadata"]["name"] for controller in controllers} == {
        "l2lb-balancer",
        "l2lb-service",
        "l2lb-service-cleanup",
    }
    for controller in controllers:
        for hook in controller["spec"]["hooks"].values():
            assert hook["webhook"]["url"].startswith("https://l2lb-webhook.l2lb-system.svc/hooks/")
            assert hook["webhook"]["caBundle"]


def test_a_value_in_force_can_be_read(lab: inside.Lab) -> None:
    assert release.value(lab, "webhook", "replicas") == 2


def test_a_speaker_can_be_paused_and_killed_alone(lab: inside.Lab) -> None:
    lab.fetch("node-1", READYZ)
    lab.change("process", "pause", "speaker-node-1")
    with pytest.raises(inside.CommandError):
        lab.fetch("node-1", READYZ)
    lab.change("process", "continue", "speaker-node-1")
    inside.until(lambda: lab.fetch("node-1", READYZ), "the speaker of node-1 goes on")
    lab.change("process", "kill", "speaker-node-1")
    with pytest.raises(inside.CommandError):
        lab.fetch("node-1", READYZ)
    lab.change("process", "start", "speaker-node-1")
    inside.until(lambda: lab.fetch("node-1", READYZ), "the speaker of node-1 is ready again")


def test_a_program_of_several_pods_is_stopped_and_started_by_one_name(lab: inside.Lab) -> None:
    lab.change("process", "stop", "webhook")
    for address in webhook_addresses(lab):
        with pytest.raises(inside.CommandError, match="Connection refused"):
            lab.fetch(None, f"http://{address}:{release.WEBHOOK_PORT}/")
    with pytest.raises(errors.LabError, match="the speaker was not stopped"):
        lab.change("process", "start", "speaker-node-1")
    lab.change("process", "start", "webhook")
    lab.kubectl(
        *("wait", "pods", "--for=condition=Ready", "--timeout=30s"),
        *("-n", release.NAMESPACE, "-l", release.WEBHOOKS),
    )


def webhook_addresses(lab: inside.Lab) -> list[str]:
    pods = lab.items("pods", "-n", release.NAMESPACE, "-l", release.WEBHOOKS)
    return [pod["status"]["podIP"] for pod in pods]


def test_an_unknown_process_is_answered_with_those_that_there_are(lab: inside.Lab) -> None:
    with pytest.raises(errors.LabError, match=r"no process 'nobody' now: .*kube-proxy-node-1"):
        lab.change("process", "stop", "nobody")
