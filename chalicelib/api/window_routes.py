"""The lookback window: the short form of an application's settings."""

from __future__ import annotations

from decimal import Decimal

from chalicelib import wiring
from chalicelib.api import answers
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Answer, Call, operation
from chalicelib.api.schemas.window import LookbackWindow, WindowChange
from chalicelib.api.settings_routes import ETAG, save
from chalicelib.api.versions import IF_MATCH, etag
from chalicelib.settings.document import changes_between, saved_window
from chalicelib.settings.model import Settings
from chalicelib.settings.store import Revision, Saved

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
    answer_headers=ETAG,
    examples={"answer": _SHOWN},
)
def get_lookback_window(call: Call[None, None]) -> Answer:
    return _answer(wiring.settings().get_saved(call.application), call.now)


@operation(
    routes,
    "PUT",
    "/applications/{application}/lookback-window",
    access="admin",
    summary="Set the lookback window",
    description="For touches from now on, or from effective_from on: it takes the place of all windows from then until "
    "now, as in the whole settings. What is credited already stays as it is until the next rebuild.",
    tags=("settings",),
    body=WindowChange,
    answer=LookbackWindow,
    errors=(409, 412),
    headers=IF_MATCH,
    answer_headers=ETAG,
    examples={"body": {"days": 3}, "answer": _SHOWN},
)
def put_lookback_window(call: Call[None, WindowChange]) -> Answer:
    start = call.now if call.body.effective_from is None else int(call.body.effective_from)

    def revised(settings: Settings) -> Revision:
        after = saved_window(settings, Decimal(call.body.days), start, call.now)
        return Revision(after, start, changes_between(settings, after, start, call.now))

    return _answer(save(call, revised), call.now)


def _answer(saved: Saved, now: int) -> Answer:
    return Answer(answers.lookback_window(saved.settings, now), headers=etag(saved.revision))
