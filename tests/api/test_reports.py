"""GET report and journeys: what journeys did, by whole UTC days, and what is left."""

from __future__ import annotations

import pytest

from chalicelib import wiring
from tests.api.calls import Answer, Api, Json, refusal
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.records import event, push_opened, send
from tests.reference.shorthand import APP, T, bought, click, opened, tagged


def sold(at: int, price: float, currency: str = "USD", event_type: str = "purchase", endpoint_id: str = "e1") -> object:
    return event(APP, event_type, at, client_id=endpoint_id, price=price, attributes={"currency": currency})


@pytest.fixture(scope="module")
def shop(system: object, clock: object) -> Api:
    """Two days of a shop: 2026-03-28 and the day after."""
    scene = Scene(system, clock)  # type: ignore[arg-type]
    wiring.registry().set_name(scene.application, "j1", "Spring sale")
    scene.tell(
        *(send(APP, f"e{number}", "j1", T) for number in range(1, 4)),
        click("j1", T + 1),
        opened("j1", T + 1),
        opened("j1", T + DAY, "e2"),
        tagged("j2", T + 1, "e3"),
        push_opened(APP, "e3", "j2", T + 2),
        sold(T + 5, 12.5),  # type: ignore[arg-type]
        sold(T + 6, 5, event_type="refund"),  # type: ignore[arg-type]
        sold(T + DAY, 20, "EUR"),  # type: ignore[arg-type]
        sold(T + DAY, 0.005, endpoint_id="e2"),  # type: ignore[arg-type]
        event(APP, "sign_up", T + 9, client_id="e3"),
        sold(T - 1, 3, "gbp"),  # type: ignore[arg-type]
        bought(T, "e4"),
    )
    return Api(scene.application)


def sums(answer: Answer) -> Json:
    """A report without what is worked out of its figures; that is tested in test_report_figures.py."""
    assert answer.status == 200, answer
    body = answer.body
    journeys = [{name: one[name] for name in J1} for one in body["journeys"]]
    return {"journeys": journeys, "unattributed": body["unattributed"], "total": body["total"]}


J1 = {
    "journey_id": "j1",
    "name": "Spring sale",
    "sends": 3,
    "touches": {"email.click": 1, "email.open": 2},
    "reached": 2,
    "converters": 2,
    "events": {"purchase": 3, "refund": 1},
    "revenue": {"EUR": "20.00", "USD": "7.505"},
}
J2 = {
    "journey_id": "j2",
    "name": "j2",
    "sends": 0,
    "touches": {"journey.step": 1, "push.opened_notification": 1},
    "reached": 1,
    "converters": 1,
    "events": {"sign_up": 1},
    "revenue": {},
}


def test_a_report_of_all_days(shop: Api) -> None:
    expected = {
        "journeys": [J1, J2],
        "unattributed": {"events": {"purchase": 2}, "revenue": {"GBP": "3.00"}},
        "total": {
            "events": {"purchase": 5, "refund": 1, "sign_up": 1},
            "revenue": {"EUR": "20.00", "GBP": "3.00", "USD": "7.505"},
        },
    }
    assert sums(shop.get("report")) == expected
    assert sums(shop.get("journeys")) == expected


def test_a_report_of_one_day(shop: Api) -> None:
    second = sums(shop.get("report", from_="2026-03-29", to="2026-03-30"))
    assert second == {
        "journeys": [
            J1
            | {
                "sends": 0,
                "touches": {"email.open": 1},
                "reached": 1,
                "converters": 2,  # e1 was reached the day before
                "events": {"purchase": 2},
                "revenue": {"EUR": "20.00", "USD": "0.005"},
            }
        ],
        "unattributed": {"events": {}, "revenue": {}},
        "total": {"events": {"purchase": 2}, "revenue": {"EUR": "20.00", "USD": "0.005"}},
    }


@pytest.mark.parametrize(
    ("query", "purchases"),
    [
        ({"from_": "2026-03-28", "to": "2026-03-29"}, 2),
        ({"from_": "2026-03-28"}, 4),
        ({"to": "2026-03-28"}, 1),
        # Whole days: a time within a day takes all of it in.
        ({"from_": "2026-03-28T23:00:00Z", "to": "2026-03-29T01:00:00Z"}, 4),
        ({"from_": "2026-03-28T00:00:00Z", "to": "2026-03-29T00:00:00Z"}, 2),
        ({"from_": "2026-03-28T00:00:00Z", "to": "2026-03-29T00:00:00.001Z"}, 4),
        # In Berlin it already was the 29th.
        ({"from_": "2026-03-29T00:30:00+01:00", "to": "2026-03-29T01:00:00+01:00"}, 2),
        ({"from_": "2026-03-30"}, 0),
        ({"to": "1970-01-01"}, 0),
        ({"from_": "1970-01-01", "to": "9999-12-31T23:59:59.999Z"}, 5),
    ],
)
def test_days_are_whole_and_utc(query: dict[str, str], purchases: int, shop: Api) -> None:
    assert shop.get("report", **query).body["total"]["events"].get("purchase", 0) == purchases


def test_an_application_that_nobody_knows_has_an_empty_report(scene: Scene) -> None:
    nothing: dict[str, object] = {"events": {}, "revenue": {}}
    expected = {"journeys": [], "unattributed": nothing, "total": nothing}
    assert sums(Api(scene.application).get("report")) == expected


def test_a_currency_whose_sum_is_zero_is_there_too(scene: Scene) -> None:
    scene.tell(click("j1", T), sold(T + 1, 5), sold(T + 2, 5, event_type="refund"))  # type: ignore[arg-type]
    assert Api(scene.application).get("report").body["journeys"][0]["revenue"] == {"USD": "0.00"}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"from_": "soon"}, "from must be an ISO-8601 date or time, not soon."),
        ({"to": "2026-13-01"}, "to must be an ISO-8601 date or time, not 2026-13-01."),
        ({"from_": "2026-03-28", "to": "2026-03-28"}, "to must be later than from; from is included, to is not."),
        ({"days": "7"}, "There is no parameter days; there are from, to, date, by, journey_id."),
        ({"limit": "7"}, "There is no parameter limit; there are from, to, date, by, journey_id."),
    ],
)
def test_a_wrong_parameter_is_refused_with_a_sentence(query: dict[str, str], sentence: str, shop: Api) -> None:
    assert refusal(shop.get("report", **query)) == sentence
