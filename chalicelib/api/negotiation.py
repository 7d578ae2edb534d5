"""Which of the types that there are a caller prefers, by ``Accept`` (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

_QUALITY = re.compile(r"[01](\.[0-9]{0,3})?")


def preferred(accept: str | None, offered: Sequence[str]) -> str | None:
    """The offered type of the greatest quality, of equal ones the first; None where none is acceptable.

    Without a header everything is. What is no type in it is passed over.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = dict(_ranges(accept))
    best = max(offered, key=lambda one: (_quality(one, ranges), -offered.index(one)))
    return best if _quality(best, ranges) > 0 else None


def _ranges(accept: str) -> list[tuple[str, float]]:
    found = []
    for one in accept.split(","):
        name, *parameters = (part.strip().lower() for part in one.split(";"))
        given = next((text[2:].strip() for text in parameters if text.startswith("q=")), "1")
        if "/" in name and _QUALITY.fullmatch(given):
            found.append((name, min(1.0, float(given))))
    return found


def _quality(offered: str, ranges: dict[str, float]) -> float:
    """By the most specific range that names a type."""
    kind = offered.partition("/")[0]
    return next((ranges[one] for one in (offered, f"{kind}/*", "*/*") if one in ranges), 0.0)
