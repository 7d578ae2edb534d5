"""Pages of credited events, followed up to a number of events."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping

from chalicelib.api.schemas.events import MOST_PER_PAGE, EventAnswer, EventsPage
from chalicelib.api.schemas.values import parse
from local.rest_client import Api, path_of

CSV, NDJSON = "text/csv", "application/x-ndjson"


class Shortened:
    """Whether there are more events than were asked for; known when the pages are read."""

    def __init__(self) -> None:
        self.more = False


def pages(
    api: Api, application: str, query: Mapping[str, str], limit: int | None, shortened: Shortened
) -> Iterator[list[EventAnswer]]:
    """Pages of at most ``limit`` events together, None for all. Raises as `Api`."""
    cursor, left = None, limit
    while left is None or left > 0:
        answer = api.send("GET", path_of(application, "events"), _paged(query, left, cursor))
        page = answer.decoded(EventsPage, parse)
        if page.items:
            yield page.items
        cursor = page.next_cursor
        if cursor is None:
            return
        left = None if left is None else left - len(page.items)
    shortened.more = True


def files(
    api: Api, application: str, query: Mapping[str, str], media: str, limit: int | None, shortened: Shortened
) -> Iterator[bytes]:
    """The same as files of a media type: each page as it came, but only the first CSV page has a header."""
    cursor, left, first = None, limit, True
    while left is None or left > 0:
        answer = api.send("GET", path_of(application, "events"), _paged(query, left, cursor), headers={"Accept": media})
        body = answer.body
        if media == CSV and not first:
            # The header holds names of columns only, so its line ends at the first line break.
            body = body.partition(b"\n")[2]
        if body:
            yield body
        cursor = answer.headers.get("X-Next-Cursor")
        if not cursor:
            return
        if left is not None:
            left -= _events_in(body, media, header=first)
        first = False
    shortened.more = True


def _paged(query: Mapping[str, str], left: int | None, cursor: str | None) -> dict[str, str]:
    limit = MOST_PER_PAGE if left is None else min(left, MOST_PER_PAGE)
    return {**query, "limit": str(limit), **({"cursor": cursor} if cursor else {})}


def _events_in(body: bytes, media: str, *, header: bool) -> int:
    if media == NDJSON:
        return body.count(b"\n")
    # A quoted cell may hold line breaks.
    rows = sum(1 for _ in csv.reader(io.StringIO(body.decode(), newline="")))
    return rows - header
