"""`python -m local replay`: archived stream records back into a stream, of AWS or of this machine."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from local.archive import STDIN, Archive, ArchiveError, Oversized, open_archive
from local.kinesis_writer import (
    MAX_DATA_BYTES,
    MAX_RECORDS,
    PARTITION_KEY_BYTES,
    Entry,
    StreamError,
    StreamWriter,
    batches,
    kinesis_client,
)
from local.replay_checkpoint import Checkpoint, CheckpointError, Target, identity, load, save
from local.sentences import said
from local.signals import interruptible

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What is in the stream of these files now, counting earlier runs that this one went on from.

    `sent_now` is this run's part of `sent`, `retried` how often this run had to put a record again; `skipped` are those
    too large for a record of the stream.
    """

    sent: int
    skipped: int
    sent_now: int = 0
    retried: int = 0

    @property
    def sent_before(self) -> int:
        """What earlier runs had sent."""
        return self.sent - self.sent_now


@dataclass(frozen=True, slots=True)
class Positioned(Entry):
    """A record, the position after it, and how many were left out of its file (`skipped`) in this run before it."""

    end: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told how a replay goes: the bytes of all files that are done, the records sent, and what is left out."""

    progress: Callable[[int, int], object] = lambda _bytes, _sent: None
    notice: Callable[[str], object] = lambda _sentence: None


class Pace:
    """Holds a replay back to `rate` records a second; None does not hold it back."""

    def __init__(
        self,
        rate: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()

    @property
    def most(self) -> int:
        """Records of one request: no more than a second's, or a slow replay would come in bursts."""
        return MAX_RECORDS if self._rate is None else max(1, min(MAX_RECORDS, int(self._rate)))

    def wait(self, records: int) -> None:
        """Called before `records` are sent."""
        if self._rate is not None:
            self._sleep(max(0.0, self._free_at - self._clock()))
            self._free_at = max(self._free_at, self._clock()) + records / self._rate


def replay(
    files: Sequence[Path],
    stream: str,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    rate: float | None = None,
    checkpoint: Path | None = None,
    restart: bool = False,
    client: KinesisClient | None = None,
    pace: Pace | None = None,
    listener: Listener | None = None,
) -> ReplayResult:
    """Puts every record of `files` into `stream`, each at least once; goes on from an interrupted replay.

    Parameters
    ----------
    files: newline-delimited JSON, plain or gzip; one `-` alone is standard input, from which nothing can go on
    stream, endpoint_url, region: where to; by default AWS as boto3 finds it
    rate: records a second, None for as fast as it goes
    checkpoint: where to keep how far it has come (default: beside the first file, `.replayed` added to its name)
    restart: begin from the start whatever the checkpoint says
    client, pace: to be used in place of those that the other arguments describe
    listener: who is told how it goes

    Returns at once, with nothing sent, where the checkpoint says that all is done.
    Raises ArchiveError, StreamError, CheckpointError; what was acknowledged by then is in the checkpoint.
    """
    target = Target(stream, endpoint_url, region)
    if STDIN in files:
        if len(files) > 1 or checkpoint is not None:
            raise ArchiveError("standard input (-) goes alone, and without a checkpoint")
        state, place = Checkpoint(target, ()), None
    else:
        fresh = Checkpoint(target, tuple(identity(path) for path in files))
        place = checkpoint or files[0].with_name(f"{files[0].name}.replayed")
        state = fresh if restart else load(place, fresh)
        if state.finished:
            return ReplayResult(state.sent, state.skipped)
        save(place, state)  # Before anything is sent: a place that cannot be written to must not come up half-way.
    writer = StreamWriter(client or kinesis_client(stream, endpoint_url, region), stream)
    run = _Run(writer, pace or Pace(rate), listener or Listener(), state, place)
    for path in files[state.file :]:
        with open_archive(path) as archive:
            run.send(archive)
    return run.result()


