# SPDX-License-Identifier: MIT
"""Structured logs: one line an event, JSON for machines or coloured text for people."""

import logging
import sys
from typing import Any

import structlog

Logger = Any
"""structlog's bound logger, whose methods are made at run time."""


def configure(log_format: str, level: str) -> Logger:
    """Send log lines to standard error and return the logger."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    return structlog.get_logger().bind()
