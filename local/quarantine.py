"""`python -m local quarantine`: what was set aside, in detail, and back into the stream once it can be taken."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chalicelib.quarantine import PREFIX, kinds_of
from chalicelib.times import from_iso
from local.kinesis_writer import StreamError, StreamWriter, kinesis_client
from local.quarantine_replay import Outcome, Replayer, StepFunction
from local.quarantine_store import Account, Batch, Found, Line, QuarantineError, Store
from local.replay import INTERRUPTED
from local.sentences import said
from local.signals import interruptible
from local.state_file import NotServing, served

LOCAL_FUNCTION = "journey-attribution-dev-tag_users"
LONGEST_SHOWN = 160
AGES = {"m": 60, "h": 3_600, "d": 86_400}
"""Seconds of the units of an age."""

quarantine_app = typer.Typer(
    help="Records that were set aside as wrong: list them, look at one, replay them after a fix.",
    no_args_is_help=True,
)

BucketOption = Annotated[
    str | None, typer.Option(help="The quarantine's bucket. Default: that of the serve that runs here.")
]
EndpointOption = Annotated[str | None, typer.Option(help="The endpoint of AWS. Default: AWS.")]
RegionOption = Annotated[str | None, typer.Option(help="The region. Default: as boto3 finds it.")]
DataOption = Annotated[Path | None, typer.Option(metavar="DIR", help="The data directory of the serve that runs here.")]
SinceOption = Annotated[
    str | None,
    typer.Option(help="Only what was set aside since then: 2026-11-24T08:00:00Z, or an age such as 30m, 6h, 2d."),
]
ReasonOption = Annotated[str | None, typer.Option(metavar="TEXT", help="Only records whose reason contains TEXT.")]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the quarantine is, and the stream and the function that its records came to; None: not known."""

    account: Account
    bucket: str
    stream: str | None
    function: str | None

    @property
    def store(self) -> Store:
        return Store(self.account.s3(), self.bucket)


def place_of(
    bucket: str | None, endpoint_url: str | None, region: str | None, data: Path | None, stream: str | None = None,
    function: str | None = None,
) -> Place:  # fmt: skip
    """What the options name, or the running serve where they name no bucket. Raises QuarantineError, NotServing."""
    if bucket is not None:
        return Place(Account(endpoint_url, region), bucket, stream, function)
    if endpoint_url is not None or region is not None:
        raise QuarantineError("name the bucket too (--bucket): --endpoint-url and --region say where it is")
    environment = served(data).environment
    account = Account(environment["AWS_ENDPOINT_URL"], environment["AWS_DEFAULT_REGION"])
    stream = stream or environment["EVENT_STREAM"]
    return Place(account, environment["QUARANTINE_BUCKET"], stream, function or LOCAL_FUNCTION)


@quarantine_app.command("list")
def list_command(
    bucket: BucketOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    data: DataOption = None,
    since: SinceOption = None,
    reason: ReasonOption = None,
    replayed: Annotated[bool, typer.Option("--replayed", help="List what was replayed instead.")] = False,
) -> None:
    """List the objects, oldest first, with their records and the kinds of reasons."""
    with ending_well():
        store = place_of(bucket, endpoint_url, region, data).store
        objects = store.find(moment(since), replayed=replayed)
        examples: dict[str, str] = {}
        kinds: Counter[str] = Counter()
        records: set[tuple[str, str, str]] = set()
        shown = 0
        for batch in store.read_all(objects, replayed=replayed):
            lines = chosen_of(batch, reason)
            if not lines:
                continue
            shown += 1
            records.update(line.record.place for line in lines)
            for line in lines:
                for kind in kinds_of(line.record.reason):
                    examples.setdefault(kind, line.record.reason)
            here = Counter(kind for line in lines for kind in kinds_of(line.record.reason))
            kinds += here
            print(f"{batch.found.modified.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}  {batch.found.name}")
            print(f"    {plural(len(lines), 'record')}: {', '.join(f'{n:,} {kind}' for kind, n in here.most_common())}")
        print(f"{plural(len(records), 'record')} in {plural(shown, 'object')} of s3://{store.bucket}")
        for kind, count in kinds.most_common():
            print(f"{count:>8,}  {kind}, such as: {visible(examples[kind])[:LONGEST_SHOWN]}")


@quarantine_app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(metavar="NAME[:LINE]", help="As list shows it, or a part that only it has.")],
    bucket: BucketOption = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    data: DataOption = None,
    raw: Annotated[bool, typer.Option("--raw", help="Only write the record's bytes as received.")] = False,
    replayed: Annotated[bool, typer.Option("--replayed", help="Look among what was replayed.")] = False,
) -> None:
    """Show an object's records whole, or one of them."""
    with ending_well():
        store = place_of(bucket, endpoint_url, region, data).store
        ((_, lines),) = named(store, store.find(replayed=replayed), [name], replayed=replayed)
        if raw:
            if len(lines) != 1:
                raise QuarantineError(f"{name} has {len(lines)} records; --raw takes one: {lines[0]}")
            sys.stdout.buffer.write(lines[0].record.received)
            sys.stdout.buffer.flush()
            return
        for line in lines:
            print(f"{line}\n{described(line)}\n")


