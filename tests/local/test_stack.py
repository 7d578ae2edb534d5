"""The local system's parts on a real MiniStack, with handlers of the tests."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.delivery import Policy
from local.environment import isolated, process_environment
from local.filters import UnknownPattern, record_filter
from local.functions import FunctionConfig, deployment_zip, register_functions
from local.lambda_context import LambdaContext
from local.lambda_events import JsonObject
from local.ministack import MiniStackFailed, running_ministack
from local.pinpoint_fixture import BadJourneysFile, load_names, running_fixture_server
from local.pumps import Function, StreamPump, TimerPump, wait_until_idle
from local.shard_reader import Batching
from local.stack import PROJECT, LocalStack, ensure_stack
from local.streams import ChangeStream, KinesisStream, Stream

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_sqs import SQSClient

QUICK = Policy(maximum_retry_attempts=1, first_backoff_s=0.01, longest_backoff_s=0.05)


class Recorder:
    """A handler that keeps the events it got and fails as it is told."""

    def __init__(self, answer: Callable[[JsonObject], object] = lambda _: None) -> None:
        self.events: list[JsonObject] = []
        self.contexts: list[LambdaContext] = []
        self._answer = answer

    def __call__(self, event: JsonObject, context: LambdaContext) -> object:
        self.events.append(event)
        self.contexts.append(context)
        return self._answer(event)

    @property
    def records(self) -> list[JsonObject]:
        return [record for event in self.events for record in event["Records"]]


class Resources:
    """The stack of one test module, and what pumps need of it."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.kinesis: KinesisClient = boto3.client("kinesis", endpoint_url=stack.endpoint)
        self.dynamodb: DynamoDBClient = boto3.client("dynamodb", endpoint_url=stack.endpoint)
        self.sqs: SQSClient = boto3.client("sqs", endpoint_url=stack.endpoint)
        self.changes = boto3.client("dynamodbstreams", endpoint_url=stack.endpoint)
        self._made = 0

    def stream(self, shards: int = 2) -> KinesisStream:
        """A new event stream, empty."""
        self._made += 1
        self.kinesis.create_stream(StreamName=f"events-{self._made}", ShardCount=shards)
        return KinesisStream(self.kinesis, f"arn:aws:kinesis:us-east-1:000000000000:stream/events-{self._made}")

    def put(self, stream: Stream, records: Sequence[tuple[str, bytes]]) -> None:
        for start in range(0, len(records), 500):
            self.kinesis.put_records(
                StreamARN=stream.arn,
                Records=[{"PartitionKey": key, "Data": data} for key, data in records[start : start + 500]],
            )

    def pump(self, stream: Stream, handler: Recorder, policy: Policy = QUICK, **more: Any) -> StreamPump:
        return StreamPump(
            stream, Function("f", handler, "us-east-1"), self.sqs, self.stack.queues["ingest_events"], policy, **more
        )

    def failures(self) -> list[Any]:
        """What is in the failure queue, which is then empty."""
        found: list[Any] = []
        while messages := self.sqs.receive_message(
            QueueUrl=self.stack.queues["ingest_events"], MaxNumberOfMessages=10
        ).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.sqs.delete_message(
                    QueueUrl=self.stack.queues["ingest_events"], ReceiptHandle=message["ReceiptHandle"]
                )
        return found


@pytest.fixture(scope="module")
def resources() -> Iterator[Resources]:
    with process_environment(isolated(os.environ)), running_ministack() as ministack:
        yield Resources(ensure_stack(ministack.endpoint, shards=2))


def run(pump: StreamPump, timeout_s: float = 30) -> None:
    """Let a pump deliver all there is."""
    pump.start()
    try:
        wait_until_idle([pump], timeout_s)
    finally:
        pump.stop()


def data(record: JsonObject) -> bytes:
    return base64.b64decode(record["kinesis"]["data"])


