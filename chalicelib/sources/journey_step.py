"""A journey's custom step: Pinpoint invokes a function with up to 50 endpoints, and waits at most 15 seconds.

AWS documents the payload for campaigns only; that of a journey carries ``JourneyId`` (its own samples read it).
The time of the touch is ``ScheduledTime``, so that a repeated invocation tells the same facts; without one it is
the time of the invocation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from chalicelib.facts.model import Identity, PlacedFact, Step, digest_of
from chalicelib.settings.model import Settings
from chalicelib.sources.endpoints import Endpoint, names_of
from chalicelib.sources.records import Rejected, checked_id, checked_time, interaction_time, named, named_at
from chalicelib.times import from_iso


class Passed(NamedTuple):
    """What a step's payload tells: a fact per endpoint, and the endpoints that are wrong, with the reason."""

    application: str
    journey: str
    facts: dict[str, PlacedFact]
    rejected: dict[str, str]


def application_of(payload: Mapping[str, Any]) -> str:
    """The payload's application.

    Raises
    ------
    Rejected
        It names none.
    """
    application = payload.get("ApplicationId")
    if not isinstance(application, str):
        raise Rejected("no ApplicationId")
    return checked_id(application, "ApplicationId")


def steps_of(payload: Mapping[str, Any], settings: Settings, now: int) -> Passed:
    """The facts that a step's payload tells.

    Parameters
    ----------
    now
        Time of the invocation, ms UTC.

    Raises
    ------
    Rejected
        The payload is of no journey, or is no step's payload at all.
    """
    application = application_of(payload)
    journey = payload.get("JourneyId")
    if not isinstance(journey, str):
        raise Rejected("no JourneyId: only journeys are attributed")
    journey = checked_id(journey, "JourneyId")
    endpoints = payload.get("Endpoints")
    if not isinstance(endpoints, Mapping):
        raise Rejected("no Endpoints")
    scheduled = _scheduled(payload.get("ScheduledTime"))
    time = _time(scheduled, now)
    username_attribute = settings.username_attribute_at(named_at(now if scheduled is None else scheduled, now))
    facts: dict[str, PlacedFact] = {}
    rejected: dict[str, str] = {}
    for endpoint_id, body in endpoints.items():
        try:
            facts[endpoint_id] = _step(application, journey, time, endpoint_id, body, username_attribute)
        except Rejected as reason:
            rejected[endpoint_id] = str(reason)
    return Passed(application, journey, facts, rejected)


def _step(
    application: str, journey: str, time: int, endpoint_id: str, body: object, username_attribute: str
) -> PlacedFact:
    identity: Identity | None = named("p", endpoint_id)
    if identity is None:
        raise Rejected("the endpoint's id is empty")
    try:
        endpoint = msgspec.convert(body, Endpoint)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise Rejected(f"not of the documented shape: {error}") from error
    names = names_of(endpoint, username_attribute)
    channel = checked_id((endpoint.channel_type or "").strip().lower() or "custom", "ChannelType")
    step = Step(
        time=time,
        journey=journey,
        channel=channel,
        owner=names.strongest,
        user_id=names.linked_user_id,
    )
    digest = digest_of([application, "step", time, identity, *names, journey, channel])
    return PlacedFact(application, identity, digest, step)


def _scheduled(given: object) -> int | None:
    """A step's ``ScheduledTime`` in ms UTC, or None where it is not one."""
    if not isinstance(given, str):
        return None
    try:
        return from_iso(given)
    except ValueError:
        return None


def _time(scheduled: int | None, now: int) -> int:
    return now if scheduled is None else checked_time(interaction_time(scheduled, now))