@quarantine_app.command("replay")
def replay_command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME[:LINE]]...", help="As list shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Replay all that waits.")] = False,
    reason: ReasonOption = None,
    since: SinceOption = None,
    bucket: BucketOption = None,
    stream: Annotated[str | None, typer.Option(help="The stream to put records into. Default: serve's.")] = None,
    function: Annotated[
        str | None, typer.Option(metavar="NAME", help="The function that takes journey steps. Default: serve's.")
    ] = None,
    endpoint_url: EndpointOption = None,
    region: RegionOption = None,
    data: DataOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be replayed.")] = False,
) -> None:
    """Put records back into the stream, and payloads of journey steps to the function; run it again to go on.

    What was taken is moved to replayed/. What is still wrong is set aside anew.
    """
    with ending_well(again="the same command goes on from here"):
        if bool(names) == (everything or reason is not None):
            raise QuarantineError("say what to replay: names, or --reason TEXT, or --all")
        place = place_of(bucket, endpoint_url, region, data, stream, function)
        if place.stream is None:
            raise QuarantineError("name the stream too (--stream)")
        store = place.store
        objects = store.find(moment(since))
        if names:
            chosen: Iterable[tuple[Batch, list[Line]]] = list(named(store, objects, names))
        else:
            chosen = ((batch, chosen_of(batch, reason)) for batch in store.read_all(objects))
        account = place.account
        writer = StreamWriter(kinesis_client(place.stream, account.endpoint_url, account.region), place.stream)
        step = StepFunction(account.functions(), place.function) if place.function else None
        replayer = Replayer(store, writer, step)
        with bar(len(names or objects)) as advance:
            for batch, lines in chosen:
                if dry_run:
                    replayer.foresee(lines)
                else:
                    replayer.replay(batch, lines)
                advance()
        report(replayer.outcome, "would be replayed" if dry_run else "replayed")


def report(outcome: Outcome, done: str) -> None:
    """Say what has come of it; the exit code is 1 where records stay."""
    for line, why in outcome.left:
        print(f"{line}: {why}", file=sys.stderr)
    staying = len(outcome.left)
    rest = f"; {staying:,} stay{'s' if staying == 1 else ''}" if staying else ""
    print(f"{plural(outcome.replayed, 'record')} {done}{rest}.")
    if outcome.left:
        raise typer.Exit(1)


def named(
    store: Store, objects: list[Found], names: list[str], *, replayed: bool = False
) -> Iterator[tuple[Batch, list[Line]]]:
    """The objects and records of names, each object once. Raises QuarantineError where a name is not one."""
    wanted: dict[str, set[int] | None] = {}
    for given in names:
        text, _, number = given.removeprefix(f"s3://{store.bucket}/").removeprefix(PREFIX).partition(":")
        found = [one.name for one in objects if one.name == text] or [one.name for one in objects if text in one.name]
        if len(found) != 1:
            raise QuarantineError(f"{len(found)} objects are named {text}; list shows the names")
        if number and not number.isdecimal():
            raise QuarantineError(f"{given}: a line is a number from 1 on")
        before = wanted.get(found[0], set())
        wanted[found[0]] = before | {int(number)} if number and before is not None else None
    for name, numbers in wanted.items():
        batch = store.read(name, replayed=replayed)
        lines = [line for line in batch.lines if numbers is None or line.number in numbers] if batch else []
        if batch is None or not lines:
            raise QuarantineError(f"{name} has no such record")
        yield batch, lines


def chosen_of(batch: Batch, reason: str | None) -> list[Line]:
    """The records of an object whose reason has a text in it."""
    return [line for line in batch.lines if reason is None or line.is_about(reason)]


def described(line: Line) -> str:
    """A record whole, for a terminal."""
    record = line.record
    received = record.received
    try:
        text = msgspec.json.format(received, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = received.decode(errors="backslashreplace")
    return (
        f"reason    {visible(record.reason)}\n"
        f"source    {record.source}, shard {record.shard}, sequence number {record.sequence}\n"
        f"received  {len(received):,} bytes\n{visible(text)}"
    )


def visible(text: str) -> str:
    """Text that does nothing to a terminal: a bad record may hold anything."""
    return "".join(one if one.isprintable() or one == "\n" else f"\\x{ord(one):02x}" for one in text)


def moment(since: str | None) -> datetime | None:
    """The time that an option names. Raises QuarantineError."""
    if since is None:
        return None
    if age := re.fullmatch(r"(\d{1,6})([mhd])", since):
        return datetime.now(UTC) - timedelta(seconds=int(age[1]) * AGES[age[2]])
    try:
        return datetime.fromtimestamp(from_iso(since) / 1000, UTC)
    except ValueError as error:
        raise QuarantineError(f"--since {since} is neither a time nor an age: {error}") from error


def plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@contextmanager
def bar(objects: int) -> Iterator[Callable[[], None]]:
    """A bar of so many objects on standard error; yields the function that moves it by one."""
    console = Console(stderr=True)
    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("replay", total=objects)
        yield lambda: progress.advance(task)


@contextmanager
def ending_well(again: str = "") -> Iterator[None]:
    """Say in one line what is wrong, and end with an exit code."""
    try:
        with interruptible():
            yield
    except (QuarantineError, StreamError, NotServing) as error:
        print(f"error: {said(error)}", file=sys.stderr)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as interrupt:
        print(f"stopped; {again}" if again else "stopped", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from interrupt
