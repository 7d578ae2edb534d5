"""R2: the lookback window in force at a touch's time."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal

import pytest

from chalicelib.attribution.touches import touch_of
from chalicelib.facts.model import Interaction
from chalicelib.settings.model import Settings, Window, parse_window_days
from chalicelib.times import DAY_MS
from tests.reference.shorthand import HOUR, WEEK, T

CHANGED = Settings().with_window(Window(Decimal(1), T)).with_window(Window(Decimal(30), T + WEEK))

IN_FORCE = [
    # time of the touch, days
    (0, 7),  # before any setting it is seven days; catches: the first setting for all time
    (T - 1, 7),
    (T, 1),  # a setting counts from its effective_from; catches: >
    (T + 1, 1),
    (T + WEEK - 1, 1),
    (T + WEEK, 30),
    (T + 52 * WEEK, 30),
]


@pytest.mark.parametrize(("time", "days"), IN_FORCE)
def test_the_window_of_a_touch_is_that_in_force_at_its_time(time: int, days: int) -> None:
    assert CHANGED.window_at(time).days == days
    touch = touch_of(Interaction(time, "email.click", "email", "j1"), "d", CHANGED)
    assert touch is not None
    assert touch.until == time + days * DAY_MS


def test_the_order_of_setting_does_not_matter() -> None:
    # Catches: the window set last, whatever its effective_from.
    windows = [Window(Decimal(1), T), Window(Decimal(30), T + WEEK), Window(Decimal(3), T - WEEK)]
    outcomes = set()
    for order in itertools.permutations(windows):
        settings = Settings()
        for window in order:
            settings = settings.with_window(window)
        outcomes.add(settings)
    assert [window.days for window in outcomes.pop().windows] == [3, 1, 30]
    assert not outcomes


def test_a_window_of_the_same_moment_replaces_the_former() -> None:
    settings = Settings().with_window(Window(Decimal(1), T)).with_window(Window(Decimal(2), T))
    assert settings.windows == (Window(Decimal(2), T),)


def test_a_later_setting_leaves_earlier_touches_as_they_were() -> None:
    before = touch_of(Interaction(T - 1, "email.click", "email", "j1"), "d", Settings())
    after = touch_of(Interaction(T - 1, "email.click", "email", "j1"), "d", CHANGED)
    assert before == after


LENGTHS = [
    ("7", WEEK),
    ("0.5", 12 * HOUR),
    ("0.0007", 60_480),  # a minute, said in days
    ("365", 365 * DAY_MS),
    ("0.1", 8_640_000),
    ("1.00000001", 86_400_001),  # whole milliseconds, rounded; catches: a float's product cut off
]


@pytest.mark.parametrize(("days", "length"), LENGTHS)
def test_a_window_is_a_whole_number_of_milliseconds(days: str, length: int) -> None:
    assert Window(Decimal(days), 0).length == length


TAKEN = [7, 7.0, 0.0007, 365, 365.0, 0.5, 1 / 1440]
WRONG_NUMBERS = [0, -7, 0.0006, 365.0001, 366, 10**400, 1e400, -math.inf, math.nan]
NO_NUMBERS = [True, False, None, "7", [7], {"days": 7}]


@pytest.mark.parametrize("given", TAKEN)
def test_a_window_is_a_number_from_a_minute_to_a_year(given: float) -> None:
    assert parse_window_days(given) == Decimal(str(given))


@pytest.mark.parametrize("given", [*WRONG_NUMBERS, *NO_NUMBERS], ids=lambda given: str(given)[:12])
def test_any_other_window_is_refused_with_a_sentence(given: object) -> None:
    # Catches: True taken for one day; NaN, which no comparison refuses.
    with pytest.raises(ValueError, match=r"^days must be .*from 0\.0007 \(one minute\) to 365"):
        parse_window_days(given)
