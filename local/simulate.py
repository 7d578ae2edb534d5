"""`python -m local simulate`: a made-up Pinpoint stream, as lines of JSON or straight into Kinesis."""

from __future__ import annotations

import gzip
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from local.kinesis_writer import Entry, StreamError, StreamWriter, batches, kinesis_client
from local.sentences import said
from local.simulation import Emitted, Simulation
from local.simulation.chance import seeded

MOST = 1_000
"""Applications, and journeys in each."""
MOST_PEOPLE = 10_000_000
SHOWN_EVERY = 500
"""Records written between two moves of the progress bar."""


class Writable(Protocol):
    """What lines can be written to."""

    def write(self, data: bytes, /) -> object:
        """Writes all of `data`."""


def put_simulation(
    simulation: Simulation, writer: StreamWriter, advance: Callable[[int], object] = lambda _records: None
) -> Emitted:
    """Puts the whole simulation into a stream, under random partition keys as Pinpoint's users see them.

    `advance` is called with the number of records after each request. Returns what was put. Raises StreamError.
    """
    for batch in batches(entries(simulation.records(), seeded(simulation.seed, "partition keys"))):
        writer.put(batch)
        advance(len(batch))
    return simulation.emitted


def entries(records: Iterable[bytes], rng: random.Random) -> Iterator[Entry]:
    """The records, each bound for any shard: nothing may depend on where a user's records end up."""
    for record in records:
        yield Entry(record, f"{rng.getrandbits(128):032x}")


def write_lines(
    simulation: Simulation, out: Writable, advance: Callable[[int], object] = lambda _records: None
) -> Emitted:
    """Writes the whole simulation as newline-delimited JSON. Returns what was written."""
    waiting = 0
    for record in simulation.records():
        out.write(record + b"\n")
        waiting += 1
        if waiting == SHOWN_EVERY:
            advance(waiting)
            waiting = 0
    advance(waiting)
    return simulation.emitted


@contextmanager
def opened(out: Path | None) -> Iterator[Writable]:
    """Standard output, or a file; one whose name ends in .gz is compressed, without a time, to be repeatable."""
    if out is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif out.suffix == ".gz":
        with out.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as compressed:
            yield compressed
    else:
        with out.open("wb") as plain:
            yield plain


def simulate_command(
    records: Annotated[int, typer.Option(help="How many records, copies and broken ones included.", min=1)] = 20_000,
    seed: Annotated[int, typer.Option(help="The same seed and --until give the same stream.")] = 1,
    until: Annotated[
        str | None, typer.Option(help="End of the stream's time, ISO 8601 with zone. Default: now.")
    ] = None,
    days: Annotated[float, typer.Option(help="How many days the stream covers.")] = 14.0,
    applications: Annotated[int, typer.Option(help="How many applications.", min=1, max=MOST)] = 2,
    journeys: Annotated[int, typer.Option(help="How many journeys in each application.", min=1, max=MOST)] = 7,
    people: Annotated[
        int | None, typer.Option(help="How many customers. Default: one for 15 records.", min=1, max=MOST_PEOPLE)
    ] = None,
    bad: Annotated[float, typer.Option(help="The share of malformed records, 0 to 1.")] = 0.002,
    out: Annotated[Path | None, typer.Option(help="Write to this file (.gz is compressed) and not to stdout.")] = None,
    stream: Annotated[str | None, typer.Option(help="Put into this Kinesis stream instead.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="The endpoint of Kinesis. Default: AWS.")] = None,
    region: Annotated[str | None, typer.Option(help="The region of the stream. Default: as boto3 finds it.")] = None,
) -> None:
    """Make a realistic Pinpoint event stream, in the documented shapes."""
    console = Console(stderr=True)
    if stream is not None and out is not None:
        raise typer.BadParameter("give either --out or --stream")
    if stream is None and (endpoint_url is not None or region is not None):
        raise typer.BadParameter("--endpoint-url and --region say where a stream is: name it with --stream")
    try:
        simulation = Simulation(
            seed=seed,
            records=records,
            until=datetime.fromisoformat(until) if until is not None else None,
            days=days,
            applications=applications,
            journeys=journeys,
            people=people,
            bad=bad,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        with progress_bar(console, records) as advance:
            if stream is not None:
                emitted = put_simulation(
                    simulation, StreamWriter(kinesis_client(stream, endpoint_url, region), stream), advance
                )
            else:
                with opened(out) as lines:
                    emitted = write_lines(simulation, lines, advance)
    except BrokenPipeError:
        # The reader has seen enough (| head). What Python still holds for stdout must not fail at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except (StreamError, OSError) as error:
        console.print(f"simulate: {said(error)}", style="red", markup=False, soft_wrap=True)
        raise typer.Exit(1) from error
    parts = f"{emitted.duplicates:,} are copies, {emitted.malformed:,} malformed"
    console.print(f"{emitted.records:,} records of seed {seed}: {parts}", highlight=False, soft_wrap=True)


@contextmanager
def progress_bar(console: Console, total: int) -> Iterator[Callable[[int], object]]:
    """A bar of records on `console`; yields the function that moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulate", total=total)
        yield lambda records: progress.advance(task, records)
