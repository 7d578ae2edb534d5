"""What comes late, event or touch, finds its place between touches that are projected already (R1, R4, R5)."""

from __future__ import annotations

import pytest

from chalicelib import wiring
from chalicelib.facts.model import Identity
from chalicelib.settings.model import Settings
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.shorthand import T, bought, click, opened
from tests.support.clock import SetClock
from tests.support.system import System

TOUCHES = [click("j1", T), click("j2", T + 5), click("j3", T + 9)]


@pytest.mark.parametrize(
    ("at", "journey"), [(T - 1, None), (T, "j1"), (T + 4, "j1"), (T + 5, "j2"), (T + 8, "j2"), (T + 9, "j3")]
)
def test_a_late_event_is_decided_by_the_touch_before_it_and_not_by_a_newer_one(
    at: int, journey: str | None, scene: Scene
) -> None:
    # Catches: the user's newest touch for all events; a touch at the event's own millisecond taken for a later one.
    scene.tell(*TOUCHES)
    scene.tell(bought(at))
    assert scene.journeys() == ({at: journey} if journey else {})


def test_a_late_touch_takes_nothing_from_a_stronger_one_of_its_millisecond(scene: Scene) -> None:
    # Catches: the next touch looked for among later milliseconds only.
    scene.tell(click("j1", T), bought(T), bought(T + 1))
    scene.tell(opened("j9", T))
    assert scene.journeys() == {T: "j1", T + 1: "j1"}


def test_a_late_touch_takes_over_from_a_weaker_one_of_its_millisecond(scene: Scene) -> None:
    scene.tell(opened("j9", T), bought(T), bought(T + 1))
    scene.tell(click("j1", T))
    assert scene.journeys() == {T: "j1", T + 1: "j1"}


def test_a_late_event_does_not_bring_forward_the_end_of_what_a_newer_one_needs(system: System, clock: SetClock) -> None:
    # Catches: a user's participation deleted while an event that it counts is still kept.
    clock.time = T + 2 * DAY
    scene = Scene(system, clock, Settings(retention_days=30))
    scene.tell_one_by_one([click("j1", T), bought(T + DAY), bought(T + 1)])
    item = wiring.views().get(scene.keys.participation(Identity("p", "e1"), "j1"))
    assert item is not None
    assert item["ttl"] == (T + DAY + 30 * DAY) // 1000
