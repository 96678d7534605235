# SPDX-License-Identifier: MIT
"""What can go wrong in a sync and is met by trying again."""


class SyncError(Exception):
    """A sync failed; the object is queued again with back-off."""


class HookError(SyncError):
    """A hook was not reached, answered with another status than 200, or with a bad body."""


class TooManyRequestsError(SyncError):
    """A hook answered 429 and is to be called again after ``retry_after_s`` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many requests, try again after {retry_after_s} s")
        self.retry_after_s = retry_after_s


class NotListedError(SyncError):
    """The first list of a related resource is still under way."""


class NotServedError(SyncError):
    """The API server does not serve a resource that a controller or an answer names."""


class UnsupportedError(Exception):
    """A controller asks for what the real Metacontroller does and the stand-in does not."""
