"""What the REST API answers: ISO-8601 times, decimal money as text, and sentences for what was asked wrongly."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from chalice.app import Response

from chalicelib.api.queries import History, Row
from chalicelib.attribution.touches import Touch
from chalicelib.attribution.value import money
from chalicelib.reports import Events, JourneyFigures, Report
from chalicelib.settings import Settings, Window
from chalicelib.times import DAY_MS, to_iso

Json = dict[str, Any]

KIND_NAMES = {"n": "user_name", "u": "user_id", "p": "endpoint_id", "x": "anonymous"}


def answer(body: Json, status: int = 200) -> Response:
    text = msgspec.json.encode(body).decode()
    return Response(body=text, status_code=status, headers={"Content-Type": "application/json"})


def number(value: Decimal) -> int | float:
    """A decimal as a JSON number."""
    return int(value) if value == value.to_integral_value() else float(value)


def lookback_window(settings: Settings, now: int) -> Json:
    return {**_window(settings.window_at(now)), "history": [_window(one) for one in settings.windows]}


def _window(window: Window) -> Json:
    return {"days": number(window.days), "effective_from": to_iso(window.effective_from)}


def event(row: Row, names: dict[str, str]) -> Json:
    return {
        "event_type": row.event_type,
        "time": to_iso(row.time),
        "user": row.user.name if row.user.kind != "x" else None,
        "value": money(row.value.amount) if row.value else None,
        "currency": row.value.currency if row.value else None,
        "journey_id": row.journey,
        "journey_name": names.get(row.journey, row.journey) if row.journey else None,
        "touch": {"time": to_iso(row.touch.time), "kind": row.touch.kind, "channel": row.touch.channel}
        if row.touch
        else None,
        "basis": row.basis,
    }


def report(figures: Report) -> Json:
    return {
        "journeys": [_journey(one, figures.names) for one in figures.journeys],
        "unattributed": _events(figures.unattributed),
        "total": _events(figures.total),
    }


def _journey(figures: JourneyFigures, names: dict[str, str]) -> Json:
    return {
        "journey_id": figures.journey,
        "name": names.get(figures.journey, figures.journey),
        "sends": figures.sends,
        "touches": dict(sorted(figures.touches.items())),
        "reached": figures.reached,
        "converters": figures.converters,
        **_events(figures.events),
    }


def _events(events: Events) -> Json:
    return {
        "events": events.by_type(),
        "revenue": {currency: money(amount) for currency, amount in events.revenue().items()},
    }


def history(found: History, names: dict[str, str], now: int) -> Json:
    journey = found.campaign.journey_at(now)
    touch = found.campaign.touch
    return {
        "user": found.user.name,
        "identity": KIND_NAMES[found.user.kind],
        "campaign": (
            {
                "journey_id": journey,
                "name": names.get(journey, journey),
                "since": to_iso(touch.time),
                "until": to_iso(touch.until),
            }
            if journey and touch
            else None
        ),
        "touches": [_touch(one, names) for one in found.touches],
        "events": [
            {**event(row, names), "why": why(row, decider, names)}
            for row, decider in zip(found.events, found.deciders, strict=True)
        ],
    }


def _touch(touch: Touch, names: dict[str, str]) -> Json:
    return {
        "time": to_iso(touch.time),
        "kind": touch.kind,
        "channel": touch.channel,
        "journey_id": touch.journey,
        "journey_name": names.get(touch.journey, touch.journey),
        "window_until": to_iso(touch.until),
    }


def why(row: Row, newest: Touch | None, names: dict[str, str]) -> str:
    """Why an event has its credit, or has none. ``newest`` is the newest touch at or before it."""
    if row.basis == "stamp" and row.journey:
        return f"No touch at or before the event; its stamp names journey {names.get(row.journey, row.journey)}."
    if row.touch:
        return (
            f"{_newest(row.touch, names)}, {_span(row.time - row.touch.time)} earlier; "
            f"its window was open until {to_iso(row.touch.until)}."
        )
    if newest is None:
        return "No touch at or before the event."
    if newest.covers(row.time):
        return f"{_newest(newest, names)}; the credit is about to be written."
    return (
        f"{_newest(newest, names)}; its window ended at {to_iso(newest.until)}, before the event. "
        "An older touch never takes its place."
    )


def _newest(touch: Touch, names: dict[str, str]) -> str:
    name = names.get(touch.journey, touch.journey)
    return f"The newest touch at or before the event is {touch.kind} of journey {name} at {to_iso(touch.time)}"


def _span(ms: int) -> str:
    days, rest = divmod(ms, DAY_MS)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    parts = [f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if minutes else ""]
    return " ".join(one for one in parts if one) or f"{rest / 1000:.3f} s"
