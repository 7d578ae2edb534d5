"""What users of the system count on, tried from outside on a running ``serve``.

Every expected value is worked out from the rules by hand. Each test has an application of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.support import DAY, HOUR, MINUTE, SECOND, Served, credits, eventually, figures, now
from tests.reference.records import Json, email_click, email_open, event, iso, purchase, send

PAYLOADS = Path(__file__).parents[1] / "payloads"
SHORTEST_DAYS, SHORTEST = 0.0007, 60_480
"""The shortest lookback window, in days and in milliseconds."""


class TestFromClickToRevenue:
    """One click, and events around it, in a window of a minute that ends while the test runs."""

    def test_report_events_cognito_and_the_end_of_the_window(self, served: Served) -> None:
        served.register("jane")
        clicked = now() - 50 * SECOND  # So that the window ends some ten seconds from now.
        for application in ("window", "backwards"):
            served.set_window(application, SHORTEST_DAYS, iso(clicked - HOUR))

        def records(application: str) -> list[Json]:
            return [
                send(application, "jane-mail", "spring", clicked - MINUTE, user_name="jane"),
                event(application, "purchase", clicked - 1, price=5, user_name="jane"),
                email_click(application, "jane-mail", "spring", clicked),
                event(application, "purchase", clicked + 10 * SECOND, price=19.99, user_name="jane"),
                event(application, "purchase", clicked + 20 * SECOND, price=0.1, user_name="jane"),
                purchase(
                    application, clicked + 30 * SECOND, item_price=2.5, quantity=3, currency="EUR", user_name="jane"
                ),
                event(application, "refund", clicked + 40 * SECOND, price=0.2, user_name="jane"),
                event(application, "sign_up", clicked + SHORTEST - 1, user_name="jane"),
                event(application, "sign_up", clicked + SHORTEST, user_name="jane"),
            ]

        served.put(records("window"))
        eventually(lambda: served.campaign_attribute("jane"), "Spring sale", within_s=9)
        campaign = served.user("window", "jane")["campaign"]
        assert campaign == {
            "journey_id": "spring",
            "name": "Spring sale",
            "since": iso(clicked),
            "until": iso(clicked + SHORTEST),
        }
        served.settle()
        report = served.report("window")
        spring = figures(report, "spring")
        assert spring == spring | {
            "journey_id": "spring",
            "name": "Spring sale",
            "sends": 1,
            "touches": {"email.click": 1},
            "reached": 1,
            "converters": 1,
            # Not the purchase a millisecond before the click, nor the sign-up at the end of its window.
            "events": {"_monetization.purchase": 1, "purchase": 2, "refund": 1, "sign_up": 1},
            "revenue": {"EUR": "7.50", "USD": "19.89"},  # 2.5 x 3; 19.99 + 0.1 - 0.2
        }
        assert len(report["journeys"]) == 1
        unattributed, total = report["unattributed"], report["total"]
        assert (unattributed["events"], unattributed["revenue"]) == ({"purchase": 1, "sign_up": 1}, {"USD": "5.00"})
        assert total == total | {
            "events": {"_monetization.purchase": 1, "purchase": 3, "refund": 1, "sign_up": 2},
            "revenue": {"EUR": "7.50", "USD": "24.89"},
        }
        items = served.events("window", journey_id="spring")
        assert [(one["event_type"], one["value"], one["currency"]) for one in items] == [
            ("sign_up", None, None),
            ("refund", "-0.20", "USD"),
            ("_monetization.purchase", "7.50", "EUR"),
            ("purchase", "0.10", "USD"),
            ("purchase", "19.99", "USD"),
        ]
        assert items[-1] == {
            "event_type": "purchase",
            "time": iso(clicked + 10 * SECOND),
            "user": "jane",
            "value": "19.99",
            "currency": "USD",
            "journey_id": "spring",
            "journey_name": "Spring sale",
            "touch": {"time": iso(clicked), "kind": "email.click", "channel": "email"},
            "basis": "touch",
        }

        # A second delivery of everything changes nothing.
        served.put(records("window"))
        served.settle()
        assert served.report("window") == report
        assert served.events("window", journey_id="spring") == items

        # In reverse order, in another application: the same answers.
        served.put(records("backwards")[::-1])
        served.settle()
        eventually(lambda: served.report("backwards"), report)
        assert served.events("backwards", journey_id="spring") == items

        # After the window the attribute is blank, and the credits stay.
        eventually(lambda: served.campaign_attribute("jane"), "", within_s=30)
        assert now() >= clicked + SHORTEST
        histories = [served.user(application, "jane") for application in ("window", "backwards")]
        assert histories[0] == histories[1]
        assert histories[0]["campaign"] is None
        assert served.report("window") == report


def test_events_follow_the_journey_that_was_last_touched(served: Served) -> None:
    """J1, J2, J1: who returns to an earlier journey is that journey's again (R3)."""
    served.register("anna")
    start = now() - 2 * DAY
    served.put(
        [
            send("return", "anna-mail", "j1", start, user_name="anna"),
            email_open("return", "anna-mail", "j1", start + 1 * HOUR),
            event("return", "first", start + 2 * HOUR, user_name="anna"),
            email_click("return", "anna-mail", "j2", start + 3 * HOUR),
            event("return", "second", start + 4 * HOUR, user_name="anna"),
            email_open("return", "anna-mail", "j1", start + 5 * HOUR),
            event("return", "third", start + 6 * HOUR, user_name="anna"),
        ]
    )
    served.settle()
    assert credits(served.events("return")) == [("third", "j1"), ("second", "j2"), ("first", "j1")]
    assert credits(served.events("return", journey_id="j1")) == [("third", "j1"), ("first", "j1")]
    report = served.report("return")
    assert figures(report, "j1")["events"] == {"first": 1, "third": 1}
    assert figures(report, "j2")["events"] == {"second": 1}
    assert [figures(report, journey)["touches"] for journey in ("j1", "j2")] == [{"email.open": 2}, {"email.click": 1}]
    eventually(lambda: served.campaign_attribute("anna"), "j1")
    assert served.user("return", "anna")["campaign"]["journey_id"] == "j1"


