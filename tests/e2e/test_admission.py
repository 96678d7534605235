# SPDX-License-Identifier: MIT
"""Who may write what: each attempt is made with a real token, and carried out or refused."""

import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from lab import api, inside
from tests.e2e import helm

Json = dict[str, Any]

PROXY_LABEL = "service.kubernetes.io/service-proxy-name"
SERVICE_CLASS = "l2lb.io/l2-load-balancer"
REFUSED = "denied request: "
MINE, OTHERS = "192.0.2.10", "192.0.2.11"
MIRROR = "l2lb.io/load-balancer"  # annotation and label
MIRRORS = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"  # from Kubernetes 1.36 on


def service(
    name: str,
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owners: list[Json] | None = None,
    **spec: Any,
) -> Json:
    metadata = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata | {"ownerReferences": owners or []},
        "spec": {"ports": [{"port": 80}], **spec},
    }


def child(name: str, *, nodes: str = "node-1", owners: list[Json] | None = None) -> Json:
    return service(
        name,
        labels={PROXY_LABEL: "l2lb.io", "l2lb.io/balancer": "none", "l2lb.io/service-uid": "none"},
        annotations={"l2lb.io/address": MINE, "l2lb.io/nodes": nodes, "l2lb.io/service": "web"},
        owners=owners,
        type="LoadBalancer",
        loadBalancerClass="l2lb.io/child",
        allocateLoadBalancerNodePorts=False,
    )


def status(*, address: str = MINE, message: str = "node-1 eth0 52:54:00:12:34:56") -> Json:
    condition = {
        "type": "l2lb.io/Announced",
        "status": "True",
        "reason": "Announcing",
        "message": message,
        "lastTransitionTime": "2026-01-31T12:00:00Z",
    }
    ingress = [{"ip": address, "ipMode": "Proxy"}]
    return {"status": {"loadBalancer": {"ingress": ingress}, "conditions": [condition]}}


METACONTROLLER = [
    helm.namespace("metacontroller"),
    {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "metacontroller", "namespace": "metacontroller"},
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "metacontroller"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [
            {"kind": "ServiceAccount", "name": "metacontroller", "namespace": "metacontroller"}
        ],
    },
]


def mirrors(lab: inside.Lab) -> bool:
    """Whether this Kubernetes has the kind of policy that writes the label."""
    served = lab.kubectl("api-resources", "--api-group=admissionregistration.k8s.io", "-o", "name")
    return "mutatingadmissionpolicies." in served


@pytest.fixture(scope="module")
def policies(lab: inside.Lab) -> Iterator[inside.Lab]:
    """The chart's policies in force: the release's own, else installed for these tests."""
    served = ["--api-versions", MIRRORS] if mirrors(lab) else []
    rendered = helm.template(lab, *served)
    crd = [found for found in rendered if found["kind"] == "CustomResourceDefinition"]
    rights = [
        found
        for found in rendered
        if found["metadata"]["name"] == "l2lb-speaker" and found["kind"] != "DaemonSet"
    ]
    ours = [found for found in rendered if "AdmissionPolicy" in found["kind"]]
    with contextlib.ExitStack() as stack:
        stack.enter_context(helm.applied(lab, [helm.namespace(helm.NAMESPACE), *METACONTROLLER]))
        stack.enter_context(helm.applied(lab, [*crd, *rights]))
        lab.kubectl("wait", "--for=condition=Established", "crd/l2loadbalancers.l2lb.io")
        stack.enter_context(helm.applied(lab, ours))
        yield lab


