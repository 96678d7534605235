# SPDX-License-Identifier: MIT
"""The release that the lab runs: upgraded under load, applied without helm, uninstalled clean.

In a lab of its own, because nothing is left of the release in the end.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Iterator

import pytest
import yaml

from app.upkeep import certificates
from contract import names
from lab import client, images, inside, release
from tests.e2e import helm, people

BALANCERS = ("node-1", "node-2", "node-3")
SECRETS = ("l2lb-heartbeat-keys", "l2lb-webhook-tls", "l2lb-webhook-authority")
# What a namespace has that nothing was installed in.
ALWAYS = {"configmap/kube-root-ca.crt", "serviceaccount/default"}
NAMESPACED = (
    "secrets,configmaps,serviceaccounts,roles,rolebindings,services,pods,jobs,networkpolicies,pdb"
)
CLUSTERWIDE = (
    "clusterroles,clusterrolebindings,validatingadmissionpolicies,"
    "validatingadmissionpolicybindings,compositecontrollers,decoratorcontrollers"
)
CRD = f"{names.PLURAL}.{names.GROUP}"
CHILDREN = f"{names.PROXY_NAME_LABEL}={names.PROXY_NAME}"
ADDITION = f"{names.GROUP}/of-a-later-release"  # what lab/later puts into each child
NEXT, AFTER_NEXT = images.LATER
PRESENT = names.CONTRACT_VERSION


def run_helm(lab: inside.Lab, *words: str) -> None:
    where = ("-n", release.NAMESPACE)
    lab.run(None, "helm", *words, *where, "--wait", "--timeout=4m", within_s=250)


def upgrade(lab: inside.Lab, **tags: str) -> None:
    """Change the images' tags by an upgrade."""
    changes = [f"--set=images.{name}.tag={tag}" for name, tag in tags.items()]
    run_helm(lab, "upgrade", release.NAME, str(helm.CHART), "--reuse-values", *changes)


@pytest.fixture
def user(lab: inside.Lab, namespace: str) -> Iterator[people.User]:
    """A user with a Service of three addresses, whose Pod is on no balancer node."""
    name = "released"
    for node in BALANCERS:
        lab.kubectl("label", "--overwrite", "node", node, f"test/{name}=")
    balancer = people.Balancer(
        lab, ["10.77.0.231-10.77.0.233"], name=name, selector={f"test/{name}": ""}
    )
    lab.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "echo", "namespace": namespace, "labels": {"app": "echo"}},
            "spec": {
                "nodeName": lab.nodes()[-1],
                "containers": [client.ECHO],
            },
        }
    )
    made = people.User(lab, namespace, balancer.name)
    made.serve("web", count="3")
    client.Client(lab).until_served(f"{namespace}/web", made.addresses("web", 3))
    yield made
    balancer.delete()
    lab.kubectl("label", "node", "--all", f"test/{name}-")


def keys(lab: inside.Lab) -> dict[str, str]:
    """Return a fingerprint of each Secret that a Job of the chart makes."""
    return {
        name: hashlib.sha256(
            json.dumps(lab.get("secret", name, "-n", release.NAMESPACE)["data"]).encode()
        ).hexdigest()
        for name in SECRETS
    }


def until_children_are(user: people.User, *, contract: int, addition: bool) -> None:
    """Wait until each child is written as the release of the webhook writes it."""

    def written() -> bool:
        # Read as it stands: nobody here decodes a later contract.
        listed = user.lab.items("services", "-n", user.namespace, "-l", CHILDREN)
        found = [item["metadata"]["annotations"] for item in listed]
        return len(found) == 3 and all(
            one[names.CHILD_CONTRACT] == str(contract) and (ADDITION in one) is addition
            for one in found
        )

    inside.until(written, f"all children are of contract {contract}, addition: {addition}")


def test_upgrades_to_a_changed_contract_and_back_lose_no_new_connection_and_change_no_key(
    lab: inside.Lab, user: people.User
) -> None:
    before = keys(lab)
    addresses = user.addresses("web", 3)

    with client.Client(lab).watch(addresses) as seen:
        upgrade(lab, webhook=NEXT)  # beside speakers of the present release
        until_children_are(user, contract=PRESENT, addition=True)
        upgrade(lab, speaker=NEXT)  # one node after the other
        upgrade(lab, webhook=AFTER_NEXT, speaker=AFTER_NEXT)
        until_children_are(user, contract=PRESENT + 1, addition=True)
        run_helm(lab, "rollback", release.NAME)
        until_children_are(user, contract=PRESENT, addition=True)
        run_helm(lab, "rollback", release.NAME, "1")
        until_children_are(user, contract=PRESENT, addition=False)

    assert [(one["failures"], one["served"] > 1000) for one in seen] == [([], True)] * 3
    assert user.addresses("web", 3) == addresses
    assert keys(lab) == before


def test_applying_the_templates_twice_changes_no_key(lab: inside.Lab) -> None:
    before = keys(lab)
    text = yaml.safe_dump_all(
        found for found in helm.template(lab) if found["metadata"]["name"].startswith("l2lb-cred")
    )
    for _ in range(2):
        lab.kubectl("apply", "-f", "-", standard_input=text)
        lab.kubectl(
            *("wait", "--for=condition=Complete", "job", "-n", release.NAMESPACE),
            *("-l", "app.kubernetes.io/name=l2-load-balancer", "--timeout=50s"),
        )

    assert keys(lab) == before
    lab.kubectl("delete", "-f", "-", standard_input=text)


