"""What is counted, by records whose fate the rules say; and that whatever is watched is there to be watched."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.api.calls import call, encoded
from tests.observability.emitted import Handlers, Metric, own
from tests.observability.template import (
    alarms,
    dashboard_metrics,
    dashboard_text,
    dashboard_variables,
    metrics_of,
    resources,
)
from tests.reference.facts import Step
from tests.reference.records import encode, endpoint, event, of_no_use, send, step
from tests.reference.shorthand import APP, HOUR, WEEK, T, click
from tests.support.clock import SetClock
from tests.support.renaming import renamed

AWS = {
    # As AWS documents them, with the dimensions that it tells them by.
    "AWS/Lambda": (
        {"Errors", "Throttles", "Invocations", "Duration", "IteratorAge"},
        [{"FunctionName"}],
    ),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"}, [{"QueueName"}]),
    "AWS/Kinesis": (
        {"IncomingRecords", "IncomingBytes", "WriteProvisionedThroughputExceeded"},
        [{"StreamName"}],
    ),
    "AWS/DynamoDB": (
        {
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
        },
        [{"TableName"}, {"TableName", "GlobalSecondaryIndexName"}],
    ),
    "AWS/ApiGateway": ({"4XXError", "5XXError", "Latency"}, [{"ApiName", "Stage"}]),
}


def told(handlers: Handlers, *records: Any) -> list[bytes]:
    return [encode(renamed(one, handlers.scene.suffix)) for one in records]  # type: ignore[arg-type]


def test_each_record_that_comes_in_is_counted_as_one_thing(handlers: Handlers) -> None:
    purchase = event(APP, "purchase", T, client_id="e1")
    batch = told(handlers, purchase, purchase, click("j1", T), of_no_use(APP, "_session.start", T))
    handlers.ingest([*batch, b"hello", b"[]"])
    names = ("RecordsIn", "Facts", "Duplicates", "Skipped", "Quarantined", "Returned")
    assert [handlers.value(name) for name in names] == [6, 2, 1, 1, 2, 0]


def test_credits_are_counted_as_made_moved_and_withdrawn(handlers: Handlers) -> None:
    def after(*records: Any) -> list[float]:
        handlers.text = ""
        handlers.ingest(told(handlers, *records))
        handlers.project()
        return [handlers.value(name) for name in ("CreditsMade", "CreditsMoved", "CreditsWithdrawn")]

    bought = [event(APP, "purchase", T + HOUR * one, client_id="e1") for one in (2, 4)]
    assert after(click("j1", T), *bought) == [2, 0, 0]
    # A newer touch takes the second event (R1); one of the same journey takes nothing.
    assert after(click("j2", T + 3 * HOUR)) == [0, 1, 0]
    assert after(click("j1", T + HOUR)) == [0, 0, 0]
    # Two weeks later nothing is credited; nothing was.
    assert after(event(APP, "purchase", T + 2 * WEEK, client_id="e1")) == [0, 0, 0]


def test_a_credit_that_moves_to_another_user_with_its_endpoint_is_withdrawn_there(handlers: Handlers) -> None:
    handlers.ingest(told(handlers, click("j1", T), event(APP, "purchase", T + 1, client_id="e1")))
    handlers.project()
    handlers.text = ""
    # The link brings touch and event to the user (R6): a credit there, none here any more.
    handlers.ingest(told(handlers, send(APP, "e1", "j1", T - 1, user_name="jane")))
    handlers.project()
    assert (handlers.value("CreditsMade"), handlers.value("CreditsWithdrawn")) == (1, 1)


def test_a_request_is_told_with_its_route_its_time_and_the_class_of_its_status(handlers: Handlers) -> None:
    path = f"/applications/{encoded(handlers.scene.application)}/report"
    assert call("GET", path).status == 200
    assert call("GET", f"{path}?from=nonsense").status == 400
    metrics = handlers.metrics
    by_operation = Metric("JourneyAttribution", "ApiLatency", frozenset({"service", "operation"}))
    assert len(metrics[own("ApiLatency")]) == len(metrics[by_operation]) == 2
    names = ("ApiRequests", "ApiClientErrors", "ApiServerErrors")
    assert [handlers.value(name) for name in names] == [2, 1, 0]
    assert '"operation":"GET /applications/{application}/report"' in handlers.text


@pytest.fixture
def everything(handlers: Handlers, clock: SetClock) -> set[Metric]:
    """All metrics that the handlers write when each of them has something to do."""
    clock.time = T + HOUR
    handlers.scene.system.sync()
    handlers.ingest(told(handlers, send(APP, "e1", "j1", T - 1, user_name="nobody in the pool"), click("j1", T)))
    passed = renamed(step(APP, "j1", {"e2": endpoint()}, at=T), handlers.scene.suffix)
    assert isinstance(passed, Step)
    handlers.invoke("tag_users", dict(passed.payload))
    handlers.project()
    handlers.sync()
    handlers.expire()
    handlers.run_jobs()
    assert call("GET", "/health").status == 200
    return set(handlers.metrics)


def is_of_aws(metric: Metric) -> bool:
    names, dimensions = AWS.get(metric.namespace, (set(), []))
    return metric.name in names and metric.dimensions in dimensions


def test_whatever_an_alarm_or_the_dashboard_looks_at_is_told_by_the_code_or_by_aws(everything: set[Metric]) -> None:
    on_dashboard = dashboard_metrics()
    assert not [one for one in on_dashboard if one not in everything and not is_of_aws(one)]
    assert not [
        (name, one)
        for name, alarm in alarms().items()
        for one in metrics_of(alarm)
        if one not in everything and not is_of_aws(one)
    ]
    # And nothing is told that nobody sees; cold starts are for whoever measures them.
    unseen = everything - on_dashboard
    assert {one.name for one in unseen} <= {"ApiLatency", "ColdStart"}


def looked_at(alarm: Any) -> list[Any]:
    """The metrics of an alarm, with its expression's."""
    return (
        [alarm]
        if "MetricName" in alarm
        else [one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one]
    )


def test_the_service_in_alarms_and_on_the_dashboard_is_the_one_that_functions_tell() -> None:
    # Two stages live in one account, so it is the stack's name, which Lambda tells the function by its environment.
    own_dimensions = [
        dimension
        for alarm in alarms().values()
        for metric in looked_at(alarm)
        if metric["Namespace"] == "JourneyAttribution"
        for dimension in metric["Dimensions"]
    ]
    assert own_dimensions
    assert all(one == {"Name": "service", "Value": {"Ref": "AWS::StackName"}} for one in own_dimensions)
    rows = [
        row for widget in json.loads(dashboard_text())["widgets"] for row in widget["properties"].get("metrics", ())
    ]
    assert {row[3] for row in rows if row[0] == "JourneyAttribution"} == {"${AWS::StackName}"}


def test_the_dashboard_is_json_after_substitution_and_names_only_what_is_there() -> None:
    text = dashboard_text()
    names = set(re.findall(r"\$\{([^}]+)\}", text))
    assert json.loads(re.sub(r"\$\{[^}]+\}", "substituted", text))["widgets"]
    # Functions and the API are Chalice's, so in the merged parts they stand without a type; the package test has them.
    known = set(resources()) | dashboard_variables() | {"AWS::StackName", "AWS::Region"}
    assert {name.split(".")[0] for name in names} <= known
