"""Budgets of the projection that are soon spent, so that small histories meet what large ones do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from chalicelib.projection import budget
from chalicelib.projection.budget import Limits

SMALL = Limits(record=1, turn=2, batch=4, least=1)


@contextmanager
def small_budgets(*, small: bool = True) -> Iterator[None]:
    """For the time of the block nearly everything is left to sweeps."""
    with patch.object(budget, "LIMITS", SMALL if small else budget.LIMITS):
        yield
