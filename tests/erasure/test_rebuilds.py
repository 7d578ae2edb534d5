"""A rebuild that is killed leaves nothing behind: neither views of a generation, nor, after an erasure, of a person."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest
from typer.testing import CliRunner

from chalicelib import wiring
from chalicelib.keys import ViewKeys
from chalicelib.projection.views import campaign_from
from chalicelib.rebuild import STALE_FOR, NotRebuilding, Rebuilder
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Table
from local.cli import app
from tests.erasure.people import NOW, Person, erase, left_of
from tests.erasure.test_interrupted import deliver_all, faulted_at, until_done
from tests.projection.scene import Scene
from tests.reference.shorthand import T
from tests.support.budgets import small_budgets
from tests.support.faults import Fault, Faults, FaultyClient, Killed, faulty_wiring, killed_after, killed_before

EVERY = 9 if os.environ.get("HYPOTHESIS_PROFILE", "quick") == "quick" else 1


def rebuilder(scene: Scene, faults: Faults | None = None) -> Rebuilder:
    """A rebuilder whose own calls may meet faults; the projection goes on beside it."""
    client = FaultyClient(wiring.dynamodb(), faults) if faults else wiring.dynamodb()
    facts, views = (
        Table(client, table.name, sleep=lambda _seconds: None)  # type: ignore[arg-type]
        for table in (wiring.facts(), wiring.views())
    )
    return Rebuilder(facts, views, SettingsStore(views), scene.clock, lambda: deliver_all(scene))


def rebuild(scene: Scene, faults: Faults | None = None) -> None:
    for _ in rebuilder(scene, faults).rebuild(scene.application):
        pass


def people_of(scene: Scene) -> tuple[Scene, Person, Person]:
    """Two people of an application of its own, and what is told of them."""
    one = Scene(scene.system, scene.clock)
    jane, joe = Person(one, "jane"), Person(one, "joe")
    one.clock.time = T
    one.tell(*jane.history(), *joe.history())
    one.clock.time = NOW
    return one, jane, joe


def generations_in_views(scene: Scene) -> set[int]:
    """Of which generations there are views."""
    prefix = scene.keys.prefix.rpartition("@")[0] + "@"
    found = {key.pk.removeprefix(prefix).partition("#")[0] for key in wiring.views().scan_keys(prefix)}
    return {int(number) for number in found if number}


def check_only_what_is_served_is_there(scene: Scene, purchases: int) -> None:
    settings = wiring.settings().get(scene.application)
    assert generations_in_views(scene) == {settings.generation}
    report = wiring.reports().report(scene.application, settings.generation, None, None)
    assert report.total.by_type() == {"purchase": purchases}
    assert settings.building is None
    # The generation is forgotten once no function that read the former settings can still write to it.
    scene.clock.time += STALE_FOR
    rebuilder(scene).finish(scene.application)
    assert wiring.settings().get(scene.application).retiring == ()


def at_every_call(run: Callable[[Faults], None], fault: Fault, every: int = 1) -> int:
    """Run with a fault at each call, or at some; how many calls there were."""
    for number in count(0, every):
        faults = Faults()
        faulted_at(faults, number, fault)
        run(faults)
        if not faults.tried:
            return number
    raise AssertionError("there is always a last call")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", [killed_before, killed_after])
def test_nothing_is_left_of_whoever_is_erased_after_a_rebuild_was_killed(fault: Fault, scene: Scene) -> None:
    # Catches: an erasure that visits only the generation that is served and the one that is being built.
    def run(faults: Faults) -> None:
        one, jane, joe = people_of(scene)
        with suppress(Killed):
            rebuild(one, faults)
        erase(one, jane.identity)
        assert left_of(jane.names()) == []
        rebuild(one)
        assert left_of(jane.names()) == []
        check_only_what_is_served_is_there(one, 7)
        assert {row.user for row in one.page().rows} == {joe.identity}

    assert at_every_call(run, fault, 2 if EVERY > 1 else 1) >= 12


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", [killed_before, killed_after])
def test_what_a_killed_rebuild_left_is_deleted_by_finishing_alone(fault: Fault, scene: Scene) -> None:
    def run(faults: Faults) -> None:
        one, _, _ = people_of(scene)
        try:
            rebuild(one, faults)
        except Killed:
            if wiring.settings().get(one.application).generation:
                rebuilder(one).finish(one.application)
            else:
                rebuild(one)
        assert wiring.settings().get(one.application).generation == 1
        check_only_what_is_served_is_there(one, 14)

    assert at_every_call(run, fault, 2 if EVERY > 1 else 1) >= 12


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", [killed_before, killed_after])
def test_a_drop_that_was_killed_is_gone_on_with(fault: Fault, scene: Scene) -> None:
    def run(faults: Faults) -> None:
        one, jane, _ = people_of(scene)
        next(rebuilder(one).rebuild(one.application))
        one.system.project_all()
        assert generations_in_views(one) == {0, 1}
        try:
            rebuilder(one, faults).drop(one.application)
        except Killed:
            erase(one, jane.identity)
            assert left_of(jane.names()) == []
            rebuilder(one).drop(one.application)
        assert wiring.settings().get(one.application).generation == 0
        check_only_what_is_served_is_there(one, 14)
        with pytest.raises(NotRebuilding):
            rebuilder(one).drop(one.application)

    assert at_every_call(run, fault) >= 5


@pytest.mark.timeout(300)
def test_a_rebuild_in_turns_whose_projection_is_killed(scene: Scene) -> None:
    """Killed at some of the calls of the rebuild and of the projection that does its work."""

    def run(faults: Faults) -> None:
        one, jane, joe = people_of(scene)
        with faulty_wiring(faults), small_budgets():
            until_done(lambda: list(wiring_rebuilder(one).rebuild(one.application)))
            until_done(lambda: wiring.eraser().erase(one.application, jane.identity))
            deliver_all(one)
        rebuild(one)
        assert left_of(jane.names()) == []
        check_only_what_is_served_is_there(one, 7)
        assert {row.user for row in one.page().rows} == {joe.identity}

    assert at_every_call(run, killed_after, 15 * EVERY) >= 200


def wiring_rebuilder(scene: Scene) -> Rebuilder:
    return Rebuilder(wiring.facts(), wiring.views(), wiring.settings(), scene.clock, lambda: deliver_all(scene))


def test_views_that_a_late_projection_writes_are_deleted_by_the_next_run(scene: Scene) -> None:
    # Catches: a generation that is forgotten while a function that read the former settings still writes to it.
    one, jane, _ = people_of(scene)
    rebuild(one)
    late = ViewKeys(one.application, 0).campaign(jane.identity)
    wiring.views().put_many([{"pk": late.pk, "sk": late.sk, "open": False}])
    erase(one, jane.identity)
    assert left_of(jane.names()) == []
    wiring.views().put_many([{"pk": late.pk, "sk": late.sk, "open": False}])
    one.clock.time += STALE_FOR
    rebuilder(one).finish(one.application)
    assert left_of(jane.names()) == []
    assert wiring.settings().get(one.application).retiring == ()


def test_the_command_finishes_what_a_killed_rebuild_left(scene: Scene) -> None:
    one, _, _ = people_of(scene)
    faults = Faults()
    faults.choose = lambda _, name: killed_before if name == "batch_write_item" and is_switched(one) else None
    with pytest.raises(Killed):
        rebuild(one, faults)
    assert generations_in_views(one) == {0, 1}
    tables = ["--facts-table", wiring.facts().name, "--views-table", wiring.views().name]
    options = [*tables, "--endpoint-url", scene.system.stack.endpoint, "--region", "us-east-1"]
    outcome = CliRunner().invoke(app, ["rebuild", one.application, "--finish", *options], catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    check_only_what_is_served_is_there(one, 14)


def is_switched(scene: Scene) -> bool:
    return wiring.settings().get(scene.application).generation == 1


def test_a_rebuild_that_another_process_drops_does_not_switch(scene: Scene) -> None:
    one, _, _ = people_of(scene)
    steps = rebuilder(one).rebuild(one.application)
    next(steps)
    rebuilder(one).drop(one.application)
    with pytest.raises(NotRebuilding):
        list(steps)
    assert wiring.settings().get(one.application).generation == 0
    check_only_what_is_served_is_there(one, 14)


def test_who_has_no_campaign_after_a_rebuild_is_told_so_though_the_rebuild_was_killed(scene: Scene) -> None:
    # The switch was made, and the process ended right after it.
    one, jane, _ = people_of(scene)
    old, new = (ViewKeys(one.application, number).campaign(jane.identity) for number in (0, 1))
    faults, saves = Faults(), count()
    faults.choose = lambda _, name: killed_after if name == "put_item" and next(saves) == 1 else None
    steps = rebuilder(one, faults).rebuild(one.application)
    with pytest.raises(Killed):
        list(steps)
    settings = wiring.settings().get(one.application)
    assert (settings.generation, settings.building) == (1, None)
    assert wiring.views().get(old)
    wiring.views().delete_many([new])
    rebuilder(one).finish(one.application)
    told = wiring.views().get(new)
    assert told
    assert campaign_from(told).touch is None
    assert (told["told"], "ttl" in told) == (one.clock.time, True)
    assert wiring.views().get(old) is None


def test_an_identity_is_marked_once_however_many_facts_it_has(scene: Scene, jane: Person) -> None:
    scene.tell(*(jane.bought(T + number) for number in range(50)), jane.bought_by(T, phone=jane.phone))
    first = next(rebuilder(scene).rebuild(scene.application))
    # The person and the phone.
    assert first == (2, 0)
