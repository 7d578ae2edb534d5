"""Least privilege: what each function calls is what its policy allows, no less and no more.

The calls are recorded while the functions work through all that they do, on the real tables; `test_deployed` holds the
deployed functions to the same policies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from chalicelib import functions, wiring
from chalicelib.rebuild import Rebuilder
from chalicelib.times import DAY_MS, to_iso
from local.lambda_events import queue_message
from local.pinpoint_fixture import running_fixture_server
from local.stack import PROJECT, LocalStack
from tests.api.calls import Api, call, get
from tests.deployed.rights import Right, names, rights
from tests.erasure.people import NOW, Person
from tests.projection.scene import Scene, clock, system
from tests.reference.records import email_click, encode, endpoint, event, send, step
from tests.reference.shorthand import APP, HOUR, T
from tests.support.calls import Call, Recorder, recording
from tests.support.clock import SetClock
from tests.support.system import System

__all__ = ["clock", "system"]

PERIOD = {"from": "2026-03-27", "to": "2026-03-30"}
"""Around T."""

FUNCTIONS = sorted(path.stem for path in (PROJECT / ".chalice/policies").glob("*.json"))

LAMBDAS_OWN = {
    "logs:CreateLogStream": "Lambda writes a function's log",
    "logs:PutLogEvents": "Lambda writes a function's log",
    "xray:PutTraceSegments": "Lambda's tracing",
    "xray:PutTelemetryRecords": "Lambda's tracing",
    "kinesis:DescribeStream": "Lambda's event source mapping",
    "kinesis:DescribeStreamSummary": "Lambda's event source mapping",
    "kinesis:GetRecords": "Lambda's event source mapping",
    "kinesis:GetShardIterator": "Lambda's event source mapping",
    "kinesis:ListShards": "Lambda's event source mapping",
    "dynamodb:DescribeStream": "Lambda's event source mapping",
    "dynamodb:GetRecords": "Lambda's event source mapping",
    "dynamodb:GetShardIterator": "Lambda's event source mapping",
    "dynamodb:ListStreams": "Lambda's event source mapping",
    "sqs:ReceiveMessage": "Lambda's event source mapping",
    "sqs:DeleteMessage": "Lambda's event source mapping",
    "sqs:GetQueueAttributes": "Lambda's event source mapping",
}
"""Made by Lambda in the function's name, not by its code. AWS documents each as needed for its kind of source."""

FAILURE_DESTINATIONS = {"ingest_events": "Ingest", "project_facts": "Project", "sync_campaigns": "Sync"}
"""Where Lambda sends what it gives up on, in the function's name."""


