"""Names of journeys: from the registry, else from Pinpoint where that is reachable, else the id."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib import wiring
from chalicelib.journeys.registry import NameLookup
from tests.projection.scene import Scene
from tests.reference.shorthand import T, click


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
    pinpoint = Pinpoint({}, trouble)
    names = lookup(pinpoint)
    assert [names.name(scene.application, "j1") for _ in range(3)] == ["j1"] * 3
    assert len(pinpoint.asked) == 1


def test_a_name_told_later_is_found_though_pinpoint_was_out_of_reach(scene: Scene) -> None:
    names = lookup(Pinpoint({}))
    assert names.name(scene.application, "j1") == "j1"
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    assert names.name(scene.application, "j1") == "Spring sale"


def test_an_empty_name_is_none(scene: Scene) -> None:
    assert lookup(Pinpoint({"j1": ""})).name(scene.application, "j1") == "j1"
    assert wiring.registry().names(scene.application) == {}


def test_names_belong_to_their_application(scene: Scene) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    assert wiring.registry().names(scene.application + "x") == {}
    assert lookup(Pinpoint({})).name(scene.application + "x", "j1") == "j1"


def test_a_journey_is_known_from_its_first_send_and_a_name_may_change(scene: Scene) -> None:
    scene.tell(click("j2", T), click("j1", T))
    assert wiring.registry().names(scene.application) == {"j1": "j1", "j2": "j2"}
    for name in ("Spring sale", "Sommer #1"):
        wiring.registry().set_name(scene.application, "j1", name)
        assert wiring.registry().names(scene.application) == {"j1": name, "j2": "j2"}
