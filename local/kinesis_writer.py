"""Putting records into a Kinesis stream, each at least once: what PutRecords refuses is put again until it is taken.

PutRecords answers with success even where it took only some of the records, and a throttled stream does so all the
time. Works against AWS (credentials and region as boto3 finds them) and against an emulator on this machine.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
)

from local.addresses import is_on_this_machine
from local.environment import CREDENTIALS, DEFAULT_REGION

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef, PutRecordsResultEntryTypeDef

MAX_RECORDS = 500
MAX_REQUEST_BYTES = 5 * 1024 * 1024
MAX_RECORD_BYTES = 1024 * 1024
"""PutRecords' limits; both sizes count the partition keys."""
PARTITION_KEY_BYTES = 32
MAX_DATA_BYTES = MAX_RECORD_BYTES - PARTITION_KEY_BYTES

MAX_ATTEMPTS = 12
"""Of one request without any progress; with the pauses below that is about a minute and a half."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 15.0
"""Seconds."""

_RETRIED_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "KMSThrottlingException",
        "ThrottlingException",
        "Throttling",
        "InternalFailure",
        "InternalFailureException",
        "ServiceUnavailable",
    }
)


class StreamError(Exception):
    """Records could not be put; the message says what to do about it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A record: `data` of at most `MAX_DATA_BYTES`, and a `partition_key` of at most `PARTITION_KEY_BYTES`, ASCII."""

    data: bytes
    partition_key: str

    @property
    def size(self) -> int:
        """Its bytes as PutRecords counts them."""
        return len(self.data) + len(self.partition_key)


EntryT = TypeVar("EntryT", bound=Entry)


def batches(entries: Iterable[EntryT], most: int = MAX_RECORDS) -> Iterator[list[EntryT]]:
    """Groups entries into requests that PutRecords accepts, in order; none is empty."""
    batch: list[EntryT] = []
    size = 0
    for entry in entries:
        if batch and (len(batch) == most or size + entry.size > MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry.size
    if batch:
        yield batch


class StreamWriter:
    """Writes to one stream. `retried` counts the records that had to be put again."""

    def __init__(
        self,
        client: KinesisClient,
        stream: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._stream = stream
        self._sleep = sleep
        self._jitter = jitter
        self.retried = 0

    def put(self, batch: Sequence[Entry]) -> None:
        """Returns when the stream has every entry of `batch`, which must be within the limits of one request.

        Raises StreamError if the stream does not exist, cannot be reached, refuses the request, or takes nothing for
        `MAX_ATTEMPTS` attempts in a row. Some entries may have been put by then.
        """
        waiting, attempt = batch, 0
        while True:
            refused, reason = self._attempt(waiting)
            if not refused:
                return
            # Progress starts the count anew: a busy stream that takes a part each time is slow, not broken.
            attempt = attempt + 1 if len(refused) == len(waiting) else 1
            if attempt >= MAX_ATTEMPTS:
                raise StreamError(
                    f"stream {self._stream} took none of {len(refused)} records in {attempt} attempts: {reason}"
                )
            self.retried += len(refused)
            self._sleep(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1)) * (0.5 + self._jitter() / 2))
            waiting = refused

    def _attempt(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], str]:
        """The entries that were not taken, and why the first of them was not."""
        request: list[PutRecordsRequestEntryTypeDef] = [
            {"Data": entry.data, "PartitionKey": entry.partition_key} for entry in entries
        ]
        try:
            answer = self._client.put_records(StreamName=self._stream, Records=request)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in _RETRIED_CODES:
                return entries, str(error)
            raise StreamError(explained(error, self._stream)) from error
        except BotoCoreError as error:
            raise StreamError(explained(error, self._stream)) from error
        if not answer["FailedRecordCount"]:
            return [], ""
        results = list(zip(entries, answer["Records"], strict=True))
        reasons = [
            f"{result['ErrorCode']}: {result.get('ErrorMessage', '')}" for _, result in results if failed(result)
        ]
        return [entry for entry, result in results if failed(result)], reasons[0] if reasons else ""


def failed(result: PutRecordsResultEntryTypeDef) -> bool:
    """Whether PutRecords' answer for one record says that it was not taken."""
    return bool(result.get("ErrorCode"))


_EXPLAINED_CODES = {
    "ResourceNotFoundException": "there is no stream of that name in that account and region"
    " (--stream, --region, --endpoint-url)",
    "UnrecognizedClientException": "AWS does not know the credentials",
    "InvalidSignatureException": "AWS does not accept the credentials",
    "ExpiredTokenException": "the credentials have expired",
    "AccessDeniedException": "the credentials do not allow kinesis:PutRecords",
}
_EXPLAINED_ERRORS: dict[type[BotoCoreError], str] = {
    EndpointConnectionError: "nothing answers there (--endpoint-url, --region)",
    NoCredentialsError: "no AWS credentials found; configure them as for the AWS CLI,"
    " or give the --endpoint-url of a local system",
    NoRegionError: "no AWS region found; give --region or set AWS_REGION",
    ParamValidationError: "that is no name of a stream",
}


def explained(error: ClientError | BotoCoreError, stream: str) -> str:
    """What went wrong, for somebody at a terminal."""
    if isinstance(error, ClientError):
        reason = _EXPLAINED_CODES.get(error.response.get("Error", {}).get("Code", ""), "refused")
    else:
        reason = _EXPLAINED_ERRORS.get(type(error), "the records could not be put")
    return f"stream {stream}: {reason}: {error}"


def kinesis_client(stream: str, endpoint_url: str | None = None, region: str | None = None) -> KinesisClient:
    """A client for AWS or `endpoint_url`; an address on this machine needs no credentials and never gets real ones.

    Raises StreamError if the endpoint is no address or no region is found. `stream` is only named in its message.
    """
    endpoint = endpoint_url or os.environ.get("AWS_ENDPOINT_URL_KINESIS") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=10, read_timeout=60)
    try:
        if endpoint is None or not is_on_this_machine(endpoint):
            # Of its own: the default session keeps credentials that it found before.
            return Session().client("kinesis", endpoint_url=endpoint_url, region_name=region, config=config)
        return Session().client(
            "kinesis",
            endpoint_url=endpoint,
            region_name=region
            or os.environ.get("AWS_REGION")
            or os.environ.get("AWS_DEFAULT_REGION")
            or DEFAULT_REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=config.merge(Config(proxies={}, retries={"mode": "standard", "max_attempts": 2})),
        )
    except ValueError as error:  # No address, or boto3's own check of the endpoint or the region.
        raise StreamError(f"stream {stream}: {error}") from error
    except BotoCoreError as error:
        raise StreamError(explained(error, stream)) from error
