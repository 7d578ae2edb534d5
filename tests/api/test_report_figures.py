"""GET report: rates, returns, goals, shares and periods, worked out of the figures by hand."""

from __future__ import annotations

import csv
import io

import pytest
from chalice.test import Client

from app import app
from tests.api.calls import Api, Json, refusal
from tests.projection.scene import Scene
from tests.reference.facts import DAY, Record
from tests.reference.records import event
from tests.reference.shorthand import APP, HOUR, T, click
from tests.support.tokens import ADMIN, bearer, trusting


def sold(
    at: int, price: object, endpoint_id: str = "e1", currency: str = "USD", event_type: str = "purchase"
) -> Record:
    return event(APP, event_type, at, client_id=endpoint_id, price=price, attributes={"currency": currency})


@pytest.fixture(scope="module")
def shop(system: object, clock: object) -> Api:
    """From Saturday 2026-03-28 on: j1 earns 100 USD of two users, j2 30 USD and 10 EUR of one, 60 USD are nobody's."""
    scene = Scene(system, clock)  # type: ignore[arg-type]
    scene.tell(
        *(click("j1", T, f"e{number}") for number in (1, 2, 3, 4)),
        sold(T + HOUR, 50),
        sold(T + 3 * HOUR, 20),
        sold(T + 2 * DAY, 40, "e2"),
        sold(T + 2 * DAY, 10, "e2", event_type="refund"),
        click("j2", T + DAY, "e5"),
        sold(T + DAY + HOUR, 30, "e5"),
        sold(T + DAY + HOUR, 10, "e5", "EUR"),
        sold(T + DAY, 60, "e6"),
    )
    return Api(scene.application)


def journey(api: Api, name: str, **query: str) -> Json:
    answer = api.get("report", **query)
    assert answer.status == 200, answer
    found: Json = next(one for one in answer.body["journeys"] if one["journey_id"] == name)
    return found


def describe(api: Api, name: str, body: Json) -> None:
    answer = api.put(f"journeys/{name}", body)
    assert answer.status == 200, answer


def costing(amount: str, currency: str) -> Json:
    cost = {"amount": amount, "currency": currency}
    return {"name": "Spring sale", "cost": cost, "goal": None, "starts": None, "ends": None}


def test_rates_conversions_and_shares(shop: Api) -> None:
    j1 = journey(shop, "j1")
    assert (j1["reached"], j1["converters"], j1["conversion_rate"]) == (4, 2, "0.5000")
    assert (j1["events"], j1["people"]) == ({"purchase": 3, "refund": 1}, "exact")
    # Of 7 events and 190 USD (50 + 20 + 40 - 10 + 30 + 60).
    assert j1["share"] == {"events": "0.5714", "revenue": {"USD": "0.5263"}}
    assert journey(shop, "j2")["share"] == {"events": "0.2857", "revenue": {"EUR": "1.0000", "USD": "0.1579"}}
    # Delays of 1 h, 3 h, 48 h, 48 h: the second and the fourth, in the middle of their classes.
    times = j1["time_to_conversion"]
    assert times["median_seconds"] == pytest.approx(3 * 3600, rel=1 / 32)
    assert times["p90_seconds"] == pytest.approx(48 * 3600, rel=1 / 32)
    assert (j1["roi"], j1["roas"], j1["cost"], j1["roi_reason"]) == (None, None, None, "No cost is set.")


def test_periods_of_days_and_weeks_have_distinct_users_of_their_own(shop: Api) -> None:
    whole = shop.get("report", from_="2026-03-28", to="2026-03-31", by="day").body
    assert [(one["from"], one["to"]) for one in whole["periods"]] == [
        ("2026-03-28", "2026-03-29"), ("2026-03-29", "2026-03-30"), ("2026-03-30", "2026-03-31"),
    ]  # fmt: skip
    by_day = [{one["journey_id"]: one["converters"] for one in period["journeys"]} for period in whole["periods"]]
    assert by_day == [{"j1": 1}, {"j2": 1}, {"j1": 1}]
    # Sunday ends the first week.
    weeks = shop.get("report", from_="2026-03-28", to="2026-03-31", by="week").body["periods"]
    assert [(one["from"], one["to"]) for one in weeks] == [("2026-03-28", "2026-03-30"), ("2026-03-30", "2026-03-31")]
    assert [one["total"]["events"] for one in weeks] == [{"purchase": 5}, {"purchase": 1, "refund": 1}]
    without_bounds = shop.get("report", by="day").body["periods"]
    assert [one["from"] for one in without_bounds] == ["2026-03-28", "2026-03-29", "2026-03-30"]


