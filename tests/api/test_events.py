"""GET events: by credit, newest first, page by page."""

from __future__ import annotations

import pytest

from chalicelib import wiring
from tests.api.calls import Api, refusal
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.records import event, send
from tests.reference.shorthand import APP, HOUR, WEEK, T, bought, click, opened


@pytest.fixture
def api(scene: Scene) -> Api:
    return Api(scene.application)


def times(items: list[dict[str, object]]) -> list[str]:
    """The times of events, as hours, minutes, seconds and milliseconds of T's day."""
    return [str(item["time"]) for item in items]


def iso(offset: int) -> str:
    """A time a few milliseconds after T."""
    return f"2026-03-28T00:00:00.{offset:03d}Z"


def test_a_credited_event_is_told_in_full(scene: Scene, api: Api) -> None:
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    scene.tell(
        send(APP, "e1", "j1", T - HOUR, user_name="jané"),
        click("j1", T - 5),
        event(APP, "purchase", T + 7, user_name="jané", price=12.5, attributes={"currency": "eur"}),
    )
    assert api.get("events") == (
        200,
        {
            "items": [
                {
                    "event_type": "purchase",
                    "time": "2026-03-28T00:00:00.007Z",
                    "user": "jané",
                    "value": "12.50",
                    "currency": "EUR",
                    "journey_id": "j1",
                    "journey_name": "Spring sale",
                    "touch": {"time": "2026-03-27T23:59:59.995Z", "kind": "email.click", "channel": "email"},
                    "basis": "touch",
                }
            ],
            "next_cursor": None,
        },
    )


def test_without_value_or_name_there_is_null_and_the_id(scene: Scene, api: Api) -> None:
    scene.tell(click("j1", T), bought(T + 1))
    (item,) = api.events()
    assert (item["value"], item["currency"], item["journey_name"]) == (None, None, "j1")


@pytest.mark.parametrize(
    ("price", "value"), [(0, "0.00"), (-3, "-3.00"), (19.99, "19.99"), (0.1, "0.10"), (1e-15, "0.000000000000001")]
)
def test_money_is_text_with_all_its_digits(price: float, value: str, scene: Scene, api: Api) -> None:
    # Catches: JSON numbers, which are floats to whoever reads them.
    scene.tell(click("j1", T), event(APP, "purchase", T + 1, client_id="e1", price=price))
    assert api.events()[0]["value"] == value


def test_an_event_by_its_stamp_has_no_touch(scene: Scene, api: Api) -> None:
    scene.tell(click("Spring sale", T, "e2"), event(APP, "purchase", T + 1, attributes={"Campaign": "Spring sale"}))
    (item,) = api.events()
    assert (item["user"], item["journey_id"], item["touch"], item["basis"]) == (None, "Spring sale", None, "stamp")


def test_an_event_without_credit_is_listed_with_its_user_only(scene: Scene, api: Api) -> None:
    scene.tell(click("j1", T), bought(T + 1), event(APP, "purchase", T - 1, client_id="e1", price=5), bought(T, "e2"))
    assert times(api.events()) == [iso(1)]
    assert api.events(journey_id="unattributed", user="e1") == [
        {
            "event_type": "purchase",
            "time": "2026-03-27T23:59:59.999Z",
            "user": "e1",
            "value": "5.00",
            "currency": "USD",
            "journey_id": None,
            "journey_name": None,
            "touch": None,
            "basis": None,
        }
    ]


def test_all_users_rest_is_refused_and_the_reason_said(api: Api) -> None:
    sentence = refusal(api.get("events", journey_id="unattributed"))
    assert "needs a user" in sentence
    assert "index" in sentence
    assert "double the cost" in sentence


def history(scene: Scene) -> None:
    """Two users, two journeys, two types; and events that nobody is credited with."""
    scene.tell(
        click("j1", T),
        click("j2", T + 10),
        opened("j1", T + 20, "e2"),
        *(event(APP, "purchase" if at % 2 else "sign_up", T + at, client_id="e1") for at in range(-2, 20)),
        *(event(APP, "purchase", T + at, client_id="e2") for at in range(15, 25)),
    )


REST_OF_E2 = {"journey_id": "unattributed", "user": "e2"}

