"""Quarantine: nothing of a bad record is lost, nothing of it is logged, and it stops nobody (R14)."""

from __future__ import annotations

import logging

import pytest

from chalicelib import functions
from chalicelib.quarantine import OTHER, Quarantine, from_lines, kinds_of, quarantined, to_lines
from tests.ingestion.fakes import Shelf, ingestion, stored
from tests.ingestion.test_ingest import BAD, bought, records, sequence
from tests.projection.scene import Scene
from tests.reference.records import encode, of_no_use
from tests.reference.shorthand import APP, T
from tests.support.clock import SetClock
from tests.support.system import kinesis_event

LINE = quarantined("kinesis", "shardId-000000000001", "49", "not JSON: JSON is malformed", b"\x00\xffhello")


def test_an_object_s_content_is_read_as_it_was_written() -> None:
    other = quarantined("journey-step", "steps", "ab", "e1: not of the documented shape", b"{}")
    assert from_lines(to_lines([LINE, other])) == [LINE, other]
    assert from_lines(to_lines([LINE]))[0].received == b"\x00\xffhello"


KINDS = {
    "not base64: Incorrect padding": ["not base64"],
    "no data": ["no data"],
    "not JSON: JSON is malformed: invalid character (byte 4)": ["not JSON"],
    "not JSON in UTF-8: 'utf-8' codec can't decode": ["not JSON"],
    "client_context.custom.endpoint is not a string of JSON": ["not JSON"],
    "not of the documented shape: Expected `int`, got `str` - at `$.event_timestamp`": ["not of the documented shape"],
    "user attribute username is not text": ["not of the documented shape"],
    "no event_type": ["no event_type"],
    "time -1 is outside the years 1970 to 9999": ["wrong time"],
    "no arrival_timestamp, which is the time of an e-mail interaction": ["wrong time"],
    "metric jane@example.com is no number": ["wrong number"],
    "a number that no decimal takes": ["wrong number"],
    "attributes.journey_id has control characters": ["wrong id"],
    "event_type holds half a character": ["half a character"],
    "1048577 bytes, more than 1048576": ["too large"],
    "a fact of 60000 bytes, more than 42000": ["too large"],
    "a user's name is longer than 512 bytes": ["too large"],
    "names no endpoint and no user": ["names nobody"],
    "no JourneyId: only journeys are attributed (invocation i1)": ["no journey"],
    "jane: not of the documented shape: x; joe: a user's name is longer than 512 bytes (invocation i1)": [
        "not of the documented shape", "too large",
    ],
    "something new": [OTHER],
}  # fmt: skip


@pytest.mark.parametrize(("reason", "kinds"), KINDS.items())
def test_reasons_are_of_a_few_kinds(reason: str, kinds: list[str]) -> None:
    assert kinds_of(reason) == kinds


def test_the_kinds_of_reasons_are_logged_and_nothing_of_the_records() -> None:
    # Catches: the reason itself in the log, which may quote a customer's name.
    told: list[logging.LogRecord] = []
    logger = logging.getLogger("journey-attribution")
    handler = logging.Handler()
    handler.emit = told.append  # type: ignore[method-assign, assignment]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    try:
        bad = [LINE, quarantined("kinesis", "s", "50", "metric jane@example.com is no number", b"jane@example.com")]
        Quarantine(Shelf(), "bucket").keep(bad)  # type: ignore[arg-type]
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    (line,) = told
    assert vars(line)["reasons"] == {"not JSON": 1, "wrong number": 1}
    assert vars(line)["records"] == 2
    assert "jane" not in repr(vars(line))


def test_a_batch_whose_every_record_is_bad_goes_on(scene: Scene, clock: SetClock) -> None:
    # Catches: an empty write, which DynamoDB refuses, so that the shard stands still.
    parts = ingestion(clock)
    result = parts.ingestion.ingest(records(*BAD.values()))
    assert (result.facts, result.quarantined, result.failed) == (0, len(BAD), None)
    assert parts.client.calls == []
    assert parts.shelf.data() == list(BAD.values())


def test_the_handler_answers_such_a_batch_as_done(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: dict[str, int] = {}
    monkeypatch.setattr(functions, "count", lambda **counts: counted.update(counts))
    assert functions.ingest(kinesis_event(list(BAD.values()))) == {"batchItemFailures": []}
    assert counted["Quarantined"] == counted["RecordsIn"] == len(BAD)


# --- every record is counted as one thing ---


def test_each_record_of_a_batch_is_counted_as_one_thing(scene: Scene, clock: SetClock) -> None:
    # Catches: copies within a batch, which were in no count.
    good = bought(scene, T)
    batch = records(good, b"1", good, encode(of_no_use(APP, "_x", T)), good, bought(scene, T + 1))
    result = ingestion(clock).ingestion.ingest(batch)
    assert result[:-1] == (2, 2, {"_x": 1}, 1, 0)


def test_over_all_deliveries_each_record_is_counted_once(scene: Scene, clock: SetClock) -> None:
    # Catches: what stands behind the failed record counted now and again when it comes again.
    useless = encode(of_no_use(APP, "_x", T))
    good = bought(scene, T)
    batch = records(useless, b"1", good, bought(scene, T + 1), good, useless, b"2", bought(scene, T + 2))
    parts = ingestion(clock, refused=lambda item: f"{T + 1:015d}" in item["sk"]["S"], times=4)
    first = parts.ingestion.ingest(batch)
    assert first == (1, 0, {"_x": 1}, 1, 5, sequence(batch[3]))
    second = parts.ingestion.ingest(batch[3:])
    assert second == (3, 0, {"_x": 1}, 1, 0, None)  # the copy is the first of its fact in this delivery
    assert sorted(placed.fact.time for placed in stored(scene.application)) == [T, T + 1, T + 2]
    assert parts.shelf.data() == [b"1", b"2"]


@pytest.mark.parametrize("payload", [None, [], "step", 5, True, ["ApplicationId"]])
def test_a_step_s_payload_that_is_no_object_is_answered_and_set_aside(
    payload: object, scene: Scene, clock: SetClock
) -> None:
    # Catches: an AttributeError, which Lambda would retry, and which nobody would find in the quarantine.
    parts = ingestion(clock)
    assert parts.ingestion.tag(payload, "i1") == ({}, 1)
    assert kinds_of(parts.shelf.lines()[0].reason) == ["not of the documented shape"]
