# SPDX-License-Identifier: MIT
import pytest

from lab import errors, inside

READYZ = "http://10.77.0.11:7472/readyz"


@pytest.mark.parametrize(
    ("account", "identity"),
    [
        ("metacontroller", "system:serviceaccount:metacontroller:metacontroller"),
        ("l2lb-speaker", "system:serviceaccount:l2lb-system:l2lb-speaker"),
        ("l2lb-webhook", "system:serviceaccount:l2lb-system:l2lb-webhook"),
    ],
)
def test_each_program_acts_as_a_service_account_of_its_own(
    lab: inside.Lab, account: str, identity: str
) -> None:
    kubeconfig = lab.directory / "product" / f"{account}.kubeconfig"
    who = lab.kubectl("auth", "whoami", "-o", "json", f"--kubeconfig={kubeconfig}")
    assert f'"username": "{identity}"' in who


def test_a_speaker_cannot_change_a_service(lab: inside.Lab) -> None:
    kubeconfig = lab.directory / "product" / "l2lb-speaker.kubeconfig"
    with pytest.raises(inside.CommandError, match="cannot patch"):
        lab.kubectl("label", "service/kubernetes", "a=b", f"--kubeconfig={kubeconfig}")


def test_the_hooks_are_called_where_the_webhook_runs(lab: inside.Lab) -> None:
    controllers = lab.items("compositecontrollers,decoratorcontrollers")
    assert {controller["metadata"]["name"] for controller in controllers} == {
        "l2lb-balancer",
        "l2lb-service",
        "l2lb-service-cleanup",
    }
    for controller in controllers:
        for hook in controller["spec"]["hooks"].values():
            assert hook["webhook"]["url"].startswith("http://10.77.0.1:8080/hooks/")
    lab.fetch(None, "http://10.77.0.1:8080/readyz")


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


def test_an_unknown_process_is_answered_with_those_that_there_are(lab: inside.Lab) -> None:
    with pytest.raises(errors.LabError, match=r"no process 'nobody' now: .*kube-proxy-node-1"):
        lab.change("process", "stop", "nobody")
