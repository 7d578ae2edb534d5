"""Quarantine: records that are wrong, kept whole with the reason, one S3 object a batch (R14).

An object is newline-delimited JSON; each line has ``data`` (base64 of the bytes as received), ``reason``, and
where the record stood. The object's name is made of where the batch stood, so that a batch delivered again writes
the same object again.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Quarantined(msgspec.Struct, frozen=True):
    """One rejected record.

    ``data`` is base64 of the bytes as received, or, where even the base64 was broken, that text itself in base64.
    """

    source: str
    shard: str
    sequence: str
    reason: str
    data: str


def quarantined(source: str, shard: str, sequence: str, reason: str, data: bytes) -> Quarantined:
    return Quarantined(source, shard, sequence, reason, base64.b64encode(data).decode())


class Quarantine:
    """Where rejected records go."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def keep(self, records: Sequence[Quarantined]) -> str | None:
        """Store the rejected records of a batch; the name of the object, or None where there are none.

        Raises
        ------
        ClientError
            They could not be stored; the batch must be tried again.
        """
        if not records:
            return None
        first, last = records[0], records[-1]
        name = f"quarantine/{first.source}/{first.shard}/{first.sequence}-{last.sequence}.ndjson"
        body = b"\n".join(msgspec.json.encode(record) for record in records) + b"\n"
        self._s3.put_object(Bucket=self._bucket, Key=name, Body=body, ContentType="application/x-ndjson")
        return name
