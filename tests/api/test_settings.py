"""GET and PUT of an application's settings, and their history."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest

from chalicelib import wiring
from chalicelib.campaigns.cognito import PermittedDestinations
from chalicelib.settings.model import Settings, Window
from chalicelib.tables import Table
from chalicelib.times import from_iso, to_iso
from tests.api.calls import Api, Json, refusal
from tests.api.versioned import Versioned, ask
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.records import event
from tests.reference.shorthand import APP, T, bought, click
from tests.support.clock import SetClock

OUT_OF_THE_BOX: Json = {
    "lookback_window_days": 7,
    "interactions": {
        kind: {"counts": True, "window_days": None}
        for kind in ("email.click", "email.open", "push.opened_notification", "journey.step")
    },
    "custom_interactions": [],
    "machine_opens": {"ignore": False, "user_agents": ["Mozilla/5.0"]},
    "events": {"included": None, "excluded": []},
    "value": {
        "price_metric": "price",
        "quantity_metric": None,
        "currency_attribute": "currency",
        "default_currency": "USD",
        "refund_types": ["refund"],
        "currencies": [],
    },
    "username_attribute": "username",
    "cognito": {"enabled": True, "user_pool_id": None, "attribute": None},
    "retention_days": None,
    "time_zone": "UTC",
}

CHANGED: Json = {
    "lookback_window_days": 0.5,
    "interactions": {
        "email.click": {"counts": True, "window_days": 30},
        "email.open": {"counts": False, "window_days": None},
        "push.opened_notification": {"counts": True, "window_days": None},
        "journey.step": {"counts": True, "window_days": 0.25},
    },
    "custom_interactions": [
        {"event_type": "sms_link", "journey_attribute": "journey", "channel": "sms", "window_days": 1},
    ],
    "machine_opens": {"ignore": True, "user_agents": ["Bot/1", "Mozilla/5.0"]},
    "events": {"included": ["_monetization.purchase", "purchase"], "excluded": ["page_view"]},
    "value": {
        "price_metric": "cost",
        "quantity_metric": "count",
        "currency_attribute": "cur",
        "default_currency": "EUR",
        "refund_types": [],
        "currencies": ["POINTS"],
    },
    "username_attribute": "login",
    "cognito": {"enabled": True, "user_pool_id": "eu-west-1_Other9", "attribute": "custom:journey"},
    "retention_days": 730,
    "time_zone": "UTC",
}


@pytest.fixture
def application(scene: Scene, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> str:
    permitted = PermittedDestinations(["eu-west-1_Other9"], ["custom:journey"])
    monkeypatch.setattr(wiring, "permitted_destinations", lambda: permitted)
    clock.time = T
    return scene.application


def get(application: str) -> Versioned:
    return ask("GET", application, "settings")


def put(application: str, body: object, match: str | None = None) -> Versioned:
    return ask("PUT", application, "settings", body, match=match)


def history(application: str, query: str = "") -> Any:
    found = ask("GET", application, f"settings/history{query}")
    assert found.status == 200, found
    return found.body


def changed(*path: str | int, to: object) -> Json:
    """The document out of the box with one value changed, under its path."""
    document: Any = copy.deepcopy(OUT_OF_THE_BOX)
    at = document
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = to
    result: Json = document
    return result


def test_out_of_the_box(application: str) -> None:
    assert get(application) == (200, {**OUT_OF_THE_BOX, "version": 0, "waiting": []}, '"0"')


def test_a_document_is_saved_whole(application: str) -> None:
    expected = {**CHANGED, "version": 1, "waiting": []}
    assert put(application, CHANGED) == (200, expected, '"1"')
    assert get(application) == (200, expected, '"1"')


def test_what_get_answers_may_be_put_back_and_changes_nothing(application: str, clock: SetClock) -> None:
    put(application, CHANGED)
    put(application, {**changed("time_zone", to="Asia/Tokyo"), "effective_from": to_iso(T - DAY)})
    put(application, {**changed("events", "excluded", to=["view"]), "effective_from": to_iso(T + 9 * DAY)})
    shown = get(application)
    assert shown.body["version"] == 3
    assert shown.body["waiting"]
    clock.time = T + DAY
    stored = wiring.settings().get(application)
    assert put(application, shown.body, shown.etag) == shown
    assert wiring.settings().get(application) == stored
    assert len(history(application)["items"]) == 3


def test_it_holds_for_what_happens_from_now_on(scene: Scene, application: str, clock: SetClock) -> None:
    clock.time = T + DAY
    scene.tell(click("j1", T), bought(T + DAY - 1))
    put(application, changed("events", "excluded", to=["purchase"]))
    clock.time = T + 2 * DAY
    scene.tell(bought(T + DAY), bought(T + DAY + 1))
    assert scene.journeys() == {T + DAY - 1: "j1"}
    assert scene.report().total.by_type() == {"purchase": 1}


def test_what_reaches_back_is_credited_as_it_was_counted(scene: Scene, application: str, clock: SetClock) -> None:
    # R13: decided again by a touch that comes late, the event of the past is still one.
    clock.time = T + DAY
    scene.tell(bought(T + 10))
    found = put(application, {**changed("events", "excluded", to=["purchase"]), "effective_from": to_iso(T)})
    assert found.body["waiting"] == [
        {
            "effective_from": to_iso(T),
            "holds": "rebuild",
            "changes": [{"field": "events.excluded", "from": [], "to": ["purchase"], "holds": "rebuild"}],
        }
    ]
    scene.tell(click("j1", T))
    assert scene.journeys() == {T + 10: "j1"}
    assert scene.report().unattributed.by_type() == {}


def test_it_tells_what_waits_for_its_time(application: str, clock: SetClock) -> None:
    later = to_iso(T + DAY)
    body = put(application, {**changed("lookback_window_days", to=1), "effective_from": later}).body
    assert body["lookback_window_days"] == 7
    change = {"field": "lookback_window_days", "from": 7, "to": 1, "holds": "later"}
    assert body["waiting"] == [{"effective_from": later, "holds": "later", "changes": [change]}]
    clock.time = T + DAY
    assert get(application).body == {**changed("lookback_window_days", to=1), "version": 1, "waiting": []}


def test_a_time_zone_waits_for_a_rebuild(application: str) -> None:
    body = put(application, changed("time_zone", to="Europe/Berlin")).body
    assert body["time_zone"] == "Europe/Berlin"
    change = {"field": "time_zone", "from": "UTC", "to": "Europe/Berlin", "holds": "rebuild"}
    assert body["waiting"] == [{"effective_from": None, "holds": "rebuild", "changes": [change]}]


def test_a_currency_is_kept_in_capitals(application: str) -> None:
    assert put(application, changed("value", "default_currency", to=" eur ")).body["value"]["default_currency"] == "EUR"


REFUSED: dict[str, tuple[Json, str]] = {
    "a window of none": (changed("lookback_window_days", to=0), "lookback_window_days must be a number of days "),
    "a window of text": (changed("lookback_window_days", to="7"), "lookback_window_days must be a number of days "),
    "an own window of a year and more": (
        changed("interactions", "email.open", "window_days", to=366),
        "interactions.email.open.window_days must be a number of days from 0.0007 (one minute) to 365, not 366.",
    ),
    "a switch of text": (
        changed("interactions", "journey.step", "counts", to="yes"),
        "interactions.journey.step.counts",
    ),
    "a kind that there is not": (
        changed("interactions", "sms.click", to={}),
        "There is no interactions.sms.click to set",
    ),
    "a custom interaction of Pinpoint's own": (
        changed("custom_interactions", to=[{"event_type": "_email.delivered"}]),
        "custom_interactions[0].event_type must be a type of events",
    ),
    "a custom interaction called as a kind": (
        changed("custom_interactions", to=[{"event_type": "email.open"}]),
        "A custom interaction cannot be called email.open, as one of Pinpoint's own is.",
    ),
    "a custom interaction named twice": (
        changed("custom_interactions", to=[{"event_type": "sms"}, {"event_type": "sms"}]),
        "custom_interactions must not name sms twice.",
    ),
    "its window": (
        changed("custom_interactions", to=[{"event_type": "sms", "window_days": -1}]),
        "custom_interactions[0].window_days must be a number of days",
    ),
    "a user agent of none": (
        changed("machine_opens", "user_agents", to=[""]),
        "machine_opens.user_agents[0] must be text",
    ),
    "events of Pinpoint's own": (
        changed("events", "included", to=["_session.start"]),
        "events.included[0] must be a type",
    ),
    "events that are no list": (changed("events", "excluded", to=None), "events.excluded must be a list"),
    "too many": (changed("events", "excluded", to=["a"] * 201), "events.excluded must be a list of 0 to 200 items"),
    "a metric with a control character": (
        changed("value", "price_metric", to="a\n"),
        "value.price_metric must be text",
    ),
    "a metric of 257 bytes": (changed("value", "quantity_metric", to="x" * 257), "value.quantity_metric must be text"),
    "a currency of two": (changed("value", "default_currency", to="EU"), "value.default_currency must be a currency"),
    "a currency of 17": (
        changed("value", "default_currency", to="E" * 17),
        "value.default_currency must be a currency",
    ),
    "refunds of a number": (changed("value", "refund_types", to=[1]), "value.refund_types[0] must be a type of events"),
    "a blank attribute": (changed("username_attribute", to=" "), "username_attribute must be text"),
    "a pool that is none": (changed("cognito", "user_pool_id", to="mine"), "cognito.user_pool_id must be the id of a"),
    "a standard attribute": (changed("cognito", "attribute", to="email"), "cognito.attribute must be an attribute of"),
    "no days of retention": (changed("retention_days", to=0), "retention_days must be a whole number from 1 to 36500"),
    "half a day": (
        changed("retention_days", to=1.5),
        "retention_days must be a whole number from 1 to 36500, not 1.5.",
    ),
    "a zone that there is not": (
        changed("time_zone", to="Europe/Berlyn"),
        "time_zone must be a time zone's name in the IANA database such as Europe/Berlin, not Europe/Berlyn.",
    ),
    "a zone of the machine": (changed("time_zone", to="localtime"), "time_zone must be a time zone's name"),
    "a zone that is a path": (changed("time_zone", to="../UTC"), "time_zone must be a time zone's name"),
    "a zone that is a folder": (changed("time_zone", to="Europe"), "time_zone must be a time zone's name"),
    "a time that is none": (changed("effective_from", to="soon"), "effective_from must be an ISO-8601 date or time"),
    "something unknown": (changed("windows", to=7), "There is no windows to set; there are lookback_window_days, "),
}


@pytest.mark.parametrize(("body", "says"), REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused_by_name_and_saves_nothing(body: Json, says: str, application: str) -> None:
    assert refusal(Api(application).put("settings", body)).startswith(says)
    assert get(application).body["version"] == 0


@pytest.mark.parametrize("name", OUT_OF_THE_BOX)
def test_a_document_is_whole(name: str, application: str) -> None:
    # What is left out is not taken for its default: that would set aside what somebody had set.
    body = {field: value for field, value in OUT_OF_THE_BOX.items() if field != name}
    assert refusal(Api(application).put("settings", body)) == f"{name} is missing."


def test_what_was_read_is_changed_and_nothing_else(application: str) -> None:
    read = get(application)
    assert put(application, CHANGED, read.etag).status == 200
    lost = put(application, OUT_OF_THE_BOX, read.etag)
    assert (lost.status, lost.etag) == (412, '"1"')
    assert lost.body["detail"] == "The settings changed meanwhile: version 1 by now. Read again."
    assert get(application).body["lookback_window_days"] == 0.5
    assert put(application, OUT_OF_THE_BOX, '"0", "1"').status == 200
    assert put(application, CHANGED, "*").status == 200


@pytest.mark.parametrize("match", ['W/"0"', '"zero"', '"00000000000000000000"', '""'])
def test_a_tag_that_is_no_version_matches_nothing(match: str, application: str) -> None:
    assert put(application, CHANGED, match).status == 412


@pytest.mark.parametrize("match", ["0", "", '"0', '"0" "1"'])
def test_what_is_no_tag_is_refused(match: str, application: str) -> None:
    assert put(application, CHANGED, match).status == 400
    assert get(application).body["version"] == 0


def test_the_loser_of_a_race_is_told(application: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Catches: the version compared when it is read, and not when it is written.
    store = wiring.settings()
    transact = wiring.views().transact
    raced = False

    def overtaken(operations: Any) -> None:
        nonlocal raced
        if not raced:
            raced = True
            store.change(application, lambda old: old.with_window(Window(old.window_at(0).days * 2, 0)))
        transact(operations)

    monkeypatch.setattr(wiring.views(), "transact", overtaken)
    assert put(application, CHANGED, '"0"').status == 412
    assert store.get(application).window_at(T).days == 14


def test_a_rebuild_takes_no_version_and_loses_no_change(application: str) -> None:
    read = get(application)
    wiring.settings().change(application, lambda old: msgspec.structs.replace(old, building=1, newest_generation=1))
    assert put(application, CHANGED, read.etag).status == 200
    wiring.settings().change(application, lambda old: msgspec.structs.replace(old, building=None, generation=1))
    assert get(application).body == {**CHANGED, "version": 1, "waiting": []}
    assert wiring.settings().get(application).generation == 1


def test_the_history_says_who_changed_what_and_when(application: str, clock: SetClock) -> None:
    put(application, changed("events", "excluded", to=["view"]))
    clock.time = T + DAY
    body = changed("lookback_window_days", to=1) | {"retention_days": 9, "effective_from": to_iso(T)}
    put(application, body)
    assert history(application) == {
        "items": [
            {
                "version": 2,
                "time": to_iso(T + DAY),
                "by": "subject-1",
                "effective_from": to_iso(T),
                "changes": [
                    {"field": "lookback_window_days", "from": 7, "to": 1, "holds": "rebuild"},
                    {"field": "events.excluded", "from": ["view"], "to": [], "holds": "rebuild"},
                    {"field": "retention_days", "from": None, "to": 9, "holds": "now"},
                ],
            },
            {
                "version": 1,
                "time": to_iso(T),
                "by": "subject-1",
                "effective_from": to_iso(T),
                "changes": [{"field": "events.excluded", "from": [], "to": ["view"], "holds": "now"}],
            },
        ],
        "next_cursor": None,
    }


def test_the_short_form_has_the_same_history_and_versions(application: str) -> None:
    first = ask("PUT", application, "lookback-window", {"days": 3}, match='"0"')
    assert (first.status, first.etag) == (200, '"1"')
    assert ask("PUT", application, "lookback-window", {"days": 4}, match='"0"').status == 412
    assert ask("GET", application, "lookback-window").etag == get(application).etag == '"1"'
    assert get(application).body == {**changed("lookback_window_days", to=3), "version": 1, "waiting": []}
    change = {"field": "lookback_window_days", "from": 7, "to": 3, "holds": "now"}
    assert [one["changes"] for one in history(application)["items"]] == [[change]]


def test_the_history_comes_in_pages(application: str, clock: SetClock) -> None:
    for days in range(1, 6):
        clock.time = T + days
        put(application, changed("lookback_window_days", to=days))
    versions: list[int] = []
    cursors: list[str | None] = []
    query = "?limit=2"
    for _ in range(3):
        page = history(application, query)
        versions += [one["version"] for one in page["items"]]
        cursors.append(page["next_cursor"])
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert versions == [5, 4, 3, 2, 1]
    assert [one is None for one in cursors] == [False, False, True]


def test_applications_share_neither_settings_nor_history(application: str) -> None:
    put(application, CHANGED)
    other = f"{application}x"
    assert get(other).body["version"] == 0
    assert history(other)["items"] == []


def test_a_viewer_reads_and_only_an_admin_saves(application: str) -> None:
    viewer, marketer = ("viewers", "app:*"), ("marketers", "app:*")
    assert ask("GET", application, "settings", groups=viewer).status == 200
    assert ask("GET", application, "settings/history", groups=viewer).status == 200
    for groups in (viewer, marketer):
        assert ask("PUT", application, "settings", CHANGED, groups=groups).status == 403
        assert ask("PUT", application, "lookback-window", {"days": 3}, groups=groups).status == 403
    assert wiring.settings().get(application) == Settings()


def test_an_ordinary_document_may_be_changed_on_and_on(application: str, clock: SetClock) -> None:
    # Catches: whole versions beside each other, whose 53rd was refused.
    names = [f"event_type_{at}" for at in range(200)]
    for at in range(70):
        clock.time = T + at
        answer = put(application, changed("events", "excluded", to=names[at:]))
        assert answer.status == 200, at
    assert len(history(application, "?limit=100")["items"]) == 70


def unrelated(number: int) -> list[str]:
    """Event types that no compression makes shorter."""
    chance = random.Random(number)
    return [f"{chance.getrandbits(800):0200x}" for _ in range(200)]


def test_there_is_an_end_to_versions_and_a_way_on(application: str, clock: SetClock) -> None:
    # Catches: an item that outgrows DynamoDB's limit, which would be an error that nobody understands.
    found: list[Versioned] = []
    while not found or found[-1].status == 200:
        clock.time = T + len(found)
        found.append(put(application, changed("events", "excluded", to=unrelated(len(found)))))
        assert len(found) < 20
    assert found[-1].status == 409
    assert found[-1].body["detail"] == (
        "The versions of these settings would take more than 90 kB. Save a document whose effective_from lies before "
        "some of them, which it replaces, then rebuild the views; or name fewer types, user agents and custom "
        "interactions."
    )
    # As the sentence says.
    replacing = changed("events", "excluded", to=["page_view"]) | {"effective_from": "2026-03-01"}
    assert put(application, replacing).status == 200
    assert put(application, changed("events", "excluded", to=unrelated(20))).status == 409
    wiring.settings().change(application, lambda old: msgspec.structs.replace(old, generation=1, newest_generation=1))
    assert put(application, changed("events", "excluded", to=unrelated(21))).status == 200


def test_a_document_has_a_size_at_which_its_change_can_still_be_shown(application: str) -> None:
    names = [f"{at:03d}{'x' * 250}" for at in range(200)]
    large = changed("events", "excluded", to=names)
    assert put(application, large).status == 200
    large["value"]["refund_types"] = names
    assert refusal(Api(application).put("settings", large)) == (
        "The document must have at most 60 kB: it must name fewer event types, user agents and custom interactions."
    )


def test_of_what_waits_the_first_changes_are_shown(application: str) -> None:
    for day in range(30):
        planned = changed("lookback_window_days", to=day + 1) | {"effective_from": f"2027-01-{day + 1:02d}"}
        assert put(application, planned).status == 200
    found = get(application).body["waiting"]
    assert [one["effective_from"] for one in found] == [f"2027-01-{day + 1:02d}T00:00:00.000Z" for day in range(20)]


# --- a destination ---


@pytest.mark.parametrize(
    ("field", "given", "sentence"),
    [
        (
            "attribute",
            "custom:role",
            "cognito.attribute custom:role is not among the attributes that the deployment permits.",
        ),
        (
            "user_pool_id",
            "eu-west-1_Strange",
            "cognito.user_pool_id eu-west-1_Strange is not among the pools that the deployment permits.",
        ),
    ],
)
def test_a_destination_that_the_deployment_does_not_permit_is_refused(
    field: str, given: str, sentence: str, application: str
) -> None:
    assert refusal(Api(application).put("settings", changed("cognito", field, to=given)), 422) == sentence
    assert wiring.settings().get(application) == Settings()


# --- the attribute of the user name ---


def test_another_attribute_of_the_user_name_holds_for_all_times_before_the_first_facts(application: str) -> None:
    assert put(application, changed("username_attribute", to="login")).status == 200
    settings = wiring.settings().get(application)
    assert (settings.username_attribute_at(0), settings.username_attribute_at(T)) == ("login", "login")


def test_and_from_now_on_once_there_are_facts(scene: Scene, application: str, clock: SetClock) -> None:
    scene.hear(event(APP, "purchase", T - 5, client_id="e1"))
    clock.time = T + 10
    answer = put(application, changed("username_attribute", to="login"))
    assert (answer.status, answer.body["username_attribute"]) == (200, "login")
    settings = wiring.settings().get(application)
    assert [settings.username_attribute_at(at) for at in (0, T + 9, T + 10)] == ["username", "username", "login"]


def test_facts_that_come_while_it_is_saved_count(
    scene: Scene, application: str, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Catches: facts that are read by the former attribute, and by the new one when they are replayed.
    transact = Table.transact

    def late(table: Table, operations: Any) -> None:
        monkeypatch.setattr(Table, "transact", transact)
        scene.hear(event(APP, "purchase", T - 5, client_id="e1"))
        table.transact(operations)

    monkeypatch.setattr(Table, "transact", late)
    assert put(application, changed("username_attribute", to="login")).status == 200
    assert wiring.settings().get(application).username_attribute_at(T - 5) == "username"


# --- one way of changing the window ---


@pytest.mark.parametrize("days_before", [2, 20])
@pytest.mark.parametrize("path", ["settings", "lookback-window"])
def test_a_window_that_reaches_back_is_the_same_by_both_ways(
    path: str, days_before: int, application: str, clock: SetClock
) -> None:
    def save(days: int, **more: str) -> None:
        bodies: dict[str, Json] = {
            "settings": changed("lookback_window_days", to=days),
            "lookback-window": {"days": days},
        }
        assert ask("PUT", application, path, bodies[path] | more).status == 200

    clock.time = T - 10 * DAY
    save(14)
    clock.time = T
    save(30, effective_from="2026-04-20")  # planned, so it stays
    save(3, effective_from=to_iso(T - days_before * DAY))
    settings = wiring.settings().get(application)
    start = T - days_before * DAY
    before = 7 if days_before == 20 else 14
    found = [settings.window_at(time).days for time in (start - 1, start, T - 5 * DAY, T, from_iso("2026-04-20"))]
    assert found == [before, 3, 14 if days_before == 2 else 3, 3, 30]
    (newest,) = history(application, "?limit=1")["items"]
    (change,) = newest["changes"]
    assert (change["field"], change["from"], change["to"], change["holds"]) == (
        "lookback_window_days",
        before,
        3,
        "rebuild",
    )
