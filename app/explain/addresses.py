# SPDX-License-Identifier: MIT
"""One address: who should announce it, who does, and why these differ."""

import dataclasses
import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import Final

from app.explain import model, nodes, reading
from contract import announcement, durations, names, pool
from contract import child as child_services
from contract.names import AnnouncedReason

# A new holder says so when it has held the address for so long: speaker/cluster/reports.py.
SETTLED_WITHIN_S: Final = 12
_ADVICE: Final = {
    AnnouncedReason.ADDRESS_IN_USE: (
        "find the host with this MAC address and take the address from it; one that was never "
        "announced and not requested is replaced by itself"
    ),
    AnnouncedReason.ADDRESS_CONFLICT: (
        "find the host with the other MAC address and take the address from it, or out of the pool"
    ),
    AnnouncedReason.NO_CANDIDATE: (
        "look for listed nodes that are Ready, have the interface, and with policy Local a serving "
        "endpoint"
    ),
    AnnouncedReason.FENCED: "its speaker stood still and listens again before it takes addresses",
}


@dataclasses.dataclass(frozen=True, slots=True)
class _Obstacles:
    """What the API server knows against nodes; `known` None: nothing, as they may not be seen.

    `heeds_label` is whether the exclude label counts.
    """

    known: Mapping[str, nodes.Node] | None
    heeds_label: bool

    def up(self, listed: Iterable[str]) -> list[str]:
        """Return those that are probably there to announce something."""
        known = self.known
        if known is None:
            return list(listed)
        return [name for name in listed if name in known and not known[name].down]

    def of(self, name: str) -> str:
        """Return what is against a node as a predicate; empty when nothing is known."""
        if self.known is None:
            return ""
        node = self.known.get(name)
        if node is None:
            return "is no node of this cluster"
        if node.excluded and self.heeds_label:
            return f"carries the label {names.EXCLUDE_LABEL}"
        return node.trouble


def view(
    observed: reading.Child,
    *,
    known: Mapping[str, nodes.Node] | None,
    moves: Iterable[model.Move],
    ignores_exclude_label: bool = False,
) -> model.AddressView:
    """Return what is known of a child's address; `moves` are the newest first.

    `ignores_exclude_label` is what its balancer says of nodes that carry the label.
    """
    child, said = observed.child, observed.announcement
    desired = child.nodes[0] if child.nodes else None
    holder = said.node if said is not None else None
    interface, mac = _where(said)
    obstacles = _Obstacles(known, heeds_label=not ignores_exclude_label)
    move = _last_move(child.address, holder, moves)
    state, why = _judge(observed, desired, holder, obstacles, move)
    return model.AddressView(
        address=child.address,
        balancer=child.balancer,
        namespace=child.namespace,
        service=child.service,
        child=child.name,
        nodes=child.nodes,
        desired=desired,
        holder=holder,
        interface=interface,
        mac=mac,
        since=_since(said, move),
        state=state,
        reason=said.reason.value if said is not None else "",
        why=why,
    )


def _where(said: announcement.Announcement | None) -> tuple[str | None, str | None]:
    """Return the interface and the MAC address that an announcement names."""
    if said is None or not said.reason.announced:
        return None, None
    words = said.message.partition(";")[0].split()
    return (words[1], words[2]) if len(words) == 3 else (None, None)  # noqa: PLR2004 - node, interface, MAC


def _last_move(
    address: pool.Address, holder: str | None, moves: Iterable[model.Move]
) -> model.Move | None:
    newest = next((move for move in moves if move.address == address), None)
    return newest if newest is not None and newest.went_to == holder else None


def _since(said: announcement.Announcement | None, move: model.Move | None) -> dt.datetime | None:
    """Return when the holder began; the condition's time is older, as a move does not change it."""
    moments = [said.since] if said is not None and said.since is not None else []
    if move is not None:
        moments.append(move.moment)
    return max(moments, default=None)


def _judge(
    observed: reading.Child,
    desired: str | None,
    holder: str | None,
    obstacles: _Obstacles,
    move: model.Move | None,
) -> tuple[model.AddressState, str]:
    child, said = observed.child, observed.announcement
    if observed.terminating:
        return model.AddressState.RELEASING, "its child Service is being deleted"
    if child.release_after is not None:
        moment = child.release_after.strftime("%H:%M:%S")
        return model.AddressState.RELEASING, (
            f"its Service {child.namespace}/{child.service} is gone, so it is given up at {moment}"
        )
    if desired is None:
        return model.AddressState.UNREPORTED, (
            "its list names no node, as the balancer had none: label one so that its nodeSelector "
            "selects it"
        )
    if said is None:
        return model.AddressState.UNREPORTED, _unreported(child, obstacles)
    if not said.reason.announced:
        advice = _ADVICE.get(said.reason)
        in_use = said.reason is AnnouncedReason.ADDRESS_IN_USE
        return (
            model.AddressState.IN_USE if in_use else model.AddressState.SILENT,
            f"{said.message}: {advice}" if advice else said.message,
        )
    if said.reason is AnnouncedReason.ADDRESS_CONFLICT:
        return model.AddressState.CONFLICT, f"{said.message}: {_ADVICE[said.reason]}"
    if not obstacles.up([str(holder)]):
        return model.AddressState.STALE, (
            f"{holder} announced it when last heard of and {obstacles.of(str(holder))}: a "
            f"stand-in takes it over within a second and says so within {SETTLED_WITHIN_S} s; if "
            f"this stays, see what the speaker on {_other(child.nodes, holder)} believes"
        )
    if holder == desired:
        return model.AddressState.ANNOUNCED, f"{holder}, which is preferred, announces it"
    return model.AddressState.MOVED, _moved(child, desired, str(holder), obstacles, move)


def _unreported(child: child_services.Child, obstacles: _Obstacles) -> str:
    there = obstacles.up(child.nodes)
    if not there:
        return (
            f"no speaker has spoken of it, and none of its nodes ({', '.join(child.nodes)}) is up: "
            "bring one back, or label another for the balancer"
        )
    return (
        "no speaker has spoken of it yet; the first word comes within seconds, so if this stays, "
        f"see whether the speaker on {there[0]} runs and what it believes"
    )


def _moved(
    child: child_services.Child,
    desired: str,
    holder: str,
    obstacles: _Obstacles,
    move: model.Move | None,
) -> str:
    if holder not in child.nodes:
        return (
            f"{holder}, which its list does not name any more, announces it until {desired} takes "
            "over"
        )
    died = move is not None and move.warns and move.came_from == desired
    return f"{holder}, a stand-in, announces it: {_absent(child, desired, obstacles, died=died)}"


def _absent(child: child_services.Child, desired: str, obstacles: _Obstacles, *, died: bool) -> str:
    """Say why the preferred node does not announce an address, as far as the API server knows."""
    obstacle = obstacles.of(desired)
    if obstacle:
        return f"{desired}, which is preferred, {obstacle}"
    if child.health_check_port is not None and not died:
        return (
            f"{desired}, which is preferred, has no serving endpoint of the Service (policy Local),"
            " or its speaker sees other trouble"
        )
    if math.isinf(child.failback_delay_s):
        return f"{desired}, which is preferred, does not take it back, as failbackDelay is never"
    delay = durations.format_duration(child.failback_delay_s)
    unheard = "was not heard any more then, and " if died else ""
    return (
        f"{desired}, which is preferred, {unheard}takes it back when it has been well for {delay}; "
        "if this stays, ask its speaker what it believes"
    )


def _other(listed: Iterable[str], holder: str | None) -> str:
    return next((node for node in listed if node != holder), "another node")
