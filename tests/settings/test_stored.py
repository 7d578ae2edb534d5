"""Settings as they are stored: thousands of versions in an item of less than 100 kB, and none that nobody sees."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.keys import settings_change_key, settings_key
from chalicelib.settings.document import Change
from chalicelib.settings.model import (
    CustomInteraction,
    DayZone,
    InteractionSetting,
    Policy,
    Settings,
    UsernameAttribute,
    ValueSettings,
    Window,
    pruned,
)
from chalicelib.settings.store import LARGEST_PAGE, Revision, SettingsStore, TooLarge
from chalicelib.settings.stored import LARGEST, decoded, encoded, migrated
from chalicelib.tables import Table, to_wire

T = 1_700_000_000_000
DAY = 86_400_000
LARGEST_ITEM = 100_000


def item_size(views: Table, *key: str) -> int:
    """About as DynamoDB reckons: the bytes of all names and values."""
    found = views.client.get_item(TableName=views.name, Key=to_wire({"pk": key[0], "sk": key[1]}))["Item"]
    values = (next(iter(value.values())) for value in found.values())
    return len("".join(found)) + sum(len(one) for one in values if isinstance(one, str | bytes))


def ordinary(changes: int) -> Settings:
    """An ordinary document after so many changes, each of which takes an event type in or out."""
    chance = random.Random(7)
    types = [f"event_type_{number}" for number in range(100)]
    customs = tuple(CustomInteraction(f"link_{number}", "journey_id", "sms") for number in range(40))
    excluded = set(types[:20])
    versions = []
    for number in range(changes):
        excluded ^= {chance.choice(types)}
        versions.append(
            Policy(
                effective_from=T + number * DAY,
                custom_interactions=customs,
                included_events=frozenset(types),
                excluded_events=frozenset(excluded),
            )
        )
    return Settings(policies=tuple(versions))


def test_an_ordinary_document_may_be_changed_thousands_of_times(views: Table) -> None:
    settings = ordinary(5_000)
    store = SettingsStore(views)
    changes = (Change("events.excluded", [], ["x"], "now"),)
    store.revise("thousands", lambda _: Revision(settings, T, changes), "ann", T)
    assert item_size(views, *settings_key("thousands")) < LARGEST_ITEM
    assert store.get("thousands") == settings


SOME = Change("x", 1, 2, "now")


def add(store: SettingsStore, application: str, policy: Policy, change: Change = SOME) -> int:
    """Save one more policy; the revision that this makes."""
    return store.revise(application, lambda old: Revision(old.with_policy(policy), T, (change,)), "ann", T).revision


def incompressible(number: int) -> Policy:
    chance = random.Random(number)
    names = frozenset(f"{chance.getrandbits(960):0240x}" for _ in range(200))
    return Policy(effective_from=T + number, excluded_events=names)


def add_many(store: SettingsStore) -> None:
    for number in range(2, 20):
        add(store, "large", incompressible(number))


def test_a_document_beyond_the_bound_is_refused_and_what_is_saved_stays(views: Table) -> None:
    store = SettingsStore(views)
    assert add(store, "large", incompressible(1)) == 1
    with pytest.raises(TooLarge):
        add_many(store)
    assert 1 <= len(store.get("large").policies) < 5
    assert LARGEST < LARGEST_ITEM
    assert item_size(views, *settings_key("large")) < LARGEST_ITEM


def test_an_entry_of_the_history_beyond_the_bound_is_refused(views: Table) -> None:
    chance = random.Random(1)
    names = [f"{chance.getrandbits(960):0240x}" for _ in range(1_000)]
    changes = (Change("events.excluded", names[:500], names[500:], "now"),)
    with pytest.raises(TooLarge):
        SettingsStore(views).revise("entry", lambda old: Revision(old, T, changes), "ann", T)
    assert SettingsStore(views).get_saved("entry").revision == 0


def test_a_page_of_the_history_ends_before_an_answer_is_too_large(views: Table) -> None:
    store = SettingsStore(views)
    change = Change("events.excluded", ["x" * 250] * 200, ["y" * 250] * 200, "now")
    for number in range(30):
        add(store, "pages", excluding(number), change)
    page = store.history("pages", 100)
    assert page.more
    assert sum(len(msgspec.json.encode(one)) for one in page.entries) < LARGEST_PAGE + 110_000
    rest = store.history("pages", 100, page.entries[-1].revision)
    assert [one.revision for one in (*page.entries, *rest.entries)] == list(range(30, 0, -1))
    assert not rest.more


def test_an_entry_of_the_history_as_it_was_stored_before_is_read(views: Table) -> None:
    key = settings_change_key("before", 1)
    entry = '{"revision":1,"time":5,"by":"ann","effective_from":5,"changes":[]}'
    views.client.put_item(TableName=views.name, Item=to_wire({"pk": key.pk, "sk": key.sk, "entry": entry}))
    (found,), more = SettingsStore(views).history("before", 10)
    assert (found.by, more) == ("ann", False)


def excluding(number: int, generation: int = 0) -> Policy:
    return Policy(effective_from=T + number, excluded_events=frozenset({f"t{number}"}), since_generation=generation)


# --- as it is stored ---

times = st.integers(0, 5)
generations = st.integers(0, 3)
names = st.frozensets(st.sampled_from(["a", "b", "c"]))
policies = st.builds(
    Policy,
    effective_from=times,
    interactions=st.dictionaries(
        st.sampled_from(["email.open", "email.click"]),
        st.builds(InteractionSetting, st.booleans(), st.none() | st.just(Decimal("0.5"))),
    ),
    included_events=st.none() | names,
    excluded_events=names,
    since_generation=generations,
)
values = st.builds(
    ValueSettings,
    price_metric=st.sampled_from(["price", "cost"]),
    quantity_metric=st.sampled_from([None, "n"]),
    effective_from=times,
    since_generation=generations,
)


@st.composite
def documents(draw: st.DrawFn) -> Settings:
    settings = Settings(
        username_attributes=tuple(UsernameAttribute(f"a{at}", at) for at in draw(st.sets(times).map(sorted))),
        zones=tuple(DayZone("Asia/Tokyo", at) for at in draw(st.sets(generations).map(sorted))),
        windows=tuple(Window(Decimal(at + 1), at) for at in draw(st.sets(times).map(sorted))),
        generation=draw(st.integers(0, 3)),
    )
    for policy in draw(st.lists(policies, max_size=6)):
        settings = settings.with_policy(policy)
    for value in draw(st.lists(values, max_size=6)):
        settings = settings.with_value(value)
    return msgspec.structs.replace(settings, newest_generation=draw(st.integers(settings.generation, 4)))


@given(documents())
def test_what_is_stored_is_read(settings: Settings) -> None:
    assert decoded(encoded(settings)) == settings


@given(documents())
def test_what_is_left_out_is_seen_by_no_generation_to_come(settings: Settings) -> None:
    kept = pruned(settings)
    for generation in {settings.generation, settings.next_generation}:
        before, after = settings.in_generation(generation), kept.in_generation(generation)
        assert before.time_zone == after.time_zone
        for time in range(7):
            assert bare(before.policy_at(time)) == bare(after.policy_at(time))
            assert bare(before.value_at(time)) == bare(after.value_at(time))
    assert pruned(kept) == kept


def bare(version: Policy | ValueSettings) -> Policy | ValueSettings:
    return msgspec.structs.replace(version, effective_from=0, since_generation=0)


def test_versions_that_a_change_reaching_back_replaced_go_after_the_rebuild() -> None:
    old = Settings(policies=tuple(excluding(number) for number in range(100)))
    new = Policy(excluded_events=frozenset({"t"}))
    copies = [msgspec.structs.replace(new, effective_from=T + at, since_generation=1) for at in range(100)]
    both = old
    for one in copies:
        both = both.with_policy(one)
    assert len(pruned(both).policies) == 200  # the served generation sees the old ones, the next one the new ones
    rebuilt = msgspec.structs.replace(both, generation=1, newest_generation=1)
    assert pruned(rebuilt).policies == (copies[0],)


def test_the_attribute_of_a_document_of_the_second_schema_holds_at_all_times() -> None:
    settings = migrated('{"username_attribute":"login","retention_days":9}', 2)
    assert (settings.username_attribute_at(0), settings.username_attribute, settings.retention_days) == (
        "login",
        "login",
        9,
    )


def test_a_document_of_a_later_schema_is_not_guessed_at(views: Table) -> None:
    key = settings_key("later")
    views.client.put_item(
        TableName=views.name, Item=to_wire({"pk": key.pk, "sk": key.sk, "version": 1, "schema": 4, "document": "{}"})
    )
    with pytest.raises(ValueError, match="schema 4"):
        SettingsStore(views).get("later")
