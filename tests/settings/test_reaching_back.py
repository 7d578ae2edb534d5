"""Settings that reach back, on the real tables: totals and credits agree before the rebuild and after it (R2, R13)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from chalicelib import wiring
from chalicelib.rebuild import Rebuilder
from chalicelib.settings.document import Document, changes_of, document_at, saved
from chalicelib.settings.model import Settings
from chalicelib.settings.store import Revision
from tests.projection.scene import Scene
from tests.reference.facts import DAY, Record
from tests.reference.records import event
from tests.reference.shorthand import APP, T, click
from tests.support.clock import SetClock
from tests.support.system import System


def bought(at: int) -> Record:
    return event(APP, "purchase", at, price=10, client_id="e1")


def save(scene: Scene, effective_from: int, now: int, **changed: Any) -> None:
    def revised(settings: Settings) -> Revision:
        wanted: Document = msgspec.structs.replace(document_at(settings, now), **changed)
        changes = changes_of(settings, wanted, effective_from, now)
        return Revision(saved(settings, wanted, effective_from, now), effective_from, changes)

    wiring.settings().revise(scene.application, revised, "ann", now)


def rebuilt(scene: Scene, system: System, clock: SetClock) -> None:
    for _ in Rebuilder(wiring.facts(), wiring.views(), wiring.settings(), clock, system.project_all).rebuild(
        scene.application
    ):
        pass


def revenue(scene: Scene) -> tuple[Decimal | int, ...]:
    """Of all events, of those of j1, and of those of none."""
    generation = wiring.settings().get(scene.application).generation
    report = wiring.reports().report(scene.application, generation, None, None)
    journeys = {one.journey: one.events for one in report.journeys}
    parts = (report.total, journeys.get("j1"), report.unattributed)
    total, credited, rest = (part.revenue().get("USD", Decimal(0)) if part else Decimal(0) for part in parts)
    return total, credited, rest


@pytest.mark.parametrize("while_building", [False, True])
def test_a_value_that_reaches_back(while_building: bool, scene: Scene, system: System, clock: SetClock) -> None:
    clock.time = T + DAY
    scene.tell(bought(T + 1), bought(T + 2))
    assert revenue(scene) == (20, 0, 20)
    if while_building:
        # Its number is not the one that the change waits for.
        wiring.settings().change(
            scene.application, lambda old: msgspec.structs.replace(old, building=1, newest_generation=1)
        )
    value = msgspec.structs.replace(document_at(Settings(), 0).value, refund_types=frozenset({"purchase"}))
    save(scene, T, clock.time, value=value)
    # A touch that comes late credits what was counted, by what it was counted as; so does an event that comes late.
    scene.tell(click("j1", T), bought(T + 3))
    assert revenue(scene) == (30, 30, 0)
    clock.time = T + 2 * DAY
    scene.tell(bought(T + DAY))
    assert revenue(scene) == (20, 20, 0)
    rebuilt(scene, system, clock)
    if while_building:
        assert revenue(scene) == (20, 20, 0)
        rebuilt(scene, system, clock)
    assert revenue(scene) == (-40, -40, 0)


def test_days_in_another_zone(scene: Scene, system: System, clock: SetClock) -> None:
    # T is midnight UTC of 28 March 2026: an hour later in Berlin, nine in Tokyo, evening of the day before in New York.
    scene.tell(click("j1", T), bought(T + 1))
    save(scene, T, T + DAY, time_zone="America/New_York")
    scene.tell(bought(T + 2))

    def days() -> dict[str, dict[str, int]]:
        generation = wiring.settings().get(scene.application).generation
        found = {
            first: wiring.reports().report(scene.application, generation, first, end).total.by_type()
            for first, end in (("20260327", "20260328"), ("20260328", "20260329"))
        }
        return {day: dict(events) for day, events in found.items()}

    assert days() == {"20260327": {}, "20260328": {"purchase": 2}}
    rebuilt(scene, system, clock)
    assert days() == {"20260327": {"purchase": 2}, "20260328": {}}