@dataclass(frozen=True)
class Stage:
    """A namespace with a child and a user's Service in it, and everybody who may try something."""

    lab: inside.Lab
    namespace: str
    balancer_uid: str
    people: Mapping[str, helm.Identity]

    def attempt(self, who: str, request: Callable[[api.Api], Awaitable[Json]]) -> str:
        """Try something; return what the API server has against it."""
        try:
            self.people[who].call(request)
        except api.ApiError as error:
            return str(error)
        return ""

    @property
    def owner(self) -> Json:
        """The owner reference of what the balancer makes."""
        return {
            "apiVersion": "l2lb.io/v1alpha1",
            "kind": "L2LoadBalancer",
            "name": self.namespace,
            "uid": self.balancer_uid,
        }

    # Of what is only tried, nothing stays: admission judges a dry run too.

    def create(self, who: str, body: Json) -> str:
        path = self.path(namespace=body["metadata"].get("namespace"))
        return self.attempt(who, lambda c: c.create(path, body, dryRun="All"))

    def refused(self, body: Json) -> bool:
        return REFUSED in self.create("tenant", body)

    def patch(self, who: str, name: str, patch: Json, *, subresource: str = "") -> str:
        path = self.path(name) + (f"/{subresource}" if subresource else "")
        return self.attempt(who, lambda c: c.patch(path, patch, dryRun="All"))

    def delete(self, who: str, name: str) -> str:
        return self.attempt(who, lambda c: c.delete(self.path(name), dryRun="All"))

    def make(self, who: str, body: Json) -> None:
        path = self.path(namespace=body["metadata"].get("namespace"))
        self.people[who].call(lambda c: c.create(path, body))

    def path(self, name: str = "", *, namespace: str | None = None) -> str:
        services = f"/api/v1/namespaces/{namespace or self.namespace}/services"
        return f"{services}/{name}" if name else services


@pytest.fixture(scope="module")
def stage(policies: inside.Lab) -> Iterator[Stage]:
    lab, name = policies, "test-admission"
    lab.kubectl("create", "namespace", name)
    balancer = {
        "apiVersion": "l2lb.io/v1alpha1",
        "kind": "L2LoadBalancer",
        "metadata": {"name": "test-admission"},
        "spec": {"addressPool": ["198.51.100.0/31"], "nodeSelector": {"no-node": "has-this"}},
    }
    lab.apply(balancer)
    uid = lab.get("l2lb", "test-admission")["metadata"]["uid"]
    # More than a tenant has by Kubernetes' role 'edit': the status too, so that policies refuse.
    lab.kubectl(
        *("create", "clusterrole", f"{name}-services", "--verb=*"),
        "--resource=services,services/status",
    )
    for account, role in {"tenant": f"{name}-services", "boss": "cluster-admin"}.items():
        lab.kubectl("create", "serviceaccount", account, "-n", name)
        lab.kubectl(
            *("create", "clusterrolebinding", f"{name}-{account}", f"--clusterrole={role}"),
            f"--serviceaccount={name}:{account}",
        )
    for node in ("node-1", "node-2"):
        lab.apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": f"test-speaker-{node}", "namespace": helm.NAMESPACE},
                "spec": {
                    "serviceAccountName": "l2lb-speaker",
                    "nodeName": node,
                    "containers": [{"name": "echo", "image": "echo"}],
                },
            }
        )
    speaker = helm.NAMESPACE, "l2lb-speaker"
    people = (
        helm.Identity("administrator", lab.kubeconfig),
        helm.identity(lab, name, "tenant"),
        helm.identity(lab, name, "boss"),
        helm.identity(lab, "metacontroller", "metacontroller"),
        helm.identity(lab, "kube-system", "generic-garbage-collector", name="garbage collector"),
        helm.identity(lab, *speaker, pod="test-speaker-node-1", name="speaker of node-1"),
        helm.identity(lab, *speaker, pod="test-speaker-node-2", name="speaker of node-2"),
        helm.identity(lab, *speaker, name="speaker of no node"),
    )
    made = Stage(lab, name, uid, {person.name: person for person in people})
    for policy, forbidden in {
        "l2lb-children": child("probe"),
        "l2lb-mirror-label": service("probe", labels={"l2lb.io/load-balancer": "x"}),
        "l2lb-adoption": service("probe", labels={"controller-uid": uid}),
        "l2lb-annotations": service("probe", annotations={"l2lb.io/ip-count": "no"}),
    }.items():
        inside.until(functools.partial(made.refused, forbidden), f"{policy} is in force")
    made.make("metacontroller", child("web-l2-1"))
    web = service("web", labels={"l2lb.io/load-balancer": "front"}, type="LoadBalancer")
    made.make("metacontroller", web)
    held = service("held", labels={MIRROR: "front"}, **OURS)
    held["metadata"]["finalizers"] = ["example.org/stay"]
    made.make("metacontroller", held)
    lab.kubectl("delete", "service", "held", "-n", name, "--wait=false")
    yield made
    free = '{"metadata": {"finalizers": null}}'
    lab.kubectl("patch", "service", "held", "-n", name, "--type=merge", "-p", free)
    lab.kubectl("delete", "namespace", name, "--wait=false")
    lab.kubectl("delete", "l2lb", "test-admission")
    for node in ("node-1", "node-2"):
        lab.kubectl(
            *("delete", "pod", f"test-speaker-{node}", "-n", helm.NAMESPACE),
            *("--wait=false", "--ignore-not-found"),  # node-2 may be no node here
        )
    for account in ("tenant", "boss"):
        lab.kubectl("delete", "clusterrolebinding", f"{name}-{account}")
    lab.kubectl("delete", "clusterrole", f"{name}-services")


