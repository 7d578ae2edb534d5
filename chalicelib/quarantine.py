"""Quarantine: records that are wrong, kept whole with the reason, one S3 object a batch (R14).

An object is newline-delimited JSON; each line has ``data`` (base64 of the bytes as received), ``reason``, and
where the record stood. The object's name is made of where the batch stood, so that a batch delivered again writes
the same object again.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from chalicelib.observability import logger

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "quarantine/"
STEP_SOURCE = "journey-step"
"""Source of the payloads of journey steps; what they hold goes to a function, not into the stream."""

NOT_BASE64 = "not base64"
NO_DATA = "no data"
NOT_RECEIVED = (NOT_BASE64, NO_DATA)
"""Kinds of reasons of records whose bytes the stream's event did not hold."""

OTHER = "other"
_KINDS = {
    NOT_BASE64: r"^not base64",
    NO_DATA: r"^no data",
    "not JSON": r"\bnot (a string of )?JSON",
    "not of the documented shape": r"\bnot of the documented shape|\bis not text",
    "no event_type": r"^no event_type",
    "no application": r"^no ApplicationId|^(application\.app_id|ApplicationId) is empty",
    "no journey": r"^no JourneyId",
    "names nobody": r"\bnames no endpoint|^no Endpoints|\bendpoint's id is empty",
    "wrong time": r"\bis outside the years|^no arrival_timestamp",
    "wrong number": r"\bis no number|\ba number that no decimal takes",
    "wrong id": r"\b(is empty|has control characters)",
    "half a character": r"\bholds half a character",
    "too large": r"\b\d+ bytes, more than|\bis longer than \d+ bytes",
}
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _KINDS.items()}


class Quarantined(msgspec.Struct, frozen=True):
    """One rejected record.

    ``data`` is base64 of the bytes as received, or, where even the base64 was broken, that text itself in base64.
    """

    source: str
    shard: str
    sequence: str
    reason: str
    data: str

    @property
    def received(self) -> bytes:
        """The bytes as received."""
        return base64.b64decode(self.data)

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells records apart; a batch that was cut differently on a retry may keep one twice."""
        return (self.source, self.shard, self.sequence)


_lines = msgspec.json.Decoder(Quarantined)


def quarantined(source: str, shard: str, sequence: str, reason: str, data: bytes) -> Quarantined:
    return Quarantined(source, shard, sequence, reason, base64.b64encode(data).decode())


def kinds_of(reason: str) -> list[str]:
    """What sorts of reasons a reason gives: a few fixed words, without anything that the record holds.

    The reason of a journey step's payload joins those of its endpoints, and may be of several kinds.
    """
    return [kind for kind, pattern in _PATTERNS.items() if pattern.search(reason)] or [OTHER]


def to_lines(records: Iterable[Quarantined]) -> bytes:
    """The content of an object."""
    return b"".join(msgspec.json.encode(record) + b"\n" for record in records)


def from_lines(content: bytes) -> list[Quarantined]:
    """The records in an object's content.

    Raises
    ------
    msgspec.DecodeError
        Nobody but ``Quarantine`` writes such an object.
    """
    return [_lines.decode(line) for line in content.splitlines()]


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
        name = f"{PREFIX}{first.source}/{first.shard}/{first.sequence}-{last.sequence}.ndjson"
        body = to_lines(records)
        self._s3.put_object(Bucket=self._bucket, Key=name, Body=body, ContentType="application/x-ndjson")
        kinds = Counter(kind for record in records for kind in kinds_of(record.reason))
        # A reason may quote the record, which may be about a customer; its kind does not.
        logger.warning("quarantined", extra={"object": name, "records": len(records), "reasons": dict(kinds)})
        return name
