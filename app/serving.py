# SPDX-License-Identifier: MIT
"""One hook over HTTP: read the body within its limit, answer, count, and never fail in silence."""

import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import Request, Response

from app import errors, events, metrics, worker
from app.hooks import call, table
from app.models import hooks

# Below this an answer takes a few milliseconds; handing it to another process costs one.
INLINE_BYTES = 128 * 1024
_OUTCOMES: dict[type[errors.HookError], str] = {
    errors.MalformedRequestError: "malformed",
    errors.NotJsonError: "not_json",
    errors.RefusedError: "refused",
    errors.TooLargeError: "too_large",
    worker.WorkerDiedError: "failed",
}
JSON = "application/json"

log = structlog.get_logger()

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


def endpoint(
    hook: table.Hook,
    *,
    context: Callable[[], call.Call],
    recorder: events.Recorder,
    large: worker.Worker,
    max_body_bytes: int,
) -> Endpoint:
    """Return what serves a hook; `context` gives the moment and the settings of each call."""
    seconds = metrics.SECONDS.labels(hook.name)
    sizes = metrics.REQUEST_BYTES.labels(hook.name)
    ok = metrics.CALLS.labels(hook.name, "ok")

    async def serve(request: Request) -> Response:
        try:
            body = await _body(request, max_body_bytes)
            began = time.perf_counter()
            sizes.observe(len(body))
            if len(body) < INLINE_BYTES:
                answer = hook.respond(body, context())
                content = hooks.encode(answer.body)
            else:
                content, answer = await large.respond(hook.name, body, context())
        except errors.HookError as error:
            outcome = _OUTCOMES[type(error)]
            metrics.CALLS.labels(hook.name, outcome).inc()
            log.warning("hook call not answered", hook=hook.name, outcome=outcome, error=str(error))
            return _error(error.status, str(error))
        except Exception as error:  # whatever it is, Metacontroller gets a sentence
            metrics.CALLS.labels(hook.name, "failed").inc()
            log.exception("hook call failed", hook=hook.name)
            return _error(
                500,
                f"the webhook failed on this request with {type(error).__name__}: {error}; nothing "
                "is changed, and the webhook's log has the details",
            )
        ok.inc()
        seconds.observe(time.perf_counter() - began)
        if answer.told:
            recorder.record(answer.told)
        for kind, count in answer.left_alone.items():
            metrics.LEFT_ALONE.labels(hook.name, kind).inc(count)
        return Response(content, media_type=JSON)

    return serve


def _error(status: int, message: str) -> Response:
    return Response(hooks.encode({"error": message}), status_code=status, media_type=JSON)


async def _body(request: Request, limit: int) -> bytes:
    """Return the whole body. Raises TooLargeError, before reading it where its length is given."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _too_large(limit: int) -> errors.TooLargeError:
    return errors.TooLargeError(
        f"the body is larger than {limit} bytes: raise --max-body-bytes if the cluster is so large"
    )
