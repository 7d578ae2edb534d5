"""Exports of credited events: gzip newline-delimited JSON in S3, a folder a day, as Athena and DuckDB read it.

``exports/<application>/<job>/day=2026-03-28/part-00000.ndjson.gz``, the day being that of the event, UTC, and in the
end a ``_manifest.json`` with how many events and how much value there must be: without one an export is not whole.

The journeys' indexes are read together in the order of the events' times, so a part holds events of one day, of all
journeys. A part, once written, is never written again: a step that finds its part there (it was killed before the job
was saved, or another worker was quicker) goes on from what that part holds. So parts never overlap, whatever is done
twice.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any

import msgspec
from botocore.exceptions import ClientError

from chalicelib.api import answers
from chalicelib.api.queries import Row, indexed_row
from chalicelib.attribution.value import EXACT, money
from chalicelib.jobs.store import JobFailed
from chalicelib.journeys.registry import Registry
from chalicelib.keys import export_prefix, padded
from chalicelib.reports.credited import CreditedEvents
from chalicelib.settings.store import SettingsStore
from chalicelib.times import LAST_MS, day_of, day_to_iso, from_iso, to_iso

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Json = dict[str, Any]

KIND = "export_events"
PART_EVENTS = 5_000
"""Events of a part at most: about two seconds' work, and 200 kB compressed."""

MOST_FILES_NAMED = 100
"""Files that a job's answer names; the manifest names all."""

LINKS_LAST_S = 3_600

_encoder = msgspec.json.Encoder()


class _Progress(msgspec.Struct):
    """Where an export is. ``position`` is that of the last event written; ``days`` are events and parts by day."""

    prefix: str
    application: str
    generation: int
    journey: str | None
    start: int
    end: int
    position: str | None = None
    events: int = 0
    days: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    revenue: dict[str, str] = msgspec.field(default_factory=dict)


class ExportEvents:
    """The job kind ``export_events``. Its ``params`` are ``from`` and ``to`` (ms UTC) and ``journey_id``, all optional.

    Parameters
    ----------
    part_events
        Events of a part at most.
    """

    def __init__(
        self,
        settings: SettingsStore,
        registry: Registry,
        credited: CreditedEvents,
        s3: S3Client,
        bucket: str,
        part_events: int = PART_EVENTS,
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._credited = credited
        self._s3 = s3
        self._bucket = bucket
        self._part_events = part_events

    def start(self, params: Mapping[str, Any]) -> Json:
        application = str(params["application"])
        start, end = params.get("from"), params.get("to")
        progress = _Progress(
            prefix=export_prefix(application, str(params["job"])),
            application=application,
            generation=self._settings.get(application).generation,
            journey=params.get("journey_id"),
            start=0 if start is None else int(start),
            end=LAST_MS + 1 if end is None else int(end),
        )
        return _builtins(progress)

    def step(self, state: Any) -> tuple[Json, int, int | None, bool]:
        """Write the next part, or after the last one the manifest."""
        progress = msgspec.convert(state, _Progress)
        if self._settings.get(progress.application).generation != progress.generation:
            raise JobFailed("The views were made anew in the meantime; ask for the export again.")
        names = self._registry.names(progress.application)
        rows = self._next_rows(progress)
        if not rows:
            self._put_manifest(progress)
            return _builtins(progress), progress.events, progress.events, True
        self._add(progress, [exported(row, names) for row in rows])
        return _builtins(progress), progress.events, None, False

    def result(self, state: Any) -> Json:
        progress = msgspec.convert(state, _Progress)
        files = list(islice(_files(progress), MOST_FILES_NAMED))
        return {
            "bucket": self._bucket,
            "prefix": progress.prefix,
            "manifest": f"{progress.prefix}_manifest.json",
            "files": files,
            "file_count": sum(parts for _, parts in progress.days.values()),
            "events": progress.events,
            "revenue": progress.revenue,
        }

    def _next_rows(self, progress: _Progress) -> list[Row]:
        """The next events, of one day."""
        items = self._credited.by_time(
            progress.application,
            progress.generation,
            progress.position or padded(progress.start),
            padded(progress.end),
            wanted=self._part_events,
            journey=progress.journey,
        )
        rows = map(indexed_row, items)
        following = (row for row in rows if progress.position is None or row.position > progress.position)
        first = next(following, None)
        if first is None:
            return []
        day = day_of(first.time)
        same_day = takewhile(lambda row: day_of(row.time) == day, following)
        return [first, *islice(same_day, self._part_events - 1)]

    def _add(self, progress: _Progress, rows: list[Json]) -> None:
        """Write a part, and count what it holds: if it was there already, what it holds already."""
        day = day_to_iso(day_of(from_iso(rows[0]["time"])))
        events, parts = progress.days.get(day, (0, 0))
        held = self._written(_part(progress.prefix, day, parts), rows)
        progress.days[day] = (events + len(held), parts + 1)
        progress.events += len(held)
        progress.position = f"{padded(from_iso(held[-1]['time']))}#{held[-1]['event_id']}"
        for currency, amount in _sums(held).items():
            total = EXACT.add(Decimal(progress.revenue.get(currency, "0")), amount)
            progress.revenue[currency] = money(total)

    def _written(self, key: str, rows: list[Json]) -> list[Json]:
        """The rows of a part, which are these unless somebody wrote it before."""
        body = gzip.compress(b"".join(_encoder.encode(row) + b"\n" for row in rows), mtime=0)
        try:
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType="application/gzip", IfNoneMatch="*"
            )
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in ("PreconditionFailed", "412"):
                raise
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            return [msgspec.json.decode(line) for line in gzip.decompress(body).splitlines()]
        return rows

    def _put_manifest(self, progress: _Progress) -> None:
        manifest = {
            "application": progress.application,
            "journey_id": progress.journey,
            "from": None if progress.start == 0 else to_iso(progress.start),
            "to": None if progress.end > LAST_MS else to_iso(progress.end),
            "format": "newline-delimited JSON, gzip",
            "events": progress.events,
            "revenue": progress.revenue,
            "days": [{"day": day, "events": events, "files": parts} for day, (events, parts) in progress.days.items()],
            "files": list(_files(progress)),
        }
        self._s3.put_object(
            Bucket=self._bucket,
            Key=f"{progress.prefix}_manifest.json",
            Body=_encoder.encode(manifest),
            ContentType="application/json",
        )


