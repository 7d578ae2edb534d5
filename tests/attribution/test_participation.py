"""Distinct users of any range of days, from tallies alone: exact, by comparison with counting them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.attribution.participation import (
    DAILY_DAYS,
    LONGER,
    MONTHLY_DAYS,
    MOST_DAYS,
    NEVER,
    ActiveDay,
    PresenceChange,
    changed_presence,
    gap_before,
    packed,
    unpacked,
)
from chalicelib.times import day_number, numbered_day

DAYS = ("20150501", "20250815", "20250831", "20250901", "20251130", "20251231", "20260101", "20260102", "20260301")
USERS = ("jane", "joan", "jim")


class Presences:
    """What the projection keeps: a user's days, and the tallies of all users."""

    def __init__(self) -> None:
        self.days: dict[str, dict[str, int]] = {}
        self.active: Counter[str] = Counter()
        self.before: Counter[tuple[str, int]] = Counter()

    def change(self, user: str, day: str, delta: int) -> None:
        self.days[user], changes = changed_presence(self.days.get(user, {}), day, delta)
        for change in changes:
            self.active[change.day] += change.delta
            if change.previous != NEVER:
                self.before[change.day, gap_before(change.day, change.previous)] += change.delta

    def distinct(self, first: str | None, end: str) -> tuple[int, bool]:
        """As a report counts them: all users of the days of the range but those who were active in it before; and
        whether it may be less than there were.
        """
        days = [day for day in self.active if (first or "") <= day < end]
        before = [(ActiveDay(day, first), gap, number) for (day, gap), number in (+self.before).items() if day in days]
        found = sum(self.active[day] for day in days) - sum(number for day, gap, number in before if day.holds(gap))
        return found, any(day.is_uncertain(gap) for day, gap, _ in before)


@st.composite
def activities(draw: st.DrawFn) -> list[tuple[str, str, int]]:
    """Users active on days, and some of it taken back later; never more than there was."""
    told: list[tuple[str, str, int]] = []
    active: Counter[tuple[str, str]] = Counter()
    for _ in range(draw(st.integers(0, 25))):
        back = bool(active) and draw(st.booleans())
        key = draw(
            st.sampled_from(sorted(active)) if back else st.tuples(st.sampled_from(USERS), st.sampled_from(DAYS))
        )
        delta = -1 if back else 1
        told.append((*key, delta))
        active[key] += delta
        active += Counter()  # drops what is gone
    return told


@given(activities())
def test_every_range_of_days_counts_each_active_user_once(told: list[tuple[str, str, int]]) -> None:
    kept = Presences()
    active: Counter[tuple[str, str]] = Counter()
    for user, day, delta in told:
        kept.change(user, day, delta)
        active[user, day] += delta
    ends = (*DAYS, "20260302")
    for first, end in [*itertools.combinations(ends, 2), *((None, end) for end in ends)]:
        expected = {user for (user, day), number in active.items() if number and (first or "") <= day < end}
        found, uncertain = kept.distinct(first, end)
        assert found <= len(expected)
        assert found == len(expected) or uncertain
        length = 0 if first is None else day_number(end) - day_number(first)
        if length <= DAILY_DAYS or (first and first.endswith("01") and length <= MONTHLY_DAYS):
            assert not uncertain


GAPS = [
    # day, active before on, as it is counted
    ("20260302", "20260301", 1),
    ("20260401", "20251230", DAILY_DAYS),
    ("20260401", "20251229", 202512),
    ("20260401", "20160331", 201603),  # ten years and a day, with three leap days
    ("20260401", "20160330", LONGER),
    ("99991231", "19700101", LONGER),
]


@pytest.mark.parametrize(("day", "previous", "gap"), GAPS)
def test_previous_days_are_kept_by_day_for_a_quarter_and_by_month_for_ten_years(
    day: str, previous: str, gap: int
) -> None:
    assert gap_before(day, previous) == gap


