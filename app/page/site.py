# SPDX-License-Identifier: MIT
"""The page over HTTP: its paths, and what keeps others' sites and scripts away from it."""

import ipaddress
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import fastapi
from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from app.page import assets, pages

Ask = Callable[[pages.Wanted], Awaitable[pages.Answer]]

# Nothing but our own files: even if a name slipped through unescaped, no script of it would run.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
METHODS: Final = ["GET", "HEAD"]
MAX_TEXT: Final = 253  # no Kubernetes name is longer
MAX_DIGITS: Final = 6
YEAR_S: Final = 365 * 24 * 3600


def create(ask: Ask, *, local_only: bool) -> fastapi.FastAPI:
    """Return the application; `ask` makes the pages.

    `local_only` says that it is served to this Pod's localhost, and so reached under no name but
    that: a request for another host is one of a foreign site whose name was pointed here
    (DNS rebinding).
    """
    # A redirect would lead past the prefix of whatever proxy there is.
    app = fastapi.FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    @app.middleware("http")
    async def guarded(
        request: Request, answer: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        if local_only and not _is_local(request.headers.get("host", "")):
            response: Response = _shown(
                pages.message(
                    "Not under this name",
                    "This page answers to localhost and to addresses only.",
                    status=HTTPStatus.MISDIRECTED_REQUEST,
                )
            )
        else:
            response = await answer(request)
        for name, value in HEADERS.items():
            response.headers[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    async def asset(name: str) -> Response:
        found = assets.ASSETS.get(name)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return Response(
            found.content,
            media_type=found.media_type,
            headers={"Cache-Control": f"private, max-age={YEAR_S}, immutable"},
        )

    async def overview() -> Response:
        return _shown(await ask(pages.Wanted("overview")))

    async def services(request: Request) -> Response:
        return _shown(await ask(_wanted("services", request)))

    async def balancer(request: Request, name: str) -> Response:
        return _shown(await ask(_wanted("balancer", request, name=name)))

    async def service(request: Request, namespace: str, name: str) -> Response:
        return _shown(await ask(_wanted("service", request, namespace=namespace, name=name)))

    async def refused(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        status = HTTPStatus(error.status_code)
        # As the browser counts folders: an encoded slash makes none.
        raw: bytes = request.scope["raw_path"]
        response = _shown(
            pages.message(
                status.phrase,
                f"{request.method} {request.url.path}: {status.phrase.lower()}.",
                status=status,
                depth=max(raw.count(b"/") - 1, 0),
            )
        )
        response.headers.update(error.headers or {})
        return response

    paths: dict[str, Callable[..., Awaitable[Response]]] = {
        "/": overview,
        "/services": services,
        "/balancers/{name}": balancer,
        "/services/{namespace}/{name}": service,
        "/static/{name}": asset,
    }
    for path, serve in paths.items():
        app.add_api_route(path, serve, methods=METHODS, response_class=HTMLResponse)
    app.add_exception_handler(HTTPException, refused)
    return app


def _wanted(page: str, request: Request, *, namespace: str = "", name: str = "") -> pages.Wanted:
    """Return what is asked for; a query that makes no sense counts as none."""
    query = request.query_params
    number = query.get("page", "")
    readable = number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS
    return pages.Wanted(
        page,
        namespace=namespace[:MAX_TEXT],
        name=name[:MAX_TEXT],
        number=int(number) if readable else 1,
        text=query.get("name", "")[:MAX_TEXT],
        troubled=query.get("show") == "trouble",
    )


def _shown(answer: pages.Answer) -> HTMLResponse:
    return HTMLResponse(answer.body, status_code=answer.status)


def _is_local(host: str) -> bool:
    """Return whether a Host header names localhost or an address, with or without a port."""
    name, _, _ = host.removeprefix("[").partition("]" if host.startswith("[") else ":")
    if name.lower() == "localhost":
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
