"""Records into the deployed stream come out of the deployed REST API.

All of it is deployed by CloudFormation, runs from the packaged zip, and has the rights of its own role alone.
API Gateway asks the deployed authorizer, with tokens of the deployed pool. What MiniStack cannot do, and what is done
instead, stands in ``deployment.py``.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from local.lambda_events import scheduled_event
from local.quarantine_store import Store
from tests.deployed.deployment import Deployment, FunctionFailed
from tests.reference.records import email_click, encode, endpoint, event, send

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
LOOKBACK = 7 * DAY
SOON = 20 * SECOND
"""How long after it is told a window is still open, in which it is to be seen in Cognito."""
APP = "deployed"


def now() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


def moment() -> datetime:
    return datetime.now(UTC)


def eventually(look: Callable[[], object], expected: object, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while (found := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == expected


@pytest.fixture(scope="module")
def told(deployed: Deployment) -> int:
    """A history of two customers, and a record that is none; from when on it was told."""
    deployed.register("jane")
    deployed.register("ann")
    began = now()
    start, touched = began - HOUR, began + SOON - LOOKBACK
    deployed.put(
        [
            encode(one)
            for one in (
                send(APP, "phone", "spring", start, user_name="jane"),
                email_click(APP, "phone", "spring", start + MINUTE),
                event(APP, "purchase", start + 2 * MINUTE, client_id="phone", price=12.5),
                b"this is no record",
                send(APP, "tablet", "winter", touched - MINUTE, user_name="ann"),
                email_click(APP, "tablet", "winter", touched),
            )
        ]
    )
    deployed.settle()
    assert deployed.campaign("ann") == "winter"
    return began


@pytest.fixture(scope="module")
def viewer(deployed: Deployment) -> str:
    return deployed.sign_in("viewer", "viewers", "app:*")


@pytest.fixture(scope="module")
def marketer(deployed: Deployment) -> str:
    return deployed.sign_in("marketer", "marketers", "app:*")


def test_without_a_token_nothing_is_told(deployed: Deployment, told: int) -> None:
    assert deployed.call("GET", f"/applications/{APP}/report").status == 401
    assert deployed.call("GET", f"/applications/{APP}/report", "not.a.token").status == 401
    # What is open to everybody is.
    assert deployed.call("GET", "/health").status == 200


def test_the_report_counts_what_came_through_the_stream(deployed: Deployment, told: int, viewer: str) -> None:
    answer = deployed.call("GET", f"/applications/{APP}/report", viewer)
    assert answer.status == 200, answer
    spring = next(one for one in answer.body["journeys"] if one["journey_id"] == "spring")
    assert (spring["journey_id"], spring["events"], spring["sends"]) == ("spring", {"purchase": 1}, 1)
    assert answer.body["total"]["revenue"] == {"USD": "12.50"}
    (listed,) = deployed.call("GET", f"/applications/{APP}/events", viewer).body["items"]
    assert (listed["event_type"], listed["journey_id"], listed["user"]) == ("purchase", "spring", "jane")


def test_what_a_token_does_not_allow_is_refused(deployed: Deployment, viewer: str) -> None:
    answer = deployed.call("PUT", f"/applications/{APP}/journeys/spring", viewer, {"name": "Spring"})
    assert answer.status == 403, answer


def test_the_record_that_is_none_is_in_quarantine(deployed: Deployment, told: int) -> None:
    # Other tests of this deployment may have quarantined records of theirs.
    store = Store(deployed.client("s3"), deployed.outputs["QuarantineBucketName"])
    received = [line.record.received for batch in store.read_all(store.find()) for line in batch.lines]
    assert received.count(b"this is no record") == 1


def test_cognito_knows_the_campaign_by_its_name(deployed: Deployment, told: int, marketer: str) -> None:
    assert deployed.campaign("jane") == "spring"
    path = f"/applications/{APP}/journeys/spring"
    known = deployed.call("GET", path, marketer)
    answer = deployed.call(
        "PUT", path, marketer, known.body | {"name": "Spring sale"}, **{"If-Match": known.headers["ETag"]}
    )
    assert answer.status == 200, answer
    deployed.put([encode(email_click(APP, "phone", "autumn", now()))])
    deployed.settle()
    deployed.put([encode(email_click(APP, "phone", "spring", now()))])
    deployed.settle()
    assert deployed.campaign("jane") == "Spring sale"


def test_the_journey_step_tags_its_endpoints(deployed: Deployment) -> None:
    payload = {
        "Message": {},
        "Data": "tag",
        "ApplicationId": APP,
        "JourneyId": "stepped",
        "ActivityId": "a",
        "ScheduledTime": "2026-01-01T00:00:00Z",
        "Endpoints": {"watch": endpoint(user_name="joe")},
    }
    answer = deployed.invoke("TagUsers", payload)
    assert answer["watch"]["EventAttributes"]["tagged"] == "true"


def test_an_export_is_a_job_of_the_deployed_queue(deployed: Deployment, told: int, marketer: str) -> None:
    with deployed.working():
        jobs = f"/applications/{APP}/jobs"
        asked = deployed.call("POST", jobs, marketer, {"kind": "export_events"})
        assert asked.status == 202, asked
        path = f"{jobs}/{asked.body['job_id']}"
        eventually(lambda: deployed.call("GET", path, marketer).body["state"], "done")
    result = deployed.call("GET", path, marketer).body["result"]
    assert (result["events"], result["revenue"]) == (1, {"USD": "12.50"})
    s3 = deployed.client("s3")
    (key,) = result["files"]
    content = s3.get_object(Bucket=deployed.outputs["ExportBucketName"], Key=key)["Body"].read()
    assert [json.loads(line)["event_type"] for line in gzip.decompress(content).splitlines()] == ["purchase"]


def test_without_its_shard_the_projection_refuses(deployed: Deployment) -> None:
    with pytest.raises(FunctionFailed, match="tumbling window"):
        deployed.invoke("ProjectFacts", {"Records": []})


def test_a_window_that_has_ended_is_closed_and_cognito_blanked(deployed: Deployment, told: int) -> None:
    while now() <= told + SOON:
        time.sleep(0.2)
    # MiniStack's own schedule may have come first.
    deployed.invoke("ExpireCampaigns", scheduled_event("arn:aws:events:us-east-1:000000000000:rule/due", moment()))
    deployed.settle()
    assert deployed.campaign("ann") == ""
