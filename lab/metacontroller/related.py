# SPDX-License-Identifier: MIT
"""Related objects: what the customize hook asks to see beside a parent, and whom they wake."""

import logging
from collections.abc import Callable
from typing import Any

import httpx

from lab import api
from lab.api import Json
from lab.metacontroller import answers, objects
from lab.metacontroller.answers import RelatedRule
from lab.metacontroller.discovery import Discovery, Resource
from lab.metacontroller.errors import NotListedError, SyncError
from lab.metacontroller.hooks import Hook
from lab.metacontroller.informers import Handler, Informer, Informers
from lab.metacontroller.selectors import EVERYTHING
from lab.metacontroller.workqueue import Clock

log = logging.getLogger(__name__)

CACHE_LIFETIME_S = 20 * 60.0

Groups = dict[str, dict[str, Json]]


class Related:
    """Finds the related objects of one controller's parents.

    The customize hook is asked once for a UID and generation, then again after
    20 minutes. A Service has no generation, so its answer must not depend on
    anything that changes. It is asked for *every* object of the parents'
    resource, matching or not, when any related object changes.
    """

    def __init__(
        self,
        *,
        controller: Json,
        hook: Hook | None,
        parents: Informer,
        enqueue: Callable[[Json], None],
        informers: Informers,
        discovery: Discovery,
        clock: Clock,
    ) -> None:
        self._controller = controller
        self._hook = hook
        self._parents = parents
        self._enqueue = enqueue
        self._informers = informers
        self._discovery = discovery
        self._clock = clock
        self._rules: dict[tuple[str, int], tuple[float, tuple[RelatedRule, ...]]] = {}
        self._subscriptions: dict[Informer, Handler] = {}

    async def of(self, parent: Json) -> Groups:
        """Return the related objects of a parent, as ``{"Node.v1": {key: object}}``.

        Raises :class:`SyncError` while a first list is under way, or when the hook
        fails.
        """
        groups: Groups = {}
        for rule in await self._rules_of(parent):
            informer = await self._subscribed(rule)
            resource = informer.resource
            group = groups.setdefault(f"{resource.kind}.{resource.api_version}", {})
            for obj in informer.all():
                if await self._matches(rule, resource, obj):
                    group[objects.key(obj)] = obj
        return groups

    def close(self) -> None:
        """Listen to related objects no more."""
        for informer, handler in self._subscriptions.items():
            informer.unsubscribe([handler])
        self._subscriptions.clear()

    async def on_related(self, old: Json | None, new: Json | None) -> None:
        """Wake the parents to which an object was or is related."""
        if old is not None and new is not None and _version(old) == _version(new):
            return
        changed = [obj for obj in (old, new) if obj is not None]
        for parent in self._parents.all():
            try:
                rules = await self._rules_of(parent)
            except (SyncError, api.ApiError, httpx.HTTPError) as error:
                log.info("%s stays unwoken: %s", objects.key(parent), error)
                continue
            if await self._concerns(rules, changed):
                self._enqueue(parent)

    async def _concerns(self, rules: tuple[RelatedRule, ...], changed: list[Json]) -> bool:
        for rule in rules:
            try:
                resource = await self._discovery.resource(rule.api_version, rule.resource)
                for obj in changed:
                    if await self._matches(rule, resource, obj):
                        return True
            except SyncError as error:
                log.info("a related rule for %s is passed over: %s", rule.resource, error)
        return False

    async def _rules_of(self, parent: Json) -> tuple[RelatedRule, ...]:
        if self._hook is None:
            return ()
        key = (objects.uid(parent), int(parent["metadata"].get("generation") or 0))
        now = self._clock.time()
        expiry, rules = self._rules.get(key, (0.0, ()))
        if now < expiry:
            return rules
        request: dict[str, Any] = {"controller": self._controller, "parent": parent}
        rules = answers.customize(await self._hook.call(request))
        for stale in [known for known, (end, _) in self._rules.items() if end <= now]:
            del self._rules[stale]
        self._rules[key] = (now + CACHE_LIFETIME_S, rules)
        return rules

    async def _subscribed(self, rule: RelatedRule) -> Informer:
        informer = await self._informers.of(rule.api_version, rule.resource)
        if informer not in self._subscriptions:
            self._subscriptions[informer] = self.on_related
            await informer.subscribe(self.on_related)
        if not informer.is_listed:
            raise NotListedError(f"the {rule.resource} are not listed yet")
        return informer

    async def _matches(self, rule: RelatedRule, resource: Resource, obj: Json) -> bool:
        if obj["apiVersion"] != rule.api_version or obj["kind"] != resource.kind:
            return False
        metadata = obj["metadata"]
        if rule.names and metadata["name"] not in rule.names:
            return False
        if resource.namespaced and rule.namespace and metadata["namespace"] != rule.namespace:
            return False
        if not (rule.selector or EVERYTHING).matches(objects.labels(obj)):
            return False
        return rule.namespace_selector is None or await self._in_namespaces(rule, resource, obj)

    async def _in_namespaces(self, rule: RelatedRule, resource: Resource, obj: Json) -> bool:
        if not resource.namespaced:
            raise SyncError(
                f"a related rule has a namespaceSelector for {resource.plural}, "
                "which are in no namespace"
            )
        namespaces = await self._informers.of("v1", "namespaces")
        if not namespaces.is_listed:
            raise NotListedError("the namespaces are not listed yet")
        found = namespaces.get(obj["metadata"]["namespace"])
        return found is not None and (rule.namespace_selector or EVERYTHING).matches(
            objects.labels(found)
        )


def _version(obj: Json) -> str:
    return str(obj["metadata"]["resourceVersion"])
