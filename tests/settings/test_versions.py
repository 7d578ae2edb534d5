"""Versions of settings: what holds at a time, and which generation of the views sees what (R2, R10, R12, R13)."""

from __future__ import annotations

import json

import msgspec
import pytest

from chalicelib.keys import settings_key
from chalicelib.settings.model import CognitoSettings, DayZone, Policy, Settings, UsernameAttribute, ValueSettings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Table, to_wire

T = 1_700_000_000_000


def excluding(event_type: str, since: int, generation: int = 0) -> Policy:
    return Policy(effective_from=since, excluded_events=frozenset({event_type}), since_generation=generation)


def priced(metric: str, since: int, generation: int = 0) -> ValueSettings:
    return ValueSettings(price_metric=metric, effective_from=since, since_generation=generation)


def test_a_value_counts_from_its_time_on() -> None:
    settings = Settings().with_value(priced("cost", T)).with_value(priced("paid", T + 10))
    found = [settings.value_at(time).price_metric for time in (T - 1, T, T + 9, T + 10)]
    assert found == ["price", "cost", "cost", "paid"]


def test_a_generation_before_a_version_does_not_see_it() -> None:
    # R13: what generation 0 counted in totals under the price, it must go on crediting under the price.
    settings = Settings().with_value(priced("cost", T, 1)).with_policy(excluding("view", T, 1))
    assert settings.value_at(T).price_metric == "price"
    assert settings.policy_at(T).counts_event("view")
    assert settings.in_generation(0).value_at(T).price_metric == "price"
    assert settings.in_generation(1).value_at(T).price_metric == "cost"
    assert not settings.in_generation(1).policy_at(T).counts_event("view")
    assert not settings.in_generation(2).policy_at(T).counts_event("view")


def test_what_is_stored_answers_as_the_generation_that_is_served() -> None:
    settings = Settings().with_value(priced("cost", T, 1)).with_zone(DayZone("Europe/Berlin", 1))
    served = msgspec.structs.replace(settings, generation=1)
    assert served.value_at(T).price_metric == "cost"
    assert (settings.time_zone, served.time_zone) == ("UTC", "Europe/Berlin")


def test_of_two_versions_of_one_time_each_generation_sees_the_last_that_it_may() -> None:
    settings = (
        Settings().with_policy(excluding("a", T)).with_policy(excluding("b", T, 1)).with_policy(excluding("c", T, 3))
    )
    seen = [settings.in_generation(number).policy_at(T).excluded_events for number in range(4)]
    assert seen == [{"a"}, {"b"}, {"b"}, {"c"}]


def test_a_version_that_reaches_back_ends_where_the_next_begins() -> None:
    settings = Settings().with_policy(excluding("now", T)).with_policy(excluding("back", T - 10, 1)).in_generation(1)
    seen = [settings.policy_at(time).excluded_events for time in (T - 11, T - 10, T - 1, T)]
    assert seen == [frozenset(), {"back"}, {"back"}, {"now"}]


def test_a_version_takes_the_place_of_one_of_its_time_and_generation() -> None:
    settings = Settings().with_policy(excluding("a", T)).with_policy(excluding("b", T))
    assert settings.policies == (excluding("b", T),)


def test_days_change_their_zone_with_a_generation() -> None:
    settings = Settings().with_zone(DayZone("Europe/Berlin", 1)).with_zone(DayZone("Asia/Tokyo", 3))
    assert [settings.in_generation(number).time_zone for number in range(4)] == [
        "UTC",
        "Europe/Berlin",
        "Europe/Berlin",
        "Asia/Tokyo",
    ]


def test_a_zone_that_no_generation_was_made_in_is_replaced() -> None:
    settings = Settings().with_zone(DayZone("Europe/Berlin", 1)).with_zone(DayZone("Asia/Tokyo", 1))
    assert settings.zones == (DayZone("Asia/Tokyo", 1),)


def test_the_next_generation_is_one_that_was_never_used() -> None:
    # One that was dropped is not used again, and one that is being built has begun to count.
    assert Settings().next_generation == 1
    assert Settings(generation=2, newest_generation=2).next_generation == 3
    assert Settings(generation=1, building=4, newest_generation=4).next_generation == 5


def test_seeing_as_a_generation_changes_nothing_else() -> None:
    settings = Settings(
        username_attributes=(UsernameAttribute("name"),), retention_days=9, building=1, newest_generation=1
    )
    assert settings.in_generation(1) == settings


@pytest.mark.parametrize("value", [None, {"price_metric": "cost", "refund_types": ["back"]}])
def test_a_document_of_the_first_schema_is_read(value: object, views: Table) -> None:
    key = settings_key("old")
    document = json.dumps({"windows": [], "generation": 2} | ({"value": value} if value else {}))
    views.client.put_item(
        TableName=views.name, Item=to_wire({"pk": key.pk, "sk": key.sk, "version": 3, "document": document})
    )
    settings = SettingsStore(views).get("old")
    expected = ValueSettings(price_metric="cost", refund_types=frozenset({"back"})) if value else ValueSettings()
    assert settings.value_at(T) == expected
    assert (settings.generation, settings.cognito) == (2, CognitoSettings())
    # Saved, it is one of the second.
    saved = SettingsStore(views).change("old", lambda same: same.with_value(priced("paid", T)))
    assert SettingsStore(views).get("old") == saved
    assert saved.value_at(T - 1) == expected
