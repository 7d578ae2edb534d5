"""Records which calls of AWS each function makes, in the words of IAM: actions and resources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import boto3

from tests.support.system import clear_wiring

Json = Mapping[str, Any]

SAME_NAME = {
    "dynamodb": ("BatchGetItem", "BatchWriteItem", "DeleteItem", "GetItem", "PutItem", "Query", "Scan", "UpdateItem")
}
IN_TRANSACTION = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}
OF_OBJECTS = {
    "GetObject": "GetObject",
    "HeadObject": "GetObject",
    "PutObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "AbortMultipartUpload": "AbortMultipartUpload",
    "DeleteObject": "DeleteObject",
}


PARTITION = re.compile(r"^#?\w+ = (:\w+)")
"""In the condition of a query."""


class Call(NamedTuple):
    """A call as a policy sees it."""

    action: str
    resource: str
    """Kind and name: ``table/NAME``, ``table/NAME/index/INDEX``, ``object/BUCKET/KEY``, ``queue/NAME``..."""
    leading_keys: tuple[str, ...] = ()
    """Partitions that are written, read or queried, of a call of DynamoDB's; of an index its own."""
    prefix: str | None = None
    """Of a listing of objects."""


class UnknownCall(Exception):
    """A call whose action nobody has written down here yet."""


class Recorder:
    """What each function called, by the function's name in .chalice/config.json."""

    def __init__(self) -> None:
        self.calls: dict[str, set[Call]] = {}
        self._function: str | None = None

    @contextmanager
    def of(self, function: str) -> Iterator[None]:
        """Whatever is called in the block, in whatever thread, is the function's."""
        self.calls.setdefault(function, set())
        self._function = function
        try:
            yield
        finally:
            self._function = None

    def hear(self, params: Json, model: Any, **_: object) -> None:
        if self._function is not None:
            service = model.service_model.service_name
            self.calls[self._function].update(actions(service, model.name, params))


@contextmanager
def recording() -> Iterator[Recorder]:
    """The application's clients are made anew for the block, and tell what they are asked to do."""
    recorder = Recorder()
    boto3.setup_default_session()
    assert boto3.DEFAULT_SESSION is not None
    boto3.DEFAULT_SESSION.events.register("provide-client-params", recorder.hear)
    clear_wiring()
    try:
        yield recorder
    finally:
        boto3.setup_default_session()
        clear_wiring()


def actions(service: str, operation: str, params: Json) -> Iterator[Call]:
    """What a policy must allow for a call.

    Raises
    ------
    UnknownCall
        Look its action up in AWS's Service Authorization Reference, and write it down here.
    """
    if service == "dynamodb":
        yield from _of_dynamodb(operation, params)
    elif service == "s3" and operation in OF_OBJECTS:
        yield Call(f"s3:{OF_OBJECTS[operation]}", f"object/{params['Bucket']}/{params['Key']}")
    elif service == "s3" and operation == "ListObjectsV2":
        yield Call("s3:ListBucket", f"bucket/{params['Bucket']}", prefix=params.get("Prefix", ""))
    elif service == "sqs":
        yield Call(f"sqs:{operation}", f"queue/{params['QueueUrl'].rpartition('/')[2]}")
    elif service == "cognito-idp":
        yield Call(f"cognito-idp:{operation}", f"userpool/{params['UserPoolId']}")
    elif service == "pinpoint":
        name = f"apps/{params['ApplicationId']}/journeys/{params['JourneyId']}"
        yield Call(f"mobiletargeting:{operation}", name)
    else:
        raise UnknownCall(f"{service} {operation}")


def _of_dynamodb(operation: str, params: Json) -> Iterator[Call]:
    if operation == "TransactWriteItems":
        for one in params["TransactItems"]:
            ((kind, request),) = one.items()
            key = request.get("Key") or request["Item"]
            yield Call(f"dynamodb:{IN_TRANSACTION[kind]}", f"table/{request['TableName']}", (key["pk"]["S"],))
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        for table, requests in params["RequestItems"].items():
            partitions = tuple(dict.fromkeys(one["pk"]["S"] for one in _keys(requests)))
            yield Call(f"dynamodb:{operation}", f"table/{table}", partitions)
    elif operation in SAME_NAME["dynamodb"]:
        index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
        key = params.get("Key") or params.get("Item") or {}
        keys = (key["pk"]["S"],) if key else tuple(_queried(params))
        yield Call(f"dynamodb:{operation}", f"table/{params['TableName']}{index}", keys)
    else:
        raise UnknownCall(f"dynamodb {operation}")


def _keys(requests: Any) -> Iterator[Json]:
    """Keys, or items that hold them, of one table's share of a batch."""
    if isinstance(requests, Mapping):
        yield from requests["Keys"]
        return
    for one in requests:
        yield one["PutRequest"]["Item"] if "PutRequest" in one else one["DeleteRequest"]["Key"]


def _queried(params: Json) -> Iterator[str]:
    """The partition that a query names; a scan names none."""
    if "KeyConditionExpression" in params:
        found = PARTITION.match(params["KeyConditionExpression"])
        if found is None:
            raise UnknownCall(f"query {params['KeyConditionExpression']}")
        yield params["ExpressionAttributeValues"][found[1]]["S"]
