# SPDX-License-Identifier: MIT
"""What external-dns makes of a Service's addresses, in a real DNS server with RFC 2136 updates.

`make external-dns` brings what it needs.
"""

import base64
import secrets
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from contract import names
from lab import inside
from tests.e2e import people
from tools import programs

ZONE = "lab.test"
DNS_PORT = 5353
METRICS = "http://127.0.0.1:7979/metrics"
SYNCED = "external_dns_controller_last_sync_timestamp_seconds"
TTL_S = 15
HOSTNAME = "external-dns.alpha.kubernetes.io/hostname"
TTL = "external-dns.alpha.kubernetes.io/ttl"
KNOT = """
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
database:
    storage: "{folder}/db"
control:
    listen: "{folder}/knot.sock"
log:
  - target: stderr
    any: info
key:
  - id: external-dns
    algorithm: hmac-sha256
    secret: "{secret}"
acl:
  - id: updates
    key: external-dns
    action: [transfer, update]
zone:
  - domain: {zone}
    storage: "{folder}"
    file: zone
    acl: updates
"""
ZONE_FILE = f"""
@ 60 SOA ns.{ZONE}. admin.{ZONE}. 1 3600 600 86400 60
@ 60 NS ns.{ZONE}.
ns 60 A 127.0.0.1
"""

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("knotd", "kdig"))) or programs.EXTERNAL_DNS.find() is None,
    reason="external-dns, knotd or kdig is missing: 'make external-dns' says how to get them",
)


class Records:
    """The zone, as a client of the DNS server sees it."""

    def __init__(self, lab: inside.Lab) -> None:
        self._lab = lab

    def of(self, name: str, kind: str) -> set[str]:
        return set(self._ask(f"{name}.{ZONE}", kind, "+short").split())

    def addresses(self, name: str) -> set[str]:
        return self.of(name, "A") | self.of(name, "AAAA")

    def until(self, name: str, addresses: Sequence[str]) -> None:
        inside.until(
            lambda: self.addresses(name) == set(addresses),
            f"{name}.{ZONE} is {', '.join(addresses) or 'gone'}",
        )

    def ttl(self, name: str) -> int:
        _, ttl, *_ = self._ask(f"{name}.{ZONE}", "A", "+noall", "+answer").split()
        return int(ttl)

    def serial(self) -> int:
        """Return the zone's serial, which each update raises."""
        return int(self._ask(ZONE, "SOA", "+short").split()[2])

    def _ask(self, *words: str) -> str:
        return self._lab.run(None, "kdig", "@127.0.0.1", "-p", str(DNS_PORT), *words)


def rounds(lab: inside.Lab) -> float:
    """Return when external-dns last compared Services and records, in seconds since 1970."""
    for line in lab.fetch(None, METRICS).splitlines():
        if line.startswith(f"{SYNCED} "):
            return float(line.split()[1])
    return 0.0


def until_compared_twice(lab: inside.Lab) -> None:
    """Wait for a round that began after now."""
    for _ in range(2):
        before = rounds(lab)
        inside.until(lambda before=before: rounds(lab) > before, "external-dns made a round")  # type: ignore[misc] # mypy cannot infer a lambda with a default


def ended(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture
def records(lab: inside.Lab, tmp_path: Path) -> Iterator[Records]:
    """A DNS server and external-dns, which writes into it what Services say."""
    secret = base64.b64encode(secrets.token_bytes(32)).decode()
    config = tmp_path / "knot.conf"
    config.write_text(KNOT.format(folder=tmp_path, port=DNS_PORT, zone=ZONE, secret=secret))
    (tmp_path / "zone").write_text(ZONE_FILE)
    (tmp_path / "db").mkdir()
    server = subprocess.Popen(["knotd", "--config", str(config)])
    try:
        records = Records(lab)
        inside.until(records.serial, "the DNS server answers")
        external_dns = subprocess.Popen(
            [
                str(programs.EXTERNAL_DNS.find()),
                f"--kubeconfig={lab.kubeconfig}",
                "--source=service",
                f"--domain-filter={ZONE}",
                "--provider=rfc2136",
                "--rfc2136-host=127.0.0.1",
                f"--rfc2136-port={DNS_PORT}",
                f"--rfc2136-zone={ZONE}",
                "--rfc2136-tsig-keyname=external-dns",
                f"--rfc2136-tsig-secret={secret}",
                "--rfc2136-tsig-secret-alg=hmac-sha256",
                "--rfc2136-tsig-axfr",
                "--txt-owner-id=lab",
                "--interval=1s",
                "--metrics-address=127.0.0.1:7979",
            ]
        )
        try:
            yield records
        finally:
            ended(external_dns)
    finally:
        ended(server)


@pytest.fixture
def user(whole: inside.Lab, namespace: str) -> Iterator[people.User]:
    """A user of a dual-stack balancer on four of five nodes."""
    label = f"test/dns-{uuid.uuid4().hex[:6]}"
    whole.kubectl("label", "node", "node-1", "node-2", "node-3", "node-4", f"{label}=")
    balancer = people.Balancer(
        whole, ["10.77.0.200-10.77.0.219", "fd77::200-fd77::219"], selector={label: ""}
    )
    yield people.User(whole, namespace, balancer.name)
    balancer.delete()
    whole.kubectl("label", "node", "--all", f"{label}-")
    whole.kubectl("label", "node", "node-5", f"{label}-")


def named(name: str) -> dict[str, str | None]:
    return {HOSTNAME: f"{name}.{ZONE}", TTL: str(TTL_S)}


def test_the_addresses_of_a_service_are_the_records_of_its_name(
    user: people.User, records: Records
) -> None:
    user.serve("web", count="2", annotations=named("web"), ipFamilyPolicy="RequireDualStack")
    addresses = user.addresses("web", 4)

    records.until("web", addresses)

    assert records.of("web", "A") == {each for each in addresses if "." in each}
    assert records.of("web", "AAAA") == {each for each in addresses if ":" in each}
    assert records.ttl("web") == TTL_S
    user.delete("web")
    records.until("web", [])


def test_a_service_that_grows_with_its_nodes_gains_a_record_and_keeps_the_others(
    user: people.User, records: Records
) -> None:
    user.serve("web", count="auto", annotations=named("web"))
    before = user.addresses("web", 4)
    records.until("web", before)

    (label,) = user.lab.get(names.PLURAL, user.balancer)["spec"]["nodeSelector"]
    user.lab.kubectl("label", "node", "node-5", f"{label}=")
    after = user.addresses("web", 5)

    records.until("web", after)
    assert set(before) < set(after)


def test_a_fail_over_changes_no_record(user: people.User, records: Records) -> None:
    user.serve("web", count="3", annotations=named("web"))
    records.until("web", user.addresses("web", 3))
    holders = user.holders("web", 3)
    until_compared_twice(user.lab)
    before = records.serial()

    victim, node = next(iter(holders.items()))
    user.lab.change("node", "kill", node)
    inside.until(
        lambda: user.holders("web", 3)[victim] != node, f"{victim} is announced by another node"
    )
    until_compared_twice(user.lab)

    assert records.serial() == before
    assert records.addresses("web") == set(holders)
