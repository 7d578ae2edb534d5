"""What is known of a user."""

from __future__ import annotations

from chalicelib import wiring
from chalicelib.api import answers
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Call, Problem, operation
from chalicelib.api.queries import History
from chalicelib.api.schemas.users import ErasureAnswer, UserAnswer
from chalicelib.api.schemas.values import Instant
from chalicelib.erasure.bars import NEVER
from chalicelib.erasure.eraser import HadSeveralUsers
from chalicelib.projection.views import Campaign

MOST_OF_HISTORY = 100
"""Touches and events of a user in one answer."""

UNKNOWN = "Nothing is known of this user."


@operation(
    routes,
    "GET",
    "/applications/{application}/users/{user}",
    access="viewer",
    summary="A user's history, and why each event has its credit",
    description=f"The newest {MOST_OF_HISTORY} touches and events. The user is a user name, else a UserId, else an "
    "endpoint id.",
    tags=("users",),
    answer=UserAnswer,
    errors=(404,),
)
def get_user(call: Call[None, None]) -> UserAnswer:
    history = wiring.event_queries().history(call.application, call.path["user"], MOST_OF_HISTORY)
    if history is not None:
        history = _after(wiring.eraser().until(call.application, history.user), history)
    if history is None:
        raise Problem(404, UNKNOWN)
    return answers.history(history, wiring.registry().names(call.application), call.now)


@operation(
    routes,
    "DELETE",
    "/applications/{application}/users/{user}",
    access="admin",
    summary="Erase a person",
    description="Erased are facts, touches, credits, the campaign (the Cognito attribute is blanked) and the links of "
    "the person's endpoints and UserIds. The tallies of reports keep counting, and name nobody. It is done within "
    "seconds after the answer; records of the person up to erased_until that come again are not taken in. Asked again, "
    "it goes on.",
    tags=("users",),
    answer=ErasureAnswer,
    status=202,
    errors=(404, 409),
)
def delete_user(call: Call[None, None]) -> ErasureAnswer:
    name, eraser = call.path["user"], wiring.eraser()
    user = wiring.event_queries().find_user(call.application, name) or eraser.barred(call.application, name)
    if user is None:
        raise Problem(404, UNKNOWN)
    try:
        erased = eraser.erase(call.application, user)
    except HadSeveralUsers as reason:
        raise Problem(409, f"{reason} had several users: erase each of them by name.") from reason
    exports = wiring.export_files().files_naming(call.application, name)
    return ErasureAnswer(name, Instant(erased.until), len(erased.aliases), exports)


def _after(until: int, history: History) -> History | None:
    """What is known of a user who was erased up to a time (ms UTC), or None where that is nothing.

    The projection may not have come by yet.
    """
    if until == NEVER:
        return history
    touches = [one for one in history.touches if one.time > until]
    explained = zip(history.events, history.deciders, strict=True)
    later = [(row, decider) for row, decider in explained if row.time > until]
    if not touches and not later:
        return None
    newest = history.campaign.touch
    return History(
        user=history.user,
        campaign=history.campaign if newest and newest.time > until else Campaign(None, open=False),
        touches=touches,
        events=[row for row, _ in later],
        deciders=[decider if decider and decider.time > until else None for _, decider in later],
    )
