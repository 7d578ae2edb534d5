"""What tallies and reports take does not grow with an application's users, and no item exceeds
100 KB.

`make bench` does the same at full size (`tests/bench/test_scale.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import chain
from threading import Event
from typing import Any

import pytest

from chalicelib.attribution.currencies import ISO_4217, OTHER
from chalicelib.attribution.delays import delay_class
from chalicelib.attribution.participation import MONTHLY_DAYS, NEAR_DAYS, NEVER, PresenceChange
from chalicelib.attribution.touches import Touch
from chalicelib.attribution.value import LARGEST, PLACES, Value
from chalicelib.journeys.registry import Registry
from chalicelib.keys import Key
from chalicelib.projection.codes import MOST_STAMPS, NO_CURRENCY
from chalicelib.projection.tallies import CONVERTED, CONVERTED_BY_TOUCH, REACHED
from chalicelib.projection.views import Credit
from chalicelib.reports.report import DateBasis, Reports
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Item, Wire
from chalicelib.times import SECOND_MS, day_number, day_of, numbered_day
from tests.support.memory import MemoryTable, stored_bytes
from tests.support.scale import (
    AFTER,
    APPLICATION,
    CELLS,
    FIRST,
    KINDS,
    REPORT_DAYS,
    REPORT_START,
    STAMPS,
    VALUED_CELLS,
    WINDOW_S,
    Simulation,
)

LARGEST_ITEM = 100_000
SATURATED = 8_000
"""Users of one journey with whom a day has nearly all numbers that it can have: 1,200 credited
events.
"""

LONGEST_WINDOW_S = 365 * 86_400


def delays(window_s: int) -> list[int]:
    """The least delay of each class within a window, in seconds: each up to 31, then sixteen to
    each doubling.
    """
    of_doublings = (range(1 << one, 2 << one, 1 << one - 4) for one in range(5, window_s.bit_length()))
    return [one for one in (*range(32), *chain.from_iterable(of_doublings)) if one < window_s]


def most_numbers_of_a_day() -> int:
    """Numbers of a journey's day and bucket in the simulation, by the rules: events and values by
    type and currency, each by the event's day and by the touch's; delays, stamps, touches by kind,
    sends; users touched, converted, and converted by the touch's day, each in all and by the days
    since they were active before.
    """
    return 2 * (CELLS + VALUED_CELLS) + len(delays(WINDOW_S)) + STAMPS + len(KINDS) + 1 + 3 * (1 + NEAR_DAYS)


def numbers_in(items: Iterable[Wire]) -> int:
    return sum(len(item) - len(("pk", "sk")) for item in items)


def test_delays_have_as_many_classes_as_the_formula_says() -> None:
    for window_s in (20, 40, 1_000, 86_400):
        assert delays(window_s) == sorted({delay_class(second * SECOND_MS) for second in range(window_s)})


def test_twice_the_users_are_no_more_numbers() -> None:
    simulation = Simulation(journeys=1, days=60)
    simulation.grow(SATURATED)
    before, events = simulation.read(), simulation.events
    simulation.grow(2 * SATURATED)
    after = simulation.read()
    assert simulation.events > 1.9 * events
    assert len(before) == len(after) == REPORT_DAYS * 2
    of_the_total = CELLS + VALUED_CELLS
    assert numbers_in(after) <= REPORT_DAYS * (most_numbers_of_a_day() + of_the_total)
    assert numbers_in(after) < 1.04 * numbers_in(before)
    # A number that is twice as large has a digit more at times.
    assert sum(map(stored_bytes, after)) < 1.06 * sum(map(stored_bytes, before))
    assert max(map(stored_bytes, simulation.views.items())) < LARGEST_ITEM


@pytest.mark.parametrize("basis", ["event", "touch"])
def test_buckets_add_up_to_the_same_report(basis: DateBasis) -> None:
    reports = []
    for buckets in (1, 8):
        simulation = Simulation(journeys=3, buckets=buckets, days=60)
        simulation.grow(200)
        reports.append(simulation.reports.report(APPLICATION, 0, FIRST, AFTER, basis))
    assert reports[0] == reports[1]
    assert sum(sum(one.events.counts.values()) for one in reports[0].journeys) > 500


@pytest.mark.parametrize(("type_bytes", "largest"), [(6, "day"), (250, "codes")], ids=["many types", "long types"])
def test_items_with_all_that_clients_can_choose_are_below_their_bound(type_bytes: int, largest: str) -> None:
    simulation = Simulation(journeys=0)
    tallies, most = simulation.tallies, 10**9 - 1
    # Added up, nearly the 38 digits that a number has in DynamoDB.
    amount = LARGEST - Decimal(1).scaleb(-PLACES)
    day = day_of(REPORT_START)

    def credit(event_type: str, currency: str, *, delay_s: int = 0, stamp: str | None = None) -> None:
        touched = REPORT_START - delay_s * SECOND_MS
        touch = Touch(touched, KINDS[0], "email", "j", touched + LONGEST_WINDOW_S * SECOND_MS, "digest")
        value = Value(amount, currency) if currency else None
        tallies.credit(Credit("j", REPORT_START, event_type, "digest", value, touch, stamp), most)

    for currency in sorted({*ISO_4217, OTHER, NO_CURRENCY}):
        for number in range(20):
            credit(f"{number:0{type_bytes}}", currency)
    for seconds in delays(LONGEST_WINDOW_S):
        credit(OTHER, NO_CURRENCY, delay_s=seconds)
    for number in range(MOST_STAMPS + 100):
        credit(OTHER, NO_CURRENCY, stamp=f"{'stamp' * 50}{number}")
    previous = [NEVER, *(numbered_day(day_number(day) - gap) for gap in range(1, MONTHLY_DAYS + 10))]
    for presence in (REACHED, CONVERTED, CONVERTED_BY_TOUCH):
        tallies.present("j", presence, (PresenceChange(day, one, most) for one in previous))
    simulation.unit.commit()
    near, far = (list(simulation.views.query_wire(key.pk, key.sk, key.sk)) for key in keys_of(simulation, day))
    assert {name.split("|")[0] for item in near for name in item} == {"pk", "sk", *"nvNVlmrck"}
    codes = simulation.views.query_wire(simulation.keys.codes("events").pk)
    sizes = {"day": stored_bytes(near[0]), "far": stored_bytes(far[0]), "codes": max(map(stored_bytes, codes))}
    assert max(map(stored_bytes, simulation.views.items())) == max(sizes.values()) == sizes[largest]
    assert 0.65 * LARGEST_ITEM < sizes[largest] < LARGEST_ITEM, sizes


def keys_of(simulation: Simulation, day: str) -> tuple[Key, Key]:
    return simulation.keys.tally(0, day, "j"), simulation.keys.far_tally(0, day, "j")


class Overtaking(MemoryTable):
    """A table in which an event of a new type is committed between the reads of codes and of
    tallies, if codes are read first.
    """

    def __init__(self, commit: Callable[[], None]) -> None:
        super().__init__()
        self.codes_are_read = Event()
        self.commit = commit

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        found = super().get_many(keys)
        self.codes_are_read.set()
        return found

    def query_wire(self, pk: str, first: str = "", last: str | None = None, *_: Any, **__: Any) -> Iterator[Wire]:
        self.codes_are_read.wait(0.2)
        if "#tally#0" in pk:
            self.commit()
        return super().query_wire(pk, first, last)


def test_a_code_that_is_given_while_a_report_reads_is_known() -> None:
    simulation = Simulation(journeys=1)

    def commit() -> None:
        simulation.tallies.event(REPORT_START, "a new type", None, 1)
        simulation.unit.commit()

    simulation.views = simulation.unit.views = table = Overtaking(commit)
    report = Reports(table, Registry(table, table, SettingsStore(table))).report(APPLICATION, 0, FIRST, AFTER)
    assert report.total.by_type() == {"a new type": 1}