def test_periods_add_up_to_the_whole(shop: Api) -> None:
    body = shop.get("report", by="day").body
    for name in ("total", "unattributed", "application"):
        summed: dict[str, int] = {}
        for period in body["periods"]:
            for kind, number in period[name]["events"].items():
                summed[kind] = summed.get(kind, 0) + number
        assert summed == body[name]["events"]


def test_by_the_day_of_the_touch(shop: Api) -> None:
    body = shop.get("report", from_="2026-03-28", to="2026-03-29", date="touch").body
    (j1,) = body["journeys"]
    assert (j1["revenue"], j1["converters"], j1["conversion_rate"]) == ({"USD": "100.00"}, 2, "0.5000")
    assert (body["date"], body["total"], body["unattributed"]) == ("touch", None, None)
    assert (j1["time_to_conversion"], j1["stamps"]) == (None, None)
    assert j1["share"] == {"events": "1.0000", "revenue": {"USD": "1.0000"}}


def test_cost_goal_and_returns(scene: Scene) -> None:
    scene.tell(click("j1", T), sold(T + 1, 80), sold(T + 2, 20), sold(T + 3, 5, event_type="refund"))
    scene.tell(click("j2", T, "e2"), sold(T + 1, 10, "e2"), click("j3", T, "e3"), sold(T + 1, 999, "e3"))
    api = Api(scene.application)
    describe(
        api, "j1",
        {
            **costing("40", "USD"), "name": "Spring", "starts": "2026-03-01T00:00:00Z",
            "goal": {"event_type": "purchase", "target_count": 8,
                     "target_revenue": {"amount": "200.00", "currency": "USD"}},
        },
    )  # fmt: skip
    describe(api, "j2", costing("20", "USD"))
    j1 = journey(api, "j1")
    # 95 earned on 40; 40 for 2 purchases.
    assert (j1["name"], j1["roi"], j1["roas"], j1["cost_per_conversion"]) == ("Spring", "1.3750", "2.3750", "20.0000")
    assert (j1["starts"], j1["ends"], j1["roi_reason"]) == ("2026-03-01T00:00:00.000Z", None, None)
    # 2 of 8 purchases, 100 of 200 dollars: the lesser counts.
    assert j1["goal"] == {
        "event_type": "purchase", "events": 2, "target_count": 8,
        "target_revenue": {"amount": "200.00", "currency": "USD"}, "revenue": {"amount": "100.00", "currency": "USD"},
        "progress": "0.2500",
    }  # fmt: skip
    # Over j1 and j2, which have a cost: 105 earned on 60, not the mean of 2.375 and 0.5; j3 has none.
    application = api.get("report").body["application"]
    assert (application["cost"], application["roas"], application["roi"]) == (
        {"amount": "60.00", "currency": "USD"}, "1.7500", "0.7500",
    )  # fmt: skip
    assert application["revenue"] == {"USD": "1104.00"}


def test_a_cost_in_another_currency_has_no_roi_and_says_why(scene: Scene) -> None:
    scene.tell(click("j1", T), sold(T + 1, 80))
    api = Api(scene.application)
    describe(api, "j1", costing("40", "EUR"))
    j1 = journey(api, "j1")
    assert (j1["roi"], j1["roas"]) == (None, None)
    assert j1["roi_reason"] == "Revenue is in USD, the cost in EUR; amounts are never converted."


def test_what_a_journey_cost_counts_also_when_nothing_came_of_it(scene: Scene) -> None:
    api = Api(scene.application)
    describe(api, "j9", costing("7", "USD"))
    j9 = journey(api, "j9")
    assert (j9["converters"], j9["roi"], j9["conversion_rate"]) == (0, "-1.0000", None)
    assert api.get("report").body["application"]["roi"] == "-1.0000"


def test_a_report_as_a_file_for_a_spreadsheet(shop: Api) -> None:
    with trusting(), Client(app) as client:
        headers = {**bearer(*ADMIN), "Accept": "text/csv"}
        answer = client.http.get(f"{shop.root}/report?by=day", headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))
    told = [(row["from"], row["journey_id"], row["events purchase"], row["revenue USD"]) for row in rows]
    assert told == [
        ("2026-03-28", "j1", "2", "70.00"), ("2026-03-29", "j2", "2", "30.00"), ("2026-03-30", "j1", "1", "30.00"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"by": "month"}, "by must be one of day, week, whole, not month."),
        ({"date": "arrival"}, "date must be one of event, touch, not arrival."),
        (
            {"by": "day", "from_": "2020-01-01", "to": "2026-01-01"},
            "A report tells at most 400 periods; give from and to, or by=week.",
        ),
    ],
)
def test_a_wrong_parameter_is_refused_with_a_sentence(query: dict[str, str], sentence: str, shop: Api) -> None:
    assert refusal(shop.get("report", **query)) == sentence
