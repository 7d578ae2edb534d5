"""What the functions that AWS invokes do with an event, and what they answer. ``app.py`` registers them.

What only one of them needs is imported in it: each starts with what it needs itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from chalicelib import wiring
from chalicelib.observability import count, describe_skipped, logger, metrics
from chalicelib.times import SECOND_MS

if TYPE_CHECKING:
    from chalicelib.projection.unit import Counted

Event = Mapping[str, Any]
SYNC_MS = 300_000
"""``lambda_timeout`` of ``sync_campaigns``."""

RUN_JOBS_MS = 300_000
"""``lambda_timeout`` of ``run_jobs``."""


class CognitoFails(Exception):
    """Cognito neither takes a campaign nor throttles; the message says how it fails."""


def ingest(event: Event) -> dict[str, Any]:
    """A batch of the Pinpoint event stream. Answers from which record on the batch must come again, if any.

    What is counted adds up to the records that came in, and over all deliveries each record is counted once as what
    it is: those that must come again are only counted as ``Returned``.
    """
    records = event["Records"]
    result = wiring.ingestion().ingest(records)
    count(
        RecordsIn=len(records),
        Facts=result.facts,
        Duplicates=result.duplicates,
        Skipped=result.skipped.total(),
        Quarantined=result.quarantined,
        Returned=result.returned,
    )
    describe_skipped(result.skipped)
    return {"batchItemFailures": _failures(result.failed)}


def tag(payload: Event, invocation: str) -> dict[str, Any]:
    """A journey step with up to 50 endpoints. Answers attributes for each, which a split of the journey may use."""
    result = wiring.ingestion().tag(payload, invocation)
    tagged = sum(one["EventAttributes"]["tagged"] == "true" for one in result.answer.values())
    count(EndpointsTagged=tagged, EndpointsNotTagged=len(result.answer) - tagged, Quarantined=result.quarantined)
    return result.answer


def project(event: Event) -> dict[str, Any]:
    """A batch of the facts' change stream, of one shard. What cannot be projected is set aside."""
    from chalicelib.projection.unit import COUNTED

    records, shard = event["Records"], _shard(event)
    # First, so that a batch that fails tells it too.
    _tell_projection_lag(records)
    counted: Counter[Counted] = Counter()
    projector = wiring.projector()
    try:
        projector.project(records, shard, counted)
    finally:
        count(**{name: counted[name] for name in COUNTED})
    count(ChangesProjected=len(records))
    if (largest := projector.largest_item()) is not None:
        metrics.add_metric(name="LargestItemBytes", unit=MetricUnit.Bytes, value=largest)
    return {"state": {}, "batchItemFailures": []}


def sync(event: Event, remaining_ms: Callable[[], int] | None = None) -> dict[str, Any]:
    """A batch of the views' change stream: campaigns to Cognito, up to shortly before the function's deadline.

    Parameters
    ----------
    remaining_ms
        The context's ``get_remaining_time_in_millis``; without one, the function's time counts from now.

    Raises
    ------
    CognitoFails
        On the batch's first record, time after time: the event source bisects it out into the failure queue.
    """
    result = wiring.campaign_sync().sync(event["Records"], remaining_ms or _countdown(SYNC_MS))
    count(
        CampaignsWritten=result.written,
        CampaignsSuperseded=result.superseded,
        UnknownUsers=result.unknown,
        CampaignsRefused=result.refused,
        CampaignsWaiting=result.waiting,
        CognitoThrottles=result.throttles,
    )
    if result.lag is not None:
        metrics.add_metric(name="CampaignLagSeconds", unit=MetricUnit.Seconds, value=result.lag)
    if result.reasons:
        logger.warning("campaigns that Cognito did not take", extra={"reasons": dict(result.reasons)})
    if result.stuck:
        raise CognitoFails(", ".join(sorted(result.reasons)))
    return {"batchItemFailures": _failures(result.failed)}


def expire() -> dict[str, int]:
    """Every minute: close windows whose end has come."""
    closed, late = wiring.expiry().expire()
    count(WindowsClosed=closed)
    metrics.add_metric(name="ExpiryLagSeconds", unit=MetricUnit.Seconds, value=late // SECOND_MS)
    return {"closed": closed}


def run_jobs(event: Event, remaining_ms: Callable[[], int] | None = None) -> dict[str, Any]:
    """Messages of the jobs queue (one a call, by the mapping): go on with a job until shortly before the deadline.

    Parameters
    ----------
    remaining_ms
        Tells how much of the function's time is left, as Lambda's context does.
    """
    from chalicelib.jobs.store import task_of

    remaining_ms = remaining_ms or _countdown(RUN_JOBS_MS)
    failed = []
    for record in event["Records"]:
        task = task_of(record["body"])
        receives = int(record["attributes"]["ApproximateReceiveCount"])
        if not wiring.job_runner().run(task.application, task.job, remaining_ms, receives):
            failed.append({"itemIdentifier": record["messageId"]})
    count(JobsContinued=len(event["Records"]) - len(failed))
    return {"batchItemFailures": failed}


def _tell_projection_lag(records: Sequence[Mapping[str, Any]]) -> None:
    """How old the oldest of these change records is, where they tell."""
    created = [one["dynamodb"].get("ApproximateCreationDateTime") for one in records]
    if known := [int(one) for one in created if one is not None]:
        age = max(0, wiring.clock.now() // SECOND_MS - min(known))
        metrics.add_metric(name="ProjectionLagSeconds", unit=MetricUnit.Seconds, value=age)


def _countdown(milliseconds: int) -> Callable[[], int]:
    end = time.monotonic() + milliseconds / SECOND_MS
    return lambda: int((end - time.monotonic()) * SECOND_MS)


def _failures(sequence: str | None) -> list[dict[str, str]]:
    return [] if sequence is None else [{"itemIdentifier": sequence}]


def _shard(event: Event) -> str:
    shard = event.get("shardId")
    if not shard:
        raise ValueError(
            "The event tells no shardId. Give the function's event source mapping a tumbling window "
            "(TumblingWindowInSeconds): only then does Lambda say which shard a batch is of, "
            "and without it a batch cannot be projected exactly once."
        )
    return str(shard)
