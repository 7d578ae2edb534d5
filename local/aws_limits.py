"""AWS's limits, each in one place, and the changes that make MiniStack enforce them.

The figures are those of AWS's documentation. Where MiniStack 1.5.33 enforces less, the constant's
docstring says so. `enforce` runs in MiniStack's process, which has none of the project's other
modules: this module imports none of them.

The REST API runs in a process of its own. There `rest_api` enforces Lambda's limit of answers, as
API Gateway shows it: with a 502.
"""

from __future__ import annotations

import decimal
import json
from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

# --- DynamoDB ---

ITEM_BYTES = 400 * 1024
"""Names and values of an item; a number counts a byte for two digits and one more."""

PARTITION_KEY_BYTES = 2048
SORT_KEY_BYTES = 1024
"""MiniStack checks neither the keys of indexes nor those of a transaction's updates and deletes."""

NUMBER_DIGITS = 38
"""MiniStack rounds the sums of ``ADD`` and ``+``."""

SUM_DIGITS = 300
"""At least the digits of any sum of two numbers: their exponents are -130 to 125."""

TRANSACTION_ITEMS = 100
TRANSACTION_BYTES = 4 * 1024 * 1024
"""All items of a transaction, as they are stored. MiniStack measures the request's JSON."""

BATCH_GET_ITEMS = 100
BATCH_GET_BYTES = 16 * 1024 * 1024
"""The rest are ``UnprocessedKeys``. MiniStack returns all items."""

BATCH_WRITE_ITEMS = 25
EXPRESSION_BYTES = 4096
PAGE_BYTES = 1024 * 1024
"""What a page of a query or scan reads, before any filter."""

# --- SQS and Kinesis ---

MESSAGE_BYTES = 1024 * 1024
"""Of a message, and of a batch: 256 kB until August 2025. A queue may set less."""

RECORD_BYTES = 1024 * 1024
"""A record's data and partition key, unless the stream sets more. MiniStack ignores the key."""

PUT_RECORDS_BYTES = 5 * 1024 * 1024

# --- Lambda. MiniStack enforces none of these. ---

LAMBDA_REQUEST_BYTES = 6 * 1024 * 1024
LAMBDA_EVENT_BYTES = 1024 * 1024
"""Of an asynchronous invocation: 256 kB until October 2025."""

LAMBDA_ANSWER_BYTES = 6 * 1024 * 1024 + 100

TOO_LARGE_AN_ANSWER = {
    "errorMessage": f"Response payload size exceeded maximum allowed payload size ({LAMBDA_ANSWER_BYTES} bytes).",
    "errorType": "Function.ResponseSizeTooLarge",
}


def enforce() -> None:
    """Change MiniStack, which is imported here, so that it enforces these limits."""
    from ministack.services import dynamodb, kinesis, lambda_svc

    dynamodb._DDB_ITEM_MAX_BYTES = ITEM_BYTES
    dynamodb._DDB_KEY_MAX_BYTES = PARTITION_KEY_BYTES
    dynamodb._DDB_SORT_KEY_MAX_BYTES = SORT_KEY_BYTES
    dynamodb._DDB_NUM_MAX_DIGITS = NUMBER_DIGITS
    dynamodb._DDB_TXN_WRITE_MAX_ITEMS = TRANSACTION_ITEMS
    dynamodb._DDB_BATCH_GET_MAX = BATCH_GET_ITEMS
    dynamodb._DDB_BATCH_WRITE_MAX = BATCH_WRITE_ITEMS
    dynamodb._DDB_EXPR_MAX_BYTES = EXPRESSION_BYTES
    dynamodb._DDB_PAGE_SIZE_BYTES = PAGE_BYTES
    _sum_exactly(dynamodb)
    _measure_keys(dynamodb)
    _measure_transactions(dynamodb)
    _measure_batches(dynamodb)
    _measure_records(kinesis)
    _measure_invocations(lambda_svc)


def _sum_exactly(dynamodb: Any) -> None:
    """Refuse a sum of more than 38 digits. DynamoDB calls that an overflow, too."""
    # MiniStack adds in the context of its threads.
    decimal.DefaultContext.prec = SUM_DIGITS
    decimal.setcontext(decimal.DefaultContext)
    apply_add = dynamodb._apply_add

    def add(item: Json, tokens: Any, values: Json, names: Json, updated: set[tuple[Any, ...]]) -> None:
        added: set[tuple[Any, ...]] = set()
        apply_add(item, tokens, values, names, added)
        updated |= added
        for path in map(list, added):
            found = dynamodb._get_at_path(item, path)
            if "N" in found:
                number = dynamodb._ddb_canonicalize_number(found["N"])
                if number is None:
                    raise ValueError(dynamodb._NUM_OVERFLOW)
                dynamodb._set_at_path(item, path, {"N": number})

    dynamodb._apply_add = add


