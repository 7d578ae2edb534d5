"""A journey as marketers describe it."""

from __future__ import annotations

from chalicelib import wiring
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Answer, Call, Problem, operation
from chalicelib.api.schemas.journeys import JourneyAnswer, JourneyBody
from chalicelib.api.versions import IF_MATCH, etag, expected_versions, outdated, wants_any
from chalicelib.journeys.registry import Described
from chalicelib.settings.store import Outdated

ETAG = {"ETag": "The version of the journey's description, for If-Match"}
_BODY = {
    "name": "Spring sale",
    "cost": {"amount": "1250.00", "currency": "EUR"},
    "goal": {"event_type": "purchase", "target_count": 400, "target_revenue": {"amount": "20000", "currency": "EUR"}},
    "starts": "2026-03-01",
    "ends": "2026-04-01",
}


@operation(
    routes,
    "GET",
    "/applications/{application}/journeys/{journey}",
    access="viewer",
    summary="Read a journey's name, cost, goal and dates",
    description="A journey that nobody described and no event names is a 404.",
    tags=("journeys",),
    answer=JourneyAnswer,
    errors=(404,),
    answer_headers=ETAG,
)
def get_journey(call: Call[None, None]) -> Answer:
    found = wiring.registry().described(call.application, call.path["journey"])
    if found is None:
        raise Problem(404, "Nothing is known of this journey.")
    return _answer(found)


@operation(
    routes,
    "PUT",
    "/applications/{application}/journeys/{journey}",
    access="marketer",
    summary="Describe a journey: name, cost, goal and dates, all of them",
    description="A journey may be described before its first message is sent. Events that bear its name as their "
    "stamp are credited to it, also those of the past, and no longer those that bear its former name.",
    tags=("journeys",),
    body=JourneyBody,
    answer=JourneyAnswer,
    errors=(412,),
    headers=IF_MATCH,
    answer_headers=ETAG,
    examples={"body": _BODY},
)
def put_journey(call: Call[None, JourneyBody]) -> Answer:
    journey = call.path["journey"]
    expected = expected_versions(call.headers)
    if wants_any(call.headers) and wiring.registry().described(call.application, journey) is None:
        raise Problem(412, "Nothing is known of this journey.")
    try:
        return _answer(wiring.registry().describe(call.application, call.body.details(journey), expected))
    except Outdated as reason:
        raise outdated("The journey", reason.revision) from reason


def _answer(found: Described) -> Answer:
    return Answer(JourneyAnswer.of(found.details, found.revision), headers=etag(found.revision))
