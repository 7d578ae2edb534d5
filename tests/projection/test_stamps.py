"""R11: an event without a touch is credited by its stamp, whatever comes first, the event or the journey's name."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from chalicelib import wiring
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.shorthand import WEEK, T, bought, click
from tests.support.faults import Call, Faults, faulty_wiring
from tests.support.system import Json


def stamped(at: int, stamp: str = "Spring") -> Record:
    return bought(at, campaign=stamp)


def name(scene: Scene, journey: str, text: str) -> None:
    """Tell a journey's name, and project what comes of it."""
    wiring.registry().set_name(scene.application, journey, text)
    scene.system.project_all()


def test_a_stamp_that_names_no_journey_gives_no_credit(scene: Scene) -> None:
    scene.tell(stamped(T))
    assert scene.journeys() == {}


def test_a_stamp_never_beats_a_touch(scene: Scene) -> None:
    name(scene, "j1", "Spring")
    scene.tell(click("j2", T), stamped(T + 1), stamped(T - 1))
    assert {one.time: (one.journey, one.basis) for one in scene.credited()} == {
        T + 1: ("j2", "touch"),
        T - 1: ("j1", "stamp"),
    }


def test_where_the_touch_s_window_is_over_the_stamp_does_not_step_in(scene: Scene) -> None:
    name(scene, "j1", "Spring")
    scene.tell(click("j2", T), stamped(T + WEEK))
    assert scene.journeys() == {}


def test_a_touch_that_comes_late_takes_over_from_the_stamp(scene: Scene) -> None:
    name(scene, "j1", "Spring")
    scene.tell_one_by_one([stamped(T + 1), click("j2", T)])
    assert scene.journeys() == {T + 1: "j2"}
    assert [(one.journey, one.converters) for one in scene.report().journeys if one.events.by_type()] == [("j2", 1)]


@pytest.mark.parametrize("order", [*itertools.permutations(("event", "j1", "j2"))])
def test_of_several_journeys_of_a_name_the_greatest_id_counts(order: tuple[str, ...], scene: Scene) -> None:
    for step in order:
        if step == "event":
            scene.tell(stamped(T))
        else:
            name(scene, step, "Spring")
    assert scene.journeys() == {T: "j2"}


def test_a_change_of_name_takes_the_credit_along(scene: Scene) -> None:
    scene.tell(stamped(T, "Old"), stamped(T + 1, "New"))
    name(scene, "j1", "Old")
    assert scene.journeys() == {T: "j1"}
    name(scene, "j1", "New")
    assert scene.journeys() == {T + 1: "j1"}
    assert scene.report().journeys[0].events.by_type() == {"purchase": 1}
    name(scene, "j2", "Old")
    assert scene.journeys() == {T: "j2", T + 1: "j1"}


def test_a_name_told_while_its_event_is_being_decided_is_found(scene: Scene) -> None:
    # Catches: an event decided by what the label was, when the recheck of the label's events has been and gone.
    scene.hear(stamped(T))
    faults = Faults()
    faults.choose = once(lambda: wiring.registry().set_name(scene.application, "j1", "Spring"))
    with faulty_wiring(faults):
        scene.system.project_all()
    assert scene.journeys() == {T: "j1"}


def once(action: Callable[[], None]) -> Callable[[int, str], Callable[[Call, str, Json], Json] | None]:
    """A choice of faults by which something happens right before the first transaction, which then goes its way."""
    left = [action]

    def before(call: Call, operation: str, request: Json) -> Json:
        left.pop()()
        answer: Json = call(**request)
        return answer

    return lambda _, operation: before if left and operation == "transact_write_items" else None
