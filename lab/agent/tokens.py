# SPDX-License-Identifier: MIT
"""The tokens of a Pod's ServiceAccount, bound to the Pod and renewed in time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from lab import api as kube
from lab.agent import clock as clocks
from lab.agent import spec

RENEW_AFTER = 0.8  # of a token's life, as a kubelet does
LONGEST_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    renew_at: datetime


class Tokens:
    """Asks for the tokens of one Pod and keeps them until they should be renewed."""

    def __init__(self, api: kube.Api, pod: spec.Pod, clock: clocks.Clock) -> None:
        self._api = api
        self._pod = pod
        self._clock = clock
        self._held: dict[tuple[str, int], _Token] = {}

    async def get(self, audience: str, life_s: int) -> str:
        """Return a token; an empty audience is the API server's own."""
        now = self._clock.now()
        held = self._held.get((audience, life_s))
        if held is None or held.renew_at <= now:
            held = await self._request(audience, life_s, now)
            self._held[audience, life_s] = held
        return held.text

    def renew_in_s(self) -> float:
        """Return in how many seconds the first token should be renewed; infinity without any."""
        now = self._clock.now()
        ends = [(token.renew_at - now).total_seconds() for token in self._held.values()]
        return max(0.0, min(ends, default=float("inf")))

    async def _request(self, audience: str, life_s: int, now: datetime) -> _Token:
        account = f"/api/v1/namespaces/{self._pod.namespace}/serviceaccounts/"
        bound = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": self._pod.name,
            "uid": self._pod.uid,
        }
        wanted = {
            "audiences": [audience] if audience else [],
            "expirationSeconds": life_s,
            "boundObjectRef": bound,
        }
        answer = await self._api.create(
            f"{account}{self._pod.service_account}/token",
            {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": wanted},
        )
        ends = datetime.fromisoformat(answer["status"]["expirationTimestamp"])
        life = (ends - now).total_seconds() * RENEW_AFTER
        return _Token(
            answer["status"]["token"], now + timedelta(seconds=min(max(life, 1.0), LONGEST_S))
        )
