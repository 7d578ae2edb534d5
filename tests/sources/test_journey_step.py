"""The journey step: what its payload tells of each endpoint, and when."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.facts.model import Identity, Step
from chalicelib.settings.model import Settings
from chalicelib.sources.journey_step import Passed, application_of, steps_of
from chalicelib.sources.records import Rejected
from tests.reference.facts import DAY
from tests.reference.records import endpoint, iso, step
from tests.reference.shorthand import APP, WEEK, T

JANE = endpoint(user_name="jane", user_id="u1")


def passed(payload: Any, now: int = T) -> Passed:
    return steps_of(payload, Settings(), now)


def payload(**changed: object) -> dict[str, object]:
    """An ordinary step of one endpoint, with some of its fields changed; None leaves one out."""
    told = {**step(APP, "j1", {"e1": JANE}, at=T).payload, **changed}
    return {name: value for name, value in told.items() if value is not None}


def test_each_of_fifty_endpoints_is_a_step_of_its_own() -> None:
    endpoints = {f"e{number}": endpoint(user_name=f"user {number}", channel="SMS") for number in range(50)}
    found = passed(step(APP, "j1", endpoints, at=T).payload)
    assert (found.application, found.journey, found.rejected) == (APP, "j1", {})
    assert {name: (placed.identity, placed.fact) for name, placed in found.facts.items()} == {
        f"e{number}": (Identity("p", f"e{number}"), Step(T, "j1", "sms", Identity("n", f"user {number}")))
        for number in range(50)
    }
    assert len({placed.digest for placed in found.facts.values()}) == 50


WRONG_ENDPOINTS: dict[str, object] = {
    "null": None,
    "text": "jane",
    "a list": [],
    "a user of text": {"User": "jane"},
    "a UserId of 5": {"User": {"UserId": 5}},
    "a user name of 5": {"User": {"UserAttributes": {"username": [5]}}},
    "a channel of 5": {"ChannelType": 5},
    "a channel that no key holds": {"ChannelType": "x" * 257},
    "a channel with control characters": {"ChannelType": "S\x1fMS"},
    "a name that no key holds": endpoint(user_name="n" * 513),
}


@pytest.mark.parametrize("wrong", WRONG_ENDPOINTS.values(), ids=WRONG_ENDPOINTS)
def test_a_malformed_endpoint_is_rejected_alone(wrong: object) -> None:
    # R14. Catches: one customer's record that keeps 49 others from being tagged.
    found = passed(payload(Endpoints={"e1": JANE, "wrong": wrong, "e2": JANE}))
    assert list(found.facts) == ["e1", "e2"]
    assert list(found.rejected) == ["wrong"]
    assert found.rejected["wrong"]


def test_an_endpoint_without_an_id_is_rejected_alone() -> None:
    found = passed(payload(Endpoints={" ": JANE, "e1": JANE}))
    assert list(found.facts) == ["e1"]
    assert found.rejected == {" ": "the endpoint's id is empty"}


CHANNELS = [
    ("EMAIL", "email"),
    ("SMS", "sms"),
    ("CUSTOM", "custom"),
    (None, "custom"),
    (" ", "custom"),
    ("VOICE", "voice"),
]


@pytest.mark.parametrize(("given", "channel"), CHANNELS)
def test_a_step_s_channel_is_its_endpoint_s(given: str | None, channel: str) -> None:
    (placed,) = passed(payload(Endpoints={"e1": endpoint(channel=given)})).facts.values()
    assert isinstance(placed.fact, Step)
    assert placed.fact.channel == channel


CLOCKS = [
    # ScheduledTime, now, time
    (
        iso(T + 123),
        T + WEEK,
        T + 123,
    ),  # catches: the time of the call, which a repeated call changes; milliseconds lost
    (iso(T), T - 5, T),
    (iso(T + DAY), T, T + DAY),  # R8: exactly a day ahead is not more than a day
    (iso(T + DAY + 1), T, T),
    ("9999-12-31T23:59:59.999Z", T, T),
    ("2026-03-28T02:00:00+02:00", T + 5, T),  # catches: an offset ignored
    ("2026-03-28T00:00:00", T + 5, T),  # catches: the machine's time zone
    (None, T, T),
    ("", T, T),
    ("soon", T, T),
    (5, T, T),
    ("1969-12-31T23:59:59Z", T, T),  # catches: a key that sorts before all others
    ("0001-01-01T00:00:00+23:59", T, T),  # catches: an OverflowError
]


@pytest.mark.parametrize(("scheduled", "now", "time"), CLOCKS)
def test_a_step_happens_when_it_was_scheduled_if_that_is_known(scheduled: object, now: int, time: int) -> None:
    (placed,) = passed(payload(ScheduledTime=scheduled), now).facts.values()
    assert placed.fact.time == time


def test_a_repeated_call_tells_the_same_facts() -> None:
    # Catches: the time of the call or anything of the message in the digest; Lambda invokes again after a time-out.
    again = payload(Message={"x": 1}, Data="other", ActivityId="other", TreatmentId="1")
    assert passed(payload(), T + 1).facts == passed(again, T + 60_000).facts


@pytest.mark.parametrize(
    "other",
    [
        payload(ApplicationId="app-2"),
        payload(JourneyId="j2"),
        payload(ScheduledTime=iso(T + 1)),
        payload(Endpoints={"e2": JANE}),
        payload(Endpoints={"e1": endpoint(user_name="joan", user_id="u1")}),
        payload(Endpoints={"e1": endpoint(user_name="jane", user_id="u2")}),
        payload(Endpoints={"e1": endpoint()}),
    ],
)
def test_another_step_tells_another_fact(other: dict[str, object]) -> None:
    (one,), (another,) = passed(payload()).facts.values(), passed(other).facts.values()
    assert one.digest != another.digest


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (payload(ApplicationId=None), "no ApplicationId"),
        (payload(ApplicationId=5), "no ApplicationId"),
        (payload(ApplicationId=" "), "ApplicationId is empty"),
        (payload(JourneyId=None), "no JourneyId"),  # a campaign's payload
        (payload(JourneyId=""), "JourneyId is empty"),
        (payload(JourneyId="a\x1fb"), "JourneyId has control characters"),
        (payload(Endpoints=None), "no Endpoints"),
        (payload(Endpoints=["e1"]), "no Endpoints"),
    ],
)
def test_a_payload_that_is_no_journey_step_s_is_rejected_whole(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(Rejected, match=why):
        passed(wrong)


def test_the_application_is_known_before_the_rest_is_read() -> None:
    assert application_of(payload(JourneyId=None)) == APP


def test_a_step_without_endpoints_tells_nothing() -> None:
    assert passed(payload(Endpoints={})) == Passed(APP, "j1", {}, {})
