"""A person is erased: nothing that names the person is left, the counts stay, and no replay brings anything back."""

from __future__ import annotations

import random

import boto3
import pytest

from chalicelib import wiring
from chalicelib.erasure.eraser import HadSeveralUsers
from chalicelib.facts.items import to_item
from chalicelib.facts.model import Erase, Identity
from chalicelib.projection.aliases import erasure
from chalicelib.rebuild import Rebuilder
from chalicelib.settings.model import Settings
from tests.erasure.people import NOW, Person, erase, figures, left_of
from tests.projection.meter import metered
from tests.projection.scene import Scene, everything
from tests.reference.records import event, send
from tests.reference.shorthand import APP, HOUR, T
from tests.support.clock import SetClock
from tests.support.system import Json, clear_wiring


def views_of(person: Person) -> dict[tuple[str, str], Json]:
    return {(item["pk"]["S"], item["sk"]["S"]): item for item in everything() if person.name in item["pk"]["S"]}


def test_nothing_that_names_the_person_is_left_and_the_counts_stay(scene: Scene, jane: Person, joe: Person) -> None:
    scene.tell(*jane.history(), *joe.history())
    before, of_joe = figures(scene.report()), views_of(joe)
    # Seven purchases each: those before the click by their stamp or not at all, the later ones by a touch.
    assert scene.report().total.by_type() == {"purchase": 14}
    assert left_of(jane.names())
    assert erase(scene, jane.identity) == NOW
    assert left_of(jane.names()) == []
    assert figures(scene.report()) == before
    assert views_of(joe) == of_joe
    assert {row.user for row in scene.page().rows} == {joe.identity}


@pytest.mark.parametrize("seed", range(4))
def test_a_replay_changes_nothing(seed: int, scene: Scene, jane: Person, joe: Person) -> None:
    told = [*jane.history(), *joe.history()]
    scene.tell(*told)
    erase(scene, jane.identity)
    before, of_joe = figures(scene.report()), views_of(joe)
    shuffled = random.Random(seed)
    for _ in range(2):
        scene.tell_one_by_one(shuffled.sample(told, len(told)))
    assert left_of(jane.names()) == []
    assert figures(scene.report()) == before
    assert views_of(joe) == of_joe


def test_the_user_s_aliases_are_erased_whichever_came_first(scene: Scene, jane: Person) -> None:
    # The link of the endpoint comes last, after all facts that name it.
    scene.tell_one_by_one(reversed(jane.history()))
    erase(scene, jane.identity)
    assert left_of(jane.names()) == []


def test_what_waits_unprojected_when_the_user_is_erased_goes_too(scene: Scene, jane: Person, joe: Person) -> None:
    # Catches: an alias that was not known to be the user's when the erasure was asked for.
    scene.tell(*joe.history())
    scene.hear(*jane.history())
    erase(scene, jane.identity)
    assert left_of(jane.names()) == []
    assert {row.user for row in scene.page().rows} == {joe.identity}


def test_what_is_told_late_of_a_time_before_the_erasure_is_not_taken_in(scene: Scene, jane: Person) -> None:
    scene.tell(*jane.history())
    erase(scene, jane.identity)
    before = figures(scene.report())
    laptop = f"{jane.phone}-laptop"
    scene.tell(jane.bought(NOW), jane.clicked(T + HOUR), jane.bought_by(T + HOUR, phone=laptop))
    assert figures(scene.report()) != before  # nobody knew whose the laptop is
    scene.tell(jane.sent(T, "j1", laptop))
    assert left_of(jane.names()) == []


def test_what_the_user_does_later_is_new(scene: Scene, jane: Person, clock: SetClock) -> None:
    scene.tell(*jane.history())
    until = erase(scene, jane.identity)
    clock.time = until + HOUR
    total = scene.report().total.by_type()["purchase"]
    # The phone's link is forgotten, so the phone is its own user until the next send.
    scene.tell(jane.clicked(until + 1), jane.bought_by(until + 2, phone=jane.phone), jane.bought(until + 3))
    assert scene.report().total.by_type()["purchase"] == total + 2
    assert [(row.user, row.journey) for row in scene.page().rows] == [(Identity("p", jane.phone), "j1")]
    scene.tell(jane.sent(until + 4))
    assert [(row.time, row.user, row.journey) for row in scene.page().rows] == [
        (until + 3, jane.identity, "j1"),
        (until + 2, jane.identity, "j1"),
    ]
    # Nothing of before, though it is told again.
    scene.tell(*jane.history())
    assert scene.report().total.by_type()["purchase"] == total + 2
    assert len(scene.page().rows) == 2