class Played:
    """One application, and all that its functions do, each under its own name."""

    def __init__(
        self, stack: LocalStack, system: System, clock: SetClock, recorder: Recorder, names: Any, other_pool: str
    ) -> None:
        clock.time = NOW
        self.recorder = recorder
        self.other_pool = other_pool
        self.stack = stack
        self.system = system
        self.clock = clock
        self.scene = Scene(system, clock)
        self.jane = Person(self.scene, "jane")
        self.api = Api(self.scene.application)
        self.sqs = boto3.client("sqs", endpoint_url=stack.endpoint)
        names.setdefault(self.scene.application, {}).update(
            {"j2": "Named by Pinpoint", "j7": "Named by Pinpoint alone"}
        )

    def hear(self, *records: Any) -> None:
        for record in records:
            with self.recorder.of("tag_users" if hasattr(record, "payload") else "ingest_events"):
                self.scene.hear(record)

    def project(self) -> None:
        with self.recorder.of("project_facts"):
            self.system.project_all()

    def sync(self) -> None:
        with self.recorder.of("sync_campaigns"):
            assert self.system.sync() == {"batchItemFailures": []}
        self.project()

    def tell(self, *records: Any) -> None:
        self.hear(*records)
        self.project()
        self.sync()

    def play(self) -> None:
        self.streams()
        self.requests()
        self.work()
        self.later()

    def streams(self) -> None:
        pool = boto3.client("cognito-idp", endpoint_url=self.stack.endpoint)
        pool.admin_create_user(
            UserPoolId=self.stack.user_pool_id, Username=self.jane.name + self.scene.suffix, MessageAction="SUPPRESS"
        )
        with self.recorder.of("ingest_events"):
            self.system.ingest([b"this is no record"])
            # An application of which it is not noted yet that it has facts.
            self.system.ingest([encode(event(f"{APP}{self.scene.suffix} other", "purchase", T, client_id="e1"))])
        with self.recorder.of("tag_users"):
            functions.tag({"ApplicationId": self.scene.application, "Endpoints": {"e": {}}}, "invocation")
        # Before its journey is known by that name.
        self.tell(self.jane.bought(T - 2 * HOUR, campaign="Named by Pinpoint"))
        self.tell(self.jane.bought(T - 2 * HOUR, campaign="Named by marketers"))
        self.tell(*self.jane.history())
        self.tell(
            # Late, and for an endpoint that turns out to be Jane's.
            event(APP, "purchase", T - HOUR + 2, client_id=self.jane.tablet, price=1),
            email_click(APP, self.jane.tablet, "j4", T - HOUR),
            step(APP, "j1", {self.jane.tablet: endpoint(user_name=self.jane.name)}, at=T - HOUR),
            email_click(APP, self.jane.phone, "j2", NOW),
            # Journeys that nobody named: one will be by a marketer, one by Pinpoint.
            email_click(APP, self.jane.tablet, "j6", T - HOUR + 5),
            email_click(APP, self.jane.tablet, "j7", T - HOUR + 6),
        )

    def requests(self) -> None:
        application = self.scene.application
        with self.recorder.of("api_handler"):
            assert get("/health").status == 200
            for path in (
                "report",
                "events",
                "journeys",
                "journeys/j1",
                "settings",
                "settings/history",
                "lookback-window",
                "jobs",
                f"users/{self.jane.name}",
            ):
                assert self.api.get(path).status == 200, path
            assert self.api.get("events", journey_id="j1").status == 200
            assert self.api.get("events", limit="1").status == 200
            compared = self.api.get("compare", from_=to_iso(T - DAY_MS), to=to_iso(T + DAY_MS))
            assert compared.status == 200, compared
            known = self.api.get("journeys/j1").body
            assert self.api.put("journeys/j1", known | {"name": "Named by marketers"}).status == 200
            assert self.api.put("journeys/j6", known | {"name": "Named by a marketer alone"}).status == 200
            saved = self.api.put("settings", self.api.get("settings").body | {"retention_days": 400})
            assert saved.status == 200, saved
            window = {"days": 3, "effective_from": to_iso(NOW)}
            assert self.api.put("lookback-window", window).status == 200
            preview = {**PERIOD, "changes": {"lookback_window_days": 1}}
            asked = call("POST", f"/applications/{application}/settings/preview", json.dumps(preview).encode())
            assert asked.status == 200, asked
            # Campaigns in a pool of the application's own.
            settings = self.api.get("settings").body
            own = settings["cognito"] | {"user_pool_id": self.other_pool}
            assert self.api.put("settings", settings | {"cognito": own}).status == 200
        # A journey that nobody named yet, and then a send does.
        self.tell(email_click(APP, self.jane.phone, "j5", NOW + 1))
        self.tell(send(APP, self.jane.phone, "j5", NOW, user_name=self.jane.name))

    def work(self) -> None:
        """Jobs of all kinds, one cancelled and one with no time."""
        asked = [
            self.ask({"kind": "export_events"}),
            self.ask({"kind": "compare", **PERIOD}),
            self.ask({"kind": "preview", **PERIOD, "changes": {"lookback_window_days": 1}}),
        ]
        self.deliver(remaining_ms=0)
        self.deliver()
        with self.recorder.of("run_jobs"):
            # Killed between a file and what would have been saved of it: the step comes again.
            export = wiring.JOB_KINDS["export_events"]()
            work = export.start({"application": self.scene.application, "job": "killed"})
            assert export.step(work)[1:] == export.step(work)[1:]
        with self.recorder.of("api_handler"):
            for job in asked:
                found = self.api.get(f"jobs/{job}")
                assert found.body["state"] == "done", found
            cancelled = self.ask({"kind": "export_events"})
            assert call("DELETE", f"{self.api.root}/jobs/{cancelled}").status == 200

    def ask(self, body: Any) -> str:
        with self.recorder.of("api_handler"):
            answer = call("POST", f"{self.api.root}/jobs", json.dumps(body).encode())
        assert answer.status == 202, answer
        return str(answer.body["job_id"])

    def deliver(self, remaining_ms: int = 100_000) -> None:
        """What is in the queue now, once."""
        while messages := self.sqs.receive_message(
            QueueUrl=self.stack.jobs_queue, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        ).get("Messages"):
            records = [queue_message(one, self.stack.jobs_queue_arn) for one in messages]
            for message in messages:
                self.sqs.delete_message(QueueUrl=self.stack.jobs_queue, ReceiptHandle=message["ReceiptHandle"])
            with self.recorder.of("run_jobs"):
                assert functions.run_jobs({"Records": records}, lambda: remaining_ms) == {"batchItemFailures": []}
            if not remaining_ms:
                return

    def later(self) -> None:
        """Windows end, the views are made anew, and Jane wants to be forgotten."""
        self.clock.time = NOW + 30 * DAY_MS
        with self.recorder.of("expire_campaigns"):
            assert functions.expire()["closed"] >= 1
        self.sync()
        rebuilder = Rebuilder(wiring.facts(), wiring.views(), wiring.settings(), self.clock, self.project)
        for _ in rebuilder.rebuild(self.scene.application):
            pass
        self.sync()
        with self.recorder.of("api_handler"):
            erased = call("DELETE", f"{self.api.root}/users/{self.jane.name}")
        assert erased.status in (200, 202), erased
        self.project()
        self.sync()


