# SPDX-License-Identifier: MIT
"""Related objects: what the customize hook asks to see beside a parent, and whom they wake."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import httpx

from lab import api
from lab.api import Json
from lab.metacontroller import answers, objects
from lab.metacontroller.answers import RelatedRule
from lab.metacontroller.discovery import Resource
from lab.metacontroller.errors import NotListedError, SyncError
from lab.metacontroller.hooks import Hook
from lab.metacontroller.informers import Handler, Informer, Informers
from lab.metacontroller.selectors import Selector
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
        clock: Clock,
    ) -> None:
        self._controller = controller
        self._hook = hook
        self._parents = parents
        self._enqueue = enqueue
        self._informers = informers
        self._clock = clock
        self._rules: dict[tuple[str, int], tuple[float, tuple[RelatedRule, ...]]] = {}
        self._subscriptions: dict[Informer, Handler] = {}
        self._namespaces: Informer | None = None

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
                if self._matches(rule, resource, obj):
                    group[objects.key(obj)] = obj
        return groups

    def close(self) -> None:
        """Listen to related objects no more."""
        for informer, handler in self._subscriptions.items():
            informer.unsubscribe([handler])
        self._subscriptions.clear()

    async def on_related(self, resource: Resource, old: Json | None, new: Json | None) -> None:
        """Wake the parents to which an object was or is related."""
        if old is not None and new is not None and _version(old) == _version(new):
            return
        changed = [obj for obj in (old, new) if obj is not None]
        for parent in self._parents.all():
            rules = self._known_rules(parent)
            if rules is None:
                try:
                    rules = await self._rules_of(parent)
                except (SyncError, api.ApiError, httpx.HTTPError) as error:
                    log.info("%s stays unwoken: %s", objects.key(parent), error)
                    continue
            if self._concerns(rules, resource, changed):
                self._enqueue(parent)

    def _concerns(
        self, rules: tuple[RelatedRule, ...], resource: Resource, changed: list[Json]
    ) -> bool:
        for rule in rules:  # of hundreds of parents, at each change: no generator
            if rule.resource == resource.plural and rule.api_version == resource.api_version:
                for obj in changed:
                    if self._matches(rule, resource, obj):
                        return True
        return False

    def _known_rules(self, parent: Json) -> tuple[RelatedRule, ...] | None:
        if self._hook is None:
            return ()
        expiry, rules = self._rules.get(_identity(parent), (0.0, None))
        return rules if self._clock.time() < expiry else None

    async def _rules_of(self, parent: Json) -> tuple[RelatedRule, ...]:
        known = self._known_rules(parent)
        if known is not None or self._hook is None:
            return known or ()
        request: dict[str, Any] = {"controller": self._controller, "parent": parent}
        rules = answers.customize(await self._hook.call(request))
        now = self._clock.time()
        for stale in [key for key, (expiry, _) in self._rules.items() if expiry <= now]:
            del self._rules[stale]
        self._rules[_identity(parent)] = (now + CACHE_LIFETIME_S, rules)
        return rules

    async def _subscribed(self, rule: RelatedRule) -> Informer:
        informer = await self._informers.of(rule.api_version, rule.resource)
        if informer not in self._subscriptions:
            handler = functools.partial(self.on_related, informer.resource)
            self._subscriptions[informer] = handler
            await informer.subscribe(handler)
        if rule.namespace_selector is not None:
            if not informer.resource.namespaced:
                raise SyncError(
                    f"a related rule has a namespaceSelector for {rule.resource}, "
                    "which are in no namespace"
                )
            self._namespaces = await self._informers.of("v1", "namespaces")
        for needed in (informer, self._namespaces):
            if needed is not None and not needed.is_listed:
                raise NotListedError(f"the {needed.resource.plural} are not listed yet")
        return informer

    def _matches(self, rule: RelatedRule, resource: Resource, obj: Json) -> bool:
        metadata = obj["metadata"]
        if rule.names and metadata["name"] not in rule.names:
            return False
        if resource.namespaced and rule.namespace and metadata["namespace"] != rule.namespace:
            return False
        if rule.selector is not None and not rule.selector.matches(metadata.get("labels") or {}):
            return False
        return rule.namespace_selector is None or self._is_namespace(
            rule.namespace_selector, metadata["namespace"]
        )

    def _is_namespace(self, selector: Selector, name: str) -> bool:
        found = None if self._namespaces is None else self._namespaces.get(name)
        return found is not None and selector.matches(objects.labels(found))


def _identity(parent: Json) -> tuple[str, int]:
    metadata = parent["metadata"]
    return metadata["uid"], metadata.get("generation") or 0


def _version(obj: Json) -> str:
    return str(obj["metadata"]["resourceVersion"])
