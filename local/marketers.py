"""The demo's users of the API: one of each role, and their access tokens."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from local.stack import LocalStack, connect

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

ROLES: Mapping[str, str] = {"viewer": "viewers", "marketer": "marketers", "admin": "admins"}
"""User names, and the group that each is in."""
ALL_APPLICATIONS = "app:*"


def demo_tokens(stack: LocalStack) -> dict[str, str]:
    """An access token of each demo user, who may do what his role may, in all applications.

    Users of a kept pool are found there, and get another password: nobody knows one, and none is kept.
    """
    session = connect(stack.endpoint, stack.region)
    cognito: CognitoIdentityProviderClient = session.client("cognito-idp", endpoint_url=stack.endpoint)
    tokens = {}
    for name, role in ROLES.items():
        # The prefix has one of each kind of character that the pool wants.
        password = f"Aa1-{secrets.token_urlsafe(24)}"
        _ensure_user(cognito, stack.marketers_pool_id, name, password)
        for group in (role, ALL_APPLICATIONS):
            cognito.admin_add_user_to_group(UserPoolId=stack.marketers_pool_id, Username=name, GroupName=group)
        tokens[name] = _sign_in(cognito, stack, name, password)
    return tokens


def _ensure_user(cognito: CognitoIdentityProviderClient, pool: str, name: str, password: str) -> None:
    with suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(UserPoolId=pool, Username=name, TemporaryPassword=password, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=password, Permanent=True)


def _sign_in(cognito: CognitoIdentityProviderClient, stack: LocalStack, name: str, password: str) -> str:
    answer = cognito.admin_initiate_auth(
        UserPoolId=stack.marketers_pool_id,
        ClientId=stack.marketers_client_id,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": name, "PASSWORD": password},
    )
    return answer["AuthenticationResult"]["AccessToken"]
