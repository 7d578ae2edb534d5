"""Erasures in turns: nobody's records wait for the erasure of somebody else for longer than a turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib import wiring
from chalicelib.facts.items import from_item, to_item
from chalicelib.facts.model import Erase, Identity
from chalicelib.projection.aliases import erasure
from chalicelib.projection.budget import LIMITS
from chalicelib.projection.erasing import PHASES
from chalicelib.settings.model import Settings
from chalicelib.tables import from_wire
from tests.erasure.people import NOW, Person, erase, figures, left_of
from tests.projection.meter import metered
from tests.projection.scene import Scene
from tests.reference.shorthand import HOUR, T
from tests.support.budgets import small_budgets
from tests.support.clock import SetClock
from tests.support.system import Json

KIOSK = "kiosk"


@pytest.fixture
def small() -> Iterator[None]:
    with small_budgets():
        yield


def marks(scene: Scene) -> list[Json]:
    """Records that wait and are marks of erasures."""
    scene.system.collect()
    images = [one["dynamodb"].get("NewImage") for waiting in scene.system.waiting.values() for one in waiting]
    return [image for image in images if image and isinstance(from_item(from_wire(image)).fact, Erase)]


def one_turn(scene: Scene) -> None:
    """Project what waits at this moment, but none of what comes of it."""
    scene.system.collect()
    for shard in scene.system.ready():
        scene.system.project_some(shard, len(scene.system.waiting[shard]))


def test_a_turn_erases_no_more_than_its_budget(scene: Scene, jane: Person) -> None:
    # A person of 60,000 facts held the shard for minutes, and each try began anew.
    facts = 3 * LIMITS.turn
    scene.tell(jane.sent(T), jane.clicked(T + 1), *(jane.bought(T + 2 + number) for number in range(facts)))
    before = figures(scene.report())
    scene.clock.time = NOW
    wiring.eraser().erase(scene.application, jane.identity)
    turns = 0
    while marks(scene):
        with metered() as meter:
            one_turn(scene)
        turns += 1
        # A transaction takes 80 items before it is full, a step one or two; and each of the phases ends with one.
        assert meter.calls["TransactWriteItems"] <= 2 * LIMITS.turn // 80 + len(PHASES)
    # Each fact, and each credit.
    assert turns > 2 * facts // LIMITS.turn
    assert left_of(jane.names()) == []
    assert figures(scene.report()) == before


def test_what_comes_between_two_turns_counts_once_and_is_somebody_new(
    small: None, scene: Scene, jane: Person, clock: SetClock
) -> None:
    # Catches: views that are made between the turns and go with the others, while the tallies keep them.
    scene.tell(*jane.history())
    clock.time = NOW
    until = wiring.eraser().erase(scene.application, jane.identity).until
    total, turns = scene.report().total.by_type()["purchase"], 0
    later = [jane.clicked(until + 1, "j2"), jane.sent(until + 2)]
    clock.time = until + HOUR
    while marks(scene):
        scene.hear(*later, jane.bought(until + 10 + turns), jane.clicked(until + 1_000 - turns, "j3"))
        one_turn(scene)
        turns += 1
    scene.system.project_all()
    assert turns > 10
    report = scene.report()
    assert report.total.by_type() == {"purchase": total + turns}
    # The phone is the person's by the later link, and so are the first click and what it decides.
    assert [row.time for row in scene.page().rows] == [until + 10 + number for number in reversed(range(turns))]
    assert {(row.user, row.journey) for row in scene.page().rows} == {(jane.identity, "j2")}
    by_journey = {one.journey: one for one in report.journeys}
    assert by_journey["j2"].events.by_type()["purchase"] >= turns
    assert scene.campaign(jane.name, "n") == "j3"
    # A second erasure finds all of it.
    erase(scene, jane.identity)
    assert left_of(jane.names()) == []


def test_a_later_event_that_moves_away_between_two_turns_leaves_with_its_tallies(
    small: None, scene: Scene, jane: Person, joe: Person, clock: SetClock
) -> None:
    scene.tell(*jane.history())
    clock.time = NOW
    until = wiring.eraser().erase(scene.application, jane.identity).until
    clock.time = until + HOUR
    scene.tell(jane.clicked(until + 1), jane.sent(until + 2), jane.bought_by(until + 3, phone=jane.phone))
    before = scene.report().total.by_type()["purchase"]
    mark = erasure(scene.application, jane.identity, Erase(until))
    wiring.facts().put_many([to_item(mark, Settings())])
    scene.system.collect()
    for _ in range(4):
        one_turn(scene)
    scene.tell(joe.sent(until + 3, "j1", jane.phone), joe.clicked(until + 3, "j2", jane.phone))
    assert scene.report().total.by_type()["purchase"] == before
    assert [(row.time, row.user) for row in scene.page().rows] == [(until + 3, joe.identity)]
    counted = sum(one.events.by_type().get("purchase", 0) for one in scene.report().journeys)
    assert counted + scene.report().unattributed.by_type().get("purchase", 0) == before


def test_two_erasures_of_a_shared_endpoint_at_once(small: None, scene: Scene, jane: Person, joe: Person) -> None:
    told = [joe.sent(T + 100, "j1", KIOSK), jane.sent(T + 200, "j2", KIOSK), joe.sent(T + 300, "j1", KIOSK)]
    told += [jane.clicked(T + at, "j1", KIOSK) for at in (1, 101, 201, 301)]
    told += [jane.bought_by(T + at, phone=KIOSK) for at in (2, 102, 202, 302)]
    scene.tell_one_by_one(told)
    before = figures(scene.report())
    scene.clock.time = NOW
    for person in (jane, joe, jane):
        wiring.eraser().erase(scene.application, person.identity)
    scene.system.project_all()
    assert left_of((*jane.names(), *joe.names())) == []
    assert left_of([f"{scene.application.replace(' ', '%20')}#p#{KIOSK}"]) == []
    assert figures(scene.report()) == before


def test_an_erasure_waits_for_the_sweeps_of_a_shared_endpoint(
    small: None, scene: Scene, jane: Person, joe: Person
) -> None:
    # Catches: an endpoint that is taken for one user's because the links of the other are not all kept yet.
    told = [jane.sent(T + number, "j1", KIOSK) for number in range(6)]
    told += [jane.bought_by(T + number, phone=KIOSK) for number in range(20)]
    scene.tell(*told)
    scene.hear(joe.sent(T + 10, "j1", KIOSK), joe.clicked(T + 10, "j2", KIOSK), joe.bought(T + 30))
    one_turn(scene)
    kiosk = Identity("p", KIOSK)
    assert [of for of in ("links", "places") if wiring.views().get(scene.keys.sweep(kiosk, of))] == ["links"]
    erase(scene, jane.identity)
    assert left_of(jane.names()) == []
    assert [(row.time - T, row.user.name) for row in scene.page().rows] == [
        (at, joe.name) for at in (30, *range(19, 9, -1))
    ]
    erase(scene, joe.identity)
    assert left_of((*jane.names(), *joe.names())) == []
    assert left_of([f"#sweep#p#{KIOSK}", f"{scene.application.replace(' ', '%20')}#p#{KIOSK}"]) == []


def test_a_sweep_of_the_erased_user_s_events_ends_with_them(small: None, scene: Scene, jane: Person) -> None:
    scene.tell(*(jane.bought(T + number) for number in range(20)))
    scene.hear(jane.sent(T - 2), jane.clicked(T - 1))
    scene.system.collect()
    while not wiring.views().get(scene.keys.sweep(jane.identity, "decisions")):
        one_turn(scene)
    erase(scene, jane.identity)
    assert left_of(jane.names()) == []
    assert scene.page().rows == []
    assert scene.report().total.by_type() == {"purchase": 20}
