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
from chalicelib.settings.document import Change, changes_between, document_at, saved, waiting
from chalicelib.settings.model import Settings
from chalicelib.settings.store import Outdated, Revision, Saved, SettingsRace, TooLarge
from chalicelib.settings.stored import LARGEST

ETAG = {"ETag": "The version of the settings, for If-Match"}

TOO_MANY_VERSIONS = (
    f"The versions of these settings would take more than {LARGEST // 1000} kB. Save a document whose effective_from "
    "lies before some of them, which it replaces, then rebuild the views; or name fewer types, user agents and custom "
    "interactions."
)


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
    "rebuild. Another `username_attribute` holds for records from now on, and for all where the application has no "
    "facts yet. A document that changes nothing makes no new version.",
    tags=("settings",),
    body=SettingsBody,
    answer=SettingsAnswer,
    errors=(409, 412, 422),
    headers=IF_MATCH,
    answer_headers=ETAG,
)
def put_settings(call: Call[None, SettingsBody]) -> Answer:
    wanted = call.body.document()
    if flaw := wiring.permitted_destinations().flaw_of(wanted.cognito.user_pool_id, wanted.cognito.attribute):
        raise Problem(422, flaw)
    start = call.now if call.body.effective_from is None else int(call.body.effective_from)

    def revised(settings: Settings) -> Revision:
        renames = settings.username_attribute != wanted.username_attribute
        has_facts = not renames or wiring.settings().has_facts(call.application)
        after = saved(settings, wanted, start, call.now, has_facts=has_facts)
        changes = changes_between(settings, after, start, call.now)
        return Revision(after, start, changes, before_facts=not has_facts)

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
    page, more = wiring.settings().history(call.application, call.query.limit, before)
    return SettingsHistory(
        [
            HistoryEntry(one.revision, Instant(one.time), one.by, Instant(one.effective_from), _changes(one.changes))
            for one in page
        ],
        wiring.cursors().encode(str(page[-1].revision), bound) if more else None,
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
        raise Problem(409, TOO_MANY_VERSIONS) from reason


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
