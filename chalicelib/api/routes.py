"""The REST API's routes."""

from __future__ import annotations

from urllib.parse import unquote

from chalice.app import BadRequestError, Blueprint, NotFoundError, Request, Response

from chalicelib import wiring
from chalicelib.api import answers
from chalicelib.api.cursors import BadCursor
from chalicelib.api.queries import UNATTRIBUTED, Filters
from chalicelib.api.requests import application_id, journey_of, limit_of, period_of, query_of, times_of, window_of

routes = Blueprint(__name__)

MOST_OF_HISTORY = 100
"""Touches and events of a user in one answer."""


def _request() -> Request:
    request = routes.current_request
    if request is None:
        raise RuntimeError("no request is being served")
    return request


@routes.route("/health")
def health() -> Response:
    return answers.answer({"status": "ok"})


@routes.route("/applications/{application}/lookback-window")
def get_lookback_window(application: str) -> Response:
    settings = wiring.settings().get(application_id(application))
    return answers.answer(answers.lookback_window(settings, wiring.clock.now()))


@routes.route("/applications/{application}/lookback-window", methods=["PUT"])
def put_lookback_window(application: str) -> Response:
    now = wiring.clock.now()
    window = window_of(_request().json_body, now)
    settings = wiring.settings().change(application_id(application), lambda old: old.with_window(window))
    return answers.answer(answers.lookback_window(settings, now))


@routes.route("/applications/{application}/events")
def get_events(application: str) -> Response:
    query = query_of(_request(), ("journey_id", "event_type", "user", "from", "to", "limit", "cursor"))
    start, end = times_of(query)
    filters = Filters(journey_of(query), query.get("event_type"), query.get("user"), start, end)
    if filters.journey == UNATTRIBUTED and filters.user is None:
        raise BadRequestError(
            "journey_id=unattributed needs a user: unattributed events stand in no index, "
            "which would double the cost of every event. "
            "How many there are, and their value, is in the report."
        )
    app_id = application_id(application)
    bound = {"application": app_id, **{name: value for name, value in query.items() if name not in ("limit", "cursor")}}
    try:
        position = wiring.cursors().decode(query["cursor"], bound) if "cursor" in query else None
    except BadCursor as reason:
        raise BadRequestError(f"{reason}.") from reason
    page = wiring.event_queries().page(app_id, filters, limit_of(query), position)
    names = wiring.registry().names(app_id)
    return answers.answer(
        {
            "items": [answers.event(row, names) for row in page.rows],
            "next_cursor": wiring.cursors().encode(page.next_position, bound) if page.next_position else None,
        }
    )


@routes.route("/applications/{application}/journeys")
def get_journeys(application: str) -> Response:
    query_of(_request(), ())
    return _report(application_id(application), None, None)


@routes.route("/applications/{application}/report")
def get_report(application: str) -> Response:
    period = period_of(query_of(_request(), ("from", "to")))
    return _report(application_id(application), period.first, period.end)


def _report(app_id: str, first: str | None, end: str | None) -> Response:
    generation = wiring.settings().get(app_id).generation
    return answers.answer(answers.report(wiring.reports().report(app_id, generation, first, end)))


@routes.route("/applications/{application}/users/{user}")
def get_user(application: str, user: str) -> Response:
    app_id = application_id(application)
    history = wiring.event_queries().history(app_id, unquote(user), MOST_OF_HISTORY)
    if history is None:
        raise NotFoundError("Nothing is known of this user.")
    return answers.answer(answers.history(history, wiring.registry().names(app_id), wiring.clock.now()))
