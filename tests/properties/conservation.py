"""I2 at every moment: journeys and unattributed add up to the total, and nothing is negative.

The total is exact: the events whose own change records were projected. While the projection lags, unattributed may be
short of it, for two reasons that are as exact. A touch credits whatever events the facts hold by then, also those whose
own change records still wait. And an event that a link moves from one user to another may have its new credit before
the old one is taken, while the mark that it is gone waits. So unattributed is short by at most the change records of
these two kinds that wait, and where none does by none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from chalicelib import wiring
from chalicelib.facts.model import Event
from chalicelib.projection.project import change_of
from tests.properties.counted import TRIED
from tests.reference import model
from tests.reference.facts import Record
from tests.reference.settings import Settings
from tests.support.system import System

Cell = tuple[str, str]
"""A day (``YYYY-MM-DD``) and an event type."""

Waiting = defaultdict[str, Counter[Cell]]
"""How many by cell, by application."""


class Conservation:
    """Holds the reports of a history's applications to I2 while it is being delivered."""

    def __init__(self, settings: dict[str, Settings]) -> None:
        self._settings = settings
        self._delivered: list[Record] = []
        self._distinct: Waiting = defaultdict(Counter)

    def delivered(self, records: Iterable[Record]) -> None:
        """These are facts now."""
        self._delivered += records
        for application, outcome in model.run(self._delivered, self._settings).items():
            self._distinct[application] = Counter(
                {(day, kind): number for day, tally in outcome.totals.items() for kind, number in tally.events.items()}
            )

    def check(self, system: System) -> None:
        """After a step of the projection."""
        TRIED["steps"] += 1
        system.collect()
        own, gone = self._waiting(system)
        for application in self._settings:
            self._check(application, own[application], gone[application])

    def _check(self, application: str, own: Counter[Cell], gone: Counter[Cell]) -> None:
        days = wiring.reports().days(application, wiring.settings().get(application).generation, None, None)
        total: Counter[Cell] = Counter()
        credited: Counter[Cell] = Counter()
        for day in days.days():
            report = days.report(day, f"{day}~")
            total.update({(iso_day(day), kind): number for kind, number in report.total.by_type().items()})
            for journey in report.journeys:
                by_type = journey.events.by_type()
                assert min(by_type.values(), default=0) >= 0
                credited.update({(iso_day(day), kind): number for kind, number in by_type.items()})
        assert +total == self._distinct[application] - own
        for cell, number in credited.items():
            assert total[cell] - number >= -own[cell] - gone[cell], f"{cell} of {application}"

    def _waiting(self, system: System) -> tuple[Waiting, Waiting]:
        """The events whose own change record waits, and those whose mark waits that they are gone elsewhere."""
        own: Waiting = defaultdict(Counter)
        gone: Waiting = defaultdict(Counter)
        for record in (one for records in system.waiting.values() for one in records):
            change = change_of(record)
            if change is None or not isinstance(change.placed.fact, Event):
                continue
            application, event = change.placed.application, change.placed.fact
            if self._settings[application].policy_at(event.time).counts(event.type):
                cell = (model.day_of(event.time), event.type)
                own[application][cell] += change.new and not change.placed.via
                gone[application][cell] += change.placed.gone
        return own, gone


def iso_day(day: str) -> str:
    """As the model writes days."""
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"
