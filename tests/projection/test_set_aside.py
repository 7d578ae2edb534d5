"""What the failure queue is told of a record that is set aside."""

from __future__ import annotations

import json

import pytest

from chalicelib.keys import Key
from chalicelib.projection.set_aside import LARGEST_MESSAGE, LONGEST_REASON, is_retry, message_of, reason_of

KEYS = {"pk": {"S": "shop#n#jane"}, "sk": {"S": "e#000000000000001#0123"}}


@pytest.mark.parametrize(("size", "whole"), [(100, True), (LARGEST_MESSAGE, False)])
def test_a_message_holds_the_record_as_far_as_a_queue_takes_it(size: int, whole: bool) -> None:
    record = {"dynamodb": {"Keys": KEYS, "SequenceNumber": "7", "NewImage": {"fact": {"S": "x" * size}}}}
    message = message_of("shard-1", record, "because")
    assert len(message.encode()) <= LARGEST_MESSAGE
    told = json.loads(message)
    assert (told["shardId"], told["reason"], told["keys"]) == ("shard-1", "because", KEYS)
    assert told.get("record") == (record["dynamodb"] if whole else None)


def test_a_reason_is_the_cause_in_few_words() -> None:
    failure = RuntimeError("a record cannot be projected")
    failure.__cause__ = ValueError("y" * 10_000)
    assert reason_of(failure).startswith("ValueError: yyy")
    assert len(reason_of(failure)) == LONGEST_REASON
    assert reason_of(KeyError("fact")) == "KeyError: 'fact'"


def test_a_mark_that_brings_back_is_told_from_others() -> None:
    assert is_retry(Key("shop#n#jane", "b#000000000000000#retry-0123"))
    assert not is_retry(Key("shop#n#retry-jane", "b#000000000000000#rebuild"))
    assert not is_retry(Key("shop#n#jane", "e#000000000000001#retry-0123"))
