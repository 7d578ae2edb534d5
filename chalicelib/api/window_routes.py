"""The lookback window: the short form of an application's settings."""

from __future__ import annotations

from decimal import Decimal

from chalicelib import wiring
from chalicelib.api import answers
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Call, operation
from chalicelib.api.schemas.window import LookbackWindow, WindowChange
from chalicelib.settings import Window

_SHOWN = {
    "days": 3,
    "effective_from": "2026-03-28T00:00:00.000Z",
    "history": [{"days": 3, "effective_from": "2026-03-28T00:00:00.000Z"}],
}


@operation(
    routes,
    "GET",
    "/applications/{application}/lookback-window",
    access="viewer",
    summary="The lookback window in force, and those before and to come",
    tags=("settings",),
    answer=LookbackWindow,
    examples={"answer": _SHOWN},
)
def get_lookback_window(call: Call[None, None]) -> LookbackWindow:
    return answers.lookback_window(wiring.settings().get(call.application), call.now)


@operation(
    routes,
    "PUT",
    "/applications/{application}/lookback-window",
    access="admin",
    summary="Set the lookback window",
    description="For touches from now on, or from effective_from on. What is credited already stays as it is.",
    tags=("settings",),
    body=WindowChange,
    answer=LookbackWindow,
    examples={"body": {"days": 3}, "answer": _SHOWN},
)
def put_lookback_window(call: Call[None, WindowChange]) -> LookbackWindow:
    effective_from = call.now if call.body.effective_from is None else int(call.body.effective_from)
    window = Window(Decimal(call.body.days), effective_from)
    settings = wiring.settings().change(call.application, lambda old: old.with_window(window))
    return answers.lookback_window(settings, call.now)
