"""``python -m local quarantine``: what was set aside is found, shown whole, and replayed over any interruption."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from chalicelib.quarantine import Quarantine, Quarantined, from_lines, quarantined
from local.cli import app
from local.kinesis_writer import MAX_DATA_BYTES, StreamError, StreamWriter
from local.quarantine import moment, visible
from local.quarantine_replay import STILL_WRONG, Replayer, StepFunction
from local.quarantine_store import QuarantineError, Store
from local.stack import LocalStack
from tests.local.test_replay import STREAM, FakeKinesis, client_error
from tests.local.test_serve import PROJECT, serving
from tests.reference.records import encode, endpoint, event, step
from tests.reference.shorthand import APP, T

GOOD = encode(event(APP, "purchase", T, client_id="e1", user_name="jane"))
STEP = json.dumps(step(APP, "j1", {"e1": endpoint(user_name="jane")}, at=T).payload).encode()
_number = itertools.count(1)


def bad(reason: str, data: bytes, source: str = "kinesis", shard: str = "shardId-000000000007") -> Quarantined:
    return quarantined(source, shard, f"{next(_number):056d}", reason, data)


class Shelf:
    """A bucket of its own on the emulated S3, and the commands on it."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.s3: Any = boto3.client("s3", endpoint_url=stack.endpoint, region_name=stack.region)
        self.bucket = f"quarantine-{next(_number)}-{os.getpid()}"
        self.s3.create_bucket(Bucket=self.bucket)
        self.store = Store(self.s3, self.bucket)

    def keep(self, *records: Quarantined) -> str:
        """Set records aside as one batch; the name of the object."""
        name = Quarantine(self.s3, self.bucket).keep(records)
        assert name is not None
        return name.removeprefix("quarantine/")

    def keys(self) -> list[str]:
        return [one["Key"] for one in self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])]

    def content(self, key: str) -> list[Quarantined]:
        return from_lines(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def run(self, command: str, *arguments: str) -> Result:
        place = ["--bucket", self.bucket, "--endpoint-url", self.stack.endpoint, "--region", self.stack.region]
        return CliRunner().invoke(app, ["quarantine", command, *arguments, *place])

    def replay(self, *arguments: str) -> Result:
        return self.run("replay", *arguments, "--stream", self.stack.event_stream)


@pytest.fixture
def shelf(stack: LocalStack) -> Shelf:
    return Shelf(stack)


# --- list ---


def test_list_shows_objects_with_their_records_and_the_kinds_of_reasons(shelf: Shelf) -> None:
    first = shelf.keep(bad("not JSON: a", b"1"), bad("not JSON: b", b"2"), bad("no event_type", b"{}"))
    second = shelf.keep(bad("no event_type", b"{}"))
    told = shelf.run("list").stdout
    assert told.index(first) < told.index(second)
    assert "3 records: 2 not JSON, 1 no event_type" in told
    assert "4 records in 2 objects" in told
    assert "2  not JSON, such as: not JSON: a" in told


def test_a_record_that_two_objects_hold_counts_once(shelf: Shelf) -> None:
    # Batches are cut differently when one half of them fails.
    one, other = bad("not JSON", b"1"), bad("not JSON", b"2")
    shelf.keep(one, other)
    shelf.keep(one)
    assert "2 records in 2 objects" in shelf.run("list").stdout


def test_list_filters_by_reason_and_by_time(shelf: Shelf) -> None:
    shelf.keep(bad("not JSON: x", b"1"), bad("no event_type", b"{}"))
    assert "1 record in 1 object" in shelf.run("list", "--reason", "EVENT_TYPE").stdout
    assert "2 records in 1 object" in shelf.run("list", "--since", "1h").stdout
    assert "0 records in 0 objects" in shelf.run("list", "--since", "2090-01-01T00:00:00Z").stdout


def test_an_age_or_a_time_says_since_when() -> None:
    assert moment(None) is None
    assert moment("2026-11-24T08:00:00Z") == datetime(2026, 11, 24, 8, tzinfo=UTC)
    before = datetime.now(UTC)
    assert before <= cast("datetime", moment("2d")) + timedelta(days=2) <= datetime.now(UTC)
    with pytest.raises(QuarantineError, match="neither a time nor an age"):
        moment("yesterday")


def test_an_object_of_somebody_else_s_is_named(shelf: Shelf) -> None:
    shelf.s3.put_object(Bucket=shelf.bucket, Key="quarantine/notes.txt", Body=b"hello")
    found = shelf.run("list")
    assert found.exit_code == 1
    assert "quarantine/notes.txt is no object of the quarantine" in found.stderr


def test_a_bucket_that_is_not_there_is_said_in_one_line(shelf: Shelf) -> None:
    shelf.bucket = "no-such-bucket"
    found = shelf.run("list")
    assert (found.exit_code, found.stderr.count("\n")) == (1, 1)
    assert "bucket no-such-bucket" in found.stderr


# --- show ---


def test_show_tells_where_a_record_stood_why_it_is_here_and_all_of_it(shelf: Shelf) -> None:
    record = bad("metric price is no number", b'{"price":1.50,"n":12345678901234567890123}')
    told = shelf.run("show", shelf.keep(record)).stdout
    assert "metric price is no number" in told
    assert "shardId-000000000007" in told
    assert record.sequence in told
    assert '"price": 1.50,\n  "n": 12345678901234567890123' in told  # digit by digit


def test_show_takes_the_number_of_a_line_and_a_part_of_a_name(shelf: Shelf) -> None:
    records = [bad("not JSON", b"first"), bad("not JSON", b"second")]
    shelf.keep(*records)
    told = shelf.run("show", f"{records[1].sequence}:2").stdout
    assert "second" in told
    assert "first" not in told


def test_raw_writes_the_bytes_as_received_and_nothing_else(shelf: Shelf) -> None:
    data = bytes(range(256)) + b"\n\n"
    name = shelf.keep(bad("not JSON", data), bad("not JSON", b"other"))
    assert shelf.run("show", f"{name}:1", "--raw").stdout_bytes == data
    assert "--raw takes one" in shelf.run("show", name, "--raw").stderr


@pytest.mark.parametrize("name", ["nothing", "shardId:9", "shardId:x", "shardId:0"])
def test_a_name_of_nothing_is_said_to_be_none(name: str, shelf: Shelf) -> None:
    shelf.keep(bad("not JSON", b"1"))
    assert shelf.run("show", name).exit_code == 1


def test_what_a_record_holds_does_nothing_to_the_terminal() -> None:
    assert visible("a\x1b[2J\u202e\x07é\n") == "a\\x1b[2J\\x" + "202e\\x07é\n"


# --- replay ---


def test_replay_puts_the_bytes_back_and_moves_what_was_taken(shelf: Shelf) -> None:
    records = [bad("not JSON", b"\x00\xff"), bad("no event_type", GOOD)]
    name = shelf.keep(*records)
    kinesis = FakeKinesis()
    replayer = Replayer(shelf.store, StreamWriter(kinesis.client, STREAM))
    batch = shelf.store.read(name)
    assert batch is not None
    replayer.replay(batch, batch.lines)
    assert kinesis.taken == [b"\x00\xff", GOOD]
    assert shelf.keys() == [f"replayed/{name}"]
    assert shelf.content(f"replayed/{name}") == records
    assert (replayer.outcome.streamed, replayer.outcome.left) == (2, [])


def test_the_command_replays_all_a_reason_or_what_is_named(shelf: Shelf) -> None:
    first = shelf.keep(bad("not JSON", b"1"), bad("no event_type", b"{}"))
    second, third = shelf.keep(bad("not JSON", b"2")), shelf.keep(bad("no data at all", b"3"))
    assert "1 record replayed." in shelf.replay(second).stdout
    assert "1 record replayed." in shelf.replay("--reason", "not json").stdout
    assert [one.reason for one in shelf.content(f"quarantine/{first}")] == ["no event_type"]
    assert [one.reason for one in shelf.content(f"replayed/{first}")] == ["not JSON"]
    assert "1 record replayed." in shelf.replay("--all", "--reason", "event_type").stdout
    assert shelf.keys() == [f"quarantine/{third}", *(f"replayed/{name}" for name in sorted((first, second)))]
    # Both parts of the first are together again.
    assert sorted(one.reason for one in shelf.content(f"replayed/{first}")) == ["no event_type", "not JSON"]
    assert "3 records in 2 objects" in shelf.run("list", "--replayed").stdout


@pytest.mark.parametrize("arguments", [[], ["name", "--all"]])
def test_what_to_replay_must_be_said_in_one_way(arguments: list[str], shelf: Shelf) -> None:
    assert shelf.replay(*arguments).exit_code == 1


def test_a_dry_run_changes_nothing(shelf: Shelf) -> None:
    name = shelf.keep(bad("not JSON", b"1"), bad("not base64: x", b"$"))
    found = shelf.replay("--all", "--dry-run")
    assert "1 record would be replayed; 1 stays." in found.stdout
    assert shelf.keys() == [f"quarantine/{name}"]
    assert len(shelf.content(f"quarantine/{name}")) == 2


def test_what_cannot_go_into_the_stream_is_named_and_stays(shelf: Shelf) -> None:
    name = shelf.keep(
        bad("not base64: Incorrect padding", b"$"),
        bad("not JSON", b"1"),
        bad("no data", b"None"),
        bad("1048577 bytes, more than 1048576", b"x" * (MAX_DATA_BYTES + 1)),
        bad("no event_type", b"x" * MAX_DATA_BYTES),
    )
    found = shelf.replay("--all")
    assert found.exit_code == 1
    assert "2 records replayed; 3 stay." in found.stdout
    assert [f"{name}:{line}: " in found.stderr for line in (1, 2, 3, 4, 5)] == [True, False, True, True, False]
    assert len(shelf.content(f"quarantine/{name}")) == 3


def test_what_the_stream_does_not_take_stays_and_goes_with_the_next_run(shelf: Shelf) -> None:
    first, second = shelf.keep(bad("not JSON", b"1")), shelf.keep(bad("not JSON", b"2"))
    kinesis = FakeKinesis(fail=[None, client_error("AccessDeniedException")])

    def run() -> None:
        replayer = Replayer(shelf.store, StreamWriter(kinesis.client, STREAM))
        for batch in shelf.store.read_all(shelf.store.find()):
            replayer.replay(batch, batch.lines)

    with pytest.raises(StreamError):
        run()
    assert shelf.keys() == [f"quarantine/{second}", f"replayed/{first}"]
    run()
    assert kinesis.taken == [b"1", b"2"]
    assert len(shelf.keys()) == 2


class Dying:
    """An S3 client whose process ends at the first call of a name."""

    def __init__(self, client: Any, method: str) -> None:
        self._client = client
        self._method = method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise KeyboardInterrupt
        return getattr(self._client, name)


@pytest.mark.parametrize("at", ["put_object", "delete_object"])
def test_a_replay_that_is_stopped_while_it_moves_goes_on_and_loses_nothing(at: str, shelf: Shelf) -> None:
    # Catches: taken away here before it is there.
    records = [bad("not JSON", b"1"), bad("not JSON", b"2")]
    name = shelf.keep(*records)
    kinesis = FakeKinesis()
    for s3 in (Dying(shelf.s3, at), shelf.s3):
        store = Store(cast("Any", s3), shelf.bucket)
        batch = store.read(name)
        assert batch is not None
        replayer = Replayer(store, StreamWriter(kinesis.client, STREAM))
        if s3 is shelf.s3:
            replayer.replay(batch, batch.lines)
        else:
            with pytest.raises(KeyboardInterrupt):
                replayer.replay(batch, batch.lines)
            assert shelf.content(f"quarantine/{name}") == records
    assert kinesis.taken == [b"1", b"2", b"1", b"2"]  # facts are idempotent
    assert shelf.content(f"replayed/{name}") == records
    assert shelf.keys() == [f"replayed/{name}"]


def test_an_object_that_was_written_meanwhile_stays(shelf: Shelf) -> None:
    # Catches: a record lost that a batch which came again set aside under the same name.
    first, last = bad("not JSON", b"1"), bad("not JSON", b"3")
    name = shelf.keep(first, last)
    batch = shelf.store.read(name)
    assert batch is not None
    shelf.keep(first, bad("no event_type", b"2"), last)
    replayer = Replayer(shelf.store, StreamWriter(FakeKinesis().client, STREAM))
    replayer.replay(batch, batch.lines)
    assert shelf.keys() == [f"quarantine/{name}"]
    assert (replayer.outcome.replayed, len(replayer.outcome.left)) == (0, 2)


# --- journey steps ---


class FakeLambda:
    """A function in memory. ``then`` is what it does besides; ``error`` is what it fails with."""

    class exceptions:  # noqa: N801 - boto3's own name
        class InvalidRequestContentException(ClientError):
            pass

        class RequestTooLargeException(ClientError):
            pass

    def __init__(self, then: Any = None, error: str | None = None) -> None:
        self.payloads: list[bytes] = []
        self._then = then
        self._error = error

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.payloads.append(Payload)
        if self._then:
            self._then()
        if self._error is None:
            return {}
        body = json.dumps({"errorMessage": self._error}).encode()
        return {"FunctionError": "Unhandled", "Payload": cast("Any", type("Body", (), {"read": lambda _: body})())}


def replay_step(shelf: Shelf, name: str, function: FakeLambda | None) -> Replayer:
    step_function = StepFunction(cast("Any", function), "tag") if function else None
    replayer = Replayer(shelf.store, StreamWriter(FakeKinesis().client, STREAM), step_function)
    batch = shelf.store.read(name)
    assert batch is not None
    replayer.replay(batch, batch.lines)
    return replayer


def test_the_payload_of_a_step_goes_to_the_function(shelf: Shelf) -> None:
    name = shelf.keep(bad("no JourneyId", STEP, "journey-step", "steps"))
    function = FakeLambda()
    replayer = replay_step(shelf, name, function)
    assert function.payloads == [STEP]
    assert (replayer.outcome.invoked, replayer.outcome.streamed) == (1, 0)
    assert shelf.keys() == [f"replayed/{name}"]


def test_without_a_function_it_stays(shelf: Shelf) -> None:
    name = shelf.keep(bad("no JourneyId", STEP, "journey-step", "steps"))
    replayer = replay_step(shelf, name, None)
    assert "--function" in replayer.outcome.left[0][1]
    assert shelf.keys() == [f"quarantine/{name}"]


def test_so_it_does_where_the_function_fails(shelf: Shelf) -> None:
    name = shelf.keep(bad("no JourneyId", STEP, "journey-step", "steps"))
    replayer = replay_step(shelf, name, FakeLambda(error="Starved"))
    assert replayer.outcome.left[0][1] == "the function failed: Starved"
    assert shelf.keys() == [f"quarantine/{name}"]


def test_and_where_the_function_sets_it_aside_again(shelf: Shelf) -> None:
    # Catches: the object deleted that the function has just written, under the same name.
    record = bad("no JourneyId (invocation i1)", STEP, "journey-step", "steps")
    name = shelf.keep(record)
    again = quarantined("journey-step", "steps", record.sequence, "no JourneyId (invocation i2)", STEP)
    replayer = replay_step(shelf, name, FakeLambda(then=lambda: shelf.keep(again)))
    assert replayer.outcome.left[0][1] == STILL_WRONG
    assert shelf.content(f"quarantine/{name}") == [again]


# --- as operators do it ---


def test_in_a_running_serve_a_fixed_record_becomes_an_event_and_a_wrong_step_stays(tmp_path: Path) -> None:
    with serving(tmp_path) as system:
        s3, bucket = system.client("s3"), system.ready["quarantine_bucket"]
        for record in (bad("a bug that is fixed", GOOD), bad("a bug that is fixed", STEP, "journey-step", "steps")):
            Quarantine(s3, bucket).keep([record])
        wrong = {"ApplicationId": APP, "Endpoints": {"e1": {}}}
        system.client("lambda").invoke(
            FunctionName=system.ready["function_names"]["tag_users"], Payload=json.dumps(wrong)
        )

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "local", "quarantine", *arguments]
            environment = {**os.environ, "TMPDIR": str(tmp_path)}
            return subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)

        assert "3 records in 3 objects" in run("list").stdout
        done = run("replay", "--all")
        assert (done.stdout, done.returncode) == ("2 records replayed; 1 stays.\n", 1)
        assert STILL_WRONG in done.stderr
        assert "1 record in 1 object" in run("list").stdout
        assert "2 records in 2 objects" in run("list", "--replayed").stdout
        report: Any = None
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (report and report["total"]["events"] and report["journeys"]):
            time.sleep(0.2)
            report = system.get(f"/applications/{APP}/report?from=2026-03-01&to=2026-04-30")
        assert report["total"]["events"] == {"purchase": 1}
        assert report["journeys"][0]["touches"] == {"journey.step": 1}
