"""How much the properties tried, for whoever runs them long."""

from __future__ import annotations

from collections import Counter

TRIED: Counter[str] = Counter()
"""Histories, deliveries, and steps of the projection after each of which I2 was checked, of this process."""
FAULTS: Counter[tuple[str, str]] = Counter()
"""Faults by AWS operation and kind."""


def summary() -> str:
    tried = f"{TRIED['histories']} histories, {TRIED['deliveries']} deliveries, {FAULTS.total()} faults"
    return f"properties tried: {tried}; I2 held after {TRIED['steps']} steps"
