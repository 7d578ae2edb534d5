"""Replay: every record of an archive into the stream, byte for byte, once, over any interruption."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import typer
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.testing import CliRunner

from local import archive
from local.archive import ArchiveError, Oversized, Record, open_archive
from local.kinesis_writer import (
    MAX_ATTEMPTS,
    MAX_DATA_BYTES,
    MAX_RECORD_BYTES,
    MAX_REQUEST_BYTES,
    Entry,
    StreamError,
    StreamWriter,
    batches,
    kinesis_client,
)
from local.ministack import running_ministack
from local.replay import Listener, Pace, partition_key, replay, replay_command
from local.replay_checkpoint import CheckpointError
from local.simulate import put_simulation, simulate_command
from local.simulation import Simulation

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

STREAM = "events"


@dataclass
class FakeKinesis:
    """A stream in memory that checks PutRecords' limits.

    `refuse` says which records of a request it does not take; `fail` says how whole requests end, one after the
    other: in an error, or None.
    """

    refuse: Any = None
    fail: list[Exception | None] = field(default_factory=list)
    requests: list[list[bytes]] = field(default_factory=list)
    taken: list[bytes] = field(default_factory=list)

    def put_records(self, **request: Any) -> dict[str, Any]:
        assert request["StreamName"] == STREAM
        records = request["Records"]
        sizes = [len(record["Data"]) + len(record["PartitionKey"]) for record in records]
        assert 0 < len(records) <= 500
        assert max(sizes) <= 1024 * 1024
        assert sum(sizes) <= 5 * 1024 * 1024
        error = self.fail.pop(0) if self.fail else None
        if error is not None:
            raise error
        self.requests.append([record["Data"] for record in records])
        answers = []
        for number, record in enumerate(records):
            if self.refuse is not None and self.refuse(len(self.requests), number):
                answers.append({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "slow down"})
            else:
                self.taken.append(record["Data"])
                answers.append({"SequenceNumber": str(len(self.taken)), "ShardId": "shardId-000000000000"})
        return {"FailedRecordCount": sum("ErrorCode" in answer for answer in answers), "Records": answers}

    @property
    def client(self) -> KinesisClient:
        return cast("KinesisClient", self)


def client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "as AWS says it"}}, "PutRecords")


def entries(*data: bytes) -> list[Entry]:
    return [Entry(one, partition_key(one)) for one in data]


def lines(count: int, start: int = 0) -> list[bytes]:
    return [b'{"event_type":"purchase","n":%d}' % number for number in range(start, start + count)]


def written(path: Path, records: Sequence[bytes]) -> Path:
    content = b"".join(record + b"\n" for record in records)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


# -- reading archives --------------------------------------------------------------------------------------------------


def read(path: Path, start: int = 0, largest: int = MAX_DATA_BYTES) -> list[Record | Oversized]:
    with open_archive(path) as opened:
        return list(opened.records(start, largest))


def data_of(records: Sequence[Record | Oversized]) -> list[bytes]:
    return [record.data for record in records if isinstance(record, Record)]


@pytest.mark.parametrize(
    ("content", "records"),
    [
        (b"", []),
        (b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":1}\n{"b":2}', [b'{"a":1}', b'{"b":2}']),  # no end of the last line
        (b'\n\n  \n{"a":1}\n\n', [b'{"a":1}']),
        (b'{"a":1}\r\n{"b":2}\r\n', [b'{"a":1}', b'{"b":2}']),
        (b'{"a": 1, "z":"\xc5\xbe"}\n', [b'{"a": 1, "z":"\xc5\xbe"}']),  # not written anew: blanks and bytes stay
        (b"not JSON\n[1,2]\n\xff\xfe\x00\n", [b"not JSON", b"[1,2]", b"\xff\xfe\x00"]),
        # Firehose: objects without anything between them
        (b'{"a":1}{"b":{"c":2}}{"d":3}', [b'{"a":1}', b'{"b":{"c":2}}', b'{"d":3}']),
        (b'{"a":1} {"b":2}\n{"c":3}{"d":4}\n', [b'{"a":1}', b'{"b":2}', b'{"c":3}', b'{"d":4}']),
        (b'  {"a":1}{"b":2}', [b'{"a":1}', b'{"b":2}']),
        (b'{"a":"\xff"}{"b":2}\n', [b'{"a":"\xff"}', b'{"b":2}']),  # a byte that is not UTF-8 stays what it is
        (b'{"a":1}{"b":2}{"cut', [b'{"a":1}', b'{"b":2}', b'{"cut']),
        (b'{"a":1}{"b":2}{"cut\r\n{"c":3}\n', [b'{"a":1}', b'{"b":2}', b'{"cut', b'{"c":3}']),
        # what only looks like several objects
        (b'{"a":"}{"}\n', [b'{"a":"}{"}']),
        (b'{"endpoint":"{\\"User\\":{}}{"}\n', [b'{"endpoint":"{\\"User\\":{}}{"}']),
        (b'{oops}{"b":2}\n', [b'{oops}{"b":2}']),
        (b'{"n":' + b"[" * 5_000 + b'}{"b":2}\n', [b'{"n":' + b"[" * 5_000 + b'}{"b":2}']),
        (b'{"n":' + b"9" * 5_000 + b'}{"b":2}\n', [b'{"n":' + b"9" * 5_000 + b'}{"b":2}']),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_records_come_out_as_they_are_written(
    tmp_path: Path, content: bytes, records: list[bytes], compressed: bool
) -> None:
    path = tmp_path / "archive"  # What is inside says whether it is compressed, not the name.
    path.write_bytes(gzip.compress(content) if compressed else content)
    assert data_of(read(path)) == records


@pytest.mark.parametrize("separator", [b"\n", b"", b"\n\n", b" "])
def test_reading_on_from_any_record_gives_the_rest(tmp_path: Path, separator: bytes) -> None:
    path = tmp_path / "archive"
    path.write_bytes(separator.join(lines(20)))
    whole = read(path)
    for number, record in enumerate(whole):
        assert data_of(read(path, start=record.end)) == lines(20)[number + 1 :]


def test_a_firehose_file_without_any_line_end_is_read_piece_by_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "CHUNK", 1_000)
    monkeypatch.setattr(archive, "LONG_LINE", 2_000)
    records = [json.dumps({"n": number, "žluť": "x" * (number % 700)}).encode() for number in range(500)]
    path = tmp_path / "archive"
    path.write_bytes(b"".join(records))
    assert data_of(read(path)) == records


@pytest.mark.parametrize(("ending", "after"), [(b"\n", lines(3)), (b"", [])])
def test_a_hopelessly_long_line_is_left_out_without_holding_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: bytes, after: list[bytes]
) -> None:
    monkeypatch.setattr(archive, "CHUNK", 1_000)
    monkeypatch.setattr(archive, "LONG_LINE", 2_000)
    monkeypatch.setattr(archive, "HOPELESS_LINE", 8_000)
    path = tmp_path / "archive"
    path.write_bytes(b"first\n" + b"x" * 50_000 + ending + b"\n".join(after))
    first, long, *rest = read(path)
    assert first == Record(b"first", 0, 6)
    assert long == Oversized(6, 50_006 + len(ending))
    assert data_of(rest) == after


def test_a_damaged_file_gives_what_is_before_the_damage(tmp_path: Path) -> None:
    records = [bytes(random.Random(number).choices(b"abcdefgh", k=200)) for number in range(2_000)]
    path = written(tmp_path / "archive.gz", records)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    got: list[bytes] = []
    with open_archive(path) as opened, pytest.raises(ArchiveError, match=r"archive\.gz: damaged"):  # noqa: PT012
        for record in opened.records(0, MAX_DATA_BYTES):
            got += data_of([record])
    assert 900 < len(got) < 1_100
    assert got == records[: len(got)]


# -- putting -----------------------------------------------------------------------------------------------------------


def test_requests_keep_within_the_limits_of_number_and_size() -> None:
    many = list(batches(entries(*lines(1_201))))
    assert [len(batch) for batch in many] == [500, 500, 201]
    large = list(batches(entries(*(b"x" * MAX_DATA_BYTES for _ in range(11)))))
    assert [len(batch) for batch in large] == [5, 5, 1]
    for batch in large:
        assert sum(entry.size for entry in batch) <= MAX_REQUEST_BYTES
        assert max(entry.size for entry in batch) == MAX_RECORD_BYTES
    assert list(batches([])) == []


def test_refused_records_and_only_those_are_put_again() -> None:
    # A writer that looks only at the call's success loses them: PutRecords answers 200 with records refused.
    fake = FakeKinesis(refuse=lambda request, number: request < 4 and number % 2 == 0)
    slept: list[float] = []
    writer = StreamWriter(fake.client, STREAM, sleep=slept.append, jitter=lambda: 1.0)
    writer.put(entries(*lines(8)))
    assert sorted(fake.taken) == lines(8)
    assert [len(request) for request in fake.requests] == [8, 4, 2, 1]
    assert writer.retried == 7
    assert slept == [0.1, 0.1, 0.1]  # A part is taken each time, so it is no reason to slow down further.


def test_throttled_requests_are_repeated_ever_slower() -> None:
    fake = FakeKinesis(fail=[client_error("ProvisionedThroughputExceededException")] * 5)
    slept: list[float] = []
    StreamWriter(fake.client, STREAM, sleep=slept.append, jitter=lambda: 1.0).put(entries(*lines(3)))
    assert fake.taken == lines(3)
    assert slept == [0.1, 0.2, 0.4, 0.8, 1.6]


def test_a_stream_that_takes_nothing_is_given_up_on() -> None:
    fake = FakeKinesis(refuse=lambda request, number: True)
    with pytest.raises(StreamError, match=r"took none of 3 records in 12 attempts: .*slow down"):
        StreamWriter(fake.client, STREAM, sleep=lambda seconds: None).put(entries(*lines(3)))
    assert len(fake.requests) == MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (client_error("ResourceNotFoundException"), "no stream of that name"),
        (client_error("AccessDeniedException"), "do not allow kinesis:PutRecords"),
        (client_error("ExpiredTokenException"), "expired"),
        (client_error("SomethingNew"), "refused"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:9"), "nothing answers there"),
    ],
)
def test_errors_say_what_to_look_at(error: Exception, said: str) -> None:
    with pytest.raises(StreamError, match=f"stream {STREAM}: .*{said}"):
        StreamWriter(FakeKinesis(fail=[error]).client, STREAM).put(entries(*lines(1)))


def test_an_endpoint_on_this_machine_never_gets_the_users_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-users-own")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for endpoint, own in (
        ("http://localhost:1", False),
        ("http://[::1]:1", False),
        ("https://kinesis.example.com", True),
    ):
        client = kinesis_client(STREAM, endpoint, "eu-west-1")
        credentials = client._request_signer._credentials  # type: ignore[attr-defined]
        assert (credentials.access_key == "the-users-own") == own
        assert client.meta.region_name == "eu-west-1"


# -- replay ------------------------------------------------------------------------------------------------------------


def test_a_replay_puts_every_line_as_it_stands(tmp_path: Path) -> None:
    records = list(Simulation(seed=3, records=2_000, bad=0.1).records())
    plain, compressed = written(tmp_path / "one.ndjson", records[:1_300]), written(tmp_path / "two.gz", records[1_300:])
    fake = FakeKinesis()
    result = replay([plain, compressed], STREAM, client=fake.client)
    assert fake.taken == records
    assert (result.sent, result.sent_now, result.skipped) == (2_000, 2_000, 0)


def test_a_finished_replay_sends_nothing_again_unless_restarted(tmp_path: Path) -> None:
    path = written(tmp_path / "events.ndjson", lines(700))
    replay([path], STREAM, client=FakeKinesis().client)
    assert (tmp_path / "events.ndjson.replayed").exists()
    second = FakeKinesis()
    result = replay([path], STREAM, client=second.client)
    assert second.requests == []
    assert (result.sent, result.sent_now) == (700, 0)
    assert replay([path], STREAM, client=second.client, restart=True).sent_now == 700
    assert second.taken == lines(700)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("separator", [b"\n", b""])
def test_an_interrupted_replay_goes_on_after_what_was_acknowledged(
    tmp_path: Path, compressed: bool, separator: bytes
) -> None:
    files = []
    for number in range(3):
        content = separator.join(lines(1_200, start=1_200 * number))
        files.append(tmp_path / f"part-{number}")
        files[-1].write_bytes(gzip.compress(content) if compressed else content)
    taken: list[bytes] = []
    for fails_at in range(9):  # Each file takes three requests; each run is broken off after one more of them.
        fake = FakeKinesis(fail=[None, client_error("AccessDeniedException")])
        if fails_at < 8:
            with pytest.raises(StreamError):
                replay(files, STREAM, client=fake.client)
        else:
            assert replay(files, STREAM, client=fake.client).sent == 3_600
        assert len(fake.requests) == 1
        taken += fake.taken
    assert taken == lines(3_600)


def test_a_request_that_was_not_acknowledged_is_sent_again(tmp_path: Path) -> None:
    # Twice is right, never is wrong: the checkpoint must not run ahead of the stream.
    path = written(tmp_path / "events", lines(1_000))
    broken = FakeKinesis(refuse=lambda request, number: request > 1 and number == 7)
    with pytest.raises(KeyboardInterrupt):
        replay([path], STREAM, client=broken.client, listener=Listener(progress=stop_after(500)))
    again = FakeKinesis()
    replay([path], STREAM, client=again.client)
    assert again.taken == lines(500, start=500)


def stop_after(records: int) -> Any:
    def progress(_done: int, sent: int) -> None:
        if sent >= records:
            raise KeyboardInterrupt

    return progress


def test_records_too_large_for_the_stream_are_left_out_reported_and_counted_once(tmp_path: Path) -> None:
    large = b'{"x":"' + b"x" * MAX_RECORD_BYTES + b'"}'
    first, second = written(tmp_path / "one", [*lines(600), large]), written(tmp_path / "two", [large, *lines(10)])
    notices: list[str] = []
    stopped = FakeKinesis(fail=[None, None, client_error("AccessDeniedException")])
    with pytest.raises(StreamError):
        replay([first, second], STREAM, client=stopped.client, listener=Listener(notice=notices.append))
    fake = FakeKinesis()
    result = replay([first, second], STREAM, client=fake.client, listener=Listener(notice=notices.append))
    assert stopped.taken + fake.taken == [*lines(600), *lines(10)]
    assert (result.sent, result.skipped) == (610, 2)
    at = sum(len(line) + 1 for line in lines(600))
    assert (
        notices[0] == f"{first}, byte {at:,}: left out {len(large) + 1:,} bytes; a record may have {MAX_DATA_BYTES:,}"
    )
    assert replay([first, second], STREAM, client=fake.client).skipped == 2


def test_the_largest_record_that_the_stream_takes_is_sent(tmp_path: Path) -> None:
    fake = FakeKinesis()
    result = replay([written(tmp_path / "one", [b"x" * MAX_DATA_BYTES])], STREAM, client=fake.client)
    assert (result.sent, result.skipped) == (1, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: {"stream": "another"}, "into stream events, not into stream another"),
        (lambda path: {"endpoint_url": "http://127.0.0.1:4566"}, "not into stream events .*4566"),
        (lambda path: path.write_bytes(path.read_bytes() + b"{}\n") and {}, "have changed"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"1", b"2")) and {}, "have changed"),
        (lambda path: path.with_name("events.replayed").write_text("[1]") and {}, "no checkpoint"),
        (lambda path: path.with_name("events.replayed").write_bytes(b"\xff") and {}, "no checkpoint"),
    ],
)
def test_a_checkpoint_of_something_else_is_not_followed(tmp_path: Path, change: Any, said: str) -> None:
    path = written(tmp_path / "events", lines(5))
    replay([path], STREAM, client=FakeKinesis().client)
    given = {"stream": STREAM, **(change(path) or {})}
    fake = FakeKinesis()
    with pytest.raises(CheckpointError, match=said):
        replay([path], client=fake.client, **given)
    assert fake.requests == []


def test_a_checkpoint_that_cannot_be_written_stops_the_replay_before_it_sends(tmp_path: Path) -> None:
    fake = FakeKinesis()
    path = written(tmp_path / "events", lines(5))
    with pytest.raises(CheckpointError, match="cannot be written"):
        replay([path], STREAM, client=fake.client, checkpoint=tmp_path / "no" / "folder" / "here")
    assert fake.requests == []


def test_a_file_that_was_moved_or_touched_is_still_the_same(tmp_path: Path) -> None:
    path = written(tmp_path / "events", lines(5))
    place = tmp_path / "place"
    replay([path], STREAM, client=FakeKinesis().client, checkpoint=place)
    (tmp_path / "elsewhere").mkdir()
    moved = path.rename(tmp_path / "elsewhere" / "events")
    moved.touch()
    assert replay([moved], STREAM, client=FakeKinesis().client, checkpoint=place).sent_now == 0


def test_a_pace_spreads_records_over_time(tmp_path: Path) -> None:
    class Time:
        now = 1_000.0

        def sleep(self, seconds: float) -> None:
            self.now += seconds

    time = Time()
    pace = Pace(50, clock=lambda: time.now, sleep=time.sleep)
    fake = FakeKinesis()
    replay([written(tmp_path / "events", lines(500))], STREAM, client=fake.client, pace=pace)
    assert {len(request) for request in fake.requests} == {50}
    assert time.now - 1_000 == pytest.approx(9.0)  # The first 50 go at once.
    assert Pace(0.5).most == 1
    assert Pace(None).most == 500


# -- command -----------------------------------------------------------------------------------------------------------

cli = typer.Typer()
cli.command("replay")(replay_command)
cli.command("simulate")(simulate_command)


@pytest.fixture(scope="module")
def kinesis() -> Iterator[tuple[str, KinesisClient]]:
    """A real PutRecords: the endpoint of a MiniStack with one stream, and a client of it."""
    with running_ministack() as ministack:
        client = kinesis_client(STREAM, ministack.endpoint)
        client.create_stream(StreamName=STREAM, ShardCount=2)
        client.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
        yield ministack.endpoint, client


def all_in(client: KinesisClient) -> dict[str, list[bytes]]:
    """What each shard holds."""
    held: dict[str, list[bytes]] = {}
    for shard in client.list_shards(StreamName=STREAM)["Shards"]:
        place = client.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        held[shard["ShardId"]] = []
        while True:
            answer = client.get_records(ShardIterator=place, Limit=10_000)
            if not answer["Records"]:
                break
            held[shard["ShardId"]] += [record["Data"] for record in answer["Records"]]
            place = answer["NextShardIterator"]
    return held


def run(*arguments: str, stdin: bytes | None = None) -> Any:
    return CliRunner().invoke(cli, arguments, input=stdin)


def test_simulated_and_replayed_records_reach_a_real_stream(tmp_path: Path, kinesis: tuple[str, KinesisClient]) -> None:
    endpoint, client = kinesis
    simulation = Simulation(seed=5, records=1_500, bad=0.05)
    put_simulation(simulation, StreamWriter(client, STREAM))
    held = all_in(client)
    expected = sorted(simulation.records())
    assert sorted(record for shard in held.values() for record in shard) == expected
    assert min(len(shard) for shard in held.values()) > 500  # Random partition keys: about half in each.

    path = written(tmp_path / "events.gz", expected)
    arguments = ["replay", str(path), "--stream", STREAM, "--endpoint-url", endpoint]
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert "1,500 records sent" in result.stderr
    again = run(*arguments)
    assert again.exit_code == 0
    assert "Nothing sent: all 1,500 records are in stream events already" in again.stderr
    assert sorted(record for shard in all_in(client).values() for record in shard) == sorted(expected * 2)


def test_the_command_explains_a_stream_that_does_not_exist(tmp_path: Path, kinesis: tuple[str, KinesisClient]) -> None:
    path = written(tmp_path / "events", lines(5))
    result = run("replay", str(path), "--stream", "unknown", "--endpoint-url", kinesis[0])
    assert result.exit_code == 1
    assert "replay: stream unknown: there is no stream of that name" in result.stderr


def test_the_command_ends_with_an_error_if_records_were_left_out(
    tmp_path: Path, kinesis: tuple[str, KinesisClient]
) -> None:
    path = written(tmp_path / "events", [b"x" * (MAX_RECORD_BYTES + 1), b"{}"])
    result = run("replay", str(path), "--stream", STREAM, "--endpoint-url", kinesis[0])
    assert result.exit_code == 1
    assert "byte 0: left out 1,048,578 bytes" in result.stderr
    assert "1 records sent" in result.stderr
    assert "1 records were too large" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.ndjson"], "missing.ndjson: No such file"),
        (["."], "is no file"),
        (["-", "more"], r"standard input (-) goes alone"),
        (["events", "--endpoint-url", "http://127.0.0.1:9"], "nothing answers there"),
        (["events", "--endpoint-url", "nonsense"], "no address of an endpoint"),
        (["events", "--checkpoint", "no/folder/here"], "cannot be written"),
    ],
)
def test_the_command_explains_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "events", lines(5))
    result = run("replay", *arguments, "--stream", STREAM)
    assert result.exit_code == 1
    assert said in result.stderr


def test_standard_input_is_replayed_without_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeKinesis()
    content = gzip.compress(b"".join(line + b"\n" for line in lines(900)))
    with (tmp_path / "input").open("wb+") as file:
        file.write(content)
        file.seek(0)
        monkeypatch.setattr(archive, "STDIN_DESCRIPTOR", file.fileno())
        result = replay([Path("-")], STREAM, client=fake.client)
    assert result.sent == 900
    assert fake.taken == lines(900)
    assert [path.name for path in tmp_path.iterdir()] == ["input"]
