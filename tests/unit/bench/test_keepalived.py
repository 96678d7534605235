# SPDX-License-Identifier: MIT
import re
from types import SimpleNamespace
from typing import Any

from bench.rivals import keepalived

NODES = ("node-1", "node-2", "node-3")


def test_each_address_prefers_another_node_and_no_backup_waits_for_longer_than_it_must(tmp_path):
    lab: Any = SimpleNamespace(directory=tmp_path)
    one = keepalived.Keepalived(lab, NODES, advert_s=1.0)
    one._addresses = ["10.77.0.180", "10.77.0.181"]
    found = {
        node: [int(text) for text in re.findall(r"priority (\d+)", one._configuration(node))]
        for node in NODES
    }
    assert found == {"node-1": [254, 252], "node-2": [253, 254], "node-3": [252, 253]}
