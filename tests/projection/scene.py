"""A scene: one application of its own on the real tables, told records and asked what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.api.queries import Filters, Page
from chalicelib.facts.model import Identity, IdentityKind
from chalicelib.keys import ViewKeys
from chalicelib.projection.views import campaign_from
from chalicelib.reports.report import Report
from chalicelib.settings.model import Settings, Window
from chalicelib.tables import Item
from chalicelib.times import SystemClock
from local.stack import LocalStack
from tests.reference.facts import Record, Step
from tests.reference.records import encode
from tests.reference.shorthand import APP
from tests.support.clock import SetClock
from tests.support.outcome import Credited, credited_events
from tests.support.renaming import fresh_suffix, renamed
from tests.support.system import System, clear_wiring

EVERYTHING = Filters(None, None, None, None, None)


class Scene:
    """Tells records to the application's real handlers. Records are written for ``APP``, and renamed on their way."""

    def __init__(self, system: System, clock: SetClock, settings: Settings | None = None) -> None:
        self.system = system
        self.clock = clock
        self.suffix = fresh_suffix()
        self.application = APP + self.suffix
        if settings is not None:
            wiring.settings().change(self.application, lambda _: settings)

    @property
    def keys(self) -> ViewKeys:
        return ViewKeys(self.application, 0)

    # --- telling ---

    def hear(self, *records: Record) -> None:
        """Store what is told, one delivery for all records of the stream, one call for each journey step."""
        told = [renamed(record, self.suffix) for record in records]
        raw = [encode(record) for record in told if not isinstance(record, Step)]
        if raw:
            assert self.system.ingest(raw) == {"batchItemFailures": []}
        for step in told:
            if isinstance(step, Step):
                self.clock.time = step.invoked_at_ms
                self.system.tag(step.payload)

    def tell(self, *records: Record) -> None:
        """Store what is told, and project it."""
        self.hear(*records)
        self.system.project_all()

    def tell_one_by_one(self, records: Iterable[Record]) -> None:
        """Tell each record only when the one before is projected."""
        for record in records:
            self.tell(record)

    # --- asking ---

    def credited(self) -> list[Credited]:
        """All credited events, newest first."""
        return credited_events(self.application)

    def journeys(self) -> dict[int, str]:
        """The journeys of the credited events, by the events' times."""
        return {event.time: event.journey for event in self.credited()}

    def report(self, first: str | None = None, end: str | None = None) -> Report:
        return wiring.reports().report(self.application, 0, first, end)

    def page(self, filters: Filters = EVERYTHING, limit: int = 100, position: str | None = None) -> Page:
        return wiring.event_queries().page(self.application, filters, limit, position)

    def campaign(self, name: str, kind: IdentityKind = "p", now: int | None = None) -> str | None:
        """The user's campaign at a time, by default when the user's last record was projected."""
        item = self.campaign_item(name, kind)
        return campaign_from(item).journey_at(self.clock.time if now is None else now) if item else None

    def campaign_item(self, name: str, kind: IdentityKind = "p") -> Item | None:
        return wiring.views().get(self.keys.campaign(Identity(kind, name)))

    def views(self) -> dict[tuple[str, str], Any]:
        """All views of the application: users', journeys' and tallies."""
        mine = (f"{self.keys.user(Identity('n', ''))[:-3]}#", f"app#{self.application.replace(' ', '%20')}")
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in everything() if item["pk"]["S"].startswith(mine)}


def everything() -> Iterator[dict[str, Any]]:
    """All items of the views table."""
    views = wiring.views()
    for page in views.client.get_paginator("scan").paginate(TableName=views.name, ConsistentRead=True):
        yield from page["Items"]


def windows(*changes: tuple[float, int]) -> Settings:
    """Settings with lookback windows of so many days, each since a time."""
    settings = Settings()
    for days, since in changes:
        settings = settings.with_window(Window(Decimal(str(days)), since))
    return settings


@pytest.fixture(scope="module")
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(scope="module")
def system(stack: LocalStack, clock: SetClock) -> Iterator[System]:
    """The application on the session's tables, with a clock that stands."""
    clear_wiring()
    wiring.clock = clock
    yield System(stack)
    wiring.clock = SystemClock()
    clear_wiring()


@pytest.fixture
def scene(system: System, clock: SetClock) -> Scene:
    return Scene(system, clock)
