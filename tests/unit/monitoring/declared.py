# SPDX-License-Identifier: MIT
"""The series that our programs have, from where they are declared."""

import prometheus_client.metrics

from app import metrics as webhook
from speaker import metrics as speaker

# What Prometheus adds to each series of a target; `node` comes from the chart's PodMonitor.
TARGET = {"node", "instance", "pod", "namespace", "job"}


def series() -> dict[str, set[str]]:
    """Return the labels of each series by its name."""
    found: dict[str, set[str]] = {}
    for metric in vars(speaker.Metrics()).values():
        if not isinstance(metric, speaker.Counter | speaker.Histogram):
            continue
        found |= _expanded(metric.name, metric.kind, set(metric.labels))
    for metric in vars(webhook).values():
        if isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
            [family] = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found |= _expanded(name, family.type, set(metric._labelnames))
    return found


def _expanded(name: str, kind: str, labels: set[str]) -> dict[str, set[str]]:
    labels = labels | TARGET
    if kind != "histogram":
        return {name: labels}
    return {
        f"{name}_bucket": labels | {"le"},
        f"{name}_count": labels,
        f"{name}_sum": labels,
    }
