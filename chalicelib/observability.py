"""Logs and metrics: structured, counted, and without anything that names a customer.

The dimension of every metric is ``service``: the stack's name, so that two stages of one account are told apart.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from typing import TextIO, cast

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "journey-attribution")
NAMESPACE = "JourneyAttribution"


class StandardOutput(io.TextIOBase):
    """Standard output as it is when something is written, not as it was when this module was imported.

    Lambda takes logs from standard output. The local system has another use for its own, and redirects it.
    """

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


logger = Logger(service=SERVICE, stream=cast(TextIO, StandardOutput()))
metrics = Metrics(service=SERVICE, namespace=NAMESPACE)


def count(**counts: int) -> None:
    """Add counts to the invocation's metrics, and say them in one log line."""
    for name, number in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)
    logger.info("counts", extra={"counts": counts})


def describe_skipped(skipped: Mapping[str, int]) -> None:
    """Say which kinds of records were of no use."""
    if skipped:
        logger.info("skipped", extra={"skipped": dict(skipped)})


def tell_request(operation: str, status: int, milliseconds: int) -> None:
    """Tell a request to the API: its metrics and one log line.

    How long it took stands there for all operations together, which an alarm can watch, and for each one.
    Not in the invocation's metrics: the local API serves several requests at once.

    Parameters
    ----------
    operation
        Method and route, such as ``GET /applications/{application}/report``: a path itself may name a customer.
    """
    latency = _own_metrics()
    latency.add_metric(name="ApiLatency", unit=MetricUnit.Milliseconds, value=milliseconds)
    latency.add_dimensions(service=SERVICE, operation=operation)
    latency.flush_metrics()
    # Not by operation as well: CloudWatch charges for each metric of each operation.
    classes = _own_metrics()
    classes.add_metric(name="ApiRequests", unit=MetricUnit.Count, value=1)
    classes.add_metric(name="ApiClientErrors", unit=MetricUnit.Count, value=int(400 <= status < 500))
    classes.add_metric(name="ApiServerErrors", unit=MetricUnit.Count, value=int(status >= 500))
    classes.flush_metrics()
    logger.info("request", extra={"operation": operation, "status": status, "milliseconds": milliseconds})


def _own_metrics() -> AmazonCloudWatchEMFProvider:
    """Metrics apart from the invocation's, which all of Powertools' other classes share."""
    return AmazonCloudWatchEMFProvider(
        namespace=NAMESPACE, service=SERVICE, metric_set={}, dimension_set={}, metadata_set={}, default_dimensions={}
    )
