"""Unit of work: what a chunk of the change stream reads and writes.

It is committed as one transaction with the shard's watermark.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, Literal, get_args

import msgspec

from chalicelib.attribution.value import added
from chalicelib.facts.items import to_item
from chalicelib.facts.model import PlacedFact
from chalicelib.facts.reading import FactReader
from chalicelib.keys import LAST, Key, fact_key, watermark_key
from chalicelib.settings.model import Settings
from chalicelib.tables import Item, Operation, Table, key_of

Counted = Literal[
    "CreditsMade",
    "CreditsMoved",
    "CreditsWithdrawn",
    "CampaignsChanged",
    "CappedEventTypes",
    "OtherCurrencies",
    "ValuesOutOfRange",
    "CappedJourneys",
    "CappedLinks",
    "RecordsSetAside",
]

COUNTED: tuple[Counted, ...] = get_args(Counted)
"""What is counted as a metric of that name: what became of credits (moved is to another journey), how often a user's
campaign changed, and what went past a bound: events counted under ``other`` for their type or their currency, events
whose price is none, touches that wait for somebody to name their journey, links of an alias that has too many users,
records that cannot be projected.
"""


class Watermark(msgspec.Struct, frozen=True):
    """How far a shard of the change stream is projected.

    Attributes
    ----------
    sequence
        Sequence number of the last record whose effects are all committed.
    version
        Counts commits. Each commit is a compare-and-set on it, so of two readers of one shard only one gets on.
    """

    sequence: int = -1
    version: int = 0


def load_watermark(views: Table, shard: str) -> Watermark:
    item = views.get(watermark_key(shard))
    return Watermark(int(item["sequence"]), int(item["version"])) if item else Watermark()


class Unit:
    """Reads through what it is about to write; nothing reaches the tables before ``commit``.

    ``passed`` is the sequence number of the last record that is wholly in it; the caller sets it. ``bucket`` is that of
    the tallies which it adds to.

    Views have one writer per user (a user's partition of facts lies in one shard, a shard is read in order, and
    the watermark lets one reader on), so what was read stays true until the commit. The one other writer,
    ``expire_campaigns``, only closes windows, and a campaign is written here only when a newer touch replaces it,
    whatever became of the old window.
    """

    def __init__(self, views: Table, facts: Table, shard: str, watermark: Watermark, bucket: int = 0) -> None:
        self.views = views
        self.facts = facts
        self.reader = FactReader(facts)
        self.shard = shard
        self.bucket = bucket
        self.watermark = watermark
        self.passed = watermark.sequence
        self._known: dict[Key, Item | None] = {}
        self._pending: dict[Key, Item | None] = {}
        self._copies: dict[Key, Item | None] = {}
        self._conditions: dict[Key, Mapping[str, Any]] = {}
        self._tallies: dict[Key, dict[str, int | Decimal]] = {}
        self._counted: Counter[Counted] = Counter()
        self.committed: Counter[Counted] = Counter()
        """What was counted by the commits so far."""
        self.widest: tuple[int, Key] | None = None
        """Of the tallies that were added to, the one with the most numbers in a commit, and how many."""

    @property
    def size(self) -> int:
        """Items that the commit will touch."""
        checked = sum(key not in self._pending for key in self._conditions)
        return len(self._pending) + checked + len(self._copies) + len(self._tallies) + 1

    @property
    def width(self) -> int:
        """Numbers of the tally that the commit will change the most of."""
        return max((len(deltas) for deltas in self._tallies.values()), default=0)

    # --- reading ---

    def prefetch(self, keys: Iterable[Key]) -> None:
        """Read many items in few calls, so that ``get`` finds them."""
        wanted = [key for key in keys if key not in self._known]
        if wanted:
            found = self.views.get_many(wanted)
            self._known.update({key: found.get(key) for key in wanted})

    def knows(self, key: Key) -> bool:
        """Whether an item was read, or is about to be written."""
        return key in self._pending or key in self._known

    def get(self, key: Key) -> Item | None:
        """The item under a key, as this unit leaves it."""
        if key in self._pending:
            return self._pending[key]
        if key not in self._known:
            self._known[key] = self.views.get(key)
        return self._known[key]

    def first(self, pk: str, low: str, high: str, *, descending: bool = False) -> Item | None:
        """The first item (last, if descending) with ``low <= sk <= high``, as this unit leaves it."""
        return next(iter(self.some(pk, low, high, 1, descending=descending)), None)

    def some(self, pk: str, low: str, high: str, limit: int, *, descending: bool = False) -> list[Item]:
        """The first items (last, if descending) with ``low <= sk <= high``, in order, as this unit leaves them."""
        mine = {key.sk: item for key, item in self._pending.items() if key.pk == pk and low <= key.sk <= high}
        stored = self.views.query(pk, low, high, descending=descending, limit=limit + len(mine))
        live = [one for one in islice(stored, limit + len(mine)) if one["sk"] not in mine]
        live += [one for one in mine.values() if one is not None]
        return sorted(live, key=lambda one: str(one["sk"]), reverse=descending)[:limit]

    # --- writing ---

    def put(self, item: Item) -> None:
        self._pending[key_of(item)] = item

    def delete(self, key: Key) -> None:
        self._pending[key] = None

    def place(self, placed: PlacedFact, settings: Settings) -> None:
        """Put a copy of a fact into another identity's partition."""
        self._copies[fact_key(placed)] = to_item(placed, settings)

    def remove(self, placed: PlacedFact) -> None:
        """Delete a fact, for good."""
        self._copies[fact_key(placed)] = None

    def require(self, key: Key, condition: Mapping[str, Any]) -> None:
        """Commit only if an item that others write to still is as it was read."""
        self._conditions.setdefault(key, condition)

    def put_if(self, item: Item, condition: Mapping[str, Any]) -> None:
        """Write an item that others write to as well, if it still is as it was read."""
        self.put(item)
        # Written twice in one unit, it is still what was read first that it must not differ from.
        self._conditions.setdefault(key_of(item), condition)

    def add(self, key: Key, name: str, delta: int | Decimal) -> None:
        """Add to one number of a tally."""
        deltas = self._tallies.setdefault(key, {})
        deltas[name] = added(deltas.get(name, 0), delta)

    def count(self, what: Counted) -> None:
        """Count something once it is committed."""
        self._counted[what] += 1

    # --- committing ---

    def commit(self) -> None:
        """Write everything, and move the watermark to the last record that is wholly in it (``passed``).

        Raises
        ------
        chalicelib.tables.Conflict
            Another reader of this shard got on, or a label that was read changed. Nothing was written.
        """
        moved = Watermark(self.passed, self.watermark.version + 1)
        operations = [self._watermark_operation(moved)]
        operations += [self._view_operation(key, item) for key, item in self._pending.items()]
        operations += [
            self.views.check_operation(key, condition)
            for key, condition in self._conditions.items()
            if key not in self._pending
        ]
        operations += [self._copy_operation(key, item) for key, item in self._copies.items()]
        for key, deltas in self._tallies.items():
            if changed := {name: delta for name, delta in deltas.items() if delta}:
                operations.append(self.views.add_operation(key, changed))
                self.widest = max((len(changed), key), self.widest or (0, key))
        self.views.transact(operations)
        self.watermark = moved
        self.committed.update(self._counted)
        self._counted.clear()
        self._known.update(self._pending)
        self._pending, self._copies, self._tallies, self._conditions = {}, {}, {}, {}

    def _watermark_operation(self, moved: Watermark) -> Operation:
        key = watermark_key(self.shard)
        item: Item = {"pk": key.pk, "sk": key.sk, "sequence": moved.sequence, "version": moved.version}
        if self.watermark.version == 0:
            return self.views.put_operation(item, {"ConditionExpression": "attribute_not_exists(pk)"})
        return self.views.put_operation(
            item,
            {
                "ConditionExpression": "#v = :v",
                "ExpressionAttributeNames": {"#v": "version"},
                "ExpressionAttributeValues": {":v": {"N": str(self.watermark.version)}},
            },
        )

    def _view_operation(self, key: Key, item: Item | None) -> Operation:
        if item is None:
            return self.views.delete_operation(key)
        return self.views.put_operation(item, self._conditions.get(key))

    def _copy_operation(self, key: Key, item: Item | None) -> Operation:
        return self.facts.delete_operation(key) if item is None else self.facts.put_operation(item)


def after(prefix: str) -> tuple[str, str]:
    """Sort key range of everything that begins with ``prefix``."""
    return prefix, prefix + LAST
