"""Reads whose answers are not walked by botocore: the same as those that are."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from chalicelib import wiring
from chalicelib.plain_answers import with_plain_answers
from chalicelib.tables import to_wire
from local.stack import LocalStack

ITEM: dict[str, Any] = {
    "pk": "plain answers",
    "text": 'ümläut \\ " \u2028',
    "number": Decimal("-12345678901234567890.123456789"),
    "bytes": b"\x00\xff",
    "yes": True,
    "nothing": None,
    "map": {"in it": {"bytes": b"\x01", "list": [1, b"\x02", "three", {"bytes": b""}]}},
    "texts": {"a", "b"},
    "numbers": {Decimal(1), Decimal("2.5")},
    "binaries": {b"\x03", b"\x04"},
}


@pytest.fixture(scope="module")
def clients(stack: LocalStack) -> tuple[Any, Any, str]:
    """A client as boto3 makes it, one with plain answers, and a table with items."""
    name = stack.views_table
    made = [boto3.client("dynamodb", endpoint_url=stack.endpoint, region_name=stack.region) for _ in range(2)]
    for number in range(5):
        made[0].put_item(TableName=name, Item=to_wire({**ITEM, "sk": str(number)}))
    return made[0], with_plain_answers(made[1]), name


def sets_sorted(value: Any) -> Any:
    """Sets come in no order."""
    if isinstance(value, dict):
        return {
            name: sorted(one) if name in ("SS", "NS", "BS") else sets_sorted(one)
            for name, one in value.items()
            if name != "ResponseMetadata"
        }
    return [sets_sorted(one) for one in value] if isinstance(value, list) else value


def test_a_query_answers_the_same(clients: tuple[Any, Any, str]) -> None:
    parsed, plain, table = clients
    asked = {
        "TableName": table,
        "KeyConditionExpression": "pk = :pk",
        "ExpressionAttributeValues": {":pk": {"S": ITEM["pk"]}},
        "Limit": 3,
        "ReturnConsumedCapacity": "TOTAL",
    }
    answers = [sets_sorted(client.query(**asked)) for client in (parsed, plain)]
    assert answers[0] == answers[1]
    assert len(answers[1]["Items"]) == 3
    assert answers[1]["LastEvaluatedKey"] == {"pk": {"S": ITEM["pk"]}, "sk": {"S": "2"}}


def test_a_batch_read_answers_the_same(clients: tuple[Any, Any, str]) -> None:
    parsed, plain, table = clients
    keys = [{"pk": {"S": ITEM["pk"]}, "sk": {"S": number}} for number in ("1", "4", "nobody")]
    answers = [sets_sorted(one.batch_get_item(RequestItems={table: {"Keys": keys}})) for one in (parsed, plain)]
    for answer in answers:
        answer["Responses"][table].sort(key=lambda item: item["sk"]["S"])
    assert answers[0] == answers[1]
    assert len(answers[1]["Responses"][table]) == 2


def test_errors_are_errors(clients: tuple[Any, Any, str]) -> None:
    _, plain, table = clients
    with pytest.raises(ClientError) as raised:
        plain.query(TableName=table, KeyConditionExpression="pk = :unknown")
    assert raised.value.response["Error"]["Code"] == "ValidationException"


def test_the_application_reads_so(stack: LocalStack) -> None:
    # Catches: a client that is made without.
    events = wiring.dynamodb().meta.events
    told: dict[str, Any] = {}
    response = {"status_code": 200, "body": b'{"Count": 1}'}
    events.emit("before-parse.dynamodb.Query", response_dict=response, customized_response_dict=told)
    assert told == {"Count": 1}
