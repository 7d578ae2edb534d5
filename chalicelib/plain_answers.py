"""Answers of DynamoDB's reads as the JSON that they are.

botocore walks each attribute value by its service model, which for these answers changes nothing but the base64 of
binaries: a report of 30,000 numbers spent most of its time there. Its event ``before-parse`` lets an answer be given in
place of the parser's. Errors are parsed as always.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

OPERATIONS = ("Query", "BatchGetItem")

_MAY_BE_BINARY = b'"B'

_decode = msgspec.json.Decoder().decode


def with_plain_answers(client: DynamoDBClient) -> DynamoDBClient:
    """The client, whose queries and batch reads are not parsed by the service model any more."""
    for operation in OPERATIONS:
        client.meta.events.register(f"before-parse.dynamodb.{operation}", _answer)
    return client


def _answer(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    if response_dict["status_code"] != 200:
        return
    body = response_dict["body"]
    answer = _decode(body)
    # To walk thousands of numbers for a binary that is not there takes as long as to decode them.
    if _MAY_BE_BINARY in body:
        for item in answer.get("Items", ()):
            _decode_binaries(item)
        for items in answer.get("Responses", {}).values():
            for item in items:
                _decode_binaries(item)
    customized_response_dict.update(answer)
    response_dict["body"] = b"{}"


def _decode_binaries(values: dict[str, dict[str, Any]]) -> None:
    """Attribute values by name; what holds no binary stays as it is."""
    for value in values.values():
        _decode_binary(value)


def _decode_binary(value: dict[str, Any]) -> None:
    if "B" in value:
        value["B"] = base64.b64decode(value["B"])
    elif "BS" in value:
        value["BS"] = [base64.b64decode(one) for one in value["BS"]]
    elif "M" in value:
        _decode_binaries(value["M"])
    elif "L" in value:
        for one in value["L"]:
            _decode_binary(one)
