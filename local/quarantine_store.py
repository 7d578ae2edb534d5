"""The quarantine's objects in S3: found, read, and moved away once what they hold was replayed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.quarantine import PREFIX, Quarantined, from_lines, kinds_of, to_lines
from local.addresses import is_on_this_machine
from local.environment import CREDENTIALS, DEFAULT_REGION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_lambda.client import LambdaClient
    from mypy_boto3_s3.client import S3Client

REPLAYED = "replayed/"
"""What stands under `quarantine/` moves here, under the same name."""
AT_ONCE = 8
"""Objects read together."""


class QuarantineError(Exception):
    """The quarantine cannot be read or changed; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object: its `name` is its key without the prefix; `version` differs whenever it was written anew."""

    name: str
    modified: datetime
    version: str


@dataclass(frozen=True, slots=True)
class Line:
    """A record and where it is: the object's name and the line, from 1 on."""

    name: str
    number: int
    record: Quarantined

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"

    def is_about(self, text: str) -> bool:
        """Whether the reason or its kind has `text` in it, whatever the case."""
        wanted = text.casefold()
        return any(wanted in one.casefold() for one in (self.record.reason, *kinds_of(self.record.reason)))


@dataclass(frozen=True, slots=True)
class Batch:
    """An object with its records."""

    found: Found
    lines: list[Line]


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turns AWS's errors in the block into a QuarantineError, for somebody at a terminal."""
    try:
        yield
    except (
        ClientError,
        BotoCoreError,
        ValueError,
    ) as error:  # ValueError: no address, or boto3's own check of a region
        raise QuarantineError(f"{what}: {error}") from error


class Store:
    """The quarantine in a bucket."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self.bucket = bucket
        self._what = f"bucket {bucket}"

    def find(self, since: datetime | None = None, *, replayed: bool = False) -> list[Found]:
        """The objects written at or after `since`, oldest first; `replayed` ones instead of those that wait.

        Raises QuarantineError.
        """
        prefix = REPLAYED if replayed else PREFIX
        with explained(self._what):
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
            found = [
                Found(one["Key"][len(prefix) :], one["LastModified"], one["ETag"])
                for page in pages
                for one in page.get("Contents", [])
            ]
        wanted = (one for one in found if since is None or one.modified >= since)
        return sorted(wanted, key=lambda one: (one.modified, one.name))

    def read_all(self, objects: Sequence[Found], *, replayed: bool = False) -> Iterator[Batch]:
        """The objects with their records, in order. One that was moved away meanwhile is left out."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(objects), AT_ONCE):
                some = objects[start : start + AT_ONCE]
                read = pool.map(lambda one: self.read(one.name, replayed=replayed), some)
                yield from (batch for batch in read if batch is not None)

    def read(self, name: str, *, replayed: bool = False) -> Batch | None:
        """An object with its records, or None where there is none of that name. Raises QuarantineError."""
        key = (REPLAYED if replayed else PREFIX) + name
        with explained(self._what):
            try:
                answer = self._s3.get_object(Bucket=self.bucket, Key=key)
            except self._s3.exceptions.NoSuchKey:
                return None
            content = answer["Body"].read()
        try:
            records = from_lines(content)
        except msgspec.MsgspecError as error:
            raise QuarantineError(f"{key} is no object of the quarantine: {error}") from error
        found = Found(name, answer["LastModified"], answer["ETag"])
        return Batch(found, [Line(name, number, record) for number, record in enumerate(records, 1)])

    def is_as_read(self, batch: Batch) -> bool:
        """Whether the object was not written since. Raises QuarantineError."""
        with explained(self._what):
            try:
                head = self._s3.head_object(Bucket=self.bucket, Key=PREFIX + batch.found.name)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
                    return False
                raise
        return (head["ETag"], head["LastModified"]) == (batch.found.version, batch.found.modified)

    def move(self, batch: Batch, done: Sequence[Line]) -> bool:
        """Move records that were replayed to `replayed/`; whether they are moved. The others stay where they are.

        First they are there, then they go here: stopped in between, they are replayed once more, to no effect.
        An object that was written meanwhile stays: what is new in it was not replayed.
        Raises QuarantineError.
        """
        if not self.is_as_read(batch):
            return False
        name = batch.found.name
        moved = [line.record for line in done]
        before = self.read(name, replayed=True)
        earlier = [line.record for line in before.lines if line.record not in moved] if before else []
        with explained(self._what):
            self._put(REPLAYED + name, [*earlier, *moved])
        if not self.is_as_read(batch):
            return False
        left = [line.record for line in batch.lines if line.record not in moved]
        with explained(self._what):
            if left:
                self._put(PREFIX + name, left)
            else:
                self._s3.delete_object(Bucket=self.bucket, Key=PREFIX + name)
        return True

    def _put(self, key: str, records: Sequence[Quarantined]) -> None:
        body = to_lines(records)
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/x-ndjson")


@dataclass(frozen=True, slots=True)
class Account:
    """Where AWS is: at `endpoint_url`, or AWS itself as boto3 finds it."""

    endpoint_url: str | None = None
    region: str | None = None

    def s3(self) -> S3Client:
        """Raises QuarantineError."""
        with explained("S3"):
            return self._session().client("s3", endpoint_url=self._endpoint, config=self._config)

    def functions(self) -> LambdaClient:
        """Raises QuarantineError."""
        with explained("Lambda"):
            return self._session().client("lambda", endpoint_url=self._endpoint, config=self._config)

    def tables(self) -> DynamoDBClient:
        """Raises QuarantineError."""
        with explained("DynamoDB"):
            return self._session().client("dynamodb", endpoint_url=self._endpoint, config=self._config)

    @property
    def is_local(self) -> bool:
        """Whether it is a system of this machine."""
        return self._endpoint is not None and is_on_this_machine(self._endpoint)

    @property
    def _endpoint(self) -> str | None:
        return self.endpoint_url or os.environ.get("AWS_ENDPOINT_URL")

    @property
    def _config(self) -> Config:
        retries = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=60)
        return retries.merge(Config(proxies={})) if self.is_local else retries

    def _session(self) -> Session:
        if not self.is_local:
            return Session(region_name=self.region)
        # A system of this machine needs no credentials, and never gets real ones.
        region = self.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
        return Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=region,
        )
