"""``ingest_events``: raw records become facts; what is wrong is set aside; what was not stored comes again."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib import wiring
from chalicelib.settings.model import Settings, UsernameAttribute
from tests.ingestion.fakes import ingestion, stored, times
from tests.projection.scene import Scene
from tests.reference.facts import DAY
from tests.reference.records import Json, encode, event, of_no_use, stream_test
from tests.reference.shorthand import APP, T
from tests.support.clock import SetClock
from tests.support.renaming import renamed
from tests.support.system import kinesis_event

BAD = {
    "no JSON": b"hello",
    "a list": b"[]",
    "no event type": b'{"event_timestamp":1}',
    "a time of text": b'{"event_type":"purchase","event_timestamp":"now","application":{"app_id":"app"}}',
    "no application": b'{"event_type":"purchase","event_timestamp":1}',
    "attributes of a list": (
        b'{"event_type":"purchase","event_timestamp":1,"application":{"app_id":"app"},"attributes":[]}'
    ),
    "an empty application": b'{"event_type":"purchase","event_timestamp":1,"application":{"app_id":" "}}',
    "UTF-16": '{"event_type":"purchase"}'.encode("utf-16"),
    "a megabyte and more": b'{"event_type":"_x","x":"' + b"x" * 1_048_576 + b'"}',
    "deep": b'{"a":' * 50_000,
}


def bought(scene: Scene, at: int, **more: Any) -> bytes:
    return encode(renamed(event(APP, "purchase", at, client_id="e1", **more), scene.suffix))  # type: ignore[arg-type]


def records(*raw: bytes, shard: str = "shardId-000000000007") -> list[Json]:
    made: list[Json] = kinesis_event(raw, shard)["Records"]
    return made


def sequence(record: Json) -> str:
    kinesis: Any = record["kinesis"]
    return str(kinesis["sequenceNumber"])


# --- storing ---


def test_unprocessed_items_are_written_again_until_the_table_takes_them(scene: Scene, clock: SetClock) -> None:
    # Catches: BatchWriteItem's answer not looked at, which loses events whenever the table is busy.
    parts = ingestion(clock, refused=lambda item: True, times=3)
    result = parts.ingestion.ingest(records(*(bought(scene, T + number) for number in range(10))))
    assert (result.facts, result.failed) == (10, None)
    assert parts.client.calls == [10, 10, 10, 10]
    assert times(stored(scene.application)) == [T + number for number in range(10)]


def test_only_what_was_left_is_written_again_and_after_a_pause(scene: Scene, clock: SetClock) -> None:
    parts = ingestion(clock, refused=lambda item: f"{T + 3:015d}" in item["sk"]["S"], times=2)
    parts.ingestion.ingest(records(*(bought(scene, T + number) for number in range(10))))
    assert parts.client.calls == [10, 1, 1]
    assert len(parts.pauses) == 2
    assert all(0 <= pause <= 2 for pause in parts.pauses)


def test_the_batch_comes_again_from_the_first_record_that_was_not_stored(scene: Scene, clock: SetClock) -> None:
    # Catches: the last such record, or the place in the batch of writes, which is another one.
    refused = {f"{T + number:015d}" for number in (31, 40, 58)}
    parts = ingestion(clock, refused=lambda item: item["sk"]["S"].split("#")[1] in refused, times=1_000)
    batch = records(*(bought(scene, T + number) for number in range(60)))
    assert parts.ingestion.ingest(batch).failed == sequence(batch[31])
    # All others are stored, and are stored again to no effect.
    assert times(stored(scene.application)) == [T + number for number in range(60) if number not in (31, 40, 58)]
    assert len(parts.client.calls) == 1 + 2 * 4  # 25 at once; two of the three have items that four attempts leave

    again = ingestion(clock)
    assert again.ingestion.ingest(batch[31:]).failed is None
    assert len(times(stored(scene.application))) == 60


def test_of_a_fact_told_twice_in_a_batch_the_first_telling_counts(scene: Scene, clock: SetClock) -> None:
    # Catches: a retry that starts behind the first telling, when the record between was not stored either.
    parts = ingestion(clock, refused=lambda item: True, times=1_000)
    batch = records(bought(scene, T), bought(scene, T + 1), bought(scene, T))
    assert parts.ingestion.ingest(batch).failed == sequence(batch[0])


def test_a_fact_told_a_hundred_times_is_written_once(scene: Scene, clock: SetClock) -> None:
    # BatchWriteItem refuses a batch with one key twice. Catches: that batch failing for ever.
    parts = ingestion(clock)
    told = [bought(scene, T, arrival=T + number) for number in range(100)]
    result = parts.ingestion.ingest(records(*told))
    assert (result.facts, parts.client.calls) == (1, [1])


def test_sequence_numbers_are_compared_as_numbers(scene: Scene, clock: SetClock) -> None:
    batch = records(bought(scene, T), bought(scene, T + 1))
    for record, number in zip(batch, ("99", "100"), strict=True):
        record["kinesis"] = {**record["kinesis"], "sequenceNumber": number}  # type: ignore[dict-item]
    parts = ingestion(clock, refused=lambda item: True, times=1_000)
    assert parts.ingestion.ingest(batch).failed == "99"


class DownTable:
    """A client whose table does not answer."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def batch_write_item(self, **request: Any) -> Any:
        raise ClientError({"Error": {"Code": "ProvisionedThroughputExceededException"}}, "BatchWriteItem")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_table_that_refuses_everything_brings_the_whole_batch_again(scene: Scene, clock: SetClock) -> None:
    # Catches: an error that is logged and passed over.
    parts = ingestion(clock)
    parts.ingestion._facts.client = DownTable(wiring.dynamodb())  # type: ignore[assignment]
    with pytest.raises(ClientError):
        parts.ingestion.ingest(records(bought(scene, T)))


