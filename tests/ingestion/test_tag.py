"""``tag_users``: a journey step's endpoints are told as facts, and each gets an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.facts.model import Step
from chalicelib.settings.model import Settings
from chalicelib.tables import Starved
from tests.ingestion.fakes import ingestion, stored
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.records import endpoint, step
from tests.reference.shorthand import APP, T
from tests.sources.reading import PAYLOADS
from tests.support.clock import SetClock
from tests.support.renaming import renamed

JANE = endpoint(user_name="jane", channel="SMS")


def payload(scene: Scene, endpoints: dict[str, Any], journey: str | None = "j1", at: int = T) -> Any:
    told = renamed(step(APP, journey, endpoints, at=at), scene.suffix)
    return told.payload  # type: ignore[union-attr]


def tagged(journey: str, told: str = "true") -> dict[str, dict[str, str]]:
    return {"EventAttributes": {"journey_id": journey, "tagged": told}}


def test_each_of_fifty_endpoints_is_stored_and_answered(scene: Scene, clock: SetClock) -> None:
    parts = ingestion(clock)
    endpoints = {f"e{number}": JANE for number in range(50)}
    assert parts.ingestion.tag(payload(scene, endpoints), "i1").answer == {name: tagged("j1") for name in endpoints}
    assert sorted(placed.identity.name for placed in stored(scene.application)) == sorted(endpoints)
    assert all(isinstance(placed.fact, Step) for placed in stored(scene.application))
    assert parts.client.calls == [25, 25]  # of 15 seconds little is gone


def test_the_answer_has_the_documented_shape(scene: Scene, clock: SetClock) -> None:
    # Endpoint -> EventAttributes -> texts, and nothing else: Pinpoint fails the step otherwise.
    documented = json.loads((PAYLOADS / "lambda-custom-channel-response-shape.json").read_bytes())
    found = ingestion(clock).ingestion.tag(payload(scene, dict.fromkeys(documented, JANE)), "i1").answer
    assert found.keys() == documented.keys()
    for name, answer in found.items():
        assert answer.keys() == documented[name].keys()
        assert all(isinstance(value, str) for value in answer["EventAttributes"].values())
    assert json.loads(json.dumps(found)) == found


def test_no_attribute_of_the_answer_is_longer_than_pinpoint_takes(scene: Scene, clock: SetClock) -> None:
    found = ingestion(clock).ingestion.tag(payload(scene, {"e1": JANE}, journey="j" * 256), "i1").answer
    assert found["e1"]["EventAttributes"]["journey_id"] == "j" * 128


def test_a_malformed_endpoint_is_answered_and_set_aside_and_the_others_are_tagged(
    scene: Scene, clock: SetClock
) -> None:
    parts = ingestion(clock)
    told = payload(scene, {"e1": JANE, "e2": "jane", "e3": {"User": 5}, "e4": JANE})
    found = parts.ingestion.tag(told, "i1").answer
    assert found == {
        "e1": tagged("j1"), "e2": tagged("j1", "false"), "e3": tagged("j1", "false"), "e4": tagged("j1"),
    }  # fmt: skip
    assert sorted(placed.identity.name for placed in stored(scene.application)) == ["e1", "e4"]
    (line,) = parts.shelf.lines()
    assert line.source == "journey-step"
    assert "e2: " in line.reason
    assert "e3: " in line.reason
    assert "i1" in line.reason
    assert json.loads(parts.shelf.data()[0]) == told  # whole


@pytest.mark.parametrize("wrong", [{"User": {"UserId": "\ud800"}}, {"ChannelType": "\ud800"}, {"\ud800": 1, "User": 5}])
def test_half_a_character_harms_only_its_endpoint(wrong: dict[str, Any], scene: Scene, clock: SetClock) -> None:
    # JSON may name half of a surrogate pair, and Lambda passes it on. Catches: a UnicodeEncodeError for all endpoints.
    parts = ingestion(clock)
    found = parts.ingestion.tag(payload(scene, {"e1": JANE, "e2": wrong, "\udfff": JANE}), "i1").answer
    assert [one["EventAttributes"]["tagged"] for one in found.values()] == ["true", "false", "false"]
    assert [placed.identity.name for placed in stored(scene.application)] == ["e1"]
    assert len(parts.shelf.lines()) == 1


NO_JOURNEY = {
    "a campaign's": {"JourneyId": None, "CampaignId": "c1"},
    "an empty journey": {"JourneyId": ""},
    "no application": {"ApplicationId": None},
    "a journey of half a character": {"JourneyId": "\ud800"},
}


@pytest.mark.parametrize("changed", NO_JOURNEY.values(), ids=NO_JOURNEY)
def test_a_payload_of_no_journey_is_answered_and_set_aside(
    changed: dict[str, Any], scene: Scene, clock: SetClock
) -> None:
    # Catches: a step that fails, so that Pinpoint retries for days, or that tags users with no journey.
    parts = ingestion(clock)
    told = {**payload(scene, {"e1": JANE, "e2": JANE}), **changed}
    told = {name: value for name, value in told.items() if value is not None}
    assert parts.ingestion.tag(told, "i1").answer == {"e1": tagged("", "false"), "e2": tagged("", "false")}
    assert list(stored(scene.application)) == []
    assert len(parts.shelf.lines()) == 1


@pytest.mark.parametrize("endpoints", [None, [], "e1"])
def test_a_payload_without_endpoints_has_nobody_to_answer(endpoints: object, scene: Scene, clock: SetClock) -> None:
    parts = ingestion(clock)
    told = {**payload(scene, {}), "Endpoints": endpoints}
    assert parts.ingestion.tag(told, "i1").answer == {}
    assert len(parts.shelf.lines()) == 1


def test_a_step_of_no_endpoints_is_nothing_wrong(scene: Scene, clock: SetClock) -> None:
    parts = ingestion(clock)
    assert parts.ingestion.tag(payload(scene, {}), "i1").answer == {}
    assert parts.shelf.lines() == []


def test_a_repeated_call_stores_nothing_new_and_sets_nothing_aside_twice(scene: Scene, clock: SetClock) -> None:
    parts = ingestion(clock)
    told = payload(scene, {"e1": JANE, "e2": "jane"})
    first = parts.ingestion.tag(told, "i1").answer
    before = list(stored(scene.application))
    clock.time += 60_000
    assert parts.ingestion.tag(told, "i2").answer == first
    assert list(stored(scene.application)) == before
    assert len(parts.shelf.objects) == 1


def test_a_step_past_retention_is_not_tagged(scene: Scene, clock: SetClock) -> None:
    wiring.settings().change(scene.application, lambda _: Settings(retention_days=30))
    clock.time = T + 31 * DAY
    assert ingestion(clock).ingestion.tag(payload(scene, {"e1": JANE}), "i1").answer == {"e1": tagged("j1", "false")}
    assert list(stored(scene.application)) == []


def test_a_busy_table_fails_the_step(scene: Scene, clock: SetClock) -> None:
    # Catches: customers answered as tagged who are not.
    parts = ingestion(clock, refused=lambda item: True, times=1_000)
    with pytest.raises(Starved):
        parts.ingestion.tag(payload(scene, {"e1": JANE}), "i1")
