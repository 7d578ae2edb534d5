"""Credited events, page by page, as JSON or as files."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from chalicelib import wiring
from chalicelib.api import answers, contract
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import JSON, Answer, Call, Problem, operation
from chalicelib.api.csv_text import CONTENT_TYPE, attachment
from chalicelib.api.cursors import BadCursor
from chalicelib.api.event_files import CSV, NDJSON, events_csv, events_ndjson
from chalicelib.api.negotiation import preferred
from chalicelib.api.queries import UNATTRIBUTED, Filters, Page, Row
from chalicelib.api.schemas import values
from chalicelib.api.schemas.events import EventsPage, EventsQuery

OFFERED = (JSON, CSV, NDJSON)
SUFFIXES = {CSV: "csv", NDJSON: "ndjson"}
BY_ACCEPT = {"Vary": "Accept"}


@operation(
    routes,
    "GET",
    "/applications/{application}/events",
    access="viewer",
    summary="Credited events, newest first",
    description="Without journey_id the events of all journeys; with unattributed, which needs a user, those "
    "that no journey has credit for. user is a user name, else a UserId, else an endpoint id. A page looks at 5,000 "
    "events at most, so it may be short and still have a next_cursor.",
    tags=("events",),
    query=EventsQuery,
    answer=EventsPage,
    media=(CSV, NDJSON),
    errors=(406,),
    headers={"Accept": "JSON, or a file: CSV for spreadsheets, newline-delimited JSON"},
    answer_headers={
        "X-Next-Cursor": "next_cursor of a file",
        "Link": "Where a file's next page is, relative to this address",
        "Content-Disposition": "The name of a file",
    },
)
def get_events(call: Call[EventsQuery, None]) -> Answer:
    query = call.query
    media = preferred(call.headers.get("Accept"), OFFERED)
    if media is None:
        raise Problem(406, f"There are {', '.join(OFFERED[:-1])} and {OFFERED[-1]}.")
    if query.journey_id == UNATTRIBUTED and query.user is None:
        raise Problem(
            400,
            "journey_id=unattributed needs a user: unattributed events stand in no index, "
            "which would double the cost of every event. "
            "How many there are, and their value, is in the report.",
        )
    bound = _bound(call.application, query)
    try:
        position = None if query.cursor is None else wiring.cursors().decode(query.cursor, bound)
    except BadCursor as reason:
        raise Problem(400, f"{reason}.") from reason
    filters = Filters(query.journey_id, query.event_type, query.user, query.from_, query.to)
    names = wiring.registry().names(call.application)
    page = _within_the_bound(wiring.event_queries().page(call.application, filters, query.limit, position), names)
    cursor = wiring.cursors().encode(page.next_position, bound) if page.next_position else None
    if media != JSON:
        return _file(call, media, page.rows, names, cursor)
    return Answer(EventsPage([answers.event_answer(row, names) for row in page.rows], cursor), headers=BY_ACCEPT)


def _within_the_bound(page: Page, names: dict[str, str]) -> Page:
    """The page up to the last row with which its answer is not too large: names may be long.

    A row of JSON names its columns, so it is longer than one of CSV.
    """
    left = contract.LARGEST_ANSWER * 9 // 10
    for at, row in enumerate(page.rows):
        left -= contract.bytes_of(msgspec.json.encode(answers.event(row, names)).decode())
        if left < 0:
            return Page(page.rows[:at], page.rows[at - 1].position)
    return page


def _file(
    call: Call[EventsQuery, None], media: str, rows: Sequence[Row], names: dict[str, str], cursor: str | None
) -> Answer:
    """A page as a file, which has no place for the cursor: that stands in the headers."""
    headers = {**BY_ACCEPT, "Content-Disposition": attachment("events", call.application, suffix=SUFFIXES[media])}
    if cursor:
        asked: dict[str, object] = msgspec.to_builtins(call.query, enc_hook=values.spell)
        following = {name: one for name, one in {**asked, "cursor": cursor}.items() if one is not None}
        headers |= {"X-Next-Cursor": cursor, "Link": f'<?{urlencode(following)}>; rel="next"'}
    if media == CSV:
        return Answer(events_csv(rows, names), headers=headers, content_type=CONTENT_TYPE)
    return Answer(events_ndjson(rows, names), headers=headers, content_type=media)


def _bound(application: str, query: EventsQuery) -> dict[str, str | None]:
    """What a cursor belongs to: the application and all of the query but where and how long the page is."""
    asked: dict[str, str | None] = msgspec.to_builtins(query, enc_hook=values.spell)
    return {**{name: one for name, one in asked.items() if name not in ("limit", "cursor")}, "application": application}
