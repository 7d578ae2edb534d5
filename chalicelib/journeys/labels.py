"""Labels: which journeys go by a name, so that the stamp on an event finds its journey (R11).

A journey's label is its name, or its id until a name is known. When the journeys behind a label change, the events that
bear it as their stamp and have no touch are decided again. Three steps make that independent of what comes first, an
event or the journey it names: the label changes; then the events that stand under it are rechecked; and whoever decides
an event by a label commits only if the label is still what it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from chalicelib.facts.model import Identity, PlacedFact, Recheck
from chalicelib.keys import Key, ViewKeys
from chalicelib.tables import Item, Table, version_in

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


def stamped_item(keys: ViewKeys, stamp: str, user: Identity, time: int, digest: str) -> Item:
    """An event that its stamp alone decides, where a change of the label finds it."""
    key = keys.stamped_event(stamp, user, time, digest)
    return {"pk": key.pk, "sk": key.sk, "kind": user.kind, "name": user.name, "time": time, "digest": digest}


def rechecks(views: Table, keys: ViewKeys, label: str, version: int) -> Iterator[PlacedFact]:
    """What makes the projection decide all events again that bear a label as their stamp."""
    for item in views.query(keys.stamped(label)):
        yield PlacedFact(
            application=keys.application,
            identity=Identity(item["kind"], item["name"]),
            digest=item["digest"],
            fact=Recheck(int(item["time"]), item["digest"], f"{label}@{version}"),
            via=NAMED,
        )
