"""What goes wrong raises the metric that its alarm watches, by the template's names, from what the handlers write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib.functions import CognitoFails
from chalicelib.times import SECOND_MS, SystemClock
from local.lambda_events import windowed
from tests.observability.emitted import Handlers, own
from tests.observability.template import alarms, metrics_of, watched
from tests.projection.scene import Scene
from tests.reference.records import encode, event, send
from tests.reference.shorthand import APP, HOUR, WEEK, T, click
from tests.support.clock import SetClock
from tests.support.faults import Call, Faults, FaultyClient, Killed, faulty_wiring, killed_before
from tests.support.renaming import renamed
from tests.support.system import clear_wiring, moment

Json = dict[str, Any]
FAR = T + 1_000 * WEEK
"""Long after the windows of all other tests."""


def purchases(scene: Scene, number: int) -> list[bytes]:
    return [encode(renamed(event(APP, "purchase", T + one, client_id="e1"), scene.suffix)) for one in range(number)]  # type: ignore[arg-type]


def values(handlers: Handlers, alarm: str) -> list[float]:
    """What the handlers wrote of the one metric that an alarm watches."""
    (metric,) = metrics_of(alarms()[alarm])
    return handlers.metrics.get(metric, [])


def errors_watched(alarm: str, metric: str) -> list[str]:
    """The functions of which an alarm watches a metric of Lambda's."""
    return [
        one["Dimensions"][0]["Value"]["Ref"]
        for one in watched(alarms()[alarm])
        if (one["Namespace"], one["MetricName"]) == ("AWS/Lambda", metric)
    ]


# --- a table that is denied, or takes nothing ---


def denied(call: Call, name: str, request: Json) -> Json:
    raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, name)


def untaken(call: Call, name: str, request: Json) -> Json:
    return {"UnprocessedItems": request["RequestItems"]}


@contextmanager
def failing(operation: str, fault: Callable[[Call, str, Json], Json]) -> Iterator[None]:
    faults = Faults()
    faults.choose = lambda _number, name: fault if name == operation else None
    with faulty_wiring(faults):
        yield


def test_a_consumer_that_is_denied_the_facts_fails_its_invocations(handlers: Handlers) -> None:
    # What moves is Lambda's own metric Errors of the function: an invocation that raises.
    with failing("batch_write_item", denied), pytest.raises(ClientError, match="AccessDenied"):
        handlers.ingest(purchases(handlers.scene, 3))
    assert "IngestEvents" in errors_watched("FunctionErrors", "Errors")
    assert own("Facts") not in handlers.metrics


def test_records_that_a_busy_table_does_not_take_are_counted_as_returned(handlers: Handlers) -> None:
    # No invocation fails: they come again, and the iterator's age, which IngestLate watches, grows.
    with failing("batch_write_item", untaken):
        answer = handlers.ingest(purchases(handlers.scene, 3))
    assert len(answer["batchItemFailures"]) == 1
    assert (handlers.value("RecordsIn"), handlers.value("Returned"), handlers.value("Facts")) == (3, 3, 0)


def test_a_projection_that_is_denied_the_views_fails_and_tells_its_lag(handlers: Handlers, clock: SetClock) -> None:
    handlers.ingest(purchases(handlers.scene, 1))
    clock.time = SystemClock().now() + HOUR
    with failing("transact_write_items", denied), pytest.raises(ClientError, match="AccessDenied"):
        handlers.project()
    assert "ProjectFacts" in errors_watched("FunctionErrors", "Errors")
    (lag,) = values(handlers, "ProjectionLag")
    assert HOUR / SECOND_MS <= lag < HOUR / SECOND_MS + 60
    assert lag > alarms()["ProjectionLag"]["Threshold"]