USER_NAMES = (
    "under_score",
    "#hash#",
    "two words",
    "žofie.nováková",
    "佐藤雪🙂",
    "jane.doe+news@example.com",
    "path/to/../jane",
    "50%25 & more?x=y",
    "a+b%2Bc",
    '"quoted"@0#n#name',
    "x" * 128,
)


@pytest.fixture(scope="module")
def named(served: Served) -> None:
    """A click and two events of each of the `USER_NAMES`, one of them a day before the click."""
    served.register(*USER_NAMES)
    touched = now() - HOUR
    for number, name in enumerate(USER_NAMES):
        served.put(
            [
                send("names", f"endpoint-{number}", "j1", touched - HOUR, user_name=name),
                email_click("names", f"endpoint-{number}", "j1", touched),
                event("names", "purchase", touched + MINUTE + number, price=number, user_name=name),
                event("names", "purchase", touched - DAY, price=number, user_name=name),
            ],
            shard=number % 2,
        )
    served.settle()


@pytest.mark.usefixtures("named")
class TestUserNames:
    """A user name is any text that Cognito takes, in every place where it turns up."""

    @pytest.mark.parametrize(("number", "name"), list(enumerate(USER_NAMES)), ids=[repr(one) for one in USER_NAMES])
    def test_works_everywhere(self, served: Served, number: int, name: str) -> None:
        listed = [(one["user"], one["value"]) for one in served.events("names", user=name)]
        assert listed == [(name, f"{number}.00")]
        rest = served.events("names", journey_id="unattributed", user=name)
        assert [(one["user"], one["journey_id"]) for one in rest] == [(name, None)]
        history = served.user("names", name)
        assert (history["user"], history["identity"]) == (name, "user_name")
        assert history["campaign"]["journey_id"] == "j1"
        assert [one["journey_id"] for one in history["events"]] == ["j1", None]
        eventually(lambda: served.campaign_attribute(name), "j1")

    def test_each_is_somebody_else(self, served: Served) -> None:
        figure = figures(served.report("names"), "j1")
        assert (figure["reached"], figure["converters"]) == (len(USER_NAMES), len(USER_NAMES))
        assert {one["user"] for one in served.events("names")} == set(USER_NAMES)


