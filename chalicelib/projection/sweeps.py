"""Sweeps: what was too much for one record, done turn by turn.

There are three. One decides events of a user again, each by the touches as they are by then; one keeps the links of an
alias that gets its second owner; one places facts of an alias where its links say by then, wherever they are. So it
does not matter how often something is left to a sweep, nor in what order: the range that is left is widened, and what
is done twice changes nothing. An identity has at most one of each, and at most one mark for it in the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import msgspec

from chalicelib.facts.model import Identity, PlacedFact, Sweep, SweepKind
from chalicelib.keys import fact_range
from chalicelib.settings.model import Settings

if TYPE_CHECKING:
    from chalicelib.keys import ViewKeys
    from chalicelib.projection.unit import Unit
    from chalicelib.tables import Item

KINDS: tuple[SweepKind, ...] = get_args(SweepKind)


class Left(msgspec.Struct, frozen=True):
    """Facts that a sweep still has to go through: ``start <= time < end`` (ms UTC; None: without end), of those the
    ones from the sort key ``first`` on.
    """

    start: int
    end: int | None = None
    first: str = ""
    turn: int = 0

    def joined(self, other: Left) -> Left:
        """What is left of both; a turn later, as what went before may be left again."""
        ends = None if self.end is None or other.end is None else max(self.end, other.end)
        return Left(min(self.start, other.start), ends, min(self.first, other.first), self.turn)


def first_event(time: int) -> str:
    """The sort key before those of all events of a time and later."""
    return fact_range("e", time, None)[0]


class Sweeps:
    """The sweeps of an application, within a unit of work."""

    def __init__(self, unit: Unit, keys: ViewKeys) -> None:
        self._unit = unit
        self._keys = keys

    def is_known(self, identity: Identity, of: SweepKind) -> bool:
        """Whether it was read already whether there is one under way."""
        return self._unit.knows(self._keys.sweep(identity, of))

    def left(self, identity: Identity, of: SweepKind) -> Left | None:
        """What a sweep has to go through, or None where there is none under way."""
        item = self._unit.get(self._keys.sweep(identity, of))
        if item is None:
            return None
        end = item.get("end")
        return Left(int(item["start"]), None if end is None else int(end), item["first"], int(item["turn"]))

    def leave(self, identity: Identity, of: SweepKind, left: Left) -> None:
        """Leave something to a sweep, which begins if there is none."""
        under_way = self.left(identity, of)
        if under_way is None:
            self.go_on(identity, of, left)
        else:
            self._save(identity, of, under_way.joined(left))

    def go_on(self, identity: Identity, of: SweepKind, left: Left) -> None:
        """Save how far a sweep is, and place the mark for its next turn."""
        left = msgspec.structs.replace(left, turn=left.turn + 1)
        self._save(identity, of, left)
        self._unit.place(self._mark(identity, of, left.turn), Settings())

    def end(self, identity: Identity, of: SweepKind) -> None:
        """There is nothing left. The mark has no retention: it goes here."""
        self._unit.delete(self._keys.sweep(identity, of))
        self._unit.remove(self._mark(identity, of, 0))

    def _save(self, identity: Identity, of: SweepKind, left: Left) -> None:
        key = self._keys.sweep(identity, of)
        item: Item = {"pk": key.pk, "sk": key.sk, "start": left.start, "first": left.first, "turn": left.turn}
        self._unit.put(item if left.end is None else {**item, "end": left.end})

    def _mark(self, identity: Identity, of: SweepKind, turn: int) -> PlacedFact:
        return PlacedFact(self._keys.application, identity, of, Sweep(of, turn))
