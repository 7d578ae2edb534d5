"""An endpoint or ``UserId`` that others had too: only what was the erased person's goes."""

from __future__ import annotations

import random

import pytest

from chalicelib import wiring
from chalicelib.facts.items import from_item
from chalicelib.facts.model import Identity
from chalicelib.keys import fact_partition
from chalicelib.tables import from_wire
from chalicelib.times import from_iso
from tests.api.calls import Api
from tests.erasure.people import NOW, Person, erase, figures, left_of
from tests.projection.scene import Scene
from tests.reference.facts import Record
from tests.reference.shorthand import HOUR, T
from tests.support.clock import SetClock

KIOSK = "kiosk"


def shared(jane: Person, joe: Person) -> list[Record]:
    """A kiosk is joe's from 100 on, jane's from 200 on, joe's from 300 on, jane's from 400 on."""
    links = [joe.sent(T + 100, "j1", KIOSK), jane.sent(T + 200, "j2", KIOSK)]
    links += [joe.sent(T + 300, "j1", KIOSK), jane.sent(T + 400, "j2", KIOSK)]
    told = [jane.clicked(at + 1, f"j{at % 3}", KIOSK) for at in range(T, T + 500, 100)]
    return [*links, *told, *(jane.bought_by(at + 2, phone=KIOSK) for at in range(T, T + 500, 100))]


def times_at(scene: Scene, identity: Identity) -> list[int]:
    """Times since ``T`` of the facts in an identity's partition."""
    items = wiring.facts().query(fact_partition(scene.application, identity))
    return sorted({from_item(item).fact.time - T for item in items})


@pytest.mark.parametrize("order", ["links first", "links last", "jane's links last", *"0123"])
def test_of_a_shared_endpoint_what_was_the_person_s_goes(
    order: str, scene: Scene, jane: Person, joe: Person, clock: SetClock
) -> None:
    told = shared(jane, joe)
    if order == "links last":
        told = told[4:] + told[:4]
    elif order == "jane's links last":
        told = [*told[4:], told[0], told[2], told[1], told[3]]
    elif order.isdigit():
        random.Random(order).shuffle(told)
    scene.tell_one_by_one([*told, *joe.history()])
    before = figures(scene.report())
    of_joe = [row for row in scene.page().rows if row.user == joe.identity]
    assert any(row.user == jane.identity for row in scene.page().rows)
    until = erase(scene, jane.identity)
    assert left_of(jane.names()) == []
    # What joe was before the first link, too, is his (R6).
    assert times_at(scene, Identity("p", KIOSK)) == [1, 2, 100, 101, 102, 300, 301, 302]
    assert not {201, 202, 401, 402} & set(times_at(scene, joe.identity))
    for _ in range(2):
        assert figures(scene.report()) == before
        assert scene.page().rows == of_joe
        random.Random(order).shuffle(told)
        scene.tell_one_by_one(told)
        assert left_of(jane.names()) == []
    # Nobody knows whose the kiosk is now; the next link tells.
    clock.time = until + HOUR
    scene.tell(jane.clicked(until + 1, "j3", KIOSK), jane.bought_by(until + 2, phone=KIOSK))
    assert scene.page().rows[0].user == Identity("p", KIOSK)
    scene.tell(joe.sent(until + 1, "j1", KIOSK))
    assert (scene.page().rows[0].user, scene.page().rows[0].journey) == (joe.identity, "j3")
    assert len(scene.page().rows) == len(of_joe) + 1


def test_when_all_its_users_are_erased_the_endpoint_is_too(scene: Scene, jane: Person, joe: Person) -> None:
    told = shared(jane, joe)
    scene.tell(*told)
    before = figures(scene.report())
    erase(scene, jane.identity)
    erase(scene, joe.identity)
    partition = fact_partition(scene.application, Identity("p", KIOSK))
    assert list(wiring.facts().query(partition)) == []
    assert list(wiring.views().query(scene.keys.alias(Identity("p", KIOSK)))) == []
    scene.tell_one_by_one(reversed(told))
    assert left_of((*jane.names(), *joe.names())) == []
    assert list(wiring.facts().query(partition)) == []
    assert figures(scene.report()) == before


def test_a_late_link_to_somebody_erased_takes_from_others_what_was_the_person_s(
    scene: Scene, jane: Person, joe: Person
) -> None:
    # The kiosk was joe's, as far as anybody knew when jane was erased.
    scene.tell(joe.sent(T + 100, "j1", KIOSK), *shared(jane, joe)[4:], jane.bought(T))
    erase(scene, jane.identity)
    assert [row.user for row in scene.page().rows] == [joe.identity] * 5
    scene.tell(jane.sent(T + 200, "j2", KIOSK))
    assert left_of(jane.names()) == []
    assert [row.time - T for row in scene.page().rows] == [102, 2]
    # After the erasure it is joe's again: he is the one of whom a link is known.
    scene.clock.time = NOW + HOUR
    scene.tell(jane.bought_by(NOW + 1, phone=KIOSK))
    assert Identity("p", KIOSK) not in {row.user for row in scene.page().rows}
    copies = [from_wire(item) for item in left_of([fact_partition(scene.application, joe.identity)])]
    assert any(str(NOW + 1) in item["sk"] for item in copies)


def test_of_a_shared_user_id_the_facts_of_the_person_s_time_go(scene: Scene, jane: Person, joe: Person) -> None:
    both = "both-" + scene.suffix.strip()
    joe.user_id = jane.user_id = both
    told = [jane.sent(T), joe.sent(T + 100), *(jane.bought_by(T + at, user_id=both) for at in (1, 2, 101, 102))]
    scene.tell_one_by_one(told)
    before = figures(scene.report())
    erase(scene, jane.identity)
    assert left_of((jane.name, jane.phone)) == []
    assert times_at(scene, Identity("u", both)) == [100, 101, 102]
    scene.tell_one_by_one(reversed(told))
    assert left_of((jane.name, jane.phone)) == []
    assert figures(scene.report()) == before


def test_a_shared_endpoint_is_shown_with_the_users_that_its_events_belong_to(
    scene: Scene, jane: Person, joe: Person, clock: SetClock
) -> None:
    scene.tell(*shared(jane, joe))
    clock.time = NOW

    def events() -> list[tuple[int, str, str | None]]:
        found = Api(scene.application).get(f"users/{KIOSK}").body["events"]
        return [(from_iso(one["time"]) - T, one["user"], one["journey_id"]) for one in found]

    who = {"joe": joe.name, "jane": jane.name}
    at = {2: "joe", 102: "joe", 202: "jane", 302: "joe", 402: "jane"}
    # The journeys are those of the clicks one millisecond before: j0, j1, j2, j0, j1 by the time's number.
    clicked = {time: f"j{(T + time - 2) % 3}" for time in at}
    assert events() == [(time, who[at[time]], clicked[time]) for time in sorted(at, reverse=True)]
    erase(scene, jane.identity)
    assert events() == [(time, joe.name, clicked[time]) for time in (302, 102, 2)]
