# SPDX-License-Identifier: MIT
"""The errors of the webhook. A hook error carries the HTTP status that Metacontroller is to see."""

from http import HTTPStatus
from typing import Any, Final

_MAX_SHOWN: Final = 80  # characters of a value in an error


def shown(value: Any) -> str:
    """Return a value as an error names it: the API server refuses a condition of over 32 KB."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


class HookError(Exception):
    """A request that gets no answer; the message names what was wrong and what would be right.

    Metacontroller takes every status but 200 as a failure, keeps what exists and tries again.
    """

    status = HTTPStatus.INTERNAL_SERVER_ERROR


class NotJsonError(HookError):
    """The body is no JSON at all."""

    status = HTTPStatus.BAD_REQUEST


class MalformedRequestError(HookError):
    """The body is JSON but not a hook request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooLargeError(HookError):
    """The body is over the limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class RefusedError(HookError):
    """The request is well-formed but incomplete or contradicts itself.

    A child missing from an answer is deleted, so nothing is answered from half of the picture,
    as Metacontroller may send it while its caches start.
    """

    status = HTTPStatus.SERVICE_UNAVAILABLE


class ObjectError(ValueError):
    """One object that cannot be read; it is left as it is and the others go on."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what would be right."""
