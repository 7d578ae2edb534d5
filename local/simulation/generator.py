"""The stream itself: stories over a span of time, through an imperfect delivery, record by record."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from local.simulation import delivery, shapes
from local.simulation.chance import DAY, MINUTE, seeded
from local.simulation.shapes import Event
from local.simulation.shopping import visit_story
from local.simulation.stories import message_story
from local.simulation.world import World

VISITS = 0.295
"""Of the stories, those that begin with a visit, not with a message; a quarter of the records become custom events."""
REORDER_CAPACITY = 20_000
SHUFFLE_WINDOW = 200
RECORDS_PER_PERSON = 15


@dataclass
class Emitted:
    """What a run put out, by event type; copies and broken records are not in `types`."""

    types: Counter[str] = field(default_factory=Counter)
    duplicates: int = 0
    malformed: int = 0

    @property
    def records(self) -> int:
        """All of them."""
        return self.types.total() + self.duplicates + self.malformed


class Simulation:
    """A repeatable Pinpoint stream.

    The same arguments, `until` included, give the same bytes in the same order. Needs the same memory for any number of
    `records`.

    Parameters
    ----------
    seed: what chance starts from
    records: how many records the stream has, copies and broken ones included
    until: the end of the time that the stream covers; nothing arrives after it (default: now)
    days: how long before `until` it starts
    applications, journeys: how many applications there are, and journeys in each
    people: how many customers; by default one for every 15 records, at least 50
    bad: the share of broken records, 0 to 1

    Raises ValueError for arguments that make no stream.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        records: int = 20_000,
        until: datetime | None = None,
        days: float = 14.0,
        applications: int = 2,
        journeys: int = 7,
        people: int | None = None,
        bad: float = 0.002,
    ) -> None:
        if min(records, applications, journeys) < 1 or (people is not None and people < 1):
            raise ValueError("records, applications, journeys and people must be at least 1")
        if not 0 <= bad < 1:
            raise ValueError("the share of bad records must be at least 0 and less than 1")
        if until is not None and until.tzinfo is None:
            raise ValueError("the end must say its time zone: 2026-11-24T00:00:00Z")
        if not 0 < days <= 3650:
            raise ValueError("days must be more than 0 and at most 3650")
        self.seed, self.records_wanted, self.bad = seed, records, bad
        self.until = int((until or datetime.now(UTC)).timestamp() * 1000)
        self.since = self.until - int(days * DAY)
        self.world = World(seed, applications, journeys, people or max(50, records // RECORDS_PER_PERSON))
        self.emitted = Emitted()
        self._now = self.since
        self._breakable: Event | None = None

    def journey_names(self) -> dict[str, dict[str, str]]:
        """Application id -> journey id -> the journey's name."""
        return {
            application.app_id: {journey.journey_id: journey.name for journey in application.journeys}
            for application in self.world.applications
        }

    def application_titles(self) -> dict[str, str]:
        """Application id -> its title."""
        return {application.app_id: application.title for application in self.world.applications}

    def usernames(self) -> Iterator[str]:
        """The Cognito user names of all customers who have one."""
        return self.world.usernames()

    def records(self) -> Iterator[bytes]:
        """The stream, from its start; `emitted` counts along."""
        self.emitted = Emitted()
        self._breakable = None
        rng = seeded(self.seed, "delivery")
        return delivery.shuffled(self._in_order(rng), SHUFFLE_WINDOW, rng)

    def _in_order(self, rng: random.Random) -> Iterator[bytes]:
        buffer = delivery.ReorderBuffer(REORDER_CAPACITY, rng)
        for arrival, record in self._produced(rng):
            buffer.add(arrival, record)
            # Stories begin one after the other, so that nothing to come arrives before the present one begins.
            yield from buffer.until(self._now)
        yield from buffer.rest()

    def _produced(self, rng: random.Random) -> Iterator[tuple[int, bytes]]:
        """Exactly as many records as wanted: time moves on with their number, so they cover the whole span."""
        self._now = self.since
        story_rng = seeded(self.seed, "stories")
        happened = iter([(self.since, shapes.test_event_stream()) for _ in self.world.applications])
        while True:
            for arrival, event in happened:
                for record in self._delivered(event, arrival, rng):
                    yield record
                    if self.emitted.records == self.records_wanted:
                        return
            progress = self.emitted.records / self.records_wanted
            self._now = self.since + int((self.until - self.since) * progress)
            happened = self._story(story_rng, self._now)

    def _story(self, rng: random.Random, now: int) -> Iterator[tuple[int, Event]]:
        at = min(now + rng.randrange(MINUTE), self.until - 1)
        applications = self.world.applications
        application = applications[0] if rng.random() < 0.5 else rng.choice(applications)
        story = visit_story if rng.random() < VISITS else message_story
        for event in story(self.world, application, rng, at):
            arrival = event["arrival_timestamp"]
            if isinstance(arrival, int) and arrival <= self.until:  # The rest has not happened yet.
                yield arrival, event

    def _delivered(self, event: Event, arrival: int, rng: random.Random) -> Iterator[tuple[int, bytes]]:
        """An event as record, with its copies and, by chance, a broken record besides; counted one by one."""
        kind = str(event["event_type"])
        self.emitted.types[kind] += 1
        yield arrival, shapes.compact(event).encode()
        for again, copy in delivery.copies(event, arrival, rng):
            if again <= self.until:
                self.emitted.duplicates += 1
                yield again, shapes.compact(copy).encode()
        if delivery.is_worth_breaking(event):
            self._breakable = event
        if rng.random() < self.bad and self._breakable is not None:
            self.emitted.malformed += 1
            yield arrival, delivery.broken(self._breakable, rng)
