# SPDX-License-Identifier: MIT
import asyncio
import base64
import contextlib

import httpx
import pytest

from app.upkeep import certificates
from lab import api
from lab.metacontroller import authorities
from lab.metacontroller.errors import SyncError
from lab.metacontroller.spec import SecretKey

WANTED = SecretKey("l2lb-system", "tls", "ca.crt")


@pytest.fixture(scope="module")
def authority() -> str:
    return certificates.make_authority().certificate.decode()


def server(secret: dict[str, str] | None) -> api.Api:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/namespaces/l2lb-system/secrets/tls"
        if secret is None:
            return httpx.Response(404, json={"code": 404, "reason": "NotFound", "message": "no"})
        data = {key: base64.b64encode(value.encode()).decode() for key, value in secret.items()}
        return httpx.Response(200, json={"data": data})

    return api.Api("http://api", user_agent="tests", transport=httpx.MockTransport(answer))


def clients_of(secret: dict[str, str] | None, *wanted: SecretKey | None) -> list[httpx.AsyncClient]:
    async def run() -> list[httpx.AsyncClient]:
        async with contextlib.aclosing(authorities.Clients(server(secret))) as clients:
            return [await clients.of(one) for one in wanted]

    return asyncio.run(run())


def test_hooks_of_one_authority_share_their_connections(authority: str) -> None:
    first, second, other = clients_of({"ca.crt": authority}, WANTED, WANTED, None)
    assert first is second
    assert first is not other


@pytest.mark.parametrize(
    ("secret", "complaint"),
    [
        (None, "l2lb-system/tls does not exist"),
        ({"tls.crt": "x"}, "has no key 'ca.crt'"),
        ({"ca.crt": "x"}, "holds no certificate"),
    ],
)
def test_an_authority_that_cannot_be_read_is_named(
    secret: dict[str, str] | None, complaint: str
) -> None:
    with pytest.raises(SyncError, match=complaint):
        clients_of(secret, WANTED)
