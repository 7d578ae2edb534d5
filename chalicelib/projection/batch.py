"""What each kind of fact does to the views, for a batch of change records of one shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from chalicelib.attribution.touches import custom_interaction, order_of, touch_of
from chalicelib.attribution.value import value_of
from chalicelib.facts.items import from_item
from chalicelib.facts.model import ALIAS_KINDS, Event, Identity, Interaction, Link, PlacedFact, Recheck, Send, Step
from chalicelib.facts.reading import Owner
from chalicelib.journeys import is_announced, known_fields, met_item
from chalicelib.keys import Key, ViewKeys, fact_key, journey_key, label_key
from chalicelib.labels import NAMED, changed_label, rechecks, unchanged, version_in
from chalicelib.projection.aliases import Aliases, links_of
from chalicelib.projection.tallies import Tallies
from chalicelib.projection.unit import Unit
from chalicelib.projection.users import Users
from chalicelib.settings import Settings
from chalicelib.tables import Item

SUCCESSFUL = (None, "SUCCESS")
"""``journey_send_status`` of a send that counts as one; all others still tell whose the endpoint is."""


class Change(NamedTuple):
    """A change record of a fact: it now holds, or no longer does, for the identity in whose partition it lies.

    ``new`` where the partition did not have it before.
    """

    sequence: int
    placed: PlacedFact
    new: bool


class Scope:
    """One application's projection within a unit of work."""

    def __init__(self, unit: Unit, application: str, settings: Settings, now: int) -> None:
        self.application = application
        self.settings = settings
        self.keys = ViewKeys(application, settings.generation)
        self.tallies = Tallies(unit, self.keys)
        self.users = Users(unit, self.keys, settings, now)
        self.aliases = Aliases(unit, self.keys, self.users, settings)


