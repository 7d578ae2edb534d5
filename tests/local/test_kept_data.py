"""What ``serve --data DIR`` has after any end: the next start goes on where the last one was."""

from __future__ import annotations

import calendar
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.environment import isolated, process_environment
from local.ministack import running_ministack
from local.stack import ensure_stack
from tests.local.test_serve import APPLICATION, Serving, put, serving, wait_for_purchases

UNCLEAN = "stopped uncleanly"


@pytest.fixture(autouse=True)
def _isolated() -> Iterator[None]:
    with process_environment(isolated(os.environ)):
        yield


def wait_for_end(system: Serving) -> int:
    system.process.communicate(timeout=60)
    return system.process.returncode


def save_window(system: Serving, days: int) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{system.ready['api']}/applications/{APPLICATION}/lookback-window",
        json.dumps({"days": days}).encode(),
        {"Authorization": f"Bearer {system.ready['tokens']['admin']}", "Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        assert answer.status == 200


def test_what_was_answered_outlives_a_kill(tmp_path: Path) -> None:
    data = tmp_path / "data"
    now_ms = int(time.time() * 1000) - 60_000
    with serving(tmp_path, "--data", str(data)) as system:
        first = system.ready
        assert UNCLEAN not in system.log.read_text()
        system.client("cognito-idp").admin_create_user(UserPoolId=first["user_pool_id"], Username="jane")
        put(system, range(30), now_ms)
        wait_for_purchases(system, 30)
        time.sleep(2.5)  # So long at most until a user is saved.
        # Right before the end: acknowledged, and perhaps not even ingested.
        save_window(system, 3)
        put(system, range(20, 60), now_ms)
        system.process.kill()
        assert wait_for_end(system) == -signal.SIGKILL
    killed_at = time.time()
    with serving(tmp_path, "--data", str(data)) as system:
        wait_for_purchases(system, 60)
        assert system.ready["tables"] == first["tables"]
        assert system.ready["stream"] == first["stream"]
        assert system.get(f"/applications/{APPLICATION}/settings")["lookback_window_days"] == 3
        assert system.client("cognito-idp").admin_get_user(UserPoolId=first["user_pool_id"], Username="jane")
        (said,) = system.log.read_text().splitlines()
        assert said.startswith(f"{data}: last saved at ")
        assert UNCLEAN in said
        saved = time.strptime(said.partition("last saved at ")[2][:20], "%Y-%m-%dT%H:%M:%SZ")
        assert killed_at - 60 < calendar.timegm(saved) <= killed_at
        # A closed terminal is a clean end.
        put(system, range(60, 90), now_ms)
        system.process.send_signal(signal.SIGHUP)
        assert wait_for_end(system) == 0
    with serving(tmp_path, "--data", str(data)) as system:
        wait_for_purchases(system, 90)
        assert system.log.read_text() == ""


def test_a_kill_while_it_starts_spoils_nothing(tmp_path: Path) -> None:
    # Catches: a stack that is saved without its tables, which the next start would take for whole.
    data = tmp_path / "data"
    for seconds in (2.0, 4.0):
        process = subprocess.Popen(
            [sys.executable, "-m", "local", "serve", "--data", str(data)],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        process.kill()
        process.wait()
    with serving(tmp_path, "--data", str(data)) as system:
        put(system, range(5), int(time.time() * 1000) - 60_000)
        wait_for_purchases(system, 5)


def item(number: int, value: str = "a") -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"p{number % 3}"}, "sk": {"S": str(number)}, "value": {"S": value}}


def test_the_journal_has_what_each_operation_did(tmp_path: Path) -> None:
    with running_ministack(data=tmp_path) as ministack:
        stack = ensure_stack(ministack.endpoint, shards=2)
        ministack.begin_journal()
        table = boto3.client("dynamodb", endpoint_url=ministack.endpoint)
        name = stack.facts_table
        for number in range(4):
            table.put_item(TableName=name, Item=item(number))
        table.delete_item(TableName=name, Key={"pk": {"S": "p0"}, "sk": {"S": "0"}})
        table.update_item(
            TableName=name,
            Key={"pk": {"S": "p1"}, "sk": {"S": "1"}},
            UpdateExpression="SET #v = :v",
            ExpressionAttributeNames={"#v": "value"},
            ExpressionAttributeValues={":v": {"S": "changed"}},
        )
        table.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item(5)}}]})
        table.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": name, "Item": item(6)}},
                {"Put": {"TableName": stack.views_table, "Item": item(7)}},
            ]
        )
        kinesis = boto3.client("kinesis", endpoint_url=ministack.endpoint)
        kinesis.put_record(StreamName=stack.event_stream, PartitionKey="a", Data=b"one\xff")
        # The stream's shards change, which the journal has no words for: the state is saved anew.
        (shard, *_) = kinesis.list_shards(StreamName=stack.event_stream)["Shards"]
        kinesis.split_shard(
            StreamName=stack.event_stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=str(2**126)
        )
        kinesis.put_records(
            StreamName=stack.event_stream,
            Records=[{"PartitionKey": str(number), "Data": b"more"} for number in range(20)],
        )
        before = contents(ministack.endpoint, name, stack.views_table, stack.event_stream)
        ministack.kill()
    journal = next((tmp_path / "state").glob("*/journal.ndjson"))
    with journal.open("ab") as torn:
        torn.write(b'[["change","000000000000","us-east-1","')

    with running_ministack(data=tmp_path) as ministack:
        assert ministack.unclean is not None
        assert contents(ministack.endpoint, name, stack.views_table, stack.event_stream) == before
        assert [one["sk"]["S"] for one in before["tables"][0]] == ["1", "2", "3", "5", "6"]
        assert len(before["changes"]) == 8
        assert sorted(before["records"], key=len)[0:20] == [b"more"] * 20
        ministack.begin_journal()
        ministack.forget_changes()

    # What was forgotten stays so; all else is there. That end was clean.
    with running_ministack(data=tmp_path) as ministack:
        assert ministack.unclean is None
        after = contents(ministack.endpoint, name, stack.views_table, stack.event_stream)
        assert after == before | {"changes": []}


def contents(endpoint: str, facts: str, views: str, stream: str) -> dict[str, Any]:
    """All items, change records of the first table, and records, in order."""
    tables = boto3.client("dynamodb", endpoint_url=endpoint)
    items = [sorted(tables.scan(TableName=name)["Items"], key=lambda one: one["sk"]["S"]) for name in (facts, views)]
    changes_of = boto3.client("dynamodbstreams", endpoint_url=endpoint)
    arn = tables.describe_table(TableName=facts)["Table"]["LatestStreamArn"]
    (shard,) = changes_of.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    at = changes_of.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    changes = changes_of.get_records(ShardIterator=at["ShardIterator"])["Records"]
    kinesis = boto3.client("kinesis", endpoint_url=endpoint)
    records = []
    for one in kinesis.list_shards(StreamName=stream)["Shards"]:
        at = kinesis.get_shard_iterator(StreamName=stream, ShardId=one["ShardId"], ShardIteratorType="TRIM_HORIZON")
        found = kinesis.get_records(ShardIterator=at["ShardIterator"])["Records"]
        records += [record["Data"] for record in found]
    return {"tables": items, "changes": changes, "records": records}