@pytest.fixture(scope="module")
def other_pool(stack: LocalStack) -> str:
    """A user pool that settings may name."""
    cognito = boto3.client("cognito-idp", endpoint_url=stack.endpoint)
    return str(cognito.create_user_pool(PoolName="other")["UserPool"]["Id"])


@pytest.fixture(scope="module")
def recorded(stack: LocalStack, system: System, clock: SetClock, other_pool: str) -> Iterator[Recorder]:
    with pytest.MonkeyPatch.context() as environment, running_fixture_server() as fixture:
        environment.setenv("AWS_ENDPOINT_URL_PINPOINT", fixture.endpoint)
        environment.setenv("COGNITO_ALLOWED_POOLS", other_pool)
        # As if each state and answer of a job were a large one.
        environment.setattr("chalicelib.jobs.store.LARGEST_INLINE", 10)
        with recording() as recorder:
            wiring.clock = clock
            Played(stack, system, clock, recorder, fixture.names, other_pool).play()
            with recorder.of("check_token"):
                wiring.token_verifier()
            yield recorder


@pytest.fixture(scope="module")
def known(stack: LocalStack, other_pool: str) -> dict[str, str]:
    return names(stack, other_pool)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_all_that_it_does(function: str, recorded: Recorder, known: dict[str, str]) -> None:
    allowed = rights(function, known)
    refused = {one for one in recorded.calls[function] if not any(right.allows(one) for right in allowed)}
    assert {(one.action, one.resource) for one in refused} == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_does_all_that_it_may_do(function: str, recorded: Recorder, known: dict[str, str]) -> None:
    unused = {
        (right.action, right.resource)
        for right in rights(function, known)
        if right.action not in LAMBDAS_OWN
        and not any(right.allows(one) for one in recorded.calls[function])
        and not _is_failure_destination(function, right, known)
    }
    assert unused == set()