class TestMiniStack:
    def test_the_user_s_own_aws_settings_are_ignored(self, tmp_path: Path) -> None:
        own = {
            **os.environ,
            "AWS_PROFILE": "missing",
            "AWS_ENDPOINT_URL_DYNAMODB": "http://elsewhere.invalid",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
            "HTTP_PROXY": "http://127.0.0.1:9",
        }
        with process_environment(own), process_environment(isolated(os.environ)), running_ministack() as ministack:
            stack = ensure_stack(ministack.endpoint)
            with process_environment({**os.environ, **stack.environment(ministack.endpoint)}):
                assert boto3.client("dynamodb").describe_table(TableName=stack.facts_table)

    def test_a_taken_port_is_an_error_with_the_log(self) -> None:
        with (
            running_ministack() as first,
            pytest.raises(MiniStackFailed, match="already in use"),
            running_ministack(port=first.port),
        ):
            pass

    def test_a_data_directory_serves_one_at_a_time(self, tmp_path: Path) -> None:
        with (
            running_ministack(data=tmp_path),
            pytest.raises(MiniStackFailed, match="in use by another"),
            running_ministack(data=tmp_path),
        ):
            pass

    def test_an_end_by_itself_is_noticed(self) -> None:
        with running_ministack() as ministack:
            ministack.process.kill()
            ministack.process.wait()
            with pytest.raises(MiniStackFailed, match="ended with code -9"):
                ministack.check()

    def test_the_child_dies_with_a_parent_that_is_killed(self) -> None:
        script = (
            "import time\n"
            "from local.ministack import running_ministack\n"
            "with running_ministack() as ministack:\n"
            "    print(ministack.process.pid, ministack.port, flush=True)\n"
            "    time.sleep(60)\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", script], cwd=PROJECT, stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        child = int(parent.stdout.readline().split()[0])
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()

        deadline = time.monotonic() + 10
        while alive(child) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not alive(child)

    def test_kept_data_outlive_the_process(self, tmp_path: Path) -> None:
        item = {"pk": {"S": "a"}, "sk": {"S": "b"}}
        with process_environment(isolated(os.environ)):
            with running_ministack(data=tmp_path) as ministack:
                first = ensure_stack(ministack.endpoint, shards=3)
                Resources(first).dynamodb.put_item(TableName=first.facts_table, Item=item)
                Resources(first).kinesis.put_record(StreamName=first.event_stream, PartitionKey="k", Data=b"kept")
                Resources(first).sqs.send_message(QueueUrl=first.queues["ingest_events"], MessageBody='"kept"')
            with running_ministack(data=tmp_path) as ministack:
                second = ensure_stack(ministack.endpoint, shards=3)
                again = Resources(second)
                assert second.facts_table == first.facts_table
                assert again.dynamodb.scan(TableName=second.facts_table)["Items"] == [item]
                assert again.failures() == ["kept"]
                handler = Recorder()
                run(again.pump(KinesisStream(again.kinesis, second.event_stream_arn), handler))
                assert [data(record) for record in handler.records] == [b"kept"]


