"""What each kind of fact does to the views, for a batch of change records of one shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from chalicelib.erasure.bars import Bars
from chalicelib.facts.items import facts_between, from_item
from chalicelib.facts.model import (
    ALIAS_KINDS,
    ERASED,
    Erase,
    Event,
    Identity,
    Interaction,
    Link,
    Mark,
    PlacedFact,
    Rebuild,
    Recheck,
    RecheckAll,
    Retry,
    Send,
    Step,
    Sweep,
)
from chalicelib.facts.reading import Owner
from chalicelib.journeys.labels import NAMED, rechecks
from chalicelib.keys import Key, ViewKeys, fact_key, journey_key, label_key, set_aside_range, unnamed_key
from chalicelib.projection.aliases import MANY, Aliases, links_of
from chalicelib.projection.budget import Budget
from chalicelib.projection.erasing import Erasing
from chalicelib.projection.generations import Generation, Work, touch_of_step
from chalicelib.projection.journeys import Journeys, places_of
from chalicelib.projection.set_aside import from_stored, take_back
from chalicelib.projection.sweeping import Sweeping
from chalicelib.projection.sweeps import KINDS, Sweeps
from chalicelib.projection.unit import Unit
from chalicelib.settings.model import Settings
from chalicelib.tables import Item

REBUILT_AT_ONCE = 50
"""Facts of an identity whose views are read together in a rebuild."""

FACTS_AT_ONCE = 200
"""Facts of an identity that a rebuild reads in one call."""

FOLDED = ("l", "e", "i")
"""Classes of facts in the order in which a rebuild goes through them."""


class Change(NamedTuple):
    """A change record of a fact: it now holds, or no longer does, for the identity in whose partition it lies.

    ``new`` where the partition did not have it before.
    """

    sequence: int
    placed: PlacedFact
    new: bool


class Scope:
    """One application's projection within a unit of work: the generation that is served, and the one being built."""

    def __init__(
        self, unit: Unit, application: str, settings: Settings, now: int, secret: bytes | None, budget: Budget
    ) -> None:
        self.application = application
        self.settings = settings
        numbers = [settings.generation] if settings.building is None else [settings.generation, settings.building]
        self.keys = ViewKeys(application, settings.generation)
        self.sweeps = Sweeps(unit, self.keys)
        self.journeys = Journeys(unit, self.keys)
        work = Work(unit, now, self.sweeps, self.journeys, budget)
        self.generations = [Generation(work, application, number, settings) for number in numbers]
        self.bars = Bars(self.keys, unit.get, secret if settings.has_erasures else None)
        users = [one.users for one in self.generations]
        self.aliases = Aliases(unit, self.keys, users, settings, self.bars, self.sweeps, budget)
        self.sweeping = Sweeping(unit, application, self.generations, self.aliases, self.sweeps, budget)
        retired = [ViewKeys(application, one.generation) for one in settings.retiring]
        self.erasing = Erasing(
            unit, application, self.generations, retired, self.aliases, self.bars, settings, self.sweeps, budget
        )


