"""Access tokens as the marketers' pool would issue them, really signed, with a key pair of the tests' own.

No network: `trusting` hands the application's verifier the public key, where it would fetch the pool's keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from chalicelib import wiring
from chalicelib.access.keys import KeyCache
from chalicelib.access.tokens import TokenVerifier, issuer_of, keys_of
from chalicelib.times import SECOND_MS

POOL = "us-east-1_MARKETERS"
CLIENT = "theclient"
KEY_ID = "the-pools/key+1="
"""With the characters of base64, as Cognito has them."""
ALL = "app:*"
ADMIN = ("admins", ALL)
"""The groups of somebody who may do everything."""
HOUR_S = 3_600


@cache
def pair(name: str = KEY_ID) -> RSAKey:
    """The key pair of a key id, the same for the life of the process."""
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"})


def published(*keys: RSAKey) -> bytes:
    """The pool's key set (JWKS)."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def claims(now: int, *groups: str, **changed: object) -> dict[str, object]:
    """What an access token of the pool says, issued at ``now`` (ms UTC) for an hour; one changed to None is absent."""
    made: dict[str, object] = {
        "sub": "subject-1",
        "iss": issuer_of(POOL),
        "client_id": CLIENT,
        "token_use": "access",
        "iat": now // SECOND_MS,
        "exp": now // SECOND_MS + HOUR_S,
        "username": "somebody",
        "cognito:groups": list(groups),
    }
    return {name: value for name, value in {**made, **changed}.items() if value is not None}


def signed(said: Mapping[str, Any], key: RSAKey | None = None, **header: object) -> str:
    """A token that says so, signed with RS256."""
    used = pair() if key is None else key
    return jwt.encode({"alg": "RS256", "kid": used.kid, **header}, dict(said), used, algorithms=["RS256"])


def token(*groups: str) -> str:
    """A good access token of somebody in these groups, by the application's clock."""
    return signed(claims(wiring.clock.now(), *groups))


def bearer(*groups: str) -> dict[str, str]:
    """The headers of a request of somebody in these groups."""
    return {"Authorization": f"Bearer {token(*groups)}"}


class ApplicationClock:
    """The application's clock, also when a test has changed it since."""

    def now(self) -> int:
        return wiring.clock.now()


@contextmanager
def trusting() -> Iterator[None]:
    """The application takes tokens that are signed with `pair`, for the time of the block."""
    clock = ApplicationClock()
    known = keys_of(published(pair()))
    verifier = TokenVerifier(issuer_of(POOL), CLIENT, KeyCache(lambda: known, clock), clock)
    made = wiring.token_verifier
    wiring.token_verifier = lambda: verifier  # type: ignore[assignment]
    try:
        yield
    finally:
        wiring.token_verifier = made
