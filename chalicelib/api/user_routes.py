"""What is known of a user."""

from __future__ import annotations

from chalicelib import wiring
from chalicelib.api import answers
from chalicelib.api.blueprint import routes
from chalicelib.api.contract import Call, Problem, operation
from chalicelib.api.schemas.users import UserAnswer

MOST_OF_HISTORY = 100
"""Touches and events of a user in one answer."""


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
    if history is None:
        raise Problem(404, "Nothing is known of this user.")
    return answers.history(history, wiring.registry().names(call.application), call.now)
