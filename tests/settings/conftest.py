"""Fixtures of tests of settings on the real tables."""

from __future__ import annotations

import pytest

from chalicelib import wiring
from chalicelib.tables import Table
from tests.projection.scene import clock, scene, system

__all__ = ["clock", "scene", "system"]


@pytest.fixture
def views(system: object) -> Table:
    return wiring.views()
