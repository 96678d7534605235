# SPDX-License-Identifier: MIT
"""The release: the CRD, the webhook and the speakers are of one version, and rolled out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from cli.checks import finding
from contract import names

SUBJECT: Final = "release"
_VERSION: Final = "app.kubernetes.io/version"

Json = Mapping[str, Any]


def check(
    *,
    crd: Json | None,
    webhooks: Sequence[Json] | None,
    daemons: Sequence[Json] | None,
    ours: str | None,
) -> Iterable[finding.Finding]:
    """Judge the CRD (None: it is not there), the webhook's Deployments, the speakers' DaemonSets.

    Of the latter None means that they could not be seen.

    `ours` is the version of this program; None: it was never installed, as in a checkout.
    """
    yield _crd(crd)
    yield from _rolled_out("webhook", "Deployment", webhooks, "replicas", "readyReplicas")
    yield from _rolled_out("speaker", "DaemonSet", daemons, "desiredNumberScheduled", "numberReady")
    told = list(_versions([crd] if crd is not None else [], webhooks or [], daemons or []))
    versions = {f"{kind} {version}" for kind, version in told}
    distinct = {version for _, version in told}
    if len(distinct) > 1:
        yield finding.failed(
            SUBJECT,
            f"parts of different versions are installed ({', '.join(sorted(versions))}): upgrade "
            "the chart, and its CRD with it",
        )
    elif distinct:
        (version,) = distinct
        if ours is None or version == ours:
            yield finding.passed(SUBJECT, f"all that is installed is of version {version}")
        else:
            yield finding.warning(
                SUBJECT, f"version {version} is installed, and this program is {ours}"
            )


def _crd(crd: Json | None) -> finding.Finding:
    name = f"{names.PLURAL}.{names.GROUP}"
    if crd is None:
        return finding.failed(SUBJECT, f"there is no CRD {name}: install the chart")
    served = [
        version.get("name")
        for version in (crd.get("spec") or {}).get("versions") or ()
        if version.get("served")
    ]
    if names.VERSION not in served:
        return finding.failed(
            SUBJECT, f"the CRD {name} does not serve {names.VERSION}: upgrade the chart's CRD"
        )
    return finding.passed(SUBJECT, f"the CRD {name} serves {names.VERSION}")


def _rolled_out(
    what: str, kind: str, found: Sequence[Json] | None, wanted: str, ready: str
) -> Iterable[finding.Finding]:
    if found is None:
        yield finding.unknown(SUBJECT, f"{kind}s may not be seen by this user")
        return
    if not found:
        yield finding.failed(SUBJECT, f"there is no {kind} of the {what}: install the chart")
    for one in found:
        metadata, status = one.get("metadata") or {}, one.get("status") or {}
        name = f"{kind} {metadata.get('namespace')}/{metadata.get('name')}"
        numbers = f"{status.get(ready, 0)} of {status.get(wanted, 0)} Pods are ready"
        if status.get(ready, 0) < max(1, status.get(wanted, 0)):
            yield finding.failed(
                SUBJECT, f"{name}: {numbers}; see 'kubectl describe' of the others"
            )
        else:
            yield finding.passed(SUBJECT, f"{name}: {numbers}")


def _versions(
    crds: Sequence[Json], webhooks: Sequence[Json], daemons: Sequence[Json]
) -> Iterable[tuple[str, str]]:
    """Yield the versions that the chart's labels tell, each with what has it."""
    for kind, found in (("CRD", crds), ("webhook", webhooks), ("speaker", daemons)):
        for one in found:
            version = ((one.get("metadata") or {}).get("labels") or {}).get(_VERSION)
            if version:
                yield kind, str(version)
