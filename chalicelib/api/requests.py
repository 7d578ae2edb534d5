"""What callers of the REST API may ask; anything else is a 400 with a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import unquote

from chalice.app import BadRequestError, Request

from chalicelib.settings import Window, parse_window_days
from chalicelib.sources.records import Rejected, checked_id
from chalicelib.times import DAY_MS, LAST_MS, day_of, from_iso

MOST_PER_PAGE = 1_000
PER_PAGE = 100

Parsed = TypeVar("Parsed")


class Period(NamedTuple):
    """Whole UTC days, ``first <= day < end`` as ``YYYYMMDD``; None is without bound."""

    first: str | None
    end: str | None


def application_id(given: str) -> str:
    """An application id from the path, where it stands percent-encoded."""
    try:
        return checked_id(unquote(given), "application_id")
    except Rejected as reason:
        raise BadRequestError(f"{reason}.") from reason


def query_of(request: Request, allowed: tuple[str, ...]) -> dict[str, str]:
    """The query parameters; blank ones count as absent.

    Raises
    ------
    BadRequestError
        One is unknown or given twice.
    """
    given = request.query_params
    if given is None:
        return {}
    found: dict[str, str] = {}
    for name in given:
        if name not in allowed:
            raise BadRequestError(f"There is no parameter {name}; there are {', '.join(allowed) or 'none here'}.")
        values: list[str] = given.getlist(name)
        if len(values) > 1:
            raise BadRequestError(f"{name} is given more than once.")
        if values[0].strip():
            found[name] = values[0]
    return found


def journey_of(query: Mapping[str, str]) -> str | None:
    """``journey_id``."""
    given = query.get("journey_id")
    if given is None:
        return None
    try:
        return checked_id(given, "journey_id")
    except Rejected as reason:
        raise BadRequestError(f"{reason}.") from reason


def limit_of(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(PER_PAGE))
    # Of thousands of digits int() makes an error of its own.
    if not (text.isascii() and text.isdigit() and len(text) <= 9) or not 1 <= int(text) <= MOST_PER_PAGE:
        raise BadRequestError(f"limit must be a whole number from 1 to {MOST_PER_PAGE}.")
    return int(text)


def time_of(query: Mapping[str, str], name: str) -> int | None:
    """A time, ms UTC."""
    text = query.get(name)
    return (
        None
        if text is None
        else _or_bad(from_iso, text.strip().replace(" ", "+"), f"{name} must be an ISO-8601 date or time")
    )


def times_of(query: Mapping[str, str]) -> tuple[int | None, int | None]:
    """``from`` and ``to``, ms UTC: from inclusive, to exclusive."""
    start, end = time_of(query, "from"), time_of(query, "to")
    if start is not None and end is not None and start >= end:
        raise BadRequestError("to must be later than from; from is included, to is not.")
    return start, end


def period_of(query: Mapping[str, str]) -> Period:
    """``from`` and ``to`` as whole days; a time within a day takes the whole day in."""
    start, end = times_of(query)
    last = None if end is None else end + DAY_MS - 1
    return Period(
        day_of(start) if start is not None else None,
        # After the last day that can be named there is no end.
        day_of(last) if last is not None and last <= LAST_MS else None,
    )


def window_of(body: object, now: int) -> Window:
    """The lookback window in a request's body, effective from now unless it says otherwise."""
    if not isinstance(body, dict):
        raise BadRequestError('The body must be a JSON object such as {"days": 7}.')
    if unknown := set(body) - {"days", "effective_from", "history"}:
        raise BadRequestError(
            f"There is no {sorted(unknown)[0]} to set; set days, and effective_from if it is not now."
        )
    if "days" not in body:
        raise BadRequestError("days is missing.")
    days = _or_bad(parse_window_days, body["days"])
    effective_from = body.get("effective_from")
    if effective_from is None:
        return Window(days, now)
    if not isinstance(effective_from, str):
        raise BadRequestError("effective_from must be an ISO-8601 date or time.")
    return Window(days, _or_bad(from_iso, effective_from, "effective_from must be an ISO-8601 date or time"))


def _or_bad(parse: Callable[[str], Parsed], given: str, rule: str | None = None) -> Parsed:
    try:
        return parse(given)
    except (ValueError, OverflowError) as reason:
        raise BadRequestError(f"{rule}, not {given}." if rule else f"{reason}.") from reason
