"""Labels: which journeys go by a name, so that the stamp on an event finds its journey (R11).

A journey's label is its name, or its id until a name is known. When the journeys behind a label change, the events that
bear it as their stamp and have no touch are decided again. Three things make that independent of what comes first, an
event or the journey it names: the label changes together with a mark, which makes the projection recheck what waits
for it, turn by turn; an event is decided by a label only if the label is still what it was when that is committed; and
a label has an item as soon as an event bears it, so that where there is none nothing waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from chalicelib.facts.model import Identity, PlacedFact, Recheck, RecheckAll
from chalicelib.keys import Key, ViewKeys
from chalicelib.tables import Item, Table, version_in

RECHECKED_AT_ONCE = 201
"""Of what waits for a name, as many as one call reads: a turn's, and the one after."""

NAMED = "s"
"""``via`` of what is placed at an identity by its name."""


def journeys_in(item: Item | None) -> list[str]:
    """The journeys of a label, in order of id."""
    return sorted(item["journeys"]) if item else []


def changed_label(key: Key, item: Item | None, journey: str, *, bears: bool) -> Item | None:
    """The label's item once a journey bears it, or no longer does; None where that is so already."""
    journeys = set(journeys_in(item))
    if (journey in journeys) == bears:
        return None
    changed = journeys | {journey} if bears else journeys - {journey}
    return {"pk": key.pk, "sk": key.sk, "version": version_in(item) + 1, "journeys": dict.fromkeys(sorted(changed), 1)}


def awaited_label(key: Key) -> Item:
    """The item of a label that no journey bears yet, and an event does as its stamp."""
    return {"pk": key.pk, "sk": key.sk, "version": 1, "journeys": {}}


def stamped_item(keys: ViewKeys, stamp: str, user: Identity, time: int, digest: str) -> Item:
    """An event that its stamp alone decides, where a change of the label finds it."""
    key = keys.stamped_event(stamp, user, time, digest)
    return {"pk": key.pk, "sk": key.sk, "kind": user.kind, "name": user.name, "time": time, "digest": digest}


def recheck_all(application: str, of: Literal["stamp", "journey"], name: str, cause: str) -> PlacedFact:
    """What makes the projection recheck all that waits for a name."""
    return PlacedFact(application, Identity("x", name), of, RecheckAll(of, cause))


def rechecks(views: Table, keys: ViewKeys, name: str, mark: RecheckAll) -> Iterator[tuple[str, PlacedFact]]:
    """What makes the projection decide each of them again, with the sort keys of what waits."""
    pk = keys.stamped(name) if mark.of == "stamp" else keys.waiting_for(name)
    journey = "" if mark.of == "stamp" else name
    for item in views.query(pk, mark.after + "\x00" if mark.after else "", page=RECHECKED_AT_ONCE):
        fact = Recheck(int(item["time"]), item["digest"], f"{name}@{mark.cause}", journey)
        identity = Identity(item["kind"], item["name"])
        yield item["sk"], PlacedFact(keys.application, identity, f"{item['digest']}{mark.of[0]}", fact, NAMED)