def _is_failure_destination(function: str, right: Right, known: dict[str, str]) -> bool:
    queue = known.get(f"{FAILURE_DESTINATIONS.get(function)}Failures.Arn")
    return right.action == "sqs:SendMessage" and right.resource == queue


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_right_is_for_everything(function: str, known: dict[str, str]) -> None:
    for right in rights(function, known):
        assert "*" not in right.action
        # X-Ray knows no resources.
        assert right.resource != "*" or right.action.startswith("xray:")


# --- partitions and prefixes ---

BY_KEY = {
    *("dynamodb:BatchGetItem", "dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:Query"),
    *("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:ConditionCheckItem"),
}
"""Actions that name partitions. A scan names none: no condition can narrow it."""

OPEN_TO_CLIENTS = ("api_handler", "ingest_events", "tag_users")
"""What somebody outside the account sends reaches these first."""


@pytest.mark.parametrize("function", OPEN_TO_CLIENTS)
def test_what_clients_reach_has_rights_by_partition_and_prefix_only(function: str, known: dict[str, str]) -> None:
    for right in rights(function, known):
        if right.action in BY_KEY:
            assert right.leading_keys, right
            assert "*" not in right.leading_keys
        if right.action.startswith("s3:") and right.resource.startswith("object/"):
            _, bucket, key = right.resource.split("/", 2)
            assert bucket
            assert not key.startswith("*"), right


@pytest.mark.parametrize(
    ("function", "action", "table", "partition"),
    [
        # Ingestion reads settings, and no customer's views, watermark or secret.
        ("ingest_events", "BatchGetItem", "ViewsTable", "shop@0#n#jane"),
        ("ingest_events", "BatchGetItem", "ViewsTable", "shard#shardId-1"),
        ("ingest_events", "BatchGetItem", "ViewsTable", "secret"),
        ("tag_users", "GetItem", "ViewsTable", "shop@0#tally#1"),
        ("tag_users", "GetItem", "ViewsTable", "secret"),
        # The API writes settings, journeys, jobs and bars: no figure, no campaign, no watermark.
        ("api_handler", "PutItem", "ViewsTable", "shop@0#tally#1"),
        ("api_handler", "PutItem", "ViewsTable", "shop@0#n#jane"),
        ("api_handler", "PutItem", "ViewsTable", "shard#shardId-1"),
        ("api_handler", "GetItem", "ViewsTable", "shard#shardId-1"),
        ("api_handler", "Query", "ViewsTable", "shard#shardId-1"),
        # What closes windows changes no settings.
        ("expire_campaigns", "UpdateItem", "ViewsTable", "app#shop"),
        ("run_jobs", "PutItem", "ViewsTable", "shop@0#tally#1"),
        ("run_jobs", "GetItem", "ViewsTable", "secret"),
    ],
)
def test_other_partitions_are_refused(
    function: str, action: str, table: str, partition: str, known: dict[str, str]
) -> None:
    refused = Call(f"dynamodb:{action}", known[f"{table}.Arn"], (partition,))
    assert not any(right.allows(refused) for right in rights(function, known))
    # One that it may not have among those that it may: the whole call is refused.
    mixed = refused._replace(leading_keys=("app#shop", partition))
    assert not any(right.allows(mixed) for right in rights(function, known))


def test_records_and_steps_are_quarantined_apart(known: dict[str, str]) -> None:
    bucket = known["QuarantineBucket.Arn"].replace("bucket/", "object/", 1)
    step = Call("s3:PutObject", f"{bucket}/quarantine/journey-step/steps/1.ndjson")
    assert any(right.allows(step) for right in rights("tag_users", known))
    assert not any(right.allows(step) for right in rights("ingest_events", known))
