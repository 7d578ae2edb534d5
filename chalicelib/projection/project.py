"""``project_facts``: fold the facts' change stream into the views, exactly once.

Records of a shard are taken in order into a unit of work; each commit moves the shard's watermark past the
records it holds. A record that re-credits much commits in pieces; what it adds to totals comes with the commit
that passes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.erasure.bars import stored_secret
from chalicelib.facts.items import from_item
from chalicelib.keys import Key, tally_bucket
from chalicelib.observability import logger
from chalicelib.projection.batch import Batch, Change
from chalicelib.projection.budget import Budget
from chalicelib.projection.set_aside import FailureQueue, message_of, reason_of, set_aside
from chalicelib.projection.unit import Counted, Unit, load_watermark
from chalicelib.settings.model import Settings
from chalicelib.settings.store import SettingsStore
from chalicelib.tables import Conflict, Starved, Table, from_wire, is_for_good, size_of
from chalicelib.times import Clock

FULL = 80
"""Items at which a unit commits. The largest single step (an event that moves between journeys, with participation
of both) adds less than twenty, and a transaction takes a hundred.
"""

WIDE = 150
"""Numbers of one tally at which a unit commits: an update's expression may have 4 KB, each takes about ten bytes."""

SLICE = 500
"""Records whose views are read ahead together."""

RACES = 10
"""How often a lost race for an item is tried again before the batch goes back to the stream."""

TRIES = 3
"""How often a record that fails by itself is tried before it is set aside."""


class PoisonRecord(Exception):
    """Up to a record of this sequence number there is one that cannot be projected; the failure is the cause."""

    def __init__(self, sequence: int) -> None:
        super().__init__(f"a record up to {sequence} cannot be projected")
        self.sequence = sequence


def goes_away(error: Exception) -> bool:
    """Whether a failure goes away by itself: then the batch is tried again. Anything else is a record's own."""
    return isinstance(error, ClientError | BotoCoreError | Conflict | Starved) and not is_for_good(error)


def sequence_of(record: Mapping[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def change_of(record: Mapping[str, Any]) -> Change | None:
    """What a change record of the facts table says, or None where it changes nothing for the views:
    expiry, or a new TTL.
    """
    change = record["dynamodb"]
    image = change.get("NewImage")
    if image is None:
        return None
    placed = from_item(from_wire(image))
    old = change.get("OldImage")
    if old is not None and from_item(from_wire(old)) == placed:
        return None
    return Change(sequence_of(record), placed, new=old is None)


class Projector:
    """Projects batches of change records. One instance serves a function's lifetime; it keeps nothing of a batch."""

    def __init__(self, facts: Table, views: Table, clock: Clock, failures: FailureQueue) -> None:
        self._facts = facts
        self._views = views
        self._settings = SettingsStore(views)
        self._clock = clock
        self._failures = failures
        self._secret: bytes | None = None
        self._bucket = 0
        self._widest: Key | None = None

    def project(
        self, records: Sequence[Mapping[str, Any]], shard: str, counted: Counter[Counted] | None = None
    ) -> None:
        """Project a batch of one shard's records, in order, and commit all of it. A record that cannot be projected is
        set aside.

        Parameters
        ----------
        counted
            To which is added what was counted, also by what is committed before an error.

        Raises
        ------
        ClientError, BotoCoreError, Conflict, Starved
            The tables did not take it. What was committed is passed by the watermark.
        """
        counted = Counter() if counted is None else counted
        left = list(records)
        while left:
            try:
                self._project_together(left, shard, counted)
            except PoisonRecord as poison:
                suspects = [one for one in left if sequence_of(one) <= poison.sequence]
                for one in suspects:
                    self._project_alone(one, shard, counted)
                left = left[len(suspects) :]
            else:
                return

    def largest_item(self) -> int | None:
        """Bytes of one of the items that grow most: of the last batch's tallies the one that it added the most numbers
        to. None where it added to none.
        """
        item = self._views.get(self._widest) if self._widest else None
        return size_of(item) if item else None

    def _project_together(self, records: Sequence[Mapping[str, Any]], shard: str, counted: Counter[Counted]) -> None:
        for race in range(RACES):
            unit = self._unit(shard)
            try:
                self._project(records, unit, Budget())
            except Conflict as conflict:
                if race == RACES - 1:
                    raise
                if conflict.met:
                    # Two shards add to one tally at once: from here on this one adds to another.
                    self._bucket = tally_bucket(shard)
            else:
                return
            finally:
                counted.update(unit.committed)
                self._widest = unit.widest[1] if unit.widest else None

    def _project_alone(self, record: Mapping[str, Any], shard: str, counted: Counter[Counted]) -> None:
        """Project a record that may be the one which cannot be; if it is, set it aside."""
        reason = ""
        for _ in range(TRIES):
            try:
                self._project_together([record], shard, counted)
            except PoisonRecord as poison:
                reason = reason_of(poison)
            else:
                return
        logger.error("a record is set aside", extra={"shard": shard, "reason": reason})
        # First: who is told twice is told, who is not told is not.
        self._failures.send(message_of(shard, record, reason))
        unit = self._unit(shard)
        set_aside(unit, shard, record, reason)
        unit.passed = sequence_of(record)
        unit.commit()
        counted.update(unit.committed)

    def _unit(self, shard: str) -> Unit:
        return Unit(self._views, self._facts, shard, load_watermark(self._views, shard), self._bucket)

    def first_uncommitted(self, records: Sequence[Mapping[str, Any]], shard: str) -> str | None:
        """Sequence number of the first record that the shard's watermark has not passed."""
        passed = load_watermark(self._views, shard).sequence
        return next((str(one["dynamodb"]["SequenceNumber"]) for one in records if sequence_of(one) > passed), None)

    def _project(self, records: Sequence[Mapping[str, Any]], unit: Unit, budget: Budget) -> None:
        left = [one for one in records if sequence_of(one) > unit.watermark.sequence]
        for start in range(0, len(left), SLICE):
            some = left[start : start + SLICE]
            try:
                self._project_slice(some, unit, budget)
            except PoisonRecord:
                raise
            except Exception as error:
                if goes_away(error):
                    raise
                raise PoisonRecord(sequence_of(some[-1])) from error

    def _project_slice(self, records: Sequence[Mapping[str, Any]], unit: Unit, budget: Budget) -> None:
        changes = [change for one in records if (change := _decoded(one))]
        settings = self._settings.get_many(change.placed.application for change in changes)
        batch = Batch(unit, settings, self._clock.now(), self._secret_of_erasures(settings), budget)
        batch.prefetch(changes)
        for change in changes:
            self._apply(change, batch, unit)
        unit.passed = sequence_of(records[-1])
        unit.commit()

    def _secret_of_erasures(self, settings: Mapping[str, Settings]) -> bytes | None:
        """The key of erased names' hashes, read once where an application has erased anybody."""
        if self._secret is None and any(one.has_erasures for one in settings.values()):
            self._secret = stored_secret(self._views)
        return self._secret

    def _apply(self, change: Change, batch: Batch, unit: Unit) -> None:
        try:
            for at_once in batch.apply(change):
                if at_once or _is_full(unit):
                    unit.commit()
        except Exception as error:
            if goes_away(error):
                raise
            raise PoisonRecord(change.sequence) from error
        unit.passed = change.sequence
        if _is_full(unit):
            unit.commit()


def _is_full(unit: Unit) -> bool:
    return unit.size >= FULL or unit.width >= WIDE


def _decoded(record: Mapping[str, Any]) -> Change | None:
    try:
        return change_of(record)
    except Exception as error:
        raise PoisonRecord(sequence_of(record)) from error
