"""Fixtures of tests on the real tables: two people of whom no other test knows."""

from __future__ import annotations

import pytest

from tests.erasure.people import Person
from tests.projection.scene import Scene, clock, scene, system
from tests.reference.shorthand import T
from tests.support.clock import SetClock

__all__ = ["clock", "scene", "system"]


@pytest.fixture
def jane(scene: Scene, clock: SetClock) -> Person:
    clock.time = T
    return Person(scene, "jane")


@pytest.fixture
def joe(scene: Scene) -> Person:
    return Person(scene, "joe")