def test_two_applications_of_one_batch_each_have_their_own_settings(scene: Scene, clock: SetClock) -> None:
    other = Scene(scene.system, clock, Settings(username_attributes=(UsernameAttribute("login"),)))

    def by(scene: Scene, attribute: str) -> bytes:
        told = event(APP, "purchase", T, client_id="e1", user_name="jane", username_attribute=attribute)
        return encode(renamed(told, scene.suffix))  # type: ignore[arg-type]

    batch = records(by(scene, "username"), by(other, "username"), by(scene, "login"), by(other, "login"))
    assert ingestion(clock).ingestion.ingest(batch).facts == 4
    for one in (scene, other):
        assert sorted(str(placed.identity.name) for placed in stored(one.application)) == ["e1", "jane"]


# --- retention ---


def test_a_fact_past_retention_is_refused_and_counted(scene: Scene, clock: SetClock) -> None:
    # Catches: an old archive whose facts would be gone again before anybody sees them, but whose tallies would stay.
    clock.time = T
    wiring.settings().change(scene.application, lambda _: Settings(retention_days=30))
    ages = [T - 31 * DAY, T - 30 * DAY - 1, T - 30 * DAY, T - DAY, T, T + 1]
    result = ingestion(clock).ingestion.ingest(records(*(bought(scene, at) for at in ages)))
    assert result.skipped == {"past retention": 2}
    assert times(stored(scene.application)) == ages[2:]


def test_without_retention_all_facts_are_kept_for_good(scene: Scene, clock: SetClock) -> None:
    clock.time = T
    ingestion(clock).ingestion.ingest(records(bought(scene, 0)))
    assert times(stored(scene.application)) == [0]


# --- what is of no use, and what is wrong ---


def test_what_is_of_no_use_is_counted_by_its_kind(scene: Scene, clock: SetClock) -> None:
    told = [of_no_use(APP, "_SMS.SUCCESS", T), of_no_use(APP, "_SMS.SUCCESS", T + 1), stream_test()]
    parts = ingestion(clock)
    result = parts.ingestion.ingest(records(*map(encode, told), bought(scene, T)))
    assert (result.facts, result.quarantined) == (1, 0)
    assert result.skipped == {"_SMS.SUCCESS": 2, "_test.event_stream": 1}
    assert parts.client.calls == [1]
    assert parts.shelf.puts == 0