def test_facts_later_than_the_erasure_count_once_when_they_are_there_before_the_projection_comes_by(
    scene: Scene, jane: Person, clock: SetClock
) -> None:
    scene.tell(*jane.history())
    before = scene.report()
    clock.time = NOW
    until = wiring.eraser().erase(scene.application, jane.identity).until
    clock.time = until + HOUR
    scene.tell(jane.bought(until + 1), jane.bought_by(until + 2, phone=jane.phone))
    after = scene.report()
    assert after.total.by_type()["purchase"] == before.total.by_type()["purchase"] + 2
    # The touches before are erased: nothing decides the later purchases.
    assert after.unattributed.by_type()["purchase"] == before.unattributed.by_type()["purchase"] + 2
    assert scene.page().rows == []


def test_later_facts_that_are_projected_already_stay_and_count_once(
    scene: Scene, jane: Person, clock: SetClock
) -> None:
    scene.tell(*jane.history())
    until = erase(scene, jane.identity)
    clock.time = until + HOUR
    by_touch = [jane.sent(until + 1), jane.clicked(until + 2), jane.bought(until + 3), jane.clicked(until + 4, "j2")]
    scene.tell(*by_touch, jane.bought_by(until + 5, phone=jane.phone), jane.bought_by(until + 6, user_id=jane.user_id))
    before, rows, views = figures(scene.report()), scene.page().rows, views_of(jane)
    assert [row.journey for row in rows] == ["j2", "j2", "j1"]
    for who in (jane.identity, Identity("p", jane.phone), Identity("u", jane.user_id)):
        mark = erasure(scene.application, who, Erase(until, None if who == jane.identity else jane.identity))
        wiring.facts().put_many([to_item(mark, Settings())])
        scene.system.project_all()
        assert (figures(scene.report()), scene.page().rows, views_of(jane)) == (before, rows, views)


def test_a_device_whose_clock_is_ahead_is_erased_too(scene: Scene, jane: Person) -> None:
    told = [*jane.history(), jane.bought_by(NOW + 5 * HOUR, phone=jane.phone)]
    scene.tell(*told)
    assert erase(scene, jane.identity) == NOW + 5 * HOUR
    assert left_of(jane.names()) == []
    scene.tell(*told)
    assert left_of(jane.names()) == []


def test_an_endpoint_of_nobody_known_can_be_erased(scene: Scene, jane: Person) -> None:
    told = [jane.clicked(T), jane.bought_by(T + 1, phone=jane.phone)]
    scene.tell(*told)
    before = figures(scene.report())
    erase(scene, Identity("p", jane.phone))
    assert left_of(jane.names()) == []
    scene.tell(*told)
    assert left_of(jane.names()) == []
    assert figures(scene.report()) == before


def test_asked_twice_it_takes_in_what_came_between(scene: Scene, jane: Person, clock: SetClock) -> None:
    scene.tell(*jane.history())
    until = erase(scene, jane.identity)
    clock.time = until + HOUR
    scene.tell(jane.sent(until + 1), jane.bought(until + 2))
    assert erase(scene, jane.identity) == clock.time
    assert left_of(jane.names()) == []


def test_who_of_several_users_of_an_endpoint_is_meant_must_be_said(scene: Scene, jane: Person, joe: Person) -> None:
    scene.tell(jane.sent(T), joe.sent(T + 1, phone=jane.phone))
    with pytest.raises(HadSeveralUsers):
        wiring.eraser().erase(scene.application, Identity("p", jane.phone))


def test_the_same_names_of_another_application_stay(scene: Scene, jane: Person, clock: SetClock) -> None:
    other = Scene(scene.system, clock)
    scene.tell(*jane.history())
    other.tell(*jane.history())
    rows = other.page().rows
    erase(scene, jane.identity)
    assert other.page().rows == rows
    other.tell(jane.bought(NOW))
    assert len(other.page().rows) == len(rows) + 1