class ExportFiles:
    """The objects that exports left, for who may have them and for who must know of them."""

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def with_links(self, result: Mapping[str, Any]) -> Json:
        """A finished export's result, with addresses that give its files to anybody for an hour."""
        return {
            **result,
            "links": {
                "manifest": self._link(str(result["manifest"])),
                "files": [self._link(str(key)) for key in result["files"]],
                "expire_in_seconds": LINKS_LAST_S,
            },
        }

    def files_naming(self, application: str, user: str) -> list[str]:  # noqa: ARG002 - each may name anybody
        """Folders of exports that are still there and may hold events of a user: all of the application.

        One a job, unfinished ones too, as ``s3://bucket/exports/<application>/<job>/``: everything below it is the
        export. Which events it holds only its files tell, and they expire after thirty days.
        """
        prefix = export_prefix(application)
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, Delimiter="/")
        folders = [folder.get("Prefix", "") for page in pages for folder in page.get("CommonPrefixes", ())]
        return [f"s3://{self._bucket}/{folder}" for folder in folders]

    def _link(self, key: str) -> str:
        return self._s3.generate_presigned_url(
            "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=LINKS_LAST_S
        )


def exported(row: Row, names: dict[str, str]) -> Json:
    """A line: the event as ``GET events`` shows it, its id, and until when the touch's window was open."""
    return {
        "event_id": row.position.partition("#")[2],
        **answers.event(row, names),
        "window_until": to_iso(row.touch.until) if row.touch else None,
    }


def _sums(rows: Iterable[Json]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for row in rows:
        if row["value"] is not None:
            sums[row["currency"]] = EXACT.add(sums.get(row["currency"], Decimal(0)), Decimal(row["value"]))
    return sums


def _files(progress: _Progress) -> Iterator[str]:
    for day, (_, parts) in progress.days.items():
        for part in range(parts):
            yield _part(progress.prefix, day, part)


def _part(prefix: str, day: str, part: int) -> str:
    return f"{prefix}day={day}/part-{part:05d}.ndjson.gz"


def _builtins(progress: _Progress) -> Json:
    built: Json = msgspec.to_builtins(progress)
    return built
