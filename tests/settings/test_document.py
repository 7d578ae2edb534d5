"""The settings document: what saving one changes, from when, for which generation of the views (R2, R10, R12, R13)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from chalicelib.settings.document import Document, changes_of, document_at, fields_of, saved, waiting
from chalicelib.settings.model import CognitoSettings, Policy, Settings, ValueSettings, Window

NOW = 1_700_000_000_000
DAY = 86_400_000
BEFORE, LATER = NOW - 3 * DAY, NOW + 3 * DAY

POLICY = Policy(excluded_events=frozenset({"view"}))
VALUE = ValueSettings(price_metric="cost")


OUT_OF_THE_BOX = Settings()


def document(settings: Settings = OUT_OF_THE_BOX, time: int = NOW, **changed: Any) -> Document:
    return msgspec.structs.replace(document_at(settings, time), **changed)


def excludes(settings: Settings, time: int) -> bool:
    return not settings.policy_at(time).counts_event("view")


def switched(settings: Settings) -> Settings:
    """After a rebuild."""
    number = settings.next_generation
    return msgspec.structs.replace(settings, generation=number, newest_generation=number)


def test_what_holds_is_no_change_whenever_it_is_to_hold() -> None:
    for time in (0, BEFORE, NOW, LATER):
        assert saved(Settings(), document(), time, NOW) == Settings()
        assert changes_of(Settings(), document(), time, NOW) == ()


def test_from_now_on_holds_at_once_in_every_generation() -> None:
    settings = saved(Settings(), document(policy=POLICY, value=VALUE), NOW, NOW)
    for seen in (settings, settings.in_generation(0), settings.in_generation(1)):
        assert [excludes(seen, time) for time in (NOW - 1, NOW, LATER)] == [False, True, True]
        assert [seen.value_at(time).price_metric for time in (NOW - 1, NOW)] == ["price", "cost"]
    assert waiting(settings, NOW) == []


def test_what_reaches_back_holds_at_once_for_what_is_to_come_and_before_that_after_a_rebuild() -> None:
    settings = saved(Settings(), document(policy=POLICY), BEFORE, NOW)
    times = (BEFORE - 1, BEFORE, NOW - 1, NOW, LATER)
    assert [excludes(settings, time) for time in times] == [False, False, False, True, True]
    assert [excludes(settings.in_generation(1), time) for time in times] == [False, True, True, True, True]
    assert [excludes(switched(settings), time) for time in times] == [False, True, True, True, True]


def test_a_rebuild_under_way_does_not_see_what_reaches_back_either() -> None:
    # It has counted some of the events already.
    settings = saved(Settings(building=1, newest_generation=1), document(policy=POLICY), BEFORE, NOW)
    assert not excludes(settings.in_generation(1), BEFORE)
    assert excludes(settings.in_generation(1), NOW)
    assert excludes(settings.in_generation(2), BEFORE)


def test_what_reaches_back_takes_the_place_of_all_that_held_since() -> None:
    settings = saved(Settings(), document(policy=Policy(ignore_machine_opens=True)), NOW - DAY, NOW - DAY)
    settings = saved(settings, document(policy=POLICY), BEFORE, NOW)
    ahead = settings.in_generation(1)
    for time in (BEFORE, NOW - DAY, NOW):
        assert (excludes(ahead, time), ahead.policy_at(time).ignore_machine_opens) == (True, False)
    # The generation that is served goes on with what it counted by.
    assert settings.policy_at(NOW - DAY).ignore_machine_opens
    assert not settings.policy_at(NOW).ignore_machine_opens


def test_what_was_planned_stays() -> None:
    settings = saved(Settings(), document(policy=POLICY, window_days=Decimal(30)), LATER, NOW)
    settings = saved(settings, document(settings, window_days=Decimal(1)), NOW, NOW)
    assert [settings.window_at(time).days for time in (NOW - 1, NOW, LATER - 1, LATER)] == [7, 1, 1, 30]
    assert [excludes(settings, time) for time in (NOW, LATER)] == [False, True]


def test_what_was_planned_is_replaced_by_another_document_of_its_time() -> None:
    settings = saved(Settings(), document(policy=POLICY, window_days=Decimal(30)), LATER, NOW)
    settings = saved(settings, document(settings), LATER, NOW)
    assert document_at(settings, LATER) == document()
    assert waiting(settings, NOW) == []


def test_what_reaches_back_may_be_taken_back() -> None:
    settings = saved(Settings(), document(policy=POLICY, value=VALUE), BEFORE, NOW)
    undone = saved(settings, document(), BEFORE, NOW + DAY)
    for time in (0, BEFORE, NOW, NOW + DAY, LATER):
        assert document_at(undone, time) == document()
    # Served, it held for a day.
    assert [excludes(undone, time) for time in (NOW - 1, NOW, NOW + DAY - 1, NOW + DAY)] == [False, True, True, False]


def test_a_window_that_reaches_back_holds_for_what_is_projected_from_then_on() -> None:
    # R2: it is fixed when a touch is projected, so no generation needs to be spared.
    settings = Settings().with_window(Window(Decimal(3), NOW - DAY)).with_window(Window(Decimal(9), LATER))
    settings = saved(settings, document(settings, window_days=Decimal(2)), BEFORE, NOW)
    assert settings.windows == (Window(Decimal(2), BEFORE), Window(Decimal(9), LATER))


def test_only_what_changes_makes_a_version() -> None:
    settings = saved(Settings(), document(window_days=Decimal(2)), NOW, NOW)
    assert (len(settings.windows), settings.policies, settings.values, settings.zones) == (1, (), (), ())
    settings = saved(Settings(), document(value=VALUE), NOW, NOW)
    assert (settings.windows, settings.policies, len(settings.values)) == ((), (), 1)


def test_days_change_their_zone_with_the_next_generation() -> None:
    settings = saved(Settings(), document(time_zone="Europe/Berlin"), NOW, NOW)
    assert settings.time_zone == settings.in_generation(0).time_zone == "UTC"
    assert settings.in_generation(1).time_zone == switched(settings).time_zone == "Europe/Berlin"
    assert document_at(settings, NOW).time_zone == "Europe/Berlin"
    back = saved(settings, document(time_zone="UTC"), NOW, NOW)
    assert back.in_generation(1).time_zone == "UTC"
    assert waiting(back, NOW) == []


def test_some_settings_have_no_time() -> None:
    wanted = document(username_attribute="login", retention_days=400, cognito=CognitoSettings(enabled=False))
    settings = saved(Settings(), wanted, LATER, NOW)
    assert (settings.username_attribute, settings.retention_days, settings.cognito.enabled) == ("login", 400, False)
    assert {one.holds for one in changes_of(Settings(), wanted, LATER, NOW)} == {"now"}


def test_what_a_rebuild_has_of_its_own_stays() -> None:
    settings = Settings(generation=2, building=4, newest_generation=4, recount_until=9, has_erasures=True)
    found = saved(settings, document(policy=POLICY), NOW, NOW)
    assert msgspec.structs.replace(found, policies=()) == settings


@pytest.mark.parametrize(("start", "holds"), [(BEFORE, "rebuild"), (NOW, "now"), (LATER, "later")])
def test_changes_say_what_and_when(start: int, holds: str) -> None:
    wanted = document(policy=POLICY, value=VALUE)
    found = [(one.field, one.before, one.after, one.holds) for one in changes_of(Settings(), wanted, start, NOW)]
    assert found == [
        ("events.excluded", [], ["view"], holds),
        ("value.price_metric", "price", "cost", holds),
    ]


def test_what_waits_for_a_rebuild_and_what_for_its_time() -> None:
    settings = saved(Settings(), document(policy=POLICY, time_zone="Asia/Tokyo"), BEFORE, NOW)
    settings = saved(settings, document(settings, window_days=Decimal("0.5")), LATER, NOW)
    found = [
        (one.effective_from, one.holds, [(it.field, it.before, it.after) for it in one.changes])
        for one in waiting(settings, NOW)
    ]
    assert found == [
        (None, "rebuild", [("time_zone", "UTC", "Asia/Tokyo")]),
        (BEFORE, "rebuild", [("events.excluded", [], ["view"])]),
        (LATER, "later", [("lookback_window_days", 7, 0.5)]),
    ]
    after = msgspec.structs.replace(settings, generation=1, newest_generation=1)
    assert [one.effective_from for one in waiting(after, LATER - 1)] == [LATER]
    assert waiting(after, LATER) == []


def test_interactions_that_are_not_named_count() -> None:
    fields = fields_of(document())
    assert fields["interactions.email.open.counts"] is True
    assert fields["interactions.journey.step.window_days"] is None
