"""Keeping to a quota: a token bucket, and waiting times that grow. Times are seconds; who waits is injected."""

from __future__ import annotations

import time
from typing import Protocol


class Timer(Protocol):
    """What waits; the module ``time`` is one."""

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""

    def sleep(self, seconds: float, /) -> None:
        """Wait."""


class TokenBucket:
    """Lets ``rate`` calls a second pass, and ``burst`` at once after a pause.

    In no second more than ``rate + burst`` pass, so a quota of q calls a second holds where ``rate + burst <= q``,
    and also with ``rate == q`` and a burst of one. For one thread at a time.

    Raises
    ------
    ValueError
        ``rate`` is not above zero, or ``burst`` below one.
    """

    def __init__(self, rate: float, burst: int = 1, timer: Timer = time) -> None:
        if not rate > 0 or burst < 1:
            raise ValueError(f"no calls can pass at {rate} a second and {burst} at once")
        self._every = 1 / rate
        self._slack = (burst - 1) * self._every
        self._timer = timer
        self._due = timer.monotonic() - self._slack

    def take(self, patience: float) -> bool:
        """Wait for the next call's turn; False, and no wait, where that would take more than ``patience`` seconds."""
        now = self._timer.monotonic()
        due = max(self._due, now - self._slack)
        wait = max(0.0, due - now)
        if wait > patience:
            return False
        self._due = due + self._every
        if wait:
            self._timer.sleep(wait)
        return True


class Backoff:
    """Waiting times between attempts: twice as long each time, up to ``longest``."""

    def __init__(self, first: float = 0.5, longest: float = 10.0) -> None:
        self._first = first
        self._longest = longest
        self.attempts = 0

    def next(self) -> float:
        """Seconds to wait before the next attempt. No jitter: one function instance is all that writes."""
        self.attempts += 1
        wait: float = self._first * 2 ** min(self.attempts - 1, 30)
        return min(self._longest, wait)

    def reset(self) -> None:
        self.attempts = 0