QUERIES: dict[str, tuple[dict[str, str], list[int]]] = {
    # query: the times found, in ms after T
    "all": ({}, [*range(24, 19, -1), *range(19, -1, -1)]),
    "a journey": ({"journey_id": "j2"}, list(range(19, 9, -1))),
    "a journey of two users": ({"journey_id": "j1"}, [24, 23, 22, 21, 20, *range(9, -1, -1)]),
    "an unknown journey": ({"journey_id": "j"}, []),
    "a type": ({"event_type": "sign_up"}, list(range(18, -1, -2))),
    "an unknown type": ({"event_type": "sign"}, []),
    "a user": ({"user": "e2"}, [24, 23, 22, 21, 20]),
    "an unknown user": ({"user": "jane"}, []),
    "from": ({"from_": iso(22)}, [24, 23, 22]),  # from is included
    "to": ({"to": iso(2)}, [1, 0]),  # to is not
    "from and to": ({"from_": iso(18), "to": iso(21)}, [20, 19, 18]),
    "a millisecond": ({"from_": iso(5), "to": iso(6)}, [5]),
    "an offset": ({"from_": "2026-03-28T02:00:00.022+02:00"}, [24, 23, 22]),
    "an offset that was not encoded": ({"from_": "2026-03-28T02:00:00.022 02:00"}, [24, 23, 22]),
    "a day": ({"from_": "2026-03-28", "to": "2026-03-29"}, list(range(24, -1, -1))),
    "after all": ({"from_": iso(25)}, []),
    "a journey, from and to": ({"journey_id": "j2", "from_": iso(11), "to": iso(13)}, [12, 11]),
    "a journey and a type": ({"journey_id": "j1", "event_type": "sign_up"}, [8, 6, 4, 2, 0]),
    "a journey and a user": ({"journey_id": "j1", "user": "e1"}, list(range(9, -1, -1))),
    "a user, a type, from and to": (
        {"user": "e1", "event_type": "purchase", "from_": iso(8), "to": iso(13)},
        [11, 9],
    ),
    "a user's rest": ({"journey_id": "unattributed", "user": "e1"}, [-1, -2]),
    "a user's rest of a type": (REST_OF_E2 | {"event_type": "purchase"}, [19, 18, 17, 16, 15]),
    "a user's rest of another type": (REST_OF_E2 | {"event_type": "sign_up"}, []),
    "a user's rest from and to": (REST_OF_E2 | {"from_": iso(16), "to": iso(18)}, [17, 16]),
    "blank parameters are absent": (
        {"journey_id": "j2", "event_type": "", "user": " ", "from_": "", "to": ""},
        list(range(19, 9, -1)),
    ),
}


@pytest.fixture(scope="module")
def eventful(system: object, clock: object) -> Api:
    scene = Scene(system, clock)  # type: ignore[arg-type]
    history(scene)
    return Api(scene.application)


@pytest.mark.parametrize("limit", ["1", "3", "1000"])
@pytest.mark.parametrize(("query", "found"), QUERIES.values(), ids=QUERIES)
def test_events_are_found_newest_first_whatever_the_page(
    query: dict[str, str], found: list[int], limit: str, eventful: Api
) -> None:
    expected = [iso(at) if at >= 0 else f"2026-03-27T23:59:59.{1000 + at}Z" for at in found]
    assert times(eventful.events(**query, limit=limit)) == expected


def test_a_page_holds_a_hundred_events_unless_it_is_said_otherwise(scene: Scene, api: Api) -> None:
    scene.tell(click("j1", T), *(bought(T + number) for number in range(101)))
    assert len(api.get("events").body["items"]) == 100
    first = api.get("events", limit="7").body
    assert times(first["items"]) == [iso(100 - number) for number in range(7)]
    assert len(api.events(limit="7")) == 101
    # The last page says that it is the last, also where it is full.
    last = api.get("events", limit="101").body
    assert (len(last["items"]), last["next_cursor"]) == (101, None)


def test_events_that_come_between_two_pages_shift_nothing(scene: Scene, api: Api) -> None:
    scene.tell(click("j1", T), *(bought(T + number) for number in range(10)))
    first = api.get("events", limit="5").body
    scene.tell(*(bought(T + number) for number in range(20, 30)))
    second = api.get("events", limit="5", cursor=first["next_cursor"]).body
    # Catches: offsets, by which the first page's events would come again.
    assert times(first["items"] + second["items"]) == [iso(9 - number) for number in range(10)]


def test_events_of_one_millisecond_are_each_told_once(scene: Scene, api: Api) -> None:
    scene.tell(
        click("j1", T),
        click("j2", T, "e2"),
        *(event(APP, f"type {number}", T + 1, client_id=f"e{1 + number % 2}") for number in range(9)),
    )
    # Also where they have no credit, at a time before the touches.
    scene.tell(*(event(APP, f"type {number}", T - 1, client_id="e1") for number in range(9)))
    types = [f"type {number}" for number in range(9)]
    of_e1 = types[::2]
    for query, expected in (
        ({}, types),
        ({"user": "e1"}, of_e1),
        ({"user": "e1", "journey_id": "unattributed"}, types),
    ):
        found = [item["event_type"] for item in api.events(limit="2", **query)]
        assert sorted(found) == expected


def test_an_alias_stands_for_its_user(scene: Scene, api: Api) -> None:
    scene.tell(send(APP, "e1", "j1", T - 1, user_name="jane", user_id="u1"), click("j1", T), bought(T + 1))
    for name in ("jane", "u1", "e1"):
        assert [item["user"] for item in api.events(user=name)] == ["jane"]


# --- cursors ---


