# SPDX-License-Identifier: MIT
"""What the chart renders to, judged by helm and by a real API server."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab import inside
from tests.e2e import helm

DOCUMENT = helm.CHART.parent / "docs" / "security.md"
ACCOUNTS = ("l2lb-webhook", "l2lb-speaker", "l2lb-credentials", "l2lb-uninstall")
RIGHTS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
ALIAS = "network.deckhouse.io/l2-load-balancer-name"
ALIASED = f"annotations.aliases.{ALIAS.replace('.', chr(92) + '.')}=load-balancer"

VARIANTS = {
    "as it is": (),
    "plain HTTP": ("--set=webhook.tls.mode=none",),
    "everything given": (
        "--set=webhook.tls.mode=secret,webhook.tls.existingSecret=mine,speaker.existingSecret=keys",
    ),
    "with an alias": ("--set", ALIASED),
    "pages on the node": ("--set=speaker.listen=node",),
    "page on the Pod": (
        "--set=webhook.page.listen=pod,webhook.page.from[0].ipBlock.cidr=192.0.2.1/32",
    ),
    "with a dashboard": ("--set=monitoring.dashboard.enabled=true",),
    "pinned images": (
        f"--set=images.webhook.digest=sha256:{'0' * 64},images.pullSecrets[0].name=registry",
    ),
    "without extras": (
        "--set=admission.enabled=false,webhook.networkPolicy.enabled=false,uninstall.cleanUp=false",
        "--set=webhook.page.listen=none",
    ),
}
# Kinds of other projects, which a lab has no definitions of.
FOREIGN = {
    "--set=webhook.tls.mode=certManager,webhook.tls.issuerRef.name=internal": "Certificate",
    "--set=webhook.serviceMonitor.enabled=true": "ServiceMonitor",
    "--set=speaker.podMonitor.enabled=true,speaker.listen=node": "PodMonitor",
    "--set=monitoring.rules.enabled=true": "PrometheusRule",
}
WRONG = {
    "webhook.replicas=two": "at '/webhook/replicas': got string, want integer",
    "webhook.replica=2": "additional properties 'replica' not allowed",
    "speaker.probe=slow": "'/speaker/probe': value must be one of 'off', 'short', 'strict'",
    "annotations.aliases.foo=bar": "value must be one of 'load-balancer', 'ip-count'",
    "webhook.tls.mode=secret": "name the Secret in webhook.tls.existingSecret",
    "webhook.tls.mode=certManager": "name the issuer in webhook.tls.issuerRef",
    "monitoring.rules.runbookUrl=example.com": "at '/monitoring/rules/runbookUrl'",
    "speaker.podMonitor.enabled=true": "speaker.podMonitor.enabled needs speaker.listen: node",
}


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {found["metadata"]["name"]: found for found in objects if found["kind"] == kind}


@pytest.fixture(scope="module")
def prerequisites(lab: inside.Lab) -> Iterator[inside.Lab]:
    """Where objects of the chart can be created: its namespace, and Metacontroller's kinds."""
    crds = [yaml.safe_load(path.read_text()) for path in sorted(helm.CONTROLLER_CRDS.iterdir())]
    with helm.applied(lab, [helm.namespace(helm.NAMESPACE), *crds]):
        for crd in crds:
            lab.kubectl("wait", "--for=condition=Established", f"crd/{crd['metadata']['name']}")
        yield lab


def test_helm_has_nothing_against_it(lab):
    said = lab.run(None, "helm", "lint", "--strict", str(helm.CHART))

    assert "0 chart(s) failed" in said


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_accepts_it(prerequisites, variant):
    text = yaml.safe_dump_all(helm.template(prerequisites, *VARIANTS[variant], "--dry-run=server"))

    # Strict: a field that the API server does not know is an error, not a warning.
    words = ("apply", "--dry-run=server", "--validate=strict", "--server-side", "-f", "-")
    prerequisites.kubectl(*words, "--force-conflicts", standard_input=text)


@pytest.mark.parametrize("option", FOREIGN)
def test_it_renders_what_belongs_to_other_projects(lab, option):
    assert of_kind(helm.template(lab, option), FOREIGN[option])


@pytest.mark.parametrize("value", WRONG)
def test_a_wrong_value_is_refused_with_what_would_be_right(lab, value):
    with pytest.raises(inside.CommandError, match=re.escape(WRONG[value])):
        helm.template(lab, "--set", value)


def test_every_alert_has_the_address_of_its_runbook(lab):
    url = "--set=monitoring.rules.enabled=true,monitoring.rules.runbookUrl=https://example.com/{alert}"

    (rules,) = of_kind(helm.template(lab, url), "PrometheusRule").values()

    found = [rule for group in rules["spec"]["groups"] for rule in group["rules"]]
    assert len(found) > 5
    for rule in found:
        assert rule["annotations"]["runbook_url"] == f"https://example.com/{rule['alert']}"


def test_the_same_values_render_to_the_same(lab):
    """Or each sync of a GitOps tool would change something, a key at worst."""
    assert helm.template(lab) == helm.template(lab)


def test_without_the_page_the_webhook_may_read_nothing(lab):
    rendered = helm.template(lab, "--set=webhook.page.listen=none")
    rules = of_kind(rendered, "ClusterRole")["l2lb-webhook"]["rules"]

    assert [(rule["resources"], rule["verbs"]) for rule in rules] == [(["events"], ["create"])]


