"""What is too much for one record is done turn by turn, behind what else waits, and comes to the same end (I7)."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import pytest

from chalicelib import wiring
from chalicelib.projection import aliases, budget
from chalicelib.projection.budget import Budget, Limits
from chalicelib.projection.project import sequence_of
from chalicelib.projection.unit import Counted
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.records import send
from tests.reference.shorthand import APP, HOUR, T, bought, click
from tests.support.budgets import SMALL, small_budgets

MANY = 300
"""Facts: more than a record's and a turn's steps together."""


def batches(scene: Scene) -> Iterator[Counter[Counted]]:
    """Project what waits, a batch at a time; what each of them did."""
    while True:
        scene.system.collect()
        shards = scene.system.ready()
        if not shards:
            return
        records = scene.system.take(shards[0], 1_000)
        counted: Counter[Counted] = Counter()
        wiring.projector().project(records, shards[0], counted)
        yield counted


def changes(counted: Counter[Counted]) -> int:
    return counted["CreditsMade"] + counted["CreditsMoved"] + counted["CreditsWithdrawn"]


class TestBudget:
    def test_a_record_and_a_turn_have_steps_of_their_own(self) -> None:
        left = Budget()
        left.begin(turn=False)
        assert sum(left.take() for _ in range(1_000)) == budget.LIMITS.record
        left.begin(turn=True)
        assert sum(left.take() for _ in range(1_000)) == budget.LIMITS.turn

    def test_a_batch_that_is_spent_leaves_each_record_the_least(self, monkeypatch: pytest.MonkeyPatch) -> None:
        # Catches: marks that are only ever put off, and never get on.
        monkeypatch.setattr(budget, "LIMITS", Limits(record=10, turn=20, batch=25, least=3))
        left = Budget()
        taken = []
        for turn in (False, False, True, False, True):
            left.begin(turn=turn)
            taken.append(sum(left.take() for _ in range(100)))
        assert taken == [10, 10, 20, 3, 3]

    def test_a_step_may_be_as_much_as_several(self) -> None:
        left = Budget()
        left.begin(turn=False)
        assert sum(left.take(13) for _ in range(1_000)) == -(-budget.LIMITS.record // 13)


def test_a_late_touch_moves_a_bounded_number_of_events_a_batch(scene: Scene) -> None:
    scene.tell(click("j1", T), *(bought(T + HOUR + number) for number in range(MANY)))
    scene.hear(click("j2", T + 1))
    done = [changes(counted) for counted in batches(scene)]
    assert max(done) <= budget.LIMITS.record
    assert sum(done) == MANY
    assert Counter(scene.journeys().values()) == {"j2": MANY}
    assert {one.journey for one in scene.report().journeys if one.events.by_type()} == {"j2"}


def test_touches_do_not_multiply_with_the_events_after_them(scene: Scene) -> None:
    # 50 touches before 300 events that are not projected yet. Catches: each of them moving all events.
    touches = [click(f"j{number % 3}", T + number) for number in range(50)]
    scene.hear(*touches, *(bought(T + HOUR + number) for number in range(MANY)))
    done = [changes(counted) for counted in batches(scene)]
    assert sum(done) <= 2 * MANY
    assert Counter(scene.journeys().values()) == {f"j{49 % 3}": MANY}


def test_what_is_left_to_turns_comes_behind_what_waits(scene: Scene) -> None:
    scene.tell(*(bought(T + HOUR + number) for number in range(MANY)))
    other = Scene(scene.system, scene.clock)
    scene.hear(click("j1", T))
    other.hear(*(bought(T + number) for number in range(5)))
    seen = [sum(other.report().total.by_type().values()) for _ in batches(scene)]
    assert len(seen) > 2
    assert seen[0] in (0, 5)  # its records may lie in another shard
    assert seen[1:] == [5] * (len(seen) - 1)


def test_the_first_link_of_an_alias_with_many_facts_ends(scene: Scene) -> None:
    scene.tell(click("j1", T), *(bought(T + 1 + number) for number in range(MANY)))
    scene.hear(send(APP, "e1", "j1", T - 1, user_name="jane"))
    rounds = list(batches(scene))
    assert len(rounds) > MANY // budget.LIMITS.turn
    assert Counter(one.user for one in scene.credited()) == {("n", "jane"): MANY}
    assert scene.campaign_item("e1", "p") is None or "touch" not in (scene.campaign_item("e1", "p") or {})
    (j1,) = scene.report().journeys
    assert (j1.events.by_type(), j1.converters, j1.reached) == ({"purchase": MANY}, 1, 1)


def test_an_alias_that_changes_hands_while_its_facts_move(scene: Scene) -> None:
    scene.tell(click("j1", T), *(bought(T + 1 + number) for number in range(MANY)))
    scene.hear(send(APP, "e1", "j1", T - 1, user_name="jane"))
    following = batches(scene)
    next(following)
    scene.hear(send(APP, "e1", "j1", T + 100, user_name="joan"))
    next(following)
    scene.hear(bought(T + 50), send(APP, "e1", "j1", T + 200, user_name="jane"))
    list(following)
    scene.system.project_all()
    users = Counter(one.user for one in scene.credited())
    # Joan has no touch: what is hers is credited to nobody.
    assert users == {("n", "jane"): MANY - 100}
    assert sum(scene.report().unattributed.counts.values()) == 100


@pytest.mark.parametrize("seed", range(5))
def test_links_and_facts_in_whatever_order_with_small_budgets(seed: int, scene: Scene) -> None:
    chance = random.Random(seed)
    links = [send(APP, "e1", "j1", T + 10 * at, user_name=name) for at, name in enumerate(("a", "b", "a", "c"))]
    facts = [one for at in range(0, 40, 2) for one in (click("j1", T + at), bought(T + at + 1))]
    told: list[Record] = [*links, *facts]
    chance.shuffle(told)
    with small_budgets():
        for at in range(0, len(told), 7):
            scene.hear(*told[at : at + 7])
            if chance.random() < 0.5:
                next(batches(scene), None)
        scene.system.project_all()
    expected = {T + at + 1: "abac"[(at + 1) // 10] for at in range(0, 40, 2)}
    assert {one.time: one.user[1] for one in scene.credited()} == expected
    assert SMALL.turn < len(facts)


def test_an_alias_has_a_bounded_number_of_users(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aliases, "MOST_OWNERS", 3)
    links = [send(APP, "e1", "j1", T + 10 * at, user_name=f"user {at}") for at in range(6)]
    for link in links:
        scene.tell(link)
    scene.tell(click("j1", T), *(bought(T + 1 + number) for number in range(60)))
    counted = Counter(one.user[1] for one in scene.credited())
    assert len(counted) == 1  # who has the touch; the others have none
    assert sum(scene.report().total.counts.values()) == 60


def test_a_name_that_many_events_bear_is_given_in_one_call(scene: Scene) -> None:
    scene.tell(*(bought(T + number, campaign="Spring") for number in range(MANY)))
    scene.tell(send(APP, "e9", "j1", T))
    wiring.registry().set_name(scene.application, "j1", "Spring")
    rounds = list(batches(scene))
    assert len(rounds) > MANY // budget.LIMITS.turn
    assert Counter(scene.journeys().values()) == {"j1": MANY}


def test_a_sweep_that_is_interrupted_goes_on(scene: Scene) -> None:
    """A batch that comes again, whole: the watermark has passed it."""
    scene.tell(*(bought(T + HOUR + number) for number in range(MANY)))
    scene.hear(click("j1", T))
    while True:
        scene.system.collect()
        shards = scene.system.ready()
        if not shards:
            break
        records = scene.system.take(shards[0], 1_000)
        for _ in range(2):
            wiring.projector().project(records, shards[0])
        assert records == sorted(records, key=sequence_of)
    assert Counter(scene.journeys().values()) == {"j1": MANY}
    assert scene.report().journeys[0].events.by_type() == {"purchase": MANY}