def test_what_kills_a_function_is_an_error_of_lambda_s_too(handlers: Handlers) -> None:
    with failing("batch_write_item", killed_before), pytest.raises(Killed, match="batch_write_item"):
        handlers.ingest(purchases(handlers.scene, 1))
    functions = {"IngestEvents", "TagUsers", "ProjectFacts", "SyncCampaigns", "ExpireCampaigns", "RunJobs"}
    assert set(errors_watched("FunctionErrors", "Errors")) == functions | {"CheckToken", "APIHandler"}


# --- the quarantine fills ---


def test_a_producer_of_bad_records_raises_the_quarantine_s_rate(handlers: Handlers) -> None:
    handlers.ingest([*purchases(handlers.scene, 30), *(b"hello %d" % one for one in range(10))])
    alarm = alarms()["QuarantineRate"]
    by_id = {one["Id"]: one["MetricStat"]["Metric"] for one in alarm["Metrics"] if "MetricStat" in one}
    quarantined = handlers.value(by_id["quarantined"]["MetricName"])
    records = handlers.value(by_id["records"]["MetricName"])
    assert (quarantined, records) == (10, 40)
    assert alarm["Metrics"][0]["Expression"] == "IF(quarantined >= 10, 100 * quarantined / FILL(records, 1), 0)"
    assert 100 * quarantined / records > alarm["Threshold"]


def test_a_journey_step_of_no_use_is_counted_as_quarantined(handlers: Handlers) -> None:
    handlers.invoke("tag_users", {"Message": {}, "Endpoints": {"e1": {}}})
    assert handlers.value("Quarantined") == 1


# --- Cognito breaks ---


@contextmanager
def breaking_cognito(code: str, message: str = "") -> Iterator[Faults]:
    def refuse(call: Call, name: str, request: Json) -> Json:
        raise ClientError({"Error": {"Code": code, "Message": message}}, name)

    faults = Faults()
    faults.choose = lambda _number, _name: refuse
    made = boto3.client
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                boto3,
                "client",
                lambda name, **rest: (
                    FaultyClient(made(name, **rest), faults) if name == "cognito-idp" else made(name, **rest)
                ),
            )
            clear_wiring()
            yield faults
    finally:
        clear_wiring()


def users_with_campaigns(handlers: Handlers, clock: SetClock, number: int) -> None:
    clock.time = T + HOUR
    handlers.scene.system.views_stream.read()
    for one in range(number):
        at = f"e{one}"
        handlers.scene.hear(send(APP, at, "j1", T - 1, user_name=f"user {one}"), click("j1", T, at))
    handlers.project()


