"""The events that Lambda makes for its triggers, and the messages it sends about batches it gave up, field by field."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

JsonObject = dict[str, Any]
"""A record or an event as Lambda passes it."""

BatchInfo = Literal["KinesisBatchInfo", "DDBStreamBatchInfo"]


def kinesis_record(record: JsonObject, shard: str, stream_arn: str, role_arn: str) -> JsonObject:
    """A record of Kinesis' GetRecords, as boto3 gives it, in Lambda's form."""
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record["PartitionKey"],
            "sequenceNumber": record["SequenceNumber"],
            "data": base64.b64encode(record["Data"]).decode(),
            "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"].timestamp(),
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{shard}:{record['SequenceNumber']}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": role_arn,
        "awsRegion": _region(stream_arn),
        "eventSourceARN": stream_arn,
    }


def change_record(record: JsonObject, stream_arn: str) -> JsonObject:
    """A record of DynamoDB Streams' GetRecords, as boto3 gives it, in Lambda's form."""
    change = {name: _json(value) for name, value in record["dynamodb"].items()}
    change["ApproximateCreationDateTime"] = record["dynamodb"]["ApproximateCreationDateTime"].timestamp()
    made: JsonObject = {
        "eventID": record["eventID"],
        "eventName": record["eventName"],
        "eventVersion": record["eventVersion"],
        "eventSource": "aws:dynamodb",
        "awsRegion": _region(stream_arn),
        "dynamodb": change,
        "eventSourceARN": stream_arn,
    }
    identity = record.get("userIdentity")
    if identity:
        # DynamoDB's own deletions, by time to live.
        made["userIdentity"] = {"type": identity["Type"], "principalId": identity["PrincipalId"]}
    return made


def windowed(records: Sequence[JsonObject], shard: str, stream_arn: str, now: datetime, window_s: int) -> JsonObject:
    """A batch as a mapping with a tumbling window passes it: only then does the event say which shard it is from."""
    start = datetime.fromtimestamp(now.timestamp() // window_s * window_s, UTC)
    return {
        "Records": list(records),
        "window": {"start": _iso_seconds(start), "end": _iso_seconds(start + timedelta(seconds=window_s))},
        "state": {},
        "shardId": shard,
        "eventSourceARN": stream_arn,
        "isFinalInvokeForWindow": False,
        "isWindowTerminatedEarly": False,
    }


def queue_message(message: Mapping[str, Any], queue_arn: str) -> JsonObject:
    """A message of SQS' ReceiveMessage, as boto3 gives it, in Lambda's form."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message["Attributes"]),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": _region(queue_arn),
    }


def scheduled_event(rule_arn: str, now: datetime) -> JsonObject:
    """What EventBridge sends a function on its schedule."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": rule_arn.split(":")[4],
        "time": _iso_seconds(now),
        "region": _region(rule_arn),
        "resources": [rule_arn],
        "detail": {},
    }


def failure_message(
    batch_info: BatchInfo,
    records: Sequence[JsonObject],
    *,
    shard: str,
    stream_arn: str,
    function_arn: str,
    condition: str,
    invoke_count: int,
    raised: bool,
    now: datetime,
) -> JsonObject:
    """What a failure destination gets for a batch that was given up: where its records are, not the records."""
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": function_arn,
            "condition": condition,
            "approximateInvokeCount": invoke_count,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled" if raised else None,
        },
        "version": "1.0",
        "timestamp": _iso_millis(now),
        batch_info: {
            "shardId": shard,
            "startSequenceNumber": sequence_number(records[0]),
            "endSequenceNumber": sequence_number(records[-1]),
            "approximateArrivalOfFirstRecord": _iso_millis(_arrival(records[0])),
            "approximateArrivalOfLastRecord": _iso_millis(_arrival(records[-1])),
            "batchSize": len(records),
            "streamArn": stream_arn,
        },
    }


def sequence_number(record: JsonObject) -> str:
    """Of a record in Lambda's form, of either kind."""
    number: str = record["kinesis"]["sequenceNumber"] if "kinesis" in record else record["dynamodb"]["SequenceNumber"]
    return number


def arrived_at(record: JsonObject) -> float:
    """When the stream took a record in Lambda's form, of either kind; seconds since 1970."""
    seconds: float = (
        record["kinesis"]["approximateArrivalTimestamp"]
        if "kinesis" in record
        else record["dynamodb"]["ApproximateCreationDateTime"]
    )
    return seconds


def _arrival(record: JsonObject) -> datetime:
    return datetime.fromtimestamp(arrived_at(record), UTC)


def _json(value: Any) -> Any:
    """DynamoDB's JSON as it travels: bytes become base64 text, at any depth."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {name: _json(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_json(one) for one in value]
    return value


def _region(arn: str) -> str:
    return arn.split(":")[3]


def _iso_seconds(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _iso_millis(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
