"""The authorizer: who calls the API. A request without a good access token gets no further, and is answered 401.

What a caller may do is not decided here but where an operation is called: API Gateway keeps this answer for a token and
gives it to all routes.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import quote

from chalice.app import AuthRequest, AuthResponse, Blueprint

from chalicelib import wiring
from chalicelib.access.outcome import Bearer, KeysUnavailable, Refused
from chalicelib.observability import logger

guard = Blueprint(__name__)

CACHED_S = 60
"""How long API Gateway takes a token for good without asking again: so long may it live on after its expiry."""
SCHEME = "bearer"
GROUP_SAFE = ":*%"
"""Characters of a group's name that stand for themselves in the context: a grant stays as it is."""


class Unauthorized(Exception):
    """API Gateway makes a 401 of an authorizer's error with exactly this message, and a 500 of all others."""


@guard.authorizer(ttl_seconds=CACHED_S)
def check_token(request: AuthRequest) -> AuthResponse | None:
    """Let a good token's bearer pass to every route of the stage. Raises for a bad one; None if nobody can tell.

    None makes API Gateway say that the authorizer failed, which the template turns into a 503. An error would do so
    too, but leave a stack trace in the log each time.
    """
    try:
        bearer = wiring.token_verifier().verify(_token(request.token))
    except Refused as reason:
        logger.info("token refused", extra={"reason": str(reason)})
        raise _unauthorized() from None
    except KeysUnavailable as reason:
        logger.error("tokens cannot be checked", extra={"reason": str(reason)})
        return None
    # All routes: a policy for the one that was called would be kept for the token, and refuse it the next one.
    return AuthResponse(routes=["*"], principal_id=bearer.subject, context=context_of(bearer))


def context_of(bearer: Bearer) -> dict[str, str]:
    """What an operation is told of its caller; API Gateway hands on plain text only."""
    groups = " ".join(quote(one, safe=GROUP_SAFE) for one in bearer.groups)
    return {"subject": bearer.subject, "groups": groups}


def _token(header: str) -> str:
    """The token in an ``Authorization`` header."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != SCHEME or not token.strip():
        raise Refused("there is no bearer token")
    return token.strip()


def _unauthorized() -> Exception:
    """What is to be raised for a 401.

    Chalice's local gateway and its test client, which are not there in Lambda, only know an error of their own.
    """
    gateway: Any = sys.modules.get("chalice.local")
    if gateway is None:
        return Unauthorized("Unauthorized")
    body = json.dumps(
        {"type": "about:blank", "title": "Unauthorized", "status": 401, "detail": "A valid access token is needed."}
    )
    error: Exception = gateway.NotAuthorizedError(
        {"Content-Type": "application/problem+json", "WWW-Authenticate": "Bearer"}, body.encode()
    )
    return error


wiring.prepare()
