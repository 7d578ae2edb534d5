"""Logs and metrics: structured, counted, and without anything that names a customer."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import TextIO, cast

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit


class StandardOutput(io.TextIOBase):
    """Standard output as it is when something is written, not as it was when this module was imported.

    Lambda takes logs from standard output. The local system has another use for its own, and redirects it.
    """

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


logger = Logger(service="journey-attribution", stream=cast(TextIO, StandardOutput()))
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
