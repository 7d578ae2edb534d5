"""GET and PUT of an application's lookback window."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chalicelib import wiring
from chalicelib.settings.model import Settings, Window
from tests.api.calls import Api, refusal
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.shorthand import WEEK, T, bought, click
from tests.support.clock import SetClock

PATH = "lookback-window"
AT_T = "2026-03-28T00:00:00.000Z"


def test_out_of_the_box_it_is_seven_days(scene: Scene) -> None:
    assert Api(scene.application).get(PATH) == (
        200,
        {"days": 7, "effective_from": "1970-01-01T00:00:00.000Z", "history": []},
    )


def test_a_window_counts_from_now_unless_it_says_otherwise(scene: Scene, clock: SetClock) -> None:
    clock.time = T
    api = Api(scene.application)
    expected = {
        "days": 0.5,
        "effective_from": AT_T,
        "history": [{"days": 0.5, "effective_from": AT_T}],
    }
    assert api.put(PATH, {"days": 0.5}) == (200, expected)
    clock.time = T + DAY
    assert api.get(PATH) == (200, expected)


def test_the_window_shown_is_that_in_force_now_and_the_history_holds_them_all(scene: Scene, clock: SetClock) -> None:
    clock.time = T
    api = Api(scene.application)
    api.put(PATH, {"days": 30, "effective_from": "2026-04-04T02:00:00+02:00"})
    api.put(PATH, {"days": 1, "effective_from": "2026-03-01"})
    history = [
        {"days": 1, "effective_from": "2026-03-01T00:00:00.000Z"},
        {"days": 30, "effective_from": "2026-04-04T00:00:00.000Z"},
    ]
    assert api.get(PATH).body == {**history[0], "history": history}
    clock.time = T + WEEK
    assert api.get(PATH).body == {**history[1], "history": history}


def test_a_window_of_the_same_moment_is_replaced(scene: Scene, clock: SetClock) -> None:
    api = Api(scene.application)
    api.put(PATH, {"days": 1, "effective_from": AT_T})
    found = api.put(PATH, {"days": 2, "effective_from": AT_T})
    assert found.body["history"] == [{"days": 2, "effective_from": AT_T}]


def test_what_get_answers_may_be_put_back(scene: Scene, clock: SetClock) -> None:
    clock.time = T
    api = Api(scene.application)
    api.put(PATH, {"days": 3})
    shown = api.get(PATH).body
    assert api.put(PATH, shown) == (200, shown)


@pytest.mark.parametrize(("days", "shown"), [(7, 7), (7.0, 7), (0.0007, 0.0007), (365, 365), (0.25, 0.25), (1e1, 10)])
def test_days_are_a_number_as_it_was_given(days: float, shown: float, scene: Scene, clock: SetClock) -> None:
    found = Api(scene.application).put(PATH, {"days": days}).body["days"]
    assert (found, type(found)) == (shown, type(shown))


REFUSED: dict[str, object] = {
    "no JSON": b"{days: 7}",
    "nothing": b"",
    "a number": 7,
    "a list": [{"days": 7}],
    "null": None,
    "no days": {},
    "days of null": {"days": None},
    "days of text": {"days": "7"},
    "days of true": {"days": True},
    "days of a list": {"days": [7]},
    "no days at all": {"days": 0},
    "negative days": {"days": -1},
    "under a minute": {"days": 0.0006},
    "over a year": {"days": 365.001},
    "not a number": b'{"days": NaN}',
    "infinity": b'{"days": Infinity}',
    "beyond floats": b'{"days": 1e999}',
    "a number of 5,000 digits": b'{"days": ' + b"1" * 5_000 + b"}",
    "a time of no form": {"days": 7, "effective_from": "soon"},
    "a time of text": {"days": 7, "effective_from": ""},
    "a time that is a number": {"days": 7, "effective_from": T},
    "a time before all": {"days": 7, "effective_from": "1969-12-31T23:59:59Z"},
    "a time beyond all": {"days": 7, "effective_from": "9999-12-31T23:59:59-01:00"},
    "an unknown setting": {"days": 7, "hours": 3},
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused_with_a_sentence_and_saves_nothing(
    body: object, scene: Scene, clock: SetClock
) -> None:
    api = Api(scene.application)
    answer = api.put(PATH, body)
    assert answer.status == 400
    assert answer.body["detail"]
    assert api.get(PATH).body["history"] == []


def test_the_sentence_says_what_is_wrong(scene: Scene) -> None:
    api = Api(scene.application)
    assert refusal(api.put(PATH, {"days": 400})) == "days must be from 0.0007 (one minute) to 365, not 400."
    assert refusal(api.put(PATH, {"days": "7"})) == "days must be a number from 0.0007 (one minute) to 365."
    assert refusal(api.put(PATH, {})) == "days is missing."
    assert refusal(api.put(PATH, {"days": 7, "hours": 1})).startswith("There is no hours to set")


@pytest.mark.parametrize("application", ["a b", "a/b", "é", "a%b", "a#b", "a+b", "a@0#n#jane", "x" * 256])
def test_an_application_may_have_any_id(application: str, scene: Scene, clock: SetClock) -> None:
    # Catches: path parameters, which Chalice does not decode, taken as they come.
    named = f"{application[: 256 - len(scene.suffix)]}{scene.suffix}"
    Api(named).put(PATH, {"days": 3})
    assert wiring.settings().get(named).windows[0].days == 3
    assert Api(scene.application).get(PATH).body["days"] == 7


@pytest.mark.parametrize("application", ["  ", "x" * 257, "a\n", "\x1f"])
def test_what_can_be_no_application_is_refused(application: str, stack: object, scene: Scene) -> None:
    assert refusal(Api(application).get(PATH)).startswith("application_id ")


def test_a_new_window_leaves_what_was_credited_before(scene: Scene, clock: SetClock) -> None:
    # R2: it counts for touches from now on.
    scene.tell(click("j1", T), bought(T + 3 * DAY))
    clock.time = T + 4 * DAY
    Api(scene.application).put(PATH, {"days": 1})
    scene.tell(bought(T + 3 * DAY + 1))
    assert scene.journeys() == {T + 3 * DAY: "j1", T + 3 * DAY + 1: "j1"}
    scene.tell(click("j2", T + 4 * DAY), bought(T + 5 * DAY - 1), bought(T + 5 * DAY))
    assert scene.journeys() == {T + 3 * DAY: "j1", T + 3 * DAY + 1: "j1", T + 5 * DAY - 1: "j2"}


def test_two_changes_at_one_time_are_both_kept(scene: Scene) -> None:
    # Catches: settings read, changed and written over what somebody else saved meanwhile.
    store = wiring.settings()
    overtaken: list[Settings] = []

    def second(settings: Settings) -> Settings:
        if not overtaken:
            overtaken.append(store.change(scene.application, lambda old: old.with_window(Window(Decimal(1), T))))
        return settings.with_window(Window(Decimal(1), T + 1))

    store.change(scene.application, second)
    assert [window.effective_from for window in store.get(scene.application).windows] == [T, T + 1]
