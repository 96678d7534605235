# SPDX-License-Identifier: MIT
"""What a soak does, step by step: a function of its seed and of nothing else."""

import dataclasses
import enum
import random
from collections.abc import Iterator

from tests.e2e.faults import stage

SPARED = stage.NODES[0]  # its speaker is never restarted, so that its memory can be judged
RESTARTED = stage.NODES[1:]
MOST_SERVICES = 12
MOST_ADDRESSES = 3


class Fault(enum.StrEnum):
    """What can be done to the lab for some seconds."""

    NONE = "nothing"
    CUT = "cable cut"
    UNHEARD = "not heard"
    DEAF = "deaf"
    LOSSY = "heartbeats lost"
    DOUBLED = "frames delivered twice"
    SPLIT = "segment split"
    KILLED = "speaker killed"
    PAUSED = "speaker paused"
    STOPPED = "speaker stopped"
    POWER = "power lost"
    CORDONED = "cordoned"
    PROXY = "service proxy killed"
    API_AWAY = "API server away"
    WATCHES = "watches cut"
    WEBHOOK = "webhook paused"
    METACONTROLLER = "Metacontroller killed"


NETWORK = (Fault.CUT, Fault.UNHEARD, Fault.DEAF, Fault.LOSSY, Fault.DOUBLED, Fault.SPLIT)
RESTARTS = (Fault.KILLED, Fault.PAUSED, Fault.STOPPED, Fault.POWER)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One fault for some seconds, while Services come and go; then all must be right again."""

    number: int
    fault: Fault
    nodes: tuple[str, ...]
    seconds: float
    percent: int  # of heartbeats, where some are lost
    made: int  # Services of `count` addresses each, made before the fault and deleted at its end
    count: int

    @property
    def deletes_in_fault(self) -> bool:
        """Whether its Services are deleted while the fault lasts; somebody must be there to ask."""
        return self.fault is not Fault.API_AWAY

    def __str__(self) -> str:
        where = f" ({', '.join(self.nodes)})" if self.nodes else ""
        lost = f" {self.percent} %" if self.fault is Fault.LOSSY else ""
        made = f", Services come and go: {self.made} of {self.count}" if self.made else ""
        return f"{self.number}: {self.fault}{lost}{where} for {self.seconds:.1f} s{made}"


def steps(seed: int) -> Iterator[Step]:
    """Return all steps of a seed, without end."""
    dice = random.Random(seed)
    number = 0
    while True:
        number += 1
        fault = dice.choice(list(Fault))
        yield Step(
            number=number,
            fault=fault,
            nodes=_nodes(dice, fault),
            seconds=round(dice.uniform(0.2, 8.0), 1),
            percent=dice.choice((5, 10, 20)),
            made=dice.choice((0, 0, dice.randint(1, MOST_SERVICES))),
            count=dice.randint(1, MOST_ADDRESSES),
        )


def _nodes(dice: random.Random, fault: Fault) -> tuple[str, ...]:
    if fault is Fault.SPLIT:
        return tuple(dice.sample(stage.NODES, dice.randint(1, len(stage.NODES) - 1)))
    if fault in (Fault.LOSSY, Fault.DOUBLED):
        return stage.NODES
    if fault in RESTARTS:
        return (dice.choice(RESTARTED),)
    if fault in (*NETWORK, Fault.CORDONED, Fault.PROXY):
        return (dice.choice(stage.NODES),)
    return ()
