"""The settings of the event source mappings, from where deployment takes them: the template's parts and app.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from chalice.app import Chalice, DynamoDBEventConfig, KinesisEventConfig, SQSEventConfig

from local.delivery import Policy

FUNCTIONS = Path(__file__).resolve().parent.parent / "infra" / "functions.json"
STREAM_SOURCES = ("KinesisEventSource", "DynamodbEventSource")


class EventSourceMapping(NamedTuple):
    """How records reach one function."""

    policy: Policy
    batch_size: int
    window_s: int
    """Length of the tumbling window, 0 for none."""
    filters: tuple[str, ...]


def event_source_mapping(app: Chalice, function: str) -> EventSourceMapping:
    """The mapping of a function of the application; raises LookupError if it has none."""
    properties = _properties(function)
    window_s = int(properties.get("TumblingWindowInSeconds", 0))
    return EventSourceMapping(
        policy=Policy(
            maximum_retry_attempts=_limit(properties.get("MaximumRetryAttempts", -1)),
            maximum_record_age_s=_limit(properties.get("MaximumRecordAgeInSeconds", -1)),
            bisect_on_error=bool(properties.get("BisectBatchOnFunctionError", False)),
            report_item_failures="ReportBatchItemFailures" in properties.get("FunctionResponseTypes", ()),
            expect_state=window_s > 0,
        ),
        batch_size=_batch_size(app, function),
        window_s=window_s,
        filters=tuple(one["Pattern"] for one in properties.get("FilterCriteria", {}).get("Filters", ())),
    )


def _properties(function: str) -> dict[str, Any]:
    """Of the function's event source in the template: Chalice names ``project_facts`` ``ProjectFacts`` there."""
    logical_id = "".join(part.capitalize() for part in function.split("_"))
    resources = json.loads(FUNCTIONS.read_text(encoding="utf-8"))["Resources"]
    for source, event in resources.get(logical_id, {}).get("Properties", {}).get("Events", {}).items():
        if source.endswith(STREAM_SOURCES):
            properties: dict[str, Any] = event["Properties"]
            return properties
    raise LookupError(f"{FUNCTIONS.name} has no event source of {logical_id}")


def messages_at_once(app: Chalice, function: str) -> int:
    """How many messages of its queue one call of a function gets; raises LookupError if it has no queue."""
    return _batch_size(app, function)


def _batch_size(app: Chalice, function: str) -> int:
    for source in app.event_sources:
        if source.name == function and isinstance(source, KinesisEventConfig | DynamoDBEventConfig | SQSEventConfig):
            return source.batch_size
    raise LookupError(f"app.py has no event source {function}")


def _limit(value: int) -> int | None:
    """The template writes -1 for no limit."""
    return None if value < 0 else value
