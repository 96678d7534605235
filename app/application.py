# SPDX-License-Identifier: MIT
"""The FastAPI application: hooks, health, metrics and the API documentation."""

import asyncio
import contextlib
import datetime as dt
import importlib.metadata
import os
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import fastapi
import structlog
from fastapi.openapi import utils as openapi_utils

from app import events, metrics, serving, worker
from app.hooks import call, table
from app.models import hooks
from app.settings import Settings

Clock = Callable[[], dt.datetime]

log = structlog.get_logger()

_REF: Final = "#/components/schemas/{model}"
_ERRORS: Final = {
    400: "The body is no JSON.",
    413: "The body is over the limit.",
    422: "The body is no hook request.",
    500: "The webhook failed; nothing is changed.",
    503: "The request is incomplete or contradicts itself; Metacontroller will ask again.",
}


class _HookRoute(fastapi.routing.APIRoute):
    """A route that hands the request to its endpoint as it is.

    A hook takes nothing else, which FastAPI would find out anew for each call.
    """

    def get_route_handler(self) -> serving.Endpoint:
        """Return the endpoint."""
        endpoint: serving.Endpoint = self.endpoint
        return endpoint


def utc_now() -> dt.datetime:
    """Return the moment; what tests replace."""
    return dt.datetime.now(dt.UTC)


def create(
    settings: Settings | None = None,
    *,
    clock: Clock = utc_now,
    recorder: events.Recorder | None = None,
) -> fastapi.FastAPI:
    """Return the application. Raises SettingsError."""
    settings = settings or Settings()
    recorder = recorder or events.Recorder(
        events.find_cluster(
            settings.kube_api, settings.kube_token_file, settings.kube_ca_file, os.environ
        )
    )
    keys = settings.keys
    large = worker.Worker()

    def context() -> call.Call:
        return call.Call(now=clock(), keys=keys)

    app = fastapi.FastAPI(
        title="l2-load-balancer webhook",
        summary="Answers Metacontroller's hooks; keeps no state.",
        version=_version(),
        lifespan=_lifespan(recorder, large),
    )
    app.state.worker = large
    schemas: dict[str, Any] = {}
    for hook in table.HOOKS:
        serve = serving.endpoint(
            hook,
            context=context,
            recorder=recorder,
            large=large,
            max_body_bytes=settings.max_body_bytes,
        )
        app.router.add_api_route(
            hook.path,
            serve,
            methods=["POST"],
            summary=hook.summary,
            operation_id=hook.name,
            response_model=None,
            response_class=fastapi.Response,
            openapi_extra=_described(hook, schemas),
            route_class_override=_HookRoute,
        )
    app.add_api_route("/healthz", _alive, methods=["GET"], summary="The process runs")
    app.add_api_route("/readyz", _alive, methods=["GET"], summary="Hooks are answered")
    app.add_api_route(
        "/metrics",
        _metrics,
        methods=["GET"],
        summary="Prometheus metrics",
        response_class=fastapi.responses.PlainTextResponse,
    )
    _document(app, schemas)
    return app


def _lifespan(
    recorder: events.Recorder, large: worker.Worker
) -> Callable[[fastapi.FastAPI], contextlib.AbstractAsyncContextManager[None]]:
    @contextlib.asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        del app
        large.start()
        posting = asyncio.create_task(recorder.run())
        posting.add_done_callback(_seen)
        yield
        posting.cancel()
        await asyncio.wait([posting])
        large.close()

    return lifespan


def _seen(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("events are no longer posted", exc_info=error)


async def _alive() -> dict[str, str]:
    return {"status": "ok"}


async def _metrics() -> fastapi.Response:
    content, media_type = metrics.exposition()
    return fastapi.Response(content, media_type=media_type)


def _described(hook: table.Hook, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return a hook's part of the API document; shared schemas are collected in `schemas`."""
    request = hook.request.json_schema(ref_template=_REF)
    answer = hook.answer.model_json_schema(ref_template=_REF)
    failure = hooks.ErrorAnswer.model_json_schema(ref_template=_REF)
    for schema in (request, answer, failure):
        schemas.update(schema.pop("$defs", {}))
        schemas[schema["title"]] = schema

    def body(schema: dict[str, Any]) -> dict[str, Any]:
        return {serving.JSON: {"schema": {"$ref": _REF.format(model=schema["title"])}}}

    content = body(request)
    content[serving.JSON]["example"] = hook.example
    return {
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "The answer.", "content": body(answer)},
            **{
                str(status): {"description": text, "content": body(failure)}
                for status, text in _ERRORS.items()
            },
        },
    }


def _document(app: fastapi.FastAPI, schemas: dict[str, Any]) -> None:
    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = openapi_utils.get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
            components = schema.setdefault("components", {}).setdefault("schemas", {})
            components.update(dict(sorted(schemas.items())))
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _version() -> str:
    try:
        return importlib.metadata.version("l2-load-balancer")
    except importlib.metadata.PackageNotFoundError:
        return "0"  # run from a checkout
