"""Attribution models: tables worked out by hand, and what holds for every path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.attribution.models import (
    LONGEST_HALF_LIFE_MS,
    LONGEST_PATH,
    MODELS,
    SHORTEST_HALF_LIFE_MS,
    Model,
    apportioned,
    path_of,
    rounded,
    weights_of,
)
from chalicelib.attribution.touches import Touch
from chalicelib.times import DAY_MS
from tests.reference.shorthand import HOUR, T

F = Fraction


def touch(at: int, journey: str = "j1", kind: str = "email.click", until: int = T + 100 * DAY_MS) -> Touch:
    return Touch(at, kind, "email", journey, until, "d")


@pytest.mark.parametrize(
    ("model", "length", "weights"),
    [
        ("last_touch", 1, [F(1)]),
        ("last_touch", 3, [F(0), F(0), F(1)]),
        ("first_touch", 1, [F(1)]),
        ("first_touch", 3, [F(1), F(0), F(0)]),
        ("linear", 1, [F(1)]),
        ("linear", 3, [F(1, 3)] * 3),
        ("linear", 7, [F(1, 7)] * 7),
        ("position_based", 1, [F(1)]),
        ("position_based", 2, [F(1, 2), F(1, 2)]),
        ("position_based", 3, [F(2, 5), F(1, 5), F(2, 5)]),
        ("position_based", 4, [F(2, 5), F(1, 10), F(1, 10), F(2, 5)]),
        ("position_based", 5, [F(2, 5), F(1, 15), F(1, 15), F(1, 15), F(2, 5)]),
    ],
)
def test_weights_by_position(model: Model, length: int, weights: list[Fraction]) -> None:
    assert weights_of(model, range(T, T + length)).fractions == weights


@pytest.mark.parametrize(
    ("days_before_the_newest", "parts"),
    [
        ([0], [10**12]),
        ([0, 0], [500_000_000_000, 500_000_000_000]),
        # 1/2 : 1 of a week's half-life
        ([7, 0], [333_333_333_333, 666_666_666_667]),
        # 1 : 2 : 4
        ([14, 7, 0], [142_857_142_857, 285_714_285_714, 571_428_571_429]),
        # 1/2 : 1/2 : 1: nothing to round
        ([7, 7, 0], [250_000_000_000, 250_000_000_000, 500_000_000_000]),
        # thirds: of equal remainders the newest touch has the unit that is left
        ([0, 0, 0], [333_333_333_333, 333_333_333_333, 333_333_333_334]),
        # 2^-0.5 : 1, so 1/(1 + sqrt 2) = sqrt 2 - 1 = 0.41421356237309505
        ([3.5, 0], [414_213_562_373, 585_786_437_627]),
        # 2^-40 is below half a unit
        ([280, 0], [1, 10**12 - 1]),
        ([287, 0], [0, 10**12]),
    ],
)
def test_weights_by_age(days_before_the_newest: list[float], parts: list[int]) -> None:
    times = [T - round(days * DAY_MS) for days in days_before_the_newest]
    assert weights_of("time_decay", times, 7 * DAY_MS) == (10**12, tuple(parts))


def test_a_path_of_no_touches_has_no_weights() -> None:
    with pytest.raises(ValueError, match="at least one touch"):
        weights_of("linear", [])


YEAR = 365 * DAY_MS
paths = st.lists(st.integers(T, T + YEAR), min_size=1, max_size=40).map(sorted)
half_lives = st.integers(SHORTEST_HALF_LIFE_MS, LONGEST_HALF_LIFE_MS)


@given(st.sampled_from(MODELS), paths, half_lives)
def test_the_weights_of_an_event_sum_to_exactly_one(model: Model, times: Sequence[int], half_life: int) -> None:
    weights = weights_of(model, times, half_life)
    assert len(weights.parts) == len(times)
    assert all(part >= 0 for part in weights.parts)
    assert sum(weights.fractions) == 1


@given(paths, half_lives)
def test_a_newer_touch_never_weighs_less(times: Sequence[int], half_life: int) -> None:
    assert all(older <= newer for older, newer in pairwise(weights_of("time_decay", times, half_life).parts))


@given(paths, half_lives)
def test_time_decay_is_what_floats_say_to_a_billionth(times: Sequence[int], half_life: int) -> None:
    """As an independent computation in SQL would do it; it never decides."""
    floats = [2 ** ((one - times[-1]) / half_life) for one in times]
    for part, one in zip(weights_of("time_decay", times, half_life).parts, floats, strict=True):
        assert math.isclose(part / 10**12, one / sum(floats), abs_tol=1e-9)


@given(paths, half_lives, st.integers(-YEAR, YEAR))
def test_only_differences_of_age_count(times: Sequence[int], half_life: int, later: int) -> None:
    moved = [one + later for one in times]
    assert weights_of("time_decay", moved, half_life) == weights_of("time_decay", times, half_life)


# --- paths ---


def test_a_path_is_of_touches_whose_own_window_covers_the_event() -> None:
    over = touch(T, "j1", until=T + 5)
    open_still = touch(T + 1, "j2", until=T + 6)
    decider = touch(T + 2, "j3")
    newer = touch(T + 4, "j4")
    assert path_of([newer, decider, over, open_still], decider, T + 5) == [open_still, decider]
    assert path_of([over, open_still, decider], decider, T + 4) == [over, open_still, decider]


def test_touches_of_one_millisecond_stand_in_the_order_that_decides() -> None:
    # R4: stronger later, then the greater journey id.
    step, opened = touch(T, "j9", "journey.step"), touch(T, "j5", "email.open")
    click, decider = touch(T, "j1"), touch(T, "j2")
    assert path_of([decider, click, opened, step], decider, T) == [step, opened, click, decider]


def test_touches_of_one_journey_are_positions_of_their_own() -> None:
    one, again, decider = touch(T, "j1"), touch(T + 1, "j1"), touch(T + 2, "j1")
    assert path_of([one, again, decider], decider, T + 3) == [one, again, decider]


def test_the_decider_is_the_last_of_the_path_even_where_it_is_not_stored() -> None:
    decider = touch(T)
    assert path_of([], decider, T + HOUR) == [decider]


def test_of_a_path_that_is_too_long_the_newest_touches_count() -> None:
    touches = [touch(T + at) for at in range(LONGEST_PATH + 3)]
    path = path_of(touches, touches[-1], T + DAY_MS)
    assert path == touches[3:]


@given(st.permutations([touch(T + at // 2, f"j{at}") for at in range(7)]), st.integers(T, T + 9))
def test_the_order_in_which_touches_are_told_does_not_matter(told: list[Touch], time: int) -> None:
    before = [one for one in told if one.time <= time]
    decider = max(before, key=lambda one: one.order)
    assert path_of([*told, *told], decider, time) == sorted(before, key=lambda one: one.order)


# --- rounding ---


def test_what_is_left_over_goes_to_the_largest_remainders() -> None:
    assert apportioned([3, 3, 1], 10) == [4, 4, 2]  # 4.29, 4.29, 1.43
    assert apportioned([1, 1], 5) == [2, 3]  # a tie: the later one


@pytest.mark.parametrize(
    ("amounts", "places", "shown"),
    [
        ([F(1, 3)] * 3, 2, ["0.34", "0.33", "0.33"]),
        ([F(2, 3), F(2, 3), F(2, 3)], 0, ["1", "1", "0"]),
        ([F(-1, 3), F(1, 3)], 2, ["-0.33", "0.33"]),
        ([F(-1, 3), F(-1, 3), F(-1, 3)], 2, ["-0.33", "-0.33", "-0.34"]),
        # The sum itself is rounded half-even: 0.005 to 0.00, 0.015 to 0.02.
        ([F(5, 1000)], 2, ["0.00"]),
        ([F(15, 1000)], 2, ["0.02"]),
        ([], 2, []),
    ],
)
def test_rounded_amounts(amounts: list[Fraction], places: int, shown: list[str]) -> None:
    assert [str(one) for one in rounded(amounts, places)] == shown


amounts = st.lists(st.fractions(-(10**6), 10**6, max_denominator=10**4), max_size=20)


@given(amounts, st.integers(0, 6))
def test_rounded_amounts_add_up_and_none_is_off_by_a_unit(exact: list[Fraction], places: int) -> None:
    shown = rounded(exact, places)
    assert sum(shown, Decimal(0)) == Decimal(round(sum(exact, F(0)) * 10**places)).scaleb(-places)
    assert all(abs(F(one) - amount) < F(1, 10**places) for one, amount in zip(shown, exact, strict=True))
