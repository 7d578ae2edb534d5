"""Who replays and who rebuilds can do so with the policies of the stack, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib.projection.set_aside import SetAsideRecords
from chalicelib.rebuild import Rebuilder
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Table
from chalicelib.times import SystemClock
from local.kinesis_writer import StreamWriter
from local.quarantine_replay import Replayer, StepFunction
from local.quarantine_store import Store
from local.replay import replay
from tests.deployed.deployment import Deployment
from tests.deployed.test_deployed import HOUR, now
from tests.reference.records import email_click, encode, event

APP = "operated"


class Operator:
    """A user of the account with some of the stack's policies."""

    def __init__(self, deployed: Deployment, name: str, *policies: str) -> None:
        iam = deployed.client("iam")
        iam.create_user(UserName=name)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=deployed.outputs[policy])
        key = iam.create_access_key(UserName=name)["AccessKey"]
        self._endpoint = deployed.ministack.endpoint
        self._session = boto3.Session(
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            region_name=deployed.ministack.region,
        )

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self._endpoint)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def replayer(deployed: Deployment) -> Operator:
    return Operator(deployed, "replayer", "ReplayPolicyArn")


@pytest.fixture(scope="module")
def rebuilder(deployed: Deployment) -> Operator:
    return Operator(deployed, "rebuilder", "RebuildPolicyArn")


@pytest.fixture
def viewer(deployed: Deployment) -> str:
    return deployed.sign_in(f"looker-{now()}", "viewers", "app:*")


def events(deployed: Deployment, viewer: str) -> dict[str, int]:
    """An application's events by type, in its report."""
    answer = deployed.call("GET", f"/applications/{APP}/report", viewer)
    assert answer.status == 200, answer
    found: dict[str, int] = answer.body["total"]["events"]
    return found


def refused(call: Any, **arguments: Any) -> None:
    with pytest.raises(ClientError, match=r"AccessDenied|not authorized"):
        call(**arguments)


def test_who_replays_sends_an_archive_and_what_was_quarantined(
    deployed: Deployment, replayer: Operator, viewer: str, tmp_path: Path
) -> None:
    start = now() - HOUR
    archive = tmp_path / "archive.ndjson"
    archive.write_bytes(encode(event(APP, "purchase", start, client_id="phone", price=5)) + b"\n")
    stream = deployed.outputs["EventStreamName"]
    replay([archive], stream, client=replayer.client("kinesis"))
    deployed.put([b"nor is this"])
    deployed.settle()
    assert events(deployed, viewer) == {"purchase": 1}
    store = Store(replayer.client("s3"), deployed.outputs["QuarantineBucketName"])
    function = StepFunction(replayer.client("lambda"), deployed.outputs["TagUsersName"])
    work = Replayer(store, StreamWriter(replayer.client("kinesis"), stream), function)
    for batch in store.read_all(store.find()):
        if lines := [line for line in batch.lines if line.record.received == b"nor is this"]:
            work.replay(batch, lines)
    assert work.outcome.streamed == 1
    deployed.settle()


def test_who_replays_empties_failure_queues_and_touches_no_view(deployed: Deployment, replayer: Operator) -> None:
    queue = deployed.outputs["ProjectFailuresUrl"]
    deployed.client("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps({}))
    (message,) = replayer.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=2)["Messages"]
    replayer.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    key = {"pk": {"S": f"app#{APP}"}, "sk": {"S": "settings"}}
    refused(replayer.client("dynamodb").get_item, TableName=deployed.outputs["ViewsTableName"], Key=key)
    refused(replayer.client("lambda").invoke, FunctionName=deployed.outputs["ExpireCampaignsName"], Payload=b"{}")
    refused(replayer.client("s3").list_objects_v2, Bucket=deployed.outputs["ExportBucketName"])


def test_who_rebuilds_makes_the_views_anew_and_may_do_no_more(
    deployed: Deployment, rebuilder: Operator, viewer: str
) -> None:
    start = now() - HOUR
    deployed.put(
        [
            encode(email_click(APP, "tablet", "spring", start)),
            encode(event(APP, "sign_up", start + 1, client_id="tablet")),
        ]
    )
    deployed.settle()
    before = events(deployed, viewer)
    assert before["sign_up"] == 1
    dynamodb = rebuilder.client("dynamodb")
    facts, views = (Table(dynamodb, deployed.outputs[name]) for name in ("FactsTableName", "ViewsTableName"))
    work = Rebuilder(facts, views, SettingsStore(views), SystemClock(), deployed.settle)
    for _ in work.rebuild(APP):
        pass
    assert events(deployed, viewer) == before
    assert list(SetAsideRecords(facts, views).all()) == []
    refused(
        rebuilder.client("kinesis").put_record,
        StreamName=deployed.outputs["EventStreamName"],
        Data=b"x",
        PartitionKey="1",
    )
    refused(rebuilder.client("dynamodb").delete_table, TableName=facts.name)
    refused(rebuilder.client("s3").list_objects_v2, Bucket=deployed.outputs["QuarantineBucketName"])