class TestEndpoints:
    """E-mail interactions name an endpoint alone; only a send tells whose it is."""

    def test_a_send_that_came_before(self, served: Served) -> None:
        start = now() - DAY
        served.put([send("linked", "e1", "j1", start, user_name="before")])
        served.settle()
        served.put(
            [
                email_open("linked", "e1", "j1", start + HOUR),
                event("linked", "purchase", start + 2 * HOUR, price=3, user_name="before"),
            ]
        )
        served.settle()
        assert credits(served.events("linked", user="before")) == [("purchase", "j1")]
        assert served.user("linked", "e1")["user"] == "before"

    def test_a_send_that_comes_after(self, served: Served) -> None:
        start = now() - DAY
        served.put(
            [
                email_click("linked", "e2", "j2", start + HOUR),
                event("linked", "purchase", start + 2 * HOUR, price=4, user_name="after"),
                event("linked", "from_a_server", start + 3 * HOUR, client_id="e2"),
            ]
        )
        served.settle()
        # Until then the endpoint is a user of its own.
        alone = served.user("linked", "e2")
        assert (alone["user"], alone["identity"], [one["kind"] for one in alone["touches"]]) == (
            "e2",
            "endpoint_id",
            ["email.click"],
        )
        assert credits(alone["events"]) == [("from_a_server", "j2")]
        assert credits(served.user("linked", "after")["events"]) == [("purchase", None)]
        served.put([send("linked", "e2", "j2", start, user_name="after")])
        served.settle()
        linked = served.user("linked", "after")
        assert credits(linked["events"]) == [("from_a_server", "j2"), ("purchase", "j2")]
        assert [one["journey_id"] for one in linked["touches"]] == ["j2"]
        assert served.user("linked", "e2") == linked
        figure = figures(served.report("linked"), "j2")
        assert (figure["reached"], figure["converters"], figure["revenue"]) == (1, 1, {"USD": "4.00"})

    def test_a_send_whose_time_is_after_the_click(self, served: Served) -> None:
        """Without a link at or before it, a fact belongs to the earliest link after it (R6)."""
        start = now() - DAY
        served.put(
            [
                event("linked", "purchase", start + 2 * HOUR, price=5, user_name="later"),
                email_click("linked", "e3", "j3", start + HOUR),
                send("linked", "e3", "j3", start + 3 * HOUR, user_name="later"),
            ]
        )
        served.settle()
        eventually(lambda: credits(served.events("linked", user="later")), [("purchase", "j3")])


def test_a_journey_step_tags_all_its_endpoints(served: Served) -> None:
    """``tag_users`` as Pinpoint invokes it."""
    at = now() - HOUR
    documented = json.loads((PAYLOADS / "constructed-lambda-custom-channel-journey.json").read_text())
    (body,) = documented["Endpoints"].values()
    endpoints = {
        "e1": {**body, "User": {"UserId": "id-1", "UserAttributes": {"username": ["stepper"]}}},
        "e2": {**body, "User": {"UserId": "id-2"}, "ChannelType": "SMS"},
        "e3": {**body, "User": {}, "ChannelType": "CUSTOM"},
    }
    named = {"ApplicationId": "steps", "JourneyId": "step-journey", "ScheduledTime": iso(at), "Endpoints": endpoints}
    payload = {**documented, **named}
    answer = served.client("lambda").invoke(
        FunctionName=served.ready["function_names"]["tag_users"], Payload=json.dumps(payload).encode()
    )
    assert (answer["StatusCode"], answer.get("FunctionError")) == (200, None)
    tagged = {"EventAttributes": {"journey_id": "step-journey", "tagged": "true"}}
    assert json.load(answer["Payload"]) == {"e1": tagged, "e2": tagged, "e3": tagged}

    served.put(
        [
            event("steps", "by_user_name", at + MINUTE, user_name="stepper"),
            event("steps", "by_user_id", at + 2 * MINUTE, user_id="id-2"),
            event("steps", "by_endpoint", at + 3 * MINUTE, client_id="e3"),
            event("steps", "by_the_id_of_the_user_name", at + 4 * MINUTE, user_id="id-1"),
            event("steps", "too_early", at - 1, user_name="stepper"),
        ]
    )
    served.settle()
    touches = [(one["event_type"], one["touch"]) for one in served.events("steps")]
    assert touches == [
        (event_type, {"time": iso(at), "kind": "journey.step", "channel": channel})
        for event_type, channel in (
            ("by_the_id_of_the_user_name", "email"),
            ("by_endpoint", "custom"),
            ("by_user_id", "sms"),
            ("by_user_name", "email"),
        )
    ]
    report = served.report("steps")
    figure = figures(report, "step-journey")
    assert (figure["touches"], figure["reached"], figure["converters"]) == ({"journey.step": 3}, 3, 3)
    assert report["unattributed"]["events"] == {"too_early": 1}
