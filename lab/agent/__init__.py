# SPDX-License-Identifier: MIT
"""The node agent: what a kubelet does, as far as a lab needs it."""

from lab.agent.container import Keeper
from lab.agent.node import NodeAgent
from lab.agent.spec import Image

__all__ = ["Image", "Keeper", "NodeAgent"]
