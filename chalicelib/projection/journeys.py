"""Journeys as facts mention them: which are known, and what waits until somebody names one (R9).

A client may make up journeys in its interactions. Those that no send, step or marketer has named yet are capped per
application; touches of further ones are counted as such and wait until theirs is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chalicelib.facts.model import Identity, Interaction, PlacedFact, Recheck, Send, Step
from chalicelib.journeys.labels import NAMED, changed_label, recheck_all
from chalicelib.journeys.registry import met_item, named_item
from chalicelib.keys import journey_key, label_key, unnamed_key
from chalicelib.settings.model import Settings
from chalicelib.tables import unchanged

if TYPE_CHECKING:
    from chalicelib.keys import Key, ViewKeys
    from chalicelib.projection.unit import Unit
    from chalicelib.tables import Item

MOST_UNNAMED = 200
"""Journeys of an application that nobody has named yet; two shards that meet some at once may go past it a little."""


class Waits(NamedTuple):
    """A touch that waits for its journey to be named; ``counted`` are the generations that count it as one."""

    journey: str
    time: int
    kind: str
    digest: str
    counted: frozenset[int]


class Journeys:
    """The journeys of an application, within a unit of work."""

    def __init__(self, unit: Unit, keys: ViewKeys) -> None:
        self._unit = unit
        self._keys = keys
        self._application = keys.application
        self._new = 0

    def admits(self, journey: str) -> bool:
        """Whether touches of a journey are projected."""
        return self._unit.get(journey_key(self._application, journey)) is not None

    def may_admit(self, journey: str) -> bool:
        """Whether touches of a journey are projected, or would be if it were met now."""
        return self.admits(journey) or self._unnamed() < MOST_UNNAMED

    def meet(self, mentioned: Interaction | Send | Step) -> None:
        """A fact mentions a journey: until somebody names it otherwise, it goes by its id."""
        key = journey_key(self._application, mentioned.journey)
        known, named = self._unit.get(key), isinstance(mentioned, Send | Step)
        if known is None:
            if named or self._unnamed() < MOST_UNNAMED:
                self._register(key, mentioned.journey, named=named)
        elif named and not known.get("named"):
            self._unit.put_if(named_item(known), unchanged(known))
            self._unit.add(unnamed_key(self._application), "journeys", -1)

    def _register(self, key: Key, journey: str, *, named: bool) -> None:
        self._unit.put_if(met_item(key, journey, named=named), unchanged(None))
        at = label_key(self._application, journey)
        label = self._unit.get(at)
        if changed := changed_label(at, label, journey, bears=True):
            self._unit.put_if(changed, unchanged(label))
            if label is not None:
                self._unit.place(recheck_all(self._application, "stamp", journey, str(changed["version"])), Settings())
        if not named:
            self._new += 1
            self._unit.add(unnamed_key(self._application), "journeys", 1)
        elif self._unit.get(unnamed_key(self._application)):
            self._unit.place(recheck_all(self._application, "journey", journey, "met"), Settings())

    def _unnamed(self) -> int:
        counter = self._unit.get(unnamed_key(self._application))
        return (int(counter["journeys"]) if counter else 0) + self._new

    # --- what waits ---

    def wait(self, user: Identity, touch: Interaction, digest: str, counted: Iterable[int] = ()) -> None:
        """A touch waits for its journey to be named. Nobody may have named it by the time this is committed."""
        self._unit.require(journey_key(self._application, touch.journey), unchanged(None))
        key = self._keys.waiting(touch.journey, user, touch.time, digest)
        before = self._unit.get(key)
        numbers = {*(before["counted"] if before else {}), *map(str, counted)}
        item: Item = {
            "pk": key.pk,
            "sk": key.sk,
            "kind": user.kind,
            "name": user.name,
            "time": touch.time,
            "digest": digest,
            "touch": touch.kind,
            "counted": dict.fromkeys(sorted(numbers), 1),
        }
        self._unit.put(item)

    def counted(self, user: Identity, touch: Interaction, digest: str) -> frozenset[int]:
        """Generations that count a touch as one that waits."""
        item = self._unit.get(self._keys.waiting(touch.journey, user, touch.time, digest))
        return frozenset(map(int, item["counted"])) if item else frozenset()

    def waiting(self, user: Identity, recheck: Recheck) -> Waits | None:
        """What waited, if it still does and its journey is named."""
        key = self._keys.waiting(recheck.journey, user, recheck.time, recheck.event)
        item = self._unit.get(key)
        if item is None or not self.admits(recheck.journey):
            return None
        counted = frozenset(map(int, item["counted"]))
        return Waits(recheck.journey, recheck.time, item["touch"], recheck.event, counted)

    def forget(self, user: Identity, journey: str, time: int, digest: str) -> None:
        """A touch waits no longer, or is erased."""
        self._unit.delete(self._keys.waiting(journey, user, time, digest))


def places_of(placed: PlacedFact) -> list[PlacedFact]:
    """All copies under which a fact may lie in a partition."""
    return [msgspec.structs.replace(placed, via=via) for via in ("", "u", "p", NAMED)]
