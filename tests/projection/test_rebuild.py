"""A rebuild, step by step: a fact may come by the rebuild and by its own change record, and counts once."""

from __future__ import annotations

import pytest

from chalicelib import wiring
from chalicelib.facts.items import from_item
from chalicelib.facts.model import Rebuild
from chalicelib.rebuild import NotRebuilding, Rebuilder
from chalicelib.tables import from_wire
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.records import email_click, event, send
from tests.reference.shorthand import APP
from tests.support.clock import SetClock
from tests.support.system import Json, System

T = 1_774_656_000_000
JANE = "jane"


def bought(at: int) -> Record:
    return event(APP, "purchase", at, price=10, user_name=JANE)


HISTORY = (send(APP, "e1", "j1", T - 1, user_name=JANE), email_click(APP, "e1", "j1", T), bought(T + 1))


def rebuilder(clock: SetClock, wait: object = None) -> Rebuilder:
    waits = wait if callable(wait) else (lambda: None)
    return Rebuilder(wiring.facts(), wiring.views(), wiring.settings(), clock, waits)


def figures(scene: Scene) -> tuple[object, ...]:
    generation = wiring.settings().get(scene.application).generation
    report = wiring.reports().report(scene.application, generation, None, None)
    (journey,) = report.journeys
    counted = (journey.sends, dict(journey.touches), journey.reached, journey.converters)
    return (generation, *counted, journey.events.by_type(), report.total.by_type(), report.unattributed.by_type())


def expected(generation: int, events: int) -> tuple[object, ...]:
    return (generation, 1, {"email.click": 1}, 1, 1, {"purchase": events}, {"purchase": events}, {})


def is_mark(record: Json) -> bool:
    image = record["dynamodb"].get("NewImage")
    return image is not None and isinstance(from_item(from_wire(image)).fact, Rebuild)


def test_a_rebuild_of_what_is_projected_gives_the_same_views(scene: Scene, system: System, clock: SetClock) -> None:
    scene.tell(*HISTORY)
    assert figures(scene) == expected(0, 1)
    for _ in rebuilder(clock, system.project_all).rebuild(scene.application):
        pass
    assert figures(scene) == expected(1, 1)


def test_a_fact_whose_record_comes_before_the_mark_counts_once(scene: Scene, system: System, clock: SetClock) -> None:
    # Catches: the rebuild counting again what its own change record told while the rebuild was under way.
    scene.tell(*HISTORY)
    steps = rebuilder(clock, system.project_all).rebuild(scene.application)
    next(steps)
    scene.hear(bought(T + 2))
    for _ in steps:
        pass
    assert figures(scene) == expected(1, 2)


def test_a_fact_that_waits_until_after_the_switch_counts_once(scene: Scene, system: System, clock: SetClock) -> None:
    # Catches: a change record counted after the switch, of a fact that the rebuild saw in its partition.
    scene.tell(*HISTORY)

    def project_marks_only() -> None:
        system.collect()
        for shard, waiting in system.waiting.items():
            last = max((at for at, one in enumerate(waiting) if is_mark(one)), default=-1)
            if last >= 0:
                system.project_some(shard, last + 1)

    steps = rebuilder(clock, project_marks_only).rebuild(scene.application)
    next(steps)
    scene.hear(bought(T + 2), bought(T + 3))
    for _ in steps:
        pass
    assert figures(scene) == expected(1, 3)
    assert system.ready(), "their own change records still wait"
    system.project_all()
    assert figures(scene) == expected(1, 3)


def test_a_fact_that_comes_after_its_users_mark_is_in_the_new_views(
    scene: Scene, system: System, clock: SetClock
) -> None:
    # Catches: changes that only the generation being served takes.
    scene.tell(*HISTORY)

    def project_and_hear_more() -> None:
        system.project_all()
        scene.tell(bought(T + 2))

    for _ in rebuilder(clock, project_and_hear_more).rebuild(scene.application):
        pass
    assert figures(scene) == expected(1, 2)


def test_what_comes_while_a_rebuild_is_under_way_is_served_at_once(
    scene: Scene, system: System, clock: SetClock
) -> None:
    # Catches: changes that only the generation being built takes.
    scene.tell(*HISTORY)
    next(rebuilder(clock).rebuild(scene.application))
    scene.tell(bought(T + 2))
    assert figures(scene) == expected(0, 2)


def test_a_dropped_rebuild_is_as_if_it_had_never_been(scene: Scene, system: System, clock: SetClock) -> None:
    scene.tell(*HISTORY)
    next(rebuilder(clock).rebuild(scene.application))
    scene.tell(bought(T + 2))
    rebuilder(clock).drop(scene.application)
    assert figures(scene) == expected(0, 2)
    for _ in rebuilder(clock, system.project_all).rebuild(scene.application):
        pass
    assert figures(scene) == expected(2, 2), "the number of a dropped generation is not used again"


def test_there_is_nothing_to_drop_without_a_rebuild(scene: Scene, clock: SetClock) -> None:
    with pytest.raises(NotRebuilding):
        rebuilder(clock).drop(scene.application)


def test_a_lost_change_record_is_made_up_for(scene: Scene, system: System, clock: SetClock) -> None:
    scene.tell(*HISTORY)
    scene.hear(bought(T + 2))
    system.collect()
    for shard in system.ready():
        system.take(shard, 1000)
    assert figures(scene) == expected(0, 1)
    for _ in rebuilder(clock, system.project_all).rebuild(scene.application):
        pass
    assert figures(scene) == expected(1, 2)


def test_facts_behind_many_that_moved_away_are_in_the_new_views(scene: Scene, system: System, clock: SetClock) -> None:
    # Catches: a rebuild that ends at the first fifty facts of a user all of which a link took elsewhere since.
    moved = [event(APP, "purchase", T + number, client_id="e1") for number in range(120)]
    scene.tell(send(APP, "e1", "j1", T - 2, user_name=JANE), *moved)
    scene.tell(send(APP, "e1", "j1", T - 1, user_name="joe"), send(APP, "e2", "j1", T - 1, user_name=JANE))
    scene.tell(email_click(APP, "e2", "j1", T + 1_000), bought(T + 1_001))
    assert scene.journeys() == {T + 1_001: "j1"}
    for _ in rebuilder(clock, system.project_all).rebuild(scene.application):
        pass
    report = wiring.reports().report(scene.application, 1, None, None)
    assert scene.journeys() == {T + 1_001: "j1"}
    assert report.total.by_type() == {"purchase": 121}
    assert report.unattributed.by_type() == {"purchase": 120}
