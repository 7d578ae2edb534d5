"""Histories of several people with shared endpoints, in any order: one is erased, and the others notice nothing."""

from __future__ import annotations

import os
import random

import pytest

from chalicelib import wiring
from chalicelib.rebuild import Rebuilder
from tests.erasure.people import Person, erase, figures, left_of
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.records import endpoint, push_opened, send, step
from tests.reference.shorthand import APP, T
from tests.support.budgets import small_budgets
from tests.support.clock import SetClock

SEEDS = 4 if os.environ.get("HYPOTHESIS_PROFILE", "quick") == "quick" else 30


def history(choose: random.Random, people: list[Person], endpoints: list[str]) -> list[Record]:
    """Records at few times, so that many of them meet; of each ``UserId`` only one person's."""
    told: list[Record] = []
    for _ in range(60):
        at, person, device = T + choose.randrange(12), choose.choice(people), choose.choice(endpoints)
        journey = choose.choice(("j1", "j2"))
        kinds: list[Record] = [
            person.sent(at, journey, device),
            send(APP, device, journey, at, user_name=person.name),
            send(APP, device, journey, at, user_id=person.user_id),
            step(APP, journey, {device: endpoint(user_name=person.name, user_id=person.user_id)}, at=at),
            step(APP, journey, {device: endpoint()}, at=at),
            person.clicked(at, journey, device),
            push_opened(APP, device, journey, at, user_id=person.user_id),
            person.bought(at),
            person.bought(at, campaign=choose.choice(("j1", "j2"))),
            person.bought_by(at, phone=device),
            person.bought_by(at, phone=device),
            person.bought_by(at, user_id=person.user_id),
        ]
        told.append(choose.choice(kinds))
    return told


@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_others_notice_nothing(seed: int, scene: Scene, clock: SetClock) -> None:
    """In every second history nearly every step is left to a turn of its own."""
    with small_budgets(small=seed % 2 == 1):
        erase_one_of_three(seed, scene, clock)


def erase_one_of_three(seed: int, scene: Scene, clock: SetClock) -> None:
    choose = random.Random(seed)
    clock.time = T
    people = [Person(scene, first) for first in ("jane", "joe", "jim")]
    jane = people[0]
    told = history(choose, people, [f"device-{number}-{scene.suffix.strip()}-" for number in range(4)])
    told[0] = jane.sent(T, "j1", "device of hers alone")
    for start in range(0, len(told), 7):
        scene.tell(*told[start : start + 7])
    theirs = {(person.name, person.user_id) for person in people[1:]}
    names = {name for both in theirs for name in both}

    def of_others() -> list[object]:
        return [row for row in scene.page().rows if row.user.name in names]

    before, rows = figures(scene.report()), of_others()
    erase(scene, jane.identity)
    for _ in range(2):
        assert left_of((jane.name, jane.user_id)) == []
        assert figures(scene.report()) == before
        assert of_others() == rows
        choose.shuffle(told)
        for start in range(0, len(told), 7):
            scene.tell(*told[start : start + 7])
    rebuilder = Rebuilder(wiring.facts(), wiring.views(), wiring.settings(), clock, scene.system.project_all)
    for _ in rebuilder.rebuild(scene.application):
        pass
    assert of_others() == rows
    assert left_of((jane.name, jane.user_id)) == []
