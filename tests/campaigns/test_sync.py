"""``sync_campaigns``: what changed in the views is written to Cognito (R7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import boto3
import pytest

from chalicelib import wiring
from chalicelib.campaigns.sync import Synced
from chalicelib.keys import ViewKeys, journey_key, settings_key, watermark_key
from chalicelib.tables import Item
from tests.campaigns.fakes import (
    Json,
    Names,
    Pool,
    Sync,
    campaign,
    change,
    changed,
    sequence,
)
from tests.projection.scene import Scene
from tests.reference.records import endpoint, push_opened, send, step
from tests.reference.shorthand import APP, HOUR, WEEK, T, click
from tests.support.clock import SetClock

J1, J2 = campaign("j1"), campaign("j2", at=T + 1)
J1_LATER = campaign("j1", at=T + 2)
CLOSED = campaign("j1", is_open=False)
NO_TOUCH = campaign(None)

CHANGES = {
    # before, after: what is written
    "a first touch": (None, J1, ["j1"]),
    "a touch of another journey": (J1, J2, ["j2"]),
    # Catches: a call to Cognito for every click, which its quotas do not allow.
    "another touch of the same journey": (J1, J1_LATER, []),
    "the window's end": (J1, CLOSED, [""]),
    "a touch after the window's end": (CLOSED, J1_LATER, ["j1"]),
    # Catches: an old archive that blanks, or sets, what it has no say in.
    "a first touch whose window is over": (None, CLOSED, []),
    "a newer touch whose window is over": (J2, CLOSED, [""]),
    "one closed window after another": (CLOSED, campaign("j2", is_open=False), []),
    "a touch that was somebody else's": (J1, NO_TOUCH, [""]),
    "no touch left, nor before": (CLOSED, NO_TOUCH, []),
    "a removed item": (J1, None, []),
}


@pytest.mark.parametrize(("before", "after", "written"), CHANGES.values(), ids=CHANGES)
def test_what_is_written_is_what_changed_for_the_user(before: Any, after: Any, written: list[str]) -> None:
    pool = Pool(["jane"])
    result = Sync(pool)([changed("jane", before, after)])
    assert pool.writes == [("jane", text) for text in written]
    assert result == Synced(written=len(written), lag=0)


def test_the_campaign_is_the_journey_s_name() -> None:
    pool = Pool(["jane", "joan"])
    Sync(pool, Names(j1="Spring sale"))([changed("jane", None, J1), changed("joan", None, J2)])
    assert pool.campaigns == {"jane": "Spring sale", "joan": "j2"}


def test_a_name_longer_than_cognito_takes_is_cut() -> None:
    pool = Pool(["jane"])
    Sync(pool, Names(j1="é" * 3_000))([changed("jane", None, J1)])
    assert pool.campaigns == {"jane": "é" * 2_048}


def test_of_several_changes_of_a_user_only_the_last_is_written() -> None:
    pool = Pool(["jane", "joan"])
    result = Sync(pool)(
        [
            changed("jane", None, J1),
            changed("joan", None, J1),
            changed("jane", J1, J2),
            changed("jane", J2, campaign("j3", at=T + 5)),
        ]
    )
    assert pool.writes == [("joan", "j1"), ("jane", "j3")]
    assert result.written == 2


def test_a_campaign_that_changed_back_is_written_all_the_same() -> None:
    # An earlier delivery of this batch may have got as far as j2. Catches: a batch reduced to "nothing changed".
    pool = Pool(["jane"])
    pool.campaigns["jane"] = "j2"
    Sync(pool)([changed("jane", J1, J2), changed("jane", J2, J1_LATER)])
    assert pool.campaigns == {"jane": "j1"}


@pytest.mark.parametrize("kind", ["u", "p", "x"])
def test_only_a_user_with_a_cognito_user_name_has_the_attribute(kind: Any) -> None:
    # Catches: a UserId that happens to be somebody's user name.
    pool = Pool(["jane"])
    Sync(pool)([changed("jane", None, J1, kind=kind)])
    assert pool.writes == []


@pytest.mark.parametrize("name", ["a_b", "x#y", "é ü", "jane+x@example.com", "n" * 128, "campaign"])
def test_a_user_may_have_any_name(name: str) -> None:
    pool = Pool([name])
    Sync(pool)([changed(name, None, J1, application="app #2/%")])
    assert pool.campaigns == {name: "j1"}


def other_views() -> list[Json]:
    keys = ViewKeys("app", 0)
    items = [settings_key("app"), watermark_key("s"), keys.tally(0, "20260328", "j1"), keys.tally(0, "20260328", None)]
    return [change(key._asdict(), None, key._asdict()) for key in items]


def test_other_views_are_nothing_to_it() -> None:
    pool, names = Pool(["jane"]), Names()
    assert Sync(pool, names)(other_views()) == Synced(lag=0)
    assert (pool.writes, names.asked) == ([], [])


def test_a_journey_s_name_is_asked_for_when_it_is_first_met() -> None:
    # Off the hot path: neither ingestion nor projection waits for Pinpoint.
    key, names = journey_key("app", "j1")._asdict(), Names()
    Sync(Pool([]), names)([change(key, None, key | {"journey": "j1"})])
    Sync(Pool([]), names)([change(key, None, key | {"journey": "j1", "name": "Spring sale"})])
    assert names.asked == [("app", "j1")]


# --- journeys that nobody named ---


def named(journey: str) -> Json:
    """The change record of a journey that a send or a marketer names after a touch of it."""
    key = journey_key("app", journey)._asdict()
    return change(key, key | {"journey": journey, "named": False}, key | {"journey": journey, "named": True})


def test_a_campaign_of_a_journey_that_nobody_named_writes_nothing_and_is_counted() -> None:
    # Catches: text of a client's own choice in the attribute of anybody.
    text = "<img onerror=alert(1)>"
    pool, names = Pool(["jane"]), Names(text)
    found = Sync(pool, names)([changed("jane", J1, campaign(text))])
    assert (found.written, found.refused, found.failed) == (0, 1, None)
    assert found.reasons == {"a journey that nobody named yet": 1}
    assert pool.writes == []


def test_it_is_written_once_the_journey_is_named() -> None:
    pool, names = Pool(["jane", "joe", "jim"]), Names("j1")
    sync = Sync(pool, names)
    sync([changed(user, None, J1) for user in ("jane", "joe", "jim")])
    sync([changed("joe", J1, J2), changed("jim", J1, campaign("j1", is_open=False))])
    names.nobody_named.clear()
    found = sync([named("j1")])
    # What joe's and jim's campaigns became meanwhile stands.
    assert (found.written, found.superseded) == (1, 2)
    assert pool.campaigns == {"jane": "j1", "joe": "j2", "jim": ""}
    # They wait no longer.
    assert sync([named("j1")]).written == 0


def test_a_name_that_comes_while_the_campaign_is_set_aside_is_found() -> None:
    pool, names = Pool(["jane"]), Names("j1")
    sync = Sync(pool, names)
    put_many = sync.views.put_many

    def named_meanwhile(items: Sequence[Item]) -> None:
        put_many(items)
        names.nobody_named.clear()

    sync.views.put_many = named_meanwhile  # type: ignore[method-assign]
    assert sync([changed("jane", None, J1)]).written == 1
    assert pool.campaigns == {"jane": "j1"}


def test_many_that_wait_are_written_from_where_the_last_call_ended() -> None:
    users = [f"user {number:03d}" for number in range(300)]
    pool, names = Pool(users), Names("j1")
    sync = Sync(pool, names)
    sync([changed(user, None, J1) for user in users])
    names.nobody_named.clear()
    record = named("j1")
    found = sync([record], seconds=15)  # of which 5 are worked in, at 20 a second
    assert (found.failed, found.waiting) == (sequence(record), 300 - found.written)
    assert 90 <= found.written <= 110
    calls = 1
    while found.failed:
        found, calls = sync([record], seconds=15), calls + 1
        assert calls < 5
    assert len(pool.writes) == 300
    assert set(pool.campaigns.values()) == {"j1"}


def test_what_names_another_journey_or_was_named_before_is_no_reason_to_write() -> None:
    pool, names = Pool(["jane"]), Names("j1")
    sync = Sync(pool, names)
    sync([changed("jane", None, J1)])
    key = journey_key("app", "j1")._asdict()
    again = change(key, key | {"journey": "j1", "named": True}, key | {"journey": "j1", "named": True, "name": "x"})
    names.nobody_named.clear()
    sync([named("j2"), again])
    assert pool.writes == []


# --- a rebuild ---


def test_a_generation_that_is_being_built_is_not_written() -> None:
    # Catches: a rebuild's passage through a user's past, campaign by campaign, in Cognito.
    pool = Pool(["jane"])
    sync = Sync(pool)
    sync([changed("jane", None, J2)])
    sync([changed("jane", None, J1, generation=1), changed("jane", J1, campaign("j3"), generation=1)])
    assert pool.writes == [("jane", "j2")]


def test_what_the_old_generation_said_last_is_written_after_the_switch_if_the_new_one_says_so_too() -> None:
    # Catches: a record passed over for its generation, while the rebuild sees no difference to tell.
    pool = Pool(["jane"])
    sync = Sync(pool)
    sync.views.apply(changed("jane", None, J1, generation=1))
    sync.views.serve("app", 1)
    sync([changed("jane", None, J1)])
    assert pool.campaigns == {"jane": "j1"}


def test_what_a_rebuild_tells_is_written_though_it_stayed_the_same() -> None:
    pool = Pool(["jane", "jim"])
    sync = Sync(pool)
    sync([changed("jane", None, J1), changed("jim", None, J1)])
    sync.views.serve("app", 1)
    told = changed("jane", J2, J2, generation=1)
    told["dynamodb"]["NewImage"]["told"] = {"N": "1"}
    # Of a user whom the new generation gives no campaign, the rebuild's word is all there is.
    blank = changed("jim", None, None, generation=1)
    blank["dynamodb"]["NewImage"] = {**blank["dynamodb"]["Keys"], "told": {"N": "1"}}
    sync([told, blank])
    assert pool.campaigns == {"jane": "j2", "jim": ""}


# --- with the real views and the real pool ---


@pytest.fixture
def cognito(scene: Scene) -> Any:
    return boto3.client("cognito-idp", endpoint_url=scene.system.stack.endpoint, region_name="us-east-1")


def attribute_of(cognito: Any, scene: Scene, user: str) -> str | None:
    found = cognito.admin_get_user(UserPoolId=scene.system.stack.user_pool_id, Username=user)["UserAttributes"]
    return {one["Name"]: one["Value"] for one in found}.get("custom:campaign")


def test_from_the_touch_to_the_attribute_and_to_blank_after_the_window(
    scene: Scene, cognito: Any, clock: SetClock
) -> None:
    user = f"jané #{scene.suffix}@example.com"
    cognito.admin_create_user(UserPoolId=scene.system.stack.user_pool_id, Username=user, MessageAction="SUPPRESS")
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    scene.system.sync()
    clock.time = T + HOUR
    scene.tell(send(APP, "e1", "j1", T - 5, user_name=user), click("j1", T))
    assert scene.system.sync() == {"batchItemFailures": []}
    assert attribute_of(cognito, scene, user) == "Spring sale"

    scene.tell(step(APP, "j2", {"e1": endpoint(user_name=user)}, at=T + HOUR))
    scene.system.sync()
    assert attribute_of(cognito, scene, user) == "j2"

    clock.time = T + HOUR + WEEK - 1
    wiring.expiry().expire()
    scene.system.sync()
    assert attribute_of(cognito, scene, user) == "j2"

    clock.time = T + HOUR + WEEK
    wiring.expiry().expire()
    scene.system.sync()
    assert attribute_of(cognito, scene, user) == ""


def test_a_client_alone_writes_nothing_into_the_attribute(scene: Scene, cognito: Any, clock: SetClock) -> None:
    user = f"jané {scene.suffix}"
    cognito.admin_create_user(UserPoolId=scene.system.stack.user_pool_id, Username=user, MessageAction="SUPPRESS")
    clock.time = T + HOUR
    text = "<img onerror=alert(1)>"
    scene.tell(push_opened(APP, "e1", text, T, user_name=user))
    assert scene.system.sync() == {"batchItemFailures": []}
    assert attribute_of(cognito, scene, user) is None
    scene.tell(send(APP, "e9", text, T, user_name="joe"))
    scene.system.sync()
    assert attribute_of(cognito, scene, user) == text
    partition = scene.keys.waiting_campaigns(text)
    assert list(wiring.views().query(partition)) == []
