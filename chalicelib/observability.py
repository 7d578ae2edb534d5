"""Logs and metrics: structured, counted, and without anything that names a customer."""

from __future__ import annotations

from collections.abc import Mapping

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

logger = Logger(service="journey-attribution")
metrics = Metrics(service="journey-attribution", namespace="JourneyAttribution")


def count(**counts: int) -> None:
    """Add counts to the invocation's metrics, and say them in one log line."""
    for name, number in counts.items():
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=number)
    logger.info("counts", extra={"counts": counts})


def describe_skipped(skipped: Mapping[str, int]) -> None:
    """Say which kinds of records were of no use."""
    if skipped:
        logger.info("skipped", extra={"skipped": dict(skipped)})
