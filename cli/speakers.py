# SPDX-License-Identifier: MIT
"""What the speakers believe: their /status, fetched through the API server.

A speaker that serves its pages on the node's address is reached by the API server's proxy; one
that serves them on localhost, the default, only from within its Pod, by `kubectl exec`.
"""

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from concurrent import futures
from typing import Any, Final

from cli import cluster, errors, gather

DEFAULT_PORT: Final = 7472
_LISTEN: Final = "L2LB_LISTEN"
_EXEC_WITHIN_S: Final = 15
_AT_ONCE: Final = 8  # each may be a kubectl, of some 50 MB
_FETCH: Final = (
    "import sys, urllib.request; "
    "open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open; "
    "sys.stdout.write(open(sys.argv[1], timeout=5).read().decode())"
)


@dataclasses.dataclass(frozen=True, slots=True)
class Speaker:
    """A speaker's Pod. `local` is whether it serves its pages on localhost only."""

    node: str
    namespace: str
    pod: str
    ready: bool
    port: int = DEFAULT_PORT
    local: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Belief:
    """What a speaker's /status says; `why_not` is why it cannot be asked, empty otherwise."""

    speaker: Speaker
    status: Mapping[str, Any]
    why_not: str = ""


def find(server: cluster.Cluster) -> list[Speaker]:
    """Return all speakers by the names of their nodes."""
    found = []
    for pod in server.list(cluster.PODS, labelSelector=gather.SPEAKER):
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        if not spec.get("nodeName") or status.get("phase") in {"Succeeded", "Failed"}:
            continue
        given = gather.environment({"spec": {"template": {"spec": spec}}})
        host, _, port = given.get(_LISTEN, "").rpartition(":")
        conditions = status.get("conditions") or ()
        found.append(
            Speaker(
                node=spec["nodeName"],
                namespace=pod["metadata"]["namespace"],
                pod=pod["metadata"]["name"],
                ready=any(
                    c.get("type") == "Ready" and c.get("status") == "True" for c in conditions
                ),
                port=int(port) if port.isdigit() else DEFAULT_PORT,
                local=host in {"", "127.0.0.1", "[::1]"},
            )
        )
    return sorted(found, key=lambda speaker: speaker.node)


def ask(
    server: cluster.Cluster, speakers: Iterable[Speaker], *, context: str | None
) -> list[Belief]:
    """Ask the speakers, some at a time; return their answers in order.

    One that cannot be asked says why not.
    """

    def one(speaker: Speaker) -> Belief:
        try:
            return Belief(speaker, _status(server, speaker, context))
        except errors.CliError as error:
            return Belief(speaker, {}, str(error))

    with futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(one, speakers))


def _status(server: cluster.Cluster, speaker: Speaker, context: str | None) -> Mapping[str, Any]:
    text = _by_exec(speaker, context) if speaker.local else _by_proxy(server, speaker)
    try:
        status = json.loads(text)
    except ValueError:
        status = None
    if not isinstance(status, dict):
        raise errors.ClusterError(f"the speaker on {speaker.node} answers no JSON object")
    return status


def _by_proxy(server: cluster.Cluster, speaker: Speaker) -> str:
    pods = gather.within(cluster.PODS, speaker.namespace)
    return server.text(f"{pods}/{speaker.pod}:{speaker.port}/proxy/status")


def _by_exec(speaker: Speaker, context: str | None) -> str:
    """Return the page as it is seen from within the Pod; raises ClusterError."""
    kubectl = shutil.which("kubectl")
    advice = "; with the chart's speaker.listen=node the API server's proxy is used instead"
    if kubectl is None:
        raise errors.ClusterError(
            f"the speaker on {speaker.node} serves its pages on localhost, which needs kubectl in "
            f"PATH, and it is not there{advice}"
        )
    flags = ["--context", context] if context is not None else []
    url = f"http://127.0.0.1:{speaker.port}/status"
    inside = ["--", "python", "-I", "-c", _FETCH, url]
    pod = ["-n", speaker.namespace, speaker.pod, "-c", "speaker"]
    try:
        answer = subprocess.run(  # noqa: S603 - kubectl, with names that the API server gave
            [kubectl, *flags, "exec", *pod, *inside],
            capture_output=True,
            text=True,
            check=False,
            timeout=_EXEC_WITHIN_S,
            env=os.environ,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.ClusterError(f"kubectl exec into {speaker.pod}: {error}{advice}") from None
    if answer.returncode:
        raise errors.ClusterError(
            f"kubectl exec into {speaker.pod}: {answer.stderr.strip()[-300:]}{advice}"
        )
    return answer.stdout
