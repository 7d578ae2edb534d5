"""Access tokens of the marketers' user pool, verified: signed by a key of the pool, for its client, not expired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError
from joserfc.jwk import GuestProtocol, RSAKey

from chalicelib.access.keys import KeyCache, download
from chalicelib.access.outcome import Bearer, KeysUnavailable, Refused
from chalicelib.times import SECOND_MS, Clock

ALGORITHM = "RS256"
"""Cognito's only one. Not what the token says: that would let its maker choose ``none``, or HS256 with a public key."""
LEEWAY_S = 30
"""Seconds that clocks may differ by."""
LONGEST = 16_384
"""Characters of a token. API Gateway takes headers of 10,240 bytes in all."""


def issuer_of(pool: str) -> str:
    """What tokens of a pool name as their issuer; a pool's id begins with its region."""
    return f"https://cognito-idp.{pool.partition('_')[0]}.amazonaws.com/{pool}"


def key_set_url(pool: str, endpoint: str | None = None) -> str:
    """Where a pool publishes its keys: at its issuer; an emulator, which signs as AWS does, at its own ``endpoint``."""
    base = f"{endpoint.rstrip('/')}/{pool}" if endpoint else issuer_of(pool)
    return f"{base}/.well-known/jwks.json"


def fetch_keys(url: str) -> dict[str, RSAKey]:
    """The RSA signing keys of a pool, by id. Raises `KeysUnavailable`."""
    return keys_of(download(url))


def keys_of(document: bytes) -> dict[str, RSAKey]:
    """The RSA signing keys of a key set (JWKS), by id. Raises `KeysUnavailable` if it is none, or holds none."""
    try:
        listed = msgspec.json.decode(document, type=_KeySet).keys
        found = {
            str(one["kid"]): RSAKey.import_key(one)
            for one in listed
            if one.get("kty") == "RSA" and "kid" in one and one.get("use", "sig") == "sig"
        }
    except (msgspec.DecodeError, UnicodeDecodeError, JoseError, ValueError, TypeError, KeyError) as error:
        raise KeysUnavailable(f"the key set cannot be read: {type(error).__name__}") from error
    if not found:
        raise KeysUnavailable("the key set holds no RSA key for signatures")
    return found


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


class TokenVerifier:
    """Verifies access tokens of one pool and one of its app clients."""

    def __init__(self, issuer: str, client_id: str, keys: KeyCache[RSAKey], clock: Clock) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._keys = keys
        self._clock = clock

    def verify(self, token: str) -> Bearer:
        """Whom the token names.

        Raises
        ------
        Refused
            It is not a good one.
        KeysUnavailable
            It cannot be told.
        """
        if len(token) > LONGEST:
            raise Refused("it is too long")
        try:
            claims = jwt.decode(token, self._key_for, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError, RecursionError) as error:
            raise Refused(f"it is no token signed by the pool: {type(error).__name__}") from error
        self._check_times(claims)
        self._check_issue(claims)
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject.strip():
            raise Refused("it names no subject")
        return Bearer(subject, _groups(claims))

    def _key_for(self, token: GuestProtocol) -> RSAKey:
        key_id = token.headers().get("kid")
        key = self._keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise Refused("its key is none of the pool's")
        return key

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.now() // SECOND_MS
        rules = jwt.JWTClaimsRegistry(
            now, LEEWAY_S, exp={"essential": True}, iat={"essential": True}, sub={"essential": True}
        )
        try:
            rules.validate(dict(claims))
        except ExpiredTokenError as error:
            raise Refused("it is expired") from error
        except ClaimError as error:
            raise Refused(f"its claim {error.claim} is missing or wrong") from error

    def _check_issue(self, claims: Mapping[str, Any]) -> None:
        # Compared here: the library would also take a list of which one is the right one.
        if claims.get("iss") != self._issuer:
            raise Refused("another pool issued it")
        # An id token says who somebody is to the client it was made for, and is no key to an API.
        if claims.get("token_use") != "access":
            raise Refused("it is no access token")
        if claims.get("client_id") != self._client_id:
            raise Refused("it was issued to another client")


def _groups(claims: Mapping[str, Any]) -> tuple[str, ...]:
    groups = claims.get("cognito:groups", [])
    if not isinstance(groups, list) or not all(isinstance(one, str) for one in groups):
        raise Refused("its groups are no list of names")
    return tuple(groups)
