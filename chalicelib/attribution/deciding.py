"""All events of a user decided at once, from the facts that are the user's: the rules as the projection applies them to
one fact after the other. Pure.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from chalicelib.attribution.stamps import stamp_of
from chalicelib.attribution.touches import Touch, custom_interaction, touch_of
from chalicelib.facts.model import Event, Interaction, PlacedFact
from chalicelib.settings.model import Settings


class Decided(NamedTuple):
    """An event that counts, and the journey that it is credited to (None: to none)."""

    event: Event
    journey: str | None


def decided(
    facts: Iterable[PlacedFact], settings: Settings, journey_of_stamp: Callable[[str], str | None]
) -> Iterator[Decided]:
    """What becomes of a user's events; a fact that comes twice, by two aliases, counts once."""
    touches: dict[str, Touch] = {}
    events: dict[str, Event] = {}
    for placed in facts:
        fact = placed.fact
        interaction = fact if isinstance(fact, Interaction) else None
        if isinstance(fact, Event):
            events[placed.digest] = fact
            interaction = custom_interaction(fact, settings)
        if interaction and (touch := touch_of(interaction, placed.digest, settings)):
            touches[touch.order] = touch
    ordered = [touches[order] for order in sorted(touches)]
    times = [touch.time for touch in ordered]
    for event in events.values():
        if settings.policy_at(event.time).counts_event(event.type):
            before = bisect.bisect_right(times, event.time)
            newest = ordered[before - 1] if before else None
            yield Decided(event, _journey(event, newest, journey_of_stamp))


def _journey(event: Event, newest: Touch | None, journey_of_stamp: Callable[[str], str | None]) -> str | None:
    """R1 and R11: the newest touch decides, by its window; the stamp only where there is none."""
    if newest:
        return newest.journey if newest.covers(event.time) else None
    stamp = stamp_of(event)
    return journey_of_stamp(stamp) if stamp else None
