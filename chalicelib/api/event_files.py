"""Pages of events as files: CSV for spreadsheets, newline-delimited JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import msgspec

from chalicelib.api import answers
from chalicelib.api.csv_text import Cell, to_csv
from chalicelib.api.queries import Row
from chalicelib.attribution.value import money
from chalicelib.times import to_iso

CSV = "text/csv"
NDJSON = "application/x-ndjson"

COLUMNS = (
    "time",
    "event_type",
    "user",
    "value",
    "currency",
    "journey_id",
    "journey_name",
    "basis",
    "touch_time",
    "touch_kind",
    "touch_channel",
)


def events_csv(rows: Sequence[Row], names: dict[str, str]) -> str:
    """A file with a line an event; without events it has its header."""
    return to_csv(COLUMNS, _flat(rows, names))


def events_ndjson(rows: Sequence[Row], names: dict[str, str]) -> str:
    """A line an event, each as it stands among JSON's items."""
    return "".join(msgspec.json.encode(answers.event(row, names)).decode() + "\n" for row in rows)


def _flat(rows: Sequence[Row], names: Mapping[str, str]) -> Iterator[dict[str, Cell]]:
    for row in rows:
        touch = row.touch
        yield {
            "time": to_iso(row.time),
            "event_type": row.event_type,
            "user": row.user.name if row.user.kind != "x" else None,
            # A number with the places that JSON shows.
            "value": Decimal(money(row.value.amount)) if row.value else None,
            "currency": row.value.currency if row.value else None,
            "journey_id": row.journey,
            "journey_name": names.get(row.journey, row.journey) if row.journey else None,
            "basis": row.basis,
            "touch_time": to_iso(touch.time) if touch else None,
            "touch_kind": touch.kind if touch else None,
            "touch_channel": touch.channel if touch else None,
        }
