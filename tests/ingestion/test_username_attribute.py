"""Another attribute of the user name: what arrived before the change keeps its user, whenever it is replayed (R6)."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib import wiring
from chalicelib.keys import facts_seen_key
from chalicelib.settings.model import Settings, UsernameAttribute
from tests.projection.meter import metered
from tests.projection.scene import Scene
from tests.reference.facts import DAY, Record, Step
from tests.reference.records import endpoint, event, iso, push_opened, send, step
from tests.reference.shorthand import APP, HOUR, T
from tests.support.clock import SetClock

CHANGE = T + DAY


def named_by_both(record: Record) -> Record:
    """The record with its endpoint's user under both attributes, by different names."""
    user: Any = record["endpoint"]["User"]  # type: ignore[call-overload,index]
    user["UserAttributes"] = {"username": ["by username"], "login": ["by login"]}
    return record


def change(scene: Scene) -> None:
    wiring.settings().change(scene.application, lambda old: old.with_username_attribute("login", CHANGE))


def identities(scene: Scene) -> dict[str, dict[str, int]]:
    """Events by user: the credited ones of each journey, by user name."""
    found: dict[str, dict[str, int]] = {}
    for one in scene.credited():
        counts = found.setdefault(one.user[1], {})
        counts[one.journey] = counts.get(one.journey, 0) + 1
    return found


def told() -> list[Record]:
    return [
        named_by_both(push_opened(APP, "e1", "j1", T, user_name="?")),
        named_by_both(event(APP, "purchase", T + HOUR, client_id="e1", user_name="?")),
        # Its device's clock is ahead: its time is after the change, its arrival before it.
        named_by_both(event(APP, "purchase", CHANGE + HOUR, arrival=CHANGE - HOUR, client_id="e1", user_name="?")),
    ]


def test_a_replay_after_the_change_counts_nothing_twice(scene: Scene, clock: SetClock) -> None:
    scene.tell(*told())
    assert identities(scene) == {"by username": {"j1": 2}}
    before = scene.report()
    change(scene)
    scene.tell(*told())
    assert identities(scene) == {"by username": {"j1": 2}}
    assert scene.report() == before


def test_records_from_the_change_on_are_read_by_the_new_attribute(scene: Scene, clock: SetClock) -> None:
    change(scene)
    scene.tell(
        *told(),
        named_by_both(push_opened(APP, "e2", "j2", CHANGE, arrival=CHANGE, user_name="?")),
        named_by_both(event(APP, "purchase", CHANGE + 5, arrival=CHANGE + 5, client_id="e2", user_name="?")),
        # It happened before the change and arrived late: nobody can say by which settings it was read at first.
        named_by_both(event(APP, "purchase", CHANGE - 1, arrival=CHANGE + 5, client_id="e2", user_name="?")),
    )
    assert identities(scene) == {"by username": {"j1": 3}, "by login": {"j2": 1}}


@pytest.mark.parametrize(
    ("scheduled", "invoked_at", "user"),
    [
        (CHANGE - 1, CHANGE + 1_000, "by username"),
        (CHANGE, CHANGE + 1_000, "by login"),
        (CHANGE, CHANGE - 1_000, "by username"),
        (None, CHANGE - 1, "by username"),
        (None, CHANGE, "by login"),
    ],
)
def test_a_step_is_read_by_the_earlier_of_its_two_times(
    scheduled: int | None, invoked_at: int, user: str, scene: Scene, clock: SetClock
) -> None:
    change(scene)
    body = endpoint()
    body["User"] = {"UserAttributes": {"username": ["by username"], "login": ["by login"]}}
    due = None if scheduled is None else iso(scheduled)
    passed = step(APP, "j1", {"e1": body}, scheduled=due, invoked_at=invoked_at)
    assert isinstance(passed, Step)
    scene.tell(passed)
    assert scene.campaign_item(user, "n") is not None


def test_it_is_the_newest_attribute_that_is_shown() -> None:
    settings = Settings(username_attributes=(UsernameAttribute("a"), UsernameAttribute("b", 5)))
    assert settings.username_attribute == "b"
    assert [settings.username_attribute_at(time) for time in (0, 4, 5, 9)] == ["a", "a", "b", "b"]
    assert settings.with_username_attribute("c", 5).username_attributes == (
        UsernameAttribute("a"),
        UsernameAttribute("c", 5),
    )
    assert (Settings().username_attribute, Settings().username_attribute_at(0)) == ("username", "username")


# --- that there are facts is noted before the first of them ---


def test_that_there_are_facts_is_noted_once(scene: Scene, clock: SetClock) -> None:
    clock.time = T
    assert not wiring.settings().has_facts(scene.application)
    scene.hear(event(APP, "purchase", T, client_id="e1"))
    assert wiring.settings().has_facts(scene.application)
    clock.time = T + 5
    with metered() as meter:
        scene.hear(event(APP, "purchase", T + 1, client_id="e1"))
    assert meter.calls == {"BatchGetItem": 1, "BatchWriteItem": 1}
    # Another instance of the function tries it, and leaves it as it is.
    wiring.ingestion.cache_clear()
    with metered() as meter:
        scene.hear(event(APP, "purchase", T + 2, client_id="e1"))
    assert meter.calls == {"PutItem": 1, "BatchGetItem": 1, "BatchWriteItem": 1}
    item = wiring.views().get(facts_seen_key(scene.application))
    assert item is not None
    assert item["since"] == T


def test_a_send_and_a_step_are_facts_too(scene: Scene, clock: SetClock) -> None:
    scene.hear(send(APP, "e1", "j1", T, user_name="jane"))
    other = Scene(scene.system, clock)
    other.hear(step(APP, "j1", {"e1": endpoint(user_name="jane")}, at=T))
    assert wiring.settings().has_facts(scene.application)
    assert wiring.settings().has_facts(other.application)


def test_what_a_function_remembers_of_applications_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.ingestion.MOST_MARKED", 3)
    part = wiring.ingestion()
    for number in range(9):
        part._mark({f"{scene.application} {number}"})
        assert len(part._marked) <= 3
    assert wiring.settings().has_facts(f"{scene.application} 0")
