"""Delays from touch to event, in classes whose width is at most a sixteenth of the delay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.attribution.delays import delay_class, percentile

YEAR_MS = 365 * 86_400_000


@pytest.mark.parametrize(
    ("delay", "least"),
    [
        (0, 0),
        (999, 0),
        (1_000, 1),
        (31_999, 31),  # five binary digits: exact
        (32_000, 32),
        (33_999, 32),  # from here on classes of two seconds
        (34_000, 34),
        (63_999, 62),
        (3_600_000, 3_584),  # 3,600 = 0b111000010000, of which 0b11100 stays
    ],
)
def test_the_class_of_a_delay(delay: int, least: int) -> None:
    assert delay_class(delay) == least


@given(st.lists(st.integers(0, YEAR_MS), min_size=1, max_size=30), st.sampled_from([50, 90]))
def test_a_percentile_is_within_three_percent_and_a_second_of_the_true_one(delays: list[int], percent: int) -> None:
    classes: dict[int, int] = {}
    for delay in delays:
        classes[delay_class(delay)] = classes.get(delay_class(delay), 0) + 1
    rank = -(-len(delays) * percent // 100)
    true = sorted(delays)[rank - 1] / 1000
    found = percentile(classes, percent)
    assert found is not None
    assert abs(found - true) <= 1 + true / 32


def test_nothing_has_no_median_and_what_was_taken_away_counts_no_more() -> None:
    assert percentile({}, 50) is None
    assert percentile({5: 0}, 50) is None
    assert percentile({5: 0, 9: 1}, 50) == 9
    assert percentile({5: 0, 9: 1, 20: 0}, 90) == 9