class Batch:
    """Applies changes to a unit of work."""

    def __init__(self, unit: Unit, settings: Mapping[str, Settings], now: int) -> None:
        self._unit = unit
        self._scopes = {name: Scope(unit, name, one, now) for name, one in settings.items()}

    # --- reading ahead ---

    def prefetch(self, changes: Sequence[Change]) -> None:
        """Read what the changes will ask for, in a few calls instead of one each."""
        self._unit.prefetch(key for change in changes for key in self._state_keys(change.placed))
        self._unit.prefetch(key for change in changes for key in self._decision_keys(change.placed))
        touched: dict[Owner, int] = {}
        linked: set[Owner] = set()
        for placed in (change.placed for change in changes):
            owner = Owner(placed.application, placed.identity)
            if self._is_unlinked_touch(placed):
                touched[owner] = min(touched.get(owner, placed.fact.time), placed.fact.time)
            elif self._is_first_link(placed):
                linked.add(owner)
        self._unit.reader.read_ahead(touched, linked)

    def _is_unlinked_touch(self, placed: PlacedFact) -> bool:
        if placed.gone or not self._interaction_of(placed):
            return False
        return not placed.identity.is_alias or self._links(placed) is None

    def _interaction_of(self, placed: PlacedFact) -> Interaction | None:
        if isinstance(placed.fact, Event):
            return custom_interaction(placed.fact, self._scopes[placed.application].settings)
        return placed.fact if isinstance(placed.fact, Interaction) else None

    def _is_first_link(self, placed: PlacedFact) -> bool:
        links = isinstance(placed.fact, Link | Send | Step) and links_of(placed.fact) is not None
        return links and self._links(placed) is None

    def _links(self, placed: PlacedFact) -> Item | None:
        return self._unit.get(self._scopes[placed.application].keys.links(placed.identity))

    def _state_keys(self, placed: PlacedFact) -> Iterator[Key]:
        scope = self._scopes[placed.application]
        if isinstance(placed.fact, Event | Interaction):
            yield scope.keys.campaign(placed.identity)
        if placed.identity.kind in ALIAS_KINDS:
            yield scope.keys.links(placed.identity)
        if isinstance(placed.fact, Interaction | Send | Step) and not placed.via:
            yield journey_key(placed.application, placed.fact.journey)

    def _decision_keys(self, placed: PlacedFact) -> Iterator[Key]:
        scope = self._scopes[placed.application]
        user = placed.identity
        if user.is_alias and self._unit.get(scope.keys.links(user)):
            return
        if self._is_first_link(placed):
            yield scope.keys.campaign(user)
        if isinstance(placed.fact, Interaction):
            yield scope.keys.touch(user, order_of(placed.fact, placed.digest))
            yield scope.keys.participation(user, placed.fact.journey)
        elif isinstance(placed.fact, Event) and scope.users.may_have_credit(user, placed.fact):
            yield scope.keys.credit(user, placed.fact.time, placed.digest)
            if newest := scope.users.campaign(user).touch:
                yield scope.keys.participation(user, newest.journey)

    # --- applying ---

    def apply(self, change: Change) -> Iterator[bool | None]:
        """Do what a change does; yields where the unit may be committed, True where it must be.

        Totals come after the last yield.
        """
        placed = change.placed
        scope = self._scopes[placed.application]
        if isinstance(placed.fact, Event):
            yield from self._apply_event(scope, placed, placed.fact)
            if change.new and not placed.via:
                yield from self._count_event(scope, placed.fact, placed.digest)
        elif isinstance(placed.fact, Interaction):
            yield from self._apply_interaction(scope, placed, placed.fact)
            if change.new and not placed.via:
                yield from self._count_touch(scope, placed.fact, placed.digest)
        elif isinstance(placed.fact, Recheck):
            yield from self._recheck(scope, placed, placed.fact)
        else:
            yield from self._apply_link(scope, placed, placed.fact)

    def _count_event(self, scope: Scope, event: Event, digest: str) -> Iterator[bool | None]:
        """Add an event to the application's total, and to its journey's touches if it is one too."""
        if interaction := custom_interaction(event, scope.settings):
            yield from self._count_touch(scope, interaction, digest)
        if scope.settings.policy_at(event.time).counts_event(event.type):
            scope.tallies.event(None, event.time, event.type, value_of(event, scope.settings.value), 1)

    def _count_touch(self, scope: Scope, interaction: Interaction, digest: str) -> Iterator[bool | None]:
        yield from self._note_journey(scope, interaction.journey)
        if touch_of(interaction, digest, scope.settings):
            scope.tallies.touch(interaction.journey, interaction.time, interaction.kind)

    def _apply_event(self, scope: Scope, placed: PlacedFact, event: Event) -> Iterator[None]:
        if owner := self._owner(scope, placed):
            scope.aliases.place(placed, owner, gone=placed.gone)
        elif not placed.gone:
            yield from scope.users.event_added(placed.identity, event, placed.digest)
        elif not self._held_otherwise(placed):
            yield from scope.users.event_removed(placed.identity, event, placed.digest)

    def _apply_interaction(self, scope: Scope, placed: PlacedFact, interaction: Interaction) -> Iterator[None]:
        if owner := self._owner(scope, placed):
            scope.aliases.place(placed, owner, gone=placed.gone)
        elif not placed.gone:
            yield from scope.users.touch_added(placed.identity, interaction, placed.digest)
        elif not self._held_otherwise(placed):
            yield from scope.users.touch_removed(placed.identity, interaction, placed.digest)

    def _apply_link(self, scope: Scope, placed: PlacedFact, fact: Send | Step | Link) -> Iterator[bool | None]:
        if link := links_of(fact):
            yield from scope.aliases.linked(placed.identity, link)
        if isinstance(fact, Link):
            return
        yield from self._note_journey(scope, fact.journey)
        if fact.user_id and fact.owner:
            self._place(scope, placed, Identity("u", fact.user_id), Link(fact.time, fact.owner))
        if isinstance(fact, Step):
            touch = Interaction(fact.time, "journey.step", fact.channel, fact.journey)
            self._place(scope, placed, fact.owner or placed.identity, touch)
            if touch_of(touch, placed.digest, scope.settings):
                scope.tallies.touch(fact.journey, fact.time, touch.kind)
        elif fact.status in SUCCESSFUL:
            scope.tallies.send(fact.journey, fact.time)

    def _recheck(self, scope: Scope, placed: PlacedFact, fact: Recheck) -> Iterator[None]:
        """Decide an event again, if it still is this user's."""
        if self._owner(scope, placed):
            return
        event_at = PlacedFact(placed.application, placed.identity, fact.event, Event(fact.time, ""))
        keys = [fact_key(msgspec.structs.replace(event_at, via=via)) for via in ("", *ALIAS_KINDS)]
        for item in self._unit.facts.get_many(keys).values():
            found = from_item(item)
            if isinstance(found.fact, Event) and not found.gone:
                yield from scope.users.event_added(found.identity, found.fact, found.digest)
                return

    def _place(self, scope: Scope, placed: PlacedFact, at: Identity, fact: Interaction | Link) -> None:
        self._unit.place(msgspec.structs.replace(placed, identity=at, fact=fact, via=NAMED), scope.settings)

    def _owner(self, scope: Scope, placed: PlacedFact) -> Identity | None:
        return scope.aliases.owner_at(placed.identity, placed.fact.time) if placed.identity.is_alias else None

    def _held_otherwise(self, placed: PlacedFact) -> bool:
        """Whether another copy of the fact is not gone: it may have come by its endpoint and by its ``UserId``."""
        if placed.identity.is_alias:
            return False
        others = [fact_key(msgspec.structs.replace(placed, via=via)) for via in ALIAS_KINDS if via != placed.via]
        return any(not item.get("gone") for item in self._unit.facts.get_many(others).values())

    def _note_journey(self, scope: Scope, journey: str) -> Iterator[bool | None]:
        """A journey that facts mention for the first time goes by its id, unless somebody named it before."""
        key, at = journey_key(scope.application, journey), label_key(scope.application, journey)
        known = self._unit.get(key)
        if is_announced(known):
            return
        if known is None:
            label = self._unit.get(at)
            self._unit.put_if(met_item(key, journey), unchanged(None))
            if changed := changed_label(at, label, journey, bears=True):
                self._unit.put_if(changed, unchanged(label))
            yield True
        for placed in rechecks(self._unit.views, scope.keys, journey, version_in(self._unit.get(at))):
            self._unit.place(placed, scope.settings)
            yield None
        self._unit.note(key, known_fields(journey))
