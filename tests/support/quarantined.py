"""What was set aside since a moment, as operators find it."""

from __future__ import annotations

import os
from collections import Counter

import boto3

from chalicelib.quarantine import PREFIX, from_lines
from tests.support.system import SHARD

KINESIS = f"{PREFIX}kinesis/{SHARD}/"


def quarantined_after(sequence: str) -> Counter[bytes]:
    """The records of the stream after a sequence number that were set aside, by their bytes as received."""
    s3, bucket = boto3.client("s3"), os.environ["QUARANTINE_BUCKET"]
    places: dict[tuple[str, str, str], bytes] = {}
    # An object's name begins with the sequence number of its first record, and they all have as many digits.
    answer = s3.list_objects_v2(Bucket=bucket, Prefix=KINESIS, StartAfter=f"{KINESIS}{sequence}~")
    assert not answer["IsTruncated"]
    for listed in answer.get("Contents", []):
        content = s3.get_object(Bucket=bucket, Key=listed["Key"])["Body"].read()
        places.update({record.place: record.received for record in from_lines(content)})
    return Counter(places.values())
