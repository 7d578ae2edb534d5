"""Versions of resources: the ETag of an answer, and ``If-Match``, by which a change is only made to what was read."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chalicelib.api.contract import Problem

IF_MATCH = {
    "If-Match": "The ETag of the version to be changed; left out, whatever there is. `*`: whatever, but not nothing"
}

_TAGS = re.compile(r'\s*(W/)?"([^"]*)"\s*')


def etag(version: int) -> Mapping[str, str]:
    """The header that names a version."""
    return {"ETag": f'"{version}"'}


def expected_versions(headers: Mapping[str, str]) -> frozenset[int] | None:
    """The versions that ``If-Match`` takes; None for whatever there is.

    Raises
    ------
    Problem
        It is no list of tags.
    """
    given = headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    found: set[int] = set()
    for one in given.split(","):
        tag = _TAGS.fullmatch(one)
        if tag is None:
            raise Problem(400, 'If-Match must be the ETag of an answer, such as "3" with its quotes, or *.')
        # A weak tag matches nothing, as HTTP has it; neither does one that never was a version.
        if not tag[1] and re.fullmatch(r"[0-9]{1,12}", tag[2]):
            found.add(int(tag[2]))
    return frozenset(found)


def wants_any(headers: Mapping[str, str]) -> bool:
    """Whether ``If-Match: *`` asks that there be something to change."""
    return (headers.get("if-match") or "").strip() == "*"


def outdated(what: str, version: int) -> Problem:
    """Somebody else was first."""
    return Problem(412, f"{what} changed meanwhile: version {version} by now. Read again.", etag(version))
