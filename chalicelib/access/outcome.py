"""What becomes of an access token: whom it names, or why it is not taken.

Apart from the verification, whose library takes a tenth of a second to import: only the authorizer pays for it.
"""

from __future__ import annotations

from typing import NamedTuple


class Bearer(NamedTuple):
    """Whom a good token names."""

    subject: str
    groups: tuple[str, ...]
    """Of the marketers' pool, in the token's order."""


class Refused(Exception):
    """The token is not good; the message says what is wrong with it, and nothing of what it holds."""


class KeysUnavailable(Exception):
    """The pool's keys cannot be had, so no token can be checked; the message says why."""
