"""Caps met by generated histories: all is as the model says of what was taken, and the rest is counted as the rest.

Which of several types or journeys meets a cap first depends on what arrives first (R5 holds within the bounds), so the
model is given which they were; that they are as many as the cap allows is asserted by itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.keys import ViewKeys, journey_key
from chalicelib.projection import codes, journeys
from chalicelib.projection.codes import cells_in
from tests.properties.counted import TRIED
from tests.properties.test_equality import Prepared, check, prepared, told_and_delivered
from tests.reference import histories, model
from tests.reference.facts import Record, Step
from tests.reference.records import encode
from tests.reference.settings import Settings
from tests.support.budgets import small_budgets
from tests.support.clock import SetClock
from tests.support.system import System

pytestmark = pytest.mark.timeout(900)

TYPES, UNNAMED = 2, 1


@pytest.fixture(autouse=True)
def low_caps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codes, "MOST_TYPES", TYPES)
        patch.setattr(codes, "MOST_NAMED_TYPES", TYPES)
        patch.setattr(journeys, "MOST_UNNAMED", UNNAMED)
        yield


def as_taken(application: str, given: Settings, whole: model.Outcome) -> Settings:
    """The settings with what was taken within the caps."""
    keys = ViewKeys(application, wiring.settings().get(application).generation)
    cells = cells_in(wiring.views().get(keys.codes("events"))).values()
    types = frozenset(cell.event_type for cell in cells) - {"other"}
    assert len(types) == min(TYPES, len({kind for tally in whole.totals.values() for kind in tally.events}))
    touched = {touch.journey_id for touch in whole.touches}
    known = wiring.views().get_many(journey_key(application, one) for one in touched)
    unnamed = [item for item in known.values() if not item.get("named")]
    assert len(unnamed) <= UNNAMED
    left_out = frozenset(one for one in touched if journey_key(application, one) not in known)
    assert not left_out or len(unnamed) == UNNAMED
    return replace(given, counted_types=types, beyond_cap=left_out)


def check_all(ready: Prepared) -> None:
    TRIED["histories"] += 1
    records = ready.renamed(ready.history.records)
    whole = model.run(records, ready.settings)
    taken = {name: as_taken(name, one, whole[name]) for name, one in ready.settings.items()}
    expected = model.run(records, taken)
    everybody = (*histories.NAMES, *histories.USER_IDS, *histories.ENDPOINTS)
    users = {(kind, name) for kind in ("n", "u", "p") for name in everybody}
    for application, settings in taken.items():
        check(application, expected[application], users, ready.history.now)
        waiting = sum(touch.journey_id in settings.beyond_cap for touch in whole[application].touches)
        found = wiring.reports().report(application, 0, None, None)
        assert found.touches_waiting == waiting
        assert sum(found.total.counts.values()) == len(whole[application].credits)


def deliver(
    system: System, clock: SetClock, ready: Prepared, deliveries: list[list[Record]], chance: random.Random
) -> None:
    for batch in deliveries:
        raw = ready.renamed(batch)
        system.ingest(encode(record) for record in raw if not isinstance(record, Step))
        for step in raw:
            if isinstance(step, Step):
                clock.time = step.invoked_at_ms
                system.tag(step.payload)
        system.collect()
        while chance.random() < 0.7 and (shards := system.ready()):
            system.project_some(chance.choice(shards), chance.randint(1, 5))
    system.project_all(chance.choice, count=4)


@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_what_is_beyond_a_cap_is_counted_as_such(
    told: tuple[histories.History, list[list[Record]]], seed: int, system: System, clock: SetClock
) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    with small_budgets(small=chance.random() < 0.5):
        deliver(system, clock, ready, deliveries, chance)
        check_all(ready)
        # Once somebody names them, what waited is as if there had been no cap.
        for application, settings in ready.settings.items():
            for touch in model.run(ready.renamed(history.records), ready.settings)[application].touches:
                name = settings.journey_names.get(touch.journey_id, touch.journey_id)
                wiring.registry().set_name(application, touch.journey_id, name)
        system.project_all(chance.choice, count=4)
    check_all(ready)
    for application in ready.settings:
        assert wiring.reports().report(application, 0, None, None).touches_waiting == 0