class Batch:
    """Applies changes to a unit of work.

    Parameters
    ----------
    secret
        The key of erased names' hashes; None where no application has erased anybody.
    """

    def __init__(
        self, unit: Unit, settings: Mapping[str, Settings], now: int, secret: bytes | None, budget: Budget
    ) -> None:
        self._unit = unit
        self._now = now
        self._budget = budget
        self._scopes = {name: Scope(unit, name, one, now, secret, budget) for name, one in settings.items()}

    # --- reading ahead ---

    def prefetch(self, changes: Sequence[Change]) -> None:
        """Read what the changes will ask for, in a few calls instead of one each."""
        facts = [change.placed for change in changes]
        self._prefetch_items(facts)
        touched: dict[Owner, int] = {}
        linked: set[Owner] = set()
        for placed in facts:
            owner = Owner(placed.application, placed.identity)
            if self._is_unlinked_touch(placed):
                touched[owner] = min(touched.get(owner, placed.fact.time), placed.fact.time)
            elif self._is_first_link(placed):
                linked.add(owner)
        self._unit.reader.read_ahead(touched, linked)

    def _prefetch_items(self, facts: Sequence[PlacedFact]) -> None:
        self._unit.prefetch(key for placed in facts for key in self._state_keys(placed))
        self._unit.prefetch(key for placed in facts for key in self._decision_keys(placed))
        rechecked = [(placed, placed.fact) for placed in facts if isinstance(placed.fact, Recheck)]
        self._unit.reader.read_facts(key for placed, recheck in rechecked for key in _keys_of(placed, recheck))

    def _is_unlinked_touch(self, placed: PlacedFact) -> bool:
        interaction = None if placed.gone else self._interaction_of(placed)
        if interaction is None or not self._scopes[placed.application].journeys.may_admit(interaction.journey):
            return False
        return not placed.identity.is_alias or self._links(placed) is None

    def _interaction_of(self, placed: PlacedFact) -> Interaction | None:
        generations = self._scopes[placed.application].generations
        return next((one for generation in generations if (one := generation.interaction_in(placed))), None)

    def _is_first_link(self, placed: PlacedFact) -> bool:
        links = isinstance(placed.fact, Link | Send | Step) and links_of(placed.fact) is not None
        return links and self._links(placed) is None

    def _links(self, placed: PlacedFact) -> Item | None:
        return self._unit.get(self._scopes[placed.application].keys.links(placed.identity))

    def _state_keys(self, placed: PlacedFact) -> Iterator[Key]:
        scope = self._scopes[placed.application]
        if placed.identity.kind in ALIAS_KINDS:
            yield scope.keys.links(placed.identity)
        if scope.bars.are_there:
            yield from (scope.bars.key(one) for one in _named_by(placed))
        if isinstance(placed.fact, Interaction | Send | Step):
            yield journey_key(placed.application, placed.fact.journey)
            yield unnamed_key(placed.application)
        if isinstance(placed.fact, Rebuild):
            yield from (scope.keys.sweep(placed.identity, kind) for kind in KINDS)
        for generation in scope.generations:
            yield from generation.state_keys(placed)

    def _decision_keys(self, placed: PlacedFact) -> Iterator[Key]:
        scope = self._scopes[placed.application]
        if isinstance(placed.fact, Interaction | Send | Step) and not scope.journeys.admits(placed.fact.journey):
            yield label_key(placed.application, placed.fact.journey)
            if isinstance(placed.fact, Interaction):
                yield scope.keys.waiting(placed.fact.journey, placed.identity, placed.fact.time, placed.digest)
        if placed.identity.is_alias and (links := self._links(placed)):
            if scope.bars.are_there and links["kind"] != MANY:
                yield scope.bars.key(Identity(links["kind"], links["name"]))
            return
        for generation in scope.generations:
            if self._is_first_link(placed):
                yield generation.keys.campaign(placed.identity)
            yield from generation.decision_keys(placed)

    # --- applying ---

    def apply(self, change: Change) -> Iterator[bool | None]:
        """Do what a change does; yields where the unit may be committed, True where it must be.

        What it adds to totals comes after the last yield.
        """
        placed = change.placed
        scope = self._scopes[placed.application]
        self._budget.begin(turn=isinstance(placed.fact, Mark))
        if isinstance(placed.fact, Sweep):
            yield from scope.sweeping.turn(placed.identity, placed.fact.of)
        elif isinstance(placed.fact, RecheckAll):
            yield from self._recheck_all(scope, placed, placed.fact)
        elif isinstance(placed.fact, Retry):
            yield from self._retry(change, placed.fact)
        elif isinstance(placed.fact, Erase):
            yield from scope.erasing.erase(placed, placed.fact)
        elif isinstance(placed.fact, Rebuild):
            yield from self._rebuild(scope, placed, placed.fact)
        elif self._is_erased(scope, placed):
            yield from self._throw_away(scope, placed)
        elif isinstance(placed.fact, Recheck):
            yield from self._recheck(scope, placed, placed.fact)
        else:
            if change.new and not placed.via:
                self._meet(scope, placed)
            yield from self._apply(scope, scope.generations, placed)
            if change.new and not placed.via:
                for generation in scope.generations:
                    generation.count(placed)

    def _apply(self, scope: Scope, generations: Sequence[Generation], placed: PlacedFact) -> Iterator[bool | None]:
        is_deferred = scope.erasing.defers_facts(placed.identity)
        if isinstance(placed.fact, Link | Send | Step):
            yield from self._apply_link(scope, placed, placed.fact)
        elif is_deferred and not placed.gone:
            return
        elif owner := self._owner(scope, placed):
            scope.aliases.place(placed, owner, gone=placed.gone)
        elif not placed.gone:
            for generation in generations:
                yield from generation.fact_added(placed)
        elif is_deferred:
            for generation in generations:
                generation.fact_withdrawn(placed)
        elif not self._held_otherwise(placed):
            for generation in generations:
                yield from generation.fact_removed(placed)

    def _apply_link(self, scope: Scope, placed: PlacedFact, fact: Send | Step | Link) -> Iterator[bool | None]:
        if (link := links_of(fact)) and not scope.erasing.defers_links(placed.identity):
            yield from scope.aliases.linked(placed.identity, link)
        if isinstance(fact, Link):
            return
        if fact.user_id and fact.owner:
            self._place(scope, placed, Identity("u", fact.user_id), Link(fact.time, fact.owner))
        if isinstance(fact, Step):
            self._place(scope, placed, fact.owner or placed.identity, touch_of_step(fact))

    def _is_erased(self, scope: Scope, placed: PlacedFact) -> bool:
        """Whether a fact is a user's who was erased at or after its time."""
        time = placed.fact.time
        if not scope.bars.are_there:
            return False
        if scope.bars.cover(placed.identity, time):
            return True
        if isinstance(placed.fact, Link | Send | Step):
            return placed.fact.owner is not None and scope.bars.cover(placed.fact.owner, time)
        owner = self._owner(scope, placed)
        return owner is not None and (owner == ERASED or scope.bars.cover(owner, time))

    def _throw_away(self, scope: Scope, placed: PlacedFact) -> Iterator[bool | None]:
        """Delete a fact of an erased user. Of a copy that moved elsewhere the credit moved too, so it goes here."""
        fact = placed.fact
        if isinstance(fact, Link | Send | Step):
            if (link := links_of(fact)) and not scope.bars.cover(placed.identity, fact.time):
                if scope.erasing.defers_links(placed.identity):
                    scope.aliases.erase(placed.identity, link.owner)
                else:
                    yield from scope.aliases.linked_to_erased(placed.identity, link)
                if isinstance(fact, Send | Step) and fact.user_id:
                    # It is thrown away there, and tells whose the ``UserId`` was.
                    self._place(scope, placed, Identity("u", fact.user_id), Link(fact.time, link.owner))
        elif placed.gone and self._owner(scope, placed) != ERASED:
            yield from self._apply(scope, scope.generations, placed)
        for generation in scope.generations:
            generation.erased(placed)
        self._unit.remove(placed)

    def _recheck(self, scope: Scope, placed: PlacedFact, fact: Recheck) -> Iterator[bool | None]:
        """Decide an event again, if it still is this user's; or take in a touch that waited for its journey's name."""
        waited = scope.journeys.waiting(placed.identity, fact) if fact.journey else None
        if fact.journey and waited is None:
            return
        if not fact.journey and (self._owner(scope, placed) or scope.erasing.defers_facts(placed.identity)):
            return
        found = self._stored(placed, fact)
        if found and waited:
            yield from self._apply(scope, scope.generations, found)
        elif found:
            for generation in scope.generations:
                yield from generation.fact_added(found)
        if waited:
            for generation in scope.generations:
                generation.count_waited(waited)
            scope.journeys.forget(placed.identity, waited.journey, waited.time, waited.digest)

    def _stored(self, placed: PlacedFact, recheck: Recheck) -> PlacedFact | None:
        """The fact that a recheck names, if it holds for this identity."""
        items = self._unit.reader.facts(_keys_of(placed, recheck))
        return next((one for item in items if not (one := from_item(item)).gone), None)

    def _recheck_all(self, scope: Scope, placed: PlacedFact, mark: RecheckAll) -> Iterator[bool | None]:
        """A turn of placing rechecks."""
        # Queries do not see what only this unit knows.
        yield True
        after = mark.after
        for key, again in rechecks(self._unit.views, scope.keys, placed.identity.name, mark):
            if not self._budget.take():
                turn = msgspec.structs.replace(mark, turn=mark.turn + 1, after=after)
                self._unit.place(msgspec.structs.replace(placed, fact=turn), Settings())
                return
            self._unit.place(again, scope.settings)
            after = key
            yield None
        self._unit.remove(placed)

    def _retry(self, change: Change, mark: Retry) -> Iterator[bool | None]:
        """Apply a change that was set aside."""
        item = self._unit.get(Key(set_aside_range()[0], mark.set_aside))
        if item is not None:
            stored = from_stored(item)
            found = self._unit.facts.get(stored.fact)
            if found is not None:
                yield from self.apply(Change(change.sequence, from_item(found), stored.new))
            take_back(self._unit, stored)
        self._unit.remove(change.placed)

    def _rebuild(self, scope: Scope, placed: PlacedFact, mark: Rebuild) -> Iterator[bool | None]:
        """Make all views of an identity in the generation being built, from the facts in its partition.

        Copies that its facts should have elsewhere are placed again, should one be missing.
        """
        if scope.settings.building != mark.generation:
            self._unit.remove(placed)
            return
        building = scope.generations[-1]
        after = mark.after
        facts = (one for cls in FOLDED for one in self._facts_after(placed, cls, after) if not one.gone)
        while chunk := list(islice(facts, REBUILT_AT_ONCE)):
            self._prefetch_items(chunk)
            for one in chunk:
                if not self._budget.take():
                    yield from self._rebuild_later(placed, mark, after)
                    return
                after = fact_key(one).sk
                if self._is_erased(scope, one):
                    continue
                if not one.via:
                    self._meet(scope, one)
                yield from self._apply(scope, [building], one)
                if not one.via:
                    building.count(one)
                yield None
        waits = scope.erasing.defers_facts(placed.identity)
        if waits or any(scope.sweeps.left(placed.identity, kind) for kind in KINDS):
            # What was left to a sweep, or to an erasure's end, belongs to the views that are made.
            yield from self._rebuild_later(placed, mark, after)
            return
        # That it is gone says that the views are made.
        self._unit.remove(placed)

    def _facts_after(self, placed: PlacedFact, cls: str, after: str) -> Iterator[PlacedFact]:
        """Facts of a class that come after a sort key in the order of a rebuild."""
        if after and FOLDED.index(cls) < FOLDED.index(after[0]):
            return iter(())
        from_key = after + "\x00" if after.startswith(cls) else ""
        return facts_between(
            self._unit.facts, placed.application, placed.identity, cls, 0, None, page=FACTS_AT_ONCE, from_key=from_key
        )

    def _rebuild_later(self, placed: PlacedFact, mark: Rebuild, after: str) -> Iterator[None]:
        """Leave the rest of a partition to another turn."""
        turn = msgspec.structs.replace(mark, turn=mark.turn + 1, after=after)
        self._unit.place(msgspec.structs.replace(placed, fact=turn), Settings())
        yield None

    def _place(self, scope: Scope, placed: PlacedFact, at: Identity, fact: Interaction | Link) -> None:
        if not scope.bars.cover(at, fact.time):
            self._unit.place(msgspec.structs.replace(placed, identity=at, fact=fact, via=NAMED), scope.settings)

    def _owner(self, scope: Scope, placed: PlacedFact) -> Identity | None:
        return scope.aliases.owner_at(placed.identity, placed.fact.time) if placed.identity.is_alias else None

    def _held_otherwise(self, placed: PlacedFact) -> bool:
        """Whether another copy of the fact is not gone: it may have come by its endpoint and by its ``UserId``."""
        if placed.identity.is_alias:
            return False
        others = [fact_key(msgspec.structs.replace(placed, via=via)) for via in ALIAS_KINDS if via != placed.via]
        return any(not item.get("gone") for item in self._unit.facts.get_many(others).values())

    def _meet(self, scope: Scope, placed: PlacedFact) -> None:
        mentioned = placed.fact if isinstance(placed.fact, Send | Step) else self._interaction_of(placed)
        if mentioned:
            scope.journeys.meet(mentioned)


def _keys_of(placed: PlacedFact, recheck: Recheck) -> list[Key]:
    """Where the fact may lie that a recheck names."""
    event = msgspec.structs.replace(placed, digest=recheck.event, fact=Event(recheck.time, ""))
    facts = [event]
    if recheck.journey:
        facts.append(msgspec.structs.replace(event, fact=Interaction(recheck.time, "", "", recheck.journey)))
    return [fact_key(copy) for one in facts for copy in places_of(one)]


def _named_by(placed: PlacedFact) -> Iterator[Identity]:
    """The identities that a fact names."""
    yield placed.identity
    fact = placed.fact
    if isinstance(fact, Link | Send | Step) and fact.owner:
        yield fact.owner
    if isinstance(fact, Send | Step) and fact.user_id:
        yield Identity("u", fact.user_id)
