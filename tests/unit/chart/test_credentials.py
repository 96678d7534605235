# SPDX-License-Identifier: MIT
import base64
import ssl
import time
from pathlib import Path

import pytest

from app.upkeep import certificates, credentials
from tests.unit.chart import cluster

WANTED = credentials.Wanted(
    namespace="l2lb-system",
    heartbeat="l2lb-heartbeat-keys",
    certificate="l2lb-webhook-tls",
    authority="l2lb-webhook-authority",
)
YEAR_S = 365 * 24 * 3600.0


def content(memory: cluster.Memory, name: str) -> dict[str, bytes]:
    data = memory.objects[credentials.path(WANTED.namespace, name)]["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


def shake_hands(tls: dict[str, bytes], name: str, directory: Path) -> None:
    """A TLS handshake in memory, as Metacontroller and the webhook have one."""
    for key, value in tls.items():
        (directory / key).write_bytes(value)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    asking = ssl.create_default_context(cafile=str(directory / "ca.crt"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    client = asking.wrap_bio(to_client, to_server, server_hostname=name)
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue


@pytest.fixture(scope="module")
def made() -> cluster.Memory:
    memory = cluster.Memory()
    credentials.ensure(memory.client, WANTED)
    return memory


@pytest.fixture
def installed(made: cluster.Memory) -> cluster.Memory:
    """A cluster with everything in it, for a test to change."""
    memory = cluster.Memory()
    memory.objects.update(made.objects)
    return memory


@pytest.mark.parametrize("name", WANTED.names)
def test_metacontroller_trusts_the_webhook_by_each_of_its_names(made, name, tmp_path):
    shake_hands(content(made, WANTED.certificate), name, tmp_path)


def test_the_webhook_is_trusted_by_no_other_name(made, tmp_path):
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(content(made, WANTED.certificate), "l2lb-webhook.elsewhere.svc", tmp_path)


def test_the_webhooks_secret_does_not_hold_the_authoritys_key(made):
    key = content(made, WANTED.authority)["ca.key"]

    assert set(content(made, WANTED.certificate)) == {"ca.crt", "tls.crt", "tls.key"}
    assert key not in content(made, WANTED.certificate).values()


def test_a_heartbeat_key_is_long_and_random(made):
    other = cluster.Memory()
    credentials.ensure(other.client, WANTED)
    keys = content(made, WANTED.heartbeat), content(other, WANTED.heartbeat)

    assert all(len(bytes.fromhex(found["1"].decode())) == 32 for found in keys)
    assert keys[0] != keys[1]


def test_what_is_there_stays_as_it_is(installed):
    before = dict(installed.objects)

    said = credentials.ensure(installed.client, WANTED)

    assert installed.objects == before
    assert not installed.writes
    assert all("stays as it is" in sentence for sentence in said)


def test_only_what_is_absent_is_made(installed):
    before = dict(installed.objects)
    del installed.objects[credentials.path(WANTED.namespace, WANTED.certificate)]

    credentials.ensure(installed.client, WANTED)

    assert installed.writes == [f"POST /api/v1/namespaces/{WANTED.namespace}/secrets"]
    for name in (WANTED.heartbeat, WANTED.authority):
        path = credentials.path(WANTED.namespace, name)
        assert installed.objects[path] == before[path]


def test_secrets_that_are_given_are_not_made():
    memory = cluster.Memory()

    credentials.ensure(memory.client, credentials.Wanted(namespace="l2lb-system"))

    assert not memory.objects


def test_a_certificate_in_its_second_half_is_made_anew_by_the_same_authority(installed, tmp_path):
    before = content(installed, WANTED.certificate)

    [_, said] = credentials.ensure(installed.client, WANTED, clock=lambda: time.time() + 6 * YEAR_S)

    after = content(installed, WANTED.certificate)
    assert "has a new certificate" in said
    assert after["tls.crt"] != before["tls.crt"]
    assert after["ca.crt"] == before["ca.crt"]
    shake_hands(after, WANTED.names[-1], tmp_path)


def test_a_certificate_of_another_authority_is_made_anew(installed):
    del installed.objects[credentials.path(WANTED.namespace, WANTED.authority)]

    credentials.ensure(installed.client, WANTED)

    assert (
        content(installed, WANTED.certificate)["ca.crt"]
        == (content(installed, WANTED.authority)["ca.crt"])
    )


def test_who_comes_second_takes_what_the_first_made(installed):
    """Two Jobs at once: what was absent is there when it is to be created."""
    late = {credentials.path(WANTED.namespace, WANTED.authority)}

    def refuse(method, path):
        if method == "GET" and path in late:
            late.remove(path)
            return cluster.error(404)
        return None

    installed.refuse = refuse
    before = dict(installed.objects)

    credentials.ensure(installed.client, WANTED)

    assert installed.objects == before


def test_a_secret_that_cannot_be_read_is_named(installed):
    path = credentials.path(WANTED.namespace, WANTED.authority)
    installed.objects[path] = {**installed.objects[path], "data": {"ca.crt": "?"}}

    with pytest.raises(
        certificates.CertificateError, match="l2lb-webhook-authority has no readable"
    ):
        credentials.ensure(installed.client, WANTED)


def test_a_missing_openssl_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")

    with pytest.raises(certificates.CertificateError, match="there is no program openssl"):
        certificates.make_authority()
