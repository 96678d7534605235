# SPDX-License-Identifier: MIT
"""All that the cluster, the kernel and the node's own endpoints have told. Pure."""

from contract import child
from speaker import fitness
from speaker.cluster import lists, view, watch
from speaker.links import ipvs, table
from speaker.protocol import events


class Knowledge:
    """What is known now, and what follows from it for the core."""

    def __init__(self, node: str) -> None:
        self.name = node
        self._lister = lists.Lister(node)
        self.children = view.Children()
        self.balancers = view.Balancers()
        self.node: view.OwnNode | None = None
        self.links = table.EMPTY
        self.proxy = fitness.Endpoint()
        self.locals: dict[watch.Key, fitness.Endpoint] = {}

    @property
    def complete(self) -> bool:
        """Whether children and pools are known; until then nothing may be announced."""
        return self.children.complete and self.balancers.complete

    def take_node(self, event: watch.Event) -> bool:
        """Take in what the cluster says of the own Node; True when something changed.

        Of a deleted Node nothing is known.
        """
        before = self.node
        if isinstance(event, watch.Snapshot):
            manifests = list(event.objects.values())
            self.node = view.read_node(manifests[0]) if manifests else None
        elif isinstance(event, watch.Changed):
            self.node = view.read_node(event.manifest)
        else:
            self.node = None
        return self.node != before

    def fitness(self) -> events.FitnessChanged:
        """Return this node's fitness."""
        return fitness.judge(self.node, self.proxy)

    def concerning(self) -> list[view.KnownChild]:
        """Return the children with policy Local that this node is listed for."""
        return [
            known
            for known in self.children.by_key.values()
            if known.child.health_check_port is not None and self.name in known.child.nodes
        ]

    def lists(self) -> lists.Lists:
        """Return what the election is told: the children that the balancers allow.

        What a balancer that is deleted leaves behind for a while has no voice.
        """
        allowed = [
            known for known in self.children.by_key.values() if self.balancers.allow(known.child)
        ]
        serving = {key for key, endpoint in self.locals.items() if endpoint.well}
        declined = fitness.declined(
            allowed, node=self.node, balancers=self.balancers.by_name, serving=serving
        )
        return self._lister.lists(allowed, links=self.links, declined=declined)

    def complaints(self) -> list[str]:
        """Return what could not be read, which children are not allowed, and what defeats us."""
        not_allowed = [
            f"child Service {one.namespace}/{one.name}: {one.address} is not announced: "
            + self._why_not_allowed(one)
            for one in (known.child for known in self.children.by_key.values())
            if self.balancers.complete and not self.balancers.allow(one)
        ]
        unread = [*self.children.complaints.values(), *self.balancers.complaints.values()]
        wrong = ipvs.complaint(self.links)
        return sorted(unread + not_allowed + ([wrong] if wrong else []))

    def _why_not_allowed(self, one: child.Child) -> str:
        if not self.balancers.has(one.balancer):
            return f"there is no L2LoadBalancer {one.balancer}"
        return "it is in no balancer's addressPool"
