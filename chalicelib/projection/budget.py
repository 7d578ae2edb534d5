"""How much work one record, one turn of a longer task and one batch may take.

A touch that arrives late decides all events after it, a link moves all facts of its alias, a mark has a whole partition
to go through. What is beyond the budget is left to a mark in the same partition of facts, whose change record comes
behind whatever else waits in the stream: so nobody's records wait for one user's for longer than a turn.
"""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Steps: events decided, or facts moved, made again or erased.

    Attributes
    ----------
    record
        Of a record, before the rest is left to a mark.
    turn
        Of a mark.
    batch
        Of all records of a batch together. Beyond it each still takes ``least``, so that each gets on.
    """

    record: int = 100
    turn: int = 100
    batch: int = 2_000
    least: int = 5


LIMITS = Limits()


class Budget:
    """What is left of the steps of a batch, and of its present record."""

    def __init__(self) -> None:
        self.limits = LIMITS
        self._batch = LIMITS.batch
        self._record = 0

    def begin(self, *, turn: bool) -> None:
        """The next record begins; ``turn``: it is a mark."""
        self._record = self.limits.least
        if self._batch > 0:
            self._record = self.limits.turn if turn else self.limits.record

    @property
    def is_spent(self) -> bool:
        """Whether the record may take no further step."""
        return self._record <= 0

    def take(self, steps: int = 1) -> bool:
        """Take a step, if one is left; one that is as much work as several takes as many of the rest."""
        if self.is_spent:
            return False
        self._record -= steps
        self._batch -= steps
        return True
