"""Who calls the API, and what he may do: a ladder of groups, and a grant for each application.

Both are groups of the caller's token. A grant is ``app:`` and the application's id, percent-encoded with nothing left
out (``app:my%20shop``); ``app:*`` is for all applications. An application that is called ``*`` is ``app:%2A``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import quote

Access = Literal["public", "viewer", "marketer", "admin"]
"""What a caller must be: each includes those before it."""

WHO: Mapping[Access, str] = {"viewer": "a viewer", "marketer": "a marketer", "admin": "an admin"}

LADDER: Mapping[Access, frozenset[str]] = {
    "viewer": frozenset({"viewers", "marketers", "admins"}),
    "marketer": frozenset({"marketers", "admins"}),
    "admin": frozenset({"admins"}),
}
"""Groups whose members may do it."""
ALL_APPLICATIONS = "app:*"


class Caller(NamedTuple):
    """The bearer of a token that the authorizer found to be good; groups as the authorizer hands them on."""

    subject: str
    groups: frozenset[str]

    def may(self, access: Access) -> bool:
        """Whether he is in a group that may do it, in some application."""
        return access == "public" or bool(self.groups & LADDER[access])

    def may_enter(self, application: str) -> bool:
        """Whether he holds a grant for an application."""
        return bool(self.groups & {ALL_APPLICATIONS, grant_of(application)})


NOBODY = Caller("", frozenset())
"""Who calls a public operation."""


def grant_of(application: str) -> str:
    """The group whose members may enter an application."""
    return f"app:{quote(application, safe='')}"


def caller_of(context: Mapping[str, object]) -> Caller:
    """The caller in an authorizer's context. Without one he is in no group, and may do nothing."""
    return Caller(str(context.get("subject", "")), frozenset(str(context.get("groups", "")).split()))
