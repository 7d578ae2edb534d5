"""A rebuild in the middle of everything: the new views are the model's, nothing is counted twice or missed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import wiring
from chalicelib.rebuild import Progress, Rebuilder
from tests.properties.test_equality import Prepared, check_all, prepared, save, told_and_delivered
from tests.properties.test_faults import FEWER
from tests.reference import histories
from tests.reference.facts import Record, Step
from tests.reference.records import encode
from tests.reference.settings import Settings as ModelSettings
from tests.support.budgets import small_budgets
from tests.support.clock import SetClock
from tests.support.system import System

pytestmark = pytest.mark.timeout(900)

RARE = max(1, FEWER // 2)

Told = tuple[histories.History, list[list[Record]]]


def deliver(system: System, clock: SetClock, ready: Prepared, batch: list[Record], chance: random.Random) -> None:
    raw = ready.renamed(batch)
    system.ingest(encode(record) for record in raw if not isinstance(record, Step))
    for called in raw:
        if isinstance(called, Step):
            clock.time = called.invoked_at_ms
            system.tag(called.payload)
    # A change record comes within a day, and whose fact a rebuild has counted is known for three: the steps are days
    # apart, while all that is delivered here is one moment.
    clock.time = ready.history.now
    project_some(system, chance)


def project_some(system: System, chance: random.Random) -> None:
    system.collect()
    while chance.random() < 0.7 and (shards := system.ready()):
        system.project_some(chance.choice(shards), chance.randint(1, 5))
        system.collect()


def rebuilder(system: System, clock: SetClock, chance: random.Random) -> Rebuilder:
    return Rebuilder(wiring.facts(), wiring.views(), wiring.settings(), clock, lambda: project_some(system, chance))


def budgets(chance: random.Random) -> AbstractContextManager[None]:
    """Half of the time nearly everything is left to turns of its own."""
    return small_budgets(small=chance.random() < 0.5)


def check_views_are_of(application: str, generation: int) -> None:
    """There are no views of any other generation."""
    prefix = f"{quote(application, safe='')}@"
    found = {key.pk.removeprefix(prefix).partition("#")[0] for key in wiring.views().scan_keys(prefix)}
    assert found <= {"", str(generation)}


def steps_of(system: System, clock: SetClock, ready: Prepared, chance: random.Random) -> Iterator[Progress]:
    """The rebuilds of all applications of a history, one after the other."""
    for application in ready.settings:
        yield from rebuilder(system, clock, chance).rebuild(application)


@settings(max_examples=RARE)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_a_rebuild_amid_deliveries_ends_with_the_models_views(
    told: Told, seed: int, system: System, clock: SetClock
) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    begins = chance.randint(0, len(deliveries))
    steps: Iterator[Progress] = iter(())
    with budgets(chance):
        for number, batch in enumerate(deliveries):
            if number == begins:
                steps = steps_of(system, clock, ready, chance)
            next(steps, None)
            deliver(system, clock, ready, batch, chance)
        for _ in steps if begins < len(deliveries) else steps_of(system, clock, ready, chance):
            pass
        system.project_all(chance.choice, count=4)
    assert {wiring.settings().get(application).generation for application in ready.settings} == {1}
    for application in ready.settings:
        check_views_are_of(application, 1)
    check_all(ready)


@settings(max_examples=RARE)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_a_rebuild_that_is_killed_and_run_again(told: Told, seed: int, system: System, clock: SetClock) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    killed = []
    with budgets(chance):
        for batch in deliveries[:1]:
            deliver(system, clock, ready, batch, chance)
        for application in ready.settings:
            # Kept to the end: what a process that was killed would do on its way out must not happen.
            killed.append(rebuilder(system, clock, chance).rebuild(application))
            for _ in range(chance.randint(1, 3)):
                next(killed[-1], None)
        for batch in deliveries[1:]:
            deliver(system, clock, ready, batch, chance)
        for _ in steps_of(system, clock, ready, chance):
            pass
        system.project_all(chance.choice, count=4)
    for application in ready.settings:
        found = wiring.settings().get(application)
        assert found.generation >= 1
        assert found.building is None
        check_views_are_of(application, found.generation)
    check_all(ready)


@settings(max_examples=RARE)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_a_rebuild_that_is_dropped_leaves_no_trace(told: Told, seed: int, system: System, clock: SetClock) -> None:
    history, deliveries = told
    chance = random.Random(seed)
    ready = prepared(history)
    running = [(one, rebuilder(system, clock, chance).rebuild(one)) for one in ready.settings]
    with budgets(chance):
        for batch in deliveries:
            deliver(system, clock, ready, batch, chance)
            for _, steps in running:
                next(steps, None)
        system.project_all(chance.choice, count=4)
    for application, steps in running:
        if wiring.settings().get(application).building is not None:
            steps.close()  # type: ignore[attr-defined]
            rebuilder(system, clock, chance).drop(application)
        check_views_are_of(application, wiring.settings().get(application).generation)
    check_all(ready)


@settings(max_examples=RARE)
@given(told=told_and_delivered(), seed=st.integers(0, 1_000_000))
def test_a_backdated_window_holds_for_the_past_after_a_rebuild(
    told: Told, seed: int, system: System, clock: SetClock
) -> None:
    """R2: what was projected before keeps its windows, until the views are rebuilt."""
    history, deliveries = told
    chance = random.Random(seed)
    plain = {app: no_windows(one) for app, one in history.settings.items()}
    before = prepared(histories.History(plain, history.told, history.now))
    simple = {f"{app}{before.suffix}": same_but_windows(one) for app, one in history.settings.items()}
    after = replace(before, history=history, settings=simple)
    with budgets(chance):
        for batch in deliveries:
            deliver(system, clock, before, batch, chance)
        system.project_all(chance.choice, count=4)
        check_all(before)
        for application, windows in after.settings.items():
            save(application, windows)
            for _ in rebuilder(system, clock, chance).rebuild(application):
                pass
        system.project_all(chance.choice, count=4)
    check_all(after)


def same_but_windows(one: ModelSettings) -> ModelSettings:
    """Whose windows and policies are set, and whose records name their users by the same attribute as before."""
    return replace(no_windows(one), windows=one.windows, policies=one.policies)


def no_windows(one: ModelSettings) -> ModelSettings:
    return ModelSettings(
        journey_names=one.journey_names,
        username_attribute=one.username_attribute,
        username_changes=one.username_changes,
    )
