"""Attribution models side by side, and the report under settings that are tried out."""

from __future__ import annotations

from chalicelib import wiring
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Call, Problem, operation
from chalicelib.api.schemas.compare import CompareQuery, PreviewBody
from chalicelib.reports.compare import TooManyEvents
from chalicelib.reports.comparison import Comparison
from chalicelib.reports.preview import TooManyFacts
from chalicelib.reports.preview_figures import Preview

MOST_EVENTS = 5_000
MOST_FACTS = 50_000
LONGEST_S = 20.0
"""API Gateway waits for 29 seconds."""


@operation(
    routes,
    "GET",
    "/applications/{application}/compare",
    access="viewer",
    summary="Attribution models side by side",
    description="How last touch, first touch, linear, position based and time decay share out the credited events of a "
    "period among the journeys. All models share out the same events, so their totals are equal. Of more than "
    f"{MOST_EVENTS:,} events, of all types, make a job.",
    tags=("reports",),
    query=CompareQuery,
    answer=Comparison,
    errors=(422,),
)
def compare_models(call: Call[CompareQuery, None]) -> Comparison:
    """All models for all journeys, or the advice to make a job."""
    try:
        question = call.query.question(call.application)
    except ValueError as reason:
        raise Problem(400, str(reason)) from reason
    try:
        return wiring.comparer().compare(question, MOST_EVENTS, LONGEST_S)
    except TooManyEvents as reason:
        raise Problem(
            422,
            f"The period holds more than {MOST_EVENTS:,} credited events, or more than can be read while you wait. "
            'Make a job of it: POST /applications/{application}/jobs of the kind "compare", with the same parameters.',
        ) from reason


@operation(
    routes,
    "POST",
    "/applications/{application}/settings/preview",
    access="marketer",
    summary="The report under changed settings",
    description="Computed from the stored facts, beside the report as it is; nothing is saved. The changes are taken "
    "to have been in force from the beginning. Where many facts are stored, make a job.",
    tags=("settings",),
    body=PreviewBody,
    answer=Preview,
    errors=(422,),
    examples={"body": {"changes": {"lookback_window_days": 3}, "from": "2026-03-01", "to": "2026-04-01"}},
)
def preview_settings(call: Call[None, PreviewBody]) -> Preview:
    """Both reports, or the advice to make a job."""
    try:
        question = call.body.question(call.application)
    except ValueError as reason:
        raise Problem(400, str(reason)) from reason
    try:
        return wiring.previewer().preview(question, MOST_FACTS, LONGEST_S)
    except TooManyFacts as reason:
        raise Problem(
            422,
            f"More than {MOST_FACTS:,} facts are stored, or more than can be read while you wait. "
            'Make a job of it: POST /applications/{application}/jobs of the kind "preview", with the same parameters.',
        ) from reason
