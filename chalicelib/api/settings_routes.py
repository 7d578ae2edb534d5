"""Settings: read, saved whole, and who changed what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from chalicelib import wiring
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Answer, Call, Problem, operation
from chalicelib.api.cursors import BadCursor
from chalicelib.api.schemas.settings import (
    FieldChange,
    HistoryEntry,
    HistoryQuery,
    SettingsAnswer,
    SettingsBody,
    SettingsHistory,
    WaitingChanges,
)
from chalicelib.api.schemas.values import Instant
from chalicelib.api.versions import IF_MATCH, etag, expected_versions, outdated
from chalicelib.settings.document import Change, changes_of, document_at, saved, waiting
from chalicelib.settings.model import Settings
from chalicelib.settings.store import Outdated, Revision, Saved, SettingsRace, TooLarge

ETAG = {"ETag": "The version of the settings, for If-Match"}


@operation(
    routes,
    "GET",
    "/applications/{application}/settings",
    access="viewer",
    summary="Read the settings",
    description="The document that was saved for now; `waiting` names what of it, or of what is planned, "
    "does not hold yet.",
    tags=("settings",),
    answer=SettingsAnswer,
    answer_headers=ETAG,
)
def get_settings(call: Call[None, None]) -> Answer:
    return _settings_answer(wiring.settings().get_saved(call.application), call.now)


@operation(
    routes,
    "PUT",
    "/applications/{application}/settings",
    access="admin",
    summary="Save the settings, the whole document",
    description="It holds from `effective_from` on, now unless it says otherwise. What totals are counted by "
    "(interactions, events, value) and reaches back, and any change of `time_zone`, holds for the past with the next "
    "rebuild. A document that changes nothing makes no new version.",
    tags=("settings",),
    body=SettingsBody,
    answer=SettingsAnswer,
    errors=(409, 412),
    headers=IF_MATCH,
    answer_headers=ETAG,
)
def put_settings(call: Call[None, SettingsBody]) -> Answer:
    wanted = call.body.document()
    start = call.now if call.body.effective_from is None else int(call.body.effective_from)

    def revised(settings: Settings) -> Revision:
        changes = changes_of(settings, wanted, start, call.now)
        return Revision(saved(settings, wanted, start, call.now), start, changes)

    return _settings_answer(save(call, revised), call.now)


@operation(
    routes,
    "GET",
    "/applications/{application}/settings/history",
    access="viewer",
    summary="Who changed which settings, newest first",
    tags=("settings",),
    query=HistoryQuery,
    answer=SettingsHistory,
)
def get_settings_history(call: Call[HistoryQuery, None]) -> SettingsHistory:
    bound = {"application": call.application, "of": "settings"}
    try:
        before = int(wiring.cursors().decode(call.query.cursor, bound)) if call.query.cursor else None
    except BadCursor as reason:
        raise Problem(400, f"{reason}.") from reason
    found = wiring.settings().history(call.application, call.query.limit + 1, before)
    page = found[: call.query.limit]
    return SettingsHistory(
        [
            HistoryEntry(one.revision, Instant(one.time), one.by, Instant(one.effective_from), _changes(one.changes))
            for one in page
        ],
        wiring.cursors().encode(str(page[-1].revision), bound) if len(found) > len(page) else None,
    )


def save(call: Call[None, Any], revised: Callable[[Settings], Revision]) -> Saved:
    """Save what a caller makes of the settings, on the condition that he sent; the problem where that fails."""
    expected = expected_versions(call.headers)
    try:
        return wiring.settings().revise(call.application, revised, call.caller.subject, call.now, expected)
    except Outdated as reason:
        raise outdated("The settings", reason.revision) from reason
    except SettingsRace as reason:
        raise Problem(409, "Others keep changing these settings; try again.") from reason
    except TooLarge as reason:
        raise Problem(409, "There are more versions of these settings than can be kept.") from reason


def _settings_answer(found: Saved, now: int) -> Answer:
    later = [
        WaitingChanges(
            None if one.effective_from is None else Instant(one.effective_from), one.holds, _changes(one.changes)
        )
        for one in waiting(found.settings, now)
    ]
    answer = SettingsAnswer.of(document_at(found.settings, now), found.revision, later)
    return Answer(answer, headers=etag(found.revision))


def _changes(changes: Iterable[Change]) -> list[FieldChange]:
    return [FieldChange(one.field, one.before, one.after, one.holds) for one in changes]
