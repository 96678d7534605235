# SPDX-License-Identifier: MIT
"""Kubernetes Events: what `kubectl describe` shows. Best effort, and never in a hook's way."""

import asyncio
import collections
import dataclasses
import datetime as dt
import hashlib
import os
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import structlog

from app import conditions, errors, metrics
from contract import names

CONTROLLER: Final = f"{names.GROUP}/webhook"
MAX_NOTE: Final = 1024  # the API's limit, in bytes
MAX_WAITING: Final = 1000
MAX_REMEMBERED: Final = 4096
QUIET_S: Final = 600.0  # the same words about the same object are said once in this time
TIMEOUT_S: Final = 5.0
SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

log = structlog.get_logger()


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """Something to be said about an object.

    `warning` is whether somebody should act; `action` says what we were doing.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    warning: bool
    reason: str
    note: str
    action: str
    moment: dt.datetime


def about_service(
    manifest: Mapping[str, Any], verdict: conditions.Verdict, *, now: dt.datetime
) -> Event:
    """Return the Event for a Service whose Assigned condition has a new reason."""
    metadata = manifest["metadata"]
    return Event(
        api_version="v1",
        kind="Service",
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        warning=not verdict.holds,
        reason=verdict.reason,
        note=verdict.message,
        action="AssignAddresses",
        moment=now,
    )


def manifest(event: Event, *, instance: str) -> dict[str, Any]:
    """Return an Event of events.k8s.io/v1; its name is the same for the same words and second."""
    moment = event.moment.astimezone(dt.UTC)
    words = f"{event.uid} {event.reason} {event.note} {moment.timestamp():.0f}"
    digest = hashlib.blake2b(words.encode(), digest_size=8).hexdigest()
    return {
        "action": event.action,
        "apiVersion": "events.k8s.io/v1",
        "eventTime": moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "kind": "Event",
        "metadata": {
            "name": f"{event.name}.{digest}",
            # Events about objects without a namespace live where kubectl describe looks for them.
            "namespace": event.namespace or "default",
        },
        "note": event.note.encode()[:MAX_NOTE].decode(errors="ignore"),
        "reason": event.reason,
        "regarding": {
            "apiVersion": event.api_version,
            "kind": event.kind,
            "name": event.name,
            "uid": event.uid,
        }
        | ({"namespace": event.namespace} if event.namespace else {}),
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "type": "Warning" if event.warning else "Normal",
    }


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """Where Events are posted. The token is read anew each time: the kubelet replaces it."""

    url: str
    token_file: Path
    ca_file: Path | None

    def token(self) -> str:
        """Return the token of this moment. Raises OSError."""
        return self.token_file.read_text(encoding="utf-8").strip()


def find_cluster(
    url: str, token_file: str, ca_file: str, environment: Mapping[str, str]
) -> Cluster | None:
    """Return the cluster that is set, else the one whose Pod this is, else None.

    Raises SettingsError when only half of it is set.
    """
    if url:
        if not token_file:
            raise errors.SettingsError(
                "--kube-api is set without --kube-token-file: name the file that holds the token"
            )
        return Cluster(url.rstrip("/"), Path(token_file), Path(ca_file) if ca_file else None)
    host = environment.get("KUBERNETES_SERVICE_HOST")
    if not host or not (SERVICE_ACCOUNT / "token").exists():
        return None
    port = environment.get("KUBERNETES_SERVICE_PORT", "443")
    shown = f"[{host}]" if ":" in host else host
    return Cluster(f"https://{shown}:{port}", SERVICE_ACCOUNT / "token", SERVICE_ACCOUNT / "ca.crt")


class Recorder:
    """Takes Events without waiting, and posts them in a task of its own.

    Without a cluster they are only logged. What does not fit into the queue is dropped and
    counted; what was said within the last ten minutes is not said again.
    """

    def __init__(self, cluster: Cluster | None, *, client: httpx.AsyncClient | None = None) -> None:
        self._cluster = cluster
        self._client = client
        self._waiting: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)
        self._said: collections.OrderedDict[tuple[str, str, str], dt.datetime] = (
            collections.OrderedDict()
        )
        self._instance = os.environ.get("HOSTNAME", "") or "l2lb-webhook"

    def record(self, events: Iterable[Event]) -> None:
        """Take Events. Never waits, never raises."""
        for event in events:
            if self._is_repeated(event):
                metrics.EVENTS.labels("repeated").inc()
                continue
            log.info(
                "event",
                kind=event.kind,
                namespace=event.namespace,
                name=event.name,
                reason=event.reason,
                note=event.note,
            )
            self._take(event)

    def _take(self, event: Event) -> None:
        if self._cluster is None:
            metrics.EVENTS.labels("logged").inc()
            return
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            metrics.EVENTS.labels("dropped").inc()

    def _is_repeated(self, event: Event) -> bool:
        words = event.uid, event.reason, event.note[:MAX_NOTE]  # no more is posted
        last = self._said.get(words)
        if last is not None and (event.moment - last).total_seconds() < QUIET_S:
            return True
        self._said[words] = event.moment
        self._said.move_to_end(words)
        if len(self._said) > MAX_REMEMBERED:
            self._said.popitem(last=False)
        return False

    async def run(self) -> None:
        """Post what is recorded, until cancelled."""
        if self._cluster is None:
            return
        async with self._client or _client(self._cluster) as client:
            while True:
                await self._post(client, self._cluster, await self._waiting.get())

    async def _post(self, client: httpx.AsyncClient, cluster: Cluster, event: Event) -> None:
        body = manifest(event, instance=self._instance)
        path = f"/apis/events.k8s.io/v1/namespaces/{body['metadata']['namespace']}/events"
        try:
            answer = await client.post(
                cluster.url + path,
                json=body,
                headers={"Authorization": f"Bearer {cluster.token()}"},
            )
        except (httpx.HTTPError, OSError) as error:
            metrics.EVENTS.labels("failed").inc()
            log.warning("event not posted", reason=event.reason, error=str(error))
            return
        if answer.is_success or answer.status_code == httpx.codes.CONFLICT:
            metrics.EVENTS.labels("posted").inc()
            return
        metrics.EVENTS.labels("failed").inc()
        log.warning(
            "event not posted",
            reason=event.reason,
            status=answer.status_code,
            error=answer.text[:500],
        )


def _client(cluster: Cluster) -> httpx.AsyncClient:

    verify: ssl.SSLContext | bool = True
    if cluster.ca_file is not None:
        verify = ssl.create_default_context(cafile=str(cluster.ca_file))
    return httpx.AsyncClient(timeout=TIMEOUT_S, verify=verify, trust_env=False)
