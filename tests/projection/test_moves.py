"""Facts that a link moves: to whom, from when until when, and what stays behind (R6)."""

from __future__ import annotations

from decimal import Decimal
from itertools import permutations

import pytest

from chalicelib import wiring
from chalicelib.settings.model import Window
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.records import event, push_opened, send
from tests.reference.shorthand import APP, T, bought, click

JANE, JOAN, ZOE = ("n", "jane"), ("n", "joan"), ("n", "zoe")


def linked(at: int, user_name: str | None, user_id: str | None = None, endpoint_id: str = "e1") -> Record:
    return send(APP, endpoint_id, "j1", at, user_name=user_name, user_id=user_id)


def users(scene: Scene) -> list[tuple[int, tuple[str, str]]]:
    """Times of the credited events, and whose they are, each as often as it is credited."""
    return sorted((one.time, one.user) for one in scene.credited())


def check_counts(scene: Scene, events: int, touches: int) -> None:
    """All events and touches are counted, each once."""
    (figures,) = scene.report().journeys
    assert (figures.events.by_type(), dict(figures.touches)) == ({"purchase": events}, {"email.click": touches})
    assert scene.report().unattributed.by_type() == {}


LINKS = [linked(T + 10, "jane"), linked(T + 20, "joan"), linked(T + 30, "zoe")]
MOVED = [one for at in (5, 15, 25, 35) for one in (click("j1", T + at), bought(T + at + 1))]


@pytest.mark.parametrize("way", ["facts first", "links first", "facts first, links at once"])
@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_each_link_decides_until_the_next_one(order: tuple[int, ...], way: str, scene: Scene) -> None:
    # The first also decides what came before it. Catches: the interval of a link that comes between two others,
    # after them or before them, too wide or too narrow.
    links = [LINKS[at] for at in order]
    if way == "links first":
        scene.tell_one_by_one(links)
        scene.tell(*MOVED)
    else:
        scene.tell(*MOVED)
        if way == "facts first":
            scene.tell_one_by_one(links)
        else:
            scene.tell(*links)
    assert users(scene) == [(T + 6, JANE), (T + 16, JANE), (T + 26, JOAN), (T + 36, ZOE)]
    check_counts(scene, 4, 4)


def test_the_event_of_a_touch_that_goes_is_the_touch_s_before(scene: Scene) -> None:
    told = [linked(T - 5, "jane"), click("j1", T), click("j2", T + 5), event(APP, "purchase", T + 7, user_name="jane")]
    scene.tell(*told)
    assert scene.journeys() == {T + 7: "j2"}
    scene.tell(linked(T + 3, "joan"))  # j2's touch is joan's
    assert scene.journeys() == {T + 7: "j1"}


def test_a_fact_that_came_by_two_ways_stays_when_one_of_them_goes(scene: Scene) -> None:
    # e1 -> u1 -> jane, and then e1 -> jane: what came to jane by u1 goes, and what came by e1 is there.
    scene.tell_one_by_one([linked(T, None, "u1"), linked(T, "jane", "u1", "e2"), click("j1", T + 1), bought(T + 2)])
    assert users(scene) == [(T + 2, JANE)]
    scene.tell(linked(T, "jane"))
    assert users(scene) == [(T + 2, JANE)]
    check_counts(scene, 1, 1)
    # Catches: a touch or a credit counted twice, of which one is left when the fact goes.
    scene.tell(linked(T, "joan"))
    assert users(scene) == [(T + 2, JOAN)]
    check_counts(scene, 1, 1)
    (figures,) = scene.report().journeys
    assert (figures.reached, figures.converters) == (1, 1)


def test_a_touch_keeps_the_window_that_it_was_projected_with(scene: Scene) -> None:
    # R2: a backdated window holds for what is projected from then on. Catches: a touch that comes by a second way
    # given the new one.
    scene.tell_one_by_one([linked(T, None, "u1"), linked(T, "jane", "u1", "e2"), click("j1", T + 1)])
    wiring.settings().change(scene.application, lambda one: one.with_window(Window(Decimal("0.001"), 0)))
    scene.tell_one_by_one([linked(T, "jane"), bought(T + 3_600_000)])
    assert users(scene) == [(T + 3_600_000, JANE)]


def test_what_left_an_alias_is_not_taken_on_by_the_alias_s_link(scene: Scene) -> None:
    # e1 was u1's by what was known first, and is joan's. Catches: its facts placed at jane too, who u1 turns out to be.
    scene.tell_one_by_one([linked(T, None, "u1"), click("j1", T + 1), bought(T + 2), linked(T, "joan")])
    assert users(scene) == [(T + 2, JOAN)]
    scene.tell(linked(T, "jane", "u1", "e2"))
    assert users(scene) == [(T + 2, JOAN)]
    check_counts(scene, 1, 1)


def test_an_event_that_left_a_user_is_not_decided_by_the_user_s_later_touches(scene: Scene) -> None:
    scene.tell_one_by_one([linked(T, "jane"), bought(T + 2), linked(T, "joan")])
    scene.tell(push_opened(APP, "e9", "j1", T + 1, user_name="jane"))
    assert users(scene) == []
