"""A generation of an application's views: what facts add to it, and what they take away.

Usually there is one. While a rebuild is under way there are two: the one that is served, and the one that is being
built, in which a fact may come by the rebuild and by its own change record, in either order. There each fact says that
it is in the tallies when it first is; everything else is a diff against what is stored, so twice is as good as once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from chalicelib.attribution.stamps import stamp_of
from chalicelib.attribution.touches import custom_interaction, order_of, touch_of
from chalicelib.attribution.value import is_out_of_range, value_of
from chalicelib.facts.items import expiring
from chalicelib.facts.model import Event, Identity, Interaction, PlacedFact, Send, Step
from chalicelib.keys import Key, ViewKeys, label_key
from chalicelib.projection.budget import Budget
from chalicelib.projection.journeys import Journeys, Waits
from chalicelib.projection.sweeps import Sweeps
from chalicelib.projection.tallies import Tallies
from chalicelib.projection.unit import Unit
from chalicelib.projection.users import Users
from chalicelib.settings.model import Settings
from chalicelib.tables import Item
from chalicelib.times import DAY_MS

SUCCESSFUL = (None, "SUCCESS")
"""``journey_send_status`` of a send that counts as one; all others still tell whose the endpoint is."""

SEEN_FOR = 3 * DAY_MS
"""A change record comes within a day, or never."""


def seen_at(item: Item) -> int:
    """The time (ms UTC) of the fact of which an item says that it is in the tallies; -1 of any other item."""
    return int(item["time"]) if item["sk"].startswith("seen#") else -1


def touch_of_step(step: Step) -> Interaction:
    """The touch that passing a journey's step is."""
    return Interaction(step.time, "journey.step", step.channel, step.journey)


class Work(NamedTuple):
    """What all generations of an application's views are projected with; ``now`` in ms UTC."""

    unit: Unit
    now: int
    sweeps: Sweeps
    journeys: Journeys
    budget: Budget


