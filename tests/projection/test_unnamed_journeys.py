"""R9: journeys that a client makes up are capped. Touches beyond are counted, and projected once theirs is named."""

from __future__ import annotations

import pytest

from chalicelib import wiring
from chalicelib.projection import journeys
from chalicelib.settings.model import CustomInteraction, Policy
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.records import endpoint, event, push_opened, send, step
from tests.reference.shorthand import APP, T, bought, click

CAP = 3


@pytest.fixture(autouse=True)
def cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journeys, "MOST_UNNAMED", CAP)


def made_up(number: int) -> Record:
    return push_opened(APP, f"other {number}", f"made up {number}", T)


def flood() -> list[Record]:
    return [made_up(number) for number in range(CAP)]


def journeys_of(scene: Scene) -> dict[str, int]:
    return {one.journey: sum(one.touches.values()) for one in scene.report().journeys}


def test_touches_of_journeys_beyond_the_cap_wait(scene: Scene) -> None:
    scene.tell(*flood())
    scene.tell(click("j1", T), bought(T + 1), click("made up 0", T + 2, "other 0"))
    assert journeys_of(scene) == {"made up 0": 2, "made up 1": 1, "made up 2": 1}
    assert scene.report().touches_waiting == 1
    assert scene.credited() == []
    assert scene.campaign_item("e1", "p") is None


def test_a_send_names_a_journey_and_what_waited_is_projected(scene: Scene) -> None:
    scene.tell(*flood())
    scene.tell(click("j1", T), bought(T + 1), click("j1", T + 5, "e2"))
    scene.tell(send(APP, "e9", "j1", T - 1))
    assert (journeys_of(scene)["j1"], scene.report().touches_waiting) == (2, 0)
    assert scene.journeys() == {T + 1: "j1"}


def test_a_marketer_names_a_journey(scene: Scene) -> None:
    scene.tell(*flood())
    scene.tell(click("j1", T), bought(T + 1))
    wiring.registry().set_name(scene.application, "j1", "Spring")
    scene.system.project_all()
    assert (scene.journeys(), scene.report().touches_waiting) == ({T + 1: "j1"}, 0)
    wiring.registry().set_name(scene.application, "j1", "Summer")
    scene.system.project_all()
    assert journeys_of(scene)["j1"] == 1


def test_a_named_journey_makes_room_for_another(scene: Scene) -> None:
    scene.tell(*flood())
    scene.tell(send(APP, "e9", "made up 0", T - 1))
    scene.tell(click("j1", T), bought(T + 1))
    assert scene.journeys() == {T + 1: "j1"}
    scene.tell(click("j2", T + 2))
    assert scene.report().touches_waiting == 1
    wiring.registry().set_name(scene.application, "made up 1", "Spring")
    scene.tell(click("j3", T + 3))
    assert scene.report().touches_waiting == 1
    assert journeys_of(scene)["j3"] == 1


def test_steps_and_sends_are_not_capped(scene: Scene) -> None:
    scene.tell(*flood())
    scene.tell(*(send(APP, f"e{number}", f"j{number}", T) for number in range(10)))
    scene.tell(*(step(APP, f"k{number}", {"e1": endpoint(user_name="jane")}, at=T + number) for number in range(10)))
    assert len(journeys_of(scene)) == CAP + 20


def test_what_waits_follows_its_user(scene: Scene) -> None:
    # The touch waits at its endpoint; then the endpoint is linked, and only then the journey is named.
    scene.tell(*flood())
    scene.tell(click("j1", T), bought(T + 1))
    scene.tell(send(APP, "e1", "j9", T - 5, user_name="jane"))
    assert scene.credited() == []
    scene.tell(send(APP, "e9", "j1", T - 1))
    assert [one.user for one in scene.credited()] == [("n", "jane")]
    assert (journeys_of(scene)["j1"], scene.report().touches_waiting) == (1, 0)


def test_of_one_that_went_elsewhere_nothing_is_left(scene: Scene) -> None:
    scene.tell(*flood())
    scene.tell(send(APP, "e1", "j9", T - 5, user_name="jane"), click("j1", T), bought(T + 1))
    scene.tell(send(APP, "e1", "j9", T - 2, user_name="joan"))
    scene.tell(send(APP, "e9", "j1", T - 1))
    assert [one.user for one in scene.credited()] == [("n", "joan")]
    assert (journeys_of(scene)["j1"], scene.report().touches_waiting) == (1, 0)


def test_applications_have_caps_of_their_own(scene: Scene) -> None:
    other = Scene(scene.system, scene.clock)
    scene.tell(*flood())
    other.tell(click("j1", T), bought(T + 1))
    assert other.journeys() == {T + 1: "j1"}


def test_a_custom_interaction_waits_and_stays_an_event(scene: Scene) -> None:
    policy = Policy(custom_interactions=(CustomInteraction("sms_link"),))
    wiring.settings().change(scene.application, lambda old: old.with_policy(policy))
    scene.tell(*flood())
    scene.tell(event(APP, "sms_link", T, client_id="e1", attributes={"journey_id": "j1"}), bought(T + 1))
    assert (scene.credited(), scene.report().touches_waiting) == ([], 1)
    assert scene.report().total.by_type() == {"sms_link": 1, "purchase": 1}
    scene.tell(send(APP, "e9", "j1", T - 1))
    assert scene.journeys() == {T: "j1", T + 1: "j1"}
    assert scene.report().touches_waiting == 0
