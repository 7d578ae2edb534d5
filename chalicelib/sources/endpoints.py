"""Pinpoint endpoints: whom an endpoint names, by the strongest name that it carries (R6)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from chalicelib.facts.model import Identity
from chalicelib.sources.records import Rejected, named


class User(msgspec.Struct, rename="pascal"):
    """``User`` of an endpoint; of the attributes only the user name's is looked at."""

    user_id: str | None = None
    user_attributes: dict[str, Any] | None = None


class Endpoint(msgspec.Struct, rename="pascal"):
    """The part of an endpoint that attribution needs."""

    channel_type: str | None = None
    user: User | None = None


class Names(NamedTuple):
    """Whom an endpoint names: a Cognito user name, a ``UserId``, both or neither."""

    user_name: Identity | None
    user_id: Identity | None

    @property
    def strongest(self) -> Identity | None:
        return self.user_name or self.user_id

    @property
    def linked_user_id(self) -> str | None:
        """The ``UserId`` that is an alias of the user name."""
        return self.user_id.name if self.user_name and self.user_id else None


NOBODY = Names(None, None)


def names_of(endpoint: Endpoint | None, username_attribute: str) -> Names:
    """Whom an endpoint names.

    Raises
    ------
    Rejected
        The user name's attribute is neither a string nor a list of strings, or a name is too long.
    """
    user = endpoint.user if endpoint else None
    if user is None:
        return NOBODY
    value = (user.user_attributes or {}).get(username_attribute)
    if isinstance(value, list):
        value = value[0] if value else None
    if value is not None and not isinstance(value, str):
        raise Rejected(f"user attribute {username_attribute} is not text")
    return Names(named("n", value), named("u", user.user_id))
