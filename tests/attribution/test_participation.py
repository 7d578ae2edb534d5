"""Distinct users of any range of days, from tallies alone: exact, by comparison with counting them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.attribution.participation import NEVER, PresenceChange, changed_presence, packed, unpacked

DAYS = ("20251231", "20260101", "20260102", "20260228", "20260301")
USERS = ("jane", "joan", "jim")


class Presences:
    """What the projection keeps: a user's days, and the tallies of all users."""

    def __init__(self) -> None:
        self.days: dict[str, dict[str, int]] = {}
        self.tallies: Counter[tuple[str, str]] = Counter()

    def change(self, user: str, day: str, delta: int) -> None:
        self.days[user], changes = changed_presence(self.days.get(user, {}), day, delta)
        for change in changes:
            self.tallies[change.day, change.previous] += change.delta

    def distinct(self, first: str, end: str) -> int:
        """As a report counts them: on the days of the range, those whose previous day is not in it."""
        return sum(
            number
            for (day, previous), number in self.tallies.items()
            if first <= day < end and (previous == NEVER or previous < first)
        )


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
    for first, end in itertools.combinations(ends, 2):
        expected = {user for (user, day), number in active.items() if number and first <= day < end}
        assert kept.distinct(first, end) == len(expected)


@given(activities())
def test_the_order_of_activities_does_not_matter(told: list[tuple[str, str, int]]) -> None:
    # R5. What is taken back is left out here: nothing can be taken away before it was there.
    added = [(user, day) for user, day, delta in told if delta > 0]
    one, other = Presences(), Presences()
    for user, day in added:
        one.change(user, day, 1)
    for user, day in sorted(added):
        other.change(user, day, 1)
    assert +one.tallies == +other.tallies
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