class Generation:
    """One generation's projection within a unit of work."""

    def __init__(self, work: Work, application: str, number: int, settings: Settings) -> None:
        unit, now = work.unit, work.now
        self.number = number
        self._is_being_built = number == settings.building
        settings = settings.in_generation(number)
        self.keys = ViewKeys(application, number)
        self.users = Users(work, self.keys, settings)
        self._unit = unit
        self._journeys = work.journeys
        self._settings = settings
        self._now = now
        self._tallies = Tallies(unit, self.keys, settings)
        self._may_have_seen = self._is_being_built or now < settings.recount_until

    # --- reading ahead ---

    def state_keys(self, placed: PlacedFact) -> Iterator[Key]:
        """What says how much there is to read for a fact."""
        if isinstance(placed.fact, Event):
            yield self.keys.codes("events")
        if isinstance(placed.fact, Event | Interaction):
            yield self.keys.campaign(placed.identity)
        if isinstance(placed.fact, Event) and (stamp := stamp_of(placed.fact)):
            yield label_key(placed.application, stamp)
        if self._may_have_seen and not placed.via:
            yield self.keys.seen(placed.identity, placed.digest)

    def decision_keys(self, placed: PlacedFact) -> Iterator[Key]:
        """What a fact's views are compared with."""
        user = placed.identity
        if isinstance(placed.fact, Interaction):
            yield self.keys.touch(user, order_of(placed.fact, placed.digest))
            yield self.keys.participation(user, placed.fact.journey)
        elif isinstance(placed.fact, Event) and self.users.may_have_credit(user, placed.fact):
            yield self.keys.credit(user, placed.fact.time, placed.digest)
            newest = self.users.campaign(user).touch
            journey = newest.journey if newest else self.users.stamped_journey(placed.fact)
            if journey is not None:
                yield self.keys.participation(user, journey)

    def own_keys(self, placed: PlacedFact) -> Iterator[Key]:
        """What is stored of a fact of this user's itself."""
        if isinstance(placed.fact, Event):
            yield self.keys.credit(placed.identity, placed.fact.time, placed.digest)
        elif isinstance(placed.fact, Interaction):
            yield self.keys.touch(placed.identity, order_of(placed.fact, placed.digest))

    # --- facts of a user ---

    def interaction_in(self, placed: PlacedFact) -> Interaction | None:
        """The interaction that a fact is in this generation, as some custom events are too."""
        if isinstance(placed.fact, Event):
            return custom_interaction(placed.fact, self._settings)
        return placed.fact if isinstance(placed.fact, Interaction) else None

    def fact_added(self, placed: PlacedFact) -> Iterator[None]:
        """A fact is this user's."""
        if isinstance(placed.fact, Event):
            yield from self.users.event_added(placed.identity, placed.fact, placed.digest)
        elif isinstance(placed.fact, Interaction):
            yield from self.users.touch_added(placed.identity, placed.fact, placed.digest)

    def fact_removed(self, placed: PlacedFact) -> Iterator[None]:
        """A fact is no longer this user's."""
        if isinstance(placed.fact, Event):
            yield from self.users.event_removed(placed.identity, placed.fact, placed.digest)
        elif isinstance(placed.fact, Interaction):
            yield from self.users.touch_removed(placed.identity, placed.fact, placed.digest)

    def fact_withdrawn(self, placed: PlacedFact) -> None:
        """A fact is no longer this user's, and neither is anything that it may have decided."""
        if isinstance(placed.fact, Event):
            self.users.event_withdrawn(placed.identity, placed.fact, placed.digest)
        elif isinstance(placed.fact, Interaction):
            self.users.touch_withdrawn(placed.identity, placed.fact, placed.digest)

    # --- totals ---

    def count(self, placed: PlacedFact) -> None:
        """Add an original fact to the tallies that do not depend on whose it is, once."""
        if self._may_have_seen:
            key = self.keys.seen(placed.identity, placed.digest)
            if self._unit.get(key):
                return
            if self._is_being_built:
                seen = {"pk": key.pk, "sk": key.sk, "time": placed.fact.time}
                self._unit.put(expiring(seen, (self._now + SEEN_FOR) // 1000))
        self._add(placed, 1)

    def erased(self, placed: PlacedFact) -> None:
        """A fact of somebody who is erased is deleted. A rebuild counts only who is there: what is being built has
        nothing of it; the tallies that are served stay as they are.
        """
        if not self._is_being_built:
            return
        self.fact_withdrawn(placed)
        key = self.keys.seen(placed.identity, placed.digest)
        if not placed.via and self._unit.get(key):
            self._unit.delete(key)
            self._add(placed, -1)

    def _add(self, placed: PlacedFact, count: int) -> None:
        """Add a fact to the tallies that do not depend on whose it is; ``count`` is 1, or -1 to take it away."""
        fact = placed.fact
        if isinstance(fact, Event):
            self._add_event(placed.identity, fact, placed.digest, count)
        elif isinstance(fact, Interaction):
            self._add_touch(placed.identity, fact, placed.digest, count)
        elif isinstance(fact, Step):
            self._add_touch(placed.identity, touch_of_step(fact), placed.digest, count)
        elif isinstance(fact, Send) and fact.status in SUCCESSFUL:
            self._tallies.send(fact.journey, fact.time, count)

    def _add_event(self, named: Identity, event: Event, digest: str, count: int) -> None:
        if self._settings.policy_at(event.time).counts_event(event.type):
            values = self._settings.value_at(event.time)
            self._tallies.event(event.time, event.type, value_of(event, values), count)
            if count > 0 and is_out_of_range(event, values):
                self._unit.count("ValuesOutOfRange")
        if interaction := custom_interaction(event, self._settings):
            self._add_touch(named, interaction, digest, count)

    def _add_touch(self, named: Identity, interaction: Interaction, digest: str, count: int) -> None:
        if not touch_of(interaction, digest, self._settings):
            return
        if count < 0 and self.number in self._journeys.counted(named, interaction, digest):
            self._tallies.waiting(interaction.time, count)
        elif count < 0 or self._journeys.admits(interaction.journey):
            self._tallies.touch(interaction.journey, interaction.time, interaction.kind, count)
        else:
            self._tallies.waiting(interaction.time, count)
            self._journeys.wait(named, interaction, digest, [self.number])
            self._unit.count("CappedJourneys")

    def count_waited(self, waited: Waits) -> None:
        """The journey of a touch is named now; where it was counted as one that waits, it is its journey's."""
        if self.number in waited.counted:
            self._tallies.waiting(waited.time, -1)
            self._tallies.touch(waited.journey, waited.time, waited.kind, 1)
