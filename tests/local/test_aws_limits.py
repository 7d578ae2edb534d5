"""The emulator refuses what AWS refuses: each limit, at its figure and one beyond it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local import aws_limits
from local.ministack import running_ministack

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

TABLE = "limits"
ITEM_TOO_LARGE = "Item size has exceeded the maximum allowed size"
UPDATE_TOO_LARGE = "Item size to update has exceeded the maximum allowed size"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
DIGITS = "Attempting to store more than 38 significant digits in a Number"
INVALID = "One or more parameter values were invalid: "
HASH_KEY = INVALID + "Aggregated size of all hash keys has exceeded the size limit of 2048 bytes"
SORT_KEY = INVALID + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
_names = count()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with running_ministack() as ministack:
        yield ministack.endpoint


@pytest.fixture(scope="module")
def dynamodb(endpoint: str) -> DynamoDBClient:
    client = boto3.client("dynamodb", endpoint_url=endpoint, region_name="us-east-1")
    client.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk", "gpk", "gsk")],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by_time",
                "KeySchema": [
                    {"AttributeName": "gpk", "KeyType": "HASH"},
                    {"AttributeName": "gsk", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def key(pk: str = "", sk: str = "s") -> dict[str, Any]:
    """A key of its own, of four bytes and more."""
    return {"pk": {"S": pk or f"{next(_names):03d}"}, "sk": {"S": sk}}


def item(size: int, **fields: Any) -> dict[str, Any]:
    """An item of so many bytes: names and values, as DynamoDB counts them."""
    made = {**key(), **fields}
    used = sum(len(name) + len(next(iter(value.values()))) for name, value in made.items()) + len("t")
    return {**made, "t": {"S": "x" * (size - used)}}


def refusal(refused: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def reasons(refused: pytest.ExceptionInfo[ClientError]) -> list[tuple[str, str | None]]:
    """Why a transaction was cancelled, action by action."""
    assert refused.value.response["Error"]["Code"] == "TransactionCanceledException"
    return [(one["Code"], one.get("Message")) for one in refused.value.response["CancellationReasons"]]


def update(client: DynamoDBClient, wanted: dict[str, Any], expression: str, **values: Any) -> None:
    given = {f":{name}": value for name, value in values.items()}
    client.update_item(
        TableName=TABLE,
        Key={name: wanted[name] for name in ("pk", "sk")},
        UpdateExpression=expression,
        ExpressionAttributeValues=given,
    )


def transacted(wanted: dict[str, Any], expression: str, **values: Any) -> Any:
    given = {f":{name}": value for name, value in values.items()}
    of_item = {name: wanted[name] for name in ("pk", "sk")}
    return {
        "Update": {
            "TableName": TABLE,
            "Key": of_item,
            "UpdateExpression": expression,
            "ExpressionAttributeValues": given,
        }
    }


# --- an item ---


def test_an_item_has_400_kb(dynamodb: DynamoDBClient) -> None:
    dynamodb.put_item(TableName=TABLE, Item=item(409_600))
    with pytest.raises(ClientError) as refused:
        dynamodb.put_item(TableName=TABLE, Item=item(409_601))
    assert refusal(refused) == ("ValidationException", ITEM_TOO_LARGE)
    with pytest.raises(ClientError) as refused:
        dynamodb.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": item(409_601)}}]})
    assert refusal(refused) == ("ValidationException", ITEM_TOO_LARGE)
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": TABLE, "Item": item(409_601)}}])
    assert refusal(refused) == ("ValidationException", ITEM_TOO_LARGE)


@pytest.mark.parametrize(
    ("number", "size"),
    [
        ("0", 1),
        ("7", 2),
        ("12", 2),
        ("123", 3),
        ("-123", 4),
        ("1200", 2),  # trailing zeros cost nothing
        ("12345678901234567890123456789012345678", 20),
    ],
)
def test_a_number_has_a_byte_and_one_for_two_digits(number: str, size: int, dynamodb: DynamoDBClient) -> None:
    dynamodb.put_item(TableName=TABLE, Item={**item(409_600 - 1 - size), "n": {"N": number}})
    with pytest.raises(ClientError) as refused:
        dynamodb.put_item(TableName=TABLE, Item={**item(409_600 - size), "n": {"N": number}})
    assert refusal(refused) == ("ValidationException", ITEM_TOO_LARGE)


def test_an_update_makes_no_item_larger_than_400_kb(dynamodb: DynamoDBClient) -> None:
    wanted = item(409_590)
    dynamodb.put_item(TableName=TABLE, Item=wanted)
    dynamodb.transact_write_items(TransactItems=[transacted(wanted, "ADD a :n", n={"N": "1"})])  # 3 bytes
    with pytest.raises(ClientError) as refused:
        update(dynamodb, wanted, "SET bcd = :s", s={"S": "12345"})
    assert refusal(refused) == ("ValidationException", UPDATE_TOO_LARGE)
    other = key()
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(
            TransactItems=[
                {"Put": {"TableName": TABLE, "Item": other}},
                transacted(wanted, "ADD bcdefg :n", n={"N": "1"}),
            ]
        )
    assert reasons(refused) == [("None", None), ("ValidationError", UPDATE_TOO_LARGE)]
    assert "Item" not in dynamodb.get_item(TableName=TABLE, Key=other)


# --- keys ---


def test_a_partition_key_has_2_kb_and_a_sort_key_1_kb(dynamodb: DynamoDBClient) -> None:
    # Bytes are counted, not characters.
    dynamodb.put_item(TableName=TABLE, Item=key("é" * 1024, "é" * 512))
    for wrong, says in ((key("é" * 1024 + "x"), HASH_KEY), (key("k", "é" * 512 + "x"), SORT_KEY)):
        calls: list[Any] = [
            lambda one=wrong: dynamodb.put_item(TableName=TABLE, Item=one),
            lambda one=wrong: dynamodb.get_item(TableName=TABLE, Key=one),
            lambda one=wrong: dynamodb.delete_item(TableName=TABLE, Key=one),
            lambda one=wrong: update(dynamodb, one, "SET t = :t", t={"S": "x"}),
            lambda one=wrong: dynamodb.batch_write_item(RequestItems={TABLE: [{"PutRequest": {"Item": one}}]}),
            lambda one=wrong: dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": [one]}}),
            lambda one=wrong: dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": TABLE, "Item": one}}]),
            lambda one=wrong: dynamodb.transact_write_items(
                TransactItems=[transacted(one, "SET t = :t", t={"S": "x"})]
            ),
            lambda one=wrong: dynamodb.transact_write_items(
                TransactItems=[{"Delete": {"TableName": TABLE, "Key": one}}]
            ),
        ]
        for at, call in enumerate(calls):
            with pytest.raises(ClientError) as refused:
                call()
            assert refusal(refused) == ("ValidationException", says), at


@pytest.mark.parametrize(("name", "size", "says"), [("gpk", 2048, HASH_KEY), ("gsk", 1024, SORT_KEY)])
def test_an_index_s_keys_have_as_much(name: str, size: int, says: str, dynamodb: DynamoDBClient) -> None:
    good, bad = {"S": "x" * size}, {"S": "x" * (size + 1)}
    wanted = {**key(), "gpk": {"S": "g"}, "gsk": {"S": "g"}}
    dynamodb.put_item(TableName=TABLE, Item={**wanted, name: good})
    with pytest.raises(ClientError) as refused:
        dynamodb.put_item(TableName=TABLE, Item={**wanted, name: bad})
    assert refusal(refused) == ("ValidationException", says)
    with pytest.raises(ClientError) as refused:
        update(dynamodb, wanted, f"SET {name} = :v", v=bad)
    assert refusal(refused) == ("ValidationException", says)
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[transacted(wanted, f"SET {name} = :v", v=bad)])
    assert reasons(refused) == [("ValidationError", says)]


# --- numbers ---


def test_a_number_has_38_digits(dynamodb: DynamoDBClient) -> None:
    dynamodb.put_item(TableName=TABLE, Item={**key(), "n": {"N": "9" * 38 + "0000"}})
    for call in (
        lambda: dynamodb.put_item(TableName=TABLE, Item={**key(), "n": {"N": "9" * 39}}),
        lambda: update(dynamodb, key(), "SET n = :n", n={"N": "9" * 39}),
        lambda: dynamodb.transact_write_items(
            TransactItems=[{"Put": {"TableName": TABLE, "Item": {**key(), "n": {"N": "9" * 39}}}}]
        ),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refusal(refused)[0] == "ValidationException"
        assert DIGITS in refusal(refused)[1]


NINES = "9" * 38
FINE = "0." + "0" * 17 + "1"


@pytest.mark.parametrize(
    ("stored", "added"),
    [
        (NINES, "0.1"),  # catches: rounded to 1E+38
        ("1" + "0" * 24, FINE),  # catches: what is added vanishes in the rounding
        ("-" + NINES, "-0.5"),
        ("9E125", "9E125"),
    ],
)
@pytest.mark.parametrize("expression", ["ADD n :n", "SET n = n + :n"])
def test_a_sum_of_more_digits_is_refused(expression: str, stored: str, added: str, dynamodb: DynamoDBClient) -> None:
    wanted = {**key(), "n": {"N": stored}}
    dynamodb.put_item(TableName=TABLE, Item=wanted)
    before = dynamodb.get_item(TableName=TABLE, Key=key(wanted["pk"]["S"]))["Item"]
    with pytest.raises(ClientError) as refused:
        update(dynamodb, wanted, expression, n={"N": added})
    assert refusal(refused) == ("ValidationException", OVERFLOW)
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[transacted(wanted, expression, n={"N": added})])
    assert reasons(refused) == [("ValidationError", OVERFLOW)]
    assert dynamodb.get_item(TableName=TABLE, Key=key(wanted["pk"]["S"]))["Item"] == before


@pytest.mark.parametrize(
    ("stored", "added", "total"),
    [
        (NINES, "1", "1" + "0" * 38),
        ("1" + "0" * 19, FINE, "1" + "0" * 19 + "." + "0" * 17 + "1"),
        (NINES, "-" + NINES, "0"),
        ("0.10", "0.20", "0.3"),
    ],
)
def test_a_sum_of_38_digits_is_exact(stored: str, added: str, total: str, dynamodb: DynamoDBClient) -> None:
    wanted = {**key(), "n": {"N": stored}}
    for call in (
        lambda: update(dynamodb, wanted, "ADD n :n", n={"N": added}),
        lambda: dynamodb.transact_write_items(TransactItems=[transacted(wanted, "ADD n :n", n={"N": added})]),
    ):
        dynamodb.put_item(TableName=TABLE, Item=wanted)
        call()
        found = dynamodb.get_item(TableName=TABLE, Key=key(wanted["pk"]["S"]))["Item"]
        assert found["n"] == {"N": total}


# --- requests ---


def test_a_transaction_has_100_actions(dynamodb: DynamoDBClient) -> None:
    actions: list[Any] = [{"Put": {"TableName": TABLE, "Item": key()}} for _ in range(101)]
    dynamodb.transact_write_items(TransactItems=actions[:100])
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=actions)
    assert refusal(refused)[0] == "ValidationException"
    assert "Member must have length less than or equal to 100" in refusal(refused)[1]


def test_a_transaction_s_items_have_4_mb_together(dynamodb: DynamoDBClient) -> None:
    def puts(sizes: Sequence[int]) -> list[Any]:
        return [{"Put": {"TableName": TABLE, "Item": item(size)}} for size in sizes]

    dynamodb.transact_write_items(TransactItems=puts([400_000] * 10 + [194_304 - 100]))
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=puts([400_000] * 10 + [194_305]))
    assert refusal(refused)[0] == "ValidationException"
    assert "4MB" in refusal(refused)[1]


def test_what_a_transaction_changes_counts_with_its_whole_size(dynamodb: DynamoDBClient) -> None:
    # Catches: only the request being counted, which is small where large items are updated.
    stored = [item(400_000) for _ in range(11)]
    for one in stored:
        dynamodb.put_item(TableName=TABLE, Item=one)
    actions: list[Any] = [transacted(one, "ADD a :n", n={"N": "1"}) for one in stored]
    dynamodb.transact_write_items(TransactItems=actions[:10])
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=actions)
    assert refusal(refused)[0] == "ValidationException"
    assert "4MB" in refusal(refused)[1]


def test_batch_get_item_has_100_keys_and_batch_write_item_25(dynamodb: DynamoDBClient) -> None:
    keys: list[Any] = [key() for _ in range(101)]
    dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys[:100]}})
    with pytest.raises(ClientError) as refused:
        dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys}})
    assert refusal(refused)[0] == "ValidationException"
    writes: list[Any] = [{"PutRequest": {"Item": one}} for one in keys[:26]]
    dynamodb.batch_write_item(RequestItems={TABLE: writes[:25]})
    with pytest.raises(ClientError) as refused:
        dynamodb.batch_write_item(RequestItems={TABLE: writes})
    assert refusal(refused)[0] == "ValidationException"


def test_batch_get_item_answers_16_mb_and_names_the_rest(dynamodb: DynamoDBClient) -> None:
    stored: list[Any] = [item(400_000) for _ in range(45)]
    for one in stored:
        dynamodb.put_item(TableName=TABLE, Item=one)
    keys = [{name: one[name] for name in ("pk", "sk")} for one in stored]
    answer = dynamodb.batch_get_item(RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})
    # 41 items are 16.4 million bytes, and 16 MB are 16,777,216.
    assert [one["pk"] for one in answer["Responses"][TABLE]] == [one["pk"] for one in stored[:41]]
    left = answer["UnprocessedKeys"][TABLE]
    assert left["Keys"] == keys[41:]
    assert left["ConsistentRead"] is True


def test_an_expression_has_4_kb(dynamodb: DynamoDBClient) -> None:
    name = "n" * (4096 - len("SET  = :n"))
    with pytest.raises(ClientError) as refused:
        update(dynamodb, key(), f"SET {name}x = :n", n={"N": "1"})
    assert refusal(refused)[0] == "ValidationException"
    assert "Expression size has exceeded the maximum allowed size" in refusal(refused)[1]
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[transacted(key(), f"SET {name}x = :n", n={"N": "1"})])
    assert "Expression size has exceeded the maximum allowed size" in refusal(refused)[1]
    update(dynamodb, key(), f"SET {name} = :n", n={"N": "1"})


@pytest.mark.parametrize("index", [None, "by_time"])
def test_a_page_of_a_query_has_1_mb(index: str | None, dynamodb: DynamoDBClient) -> None:
    partition = f"page of {index}"
    for at in range(6):
        one = {**key(partition, f"{at}"), "gpk": {"S": partition}, "gsk": {"S": f"{at}"}, "t": {"S": "x" * 300_000}}
        dynamodb.put_item(TableName=TABLE, Item=one)
    request: dict[str, Any] = {
        "TableName": TABLE,
        "KeyConditionExpression": f"{'pk' if index is None else 'gpk'} = :p",
        "ExpressionAttributeValues": {":p": {"S": partition}},
        **({"IndexName": index} if index else {}),
    }
    first = dynamodb.query(**request)
    assert [one["sk"]["S"] for one in first["Items"]] == ["0", "1", "2"]
    rest = dynamodb.query(**request, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert [one["sk"]["S"] for one in rest["Items"]] == ["3", "4", "5"]


def test_a_page_of_a_scan_has_1_mb(dynamodb: DynamoDBClient) -> None:
    # Whatever the filter lets through: what is read counts.
    read = dynamodb.scan(
        TableName=TABLE, FilterExpression="pk = :none", ExpressionAttributeValues={":none": {"S": "none"}}
    )
    assert read["Items"] == []
    assert "LastEvaluatedKey" in read


# --- queues and streams ---


def test_a_message_has_1_mib(endpoint: str) -> None:
    client: SQSClient = boto3.client("sqs", endpoint_url=endpoint, region_name="us-east-1")
    url = client.create_queue(QueueName="limits")["QueueUrl"]
    client.send_message(QueueUrl=url, MessageBody="x" * 1_048_576)
    with pytest.raises(ClientError) as refused:
        client.send_message(QueueUrl=url, MessageBody="x" * 1_048_577)
    assert refusal(refused) == (
        "InvalidParameterValue",
        "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.",
    )
    entries: list[Any] = [{"Id": f"{at}", "MessageBody": "x" * 524_289} for at in range(2)]
    with pytest.raises(ClientError, match="BatchRequestTooLong"):
        client.send_message_batch(QueueUrl=url, Entries=entries)


def test_a_record_has_1_mib_with_its_partition_key_and_a_request_5_mib(endpoint: str) -> None:
    client: KinesisClient = boto3.client("kinesis", endpoint_url=endpoint, region_name="us-east-1")
    client.create_stream(StreamName="limits", ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName="limits")
    client.put_record(StreamName="limits", Data=b"x" * 1_048_575, PartitionKey="k")
    with pytest.raises(ClientError) as refused:
        client.put_record(StreamName="limits", Data=b"x" * 1_048_576, PartitionKey="k")
    assert refusal(refused)[0] == "ValidationException"

    def records(*sizes: int) -> list[Any]:
        return [{"Data": b"x" * size, "PartitionKey": "k"} for size in sizes]

    with pytest.raises(ClientError) as refused:
        client.put_records(StreamName="limits", Records=records(10, 1_048_576))
    assert refusal(refused)[0] == "ValidationException"
    client.put_records(StreamName="limits", Records=records(*[1_048_575] * 5))
    with pytest.raises(ClientError) as refused:
        client.put_records(StreamName="limits", Records=records(*[1_048_575] * 5, 1))
    assert refusal(refused)[0] == "ValidationException"


# --- functions ---

CODE = """
import json
def handler(event, context):
    return "x" * event["answer"] if isinstance(event, dict) else len(event)
