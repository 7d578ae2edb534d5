"""R1-R4 and R6 as scenes on the real tables: what is told, and which journey has the credit.

Each is told in three ways: record by record, record by record from the end, and all at once. The outcome is one (R5).
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from chalicelib.settings.model import Settings
from tests.projection.scene import Scene, windows
from tests.reference.facts import DAY, Record
from tests.reference.records import email_click, endpoint, event, push_opened, send, step
from tests.reference.shorthand import APP, HOUR, WEEK, T, bought, click, opened, pushed, tagged
from tests.support.clock import SetClock
from tests.support.system import System

WAYS = ("one by one", "from the end", "at once")


class Told(NamedTuple):
    """Records, the journeys of those events that are credited, by their times, and settings."""

    records: list[Record]
    credits: dict[int, str]
    settings: Settings = Settings()


def tell(told: list[Record], way: str, scene: Scene) -> None:
    if way == "at once":
        scene.tell(*told)
    else:
        scene.tell_one_by_one(told if way == "one by one" else reversed(told))


TOUCHES = {
    "no touch, no credit": Told([bought(T)], {}),
    "the touch before": Told([click("j1", T), bought(T + 1)], {T + 1: "j1"}),
    "the event's own millisecond": Told([click("j1", T), bought(T)], {T: "j1"}),  # catches: t < e
    "a touch after the event": Told([bought(T - 1), click("j1", T)], {}),
    "the newer of two": Told([click("j1", T), opened("j2", T + 1), bought(T + 2)], {T + 2: "j2"}),
    # Catches: the strongest touch instead of the newest.
    "a weak touch after a strong one": Told([click("j1", T), tagged("j2", T + 1), bought(T + 2)], {T + 2: "j2"}),
    "the last millisecond of the window": Told([click("j1", T), bought(T + WEEK - 1)], {T + WEEK - 1: "j1"}),
    "the window's end": Told([click("j1", T), bought(T + WEEK)], {}),  # catches: e <= t + window
    "across a change of clocks": Told(  # 2026-03-29, in Europe; catches: seven local days, which are an hour less
        [click("j1", T + HOUR), bought(T + HOUR + WEEK - 1), bought(T + HOUR + WEEK)], {T + HOUR + WEEK - 1: "j1"}
    ),
    "a touch restarts the window": Told(
        [click("j1", T), click("j1", T + WEEK - 1), bought(T + WEEK + 5)], {T + WEEK + 5: "j1"}
    ),
    # R1: no falling back. Catches: the older touch, whose window is still open.
    "a newer touch whose window is over": Told(
        [click("j1", T), click("j2", T + HOUR), bought(T + 3 * HOUR)], {}, windows((1, 0), (1 / 24, T + 1))
    ),
    # R2: the window in force at the touch's time. Catches: that at the event's time, or the newest.
    "a window that was shortened later": Told(
        [click("j1", T), bought(T + 3 * DAY)], {T + 3 * DAY: "j1"}, windows((1, T + 1))
    ),
    "a window that was lengthened later": Told([click("j1", T), bought(T + 2 * DAY)], {}, windows((1, 0), (30, T + 1))),
    "a window changed at the touch's millisecond": Told([click("j1", T), bought(T + 2 * DAY)], {}, windows((1, T))),
    "a window of a minute": Told(
        [click("j1", T), bought(T + 60_479), bought(T + 60_480)], {T + 60_479: "j1"}, windows((0.0007, 0))
    ),
    # R3. Catches: a journey entered once for all; the second J1 kept as the first.
    "there and back again": Told(
        [click("j1", T), bought(T + 1), click("j2", T + 2), bought(T + 3), click("j1", T + 4), bought(T + 5)],
        {T + 1: "j1", T + 3: "j2", T + 5: "j1"},
    ),
    # A touch arriving between two others decides the events until the next one, and no more.
    "between two touches": Told(
        [click("j1", T), click("j3", T + 9), bought(T + 5), bought(T + 10), bought(T + 3), click("j2", T + 4)],
        {T + 3: "j1", T + 5: "j2", T + 10: "j3"},
    ),
    "click over open": Told([click("j1", T), opened("j9", T), bought(T)], {T: "j1"}),  # R4
    "open over step": Told([opened("j1", T), tagged("j9", T), bought(T)], {T: "j1"}),
    "the greater journey id": Told([click("j1", T), click("j2", T), bought(T)], {T: "j2"}),
    "the greater journey id, as text": Told([click("j10", T), click("j2", T), bought(T)], {T: "j2"}),
    "the longer journey id": Told([click("j1", T), click("j10", T), bought(T)], {T: "j10"}),
    "mail and phone are equally strong": Told([opened("j1", T), pushed("j2", T), bought(T)], {T: "j2"}),
    "two events of one millisecond": Told(
        [click("j1", T), event(APP, "a", T, client_id="e1"), event(APP, "b", T, client_id="e1")], {T: "j1"}
    ),
    "only one's own touches": Told([click("j1", T, "e1"), bought(T + 1, "e2")], {}),
    "nobody has no touch": Told([click("j1", T), bought(T + 1, None)], {}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("told", TOUCHES.values(), ids=TOUCHES)
def test_the_newest_touch_decides_while_its_window_is_open(
    told: Told, way: str, system: System, clock: SetClock
) -> None:
    scene = Scene(system, clock, told.settings)
    tell(told.records, way, scene)
    assert scene.journeys() == told.credits


JANE, JOAN, USER_1, USER_2, E1 = ("n", "jane"), ("n", "joan"), ("u", "u1"), ("u", "u2"), ("p", "e1")


class Known(NamedTuple):
    """Records, and whose the credited events are, by their times."""

    records: list[Record]
    users: dict[int, tuple[str, str]]


def linked(at: int, user_name: str | None, user_id: str | None = None, endpoint_id: str = "e1") -> Record:
    return send(APP, endpoint_id, "j1", at, user_name=user_name, user_id=user_id)


def jane_bought(at: int, user_name: str | None = "jane", user_id: str | None = None) -> Record:
    return event(APP, "purchase", at, user_name=user_name, user_id=user_id)


IDENTITY = {
    "until a link is known, an endpoint is its own user": Known([click("j1", T), bought(T + 1)], {T + 1: E1}),
    "an endpoint's click is its user's": Known(
        [linked(T - 1, "jane"), click("j1", T), jane_bought(T + 1)], {T + 1: JANE}
    ),
    # A link after all facts explains them too. Catches: links that only count from their time on.
    "a link that comes last": Known([click("j1", T), jane_bought(T + 1), linked(T + 9, "jane")], {T + 1: JANE}),
    "touch and event both by the endpoint": Known(
        [click("j1", T), bought(T + 1), linked(T + 9, "jane")], {T + 1: JANE}
    ),
    # Catches: the latest link for all facts; the earliest for all.
    "an endpoint that changes hands": Known(
        [
            linked(T, "jane"),
            linked(T + 10, "joan"),
            click("j1", T + 5),
            click("j1", T + 15),
            bought(T + 6),
            bought(T + 16),
        ],
        {T + 6: JANE, T + 16: JOAN},
    ),
    "at the link's own millisecond it is the new user's": Known(
        [linked(T, "jane"), linked(T + 10, "joan"), click("j1", T + 10), bought(T + 10)], {T + 10: JOAN}
    ),
    "before all links it is the first user's": Known(
        [linked(T + 10, "jane"), linked(T + 20, "joan"), click("j1", T), bought(T + 1)], {T + 1: JANE}
    ),
    # Catches: a third link that only moves what lies behind it, though it is now the earliest.
    "a still earlier link told last": Known(
        [click("j1", T), bought(T + 1), linked(T + 10, "jane"), linked(T + 20, "joan"), linked(T + 5, "zoe")],
        {T + 1: ("n", "zoe")},
    ),
    "back to a former user": Known(
        [linked(T, "jane"), linked(T + 10, "joan"), linked(T + 20, "jane"), click("j1", T + 25), bought(T + 26)],
        {T + 26: JANE},
    ),
    # The endpoint was joan's when she clicked; jane's purchase on it is not decided by joan's touch.
    "a former user's touch decides nothing": Known(
        [linked(T, "joan"), click("j1", T + 1), linked(T + 2, "jane"), bought(T + 3)], {}
    ),
    "of two links at one millisecond the greater name": Known(
        [linked(T, "jane"), linked(T, "joan"), click("j1", T + 1), bought(T + 2)], {T + 2: JOAN}
    ),
    # Catches: names and UserIds compared as text; "zoe" is greater than "jane" but only a UserId.
    "at one millisecond a user name beats a UserId": Known(
        [linked(T, "jane"), linked(T, None, "zoe"), click("j1", T + 1), bought(T + 2)], {T + 2: JANE}
    ),
    "a UserId without a name is a user": Known(
        [linked(T, None, "u1"), click("j1", T + 1), jane_bought(T + 2, None, "u1")], {T + 2: USER_1}
    ),
    "from the endpoint by the UserId to the name": Known(
        [linked(T, None, "u1"), linked(T, "jane", "u1", "e2"), click("j1", T + 1), bought(T + 2)], {T + 2: JANE}
    ),
    # Both steps are resolved at the fact's time: the UserId became joan's only later.
    "a UserId that changes hands": Known(
        [
            linked(T, None, "u1"),
            linked(T, "jane", "u1", "e2"),
            linked(T + 10, "joan", "u1", "e2"),
            click("j1", T + 5),
            bought(T + 6),
            click("j1", T + 15),
            bought(T + 16),
        ],
        {T + 6: JANE, T + 16: JOAN},
    ),
    "a name and a UserId of the same text are two users": Known(
        [linked(T, "u1"), click("j1", T + 1), jane_bought(T + 2, None, "u1")], {}
    ),
    "a blank name is no name": Known(
        [linked(T, " ", "u1"), linked(T, " ", "u2", "e2"), click("j1", T + 1), bought(T + 2), bought(T + 2, "e2")],
        {T + 2: USER_1},
    ),
    "the journey step links too": Known(
        [
            step(APP, "j1", {"e1": endpoint(user_name="jane", user_id="u1")}, at=T),
            bought(T + 1),
            jane_bought(T + 2, None, "u1"),
        ],
        {T + 1: JANE, T + 2: JANE},
    ),
    "one event by its endpoint and its UserId is one event": Known(
        [linked(T, "jane", "u1"), click("j1", T + 1), event(APP, "purchase", T + 2, user_id="u1", client_id="e1")],
        {T + 2: JANE},
    ),
    "events and push interactions link nobody": Known(
        [
            event(APP, "sign_up", T - 1, user_name="jane", client_id="e1"),
            push_opened(APP, "e1", "j1", T, user_name="jane"),
            email_click(APP, "e1", "j2", T + 1),
            bought(T + 2),
        ],
        {T + 2: E1},
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("told", IDENTITY.values(), ids=IDENTITY)
def test_a_fact_is_the_user_s_whom_its_alias_means_at_its_time(told: Known, way: str, scene: Scene) -> None:
    tell(told.records, way, scene)
    assert {credit.time: credit.user for credit in scene.credited()} == told.users


def test_a_late_touch_takes_events_over_and_leaves_the_others(scene: Scene) -> None:
    scene.tell(click("j1", T), bought(T + 1), bought(T + 5), bought(T + WEEK + 3))
    assert scene.journeys() == {T + 1: "j1", T + 5: "j1"}
    scene.tell(click("j2", T + 4))
    # Also the event that no touch had won before: the late one's window reaches it.
    assert scene.journeys() == {T + 1: "j1", T + 5: "j2", T + WEEK + 3: "j2"}


def test_a_late_touch_whose_window_is_over_takes_credit_away(system: System, clock: SetClock) -> None:
    # R1: a newer touch overwrites the older one even if its own window is over by the time of the event.
    scene = Scene(system, clock, windows((7, 0), (1 / 24, T + 2)))
    scene.tell(click("j1", T), bought(T + 2 * HOUR))
    assert scene.journeys() == {T + 2 * HOUR: "j1"}
    scene.tell(click("j2", T + 3))
    assert scene.journeys() == {}


def test_applications_share_nothing(system: System, clock: SetClock) -> None:
    # I5: the same names, endpoints, journeys and times in two applications.
    one, other = Scene(system, clock), Scene(system, clock)
    one.hear(click("j1", T))
    other.hear(bought(T + 1))
    system.project_all()
    assert one.journeys() == other.journeys() == {}
    other.tell(click("j2", T))
    assert (one.journeys(), other.journeys()) == ({}, {T + 1: "j2"})
    assert [figures.journey for figures in one.report().journeys] == ["j1"]
    assert [figures.journey for figures in other.report().journeys] == ["j2"]


@pytest.mark.parametrize(
    "name", ["a_b", "x#y", "a b", "日本 é", "jane+x@example.com", "n" * 128, "%2F~|", "n#jane", "@0#p#"]
)
def test_a_user_may_have_any_name(name: str, scene: Scene) -> None:
    # Catches: names that run into the parts of a key. Each is user name, UserId and endpoint id at once.
    scene.tell(
        send(APP, name, "j1", T, user_name=name, user_id=name),
        email_click(APP, name, "j1", T + 1),
        event(APP, "purchase", T + 2, user_name=name),
        event(APP, "purchase", T + 3, user_id=name),
        event(APP, "purchase", T + 4, client_id=name),
    )
    assert {credit.time: credit.user for credit in scene.credited()} == {
        T + 2: ("n", name),
        T + 3: ("n", name),
        T + 4: ("n", name),
    }


@pytest.mark.parametrize("journey", ["j 1", "a#b", "a_b", "é日", "%41", "a|b", "unattributed", "-", "j" * 256])
def test_a_journey_may_have_any_id(journey: str, scene: Scene) -> None:
    scene.tell(click(journey, T), bought(T + 1))
    assert scene.journeys() == {T + 1: journey}
    assert [(one.journey, one.events.by_type()) for one in scene.report().journeys] == [(journey, {"purchase": 1})]