def test_a_cognito_that_throttles_raises_throttles_and_the_campaigns_lag(
    handlers: Handlers, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    users_with_campaigns(handlers, clock, 2)
    clock.time = SystemClock().now() + 3 * HOUR
    left = iter([11_000] * 12)
    monkeypatch.setattr("chalice.local.LambdaContext.get_remaining_time_in_millis", lambda _context: next(left, 9_000))
    with breaking_cognito("TooManyRequestsException"):
        answer = handlers.sync()
    assert len(answer["batchItemFailures"]) == 1
    assert sum(values(handlers, "CognitoThrottled")) >= 1
    (lag,) = values(handlers, "CampaignLag")
    assert 3 * HOUR / SECOND_MS <= lag < 3 * HOUR / SECOND_MS + 60
    assert lag > alarms()["CampaignLag"]["Threshold"]
    assert handlers.value("CampaignsWaiting") == 2


def test_a_pool_without_the_attribute_raises_refusals(handlers: Handlers, clock: SetClock) -> None:
    users_with_campaigns(handlers, clock, 12)
    message = "Attributes did not conform to the schema: custom:campaign: Attribute does not exist in the schema.\n"
    with breaking_cognito("InvalidParameterException", message):
        assert handlers.sync() == {"batchItemFailures": []}
    (refused,) = values(handlers, "CampaignsNotTaken")
    assert refused == 12 >= alarms()["CampaignsNotTaken"]["Threshold"]


def test_a_cognito_that_fails_otherwise_fails_the_invocation(handlers: Handlers, clock: SetClock) -> None:
    users_with_campaigns(handlers, clock, 1)
    records = handlers.scene.system.views_stream.read()
    with breaking_cognito("InternalErrorException"):
        # First the batch comes again from the record that fails; from then on it is the first one, and raises.
        (failed,) = handlers.deliver_to_sync(records)["batchItemFailures"]
        left = [one for one in records if int(one["dynamodb"]["SequenceNumber"]) >= int(failed["itemIdentifier"])]
        with pytest.raises(CognitoFails):
            handlers.deliver_to_sync(left)
    assert "SyncCampaigns" in errors_watched("FunctionErrors", "Errors")
    assert handlers.metrics[own("CampaignsWaiting")] == [1, 1]


# --- windows stay open ---


def test_windows_that_are_closed_late_raise_expiry_s_lag(handlers: Handlers, clock: SetClock) -> None:
    clock.time = FAR
    handlers.expire()  # what other tests left open
    handlers.text = ""
    handlers.scene.tell(click("j1", FAR), click("j1", FAR + 60_000, "e2"))
    clock.time = FAR + WEEK + 600_000
    assert handlers.expire() == {"closed": 2}
    (lag,) = values(handlers, "ExpiryLate")
    assert lag == 600 > alarms()["ExpiryLate"]["Threshold"]


def test_expiry_tells_that_it_ran_also_when_nothing_was_due(handlers: Handlers, clock: SetClock) -> None:
    clock.time = FAR + 10 * WEEK
    handlers.expire()
    handlers.text = ""
    handlers.expire()
    assert values(handlers, "ExpiryLate") == [0]
    # Without a run there is no value, and that is an alarm.
    assert alarms()["ExpiryLate"]["TreatMissingData"] == "breaching"


# --- nothing moves, or too much comes ---


def state(alarm: Json, points: list[float | None], before: str = "OK") -> str:
    """An alarm's state from its last points, as CloudWatch documents it; None is a minute without a value.

    Missing points that are to be ignored leave the state as it is where the others do not decide it.
    """
    last = points[-alarm["EvaluationPeriods"] :]
    there = [point for point in last if point is not None]
    breaching = sum(point > alarm["Threshold"] for point in there)
    if breaching >= alarm["DatapointsToAlarm"]:
        return "ALARM"
    missing = len(last) - len(there)
    if alarm["TreatMissingData"] == "ignore" and breaching + missing >= alarm["DatapointsToAlarm"]:
        return before
    return "OK"


@pytest.mark.parametrize("id_", ["IngestLate", "ProjectLate", "SyncLate", "ProjectionLag", "CampaignLag"])
def test_a_shard_that_makes_no_progress_is_seen_though_it_is_seldom_tried(id_: str) -> None:
    alarm = alarms()[id_]
    stuck = 10.0 * alarm["Threshold"]
    # Lambda waits longer from try to try, and between them come batches of other shards.
    tried: list[float | None] = [stuck, None, None, None, 1, 1, stuck, None, None, None, None, None, None, stuck, 1]
    assert state(alarm, tried) == "ALARM"
    # Nothing was tried since: it does not end by that.
    assert state(alarm, [*tried, *[None] * 15], "ALARM") == "ALARM"
    # It goes on, and is at the end of its backlog.
    assert state(alarm, [*tried, *[1.0] * 15], "ALARM") == "OK"
    # A batch that waited for its turn once is none.
    assert state(alarm, [*[1.0] * 13, stuck, stuck]) == "OK"


def stops(alarm: str, waiting: float, invocations: float | None) -> bool:
    """Whether an alarm's expression is above its threshold."""
    text = alarms()[alarm]["Metrics"][0]["Expression"]
    assert text == "IF(FILL(waiting, 0) > 0 AND FILL(invocations, 0) == 0, 1, 0)"
    return waiting > 0 and (invocations or 0) == 0


def waiting_of(alarm: str) -> Json:
    """The metric of what waits."""
    (found,) = (one["MetricStat"]["Metric"] for one in alarms()[alarm]["Metrics"] if one["Id"] == "waiting")
    metric: Json = found
    return metric


@pytest.mark.parametrize(
    ("alarm", "function"),
    [("ProjectStopped", "ProjectFacts"), ("SyncStopped", "SyncCampaigns"), ("JobsStopped", "RunJobs")],
)
def test_what_is_not_invoked_while_something_waits_raises_an_alarm(alarm: str, function: str) -> None:
    assert errors_watched(alarm, "Invocations") == [function]
    assert stops(alarm, 1, None)
    assert not stops(alarm, 1, 1)
    # A quiet night is no failure.
    assert not stops(alarm, 0, None)


def test_facts_that_come_in_and_campaigns_that_change_are_what_waits(handlers: Handlers, clock: SetClock) -> None:
    clock.time = T + HOUR
    handlers.ingest(purchases(handlers.scene, 2))
    assert handlers.value(waiting_of("ProjectStopped")["MetricName"]) == 2
    handlers.project()
    # Purchases alone change no campaign: then the sync has nothing to do.
    assert handlers.value(waiting_of("SyncStopped")["MetricName"]) == 0
    users_with_campaigns(handlers, clock, 3)
    assert handlers.value(waiting_of("SyncStopped")["MetricName"]) >= 3


def test_jobs_that_wait_are_seen_by_number_and_by_age() -> None:
    assert waiting_of("JobsStopped")["Dimensions"][0]["Value"] == {"Fn::GetAtt": ["Jobs", "QueueName"]}
    late = alarms()["JobsLate"]
    assert (late["MetricName"], late["Statistic"]) == ("ApproximateAgeOfOldestMessage", "Maximum")
    assert late["Dimensions"] == waiting_of("JobsStopped")["Dimensions"]
    # A killed job's message comes again after half an hour: once is no alarm, twice is.
    assert 1_800 < late["Threshold"] <= 2 * 1_800


@pytest.mark.parametrize(
    ("alarm", "value", "currency"),
    [("CurrenciesOther", 5, "BEADS"), ("ValuesOutOfRange", 1e30, "EUR")],
)
def test_what_is_past_a_bound_raises_its_count(handlers: Handlers, alarm: str, value: float, currency: str) -> None:
    bought = event(APP, "purchase", T, client_id="e1", price=value, attributes={"currency": currency})
    handlers.ingest([encode(renamed(bought, handlers.scene.suffix))])  # type: ignore[arg-type]
    handlers.project()
    assert sum(values(handlers, alarm)) == 1 > alarms()[alarm]["Threshold"]
    others = {"CurrenciesOther", "ValuesOutOfRange", "EventTypesCapped", "JourneysCapped", "LinksCapped"} - {alarm}
    assert not [one for one in others if sum(values(handlers, one))]


def test_a_change_that_cannot_be_projected_raises_its_count(handlers: Handlers) -> None:
    handlers.ingest(purchases(handlers.scene, 2))
    system = handlers.scene.system
    system.collect()
    shard = system.ready()[0]
    records = system.take(shard, 10)
    records[-1]["dynamodb"]["NewImage"]["fact"] = {"S": "no fact"}
    handlers.invoke("project_facts", windowed(records, shard, system.stack.facts_stream_arn, moment(), 60))
    assert sum(values(handlers, "RecordsSetAside")) == 1
    assert handlers.value("ChangesProjected") == len(records)


def test_the_largest_item_is_told_and_the_alarm_is_its_bound(handlers: Handlers) -> None:
    handlers.ingest(purchases(handlers.scene, 2))
    handlers.project()
    (largest,) = values(handlers, "LargestItem")
    # Some numbers of a day; I7 allows 100 KB.
    assert 0 < largest < 1_000
    assert alarms()["LargestItem"]["Threshold"] == 100_000
    assert alarms()["LargestItem"]["Statistic"] == "Maximum"
