# SPDX-License-Identifier: MIT
"""Many Services of one balancer, and what becomes of each, as one watch sees it."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

from contract import names
from lab import api, inside

Json = dict[str, Any]

BALANCER: Final = "scale"
COUNT: Final = 3  # addresses of a Service
NAMESPACES: Final = 20
# The switch's own IPv6 subnet: there are thousands of addresses that speakers really announce.
POOL: Final = "fd77::1:0-fd77::1:ffff"
AT_ONCE: Final = 8  # requests of the client while it makes many
GIVE_UP_S: Final = 300.0


@dataclasses.dataclass(slots=True)
class State:
    """A Service: what it wants, what there is, and when (loop time) it first had all of it."""

    wanted: int
    asked_at: float
    uid: str = ""
    children: set[str] = dataclasses.field(default_factory=set)
    shown: int = 0
    children_at: float | None = None
    shown_at: float | None = None

    @property
    def right(self) -> bool:
        """Whether it has exactly as many children and shown addresses as it wants."""
        return len(self.children) == self.shown == self.wanted

    @property
    def children_s(self) -> float:
        """Return the seconds until all children were there."""
        return self.children_at - self.asked_at if self.children_at is not None else GIVE_UP_S

    @property
    def shown_s(self) -> float:
        """Return the seconds until the status showed all addresses."""
        return self.shown_at - self.asked_at if self.shown_at is not None else GIVE_UP_S


class Services:
    """Makes, changes and deletes Services, and follows them and their children.

    `writes` counts every change of any Service, child or not, that the API server made known.
    """

    def __init__(self, client: api.Api) -> None:
        self.client = client
        self.states: dict[str, State] = {}
        self.writes = 0
        self._orphans: set[str] = set()  # children whose Service is not, or no more, there
        self._owner: dict[str, str] = {}  # UID of a Service -> its name
        self._last_write = 0.0
        self._changed = asyncio.Event()

    async def create(self, name: str) -> State:
        """Ask for a Service; what has become of it is in what is returned, as it goes on."""
        state = self.states[name] = State(COUNT, _now())
        await self.client.create(_collection(name), _manifest(name))
        return state

    async def create_many(self, wanted: Iterable[str]) -> None:
        """Ask for many, a few at once."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> None:
            async with gate:
                await self.create(name)

        await asyncio.gather(*map(one, wanted))

    async def delete(self, name: str) -> None:
        """Delete a Service."""
        await self.client.delete(f"{_collection(name)}/{name}")
        state = self.states.pop(name)
        self._orphans |= state.children

    async def recount(self, name: str, count: int) -> None:
        """Ask for another number of addresses."""
        self.states[name].wanted = count
        patch = {"metadata": {"annotations": {names.SERVICE_IP_COUNT: str(count)}}}
        await self.client.patch(f"{_collection(name)}/{name}", patch)

    async def right(self, *, within_s: float = GIVE_UP_S) -> float:
        """Wait until everything is as asked for and no child is left over; return the seconds.

        Raises TimeoutError naming some that are not.
        """
        try:
            return await self._until(
                lambda: not self._orphans and all(s.right for s in self.states.values()), within_s
            )
        except TimeoutError:
            wrong = sorted(name for name, state in self.states.items() if not state.right)
            raise TimeoutError(
                f"after {within_s:.0f} s {len(wrong)} Services are not right, such as "
                f"{', '.join(wrong[:3])}, and {len(self._orphans)} children are left over"
            ) from None

    async def shown(self, state: State) -> None:
        """Wait until a Service shows all its addresses. Raises TimeoutError."""
        await self._until(lambda: state.shown_at is not None, GIVE_UP_S)

    async def quiet(self, seconds: float, *, within_s: float = GIVE_UP_S) -> None:
        """Wait until nothing was written for so long. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while (left := self._last_write + seconds - _now()) > 0:  # noqa: ASYNC110  # no event says that nothing happened
                await asyncio.sleep(left)

    async def _until(self, met: Callable[[], bool], within_s: float) -> float:
        began = _now()
        async with asyncio.timeout(within_s):
            while not met():
                self._changed.clear()
                await self._changed.wait()
        return _now() - began

    async def follow(self, listed: asyncio.Event) -> None:
        """Take in every change, for ever; `listed` is set once what exists is known."""
        async with contextlib.aclosing(self.client.watch("/api/v1/services")) as changes:
            async for change in changes:
                if isinstance(change, api.Listed):
                    listed.set()
                    continue
                self._take(change)
                self.writes += 1
                self._last_write = _now()
                self._changed.set()

    def _take(self, change: api.Event) -> None:
        metadata = change.object["metadata"]
        labels = metadata.get("labels", {})
        if labels.get(names.PROXY_NAME_LABEL) == names.PROXY_NAME:
            self._take_child(metadata, gone=change.type == "DELETED")
            return
        state = self.states.get(metadata["name"])
        if state is None or change.type == "DELETED":
            return
        state.uid = metadata["uid"]
        self._owner[state.uid] = metadata["name"]
        status = change.object.get("status", {})
        state.shown = len(status.get("loadBalancer", {}).get("ingress", ()))
        if state.shown == state.wanted and state.shown_at is None:
            state.shown_at = _now()

    def _take_child(self, metadata: Json, *, gone: bool) -> None:
        name = f"{metadata['namespace']}/{metadata['name']}"
        owner = self._owner.get(metadata["labels"][names.CHILD_SERVICE_UID], "")
        state = self.states.get(owner)
        if gone:
            self._orphans.discard(name)
            if state is not None:
                state.children.discard(name)
        elif state is None:
            self._orphans.add(name)
        else:
            state.children.add(name)
            if len(state.children) == state.wanted and state.children_at is None:
                state.children_at = _now()


@contextlib.asynccontextmanager
async def followed(lab: inside.Lab, selector: dict[str, str]) -> AsyncIterator[Services]:
    """Make a balancer over the nodes selected, and follow its Services."""
    async with api.Api.from_kubeconfig(lab.kubeconfig, user_agent="bench") as client:
        await client.create(
            "/apis/l2lb.io/v1alpha1/l2loadbalancers",
            {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "metadata": {"name": BALANCER},
                "spec": {"addressPool": [POOL], "nodeSelector": selector},
            },
        )
        for number in range(NAMESPACES):
            await client.create("/api/v1/namespaces", {"metadata": {"name": f"team-{number}"}})
        services = Services(client)
        listed = asyncio.Event()
        following = asyncio.create_task(services.follow(listed))
        try:
            await listed.wait()
            yield services
        finally:
            following.cancel()
            await asyncio.wait([following])


def _now() -> float:
    return asyncio.get_running_loop().time()


def _collection(name: str) -> str:
    number = int(name.rpartition("-")[2])
    return f"/api/v1/namespaces/team-{number % NAMESPACES}/services"


def _manifest(name: str) -> Json:
    return {
        "metadata": {
            "annotations": {
                names.SERVICE_BALANCER: BALANCER,
                names.SERVICE_IP_COUNT: str(COUNT),
            },
            "name": name,
        },
        "spec": {
            "ipFamilies": ["IPv6"],
            "ipFamilyPolicy": "SingleStack",
            "loadBalancerClass": names.SERVICE_CLASS,
            "ports": [{"port": 80}],
            "type": "LoadBalancer",
        },
    }
