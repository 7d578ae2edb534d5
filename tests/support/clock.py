"""A clock that stands where the test puts it."""

from __future__ import annotations


class SetClock:
    """Milliseconds UTC, as set."""

    def __init__(self, now: int = 1_774_656_000_000) -> None:
        self.time = now

    def now(self) -> int:
        return self.time
