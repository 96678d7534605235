# SPDX-License-Identifier: MIT
"""Heartbeat keys and the webhook's certificate: made where they are absent, else left alone.

Not by Helm's `lookup`, which finds nothing under `helm template` and GitOps: a new key at each
sync would split the speakers.
"""

import base64
import dataclasses
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.upkeep import certificates, cluster

KEY_BYTES: Final = 32
FIRST_KEY: Final = "1"  # speakers use the first by name that all of them have
LABELS: Final = {"app.kubernetes.io/name": "l2-load-balancer"}


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """Which Secrets to make; an empty name makes none."""

    namespace: str
    heartbeat: str = ""
    certificate: str = ""
    authority: str = ""
    service: str = "l2lb-webhook"

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names of the webhook; the last is the one that the controllers' URL has."""
        return (
            self.service,
            f"{self.service}.{self.namespace}",
            f"{self.service}.{self.namespace}.svc",
        )


def ensure(
    kube: cluster.Cluster, wanted: Wanted, *, clock: Callable[[], float] = time.time
) -> list[str]:
    """Make what is absent or due; return a sentence each.

    May run several times at once: whoever comes second takes what the first made. Raises
    ClusterError and CertificateError.
    """
    said: list[str] = []
    if wanted.heartbeat:
        said.append(_ensure_heartbeat(kube, wanted))
    if wanted.certificate:
        said.append(_ensure_certificate(kube, wanted, now=clock()))
    return said


def path(namespace: str, name: str) -> str:
    """Return a Secret's path in the API."""
    return f"/api/v1/namespaces/{namespace}/secrets/{name}"


def _ensure_heartbeat(kube: cluster.Cluster, wanted: Wanted) -> str:
    where = f"Secret {wanted.namespace}/{wanted.heartbeat}"
    key = secrets.token_hex(KEY_BYTES).encode()
    _, made = _find_or_create(kube, wanted.namespace, wanted.heartbeat, {FIRST_KEY: key})
    return f"{where} made with a new key" if made else f"{where} is there and stays as it is"


def _ensure_certificate(kube: cluster.Cluster, wanted: Wanted, *, now: float) -> str:
    authority = _ensure_authority(kube, wanted)
    where = f"Secret {wanted.namespace}/{wanted.certificate}"
    standing = kube.find(path(wanted.namespace, wanted.certificate))
    if standing is None:
        content = _content(authority, wanted)
        kind = "kubernetes.io/tls"
        _find_or_create(kube, wanted.namespace, wanted.certificate, content, kind=kind)
        return f"{where} made with a new certificate"
    why = certificates.complaint(
        _decoded(standing, "tls.crt"), authority.certificate, wanted.names, now=now
    )
    if not why:
        return f"{where} is there and stays as it is"
    kube.replace(
        path(wanted.namespace, wanted.certificate),
        {**standing, "data": _encoded(_content(authority, wanted))},
    )
    return f"{where} has a new certificate, as the old one would not do much longer: {why}"


def _ensure_authority(kube: cluster.Cluster, wanted: Wanted) -> certificates.Pair:
    standing = kube.find(path(wanted.namespace, wanted.authority))
    if standing is None:
        made = certificates.make_authority()
        standing, _ = _find_or_create(
            kube,
            wanted.namespace,
            wanted.authority,
            {"ca.crt": made.certificate, "ca.key": made.key},
        )
    return certificates.Pair(_decoded(standing, "ca.crt"), _decoded(standing, "ca.key"))


def _content(authority: certificates.Pair, wanted: Wanted) -> dict[str, bytes]:
    made = certificates.make(authority, wanted.names)
    return {"ca.crt": authority.certificate, "tls.crt": made.certificate, "tls.key": made.key}


def _find_or_create(
    kube: cluster.Cluster,
    namespace: str,
    name: str,
    content: Mapping[str, bytes],
    *,
    kind: str = "Opaque",
) -> tuple[cluster.Manifest, bool]:
    """Return the Secret that is there in the end, and whether it was made here."""
    where = path(namespace, name)
    standing = kube.find(where)
    if standing is not None:
        return standing, False
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": LABELS},
        "data": _encoded(content),
    }
    try:
        return kube.create(where.rpartition("/")[0], manifest), True
    except cluster.ClusterError as error:
        standing = kube.find(where) if error.conflict else None
        if standing is None:
            raise
        return standing, False


def _encoded(content: Mapping[str, bytes]) -> dict[str, str]:
    return {key: base64.b64encode(value).decode() for key, value in content.items()}


def _decoded(secret: Mapping[str, Any], key: str) -> bytes:
    try:
        return base64.b64decode(secret["data"][key], validate=True)
    except (KeyError, TypeError, ValueError):
        metadata = secret["metadata"]
        raise certificates.CertificateError(
            f"Secret {metadata['namespace']}/{metadata['name']} has no readable {key}: delete the "
            "Secret, and the next run makes it anew"
        ) from None
