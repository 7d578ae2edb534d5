"""Which access tokens are taken: one that the pool issued to its client, and none that differs from it in anything."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from chalicelib.access.keys import KeyCache
from chalicelib.access.outcome import Bearer, KeysUnavailable, Refused
from chalicelib.access.tokens import LEEWAY_S, LONGEST, TokenVerifier, issuer_of, key_set_url, keys_of
from tests.support.clock import SetClock
from tests.support.tokens import CLIENT, HOUR_S, KEY_ID, POOL, claims, pair, published, signed

CLOCK = SetClock()
NOW_S = CLOCK.now() // 1_000


def verify(token: str) -> Bearer:
    known = keys_of(published(pair()))
    return TokenVerifier(issuer_of(POOL), CLIENT, KeyCache(lambda: known, CLOCK), CLOCK).verify(token)


def good(*groups: str, **changed: object) -> dict[str, object]:
    return claims(CLOCK.now(), *groups, **changed)


def encoded(part: object) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refusal(token: str) -> str:
    with pytest.raises(Refused) as refused:
        verify(token)
    return str(refused.value)


# --- taken ---


def test_a_good_token_names_its_subject_and_groups() -> None:
    token = signed(good("viewers", "app:shop", "app:my%2Fapp"))
    assert verify(token) == Bearer("subject-1", ("viewers", "app:shop", "app:my%2Fapp"))


def test_somebody_in_no_group_has_none() -> None:
    assert verify(signed(good(**{"cognito:groups": None}))).groups == ()


def test_claims_that_nobody_asks_for_do_no_harm() -> None:
    assert verify(signed(good(scope="aws.cognito.signin.user.admin", auth_time=NOW_S, jti="1"))).subject == "subject-1"


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": NOW_S - LEEWAY_S + 1},
        {"iat": NOW_S + LEEWAY_S},
        {"nbf": NOW_S + LEEWAY_S},
        {"nbf": NOW_S - HOUR_S},
    ],
    ids=str,
)
def test_clocks_may_differ_by_the_leeway(changed: dict[str, object]) -> None:
    assert verify(signed(good(**changed))).subject == "subject-1"


# --- not taken: what it says ---


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"exp": NOW_S - LEEWAY_S}, "it is expired"),
        ({"exp": None}, "its claim exp is missing or wrong"),
        ({"exp": "2099-01-01"}, "its claim exp is missing or wrong"),
        ({"exp": True}, "its claim exp is missing or wrong"),
        ({"iat": NOW_S + LEEWAY_S + 1}, "its claim iat is missing or wrong"),
        ({"iat": None}, "its claim iat is missing or wrong"),
        ({"nbf": NOW_S + LEEWAY_S + 1}, "its claim nbf is missing or wrong"),
        ({"sub": None}, "its claim sub is missing or wrong"),
        ({"sub": 7}, "its claim sub is missing or wrong"),
        ({"sub": ""}, "its claim sub is missing or wrong"),
        ({"sub": " "}, "it names no subject"),
        ({"iss": issuer_of("us-east-1_CUSTOMERS")}, "another pool issued it"),
        ({"iss": issuer_of(POOL) + "/"}, "another pool issued it"),
        ({"iss": None}, "another pool issued it"),
        ({"client_id": "another"}, "it was issued to another client"),
        ({"client_id": None}, "it was issued to another client"),
        ({"client_id": [CLIENT, "another"]}, "it was issued to another client"),
        # What an id token of the very same client says.
        ({"token_use": "id", "client_id": None, "aud": CLIENT}, "it is no access token"),
        ({"token_use": None, "client_id": None, "aud": CLIENT}, "it is no access token"),
        ({"token_use": ["access"]}, "it is no access token"),
        ({"cognito:groups": "admins"}, "its groups are no list of names"),
        ({"cognito:groups": ["admins", 1]}, "its groups are no list of names"),
    ],
    ids=str,
)
def test_what_a_token_says_must_be_right(changed: dict[str, object], reason: str) -> None:
    assert refusal(signed(good(**changed))) == reason


# --- not taken: how it is signed ---


def test_another_pool_s_key_of_the_same_id_is_not_the_pool_s() -> None:
    others = pair("another pool's")
    assert "BadSignatureError" in refusal(signed(good("admins"), others, kid=KEY_ID))


@pytest.mark.parametrize("kid", ["another pool's", "", 7, None, ["x"]], ids=repr)
def test_a_key_id_that_the_pool_does_not_have(kid: object) -> None:
    header = {"alg": "RS256", "kid": kid} if kid is not None else {"alg": "RS256"}
    body = f"{encoded(header)}.{encoded(good('admins'))}"
    assert refusal(f"{body}.{by_hand(body)}")


def by_hand(body: str) -> str:
    """The signature of a token that the library would not make."""
    private = pair().private_key
    assert private is not None
    return encoded(private.sign(body.encode(), PKCS1v15(), SHA256()))


def test_the_hand_made_signature_of_these_tests_is_a_good_one() -> None:
    # Else the tests around it would refuse for the wrong reason.
    body = f"{encoded({'alg': 'RS256', 'kid': KEY_ID})}.{encoded(good('admins'))}"
    assert verify(f"{body}.{by_hand(body)}").groups == ("admins",)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "RS512", "HS256", "ES256", None, 1])
def test_no_algorithm_but_the_pool_s(algorithm: object) -> None:
    token = f"{encoded({'alg': algorithm, 'kid': KEY_ID})}.{encoded(good('admins'))}."
    assert refusal(token)
    signature = signed(good("admins")).rpartition(".")[2]
    assert refusal(token + signature)


def test_the_public_key_is_no_secret_to_sign_with() -> None:
    body = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': KEY_ID})}.{encoded(good('admins'))}"
    for secret in (pair().as_pem(private=False), pair().as_der(private=False), published(pair())):
        signature = hmac.new(secret, body.encode(), hashlib.sha256).digest()
        assert refusal(f"{body}.{encoded(signature)}") == "it is no token signed by the pool: UnsupportedAlgorithmError"


def test_a_changed_payload_breaks_the_signature() -> None:
    header, _, signature = signed(good("viewers")).split(".")
    assert "BadSignatureError" in refusal(f"{header}.{encoded(good('admins'))}.{signature}")


def test_a_changed_header_breaks_the_signature() -> None:
    _, payload, signature = signed(good("viewers")).split(".")
    assert "BadSignatureError" in refusal(
        f"{encoded({'alg': 'RS256', 'kid': KEY_ID, 'typ': 'x'})}.{payload}.{signature}"
    )


def test_a_key_that_the_token_brings_along_is_not_asked() -> None:
    own = pair("the attacker's")
    token = signed(good("admins"), own, kid=KEY_ID, jwk=own.as_dict(private=False))
    assert refusal(token)


def test_a_critical_header_that_nobody_understands_is_not_passed_over() -> None:
    assert refusal(signed_raw({"alg": "RS256", "kid": KEY_ID, "crit": ["exp"], "exp": 1}, good("admins")))


def signed_raw(header: object, said: object) -> str:
    body = f"{encoded(header)}.{encoded(said)}"
    return f"{body}.{by_hand(body)}"


@pytest.mark.parametrize(
    "said",
    [b"", b"{", b"[]", b'"text"', b"7", b"null", b"\xff\xfe", b"[" * 100_000, b'{"exp": NaN}', b'{"exp": 1e999}'],
    ids=lambda said: repr(said[:12]),
)
def test_a_signed_payload_that_is_no_claims(said: bytes) -> None:
    assert refusal(signed_raw({"alg": "RS256", "kid": KEY_ID}, said))


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
        "not a token",
        "ключ",
        "\x00",
        "\ud800",
        "e30.e30.",
        "W10.e30.c",
        "=.=.=",
        encoded({"alg": "RS256"}),
        "x" * (LONGEST + 1),
    ],
    ids=lambda token: ascii(token[:12]),
)
def test_what_is_no_token(token: str) -> None:
    assert refusal(token)


def test_a_refusal_tells_nothing_of_the_token() -> None:
    secret = "who-is-it"
    for token in (signed(good("admins", iss=secret)), signed(good("admins", client_id=secret)), f"{secret}.{secret}.x"):
        assert secret not in refusal(token)


# --- the pool's keys ---


def test_keys_are_at_the_issuer_or_at_the_emulator() -> None:
    assert issuer_of("eu-west-1_AbC") == "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbC"
    assert key_set_url("eu-west-1_AbC") == f"{issuer_of('eu-west-1_AbC')}/.well-known/jwks.json"
    assert (
        key_set_url("eu-west-1_AbC", "http://127.0.0.1:1/") == "http://127.0.0.1:1/eu-west-1_AbC/.well-known/jwks.json"
    )


def test_only_rsa_keys_for_signatures_count() -> None:
    listed = [
        pair().as_dict(private=False),
        {**pair("for encryption").as_dict(private=False), "use": "enc"},
        {"kty": "oct", "kid": "a secret", "k": "c2VjcmV0"},
        {key: value for key, value in pair("nameless").as_dict(private=False).items() if key != "kid"},
    ]
    assert list(keys_of(json.dumps({"keys": listed}).encode())) == [KEY_ID]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": []}',
        b'{"keys": 1}',
        b'{"keys": [1]}',
        b"<html>",
        b"\xff",
        b'{"keys": [{"kty": "RSA", "kid": "a"}]}',
    ],
    ids=repr,
)
def test_a_key_set_without_keys_is_none(document: bytes) -> None:
    with pytest.raises(KeysUnavailable):
        keys_of(document)