def test_on_the_pod_nobody_reaches_the_page_but_who_is_named(lab):
    def ports(*options):
        [policy] = of_kind(helm.template(lab, *options), "NetworkPolicy").values()
        return [rule["ports"] for rule in policy["spec"]["ingress"]]

    named = "--set=webhook.page.listen=pod,webhook.page.from[0].ipBlock.cidr=192.0.2.1/32"
    assert ports("--set=webhook.page.listen=pod") == [[{"port": "hooks"}]]
    assert ports(named) == [[{"port": "hooks"}], [{"port": "page"}]]


def test_no_key_is_in_what_is_rendered(lab):
    assert not of_kind(helm.template(lab), "Secret")


def test_the_controllers_are_those_of_metacontroller_but_for_where_the_webhook_is(lab):
    rendered = helm.template(lab, "--set=webhook.tls.mode=none")
    text = lab.kubectl("kustomize", str(helm.CHART.parent / "metacontroller"))
    text = text.replace("l2lb-webhook.l2lb-system/", "l2lb-webhook.l2lb-system.svc/")
    wanted = list(yaml.safe_load_all(text))

    for kind in ("CompositeController", "DecoratorController", "CustomResourceDefinition"):
        found = of_kind(rendered, kind)
        assert {name: one["spec"] for name, one in found.items()} == {
            name: one["spec"] for name, one in of_kind(wanted, kind).items()
        }


def test_an_alias_has_a_controller_of_its_own_and_is_looked_for_in_cleaning_up(lab):
    controllers = of_kind(helm.template(lab, "--set", ALIASED), "DecoratorController")
    keys = {
        name: [
            (one["key"], one["operator"])
            for one in controller["spec"]["resources"][0]["annotationSelector"]["matchExpressions"]
        ]
        for name, controller in controllers.items()
    }

    assert sorted(keys.values()) == sorted(
        [
            [("l2lb.io/load-balancer", "Exists")],
            [(ALIAS, "Exists")],
            [("l2lb.io/load-balancer", "DoesNotExist"), (ALIAS, "DoesNotExist")],
        ]
    )


def test_metacontroller_is_told_whom_to_trust(lab):
    for kind in ("CompositeController", "DecoratorController"):
        for controller in of_kind(helm.template(lab), kind).values():
            for hook in controller["spec"]["hooks"].values():
                webhook = hook["webhook"]
                assert webhook["url"].startswith("https://l2lb-webhook.l2lb-system.svc/hooks/")
                assert webhook["caBundle"]["secretRef"] == {
                    "name": "l2lb-webhook-tls",
                    "namespace": helm.NAMESPACE,
                    "key": "ca.crt",
                }


def test_the_job_that_cleans_up_is_not_in_what_others_apply(lab):
    """Applied like the rest, it would run at once."""
    assert "l2lb-uninstall" not in of_kind(helm.template(lab), "Job")
    assert "l2lb-uninstall" in of_kind(helm.template(lab, "--dry-run=server"), "Job")


@pytest.mark.parametrize(("keep", "policy"), [("true", "keep"), ("false", None)])
def test_balancers_outlive_the_release_if_wanted(lab, keep, policy):
    rendered = helm.template(lab, f"--set=crds.keep={keep}")
    [crd] = of_kind(rendered, "CustomResourceDefinition").values()

    assert (crd["metadata"].get("annotations") or {}).get("helm.sh/resource-policy") == policy


def test_another_job_has_another_name(lab):
    """A Job's template cannot change: applied under its old name, an upgrade would fail."""
    names = {
        name
        for tag in ("a", "b")
        for name in of_kind(helm.template(lab, f"--set=images.webhook.tag={tag}"), "Job")
    }

    assert len(names) == 2


@pytest.fixture(scope="module")
def rights(prerequisites: inside.Lab) -> Iterator[inside.Lab]:
    """All accounts with their rights, those of the Jobs too, which come and go."""
    rendered = helm.template(prerequisites, "--dry-run=server")
    with contextlib.ExitStack() as stack:
        for kind in sorted(RIGHTS, key=lambda kind: "Binding" in kind):
            objects = of_kind(rendered, kind).values()
            stack.enter_context(helm.applied(prerequisites, objects))
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "test-nobody", "namespace": helm.NAMESPACE},
        }
        stack.enter_context(helm.applied(prerequisites, [account]))
        yield prerequisites


def granted(lab: inside.Lab, account: str) -> set[str]:
    user = f"system:serviceaccount:{helm.NAMESPACE}:{account}"
    words = ("auth", "can-i", "--list", "--no-headers", f"--as={user}", "-n", helm.NAMESPACE)
    # The width of a column is that of its longest entry.
    return {" ".join(line.split()) for line in lab.kubectl(*words).splitlines()}


def shown(row: str) -> str:
    """A row of `kubectl auth can-i --list`, as the document shows it."""
    found = re.fullmatch(r"(\S+) \[\] \[(.*?)\] \[(.*)\]", row)
    assert found, row
    resource, name, verbs = found.groups()
    return f"{resource}{f' {name}' if name else ''}: {verbs}"


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_may_do_what_the_document_says_and_nothing_else(rights, account):
    everybody = granted(rights, "test-nobody")
    rows = sorted(shown(row) for row in granted(rights, account) - everybody)
    block = "\n".join([f"{helm.NAMESPACE}/{account}", *(f"  {row}" for row in rows), ""])

    assert block in DOCUMENT.read_text()


def test_no_pod_is_told_of_the_services_around_it(lab):
    """A variable for each of a namespace's Services could be taken for a setting."""
    rendered = helm.template(lab)
    pods = [
        found["spec"]["template"]["spec"]
        for kind in ("Deployment", "DaemonSet", "Job")
        for found in of_kind(rendered, kind).values()
    ]

    # The Job before an uninstallation needs a server to be rendered, and has the other Job's Pod.
    assert [pod["enableServiceLinks"] for pod in pods] == [False] * 3
