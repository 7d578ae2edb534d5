"""The pump of a queue on MiniStack's SQS: what Lambda's polling guarantees, and no more."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.lambda_context import LambdaContext
from local.lambda_events import JsonObject
from local.mappings import messages_at_once
from local.pumps import Function
from local.queue_pump import QueuePump
from local.stack import LocalStack

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class Queues:
    """A queue whose messages come again after a second, and after three receives go to another."""

    def __init__(self, sqs: SQSClient, name: str) -> None:
        self.sqs = sqs
        self.dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        redrive = {"deadLetterTargetArn": self._arn(self.dead), "maxReceiveCount": 3}
        self.url = sqs.create_queue(
            QueueName=name, Attributes={"VisibilityTimeout": "1", "RedrivePolicy": json.dumps(redrive)}
        )["QueueUrl"]
        self.arn = self._arn(self.url)

    def _arn(self, url: str) -> str:
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self, url: str) -> int:
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        counts = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(number) for number in counts.values())

    @contextmanager
    def pumped(self, handler: Callable[[JsonObject], object]) -> Iterator[QueuePump]:
        def handle(event: JsonObject, _: LambdaContext) -> object:
            return handler(event)

        pump = QueuePump(self.sqs, self.url, self.arn, Function("f", handle, "us-east-1"), 1)
        pump.start()
        yield pump
        pump.stop()


@pytest.fixture
def queues(stack: LocalStack) -> Queues:
    return Queues(boto3.client("sqs", endpoint_url=stack.endpoint), f"queue-{uuid.uuid4().hex}")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_a_message_reaches_the_function_as_lambda_passes_it_and_is_deleted(queues: Queues) -> None:
    events: list[JsonObject] = []
    queues.send("one", "two")
    with queues.pumped(events.append) as pump:
        wait_for(lambda: pump.delivered == 2)
    assert sorted(event["Records"][0]["body"] for event in events) == ["one", "two"]
    (record,) = events[0]["Records"]
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == queues.arn
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert queues.left(queues.url) == 0


@pytest.mark.parametrize("how", ["raises", "names it"])
def test_a_message_that_fails_comes_again_and_in_the_end_is_put_aside(queues: Queues, how: str) -> None:
    receives: list[int] = []

    def fail(event: JsonObject) -> object:
        (record,) = event["Records"]
        receives.append(int(record["attributes"]["ApproximateReceiveCount"]))
        if how == "raises":
            raise ValueError("sorry")
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}

    queues.send("bad")
    with queues.pumped(fail) as pump:
        wait_for(lambda: queues.left(queues.dead) == 1)
        assert pump.delivered == 0
    assert receives == [1, 2, 3]
    assert queues.left(queues.url) == 0


def test_stopping_waits_for_the_call_in_hand(queues: Queues) -> None:
    begun, finished = threading.Event(), threading.Event()

    def slow(event: JsonObject) -> None:
        begun.set()
        time.sleep(0.3)
        finished.set()

    queues.send("one")
    with queues.pumped(slow) as pump:
        assert begun.wait(30)
    assert finished.is_set()
    assert pump.delivered == 1


def test_a_function_may_be_given_less_time_but_not_more() -> None:
    left: list[int] = []
    function = Function("f", lambda _, context: left.append(context.get_remaining_time_in_millis()), "us-east-1", 30)
    function.within(10)({})
    function.within(60)({})
    assert 9_000 < left[0] <= 10_000
    assert 29_000 < left[1] <= 30_000


def test_a_call_of_the_jobs_function_gets_one_message(stack: LocalStack) -> None:
    from app import app

    assert messages_at_once(app, "run_jobs") == 1