Attempt = Callable[[Stage, str], str]

ATTEMPTS: dict[str, Attempt] = {
    "create a child": lambda s, who: s.create(who, child("forged")),
    "change a child's nodes": lambda s, who: s.patch(
        who, "web-l2-1", {"metadata": {"annotations": {"l2lb.io/nodes": "node-2"}}}
    ),
    "change a child's finalizers": lambda s, who: s.patch(
        who, "web-l2-1", {"metadata": {"finalizers": ["example.org/stay"]}}
    ),
    "change a child's owners": lambda s, who: s.patch(
        who, "web-l2-1", {"metadata": {"ownerReferences": [s.owner]}}
    ),
    "change a child's labels": lambda s, who: s.patch(
        who, "web-l2-1", {"metadata": {"labels": {"app": "web"}}}
    ),
    "change a child's spec": lambda s, who: s.patch(
        who, "web-l2-1", {"spec": {"externalTrafficPolicy": "Local"}}
    ),
    "make a child an ordinary Service": lambda s, who: s.patch(
        who, "web-l2-1", {"metadata": {"labels": {PROXY_LABEL: None}}}
    ),
    "make a Service a child": lambda s, who: s.patch(
        who, "web", {"metadata": {"labels": {PROXY_LABEL: "l2lb.io"}}}
    ),
    "make a Service a child by way of its status": lambda s, who: s.patch(
        who, "web", {"metadata": {"labels": {PROXY_LABEL: "l2lb.io"}}}, subresource="status"
    ),
    "delete a child": lambda s, who: s.delete(who, "web-l2-1"),
    "say that node-1 announces": lambda s, who: s.patch(
        who, "web-l2-1", status(), subresource="status"
    ),
    "say that node-2 announces": lambda s, who: s.patch(
        who, "web-l2-1", status(message="node-2 eth0 52:54:00:12:34:56"), subresource="status"
    ),
    "show another's address": lambda s, who: s.patch(
        who, "web-l2-1", status(address=OTHERS), subresource="status"
    ),
    "change a child's nodes by way of its status": lambda s, who: s.patch(
        who,
        "web-l2-1",
        {"metadata": {"annotations": {"l2lb.io/nodes": "node-1,node-2"}}},
        subresource="status",
    ),
    "write a user's Service's status": lambda s, who: s.patch(
        who, "web", status(), subresource="status"
    ),
    "set the mirror label": lambda s, who: s.create(
        who, service("new", labels={"l2lb.io/load-balancer": "front"})
    ),
    "change the mirror label": lambda s, who: s.patch(
        who, "web", {"metadata": {"labels": {"l2lb.io/load-balancer": "back"}}}
    ),
    "change the mirror label by way of the status": lambda s, who: s.patch(
        who,
        "web",
        {"metadata": {"labels": {"l2lb.io/load-balancer": "back"}}},
        subresource="status",
    ),
    "remove the mirror label": lambda s, who: s.patch(
        who, "web", {"metadata": {"labels": {"l2lb.io/load-balancer": None}}}
    ),
    "keep the mirror label": lambda s, who: s.patch(
        who, "web", {"metadata": {"labels": {"app": "web"}}}
    ),
    "change the mirror label of a Service that is being deleted": lambda s, who: s.patch(
        who,
        "held",
        {"metadata": {"labels": {MIRROR: "back"}, "annotations": {MIRROR: "back"}}},
    ),
    "remove the mirror label of a Service that is being deleted by way of its status": (
        lambda s, who: s.patch(
            who, "held", {"metadata": {"labels": {MIRROR: None}}}, subresource="status"
        )
    ),
    "edit a Service that is being deleted": lambda s, who: s.patch(
        who, "held", {"metadata": {"labels": {"app": "web"}, "annotations": {MIRROR: None}}}
    ),
    "write the status of a Service that is being deleted": lambda s, who: s.patch(
        who, "held", status(), subresource="status"
    ),
    "take the finalizers off a Service that is being deleted": lambda s, who: s.patch(
        who, "held", {"metadata": {"finalizers": None}}
    ),
    "write a child back as it was": lambda s, who: s.patch(who, "web-l2-1", {}),
    "be adopted by a balancer": lambda s, who: s.patch(
        who, "web", {"metadata": {"labels": {"controller-uid": s.balancer_uid}}}
    ),
    "be adopted by somebody else": lambda s, who: s.patch(
        who, "web", {"metadata": {"labels": {"controller-uid": "something-else"}}}
    ),
}

