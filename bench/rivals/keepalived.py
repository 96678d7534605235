# SPDX-License-Identifier: MIT
"""keepalived's VRRP from the distribution's package: the kernel answers for the addresses.

It knows no Service: addresses and the order of nodes for each are written into its configuration,
and a Service with `externalIPs` makes the service proxy forward what arrives for them.
"""

import shutil
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from bench.rivals import contender
from lab import inside

NETWORK: Final = "10.77.0"
DEFAULT_ADVERT_S: Final = 1.0
FAST_ADVERT_S: Final = 0.1
# The highest that may be configured, and the next ones: each below 256 adds a 256th of an interval
# to what a backup waits for (RFC 5798 §6.1, Skew_Time).
FIRST_PRIORITY: Final = 254


class Keepalived(contender.Contender):
    """One VRRP instance an address, preferred on another node for each."""

    def __init__(self, lab: inside.Lab, nodes: Sequence[str], *, advert_s: float) -> None:
        super().__init__(lab, nodes)
        default = advert_s == DEFAULT_ADVERT_S
        self.name = f"keepalived, {'defaults (1 s)' if default else f'{advert_s:g} s adverts'}"
        self._advert_s = advert_s
        # Two of them may run side by side: other addresses, other VRRP groups, other names.
        self._first = 180 if default else 190
        self._slug = f"keepalived-{'default' if default else 'fast'}"
        self._directory = lab.directory / self._slug
        self._processes = contender.Processes(self._slug, lab.directory / "logs")
        self._addresses: list[str] = []
        self._program = shutil.which("keepalived")
        if self._program is None:
            self.missing = "the program 'keepalived' is missing: apt-get install keepalived"

    def install(self) -> None:
        """Wait for :meth:`serve`: it does not start without addresses."""
        self._directory.mkdir()

    def serve(self, count: int, *, each: int | None = None) -> list[str]:  # noqa: ARG002 - see Contender
        """Write the configurations and start it; at most ten addresses."""
        self._addresses = [f"{NETWORK}.{self._first + number}" for number in range(count)]
        self.lab.apply(
            contender.service(
                self._slug, kind="ClusterIP", annotations={}, externalIPs=self._addresses
            )
        )
        for node in self.nodes:
            (self._directory / f"{node}.conf").write_text(self._configuration(node))
            self.start(node)
        return list(self._addresses)

    def kill(self, node: str) -> None:
        """Kill it; the addresses stay on the interface."""
        self._processes.end(node, signal.SIGKILL)

    def stop(self, node: str) -> None:
        """Stop it."""
        self._processes.end(node, signal.SIGTERM)

    def start(self, node: str) -> None:
        """Start it; what a killed one left on the interface is removed, as an operator would."""
        self._processes.end(node, signal.SIGKILL)
        for address in self._addresses:
            self.lab.run(
                node, "sh", "-c", f"ip address delete {address}/32 dev eth0 2>/dev/null || true"
            )
        files = [f"--{kind}={self._directory}/{node}.{kind}" for kind in ("pid", "vrrp_pid")]
        self._processes.start(
            node,
            [
                str(self._program),
                *("--dont-fork", "--log-console", "--vrrp"),
                *files,
                f"--use-file={self._directory}/{node}.conf",
            ],
            {},
        )

    def process_ids(self, node: str) -> list[int]:
        """Return parent and VRRP child."""
        return self._processes.ids(node)

    def preferred(self) -> Mapping[str, str]:
        """Return each address's first node, as configured."""
        return {
            address: self.nodes[number % len(self.nodes)]
            for number, address in enumerate(self._addresses)
        }

    def close(self) -> None:
        """End it everywhere."""
        self._processes.close()

    def _configuration(self, node: str) -> str:
        here = self.nodes.index(node)
        instances = [
            f"""
vrrp_instance address_{number} {{
    state BACKUP
    interface eth0
    virtual_router_id {self._first - 100 + number}
    priority {FIRST_PRIORITY - (here - number) % len(self.nodes)}
    advert_int {self._advert_s:g}
    virtual_ipaddress {{
        {address}/32
    }}
}}
"""
            for number, address in enumerate(self._addresses)
        ]
        # Only version 3 of VRRP (RFC 5798) knows intervals below a second.
        version = 2 if self._advert_s == DEFAULT_ADVERT_S else 3
        head = f"global_defs {{\n    router_id {node}\n    vrrp_version {version}\n}}\n"
        return head + "".join(instances)