def alive(pid: int) -> bool:
    """Whether a process still runs; one that nobody waits for (a zombie) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] not in "ZX"
    except FileNotFoundError:
        return False


class TestStack:
    def test_it_is_created_once(self, resources: Resources) -> None:
        assert ensure_stack(resources.stack.endpoint) == resources.stack

    def test_the_resources_are_what_the_definitions_say(self, resources: Resources) -> None:
        stack = resources.stack
        views = resources.dynamodb.describe_table(TableName=stack.views_table)["Table"]
        assert [index["IndexName"] for index in views["GlobalSecondaryIndexes"]] == ["by_time"]
        for table in (stack.facts_table, stack.views_table):
            described = resources.dynamodb.describe_table(TableName=table)["Table"]
            assert described["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
            expiry = resources.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
            assert expiry == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
        assert len(resources.kinesis.list_shards(StreamName=stack.event_stream)["Shards"]) == 2
        pool = boto3.client("cognito-idp", endpoint_url=stack.endpoint).describe_user_pool(
            UserPoolId=stack.user_pool_id
        )
        campaign = next(one for one in pool["UserPool"]["SchemaAttributes"] if one.get("Name") == "custom:campaign")
        assert campaign["Mutable"]
        assert campaign["StringAttributeConstraints"]["MaxLength"] == "2048"


class TestKinesisPump:
    def test_records_arrive_in_order_within_their_shard_in_lambda_s_form(self, resources: Resources) -> None:
        stream = resources.stream()
        resources.put(stream, [(f"key-{number % 7}", str(number).encode()) for number in range(1200)])
        handler = Recorder()
        pump = resources.pump(stream, handler)

        run(pump)

        assert sorted(int(data(record)) for record in handler.records) == list(range(1200))
        for shard in ("shardId-000000000000", "shardId-000000000001"):
            sequences = [
                record["kinesis"]["sequenceNumber"] for record in handler.records if record["eventID"].startswith(shard)
            ]
            assert sequences
            assert sequences == sorted(sequences)
        assert all(len({record["eventID"][:20] for record in event["Records"]}) == 1 for event in handler.events)
        record = handler.records[0]
        assert isinstance(record["kinesis"].pop("approximateArrivalTimestamp"), float)
        sequence = record["kinesis"]["sequenceNumber"]
        assert record == {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record["kinesis"]["partitionKey"],
                "sequenceNumber": sequence,
                "data": record["kinesis"]["data"],
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{record['eventID'][:20]}:{sequence}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::000000000000:role/local",
            "awsRegion": "us-east-1",
            "eventSourceARN": stream.arn,
        }
        assert pump.delivered == 1200
        assert pump.idle()

    def test_the_context_is_lambda_s(self, resources: Resources) -> None:
        stream = resources.stream(1)
        resources.put(stream, [("k", b"1")])
        handler = Recorder()

        run(resources.pump(stream, handler))

        context = handler.contexts[0]
        assert context.function_name == "f"
        assert context.invoked_function_arn == "arn:aws:lambda:us-east-1:000000000000:function:f"
        assert 0 < context.get_remaining_time_in_millis() <= 300_000
        assert context.aws_request_id
        assert context.memory_limit_in_mb

    def test_a_reported_failure_comes_again_and_none_is_lost_behind_it(self, resources: Resources) -> None:
        stream = resources.stream(1)
        resources.put(stream, [("k", str(number).encode()) for number in range(100)])
        processed: list[int] = []
        failed_once: set[int] = set()

        def process(event: JsonObject) -> object:
            for record in event["Records"]:
                number = int(data(record))
                if number % 30 == 17 and number not in failed_once:
                    failed_once.add(number)
                    return {"batchItemFailures": [{"itemIdentifier": record["kinesis"]["sequenceNumber"]}]}
                processed.append(number)
            return {"batchItemFailures": []}

        run(resources.pump(stream, Recorder(process)))

        assert failed_once == {17, 47, 77}
        assert processed == list(range(100))

    def test_poison_is_bisected_out_into_the_failure_queue(self, resources: Resources) -> None:
        stream = resources.stream(1)
        resources.put(stream, [("k", str(number).encode()) for number in range(50)])

        def process(event: JsonObject) -> object:
            if any(data(record) == b"33" for record in event["Records"]):
                raise RuntimeError("poison")
            return None

        handler = Recorder(process)
        pump = resources.pump(stream, handler)

        run(pump)

        (failure,) = resources.failures()
        poison = next(record for record in handler.records if data(record) == b"33")
        assert failure["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert failure["requestContext"]["approximateInvokeCount"] == 2
        assert failure["requestContext"]["functionArn"].endswith(":function:f")
        assert failure["responseContext"] == {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        }
        batch = failure["KinesisBatchInfo"]
        assert batch.pop("approximateArrivalOfFirstRecord") == batch.pop("approximateArrivalOfLastRecord")
        assert batch == {
            "shardId": "shardId-000000000000",
            "startSequenceNumber": poison["kinesis"]["sequenceNumber"],
            "endSequenceNumber": poison["kinesis"]["sequenceNumber"],
            "batchSize": 1,
            "streamArn": stream.arn,
        }
        assert (pump.delivered, pump.given_up) == (49, 1)

    def test_a_shard_that_is_stuck_does_not_hold_up_another(self, resources: Resources) -> None:
        stream = resources.stream(2)
        resources.put(stream, [(f"key-{number}", str(number).encode()) for number in range(40)])
        stuck = threading.Event()

        def process(event: JsonObject) -> object:
            if event["Records"][0]["eventID"].startswith("shardId-000000000000") and not stuck.is_set():
                raise RuntimeError("stuck")
            return None

        pump = resources.pump(stream, Recorder(process), Policy(first_backoff_s=0.01, longest_backoff_s=0.1))
        pump.start()
        try:
            with pytest.raises(TimeoutError, match=r"f is not idle after 1 s .* last error: function error"):
                wait_until_idle([pump], 1)
            assert 0 < pump.delivered < 40
            stuck.set()
            wait_until_idle([pump], 10)
            assert pump.delivered == 40
        finally:
            pump.stop()

    def test_a_later_run_goes_on_where_the_earlier_one_stopped(self, resources: Resources) -> None:
        stream = resources.stream(2)
        resources.put(stream, [(f"key-{number}", str(number).encode()) for number in range(20)])
        first, second = Recorder(), Recorder()
        pump = resources.pump(stream, first)
        run(pump)
        resources.put(stream, [("late", b"20")])

        run(resources.pump(stream, second, positions=pump.positions))

        assert len(first.records) == 20
        assert [data(record) for record in second.records] == [b"20"]

    def test_a_stopped_pump_finishes_the_batch_in_hand(self, resources: Resources) -> None:
        stream = resources.stream(1)
        resources.put(stream, [("k", b"1")])
        entered = threading.Event()

        def process(_: JsonObject) -> object:
            entered.set()
            time.sleep(0.3)
            return None

        pump = resources.pump(stream, Recorder(process))
        pump.start()
        assert entered.wait(10)
        pump.stop()

        assert pump.delivered == 1
        assert list(pump.positions) == ["shardId-000000000000"]

    def test_records_of_new_shards_arrive_after_a_split(
        self, resources: Resources, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("local.pumps.LIST_SHARDS_EVERY_S", 0.2)
        stream = resources.stream(1)
        handler = Recorder()
        pump = resources.pump(stream, handler)
        pump.start()
        try:
            resources.put(stream, [("before", b"before")])
            wait_until_idle([pump], 10)
            resources.kinesis.split_shard(
                StreamARN=stream.arn, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127)
            )
            resources.put(stream, [(f"key-{number}", b"after") for number in range(20)])
            deadline = time.monotonic() + 10
            while len(handler.records) < 21 and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:
            pump.stop()

        assert [data(record) for record in handler.records] == [b"before"] + [b"after"] * 20

    def test_an_expired_iterator_is_replaced(self, resources: Resources) -> None:
        stream = Expiring(resources.kinesis, resources.stream(1).arn)
        resources.put(stream, [("k", str(number).encode()) for number in range(30)])
        handler = Recorder()

        run(resources.pump(stream, handler, batching=Batching(size=10, window_s=0.05)))

        assert [int(data(record)) for record in handler.records] == list(range(30))
        assert stream.expired > 2

    def test_a_batch_stays_below_lambda_s_payload(self, resources: Resources) -> None:
        stream = resources.stream(1)
        for _ in range(4):
            resources.put(stream, [("k", bytes(1_000_000)) for _ in range(4)])
        handler = Recorder()

        run(resources.pump(stream, handler))

        assert len(handler.records) == 16
        assert max(len(json.dumps(event)) for event in handler.events) <= 6_100_000


class Expiring(KinesisStream):
    """A stream whose iterators are all too old by the time they are used a second time."""

    expired = 0

    def fetch(self, shard: str, iterator: str, limit: int) -> Any:
        if iterator != getattr(self, "_fresh", None):
            self.expired += 1
            iterator = "too-old"
        return super().fetch(shard, iterator, limit)

    def iterator(self, shard: str, after: str | None) -> str:
        self._fresh = super().iterator(shard, after)
        return self._fresh


class TestChangeStreamPump:
    def test_changes_arrive_in_lambda_s_form_with_the_window_s_fields(self, resources: Resources) -> None:
        stack = resources.stack
        key = {"pk": {"S": "p"}, "sk": {"S": "s"}}
        old: dict[str, Any] = {**key, "bytes": {"B": b"\x00\xff"}, "many": {"L": [{"M": {"b": {"BS": [b"1"]}}}]}}
        new: dict[str, Any] = {**key, "number": {"N": "1.5"}}
        resources.dynamodb.put_item(TableName=stack.facts_table, Item=old)
        resources.dynamodb.put_item(TableName=stack.facts_table, Item=new)
        resources.dynamodb.put_item(TableName=stack.facts_table, Item=new)
        resources.dynamodb.delete_item(TableName=stack.facts_table, Key=key)
        handler = Recorder(lambda _: {"state": {}})
        stream = ChangeStream(resources.changes, stack.facts_stream_arn, window_s=900)

        run(resources.pump(stream, handler, Policy(0, expect_state=True)))

        event = handler.events[0]
        assert event["shardId"].startswith("shardId-")
        assert event["eventSourceARN"] == stack.facts_stream_arn
        assert event["state"] == {}
        assert not event["isFinalInvokeForWindow"]
        assert not event["isWindowTerminatedEarly"]
        assert event["window"]["start"] < event["window"]["end"]
        assert event["window"]["start"].endswith("Z")
        inserted, modified, removed = handler.records
        assert [one["eventName"] for one in handler.records] == ["INSERT", "MODIFY", "REMOVE"]
        assert inserted["dynamodb"]["NewImage"] == {
            **key,
            "bytes": {"B": "AP8="},
            "many": {"L": [{"M": {"b": {"BS": ["MQ=="]}}}]},
        }
        assert isinstance(inserted["dynamodb"]["ApproximateCreationDateTime"], float)
        assert inserted["dynamodb"]["Keys"] == key
        assert inserted["eventSource"] == "aws:dynamodb"
        assert inserted["eventSourceARN"] == stack.facts_stream_arn
        assert "userIdentity" not in removed
        assert modified["dynamodb"]["OldImage"] == inserted["dynamodb"]["NewImage"]
        assert removed["dynamodb"]["OldImage"] == new
        assert json.loads(json.dumps(event)) == event
        assert not resources.failures()

    def test_a_filter_passes_over_what_the_mapping_does_not_want(self, resources: Resources) -> None:
        stack = resources.stack
        for sk in ("campaign", "journey#1", "other"):
            resources.dynamodb.put_item(TableName=stack.views_table, Item={"pk": {"S": "p"}, "sk": {"S": sk}})
            resources.dynamodb.delete_item(TableName=stack.views_table, Key={"pk": {"S": "p"}, "sk": {"S": sk}})
        pattern = {
            "eventName": ["INSERT", "MODIFY"],
            "dynamodb": {"Keys": {"sk": {"S": ["campaign", {"prefix": "journey#"}]}}},
        }
        handler = Recorder()
        stream = ChangeStream(resources.changes, stack.views_stream_arn)

        run(resources.pump(stream, handler, wanted=record_filter([json.dumps(pattern)])))

        assert [one["dynamodb"]["Keys"]["sk"]["S"] for one in handler.records] == ["campaign", "journey#1"]
        assert set(handler.events[0]) == {"Records"}

    def test_an_unknown_pattern_is_refused(self) -> None:
        with pytest.raises(UnknownPattern, match="anything-but"):
            record_filter(['{"eventName": [{"anything-but": ["REMOVE"]}]}'])


class TestWaiting:
    def test_it_waits_for_what_flows_from_one_pump_to_the_next(self, resources: Resources) -> None:
        upstream, downstream = resources.stream(2), resources.stream(1)
        resources.put(upstream, [(f"key-{number}", str(number).encode()) for number in range(50)])

        def forward(event: JsonObject) -> object:
            time.sleep(0.2)
            resources.put(downstream, [("k", data(record)) for record in event["Records"]])
            return None

        arrived = Recorder()
        pumps = [resources.pump(upstream, Recorder(forward)), resources.pump(downstream, arrived)]
        for pump in pumps:
            pump.start()
        try:
            wait_until_idle(pumps, 20)
            assert len(arrived.records) == 50
        finally:
            for pump in pumps:
                pump.stop()


class Counting(KinesisStream):
    """Counts how often it is asked."""

    fetches = 0

    def fetch(self, shard: str, iterator: str, limit: int) -> Any:
        self.fetches += 1
        return super().fetch(shard, iterator, limit)


def test_a_quiet_stream_is_polled_rarely_until_somebody_waits(
    resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local.pumps.QUIET_AFTER_S", 0.5)
    monkeypatch.setattr("local.pumps.POLL_QUIET_EVERY_S", 1.5)
    made = resources.stream(1)
    stream, handler = Counting(resources.kinesis, made.arn), Recorder()
    pump = resources.pump(stream, handler)
    pump.start()
    try:
        time.sleep(1)
        before = stream.fetches
        time.sleep(1.5)
        assert 1 <= stream.fetches - before <= 2
        resources.put(stream, [("a", b"late")])
        wait_until_idle([pump], 10)
        assert [data(one) for one in handler.records] == [b"late"]
    finally:
        pump.stop()


class TestTimerPump:
    def test_it_calls_on_schedule_also_after_an_error(self) -> None:
        def process(_: JsonObject) -> object:
            raise RuntimeError("this run fails")

        handler = Recorder(process)
        pump = TimerPump(Function("expire", handler, "us-east-1"), 0.05, "us-east-1")
        pump.start()
        deadline = time.monotonic() + 10
        while pump.calls < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        pump.stop()

        assert len(handler.events) >= 3
        event = handler.events[0]
        assert event["detail-type"] == "Scheduled Event"
        assert event["source"] == "aws.events"
        assert event["resources"] == ["arn:aws:events:us-east-1:000000000000:rule/expire"]


class TestFunctions:
    def test_a_registered_function_can_be_invoked(self, resources: Resources) -> None:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr(
                "app.py",
                "import os, chalice\n"
                "def greet(event, context):\n"
                "    table = os.environ['FACTS_TABLE']\n"
                "    return {'hello': event['name'], 'table': table, 'by': context.function_name}\n",
            )
        client = boto3.client("lambda", endpoint_url=resources.stack.endpoint)
        environment = resources.stack.environment(resources.stack.endpoint)
        config = [FunctionConfig("greet", 128, 5)]
        register_functions(client, config, environment, "test", deployment_zip())
        names = register_functions(client, config, environment, "test", content.getvalue())

        answer = client.invoke(FunctionName=names["greet"], Payload=b'{"name": "Zoe"}')

        assert json.loads(answer["Payload"].read()) == {
            "hello": "Zoe",
            "table": resources.stack.facts_table,
            "by": "test-greet",
        }


class TestFixtureServer:
    def test_boto3_reads_what_it_knows_and_nothing_else(self, tmp_path: Path) -> None:
        file = tmp_path / "journeys.json"
        file.write_text(json.dumps({"app": {"j/1": "Välkommen"}}))
        with process_environment(isolated(os.environ)), running_fixture_server(load_names(file)) as server:
            pinpoint = boto3.client("pinpoint", endpoint_url=server.endpoint)
            server.name("app", "j2", "Win back")

            first = pinpoint.get_journey(ApplicationId="app", JourneyId="j/1")["JourneyResponse"]
            second = pinpoint.get_journey(ApplicationId="app", JourneyId="j2")["JourneyResponse"]
            with pytest.raises(pinpoint.exceptions.NotFoundException) as caught:
                pinpoint.get_journey(ApplicationId="other", JourneyId="j2")

        assert (first["Name"], first["Id"], first["ApplicationId"]) == ("Välkommen", "j/1", "app")
        assert second["Name"] == "Win back"
        assert isinstance(caught.value, ClientError)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        assert server.requests == 3

    @pytest.mark.parametrize("content", ["", "[]", '{"app": ["j"]}', '{"app": {"j": 1}}'])
    def test_a_file_of_another_shape_is_refused(self, tmp_path: Path, content: str) -> None:
        file = tmp_path / "journeys.json"
        file.write_text(content)

        with pytest.raises(BadJourneysFile, match=r"journeys\.json"):
            load_names(file)