def test_wrong_records_change_nothing_else_and_are_set_aside_whole(scene: Scene, clock: SetClock) -> None:
    # I4: k malformed among n good.
    good = [bought(scene, T + number) for number in range(len(BAD) + 1)]
    mixed = [raw for pair in zip(good, BAD.values(), strict=False) for raw in pair] + good[-1:]
    parts = ingestion(clock)
    batch = records(*mixed)
    result = parts.ingestion.ingest(batch)
    assert (result.facts, result.quarantined, result.failed) == (len(good), len(BAD), None)
    assert times(stored(scene.application)) == [T + number for number in range(len(good))]
    assert parts.shelf.data() == list(BAD.values())  # byte for byte
    lines = parts.shelf.lines()
    assert [line.sequence for line in lines] == [sequence(record) for record in batch[1::2]]
    assert {(line.source, line.shard) for line in lines} == {("kinesis", "shardId-000000000007")}
    assert all(line.reason for line in lines)


def test_a_batch_is_one_object_whose_name_says_where_it_stood(scene: Scene, clock: SetClock) -> None:
    parts = ingestion(clock)
    batch = records(b"1", bought(scene, T), b"2", b"3")
    parts.ingestion.ingest(batch)
    (name,) = parts.shelf.objects
    assert name == f"quarantine/kinesis/shardId-000000000007/{sequence(batch[0])}-{sequence(batch[3])}.ndjson"


def test_a_batch_delivered_again_writes_the_same_object_again(scene: Scene, clock: SetClock) -> None:
    # Catches: names made of a clock or a random number, which turn one bad record into many.
    parts = ingestion(clock)
    batch = records(b"1", bought(scene, T), b"2")
    parts.ingestion.ingest(batch)
    before = dict(parts.shelf.objects)
    clock.time += DAY
    parts.ingestion.ingest(batch)
    assert (parts.shelf.puts, parts.shelf.objects) == (2, before)


def test_a_record_that_comes_again_is_not_set_aside_twice(scene: Scene, clock: SetClock) -> None:
    # Two records were not stored, so the batch comes again from there, with the second bad one.
    parts = ingestion(clock, refused=lambda item: True, times=4)
    batch = records(b"1", bought(scene, T), b"2")
    result = parts.ingestion.ingest(batch)
    assert (result.failed, result.quarantined) == (sequence(batch[1]), 1)
    parts.ingestion.ingest(batch[1:])
    assert parts.shelf.data() == [b"1", b"2"]


def test_records_that_only_their_application_s_settings_show_to_be_wrong_stand_in_order(
    scene: Scene, clock: SetClock
) -> None:
    wrong = bought(scene, T, attributes={"a": "x" * 60_000})
    parts = ingestion(clock)
    parts.ingestion.ingest(records(wrong, b"1", wrong))
    assert parts.shelf.data() == [wrong, b"1", wrong]


@pytest.mark.parametrize("data", ["$", "abc", "é", None, 5, ["x"]])
def test_a_record_whose_data_is_no_base64_is_set_aside(data: object, scene: Scene, clock: SetClock) -> None:
    batch = records(b"", bought(scene, T))
    batch[0]["kinesis"] = {**batch[0]["kinesis"], "data": data}  # type: ignore[dict-item]
    parts = ingestion(clock)
    result = parts.ingestion.ingest(batch)
    assert (result.facts, result.quarantined) == (1, 1)
    assert parts.shelf.lines()[0].reason


class NoShelf:
    """An S3 client that takes nothing."""

    def put_object(self, **request: Any) -> Any:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "PutObject")


def test_a_bad_record_that_cannot_be_set_aside_is_not_passed_over(scene: Scene, clock: SetClock) -> None:
    parts = ingestion(clock)
    parts.ingestion._quarantine._s3 = NoShelf()  # type: ignore[assignment]
    with pytest.raises(ClientError):
        parts.ingestion.ingest(records(b"1", bought(scene, T)))


def test_the_real_quarantine_holds_what_was_received(scene: Scene) -> None:
    batch = records(b"\x00\xff not JSON", bought(scene, T))
    assert wiring.ingestion().ingest(batch).quarantined == 1
    s3: Any = wiring.ingestion()._quarantine._s3
    name = f"quarantine/kinesis/shardId-000000000007/{sequence(batch[0])}-{sequence(batch[0])}.ndjson"
    body = s3.get_object(Bucket=scene.system.stack.quarantine_bucket, Key=name)["Body"].read()
    assert base64.b64encode(b"\x00\xff not JSON") in body
