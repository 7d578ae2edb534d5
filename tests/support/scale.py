"""An application of any number of users, simulated without AWS: two years of touches, and what
tallies count of the last 28 days.

The histories are generated; the product's own code counts them. Users are simulated one after the
other, as sums do not depend on the order (R5), and each from a seed of its own: of twice as many
users the first half are the same.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

from chalicelib.attribution.participation import changed_presence
from chalicelib.attribution.touches import Touch
from chalicelib.attribution.value import Value
from chalicelib.journeys.registry import Registry
from chalicelib.keys import TALLY_BUCKETS, ViewKeys
from chalicelib.projection.tallies import CONVERTED, CONVERTED_BY_TOUCH, REACHED, Presence, Tallies
from chalicelib.projection.unit import Unit, Watermark
from chalicelib.projection.views import Credit
from chalicelib.reports.report import Reports
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Wire
from chalicelib.times import DAY_MS, day_of, from_iso
from tests.support.memory import MemoryTable

WINDOW_S = 30 * 86_400
REPORT_DAYS = 28
END = from_iso("2026-05-04")
YEARS_DAYS = 2 * 365
START = END - YEARS_DAYS * DAY_MS
REPORT_START = END - REPORT_DAYS * DAY_MS
DAYS = [day_of(time) for time in range(START, END, DAY_MS)]
FIRST, AFTER = day_of(REPORT_START), day_of(END)
APPLICATION = "simulated"

CURRENCIES = [["EUR", "USD", "GBP"]] * 2 + [["EUR", "USD"]] * 3 + [["EUR"]] * 10 + [[""]] * 5
"""Of twenty event types: some come in several currencies, some carry no value."""
CELLS = sum(map(len, CURRENCIES))
VALUED_CELLS = sum(bool(currency) for some in CURRENCIES for currency in some)
KINDS = ["email.click", "email.open", "push.open", "journey.step"]
STAMPS = 20
"""Different stamps that events bear: names of journeys, former names, anything."""


class Happened(NamedTuple):
    """A touch at a time (ms UTC), or an event, which is decided by a touch of that time."""

    time: int
    journey: int
    touched: int
    is_event: bool


class Simulation:
    """An application's tallies, and reports of them.

    Parameters
    ----------
    buckets
        How many shards count at the same time, each in a bucket of its own.
    days
        How long the users' histories are, at most two years.
    """

    def __init__(self, journeys: int, buckets: int = 1, days: int = YEARS_DAYS) -> None:
        assert buckets <= TALLY_BUCKETS
        self.users = 0
        self.events = 0
        """Credited events of the 28 days."""
        self._journeys = [f"{number:032x}" for number in range(journeys)]
        self._buckets = buckets
        self._days = days
        self.keys = ViewKeys(APPLICATION, 0)
        self.views = MemoryTable()
        self.unit = Unit(self.views, MemoryTable(), "shard", Watermark())
        self.tallies = Tallies(self.unit, self.keys, Settings())

    @property
    def reports(self) -> Reports:
        """Reports of what is counted so far."""
        views = self.views.decoded()
        return Reports(views, Registry(views, MemoryTable(), SettingsStore(views)))

    def grow(self, users: int) -> None:
        """Add users until there are so many."""
        for user in range(self.users, users):
            self.unit.bucket = user % self._buckets
            self._count(random.Random(user))
        self.unit.commit()
        self.users = users

    def read(self) -> list[Wire]:
        """The items of tallies that a report of the 28 days reads."""
        ranges = (self.keys.tally_range(bucket, FIRST, AFTER) for bucket in range(TALLY_BUCKETS))
        return [item for one in ranges for item in self.views.query_wire(*one)]

    def _count(self, dice: random.Random) -> None:
        """Count a user's last 28 days; what was before decides only when they were active before."""
        active: dict[tuple[int, Presence], dict[str, int]] = defaultdict(dict)
        for happened in sorted(self._history(dice.random)):
            if happened.is_event:
                counts: list[tuple[Presence, int]] = [
                    (CONVERTED, happened.time),
                    (CONVERTED_BY_TOUCH, happened.touched),
                ]
            else:
                counts = [(REACHED, happened.time)]
            if happened.time < REPORT_START:
                for presence, time in counts:
                    days, day = active[happened.journey, presence], DAYS[(time - START) // DAY_MS]
                    days[day] = days.get(day, 0) + 1
                continue
            self._add(happened, dice)
            for presence, time in counts:
                key, day = (happened.journey, presence), DAYS[(time - START) // DAY_MS]
                active[key], changes = changed_presence(active[key], day, 1)
                self.tallies.present(self._journeys[happened.journey], presence, changes)

    def _history(self, random: Callable[[], float]) -> Iterator[Happened]:
        """A user's touches, half of them of three journeys, and events up to 30 days after them
        (R1: each is decided by the newest touch). Some users have a touch a month, some six.
        """
        journeys = len(self._journeys)
        usual = [int(random() * journeys) for _ in range(3)]
        number = int(self._days / 30.4 * (1 + int(random() * 6)))
        times = sorted(END - 1 - int(random() * self._days * DAY_MS) for _ in range(number))
        of = [usual[int(random() * 3)] if random() < 0.5 else int(random() * journeys) for _ in times]
        for at, touched in enumerate(times):
            yield Happened(touched, of[at], touched, False)
            for _ in range(int(random() * 4)):
                # Spread over the logarithm of the delay, so that all classes of delay occur.
                time = touched + int(1_000 * WINDOW_S ** random())
                if time < END:
                    newest = bisect_right(times, time) - 1
                    yield Happened(time, of[newest], times[newest], True)

    def _add(self, happened: Happened, dice: random.Random) -> None:
        """Count what happened, as `projection.users` and `projection.generations` do."""
        time, journey = happened.time, self._journeys[happened.journey]
        if not happened.is_event:
            self.tallies.send(journey, time, 1)
            self.tallies.touch(journey, time, dice.choice(KINDS), 1)
            return
        self.events += 1
        kind = dice.randrange(len(CURRENCIES))
        currency = dice.choice(CURRENCIES[kind])
        value = Value(Decimal(dice.randrange(100, 20_000)) / 100, currency) if currency else None
        stamp = f"stamp {dice.randrange(STAMPS)}" if dice.random() < 0.1 else None
        event_type = f"event type {kind}"
        touch = Touch(happened.touched, KINDS[0], "email", journey, happened.touched + WINDOW_S * 1_000, "digest")
        self.tallies.event(time, event_type, value, 1)
        self.tallies.credit(Credit(journey, time, event_type, "digest", value, touch, stamp), 1)