def test_a_day_has_a_bounded_number_of_gaps() -> None:
    # Catches: a number for each day since 1970, or for each month of the eight thousand years that times may name.
    gaps = {gap_before("99991231", numbered_day(day_number("99991231") - days)) for days in range(1, 100_000)}
    assert len(gaps) <= DAILY_DAYS + MONTHLY_DAYS // 28
    assert MONTHLY_DAYS // 28 + DAILY_DAYS < 250


def test_beyond_four_thousand_days_a_user_counts_on_no_further_day() -> None:
    days = {numbered_day(day_number("20100101") + number): 1 for number in range(MOST_DAYS)}
    assert changed_presence(days, "20260101", 1) == (days, [])
    assert changed_presence(days, "20260101", -1) == (days, [])  # what did not count is not taken away
    assert changed_presence(days, "20100101", 1)[0]["20100101"] == 2
    assert len(packed(dict.fromkeys(days, 1_000_000))) < 30_000


@given(activities())
def test_the_order_of_activities_does_not_matter(told: list[tuple[str, str, int]]) -> None:
    # R5. What is taken back is left out here: nothing can be taken away before it was there.
    added = [(user, day) for user, day, delta in told if delta > 0]
    one, other = Presences(), Presences()
    for user, day in added:
        one.change(user, day, 1)
    for user, day in sorted(added):
        other.change(user, day, 1)
    assert +one.active == +other.active
    assert +one.before == +other.before
    assert one.days == other.days


BETWEEN = [PresenceChange("2", "1", 1), PresenceChange("3", "1", -1), PresenceChange("3", "2", 1)]

STEPS: list[tuple[Sequence[str], str, int, list[PresenceChange]]] = [
    # active on, day, delta: what changes in the tallies
    ([], "2", 1, [PresenceChange("2", NEVER, 1)]),
    (["2"], "2", 1, []),  # catches: events counted instead of users
    (["1"], "2", 1, [PresenceChange("2", "1", 1)]),
    (["3"], "2", 1, [PresenceChange("2", NEVER, 1), PresenceChange("3", NEVER, -1), PresenceChange("3", "2", 1)]),
    # A day between two others: only the next one had another day before it. Catches: all later ones changed.
    (["1", "3", "4"], "2", 1, [PresenceChange("2", "1", 1), PresenceChange("3", "1", -1), PresenceChange("3", "2", 1)]),
    (
        ["1", "2", "3"],
        "2",
        -1,
        [PresenceChange("2", "1", -1), PresenceChange("3", "1", 1), PresenceChange("3", "2", -1)],
    ),
    (["2"], "2", -1, [PresenceChange("2", NEVER, -1)]),
    (["2", "2"], "2", -1, []),  # still active on that day by another event
]


@pytest.mark.parametrize(("active", "day", "delta", "changes"), STEPS)
def test_an_activity_changes_its_own_day_and_the_next_one(
    active: Sequence[str], day: str, delta: int, changes: list[PresenceChange]
) -> None:
    assert changed_presence(Counter(active), day, delta)[1] == changes


def test_more_cannot_be_taken_away_than_there_is() -> None:
    # Catches: a negative count that a report would show; the record is set aside instead.
    with pytest.raises(ValueError, match="cannot take away"):
        changed_presence({}, "1", -1)


@given(st.dictionaries(st.dates().map(lambda day: f"{day:%Y%m%d}".zfill(8)), st.integers(1, 10**6), max_size=50))
def test_days_are_kept_as_they_were(active: dict[str, int]) -> None:
    assert unpacked(packed(active)) == active


def test_a_year_of_days_is_less_than_a_kilobyte() -> None:
    # Catches: an item that is written with each event, and costs more with each day of a customer's loyalty.
    days = {f"2026{month:02d}{day:02d}": 100 for month in range(1, 13) for day in range(1, 29)}
    assert len(packed(days)) <= 2 * len(days) + 4
    assert len(packed(dict.fromkeys(days, 3))) <= len(days) + 4