"""


@pytest.fixture(scope="module")
def function(endpoint: str) -> tuple[LambdaClient, str]:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("code.py", CODE)
        archive.writestr("function.py", CODE)
    client: LambdaClient = boto3.client("lambda", endpoint_url=endpoint, region_name="us-east-1")
    client.create_function(
        FunctionName="limits",
        Handler="function.handler",
        Runtime="python3.13",
        Role="arn:aws:iam::000000000000:role/local",
        Code={"ZipFile": content.getvalue()},
        Timeout=30,
    )
    return client, "limits"


def test_a_function_is_invoked_with_6_mib_and_in_the_background_with_1_mib(
    function: tuple[LambdaClient, str],
) -> None:
    client, name = function
    for kind, most in (("RequestResponse", 6_291_456), ("Event", 1_048_576)):
        client.invoke(FunctionName=name, InvocationType=kind, Payload=json.dumps("x" * (most - 2)).encode())  # type: ignore[arg-type]
        with pytest.raises(ClientError) as refused:
            client.invoke(FunctionName=name, InvocationType=kind, Payload=json.dumps("x" * (most - 1)).encode())  # type: ignore[arg-type]
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
        assert refusal(refused) == (
            "RequestTooLargeException",
            f"{most + 1} byte payload is too large for the {kind} invocation type (limit {most} bytes)",
        )


def test_a_function_answers_6_mb(function: tuple[LambdaClient, str]) -> None:
    client, name = function
    most = 6_291_556
    answer = client.invoke(FunctionName=name, Payload=json.dumps({"answer": most - 2}).encode())
    assert "FunctionError" not in answer
    assert len(answer["Payload"].read()) == most
    answer = client.invoke(FunctionName=name, Payload=json.dumps({"answer": most - 1}).encode())
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read()) == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }


def test_the_figures_are_those_of_the_tests_above() -> None:
    assert (aws_limits.ITEM_BYTES, aws_limits.TRANSACTION_BYTES) == (409_600, 4_194_304)
    assert (aws_limits.MESSAGE_BYTES, aws_limits.RECORD_BYTES) == (1_048_576, 1_048_576)
    assert (aws_limits.LAMBDA_REQUEST_BYTES, aws_limits.LAMBDA_ANSWER_BYTES) == (6_291_456, 6_291_556)
