"""An erasure that is killed at any of its calls to AWS, and tried again, comes to the same end."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count

import pytest

from chalicelib import functions, wiring
from chalicelib.tables import Conflict
from local.lambda_events import windowed
from tests.erasure.people import NOW, Person, figures, left_of
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.shorthand import HOUR, T
from tests.support.budgets import small_budgets
from tests.support.faults import (
    Fault,
    Faults,
    Killed,
    conflicting,
    deliver_until_done,
    faults_of,
    faulty_wiring,
    killed_after,
    killed_before,
)
from tests.support.system import Json, clear_wiring, moment


def told_of(jane: Person, joe: Person) -> list[Record]:
    kiosk = jane.phone
    told = [jane.bought(T, campaign="nothing yet"), jane.sent(T + 1), jane.clicked(T + 2), jane.bought(T + 3)]
    told += [jane.bought_by(T + 4, phone=kiosk), joe.sent(T + 5, "j1", kiosk), jane.bought_by(T + 6, phone=kiosk)]
    return [*told, jane.bought_by(T + 7, user_id=jane.user_id)]


def faulted_at(faults: Faults, number: int, fault: Fault) -> None:
    """Of the calls that may meet a fault the one of a number does; they count from now."""
    met = count()
    faults.choose = lambda _at, name: fault if fault in faults_of(name) and next(met) == number else None


def journeys(scene: Scene) -> object:
    return figures(scene.report())[0]


def until_done(call: Callable[[], object]) -> None:
    """As whoever asks does: again, until it is answered."""
    while True:
        try:
            call()
        except (Killed, Conflict):
            clear_wiring()
        else:
            return


def deliver_all(scene: Scene) -> None:
    """Project all that waits, each batch as often as it takes."""
    system = scene.system
    while True:
        system.collect()
        ready = system.ready()
        if not ready:
            return
        shard = ready[0]

        def invoke(records: list[Json], shard: str = shard) -> Json:
            return functions.project(windowed(records, shard, system.stack.facts_stream_arn, moment(), 60))

        deliver_until_done(invoke, system.take(shard, 1_000), lambda one: str(one["dynamodb"]["SequenceNumber"]))


EVERY = 7 if os.environ.get("HYPOTHESIS_PROFILE", "quick") == "quick" else 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("fault", "every", "least", "small"),
    [
        (killed_before, EVERY, 50, False),
        (killed_after, EVERY, 50, False),
        (killed_after, 7 * EVERY, 200, True),
        (conflicting, 1, 5, False),
    ],
)
def test_interrupted_at_each_call_and_repeated(fault: Fault, every: int, least: int, small: bool, scene: Scene) -> None:
    """Killed at each call there is (in `make test` at every seventh, of an erasure in many turns at still fewer); in
    conflict at each transaction.
    """
    for number in count(0, every):
        faults = Faults()
        faulted_at(faults, number, fault)
        with small_budgets(small=small):
            interrupted(scene, faults)
        if not faults.tried:
            # There are no more calls than that.
            break
    assert number >= least


def interrupted(scene: Scene, faults: Faults) -> None:
    """Erase one of two people while calls meet faults: nothing else is different in the end."""
    one = Scene(scene.system, scene.clock)
    her, him = Person(one, "jane"), Person(one, "joe")
    told = told_of(her, him)
    one.clock.time = T
    one.tell_one_by_one(told)
    before, rows = journeys(one), [row for row in one.page().rows if row.user == him.identity]
    one.clock.time = NOW
    with faulty_wiring(faults):
        until_done(lambda: wiring.eraser().erase(one.application, her.identity))
        # A user who bought again while the erasure was on its way.
        until_done(lambda: one.hear(her.bought(NOW + HOUR)))
        deliver_all(one)
    assert one.report().total.by_type()["purchase"] == 5 + 1
    assert [item["sk"]["S"][:17] for item in left_of([her.name, her.user_id])] == [f"e#{NOW + HOUR:015d}"]
    assert [row for row in one.page().rows if row.user == him.identity] == rows
    # Nothing decides the new purchase: the touches are erased.
    assert journeys(one) == before
    one.tell(*told)
    assert one.report().total.by_type()["purchase"] == 5 + 1
    assert journeys(one) == before
