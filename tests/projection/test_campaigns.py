"""R7: a user has one campaign, the journey of the newest touch, while its window is open."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from chalicelib.settings.model import Settings
from tests.projection.scene import Scene, windows
from tests.reference.facts import Record
from tests.reference.records import send
from tests.reference.shorthand import APP, HOUR, WEEK, T, bought, click, opened, tagged
from tests.support.clock import SetClock
from tests.support.system import System


class Told(NamedTuple):
    """Records, and the campaign of the endpoint e1 at a time."""

    records: list[Record]
    now: int
    campaign: str | None
    settings: Settings = Settings()


CAMPAIGNS = {
    "no touch": Told([bought(T)], T, None),
    "a send is no touch": Told([send(APP, "e1", "j1", T)], T + 1, None),
    "a touch": Told([click("j1", T)], T + 1, "j1"),
    "at the touch's millisecond": Told([click("j1", T)], T, "j1"),
    "until its window ends": Told([click("j1", T)], T + WEEK - 1, "j1"),
    "not at its end": Told([click("j1", T)], T + WEEK, None),
    "the newer touch": Told([click("j1", T), tagged("j2", T + 1)], T + HOUR, "j2"),
    "the stronger at one millisecond": Told([click("j1", T), opened("j2", T)], T + HOUR, "j1"),
    "the same journey restarts the window": Told([click("j1", T), click("j1", T + HOUR)], T + WEEK + 1, "j1"),
    # Catches: the older touch's campaign, whose window is still open.
    "a newer touch whose window is over": Told(
        [click("j1", T), click("j2", T + HOUR)], T + 3 * HOUR, None, windows((7, 0), (1 / 24, T + 1))
    ),
}


@pytest.mark.parametrize("backwards", [False, True], ids=["in order", "from the end"])
@pytest.mark.parametrize("told", CAMPAIGNS.values(), ids=CAMPAIGNS)
def test_the_campaign_is_the_newest_touch_s_while_its_window_is_open(
    told: Told, backwards: bool, system: System, clock: SetClock
) -> None:
    scene = Scene(system, clock, told.settings)
    for record in reversed(told.records) if backwards else told.records:
        clock.time = told.now
        scene.tell(record)
    assert scene.campaign("e1", now=told.now) == told.campaign


def test_a_late_older_touch_leaves_the_campaign_alone(scene: Scene, clock: SetClock) -> None:
    clock.time = T + HOUR
    scene.tell(click("j2", T + 5))
    before = scene.campaign_item("e1")
    scene.tell(click("j1", T))
    assert scene.campaign_item("e1") == before


def test_only_an_open_window_is_due_to_be_closed(scene: Scene, clock: SetClock) -> None:
    # Catches: an archive replayed years later that fills the index of due windows, for expiry to close one by one.
    clock.time = T + HOUR
    scene.tell(click("j1", T), click("j1", T - WEEK, "e2"))
    opened_one, old = scene.campaign_item("e1"), scene.campaign_item("e2")
    assert opened_one is not None
    assert old is not None
    assert (opened_one["open"], opened_one["gsk"]) == (True, f"{T + WEEK:015d}")
    assert (old["open"], old.get("gsk")) == (False, None)


def test_a_user_whose_touches_all_were_somebody_else_s_has_no_campaign_left(scene: Scene, clock: SetClock) -> None:
    clock.time = T + HOUR
    scene.tell(click("j1", T))
    assert scene.campaign("e1") == "j1"
    scene.tell(send(APP, "e1", "j1", T - 5, user_name="jane"))
    assert scene.campaign("e1") is None
    assert scene.campaign("jane", "n") == "j1"


def test_a_touch_that_turns_out_to_be_another_s_gives_way_to_the_one_before(scene: Scene, clock: SetClock) -> None:
    clock.time = T + HOUR
    scene.tell(send(APP, "e1", "j1", T - 5, user_name="jane"), click("j1", T), click("j2", T + 5))
    assert scene.campaign("jane", "n") == "j2"
    scene.tell(send(APP, "e1", "j1", T + 3, user_name="joan"))
    assert scene.campaign("jane", "n") == "j1"
    assert scene.campaign("joan", "n") == "j2"
