"""How much the properties tried, for whoever runs them long."""

from __future__ import annotations

from collections import Counter

TRIED: Counter[str] = Counter()
"""Histories, deliveries and faults of this process."""
FAULTS: Counter[tuple[str, str]] = Counter()
"""Faults by AWS operation and kind."""


def summary() -> str:
    return (
        f"properties tried: {TRIED['histories']} histories, {TRIED['deliveries']} deliveries, {FAULTS.total()} faults"
    )