def test_heartbeat_keys_are_changed_without_a_gap(lab: inside.Lab, user: people.User) -> None:
    ((old_name, old),) = lab.get("secret", SECRETS[0], "-n", release.NAMESPACE)["data"].items()
    fresh = base64.b64encode(secrets.token_hex(32).encode()).decode()
    holders = user.holders("web", 3)
    (old_id,) = key_ids(lab).pop()

    with client.Client(lab).watch(list(holders)) as seen:
        hold_keys(lab, {old_name: old, f"{old_name}-next": fresh})
        inside.until(
            lambda: [len(ids) for ids in key_ids(lab)] == [2], "every speaker has both keys"
        )
        (accepted,) = key_ids(lab)
        assert accepted[0] == old_id
        for step in ({f"0-{old_name}": fresh, old_name: old}, {f"0-{old_name}": fresh}):
            hold_keys(lab, step)
            wanted = {(accepted[1], old_id)[: len(step)]}
            inside.until(lambda wanted=wanted: key_ids(lab) == wanted, f"all have {wanted}")  # type: ignore[misc] # mypy cannot infer a lambda with a default

    assert [(one["failures"], one["cut"]) for one in seen] == [([], 0)] * 3
    assert user.holders("web", 3) == holders


def key_ids(lab: inside.Lab) -> set[tuple[str, ...]]:
    """Return what speakers say of the keys that they accept, in order of preference."""
    pages = (lab.fetch(node, f"{release.SPEAKER_PAGES}status") for node in lab.nodes())
    return {tuple(json.loads(page)["keyIds"]) for page in pages}


def hold_keys(lab: inside.Lab, files: dict[str, str]) -> None:
    """Let the Secret of the heartbeat keys have these files, and kubelets see it at once."""
    patch = [{"op": "replace", "path": "/data", "value": files}]
    where = ("-n", release.NAMESPACE)
    lab.kubectl("patch", "secret", SECRETS[0], *where, "--type=json", "-p", json.dumps(patch))
    moment = f"test/looked-at={secrets.token_hex(4)}"
    pods = ("pods", "-l", "app.kubernetes.io/component=speaker")
    lab.kubectl("annotate", "--overwrite", *pods, *where, moment)


def test_uninstalling_leaves_nothing_but_the_balancers(lab: inside.Lab, user: people.User) -> None:
    addresses = user.addresses("web", 3)
    outside = client.Client(lab)
    user.serve("more", count="1")
    user.complaint("more", names.AssignedReason.POOL_EXHAUSTED)
    assert services(user) == {"web", "web-l2-1", "web-l2-2", "web-l2-3", "more", "more-l2-0"}

    run_helm(lab, "uninstall", release.NAME)

    inside.until(lambda: left(lab) == ALWAYS, "the namespace is empty")
    assert services(user) == {"web", "more"}
    named = lab.kubectl("get", CLUSTERWIDE, "-o", "name").split()
    assert [name for name in named if "/l2lb-" in name] == []
    for left_over in (user.service("web"), user.service("more")):
        assert left_over["status"] == {"loadBalancer": {}}
        assert "labels" not in left_over["metadata"]
    assert [outside.machine_of(address) for address in addresses] == [None, None, None]
    assert lab.get(names.PLURAL, user.balancer)["spec"]["addressPool"]


def test_with_secrets_that_are_given_it_serves_and_makes_none(
    lab: inside.Lab, given: list[str], user: people.User
) -> None:
    found = lab.kubectl("get", "secrets", "-n", release.NAMESPACE, "-o", "name").split()

    assert {name for name in found if "helm" not in name} == {f"secret/{name}" for name in given}
    user.addresses("web", 3)


def test_uninstalling_takes_balancers_too_if_they_are_not_to_be_kept(
    lab: inside.Lab, given: list[str]
) -> None:
    people.Balancer(lab, ["10.77.0.231"], name="doomed")

    run_helm(lab, "uninstall", release.NAME)

    inside.until(
        lambda: not lab.kubectl("get", "crd", CRD, "--ignore-not-found", "-o", "name"),
        "the CRD is gone",
    )
    inside.until(
        lambda: left(lab) == ALWAYS | {f"secret/{name}" for name in given},
        "of all in the namespace only the given Secrets are left",
    )


@pytest.fixture(scope="module")
def given(lab: inside.Lab) -> list[str]:
    """The release with Secrets of somebody else's and a CRD that goes with it; their names."""
    authority = certificates.make_authority()
    made = certificates.make(authority, [f"l2lb-webhook.{release.NAMESPACE}.svc"])
    contents = {
        "given-keys": {"1": secrets.token_hex(32).encode()},
        "given-tls": {
            "ca.crt": authority.certificate,
            "tls.crt": made.certificate,
            "tls.key": made.key,
        },
    }
    for name, content in contents.items():
        lab.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name, "namespace": release.NAMESPACE},
                "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
            }
        )
    run_helm(
        lab,
        *("upgrade", "--install", release.NAME, str(helm.CHART), "--reset-values"),
        "--set=crds.keep=false,speaker.existingSecret=given-keys",
        "--set=webhook.tls.mode=secret,webhook.tls.existingSecret=given-tls",
        f"--set=webhook.nodeSelector.kubernetes\\.io/hostname={lab.nodes()[-1]}",
    )
    return list(contents)


def services(user: people.User) -> set[str]:
    return {one["metadata"]["name"] for one in user.lab.items("services", "-n", user.namespace)}


def left(lab: inside.Lab) -> set[str]:
    return set(lab.kubectl("get", NAMESPACED, "-n", release.NAMESPACE, "-o", "name").split())