class _Run:
    """One run over the files. `state` is what is acknowledged, and in the checkpoint unless there is none."""

    def __init__(
        self, writer: StreamWriter, pace: Pace, listener: Listener, state: Checkpoint, place: Path | None
    ) -> None:
        self._writer = writer
        self._pace = pace
        self._listener = listener
        self._state = state
        self._place = place
        self._sent_before = state.sent
        self._skipped = 0

    def send(self, archive: Archive) -> None:
        """Sends what is left of the file that `state` is at, and moves on to the next."""
        skipped_before, done = self._state.skipped, sum(file.size for file in self._state.files[: self._state.file])
        self._skipped = 0
        for batch in batches(self._entries(archive), self._pace.most):
            self._pace.wait(len(batch))
            self._writer.put(batch)
            last = batch[-1]
            self._acknowledge(
                offset=last.end, sent=self._state.sent + len(batch), skipped=skipped_before + last.skipped
            )
            self._listener.progress(done + archive.position(), self._state.sent)
        more = self._state.file + 1 < len(self._state.files)
        self._acknowledge(
            file=self._state.file + 1 if more else self._state.file,
            offset=0 if more else self._state.offset,
            skipped=skipped_before + self._skipped,
            finished=not more,
        )
        self._listener.progress(done + archive.position(), self._state.sent)

    def _entries(self, archive: Archive) -> Iterator[Positioned]:
        for record in archive.records(self._state.offset, MAX_DATA_BYTES):
            if isinstance(record, Oversized):
                self._skipped += 1
                size = record.end - record.start
                where = f"{archive.name}, byte {record.start:,}"
                self._listener.notice(f"{where}: left out {size:,} bytes; a record may have {MAX_DATA_BYTES:,}")
            else:
                yield Positioned(record.data, partition_key(record.data), record.end, self._skipped)

    def _acknowledge(self, **changed: int) -> None:
        self._state = msgspec.structs.replace(self._state, **changed)
        if self._place is not None:
            save(self._place, self._state)

    def result(self) -> ReplayResult:
        """What has come of it."""
        sent = self._state.sent
        return ReplayResult(sent, self._state.skipped, sent - self._sent_before, self._writer.retried)


def partition_key(data: bytes) -> str:
    """The same for the same record, and spread evenly over shards; nothing may depend on it."""
    return hashlib.blake2b(data, digest_size=PARTITION_KEY_BYTES // 2).hexdigest()


def replay_command(
    files: Annotated[list[Path], typer.Argument(help="Newline-delimited JSON, plain or gzip; - is standard input.")],
    stream: Annotated[str, typer.Option(help="The Kinesis stream to put the records into.")],
    endpoint_url: Annotated[str | None, typer.Option(help="The endpoint of Kinesis. Default: AWS.")] = None,
    region: Annotated[str | None, typer.Option(help="The region of the stream. Default: as boto3 finds it.")] = None,
    rate: Annotated[float | None, typer.Option(help="At most this many records a second.", min=0.01, max=1e6)] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Where to keep how far it has come. Default: the first file's name + .replayed")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start over, whatever the checkpoint says.")] = False,
) -> None:
    """Put archived stream records into a Kinesis stream; run it again to go on after an interruption."""
    console = Console(stderr=True)

    def say(sentence: str, style: str = "") -> None:
        console.print(sentence, style=style, markup=False, highlight=False, soft_wrap=True)

    try:
        with interruptible(), progress_bar(console, files) as progress:
            result = replay(
                files,
                stream,
                endpoint_url=endpoint_url,
                region=region,
                rate=rate,
                checkpoint=checkpoint,
                restart=restart,
                listener=Listener(progress, lambda sentence: say(sentence, "yellow")),
            )
    except (ArchiveError, StreamError, CheckpointError, OSError) as error:
        say(f"replay: {said(error)}", "red")
        raise typer.Exit(1) from error
    except KeyboardInterrupt as interrupt:
        say("replay: stopped; the same command goes on from here" if STDIN not in files else "replay: stopped")
        raise typer.Exit(INTERRUPTED) from interrupt
    if not result.sent_now and result.sent:
        say(f"Nothing sent: all {result.sent:,} records are in stream {stream} already; --restart sends them again.")
    else:
        before = f", after {result.sent_before:,} of an earlier run" if result.sent_before else ""
        again = f"; {result.retried:,} were refused at first and put again" if result.retried else ""
        say(f"{result.sent_now:,} records sent to stream {stream}{before}{again}.")
    if result.skipped:
        say(f"{result.skipped:,} records were too large for the stream and are not in it.", "yellow")
        raise typer.Exit(1)


@contextmanager
def progress_bar(console: Console, files: Sequence[Path]) -> Iterator[Callable[[int, int], object]]:
    """A bar of the files' bytes on `console`; yields the function that moves it."""
    sizes = [path.stat().st_size for path in files if path.is_file()]
    records = TextColumn("{task.fields[records]:,} records")
    columns = (TextColumn("replay"), BarColumn(), DownloadColumn(), records, TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("replay", total=sum(sizes) or None, records=0)
        yield lambda done, sent: bar.update(task, completed=done, records=sent)