def cursor_of(api: Api, **query: str) -> str:
    cursor: str = api.get("events", limit="2", **query).body["next_cursor"]
    return cursor


def test_a_tampered_cursor_is_refused(eventful: Api) -> None:
    cursor = cursor_of(eventful)
    tampered = [cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :] for at in range(len(cursor))]
    for wrong in [*tampered, cursor[:-1], cursor + "A", cursor + "=", "x", "-", "é", "%", "A" * 1_000, "null"]:
        assert "cursor" in refusal(eventful.get("events", cursor=wrong))


FOREIGN: dict[str, dict[str, str]] = {
    "another journey": {"journey_id": "j1"},
    "another type": {"journey_id": "j2", "event_type": "purchase"},
    "another user": {"journey_id": "j2", "user": "e1"},
    "another time": {"journey_id": "j2", "from_": iso(1)},
    "no journey": {},
}


@pytest.mark.parametrize("query", FOREIGN.values(), ids=FOREIGN)
def test_another_query_s_cursor_is_refused(query: dict[str, str], eventful: Api) -> None:
    cursor = cursor_of(eventful, journey_id="j2")
    assert "cursor" in refusal(eventful.get("events", cursor=cursor, **query))


def test_another_application_s_cursor_is_refused(eventful: Api, scene: Scene, api: Api) -> None:
    # I5: a position names no application, so it must be bound to one.
    history(scene)
    assert "cursor" in refusal(api.get("events", cursor=cursor_of(eventful)))


def test_a_cursor_outlives_the_process_that_made_it(eventful: Api) -> None:
    # Catches: a key made when a function starts, so that every other request meets an instance that refuses it.
    cursor = cursor_of(eventful)
    wiring.cursors.cache_clear()
    assert eventful.get("events", cursor=cursor).status == 200


def test_the_size_of_a_page_may_change_on_the_way(eventful: Api) -> None:
    cursor = cursor_of(eventful)
    assert times(eventful.get("events", limit="3", cursor=cursor).body["items"]) == [iso(22), iso(21), iso(20)]


# --- what is refused ---

REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "limit of 0": ({"limit": "0"}, "limit must be"),
    "a negative limit": ({"limit": "-1"}, "limit must be"),
    "a limit too large": ({"limit": "1001"}, "limit must be"),
    "a limit of text": ({"limit": "ten"}, "limit must be"),
    "half a limit": ({"limit": "1.5"}, "limit must be"),
    "a limit with a sign": ({"limit": "+5"}, "limit must be"),
    "a limit in other digits": ({"limit": "٣"}, "limit must be"),
    "a limit of 5,000 digits": ({"limit": "9" * 5_000}, "limit must be"),
    "from of no form": ({"from_": "yesterday"}, "from must be"),
    "to of no form": ({"to": "2026-02-30"}, "to must be"),
    "a number for a time": ({"to": str(T)}, "to must be"),
    "from before all": ({"from_": "1969-12-31"}, "from must be"),
    "to at from": ({"from_": "2026-03-28", "to": "2026-03-28"}, "to must be later"),
    "to before from": ({"from_": "2026-03-28", "to": "2026-03-27"}, "to must be later"),
    "an unknown parameter": ({"journey": "j1"}, "There is no parameter journey"),
    "a journey that can be none": ({"journey_id": "j" * 257}, "journey_id is longer"),
    "a journey with control characters": ({"journey_id": "a\x1fb"}, "journey_id has control characters"),
}


@pytest.mark.parametrize(("query", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_parameter_is_refused_with_a_sentence(query: dict[str, str], sentence: str, eventful: Api) -> None:
    assert refusal(eventful.get("events", **query)).startswith(sentence)


def test_a_parameter_given_twice_is_refused(eventful: Api) -> None:
    answer = eventful.get("events", ("limit", "1"), ("limit", "2"))
    assert refusal(answer) == "limit is given more than once."


@pytest.mark.parametrize("query", [{}, {"journey_id": "unattributed"}, {"journey_id": "j1"}])
def test_a_name_that_nobody_can_have_is_nobody_s(query: dict[str, str], eventful: Api) -> None:
    # Catches: a key that DynamoDB refuses, and an answer of 500.
    assert eventful.events(user="n" * 3_000, **query) == []


def test_applications_see_nothing_of_each_other(eventful: Api, scene: Scene, api: Api) -> None:
    assert api.events() == []
    assert api.events(user="e1") == []
    scene.tell(click("j1", T), bought(T + WEEK - 1))
    assert len(api.events()) == 1
    assert len(eventful.events()) == 25


def test_a_day_without_end_is_asked_for_in_one_piece(scene: Scene, api: Api) -> None:
    scene.tell(click("j1", T), bought(T + DAY - 1), bought(T + DAY))
    assert times(api.events(from_="2026-03-28", to="2026-03-29")) == ["2026-03-28T23:59:59.999Z"]
    assert times(api.events(from_="2026-03-29")) == ["2026-03-29T00:00:00.000Z"]
