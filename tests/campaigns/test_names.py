"""Names of journeys: from the registry, else from Pinpoint where that is reachable, else the id."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib import wiring
from chalicelib.journeys.details import JourneyDetails
from chalicelib.journeys.registry import MOST_UNKNOWN, NameLookup
from chalicelib.keys import journey_key
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.records import send
from tests.reference.shorthand import APP, T, click, pushed, tagged


class Pinpoint:
    """GetJourney of an application with a few journeys, or out of reach."""

    def __init__(self, names: dict[str, str], trouble: Exception | None = None) -> None:
        self._names = names
        self._trouble = trouble
        self.asked: list[tuple[str, str]] = []

    def get_journey(self, ApplicationId: str, JourneyId: str) -> dict[str, Any]:  # noqa: N803 - boto3's own names
        self.asked.append((ApplicationId, JourneyId))
        if self._trouble:
            raise self._trouble
        if JourneyId not in self._names:
            raise ClientError({"Error": {"Code": "NotFoundException"}}, "GetJourney")
        return {"JourneyResponse": {"Id": JourneyId, "Name": self._names[JourneyId]}}


def lookup(pinpoint: Pinpoint) -> NameLookup:
    return NameLookup(lambda: pinpoint, wiring.registry())  # type: ignore[arg-type,return-value]


def test_a_registered_name_needs_no_call(scene: Scene) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    pinpoint = Pinpoint({"j1": "Other"})
    assert lookup(pinpoint).name(scene.application, "j1") == "Spring sale"
    assert pinpoint.asked == []


def test_a_name_that_pinpoint_tells_is_registered(scene: Scene) -> None:
    scene.tell(click("j1", T))
    pinpoint = Pinpoint({"j1": "Spring sale"})
    names = lookup(pinpoint)
    assert [names.name(scene.application, "j1") for _ in range(3)] == ["Spring sale"] * 3
    assert pinpoint.asked == [(scene.application, "j1")]
    assert wiring.registry().names(scene.application) == {"j1": "Spring sale"}


TROUBLE = {
    "no such journey": None,
    "gone for good": ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetJourney"),
    "no such host": EndpointConnectionError(endpoint_url="https://pinpoint"),
}


@pytest.mark.parametrize("trouble", TROUBLE.values(), ids=TROUBLE)
def test_out_of_reach_the_id_serves_and_is_not_asked_for_again(trouble: Exception | None, scene: Scene) -> None:
    # Pinpoint's journeys ended on 30 October 2026. Catches: a batch that waits for each user's journey anew.
    scene.tell(send(APP, "e1", "j1", T))
    pinpoint = Pinpoint({}, trouble)
    names = lookup(pinpoint)
    assert [names.name(scene.application, "j1") for _ in range(3)] == ["j1"] * 3
    assert len(pinpoint.asked) == 1


def test_a_name_told_later_is_found_though_pinpoint_was_out_of_reach(scene: Scene) -> None:
    scene.tell(send(APP, "e1", "j1", T))
    names = lookup(Pinpoint({}))
    assert names.name(scene.application, "j1") == "j1"
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    assert names.name(scene.application, "j1") == "Spring sale"


def test_an_empty_name_is_none(scene: Scene) -> None:
    scene.tell(send(APP, "e1", "j1", T))
    assert lookup(Pinpoint({"j1": ""})).name(scene.application, "j1") == "j1"
    assert wiring.registry().names(scene.application) == {"j1": "j1"}


def test_names_belong_to_their_application(scene: Scene) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    assert wiring.registry().names(scene.application + "x") == {}
    assert lookup(Pinpoint({})).name(scene.application + "x", "j1") is None


def test_a_journey_is_known_from_its_first_send_and_a_name_may_change(scene: Scene) -> None:
    scene.tell(click("j2", T), click("j1", T))
    assert wiring.registry().names(scene.application) == {"j1": "j1", "j2": "j2"}
    for name in ("Spring sale", "Sommer #1"):
        wiring.registry().set_name(scene.application, "j1", name)
        assert wiring.registry().names(scene.application) == {"j1": name, "j2": "j2"}


# --- journeys that nobody named ---


@pytest.mark.parametrize("made_up", [click("j1", T), pushed("j1", T)])
def test_what_only_interactions_mention_has_no_name(made_up: Record, scene: Scene) -> None:
    # Any client may report an interaction with a journey of any id.
    scene.tell(made_up)
    assert lookup(Pinpoint({})).name(scene.application, "j1") is None
    described = wiring.registry().described(scene.application, "j1")
    assert described is not None
    assert not described.named


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "naming", [send(APP, "e1", "j1", T), tagged("j1", T), send(APP, "e1", "j1", T, status="FAILURE")]
)
def test_a_send_or_a_step_names_a_journey_also_after_the_first_touch(naming: Record, late: bool, scene: Scene) -> None:
    scene.tell(*([click("j1", T)] if late else []), naming)
    scene.tell(click("j1", T + 1))
    assert lookup(Pinpoint({})).name(scene.application, "j1") == "j1"


def test_of_one_transaction_the_send_is_not_lost(scene: Scene) -> None:
    # Catches: two notes of one item, of which the second takes the place of the first.
    scene.tell(send(APP, "e1", "j1", T), click("j1", T), click("j1", T + 1, "e2"), send(APP, "e2", "j2", T))
    names = lookup(Pinpoint({}))
    assert [names.name(scene.application, one) for one in ("j1", "j2")] == ["j1", "j2"]


def test_a_marketer_names_a_journey_by_describing_it(scene: Scene) -> None:
    scene.tell(click("j1", T))
    wiring.registry().describe(scene.application, JourneyDetails("j1"))
    assert lookup(Pinpoint({})).name(scene.application, "j1") == "j1"


def test_a_journey_that_was_met_before_this_was_noted_counts_as_named(scene: Scene) -> None:
    key = journey_key(scene.application, "j1")
    wiring.views().put_many([{"pk": key.pk, "sk": key.sk, "journey": "j1", "announced": True, "version": 1}])
    assert lookup(Pinpoint({})).name(scene.application, "j1") == "j1"


def test_made_up_ids_do_not_make_pinpoint_be_asked_for_ever(scene: Scene) -> None:
    # Catches: a call for each id that a client makes up, one after the other.
    pinpoint = Pinpoint({})
    names = lookup(pinpoint)
    for number in range(2 * MOST_UNKNOWN):
        names.name(scene.application, f"made up {number}")
    assert len(pinpoint.asked) == MOST_UNKNOWN


def test_a_pinpoint_that_does_not_answer_is_not_asked_again(scene: Scene) -> None:
    pinpoint = Pinpoint({}, EndpointConnectionError(endpoint_url="https://pinpoint"))
    names = lookup(pinpoint)
    for number in range(5):
        names.name(scene.application, f"j{number}")
    assert len(pinpoint.asked) == 1


@pytest.mark.parametrize(("given", "asks"), [(None, False), ("off", False), ("", False), ("on", True)])
def test_pinpoint_is_not_asked_unless_the_deployment_says_so(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, given: str | None, asks: bool
) -> None:
    # Catches: a call of seconds for each journey, to a service that has ended.
    monkeypatch.delenv("PINPOINT_NAMES", raising=False)
    if given is not None:
        monkeypatch.setenv("PINPOINT_NAMES", given)
    pinpoint = Pinpoint({"j1": "Spring sale"})
    monkeypatch.setattr(wiring, "_pinpoint", lambda: pinpoint)
    wiring.campaign_sync.cache_clear()
    try:
        wiring.campaign_sync()._names.name(scene.application, "j1")
    finally:
        wiring.campaign_sync.cache_clear()
    assert bool(pinpoint.asked) == asks
