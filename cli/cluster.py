# SPDX-License-Identifier: MIT
"""The API server, as the kubeconfig says: lists, single objects, patches, and pages of Pods.

lightkube finds the server and the credentials; objects stay the dictionaries that JSON gives, as
app.explain and the hooks read them.
"""

import http
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx2
from lightkube.config import client_adapter
from lightkube.core import exceptions

from cli import errors, kubeconfig
from contract import names

Json = dict[str, Any]

BALANCERS: Final = f"/apis/{names.GROUP}/{names.VERSION}/{names.PLURAL}"
DAEMON_SETS: Final = "/apis/apps/v1/daemonsets"
DEPLOYMENTS: Final = "/apis/apps/v1/deployments"
EVENTS: Final = "/api/v1/events"
NAMESPACES: Final = "/api/v1/namespaces"
NODES: Final = "/api/v1/nodes"
PODS: Final = "/api/v1/pods"
SERVICES: Final = "/api/v1/services"

_PAGE: Final = 500
_TIMEOUT_S: Final = 15.0
_USER_AGENT: Final = "kubectl-l2lb"
_MERGE_PATCH: Final = "application/merge-patch+json"
# Of the credentials, which lightkube reads with a request: an exec plug-in that says nonsense.
_NO_CREDENTIALS: Final = (KeyError, TypeError, ValueError)


class Cluster:
    """A connection to the API server; every failure is a CliError. `namespace` is the context's."""

    def __init__(self, client: httpx2.Client, *, namespace: str = "default") -> None:
        self._client = client
        self.namespace = namespace

    def list(self, path: str, **selectors: str) -> list[Json]:
        """Return all objects at a path; selectors as `labelSelector` and `fieldSelector`."""
        items: list[Json] = []
        token = ""
        while True:
            page = self._json(path, {**selectors, "limit": str(_PAGE), "continue": token})
            items.extend(page.get("items") or [])
            token = (page.get("metadata") or {}).get("continue") or ""
            if not token:
                return items

    def get(self, path: str) -> Json:
        """Return one object; raises NotFoundError."""
        return self._json(path, {})

    def text(self, path: str) -> str:
        """Return the body at a path, such as a page of a Pod through the API server's proxy."""
        return self._request("GET", path, {}).text

    def patch(self, path: str, change: Mapping[str, Any]) -> None:
        """Merge a change into an object."""
        self._request("PATCH", path, {}, change)

    def _json(self, path: str, parameters: Mapping[str, str]) -> Json:
        answer = self._request("GET", path, parameters)
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise errors.ClusterError(
                f"{self._client.base_url} does not answer {path} as an API server does: see which "
                "server the kubeconfig names"
            )
        return found

    def _request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str],
        change: Mapping[str, Any] | None = None,
    ) -> httpx2.Response:
        given = {name: value for name, value in parameters.items() if value}
        body = None if change is None else json.dumps(change)
        headers = {} if change is None else {"Content-Type": _MERGE_PATCH}
        try:
            answer = self._client.request(method, path, params=given, content=body, headers=headers)
        except (httpx2.HTTPError, exceptions.ConfigError, OSError) as error:
            raise errors.ClusterError(
                f"{self._client.base_url} cannot be reached: {str(error) or type(error).__name__}"
            ) from error
        except _NO_CREDENTIALS as error:
            raise errors.ClusterError(
                f"the kubeconfig's credentials cannot be read ({type(error).__name__}: {error}): "
                "an exec plug-in has to print a token, as client certificates of one are not taken "
                "here; name a context with other credentials"
            ) from error
        if answer.is_success:
            return answer
        raise _refusal(answer, path)


def connect(
    environment: Mapping[str, str], *, context: str | None = None, timeout_s: float = _TIMEOUT_S
) -> Cluster:
    """Connect as kubectl would. Raises ClusterError where there is no usable configuration."""
    try:
        config = kubeconfig.read(environment, context)
        timeout = httpx2.Timeout(timeout_s)
        client = client_adapter.Client(config, client_adapter.ConnectionParams(timeout=timeout))
    except (exceptions.ConfigError, httpx2.InvalidURL, OSError, *_NO_CREDENTIALS) as error:
        raise errors.ClusterError(
            f"no way to reach the API server: {error}; set KUBECONFIG, or name a context that "
            "'kubectl config get-contexts' lists"
        ) from error
    client.headers["User-Agent"] = _USER_AGENT
    return Cluster(client, namespace=config.namespace)


def _refusal(answer: httpx2.Response, path: str) -> errors.CliError:
    """Return the error for a status that is none of success."""
    said = _message(answer)
    match answer.status_code:
        case http.HTTPStatus.NOT_FOUND:
            if path.startswith(BALANCERS):
                return errors.NotFoundError(
                    f"the API server knows no {names.KIND}: install the chart, or its CRD"
                )
            return errors.NotFoundError(said)
        case http.HTTPStatus.FORBIDDEN:
            return errors.ForbiddenError(said)
        case http.HTTPStatus.UNAUTHORIZED:
            return errors.ClusterError(
                "the API server does not accept the kubeconfig's credentials: log in again"
            )
        case status:
            return errors.ClusterError(f"the API server answers {path} with {status}: {said}")


def _message(answer: httpx2.Response) -> str:
    try:
        said = answer.json()["message"]
    except (KeyError, TypeError, ValueError):
        said = answer.text.strip()
    return str(said)[:500] or answer.reason_phrase
