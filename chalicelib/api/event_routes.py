"""Credited events, page by page."""

from __future__ import annotations

import msgspec

from chalicelib import wiring
from chalicelib.api import answers
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Call, Problem, operation
from chalicelib.api.cursors import BadCursor
from chalicelib.api.queries import UNATTRIBUTED, Filters
from chalicelib.api.schemas import values
from chalicelib.api.schemas.events import EventsPage, EventsQuery


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
)
def get_events(call: Call[EventsQuery, None]) -> EventsPage:
    query = call.query
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
    page = wiring.event_queries().page(call.application, filters, query.limit, position)
    names = wiring.registry().names(call.application)
    return EventsPage(
        items=[answers.event_answer(row, names) for row in page.rows],
        next_cursor=wiring.cursors().encode(page.next_position, bound) if page.next_position else None,
    )


def _bound(application: str, query: EventsQuery) -> dict[str, str | None]:
    """What a cursor belongs to: the application and all of the query but where and how long the page is."""
    asked: dict[str, str | None] = msgspec.to_builtins(query, enc_hook=values.spell)
    return {**{name: one for name, one in asked.items() if name not in ("limit", "cursor")}, "application": application}