def test_a_rebuild_counts_only_who_is_there(scene: Scene, jane: Person, joe: Person, clock: SetClock) -> None:
    scene.tell(*jane.history(), *joe.history())
    erase(scene, jane.identity)
    rebuilder = Rebuilder(wiring.facts(), wiring.views(), wiring.settings(), clock, scene.system.project_all)
    for _ in rebuilder.rebuild(scene.application):
        pass
    assert wiring.reports().report(scene.application, 1, None, None).total.by_type() == {"purchase": 7}
    assert left_of(jane.names()) == []


def test_an_erasure_while_a_rebuild_is_under_way(scene: Scene, jane: Person, joe: Person, clock: SetClock) -> None:
    # Catches: a rebuild that waits for good for the views of somebody who is gone.
    scene.tell(*jane.history(), *joe.history())
    rebuilder = Rebuilder(wiring.facts(), wiring.views(), wiring.settings(), clock, scene.system.project_all)
    steps = rebuilder.rebuild(scene.application)
    next(steps)
    erase(scene, jane.identity)
    for _ in steps:
        pass
    assert wiring.settings().get(scene.application).generation == 1
    assert left_of(jane.names()) == []
    assert {row.user for row in scene.page().rows} == {joe.identity}


def test_a_send_that_names_nobody_is_not_the_erased_user_s(scene: Scene, jane: Person) -> None:
    scene.tell(*jane.history())
    erase(scene, jane.identity)
    scene.tell(send(APP, "of somebody else", "j1", T))
    assert scene.report().journeys[0].sends == 2


def test_the_campaign_in_cognito_is_blanked(scene: Scene, jane: Person, joe: Person) -> None:
    stack = scene.system.stack
    cognito = boto3.client("cognito-idp", endpoint_url=stack.endpoint, region_name="us-east-1")
    for person in (jane, joe):
        cognito.admin_create_user(UserPoolId=stack.user_pool_id, Username=person.name, MessageAction="SUPPRESS")

    def attribute_of(person: Person) -> str | None:
        found = cognito.admin_get_user(UserPoolId=stack.user_pool_id, Username=person.name)["UserAttributes"]
        return {one["Name"]: one["Value"] for one in found}.get("custom:campaign")

    wiring.registry().set_name(scene.application, "j3", "Spring sale")
    scene.tell(*jane.history(), *joe.history())
    scene.system.sync()
    assert (attribute_of(jane), attribute_of(joe)) == ("Spring sale", "Spring sale")
    erase(scene, jane.identity)
    assert scene.system.sync() == {"batchItemFailures": []}
    assert (attribute_of(jane), attribute_of(joe)) == ("", "Spring sale")


def test_who_never_erased_anybody_reads_no_bars_and_who_did_reads_them_in_the_same_calls(
    scene: Scene, jane: Person, clock: SetClock
) -> None:
    def calls() -> dict[str, int]:
        clock.time += 1
        told = [event(APP, "purchase", clock.time, user_name=f"{jane.name}-{number}") for number in range(20)]
        scene.hear(*told)
        with metered() as meter:
            scene.system.project_all(count=1_000)
        return {name: number for name, number in meter.calls.items() if name != "GetRecords"}

    one = calls()
    scene.tell(jane.bought(T))
    erase(scene, jane.identity)
    # The secret, which a function reads once in its life.
    clear_wiring()
    first, second = calls(), calls()
    assert second == one
    assert first["GetItem"] - one["GetItem"] <= 1


def test_a_person_of_a_thousand_facts_goes_in_pieces(scene: Scene, jane: Person) -> None:
    told = [jane.sent(T), jane.clicked(T + 1)]
    told += [jane.bought(T + 2 + number, campaign="a stamp") for number in range(500)]
    told += [jane.bought_by(T + 2 + number, phone=jane.phone) for number in range(500)]
    scene.tell(*told)
    before = figures(scene.report())
    with metered() as meter:
        erase(scene, jane.identity)
    assert left_of(jane.names()) == []
    assert figures(scene.report()) == before
    # Facts, their credits, copies and originals: what one transaction takes is a hundred items.
    assert meter.calls["TransactWriteItems"] >= 3_000 // 100


def test_an_event_that_was_decided_by_its_stamp_is_found_by_no_change_of_the_name(scene: Scene, jane: Person) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    scene.tell(jane.bought(T, campaign="Spring sale"))
    before = figures(scene.report())
    erase(scene, jane.identity)
    wiring.registry().set_name(scene.application, "j1", "Summer sale")
    scene.system.project_all()
    assert left_of(jane.names()) == []
    assert figures(scene.report())[1:] == before[1:]
