# SPDX-License-Identifier: MIT
from tests.e2e.faults import switch


class Lab:
    """Writes down what would be run."""

    def __init__(self) -> None:
        self.scripts: list[str] = []

    def run(self, machine: str | None, *argv: str, standard_input: str = "") -> str:
        self.scripts.append(standard_input)
        return ""


def test_heartbeats_arp_and_ndp_of_each_machine_go_to_each_other_one_twice() -> None:
    lab = Lab()
    with switch.Switch(lab).duplicating(("node-1", "client")):  # type: ignore[arg-type] # enough of it
        made = lab.scripts.pop()
    for source, to in (("node-1", "client"), ("client", "node-1")):
        rule = f"add rule netdev {switch.TABLE} {source}-ingress"
        copied = f'dup to "port-{to}"'
        assert f"{rule} ether type {{0x88b5, arp}} {copied}\n" in made
        assert f"{rule} {switch.NEIGHBOURS} {copied}\n" in made
    assert lab.scripts == [f"delete table netdev {switch.TABLE}\n"]