def _measure_keys(dynamodb: Any) -> None:
    """Measure the keys of indexes, and those of all actions of a transaction."""
    type_reason = dynamodb._index_key_type_reason
    action_error = dynamodb._transact_write_action_error

    def long_keys(table: Json, item: Json) -> Iterator[str]:
        for index in table.get("GlobalSecondaryIndexes") or ():
            partition, sort = ([one["AttributeName"] for one in index["KeySchema"]] + [None])[:2]
            if error := dynamodb._key_length_error(item, partition, sort):
                yield json.loads(error[2])["message"]

    def index_key_reason(table: Json, item: Json) -> str | None:
        reason: str | None = type_reason(table, item)
        return reason or next(long_keys(table, item), None)

    def transacted_key_error(kind: str, action: Any) -> Any:
        error = action_error(kind, action)
        if error or not isinstance(action, dict):
            return error
        table = dynamodb._tables.get(action.get("TableName"), {})
        return dynamodb._key_length_error(action.get("Key") or {}, table.get("pk_name"), table.get("sk_name"))

    dynamodb._index_key_type_reason = index_key_reason
    dynamodb._transact_write_action_error = transacted_key_error


def _measure_transactions(dynamodb: Any) -> None:
    """Measure a transaction by its items: those that it puts, and the stored ones that it changes.

    An update counts as the stored item and all values of its expression: no less than its result.
    """
    transact = dynamodb._transact_write_items

    def size_of(action: Json) -> int:
        if "Item" in action:
            return int(dynamodb._item_size_bytes(action["Item"]))
        table = dynamodb._tables.get(dynamodb._normalize_table_name(action.get("TableName")))
        found = dynamodb._get_item_by_key(table, action.get("Key", {})) if table else None
        given = action.get("ExpressionAttributeValues", {}) if "UpdateExpression" in action else {}
        added = sum(dynamodb._attribute_value_size(one) for one in given.values())
        return int(dynamodb._item_size_bytes(found or action.get("Key", {})) + added)

    def measured(data: Json) -> Any:
        actions = [action for member in data.get("TransactItems", ()) for action in member.values()]
        if sum(map(size_of, actions)) > TRANSACTION_BYTES:
            message = "Transaction request exceeds the 4MB transaction size limit"
            return dynamodb.error_response_json("ValidationException", message, 400)
        return transact(data)

    # Replaces MiniStack's own check.
    dynamodb._DDB_TXN_MAX_BYTES = float("inf")
    dynamodb._transact_write_items = measured


def _measure_batches(dynamodb: Any) -> None:
    """Return the keys beyond a batch's size as unprocessed."""
    get = dynamodb._batch_get_item

    def within(wanted: Json) -> tuple[Json, Json]:
        """The requests of each table that are answered, and those that are left."""
        answered: Json = {}
        left: Json = {}
        size = 0
        for name, request in wanted.items():
            table = dynamodb._tables[dynamodb._normalize_table_name(name)]
            for key in request["Keys"]:
                size += dynamodb._item_size_bytes(dynamodb._get_item_by_key(table, key) or {})
                part = answered if size <= BATCH_GET_BYTES else left
                part.setdefault(name, {**request, "Keys": []})["Keys"].append(key)
        return answered, left

    def measured(data: Json) -> Any:
        wanted = data.get("RequestItems") or {}
        if sum(len(one.get("Keys", ())) for one in wanted.values()) > BATCH_GET_ITEMS:
            message = "Too many items requested for the BatchGetItem call"
            return dynamodb.error_response_json("ValidationException", message, 400)
        answer = get(data)
        # Items are never longer than their JSON.
        if len(answer[2]) <= BATCH_GET_BYTES:
            return answer
        answered, left = within(wanted)
        found = json.loads(get({**data, "RequestItems": answered})[2])
        return dynamodb.json_response({**found, "UnprocessedKeys": left})

    dynamodb._batch_get_item = measured


def _measure_records(kinesis: Any) -> None:
    """Measure records with their partition keys."""
    put_record, put_records = kinesis._put_record, kinesis._put_records

    def size_of(record: Json) -> int:
        encoded = str(record.get("Data", ""))
        return len(encoded) * 3 // 4 - encoded.count("=", -2) + len(str(record.get("PartitionKey", "")).encode())

    def refusal(records: list[Json]) -> Any:
        sizes = [size_of(one) for one in records]
        reasons = {
            f"A record has more than {RECORD_BYTES} bytes": max(sizes, default=0) > RECORD_BYTES,
            f"The records have more than {PUT_RECORDS_BYTES} bytes": sum(sizes) > PUT_RECORDS_BYTES,
        }
        message = next((one for one, holds in reasons.items() if holds), None)
        return message and kinesis.error_response_json("ValidationException", message, 400)

    kinesis._put_record = lambda data: refusal([data]) or put_record(data)
    kinesis._put_records = lambda data: refusal(data.get("Records", [])) or put_records(data)


def _measure_invocations(lambda_svc: Any) -> None:
    """Measure the payloads and the answers of invocations."""
    handle = lambda_svc.handle_request

    async def measured(method: str, path: str, headers: Json, body: bytes, query: Json) -> Any:
        if method != "POST" or not path.endswith("/invocations"):
            return await handle(method, path, headers, body, query)
        kind = headers.get("x-amz-invocation-type") or "RequestResponse"
        most = LAMBDA_EVENT_BYTES if kind == "Event" else LAMBDA_REQUEST_BYTES
        if len(body) > most:
            message = f"{len(body)} byte payload is too large for the {kind} invocation type (limit {most} bytes)"
            return lambda_svc.error_response_json("RequestTooLargeException", message, 413)
        status, answered, answer = await handle(method, path, headers, body, query)
        if len(answer) > LAMBDA_ANSWER_BYTES:
            return status, {**answered, "X-Amz-Function-Error": "Unhandled"}, json.dumps(TOO_LARGE_AN_ANSWER).encode()
        return status, answered, answer

    lambda_svc.handle_request = measured
