# SPDX-License-Identifier: MIT
"""Every metric of the webhook."""

import prometheus_client

REGISTRY = prometheus_client.CollectorRegistry()
prometheus_client.ProcessCollector(registry=REGISTRY)
prometheus_client.PlatformCollector(registry=REGISTRY)
prometheus_client.GCCollector(registry=REGISTRY)

CALLS = prometheus_client.Counter(
    "l2lb_hook_calls_total",
    "Hook calls by hook and outcome (ok, refused, malformed, not_json, too_large, failed).",
    ["hook", "outcome"],
    registry=REGISTRY,
)
SECONDS = prometheus_client.Histogram(
    "l2lb_hook_seconds",
    "Time from the whole request to the whole answer, by hook.",
    ["hook"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
REQUEST_BYTES = prometheus_client.Histogram(
    "l2lb_hook_request_bytes",
    "Size of request bodies, by hook.",
    ["hook"],
    buckets=(1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 22, 1 << 24, 1 << 26),
    registry=REGISTRY,
)
LEFT_ALONE = prometheus_client.Counter(
    "l2lb_objects_left_alone_total",
    "Objects that could not be read and were left as they are, by hook and kind, once a call.",
    ["hook", "kind"],
    registry=REGISTRY,
)
EVENTS = prometheus_client.Counter(
    "l2lb_events_total",
    "Kubernetes Events by what became of them (posted, logged, repeated, dropped, failed).",
    ["outcome"],
    registry=REGISTRY,
)


def exposition() -> tuple[bytes, str]:
    """Return all metrics as text, and its content type."""
    return prometheus_client.generate_latest(REGISTRY), prometheus_client.CONTENT_TYPE_LATEST