ORDINARY = {
    "remove the mirror label",
    "keep the mirror label",
    "edit a Service that is being deleted",
    "write the status of a Service that is being deleted",
    "take the finalizers off a Service that is being deleted",
    "be adopted by somebody else",
    "write a child back as it was",
    "write a user's Service's status",
}
ALLOWED: dict[str, set[str]] = {
    "tenant": ORDINARY,
    "boss": ORDINARY | {"delete a child"},
    "administrator": ORDINARY | {"delete a child"},
    # Foreground deletion is a finalizer, orphaning takes owners away, and the rest is not its own.
    "garbage collector": ORDINARY
    | {"delete a child", "change a child's finalizers", "change a child's owners"},
    "speaker of node-1": {"say that node-1 announces"},
    "speaker of node-2": set(),
    "speaker of no node": set(),
    # It is the one who makes children and mirrors labels; it never writes a child's status.
    "metacontroller": set(ATTEMPTS)
    - {
        "say that node-1 announces",
        "say that node-2 announces",
        "show another's address",
        "change a child's nodes by way of its status",
        "make a Service a child by way of its status",
    },
}


NAMED: Json = {"annotations": {MIRROR: "front"}}
OURS: Json = {**NAMED, "type": "LoadBalancer"}


class Mirror:
    """What becomes of the label when somebody writes a Service."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._made = 0

    def created(self, who: str = "tenant", **asked: Any) -> str | None:
        """Return the label of a Service that is only tried."""
        body = service("tried", **asked)
        return self._written(who, lambda c: c.create(self._stage.path(), body, dryRun="All"))

    def replaced(self, who: str, *, by: Json, **asked: Any) -> str | None:
        """Create a Service, and return the label that it had if it were replaced."""
        self._made += 1
        name = f"mirrored-{self._made}"
        self._stage.make("tenant", service(name, **asked))
        path = self._stage.path(name)
        version = self._stage.people[who].call(lambda c: c.get(path))["metadata"]["resourceVersion"]
        body = {**by, "metadata": {**by["metadata"], "name": name, "resourceVersion": version}}
        return self._written(who, lambda c: c.update(path, body, dryRun="All"))

    def patched(self, who: str, path: str, patch: Json) -> str | None:
        """Return the label that a Service had if it were patched."""
        return self._written(who, lambda c: c.patch(path, patch, dryRun="All"))

    def _written(self, who: str, request: Callable[[api.Api], Awaitable[Json]]) -> str | None:
        written = self._stage.people[who].call(request)
        label: str | None = written["metadata"].get("labels", {}).get(MIRROR)
        return label


@pytest.fixture(scope="module")
def mirror(stage: Stage) -> Mirror:
    if not mirrors(stage.lab):
        pytest.skip("this Kubernetes has no MutatingAdmissionPolicy: 1.36 is the first")
    made = Mirror(stage)
    inside.until(lambda: made.created(**OURS) == "front", "l2lb-mirror is in force")
    return made


@pytest.mark.parametrize(
    ("asked", "label"),
    [
        (OURS, "front"),
        ({**OURS, "loadBalancerClass": SERVICE_CLASS}, "front"),
        ({**OURS, "labels": {"app": "web"}}, "front"),
        ({**OURS, "loadBalancerClass": "example.org/other"}, None),
        ({**NAMED, "type": "ClusterIP"}, None),
        ({"type": "LoadBalancer"}, None),
    ],
)
def test_a_service_has_the_label_from_its_creation_on(mirror, asked, label):
    assert mirror.created(**asked) == label


def test_a_service_that_is_replaced_keeps_the_label(mirror):
    assert mirror.replaced("tenant", by=service("", **OURS), **OURS) == "front"
    # What it names then is the hook's to judge, who knows what it has.
    other = service("", annotations={MIRROR: "back"}, type="LoadBalancer")
    assert mirror.replaced("tenant", by=other, **OURS) == "front"


def test_a_service_that_is_replaced_without_the_annotation_keeps_the_label_for_who_cleans_up(
    mirror,
):
    bare = service("", type="LoadBalancer")
    assert mirror.replaced("tenant", by=bare, **OURS) == "front"
    assert mirror.replaced("metacontroller", by=bare, **OURS) is None


def test_a_service_keeps_the_label_while_it_is_being_deleted(mirror, stage):
    bare = {"metadata": {"labels": {MIRROR: None}}}
    assert mirror.patched("tenant", stage.path("held"), bare) == "front"


def test_nobody_takes_the_label_off_a_service_that_is_being_deleted(stage):
    refusal = stage.patch("tenant", "held", {"metadata": {"labels": {MIRROR: None}}})

    # Where the label is written back in the same write, there is nothing to refuse.
    sentence = "label l2lb.io/load-balancer=front is it known which addresses it still shows: leave"
    assert sentence in refusal or (mirrors(stage.lab) and not refusal)


def test_a_service_gets_the_label_with_the_annotation(mirror):
    assert mirror.replaced("tenant", by=service("", **OURS), type="LoadBalancer") == "front"


@pytest.mark.parametrize("who", ALLOWED)
@pytest.mark.parametrize("what", ATTEMPTS)
def test_who_may_do_what(stage, who, what):
    refusal = ATTEMPTS[what](stage, who)

    if what in ALLOWED[who]:
        assert not refusal
    else:
        assert REFUSED in refusal or "is forbidden: User" in refusal


BAD_ANNOTATIONS = {
    "a name that is none": (
        {"l2lb.io/load-balancer": "Front_1"},
        (
            'annotation l2lb.io/load-balancer is "Front_1", which cannot be the name of an '
            "L2LoadBalancer: write one that kubectl get l2lb lists"
        ),
    ),
    "a count of nothing": (
        {"l2lb.io/ip-count": "0"},
        'annotation l2lb.io/ip-count is "0": write a number from 1 to 64, or auto',
    ),
    "a count that is too large": ({"l2lb.io/ip-count": "65"}, 'is "65": write a number'),
    "a count in words": ({"l2lb.io/ip-count": "all"}, 'is "all": write a number'),
    "an address that is none": (
        {"l2lb.io/addresses": "192.0.2.10,web"},
        (
            'annotation l2lb.io/addresses is "192.0.2.10,web": write addresses separated by '
            "commas, like 192.0.2.10,192.0.2.11"
        ),
    ),
    "a sharing key with a space": (
        {"l2lb.io/sharing-key": "a b"},
        'annotation l2lb.io/sharing-key is "a b": write at most 63 letters',
    ),
}
GOOD_ANNOTATIONS = {
    "l2lb.io/load-balancer": "front",
    "l2lb.io/ip-count": "64",
    "l2lb.io/addresses": "192.0.2.10, 2001:db8::1",
    "l2lb.io/sharing-key": "Edge_1",
}


@pytest.mark.parametrize("case", BAD_ANNOTATIONS)
def test_a_bad_annotation_is_refused_with_what_would_be_right(stage, case):
    annotations, sentence = BAD_ANNOTATIONS[case]

    assert sentence in stage.create("tenant", service("new", annotations=annotations))
    assert sentence in stage.patch("tenant", "web", {"metadata": {"annotations": annotations}})


def test_good_annotations_are_accepted(stage):
    assert not stage.create("tenant", service("new", annotations=GOOD_ANNOTATIONS))
    automatic = {"l2lb.io/ip-count": "auto"}
    assert not stage.patch("tenant", "web", {"metadata": {"annotations": automatic}})


def test_our_class_without_the_annotation_is_refused_on_creation_only(stage):
    new = service("classy", type="LoadBalancer", loadBalancerClass=SERVICE_CLASS)

    assert "annotate it with l2lb.io/load-balancer" in stage.create("tenant", new)

    new["metadata"]["annotations"] = {"l2lb.io/load-balancer": "none-of-this-name"}
    stage.make("tenant", new)
    gone = {"metadata": {"annotations": {"l2lb.io/load-balancer": None}}}
    assert not stage.patch("tenant", "classy", gone)


def test_a_bad_annotation_that_stands_is_not_judged_again(stage):
    old = service("old", annotations={"l2lb.io/ip-count": "many"})
    binding = stage.lab.get("validatingadmissionpolicybinding", "l2lb-annotations")
    stage.lab.kubectl("delete", "validatingadmissionpolicybinding", "l2lb-annotations")
    try:
        inside.until(
            lambda: not stage.create("tenant", old), "the binding that was deleted is not in force"
        )
        stage.make("tenant", old)
    finally:
        for key in ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"):
            binding["metadata"].pop(key, None)
        stage.lab.apply(binding)
    again = service("again", annotations={"l2lb.io/ip-count": "many"})
    inside.until(lambda: stage.create("tenant", again), "the binding is in force again")

    assert not stage.patch("tenant", "old", {"metadata": {"labels": {"app": "old"}}})
    changed = {"metadata": {"annotations": {"l2lb.io/ip-count": "more"}}}
    assert 'is "more"' in stage.patch("tenant", "old", changed)


def test_annotations_are_not_judged_while_a_service_is_being_deleted(stage):
    leaving = service("leaving")
    leaving["metadata"]["finalizers"] = ["example.org/stay"]
    stage.make("tenant", leaving)
    bad = {"metadata": {"annotations": {"l2lb.io/ip-count": "many"}}}
    assert 'is "many"' in stage.patch("tenant", "leaving", bad)

    stage.lab.kubectl("delete", "service", "leaving", "-n", stage.namespace, "--wait=false")

    assert not stage.patch("tenant", "leaving", bad)
    stage.lab.kubectl(
        *("patch", "service", "leaving", "-n", stage.namespace, "--type=merge"),
        *("-p", '{"metadata": {"finalizers": null}}'),
    )


@pytest.fixture
def owner(stage: Stage) -> Iterator[Json]:
    """A balancer that owns a child, as its owner reference has it."""
    name = "test-owner"
    stage.lab.apply(
        {
            "apiVersion": "l2lb.io/v1alpha1",
            "kind": "L2LoadBalancer",
            "metadata": {"name": name},
            "spec": {"addressPool": ["198.51.100.2/31"], "nodeSelector": {"no-node": "has-this"}},
        }
    )
    reference = {
        "apiVersion": "l2lb.io/v1alpha1",
        "kind": "L2LoadBalancer",
        "name": name,
        "uid": stage.lab.get("l2lb", name)["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }
    yield reference
    stage.lab.kubectl("delete", "l2lb", name, "--ignore-not-found")


def owned(stage: Stage, name: str, owner: Json) -> None:
    stage.make("metacontroller", child(name, owners=[owner]))


def gone(lab: inside.Lab, *words: str) -> bool:
    return not lab.kubectl("get", *words, "--ignore-not-found", "-o", "name")


@pytest.mark.parametrize("how", ["background", "foreground"])
def test_deleting_a_balancer_deletes_its_children(stage, owner, how):
    owned(stage, f"owned-{how}", owner)

    stage.lab.kubectl("delete", "l2lb", owner["name"], f"--cascade={how}", "--wait=false")

    # The garbage collector learns of a new CRD within half a minute.
    inside.until(
        lambda: (
            gone(stage.lab, "service", f"owned-{how}", "-n", stage.namespace)
            and gone(stage.lab, "l2lb", owner["name"])
        ),
        "balancer and child are gone",
        within_s=60,
    )


def test_orphaning_a_child_takes_its_owner_away_and_nothing_else(stage, owner):
    owned(stage, "orphan", owner)

    stage.lab.kubectl("delete", "l2lb", owner["name"], "--cascade=orphan", "--wait=false")

    inside.until(
        lambda: (
            "ownerReferences"
            not in stage.lab.get("service", "orphan", "-n", stage.namespace)["metadata"]
        ),
        "the child has no owner",
        within_s=60,
    )


def test_deleting_a_namespace_deletes_the_children_in_it(stage):
    stage.lab.kubectl("create", "namespace", "test-doomed")
    doomed = child("doomed")
    doomed["metadata"]["namespace"] = "test-doomed"
    stage.make("metacontroller", doomed)

    stage.lab.kubectl("delete", "namespace", "test-doomed", "--wait=false")

    inside.until(
        lambda: gone(stage.lab, "namespace", "test-doomed"),
        "the namespace is gone",
        within_s=60,
    )
