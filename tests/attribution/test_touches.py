"""R1-R4: which touch decides, and when its window is open. Pure."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from decimal import Decimal

import pytest

from chalicelib.attribution.touches import Touch, touch_of
from chalicelib.facts.model import Interaction
from chalicelib.settings.model import Settings, Window
from chalicelib.times import DAY_MS, day_of, from_iso, to_iso
from tests.reference.shorthand import HOUR, WEEK, T

ZONES = ["UTC", "Europe/Berlin", "America/Los_Angeles", "Pacific/Kiritimati", "Australia/Lord_Howe"]


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The machine's time zone, which changes nothing."""
    former = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    del os.environ["TZ"]
    if former is not None:
        os.environ["TZ"] = former
    time.tzset()


def touch(at: int, kind: str = "email.open", journey: str = "j1", digest: str = "d", channel: str = "email") -> Touch:
    found = touch_of(Interaction(at, kind, channel, journey), digest, Settings())
    assert found is not None
    return found


ASCENDING = [
    touch(T - 1, "email.click", "j9"),  # R1: catches: strength before time
    touch(T, "journey.step", "j9"),  # R4: catches: the journey id before strength
    touch(T, "email.open", "j1"),
    touch(T, "email.open", "j10"),  # catches: ids of digits compared as numbers
    touch(T, "email.open", "j2"),
    touch(T, "email.click", "J1"),
    touch(T, "email.click", "j"),  # catches: a short id that sorts by what follows it in the key
    touch(T, "email.click", "j!"),
    touch(T, "email.click", "j1"),
    touch(T, "email.click", "é"),
    touch(T, "email.click", "日"),
    touch(T, "email.click", "\U0001f600"),  # catches: UTF-16, where this sorts below what follows U+D800
    touch(T + 1, "journey.step", "j1"),
    touch(9_999_999_999_999, "journey.step", "j1"),
    touch(10_000_000_000_000, "journey.step", "j1"),  # catches: times of unequal length
]


def test_of_two_touches_the_later_then_the_stronger_then_the_greater_journey_id_decides() -> None:
    for lesser, greater in itertools.pairwise(ASCENDING):
        assert lesser.order < greater.order
        # As DynamoDB sorts keys: by their bytes in UTF-8.
        assert lesser.order.encode() < greater.order.encode()


def test_opened_in_the_mail_and_on_the_phone_are_equally_strong() -> None:
    mail, phone = touch(T, "email.open", "j1"), touch(T, "push.opened_notification", "j2", channel="push")
    assert mail.order < phone.order
    assert touch(T, "push.opened_notification", "j1", channel="push").order < touch(T, "email.open", "j2").order


def test_no_two_different_touches_are_equal_in_order() -> None:
    # Catches: a view that one of two clicks of a message overwrites; its removal would then take both away.
    assert touch(T, digest="d1").order != touch(T, digest="d2").order


EDGES = [
    # event time after the touch, in ms; credited
    (-1, False),
    (0, True),  # R1: t <= e; catches: <
    (1, True),
    (WEEK - 1, True),
    (WEEK, False),  # e < t + window; catches: <=
    (WEEK + 1, False),
]


@pytest.mark.parametrize(("after", "credited"), EDGES)
def test_a_window_of_seven_days_is_open_to_the_millisecond(after: int, credited: bool) -> None:
    assert touch(T).covers(T + after) is credited


def test_a_day_is_24_hours_also_when_clocks_change(zone: str) -> None:
    # On 2026-03-29 clocks change in Berlin, on 2026-10-25 again, and in Los Angeles on 2026-03-08 and 2026-11-01; Lord
    # Howe changes by half an hour. Catches: windows reckoned in local days, which then have 23, 25 or 24.5 hours.
    one_day = Settings(windows=(Window(Decimal(1), 0),))
    for noon in (
        "2026-03-28T12:00:00Z",
        "2026-10-24T12:00:00Z",
        "2026-03-07T12:00:00Z",
        "2026-10-31T12:00:00Z",
        "2026-04-04T12:00:00Z",
    ):
        at = from_iso(noon)
        found = touch_of(Interaction(at, "email.open", "email", "j1"), "d", one_day)
        assert found is not None
        assert found.until == at + 24 * HOUR
        assert found.covers(at + 24 * HOUR - 1)
        assert not found.covers(at + 24 * HOUR)


@pytest.mark.parametrize(
    ("ms", "iso", "day"),
    [
        (0, "1970-01-01T00:00:00.000Z", "19700101"),
        (1, "1970-01-01T00:00:00.001Z", "19700101"),
        (T - 1, "2026-03-27T23:59:59.999Z", "20260327"),
        (T, "2026-03-28T00:00:00.000Z", "20260328"),
        (T + DAY_MS + HOUR, "2026-03-29T01:00:00.000Z", "20260329"),  # the hour that Berlin skips
        (951_782_400_000, "2000-02-29T00:00:00.000Z", "20000229"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z", "99991231"),
    ],
)
def test_times_outside_are_utc_wherever_the_machine_stands(zone: str, ms: int, iso: str, day: str) -> None:
    assert to_iso(ms) == iso
    assert from_iso(iso) == ms
    assert day_of(ms) == day
    assert 0 <= ms - from_iso(f"{day[:4]}-{day[4:6]}-{day[6:]}") < DAY_MS


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-03-28", T),
        ("2026-03-28T00:00", T),
        ("2026-03-28T00:00:00", T),  # catches: the machine's zone for a time that names none
        ("2026-03-28T01:30:00+01:30", T),
        ("20260328T000000Z", T),
        ("2026-03-28T00:00:00.0019Z", T + 1),  # a time is a whole number of milliseconds
    ],
)
def test_times_are_read_in_any_form_of_iso_8601(zone: str, text: str, ms: int) -> None:
    assert from_iso(text) == ms


@pytest.mark.parametrize(
    "text", ["", "soon", "1774656000000", "2026-02-30", "1969-12-31T23:59:59.999Z", "2026-03-28T25:00"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_iso(text)
