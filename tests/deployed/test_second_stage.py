"""A second stack in the same account, which reads a stream that is somebody else's."""

from __future__ import annotations

from tests.deployed.deployment import Deployment
from tests.deployed.test_deployed import HOUR, MINUTE, now
from tests.reference.records import email_click, encode, event

APP = "elsewhere"
NAMED_WITHIN_ANOTHER = {"AWS::Cognito::UserPoolGroup", "AWS::ApiGateway::Stage"}
"""Of a pool and an API of the stack's own."""


def test_two_stages_live_beside_each_other_and_one_reads_a_stream_that_was_there(deployed: Deployment) -> None:
    kinesis = deployed.client("kinesis")
    kinesis.create_stream(StreamName="own-events", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="own-events")
    arn = kinesis.describe_stream_summary(StreamName="own-events")["StreamDescriptionSummary"]["StreamARN"]
    second = deployed.beside("second", {"ExistingEventStreamArn": arn})
    second.deploy()

    assert "EventStream" not in second.resources
    assert second.outputs["EventStreamName"] == "own-events"
    # No resource is shared, so none has a name that is fixed: but for the account's own setting.
    shared = {id_ for id_, name in second.resources.items() if name in deployed.resources.values()}
    kinds = {second.processed()[id_]["Type"] for id_ in shared}
    assert kinds <= {"AWS::ApiGateway::Account", *NAMED_WITHIN_ANOTHER}

    started = now() - HOUR
    with second.pumping():
        second.put(
            [
                encode(email_click(APP, "phone", "spring", started)),
                encode(event(APP, "purchase", started + MINUTE, client_id="phone", price=7)),
            ]
        )
        second.settle()
    path = f"/applications/{APP}/report"
    viewer = second.sign_in("reader", "viewers", "app:*")
    told = second.call("GET", path, viewer)
    assert told.status == 200, told
    assert [(one["journey_id"], one["revenue"]) for one in told.body["journeys"]] == [("spring", {"USD": "7.00"})]
    # The first one has not seen it, and its users are others.
    assert deployed.call("GET", path, viewer).status == 401
    other = deployed.call("GET", path, deployed.sign_in("first-reader", "viewers", "app:*"))
    assert (other.status, other.body["total"]["events"]) == (200, {})
