"""What the REST API answers about windows, events and users, and the sentences that say why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import asdict

from chalicelib.api.queries import History, Row
from chalicelib.api.schemas.events import EventAnswer, EventTouch
from chalicelib.api.schemas.users import CurrentCampaign, ExplainedEvent, IdentityKind, UserAnswer, UserTouch
from chalicelib.api.schemas.values import Instant, spell
from chalicelib.api.schemas.window import Days, LookbackWindow, WindowVersion
from chalicelib.attribution.touches import Touch
from chalicelib.attribution.value import money
from chalicelib.settings.model import Settings, Window
from chalicelib.times import DAY_MS, to_iso

Json = dict[str, Any]

KIND_NAMES: Mapping[str, IdentityKind] = {"n": "user_name", "u": "user_id", "p": "endpoint_id", "x": "anonymous"}


def lookback_window(settings: Settings, now: int) -> LookbackWindow:
    window = _window(settings.window_at(now))
    return LookbackWindow(window.days, window.effective_from, [_window(one) for one in settings.windows])


def _window(window: Window) -> WindowVersion:
    return WindowVersion(Days(window.days), Instant(window.effective_from))


def event(row: Row, names: dict[str, str]) -> Json:
    """As `event_answer`, for files."""
    plain: Json = msgspec.to_builtins(event_answer(row, names), enc_hook=spell)
    return plain


def event_answer(row: Row, names: dict[str, str]) -> EventAnswer:
    """An event; journeys are called by ``names``, or by their ids."""
    touch = row.touch
    return EventAnswer(
        event_type=row.event_type,
        time=Instant(row.time),
        user=row.user.name if row.user.kind != "x" else None,
        value=money(row.value.amount) if row.value else None,
        currency=row.value.currency if row.value else None,
        journey_id=row.journey,
        journey_name=names.get(row.journey, row.journey) if row.journey else None,
        touch=EventTouch(Instant(touch.time), touch.kind, touch.channel) if touch else None,
        basis=row.basis,
    )


def history(found: History, names: dict[str, str], now: int) -> UserAnswer:
    journey = found.campaign.journey_at(now)
    touch = found.campaign.touch
    return UserAnswer(
        user=found.user.name,
        identity=KIND_NAMES[found.user.kind],
        campaign=(
            CurrentCampaign(journey, names.get(journey, journey), Instant(touch.time), Instant(touch.until))
            if journey and touch
            else None
        ),
        touches=[_touch(one, names) for one in found.touches],
        events=[
            ExplainedEvent(**asdict(event_answer(row, names)), why=why(row, decider, names))
            for row, decider in zip(found.events, found.deciders, strict=True)
        ],
    )


def _touch(touch: Touch, names: dict[str, str]) -> UserTouch:
    return UserTouch(
        time=Instant(touch.time),
        kind=touch.kind,
        channel=touch.channel,
        journey_id=touch.journey,
        journey_name=names.get(touch.journey, touch.journey),
        window_until=Instant(touch.until),
    )


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
