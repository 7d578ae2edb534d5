"""Repeatable chance: one seed gives the same stream for ever, on every machine."""

import hashlib
import math
import random

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def seeded(*parts: object) -> random.Random:
    """A generator of its own for what `parts` name, so that drawing for one thing never shifts another."""
    return random.Random("/".join(map(str, parts)))  # noqa: S311 - made-up customers, nothing secret


def digest(*parts: object, size: int = 16) -> str:
    """Hexadecimal digits that are always the same for `parts`: for ids that must be stable without being stored."""
    return hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=size).hexdigest()


def share(*parts: object) -> float:
    """A number in [0, 1) that is always the same for `parts`: for traits that people keep for the whole run."""
    return int(digest(*parts, size=6), 16) / float(1 << 48)


def uuid_like(digits: str) -> str:
    """32 hexadecimal digits in the form of a UUID, as endpoint ids are written."""
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def delay(rng: random.Random, median_ms: int, spread: float = 1.2) -> int:
    """A waiting time in ms, log-normal as people's are: mostly near the median, with a tail of days."""
    return max(1, int(median_ms * math.exp(rng.gauss(0.0, spread))))
